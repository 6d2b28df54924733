// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tessera/Analysis/ReshardPlanner.h"

#include <algorithm>
#include <limits>
#include <map>
#include <queue>
#include <set>

namespace tessera {

const char *toString(CollectiveKind kind) {
  switch (kind) {
  case CollectiveKind::AllSlice:
    return "all_slice";
  case CollectiveKind::AllGather:
    return "all_gather";
  case CollectiveKind::AllReduce:
    return "all_reduce";
  case CollectiveKind::ReduceScatter:
    return "reduce_scatter";
  case CollectiveKind::AllToAll:
    return "all_to_all";
  case CollectiveKind::Permute:
    return "permute";
  }
  return "all_slice";
}

//===----------------------------------------------------------------------===//
// Costs
//===----------------------------------------------------------------------===//

LinkCost linkCost(LinkClass link) {
  switch (link) {
  case LinkClass::Shm:
    return {2000, 8};
  case LinkClass::NVLink:
    return {5000, 350};
  case LinkClass::PCIe:
    return {10000, 25};
  case LinkClass::IB:
    return {12000, 45};
  }
  return {2000, 8};
}

static int64_t groupSize(const std::vector<AxisRef> &axes, const Mesh &mesh) {
  int64_t size = 1;
  for (const AxisRef &axis : axes)
    size *= axis.sizeOn(mesh);
  return size;
}

int64_t collectiveBytes(CollectiveKind kind, const std::vector<AxisRef> &axes,
                        int64_t localBytes, const Mesh &mesh) {
  int64_t k = groupSize(axes, mesh);
  switch (kind) {
  case CollectiveKind::AllSlice:
    return 0;
  case CollectiveKind::AllGather:
    return localBytes * (k - 1);
  case CollectiveKind::AllReduce:
    return 2 * localBytes * (k - 1) / k;
  case CollectiveKind::ReduceScatter:
  case CollectiveKind::AllToAll:
    return localBytes * (k - 1) / k;
  case CollectiveKind::Permute:
    return localBytes;
  }
  return 0;
}

double collectiveCost(CollectiveKind kind, const std::vector<AxisRef> &axes,
                      double bytes, const Mesh &mesh) {
  // A local copy at memory speed; the constant keeps plans short.
  if (kind == CollectiveKind::AllSlice)
    return 200 + bytes / 20;
  LinkCost slowest = {0, 1e30};
  for (const AxisRef &axis : axes)
    if (const MeshAxis *meshAxis = mesh.find(axis.name)) {
      LinkCost cost = linkCost(meshAxis->link);
      slowest.latencyNs = std::max(slowest.latencyNs, cost.latencyNs);
      slowest.bytesPerNs = std::min(slowest.bytesPerNs, cost.bytesPerNs);
    }
  double sent = static_cast<double>(
      collectiveBytes(kind, axes, static_cast<int64_t>(bytes), mesh));
  double rounds = kind == CollectiveKind::AllReduce ? 2 : 1;
  return rounds * slowest.latencyNs + sent / slowest.bytesPerNs;
}

//===----------------------------------------------------------------------===//
// Search
//===----------------------------------------------------------------------===//

namespace {

/// Axes cut at every boundary that either layout knows, so that a state is a
/// list of whole digits.
class DigitTable {
public:
  DigitTable(const Layout &a, const Layout &b, const Mesh &mesh) : mesh(mesh) {
    for (const MeshAxis &axis : mesh.axes)
      cuts[axis.name] = {1, axis.size};
    for (const Layout *layout : {&a, &b}) {
      for (const DimLayout &dim : layout->dims)
        addAll(dim.axes);
      addAll(layout->partial);
    }
  }

  std::vector<AxisRef> split(const std::vector<AxisRef> &axes) const {
    std::vector<AxisRef> digits;
    for (const AxisRef &axis : axes) {
      int64_t begin = axis.pre, end = axis.pre * axis.sizeOn(mesh);
      const std::set<int64_t> &marks = cuts.at(axis.name);
      for (auto it = marks.lower_bound(begin);
           it != marks.end() && *it < end;) {
        int64_t low = *it;
        int64_t high = *++it;
        digits.push_back({axis.name, low, high / low});
      }
    }
    return digits;
  }

  Layout split(const Layout &layout) const {
    Layout result = layout.closed();
    for (DimLayout &dim : result.dims)
      dim.axes = split(dim.axes);
    result.partial = split(layout.partial);
    std::sort(result.partial.begin(), result.partial.end());
    result.varying.clear();
    return result;
  }

  std::vector<AxisRef> all() const {
    std::vector<AxisRef> digits;
    for (const MeshAxis &axis : mesh.axes) {
      std::vector<AxisRef> parts = split({AxisRef{axis.name, 1, 0}});
      for (const AxisRef &part : parts)
        if (part.sizeOn(mesh) > 1)
          digits.push_back(part);
    }
    return digits;
  }

private:
  void addAll(const std::vector<AxisRef> &axes) {
    for (const AxisRef &axis : axes) {
      cuts[axis.name].insert(axis.pre);
      cuts[axis.name].insert(axis.pre * axis.sizeOn(mesh));
    }
  }
  const Mesh &mesh;
  std::map<std::string, std::set<int64_t>> cuts;
};

class Planner {
public:
  Planner(const Layout &from, const Layout &to,
          const std::vector<int64_t> &shape, int64_t bytesPerElement,
          const Mesh &mesh)
      : shape(shape), bytesPerElement(bytesPerElement), mesh(mesh),
        digits(from, to, mesh), start(digits.split(from)),
        goal(digits.split(to)), allDigits(digits.all()) {}

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

  int64_t localBytes(const Layout &layout) const {
    int64_t bytes = bytesPerElement;
    for (int64_t size : layout.localShape(shape, mesh))
      bytes *= size;
    return bytes;
  }

