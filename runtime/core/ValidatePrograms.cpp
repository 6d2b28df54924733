// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Steps in which several programs act together.
#include "PlanChecks.h"

using namespace tessera;
using namespace tessera::rt;
using namespace tessera::abi;

/// In what two joint collectives differ; null where they are one and the same.
static const char *differenceOf(const Step &a, const Step &b) {
  auto isSameMove = [](const DigitMove &x, const DigitMove &y) {
    return x.from == y.from && x.to == y.to && x.shift == y.shift;
  };
  if (a.kind != b.kind)
    return "kind";
  if (a.dtype != b.dtype)
    return "element type";
  if (a.inputShape != b.inputShape || a.outputShape != b.outputShape)
    return "shape";
  if (!std::equal(a.digits.begin(), a.digits.end(), b.digits.begin(),
                  b.digits.end()))
    return "group";
  if (!std::equal(a.moves.begin(), a.moves.end(), b.moves.begin(),
                  b.moves.end(), isSameMove) ||
      a.targets != b.targets)
    return "receiver";
  if (a.dim != b.dim || a.joinDim != b.joinDim)
    return "dimension";
  return a.reduction == b.reduction ? nullptr : "reduction";
}

static size_t nextJoint(const Plan &plan, const PlanTree &tree, int32_t block,
                        size_t index) {
  while (index < plan.blocks[block].steps.size() && !tree.isJoint(block, index))
    ++index;
  return index;
}

/// `first` is of the first program, `other` of another one.
static Status checkBlocksMeet(const Plan &plan, const PlanTree &tree,
                              int32_t first, int32_t other) {
  auto isEnd = [&](int32_t block, size_t index) {
    return index == plan.blocks[block].steps.size();
  };
  auto nameOf = [&](int32_t block) {
    return "program '" + plan.programs[tree.programOf(block)].name + "'";
  };
  size_t i = nextJoint(plan, tree, first, 0);
  size_t j = nextJoint(plan, tree, other, 0);
  while (!isEnd(first, i) || !isEnd(other, j)) {
    if (isEnd(first, i) || isEnd(other, j)) {
      bool isFirst = isEnd(other, j);
      return Status::error(
          describeStep(plan, tree, isFirst ? first : other, isFirst ? i : j) +
          " joins programs, but no step of " + nameOf(isFirst ? other : first) +
          " meets it");
    }
    const Step &a = plan.blocks[first].steps[i];
    const Step &b = plan.blocks[other].steps[j];
    auto fail = [&](const std::string &message) {
      return Status::error(describeStep(plan, tree, other, j) + " meets " +
                           describeStep(plan, tree, first, i) + ", " + message);
    };
    bool isLoop = a.kind == StepKind::Loop && b.kind == StepKind::Loop;
    if (!isLoop && (a.isRegion() || b.isRegion()))
      return fail("but programs meet in collectives and in loops of a fixed "
                  "count");
    if (isLoop && a.count != b.count)
      return fail("with another count");
    if (const char *difference = isLoop ? nullptr : differenceOf(a, b))
      return fail(std::string("with another ") + difference);
    if (isLoop)
      if (Status bodies = checkBlocksMeet(plan, tree, a.blocks[0], b.blocks[0]);
          !bodies.ok())
        return bodies;
    i = nextJoint(plan, tree, first, i + 1);
    j = nextJoint(plan, tree, other, j + 1);
  }
  return Status::success();
}

Status tessera::rt::checkJointSteps(const Plan &plan, const PlanTree &tree) {
  for (size_t p = 1; p < plan.programs.size(); ++p)
    if (Status status = checkBlocksMeet(plan, tree, plan.programs[0].block,
                                        plan.programs[p].block);
        !status.ok())
      return status;
  return Status::success();
}
