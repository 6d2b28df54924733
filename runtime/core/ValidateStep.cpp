// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// What a plan does: each of its steps.
#include "PlanChecks.h"

#include "tessera/ABI/Format.h"

#include <map>

using namespace tessera;
using namespace tessera::rt;
using namespace tessera::abi;

static Status checkOperands(const StepContext &context, const Step &step) {
  std::optional<std::vector<std::string>> parts = splitFormat(step.format);
  if (!parts)
    return Status::error("has a single brace in its format");
  size_t placeholders = parts->size() - 1;
  size_t printed = step.operands.size();
  if (step.kind == StepKind::Check) {
    if (step.operands.empty() || step.operands[0].dtype != DType::I1)
      return Status::error("checks no booleans");
    --printed;
  }
  if (placeholders != printed)
    return Status::error("has " + str(placeholders) + " places for " +
                         str(printed) + " operands");
  for (const Tensor &tensor : step.operands) {
    if (Status form = checkTensorForm(tensor, context.plan.numDevices());
        !form.ok())
      return Status::error("has an operand that " + form.message());
    for (const std::vector<Digit> &digits : tensor.splits)
      if (haveCommonPlace(digits, context.plan.programs[0].digits))
        return Status::error("has an operand of which devices of other "
                             "programs hold parts");
    if (Status use = context.memory.checkUse(tensor.buffer, context.block);
        !use.ok())
      return use;
    if (context.plan.buffers[tensor.buffer].bytes !=
        bytesOf(tensor.localShape, tensor.dtype))
      return Status::error("has an operand of another size than its buffer");
  }
  return check(step.buffers.empty(), "has buffers beside its operands");
}

static Status checkDeviceValue(const StepContext &context, const Step &step) {
  const Plan &plan = context.plan;
  if (step.query > DeviceQuery::ValidExtent)
    return Status::error("asks an unknown question");
  if (!areIndependent(step.digits, plan.numDevices()))
    return Status::error("has digits that device numbers do not have");
  if (step.size < 0 || step.size > INT32_MAX)
    return Status::error("is about a size that is not an i32");
  return check(plan.buffers[step.buffers[0]].bytes == 4,
               "does not give every device one i32");
}

/// How many buffers the step has, and the first of those that it writes.
static Status checkCounts(const StepContext &context, const Step &step,
                          size_t &firstWritten) {
  size_t count = step.buffers.size(), expected = 0;
  switch (step.kind) {
  case StepKind::Launch:
    if (!isIndexOf(context.plan.kernels, step.kernel))
      return Status::error("launches an unknown kernel");
    firstWritten = context.plan.kernels[step.kernel].numInputs;
    return check(firstWritten <= count,
                 "has fewer buffers than its kernel has inputs");
  case StepKind::Fill:
  case StepKind::DeviceValue:
    firstWritten = 0;
    expected = 1;
    break;
  case StepKind::Loop: // The index is optional.
    firstWritten = 0;
    expected = std::min<size_t>(count, 1);
    break;
  case StepKind::While:
  case StepKind::If:
    firstWritten = expected = 1;
    break;
  case StepKind::Await:
  case StepKind::Print:
  case StepKind::Check:
    break;
  default:
    firstWritten = 1;
    expected = 2;
    break;
  }
  return check(count == expected,
               "has " + str(count) + " buffers, expected " + str(expected));
}

Status tessera::rt::checkStep(const StepContext &context, const Step &step) {
  const Plan &plan = context.plan;
  if (step.kind > StepKind::Check)
    return Status::error("has unknown kind " +
                         str(static_cast<int>(step.kind)));
  for (int32_t buffer : step.buffers)
    if (Status use = context.memory.checkUse(buffer, context.block); !use.ok())
      return use;
  size_t firstWritten = 0;
  if (Status counts = checkCounts(context, step, firstWritten); !counts.ok())
    return counts;
  for (size_t i = firstWritten; i < step.buffers.size(); ++i)
    if (!context.memory.isWritable(step.buffers[i]))
      return Status::error("writes a constant, or an input that is not "
                           "donated");
  if (step.stream < 0 || step.stream >= maxStreams || step.token < 0)
    return Status::error("has stream " + str(step.stream) + " and token " +
                         str(step.token) + "; streams are 0 to " +
                         str(maxStreams - 1) + ", tokens 0 or more");

  switch (step.kind) {
  case StepKind::Launch:
  case StepKind::Await:
    return Status::success();
  case StepKind::Copy:
    return check(plan.buffers[step.buffers[1]].bytes ==
                     plan.buffers[step.buffers[0]].bytes,
                 "copies between buffers of different size");
  case StepKind::Fill:
    return check(
        !step.pattern.empty() &&
            plan.buffers[step.buffers[0]].bytes % step.pattern.size() == 0,
        "fills a buffer whose size is not a multiple of the pattern's");
  case StepKind::DeviceValue:
    return checkDeviceValue(context, step);
  case StepKind::Loop:
  case StepKind::While:
  case StepKind::If:
    return checkRegions(context, step);
  case StepKind::Print:
  case StepKind::Check:
    return checkOperands(context, step);
  default:
    return checkCollective(context, step);
  }
}

