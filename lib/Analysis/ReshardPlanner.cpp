// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tessera/Analysis/ReshardPlanner.h"

#include "ReshardSearch.h"

#include <algorithm>
#include <cmath>

namespace tessera {

/// True when cutting a dimension of `size` by `a` and by `b` gives every device
/// the same part. Of an uneven size a cut into four is not two cuts into two:
/// docs/decisions/0005-uneven-sizes.md. Parts follow each other in the order of
/// the devices' digits, so those of equal sizes begin at equal places.
static bool hasSameParts(int64_t size, const std::vector<AxisRef> &a,
                         const std::vector<AxisRef> &b, const Mesh &mesh) {
  for (int64_t device = 0; device < mesh.numDevices(); ++device) {
    DimInterval left = localInterval(size, a, mesh, device);
    DimInterval right = localInterval(size, b, mesh, device);
    if (left.valid != right.valid || left.local != right.local)
      return false;
  }
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
    while (!hasSameParts(shape[d], axes, digits.split(axes), mesh))
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

ReshardPlan planReshard(const Layout &from, const Layout &to,
                        const std::vector<int64_t> &shape,
                        int64_t bytesPerElement, const Mesh &mesh) {
  if (from.sameSharding(to))
    return {};
  // What cannot be seen in common digits is undone before the search and done
  // after it.
  Layout start = from.closed(), goal = to.closed();
  AxisDigits digits = commonDigits(start, goal, mesh);
  dropIndivisibleCuts(start, digits, shape, mesh);
  dropIndivisibleCuts(goal, digits, shape, mesh);

  ReshardPlan plan;
  Layout before = from;
  auto append = [&](std::vector<ReshardStep> steps) {
    for (ReshardStep &step : steps) {
      priceStep(step, before, shape, bytesPerElement, mesh);
      plan.nanoseconds += step.nanoseconds;
      before = step.after;
      plan.steps.push_back(std::move(step));
    }
  };
  append(stepsDown(from.closed(), start));
  ReshardPlan inner =
      searchPlan(start, goal, digits, shape, bytesPerElement, mesh);
  if (std::isinf(inner.nanoseconds))
    return inner;
  plan.nanoseconds += inner.nanoseconds;
  plan.steps.insert(plan.steps.end(), inner.steps.begin(), inner.steps.end());
  before = goal;
  append(stepsUp(goal, to.closed()));
  return plan;
}

} // namespace tessera
