// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tessera/Analysis/FactorAssignment.h"

#include <algorithm>
#include <tuple>

namespace tessera {

using AxisList = std::vector<AxisRef>;
using FactorAxes = std::map<int, AxisList>;

std::optional<FactorAxes> factorAxes(const FactorRule &rule,
                                     const TensorFactors &dims,
                                     const Layout &layout, const Mesh &mesh) {
  FactorAxes result;
  for (size_t d = 0; d < dims.size(); ++d) {
    const AxisList &axes = layout.dims[d].axes;
    if (dims[d].empty())
      continue;
    if (dims[d].size() == 1) {
      result[dims[d][0]] = axes;
      continue;
    }
    // Several factors: fill them in turn, each completely before the next.
    size_t position = 0, next = 0;
    int64_t left = rule.factors[dims[d][0]].size;
    for (int factor : dims[d])
      result[factor];
    while (next < axes.size()) {
      while (left == 1 && position + 1 < dims[d].size())
        left = rule.factors[dims[d][++position]].size;
      int64_t size = axes[next].sizeOn(mesh);
      if (left % size != 0)
        return std::nullopt;
      result[dims[d][position]].push_back(axes[next++]);
      left /= size;
    }
  }
  return result;
}

bool FactorAxesView::seeSingleFactors(const TensorFactors &dims,
                                      const Layout &layout) {
  for (size_t d = 0; d < dims.size(); ++d) {
    if (dims[d].empty())
      continue;
    int factor = dims[d][0];
    auto place = std::lower_bound(
        seen.begin(), seen.end(), factor,
        [](const Entry &entry, int f) { return entry.factor < f; });
    // A factor that two dimensions have is dealt to in turn.
    if (dims[d].size() > 1 || (place != seen.end() && place->factor == factor))
      return false;
    seen.insert(place, {factor, &layout.dims[d].axes});
  }
  return true;
}

bool FactorAxesView::see(const FactorRule &rule, const TensorFactors &dims,
                         const Layout &layout, const Mesh &mesh) {
  seen.clear();
  if (seeSingleFactors(dims, layout))
    return true;
  seen.clear();
  std::optional<FactorAxes> dealt = factorAxes(rule, dims, layout, mesh);
  if (!dealt)
    return false;
  owned = std::move(*dealt);
  for (const auto &[factor, axes] : owned)
    seen.push_back({factor, &axes});
  return true;
}

const AxisList &FactorAxesView::axesOf(int factor) const {
  return *std::find_if(seen.begin(), seen.end(), [&](const Entry &entry) {
            return entry.factor == factor;
          })->axes;
}

/// Cuts `axes` down to what the dimension `factors` can hold; returns whether
/// that took something away.
static bool cutToDimension(const FactorRule &rule, const DimFactors &factors,
                           FactorAssignment &axes, const Mesh &mesh) {
  bool changed = false, isOpen = true;
  for (int factor : factors) {
    int64_t parts = 1;
    size_t keep = 0;
    while (isOpen && keep < axes[factor].size()) {
      int64_t size = axes[factor][keep].sizeOn(mesh);
      if (rule.factors[factor].size % (parts * size) != 0)
        break;
      parts *= size;
      ++keep;
    }
    changed |= keep != axes[factor].size();
    axes[factor].resize(keep);
    isOpen = isOpen && parts == rule.factors[factor].size;
  }
  return changed;
}

/// In a dimension of several factors a minor one can be split only where the
/// major ones are split completely, and splits must divide.
static void dropUnrepresentable(const FactorRule &rule, FactorAssignment &axes,
                                const Mesh &mesh) {
  // A factor that loses axes may close the dimensions it is major in.
  bool changed = true;
  auto visit = [&](const TensorFactors &dims) {
    for (const DimFactors &factors : dims)
      if (factors.size() > 1)
        changed |= cutToDimension(rule, factors, axes, mesh);
  };
  while (changed) {
    changed = false;
    for (const TensorFactors &dims : rule.operands)
      visit(dims);
    for (const TensorFactors &dims : rule.results)
      visit(dims);
  }
}

namespace {
/// Axes that some tensors have for a factor.
struct Choice {
  int factor;
  const AxisList *axes;
  double weight; ///< Bytes of these tensors.

  bool operator<(const Choice &o) const {
    return std::tie(o.weight, factor, *axes) <
           std::tie(weight, o.factor, *o.axes);
  }
};
} // namespace

static void addWeight(std::vector<Choice> &choices, const Choice &added) {
  for (Choice &choice : choices)
    if (choice.factor == added.factor && *choice.axes == *added.axes) {
      choice.weight += added.weight;
      return;
    }
  choices.push_back(added);
}

FactorAssignment assignFactors(const FactorRule &rule,
                               const std::vector<FactorVote> &votes,
                               const Mesh &mesh,
                               const std::vector<AxisRef> &excluded) {
  // Few: an op has few tensors, and they mostly agree.
  std::vector<Choice> choices;
  std::vector<FactorAxesView> views(votes.size());
  for (size_t v = 0; v < votes.size(); ++v)
    if (views[v].see(rule, *votes[v].dims, *votes[v].layout, mesh))
      for (auto [factor, axes] : views[v].entries())
        if (!axes->empty())
          addWeight(choices, {factor, axes, votes[v].bytes});
  std::sort(choices.begin(), choices.end());
  FactorAssignment result(rule.factors.size());
  AxisList taken = excluded;
  auto isTaken = [&](const AxisRef &axis) {
    return std::any_of(taken.begin(), taken.end(), [&](const AxisRef &other) {
      return other.overlaps(axis, mesh);
    });
  };
  for (auto [factor, axes, weight] : choices) {
    if (!result[factor].empty() ||
        rule.factors[factor].kind == FactorKind::Replicate)
      continue;
    for (const AxisRef &axis : *axes) {
      if (isTaken(axis))
        break;
      result[factor].push_back(axis);
      taken.push_back(axis);
    }
  }
  dropUnrepresentable(rule, result, mesh);
  return result;
}

Layout layoutUnder(const FactorAssignment &axes, const TensorFactors &dims,
                   const Mesh &mesh) {
  Layout layout = Layout::replicated(mesh.name, dims.size());
  for (size_t d = 0; d < dims.size(); ++d)
    for (int factor : dims[d])
      layout.dims[d].axes.insert(layout.dims[d].axes.end(),
                                 axes[factor].begin(), axes[factor].end());
  return layout;
}

} // namespace tessera