  void price(ReshardStep &step, const Layout &before) const {
    int64_t bytes = localBytes(before);
    if (step.kind == CollectiveKind::AllSlice)
      bytes = localBytes(step.after);
    step.bytes = collectiveBytes(step.kind, step.axes, bytes, mesh);
    step.nanoseconds = collectiveCost(step.kind, step.axes, bytes, mesh);
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

  /// One collective over several axes where neighbours do the same to the same
  /// dimension: gather minor then major is one gather over (major, minor).
  void mergeSteps(ReshardPlan &plan) const {
    std::vector<ReshardStep> merged;
    Layout before = start;
    for (ReshardStep &step : plan.steps) {
      if (!merged.empty()) {
        ReshardStep &last = merged.back();
        bool same = last.kind == step.kind && last.dim == step.dim &&
                    last.reduce == step.reduce;
        bool joins = same && (step.kind == CollectiveKind::AllGather ||
                              step.kind == CollectiveKind::AllSlice ||
                              step.kind == CollectiveKind::AllReduce ||
                              step.kind == CollectiveKind::ReduceScatter);
        // A cut of a cut is one cut only where sizes divide.
        bool isEven = !last.after.isUneven(shape, mesh) &&
                      !step.after.isUneven(shape, mesh) &&
                      !before.isUneven(shape, mesh);
        if (joins && (isEven || step.kind == CollectiveKind::AllReduce)) {
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
  DigitTable digits;
  Layout start, goal;
  std::vector<AxisRef> allDigits;
  std::map<std::string, Node> best;
};

} // namespace

/// True when cutting dimension `dim` by the axes of `a` and of `b` gives every
/// device the same part.
static bool hasSameParts(int64_t size, const std::vector<AxisRef> &a,
                         const std::vector<AxisRef> &b, const Mesh &mesh) {
  for (int64_t device = 0; device < mesh.numDevices(); ++device) {
    DimInterval left = localInterval(size, a, mesh, device);
    DimInterval right = localInterval(size, b, mesh, device);
    if (left.valid != right.valid || left.local != right.local ||
        (left.valid > 0 && left.begin != right.begin))
      return false;
  }
  return true;
}

/// `layout` without the cuts of dimensions whose parts change when their axes
/// are seen as digits: of an uneven size, a cut into four is not two cuts into
/// two.
static Layout withoutIndivisibleCuts(const Layout &layout,
                                     const DigitTable &digits,
                                     const std::vector<int64_t> &shape,
                                     const Mesh &mesh) {
  Layout result = layout;
  for (size_t d = 0; d < layout.dims.size(); ++d) {
    std::vector<AxisRef> &axes = result.dims[d].axes;
    if (!hasSameParts(shape[d], axes, digits.split(axes), mesh))
      axes.clear();
  }
  return result;
}

/// Steps that gather (or in reverse, cut) what `whole` lacks of `cut`, each
/// axis by itself; `cut` first, minor axes before major ones.
static void addWholeAxisSteps(ReshardPlan &plan, CollectiveKind kind,
                              const Layout &cut, const Layout &whole,
                              const std::vector<int64_t> &shape,
                              int64_t bytesPerElement, const Mesh &mesh) {
  std::vector<Layout> states = {cut};
  std::vector<std::pair<int, AxisRef>> moves;
  for (size_t d = 0; d < cut.dims.size(); ++d)
    while (states.back().dims[d].axes.size() > whole.dims[d].axes.size()) {
      Layout next = states.back();
      moves.emplace_back(static_cast<int>(d), next.dims[d].axes.back());
      next.dims[d].axes.pop_back();
      states.push_back(next);
    }
  if (kind == CollectiveKind::AllSlice) {
    std::reverse(states.begin(), states.end());
    std::reverse(moves.begin(), moves.end());
  }
  for (size_t i = 0; i < moves.size(); ++i) {
    ReshardStep step;
    step.kind = kind;
    step.dim = moves[i].first;
    step.axes = {moves[i].second};
    step.after = states[i + 1];
    // A gather is priced by its input, a slice by its result.
    const Layout &priced =
        kind == CollectiveKind::AllSlice ? states[i + 1] : states[i];
    int64_t bytes = bytesPerElement;
    for (int64_t size : priced.localShape(shape, mesh))
      bytes *= size;
    step.bytes = collectiveBytes(kind, step.axes, bytes, mesh);
    step.nanoseconds = collectiveCost(kind, step.axes, double(bytes), mesh);
    plan.nanoseconds += step.nanoseconds;
    plan.steps.push_back(std::move(step));
  }
}

ReshardPlan planReshard(const Layout &from, const Layout &to,
                        const std::vector<int64_t> &shape,
                        int64_t bytesPerElement, const Mesh &mesh) {
  if (from.sameSharding(to))
    return {};
  DigitTable digits(from, to, mesh);
  Layout start = withoutIndivisibleCuts(from.closed(), digits, shape, mesh);
  Layout goal = withoutIndivisibleCuts(to.closed(), digits, shape, mesh);
  ReshardPlan plan;
  addWholeAxisSteps(plan, CollectiveKind::AllGather, from.closed(), start,
                    shape, bytesPerElement, mesh);
  ReshardPlan inner = Planner(start, goal, shape, bytesPerElement, mesh).run();
  if (inner.nanoseconds == std::numeric_limits<double>::infinity())
    return inner;
  plan.nanoseconds += inner.nanoseconds;
  plan.steps.insert(plan.steps.end(), inner.steps.begin(), inner.steps.end());
  addWholeAxisSteps(plan, CollectiveKind::AllSlice, to.closed(), goal, shape,
                    bytesPerElement, mesh);
  return plan;
}

} // namespace tessera
