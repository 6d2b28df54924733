// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "ReshardSearch.h"

#include <algorithm>
#include <limits>
#include <queue>
#include <tuple>

namespace tessera {

void priceStep(ReshardStep &step, const Layout &before,
               const std::vector<int64_t> &shape, int64_t bytesPerElement,
               const Mesh &mesh) {
  // A slice sends nothing: it is priced by what it copies.
  bool isSlice = step.kind == CollectiveKind::AllSlice;
  int64_t bytes = bytesPerElement;
  for (int64_t size : (isSlice ? step.after : before).localShape(shape, mesh))
    bytes *= size;
  step.bytes = collectiveBytes(step.kind, step.axes, bytes, mesh);
  step.nanoseconds =
      collectiveCost(step.kind, step.axes, static_cast<double>(bytes), mesh);
}

namespace {

/// Dijkstra's algorithm over layouts; the moves are single digits.
class Search {
public:
  Search(const Layout &from, const Layout &to, const AxisDigits &digits,
         const std::vector<int64_t> &shape, int64_t bytesPerElement,
         const Mesh &mesh)
      : shape(shape), bytesPerElement(bytesPerElement), mesh(mesh),
        start(digits.split(from)), goal(digits.split(to)),
        allDigits(digits.all()) {}

  ReshardPlan run() {
    struct Entry {
      double cost;
      std::string key;
      bool operator>(const Entry &o) const {
        return std::tie(cost, key) > std::tie(o.cost, o.key);
      }
    };
    std::priority_queue<Entry, std::vector<Entry>, std::greater<>> queue;
    best[start.str()] = {0, start, "", {}};
    queue.push({0, start.str()});
    std::string goalKey = goal.str();
    while (!queue.empty()) {
      auto [cost, key] = queue.top();
      queue.pop();
      if (key == goalKey)
        break;
      if (cost > best[key].cost)
        continue;
      Layout at = best[key].layout;
      for (ReshardStep &step : moves(at)) {
        double total = cost + step.nanoseconds;
        std::string next = step.after.str();
        auto found = best.find(next);
        if (found != best.end() && found->second.cost <= total)
          continue;
        best[next] = {total, step.after, key, step};
        queue.push({total, next});
      }
    }
    ReshardPlan plan;
    if (!best.count(goalKey)) {
      plan.nanoseconds = std::numeric_limits<double>::infinity();
      return plan;
    }
    for (std::string key = goalKey; key != start.str();
         key = best[key].previous)
      plan.steps.push_back(best[key].step);
    std::reverse(plan.steps.begin(), plan.steps.end());
    mergeSteps(plan);
    return plan;
  }

private:
  struct Node {
    double cost = 0;
    Layout layout;
    std::string previous;
    ReshardStep step;
  };

  void price(ReshardStep &step, const Layout &before) const {
    priceStep(step, before, shape, bytesPerElement, mesh);
  }

  std::vector<ReshardStep> moves(const Layout &at) const {
    std::vector<ReshardStep> result;
    auto add = [&](ReshardStep step) {
      price(step, at);
      result.push_back(std::move(step));
    };
    for (const AxisRef &digit : at.partial) {
      ReshardStep reduce;
      reduce.kind = CollectiveKind::AllReduce;
      reduce.axes = {digit};
      reduce.reduce = at.partialKind;
      reduce.after = at;
      auto &partial = reduce.after.partial;
      partial.erase(std::find(partial.begin(), partial.end(), digit));
      add(reduce);
      for (size_t d = 0; d < at.dims.size(); ++d) {
        ReshardStep scatter = reduce;
        scatter.kind = CollectiveKind::ReduceScatter;
        scatter.dim = static_cast<int>(d);
        scatter.after.dims[d].axes.push_back(digit);
        add(scatter);
      }
    }
    for (size_t d = 0; d < at.dims.size(); ++d)
      addMovesOfDim(at, static_cast<int>(d), add);
    if (auto permute = permuteToGoal(at))
      add(*permute);
    return result;
  }

  template <typename Add>
  void addMovesOfDim(const Layout &at, int d, Add add) const {
    for (const AxisRef &digit : allDigits) {
      if (isUsed(at, digit))
        continue;
      ReshardStep slice;
      slice.kind = CollectiveKind::AllSlice;
      slice.axes = {digit};
      slice.dim = d;
      slice.after = at;
      slice.after.dims[d].axes.push_back(digit);
      add(slice);
    }
    if (at.dims[d].axes.empty())
      return;
    ReshardStep gather;
    gather.kind = CollectiveKind::AllGather;
    gather.axes = {at.dims[d].axes.back()};
    gather.dim = d;
    gather.after = at;
    gather.after.dims[d].axes.pop_back();
    add(gather);
    for (size_t to = 0; to < at.dims.size(); ++to) {
      if (static_cast<int>(to) == d)
        continue;
      ReshardStep move = gather;
      move.kind = CollectiveKind::AllToAll;
      move.splitDim = static_cast<int>(to);
      move.after.dims[to].axes.push_back(gather.axes[0]);
      add(move);
    }
  }