/// The buffers that a step and those in its blocks read, and that they write.
static void addAccesses(const StepContext &context, const Step &step,
                        std::vector<int32_t> &reads,
                        std::vector<int32_t> &writes) {
  size_t firstWritten = 0;
  // The steps of a region are checked before the block around it: see
  // checkStep.
  if (!step.isRegion() && !checkCounts(context, step, firstWritten).ok())
    return;
  reads.insert(reads.end(), step.buffers.begin(),
               step.buffers.begin() + firstWritten);
  writes.insert(writes.end(), step.buffers.begin() + firstWritten,
                step.buffers.end());
  for (const Tensor &tensor : step.operands)
    reads.push_back(tensor.buffer);
  for (const Carry &carry : step.carries)
    writes.insert(writes.end(), {carry.current, carry.next});
  for (int32_t block : step.blocks)
    for (const Step &inner : context.plan.blocks[block].steps)
      addAccesses(context, inner, reads, writes);
}

Status tessera::rt::checkTokens(const StepContext &context,
                                const Block &block) {
  struct Accesses {
    std::vector<int32_t> reads, writes;
  };
  // What steps that may be running access, by their tokens.
  std::map<int32_t, Accesses> running;
  auto meet = [&](const std::vector<int32_t> &first,
                  const std::vector<int32_t> &second) {
    for (int32_t a : first)
      for (int32_t b : second)
        if (context.memory.overlap(a, b))
          return true;
    return false;
  };
  for (size_t i = 0; i < block.steps.size(); ++i) {
    const Step &step = block.steps[i];
    auto fail = [&](const std::string &message) {
      return Status::error(
          describeStep(context.plan, context.tree, context.block, i) + " " +
          message);
    };
    if (step.kind == StepKind::Await) {
      if (!running.erase(step.token))
        return fail("waits for token " + str(step.token) +
                    ", which no step before it in its block has");
      continue;
    }
    bool mayRunOn = step.kind == StepKind::Launch ||
                    step.kind == StepKind::Copy || step.isCollective();
    if (step.token > 0 && !mayRunOn)
      return fail("has a token; launches, copies and collectives may");
    if (running.empty() && step.token == 0)
      continue;
    Accesses own;
    addAccesses(context, step, own.reads, own.writes);
    for (const auto &[token, other] : running) {
      if (meet(own.reads, other.writes) || meet(own.writes, other.writes))
        return fail("uses what the step of token " + str(token) +
                    " writes before it is waited for");
      if (meet(own.writes, other.reads))
        return fail("writes what the step of token " + str(token) +
                    " reads before it is waited for");
    }
    if (step.token > 0 && !running.emplace(step.token, std::move(own)).second)
      return fail("has the token of a step that is not waited for");
  }
  if (running.empty())
    return Status::success();
  return Status::error("block " + str(context.block) + " ends before token " +
                       str(running.begin()->first) + " is waited for");
}

int64_t tessera::rt::bytesOf(const std::vector<int64_t> &shape, DType dtype) {
  // Empty dimensions do not excuse absurd ones: strides leave them out.
  int64_t bytes = sizeOf(dtype);
  bool isEmpty = false;
  for (int64_t size : shape) {
    if (size < 0 || (size > 0 && bytes > maxBytes / size))
      return -1;
    isEmpty |= size == 0;
    bytes *= std::max<int64_t>(size, 1);
  }
  return isEmpty ? 0 : bytes;
}
