// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tessera/Analysis/ReshardPlanner.h"

#include "ReshardSearch.h"
#include "tessera/Analysis/ValueStates.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace tessera {

/// True when cutting a dimension of `size` by `axes` and by their digits gives
/// every device the same part. Of an uneven size a cut into four is not two
/// cuts into two: docs/decisions/0005-uneven-sizes.md.
static bool hasSameParts(int64_t size, const std::vector<AxisRef> &axes,
                         const AxisDigits &digits, const Mesh &mesh) {
  for (const AxisRef &axis : axes) {
    std::vector<int64_t> parts;
    for (const AxisRef &digit : digits.split(std::vector{axis}))
      parts.push_back(digit.sizeOn(mesh));
    if (!isOneCut(size, parts))
      return false;
    int64_t k = axis.sizeOn(mesh);
    size = (size + k - 1) / k;
  }
  return true;
}

static bool hasSameParts(const Layout &layout,
                         const std::vector<int64_t> &shape,
                         const AxisDigits &digits, const Mesh &mesh) {
  for (size_t d = 0; d < layout.dims.size(); ++d)
    if (!hasSameParts(shape[d], layout.dims[d].axes, digits, mesh))
      return false;
  return true;
}

/// Digits of both layouts. Where the numberings of an axis differ, that of
/// `to`, and `from` loses what does not fit: those of its cuts, with all that
/// is minor to them, and those of its partial axes.
static AxisDigits commonDigits(Layout &from, const Layout &to,
                               const Mesh &mesh) {
  AxisDigits digits(mesh);
  for (const DimLayout &dim : to.dims)
    for (const AxisRef &axis : dim.axes)
      digits.add(axis);
  for (const AxisRef &axis : to.partial)
    digits.add(axis);
  auto isForeign = [&](const AxisRef &axis) { return !digits.add(axis); };
  for (DimLayout &dim : from.dims)
    dim.axes.erase(std::find_if(dim.axes.begin(), dim.axes.end(), isForeign),
                   dim.axes.end());
  from.partial.erase(
      std::remove_if(from.partial.begin(), from.partial.end(), isForeign),
      from.partial.end());
  return digits;
}

/// Drops the minor cuts of each dimension whose parts change when the axes are
/// seen as digits.
static void dropIndivisibleCuts(Layout &layout, const AxisDigits &digits,
                                const std::vector<int64_t> &shape,
                                const Mesh &mesh) {
  for (size_t d = 0; d < layout.dims.size(); ++d) {
    std::vector<AxisRef> &axes = layout.dims[d].axes;
    while (!hasSameParts(shape[d], axes, digits, mesh))
      axes.pop_back();
  }
}

/// Steps from `from` to `to`, which has the same axes but for some minor ones
/// of its dimensions and some partial ones. Each axis by itself, so that it
/// need not be made of digits; reductions first, while the parts are small.
static std::vector<ReshardStep> stepsDown(const Layout &from,
                                          const Layout &to) {
  std::vector<ReshardStep> steps;
  Layout at = from;
  for (const AxisRef &axis : from.partial) {
    if (std::find(to.partial.begin(), to.partial.end(), axis) !=
        to.partial.end())
      continue;
    ReshardStep step;
    step.kind = CollectiveKind::AllReduce;
    step.reduce = from.partialKind;
    step.axes = {axis};
    at.partial.erase(std::find(at.partial.begin(), at.partial.end(), axis));
    step.after = at;
    steps.push_back(std::move(step));
  }
  for (size_t d = 0; d < at.dims.size(); ++d)
    while (at.dims[d].axes.size() > to.dims[d].axes.size()) {
      ReshardStep step;
      step.kind = CollectiveKind::AllGather;
      step.dim = static_cast<int>(d);
      step.axes = {at.dims[d].axes.back()};
      at.dims[d].axes.pop_back();
      step.after = at;
      steps.push_back(std::move(step));
    }
  return steps;
}

/// Cuts along what `to` has beyond `from`, major axes first.
static std::vector<ReshardStep> stepsUp(const Layout &from, const Layout &to) {
  std::vector<ReshardStep> steps;
  Layout at = from;
  for (size_t d = 0; d < at.dims.size(); ++d)
    while (at.dims[d].axes.size() < to.dims[d].axes.size()) {
      ReshardStep step;
      step.kind = CollectiveKind::AllSlice;
      step.dim = static_cast<int>(d);
      step.axes = {to.dims[d].axes[at.dims[d].axes.size()]};
      at.dims[d].axes.push_back(step.axes[0]);
      step.after = at;
      steps.push_back(std::move(step));
    }
  return steps;
}

