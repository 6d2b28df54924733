// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "ReshardSearch.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <queue>
#include <tuple>
#include <unordered_map>

namespace tessera {

/// Moves that the search looks at before it gives up: a few ms.
static constexpr int maxMoves = 2500;
/// States that the beam search keeps of each number of steps, and those steps.
static constexpr size_t beamWidth = 6;
static constexpr int maxBeamSteps = 16;
static constexpr int maxGreedySteps = 64;

static constexpr double infinity = std::numeric_limits<double>::infinity();

namespace {

class Search {
public:
  Search(const ReshardSpace &space, const ReshardState *avoid)
      : space(space), avoid(avoid) {}

  ReshardPlan run();

  ReshardState first; ///< After the first move of the plan.

private:
  struct Node {
    double cost = 0;
    int previous = -1;
    ReshardMove move; ///< That led here.
  };
  /// States on paths from the start, by the least cost known to reach them.
  struct Tree {
    explicit Tree(const ReshardState &start) : nodes(1), reached{{start, 0}} {
      nodes[0].move.after = start;
    }
    std::vector<Node> nodes;
    std::unordered_map<ReshardState, double> reached;
  };
  /// A node, and the least cost of a plan through it.
  struct Entry {
    double estimate;
    int node;
    bool operator>(const Entry &o) const {
      return std::tie(estimate, node) > std::tie(o.estimate, o.node);
    }
  };

  void consider(const std::vector<ReshardMove> &moves);
  void searchGreedily();
  void searchBeam();
  bool searchAll();
  std::optional<Entry> extend(Tree &tree, int from, ReshardMove move) const;
  bool isAvoided(const ReshardState &from, const ReshardState &to) const {
    return avoid && from == space.start() && to == *avoid;
  }
  std::vector<ReshardMove> movesTo(const std::vector<Node> &nodes, int index);

  const ReshardSpace &space;
  const ReshardState *avoid;
  ReshardPlan best;
};

} // namespace

void Search::consider(const std::vector<ReshardMove> &moves) {
  if (moves.empty() || isAvoided(space.start(), moves.front().after))
    return;
  ReshardPlan plan = space.toPlan(moves);
  if (plan.nanoseconds < best.nanoseconds) {
    best = std::move(plan);
    first = moves.front().after;
  }
}

std::vector<ReshardMove> Search::movesTo(const std::vector<Node> &nodes,
                                         int index) {
  std::vector<ReshardMove> moves;
  for (; nodes[index].previous >= 0; index = nodes[index].previous)
    moves.push_back(nodes[index].move);
  std::reverse(moves.begin(), moves.end());
  return moves;
}

/// One move after the other: cuts, reductions and exchanges until each
/// dimension has the number of parts that it has in the goal, then the permute
/// that brings them to their devices. Gathers where no other move applies.
void Search::searchGreedily() {
  std::vector<ReshardMove> moves;
  ReshardState at = space.start();
  auto urgency = [&](const ReshardMove &move) {
    if (move.after == space.goal())
      return 0;
    switch (move.kind) {
    case CollectiveKind::AllSlice:
      return 1;
    case CollectiveKind::ReduceScatter:
      return space.fitsGoal(move.after, move.dim) ? 2 : 9;
    case CollectiveKind::AllReduce:
      return 3;
    case CollectiveKind::AllToAll:
      return !space.fitsGoal(at, move.dim) &&
                     space.fitsGoal(move.after, move.splitDim)
                 ? 4
                 : 9;
    case CollectiveKind::AllGather:
      return !space.fitsGoal(at, move.dim) && move.digits.size() == 1 ? 5 : 9;
    case CollectiveKind::Permute:
      return 9;
    }
    return 9;
  };
  for (int step = 0; step < maxGreedySteps && at != space.goal(); ++step) {
    std::pair<int, double> least = {9, 0};
    ReshardMove next;
    space.forEachMove(at, [&](ReshardMove move) {
      std::pair<int, double> rank = {urgency(move), move.nanoseconds};
      if (isAvoided(at, move.after) || rank >= least)
        return;
      least = rank;
      next = std::move(move);
    });
    if (least.first == 9)
      return;
    at = next.after;
    moves.push_back(std::move(next));
  }
  if (at == space.goal())
    consider(moves);
}

/// Adds the node that `move` leads to, unless no plan through it is better than
/// the best one, or its state was reached at no higher cost.
std::optional<Search::Entry> Search::extend(Tree &tree, int from,
                                            ReshardMove move) const {
  double total = tree.nodes[from].cost + move.nanoseconds;
  double estimate = total + space.lowerBound(move.after);
  if (estimate >= best.nanoseconds ||
      isAvoided(tree.nodes[from].move.after, move.after))
    return std::nullopt;
  auto [known, isNew] = tree.reached.try_emplace(move.after, total);
  if (!isNew && known->second <= total)
    return std::nullopt;
  known->second = total;
  tree.nodes.push_back({total, from, std::move(move)});
  return Entry{estimate, static_cast<int>(tree.nodes.size()) - 1};
}

/// A quick way to a good plan, whose cost lets the whole search leave out what
/// cannot be better.
void Search::searchBeam() {
  Tree tree(space.start());
  std::vector<int> beam = {0};
  for (int step = 0; step < maxBeamSteps && !beam.empty(); ++step) {
    std::vector<std::pair<double, int>> next;
    for (int index : beam) {
      ReshardState at = tree.nodes[index].move.after;
      space.forEachMove(at, [&](ReshardMove move) {
        std::optional<Entry> entry = extend(tree, index, std::move(move));
        if (!entry)
          return;
        const Node &node = tree.nodes[entry->node];
        if (node.move.after == space.goal())
          consider(movesTo(tree.nodes, entry->node));
        else
          next.emplace_back(node.cost + space.estimate(node.move.after),
                            entry->node);
      });
    }
    std::sort(next.begin(), next.end());
    beam.clear();
    for (size_t i = 0; i < next.size() && beam.size() < beamWidth; ++i)
      beam.push_back(next[i].second);
  }
}

/// A*: the first time that the goal is taken out of the queue, its plan is the
/// cheapest. False when the bound was met before.
bool Search::searchAll() {
  std::priority_queue<Entry, std::vector<Entry>, std::greater<>> queue;
  Tree tree(space.start());
  queue.push({0, 0});
  int looked = 0;
  while (!queue.empty()) {
    int index = queue.top().node;
    queue.pop();
    ReshardState at = tree.nodes[index].move.after;
    if (tree.nodes[index].cost > tree.reached[at])
      continue;
    if (at == space.goal()) {
      consider(movesTo(tree.nodes, index));
      return true;
    }
    if (looked > maxMoves)
      return false;
    space.forEachMove(at, [&](ReshardMove move) {
      ++looked;
      if (std::optional<Entry> entry = extend(tree, index, std::move(move)))
        queue.push(*entry);
    });
  }
  return true;
}

ReshardPlan Search::run() {
  if (space.start() == space.goal())
    return {};
  best.nanoseconds = infinity;
  if (!space.hasPlan())
    return best;
  consider(space.gatherThenSlice());
  searchGreedily();
  searchBeam();
  best.isCut = !searchAll();
  return best;
}

ReshardPlan searchPlan(const ReshardSpace &space, ReshardState *first,
                       const ReshardState *avoid) {
  Search search(space, avoid);
  ReshardPlan plan = search.run();
  if (first)
    *first = search.first;
  return plan;
}

} // namespace tessera