  /// Where the goal cuts every dimension into as many, equal parts as here and
  /// is partial alike, each device's part is some device's of the goal.
  std::optional<ReshardStep> permuteToGoal(const Layout &at) const {
    if (at.partial != goal.partial || at.str() == goal.str())
      return std::nullopt;
    for (size_t d = 0; d < at.dims.size(); ++d)
      if (at.partsOf(d, mesh) != goal.partsOf(d, mesh))
        return std::nullopt;
    if (!at.partial.empty() || at.isUneven(shape, mesh) ||
        goal.isUneven(shape, mesh))
      return std::nullopt;
    int64_t n = mesh.numDevices();
    auto partOf = [&](const Layout &layout, int64_t device) {
      std::vector<int64_t> begin;
      for (size_t d = 0; d < layout.dims.size(); ++d)
        begin.push_back(
            localInterval(shape[d], layout.dims[d].axes, mesh, device).begin);
      return begin;
    };
    // The k-th holder of a part sends to the k-th device that wants it.
    std::map<std::vector<int64_t>, std::vector<int64_t>> wants;
    for (int64_t device = 0; device < n; ++device)
      wants[partOf(goal, device)].push_back(device);
    std::map<std::vector<int64_t>, size_t> served;
    ReshardStep step;
    step.kind = CollectiveKind::Permute;
    for (int64_t device = 0; device < n; ++device) {
      std::vector<int64_t> part = partOf(at, device);
      std::vector<int64_t> &receivers = wants[part];
      size_t next = served[part]++;
      if (next >= receivers.size())
        return std::nullopt;
      step.targets.push_back(receivers[next]);
    }
    step.axes = allDigits;
    step.after = goal;
    return step;
  }

  bool isUsed(const Layout &layout, const AxisRef &digit) const {
    auto same = [&](const AxisRef &axis) { return axis.overlaps(digit, mesh); };
    for (const DimLayout &dim : layout.dims)
      if (std::any_of(dim.axes.begin(), dim.axes.end(), same))
        return true;
    return std::any_of(layout.partial.begin(), layout.partial.end(), same);
  }

  /// True when dimension `d`, if any, is cut into equal parts.
  bool divides(const Layout &layout, int d) const {
    return d < 0 || shape[d] % layout.partsOf(d, mesh) == 0;
  }

  /// One collective over several axes where neighbours do the same to the same
  /// dimension: gather minor then major is one gather over (major, minor).
  void mergeSteps(ReshardPlan &plan) const {
    std::vector<ReshardStep> merged;
    Layout before = start;
    for (ReshardStep &step : plan.steps) {
      if (!merged.empty()) {
        ReshardStep &last = merged.back();
        bool same = last.kind == step.kind && last.dim == step.dim;
        bool joins = same && (step.kind == CollectiveKind::AllGather ||
                              step.kind == CollectiveKind::AllSlice ||
                              step.kind == CollectiveKind::AllReduce ||
                              step.kind == CollectiveKind::ReduceScatter);
        // A cut of a cut is one cut only where the dimension divides.
        bool isEven = divides(before, step.dim) &&
                      divides(last.after, step.dim) &&
                      divides(step.after, step.dim);
        if (joins && isEven) {
          if (step.kind == CollectiveKind::AllGather)
            last.axes.insert(last.axes.begin(), step.axes.begin(),
                             step.axes.end());
          else
            last.axes.insert(last.axes.end(), step.axes.begin(),
                             step.axes.end());
          last.after = step.after;
          price(last, before);
          continue;
        }
        before = last.after;
      }
      merged.push_back(std::move(step));
    }
    plan.steps = std::move(merged);
    plan.nanoseconds = 0;
    for (ReshardStep &step : plan.steps) {
      step.axes = normalise(step.axes, mesh);
      plan.nanoseconds += step.nanoseconds;
    }
  }

  const std::vector<int64_t> &shape;
  int64_t bytesPerElement;
  const Mesh &mesh;
  Layout start, goal;
  std::vector<AxisRef> allDigits;
  std::map<std::string, Node> best;
};

} // namespace

ReshardPlan searchPlan(const Layout &from, const Layout &to,
                       const AxisDigits &digits,
                       const std::vector<int64_t> &shape,
                       int64_t bytesPerElement, const Mesh &mesh) {
  return Search(from, to, digits, shape, bytesPerElement, mesh).run();
}

} // namespace tessera