/// Prime digits, where the parts of both layouts stay the same: half of an axis
/// may move while the other half stays.
static bool refine(AxisDigits &digits, const Layout &from, const Layout &to,
                   const std::vector<int64_t> &shape, const Mesh &mesh) {
  bool isFiner = false;
  for (const MeshAxis &axis : mesh.axes) {
    AxisDigits finer = digits;
    if (finer.refineToPrimes(axis.name) &&
        hasSameParts(from, shape, finer, mesh) &&
        hasSameParts(to, shape, finer, mesh)) {
      digits = std::move(finer);
      isFiner = true;
    }
  }
  return isFiner;
}

namespace {
/// One question to the planner.
class Planner {
public:
  Planner(const Layout &from, const Layout &to,
          const std::vector<int64_t> &shape, int64_t bytesPerElement,
          const Mesh &mesh)
      : from(from.closed()), to(to.closed()), shape(shape),
        bytesPerElement(bytesPerElement), mesh(mesh), start(this->from),
        goal(this->to), digits(commonDigits(start, goal, mesh)) {
    // What cannot be seen in common digits is undone before the search and done
    // after it.
    dropIndivisibleCuts(start, digits, shape, mesh);
    dropIndivisibleCuts(goal, digits, shape, mesh);
    spaces.emplace_back(start, goal, digits, shape, bytesPerElement, mesh);
    if (refine(digits, start, goal, shape, mesh))
      spaces.emplace_back(start, goal, digits, shape, bytesPerElement, mesh);
  }

  ReshardPlan find(std::vector<ReshardPlan> *others) const;

private:
  ReshardPlan complete(ReshardPlan inner) const;

  Layout from, to;
  const std::vector<int64_t> &shape;
  int64_t bytesPerElement;
  const Mesh &mesh;
  Layout start, goal; ///< Of the search.
  AxisDigits digits;
  /// In few digits, where the search gets far, and in prime ones.
  std::vector<ReshardSpace> spaces;
};
} // namespace

/// `inner` between what is done before and after the search.
ReshardPlan Planner::complete(ReshardPlan inner) const {
  if (std::isinf(inner.nanoseconds))
    return inner;
  ReshardPlan plan;
  plan.isCut = inner.isCut;
  Layout before = from;
  auto append = [&](std::vector<ReshardStep> steps) {
    for (ReshardStep &step : steps) {
      priceStep(step, before, shape, bytesPerElement, mesh);
      before = step.after;
      plan.steps.push_back(std::move(step));
    }
  };
  append(stepsDown(from, start));
  plan.steps.insert(plan.steps.end(), inner.steps.begin(), inner.steps.end());
  before = goal;
  append(stepsUp(goal, to));
  for (const ReshardStep &step : plan.steps)
    plan.nanoseconds += step.nanoseconds;
  return plan;
}

static bool haveSameSteps(const ReshardPlan &a, const ReshardPlan &b) {
  auto isSame = [](const ReshardStep &x, const ReshardStep &y) {
    return x.kind == y.kind && x.dim == y.dim && x.splitDim == y.splitDim &&
           x.axes == y.axes && x.to == y.to;
  };
  return std::equal(a.steps.begin(), a.steps.end(), b.steps.begin(),
                    b.steps.end(), isSame);
}

ReshardPlan Planner::find(std::vector<ReshardPlan> *others) const {
  ReshardPlan chosen;
  std::vector<ReshardState> firsts(spaces.size());
  for (size_t i = 0; i < spaces.size(); ++i) {
    ReshardPlan plan = complete(searchPlan(spaces[i], &firsts[i]));
    bool isCut = plan.isCut;
    if (i == 0 || plan.nanoseconds < chosen.nanoseconds)
      chosen = std::move(plan);
    chosen.isCut = isCut;
  }
  if (!others || std::isinf(chosen.nanoseconds))
    return chosen;
  auto add = [&](ReshardPlan inner) {
    ReshardPlan plan = complete(std::move(inner));
    if (std::isinf(plan.nanoseconds) || haveSameSteps(plan, chosen))
      return;
    for (const ReshardPlan &other : *others)
      if (haveSameSteps(plan, other))
        return;
    others->push_back(std::move(plan));
  };
  add(searchPlan(spaces[0], nullptr, &firsts[0]));
  add(spaces[0].toPlan(spaces[0].gatherThenSlice()));
  std::sort(others->begin(), others->end(),
            [](const ReshardPlan &a, const ReshardPlan &b) {
              return a.nanoseconds < b.nanoseconds;
            });
  return chosen;
}

ReshardPlan planReshard(const Layout &from, const Layout &to,
                        const std::vector<int64_t> &shape,
                        int64_t bytesPerElement, const Mesh &mesh,
                        std::vector<ReshardPlan> *others) {
  if (from.sameSharding(to))
    return {};
  if (findLostVarying(from, to)) {
    ReshardPlan none;
    none.nanoseconds = std::numeric_limits<double>::infinity();
    return none;
  }
  return Planner(from, to, shape, bytesPerElement, mesh).find(others);
}

} // namespace tessera
