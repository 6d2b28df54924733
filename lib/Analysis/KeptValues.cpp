// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tessera/Analysis/KeptValues.h"

#include "MinimumCut.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace tessera {

static constexpr double infinity = std::numeric_limits<double>::infinity();

/// What follows from keeping those of `isWanted` that are needed, and computing
/// again all else that can be.
static KeepingChoice evaluate(const KeepingProblem &problem,
                              const std::vector<bool> &isWanted) {
  KeepingChoice choice;
  choice.isKept.assign(problem.values.size(), false);
  choice.isRecomputed.assign(problem.values.size(), false);
  std::vector<int> worklist = problem.needed;
  while (!worklist.empty()) {
    int number = worklist.back();
    worklist.pop_back();
    if (choice.isKept[number] || choice.isRecomputed[number])
      continue;
    const KeepableValue &value = problem.values[number];
    if (value.canKeep && (isWanted[number] || !value.canRecompute)) {
      choice.isKept[number] = true;
      choice.bytes += value.bytes;
      continue;
    }
    choice.isRecomputed[number] = true;
    choice.work += value.work;
    worklist.insert(worklist.end(), value.operands.begin(),
                    value.operands.end());
  }
  return choice;
}

/// The choice of least cost, where a byte costs `price` and work costs itself,
/// or nothing.
static KeepingChoice cheapest(const KeepingProblem &problem, double price,
                              bool isWorkFree = false) {
  // Of a value, node 2v is with the source where it is needed, node 2v + 1
  // where it is computed again.
  int count = static_cast<int>(problem.values.size());
  int source = 2 * count, sink = source + 1;
  MinimumCut graph(2 * count + 2);
  for (int number : problem.needed)
    graph.addEdge(source, 2 * number, infinity);
  for (int v = 0; v < count; ++v) {
    const KeepableValue &value = problem.values[v];
    double bytes = static_cast<double>(value.bytes);
    graph.addEdge(2 * v, 2 * v + 1, value.canKeep ? price * bytes : infinity);
    if (!value.canRecompute) {
      graph.addEdge(2 * v + 1, sink, infinity);
      continue;
    }
    graph.addEdge(2 * v + 1, sink, isWorkFree ? 0 : value.work);
    for (int operand : value.operands)
      graph.addEdge(2 * v + 1, 2 * operand, infinity);
  }
  std::vector<bool> isWithSource = graph.separate(source, sink);
  std::vector<bool> isKept(count);
  for (int v = 0; v < count; ++v)
    isKept[v] = isWithSource[2 * v] && !isWithSource[2 * v + 1];
  return evaluate(problem, isKept);
}

KeepingChoice keepLeast(const KeepingProblem &problem) {
  return cheapest(problem, 1, /*isWorkFree=*/true);
}

namespace {
/// Searches by prices, then by decisions about single values.
class KeepingSearch {
public:
  KeepingSearch(KeepingProblem problem, int64_t budget, int maxBranches)
      : problem(std::move(problem)), budget(budget), branches(maxBranches) {}

  std::optional<KeepingChoice> run() {
    search();
    if (best && branches < 0)
      fill();
    return best;
  }

private:
  bool isBetter(const KeepingChoice &choice) const {
    if (choice.bytes > budget)
      return false;
    return !best || choice.work < best->work ||
           (choice.work == best->work && choice.bytes < best->bytes);
  }
  void offer(const KeepingChoice &choice) {
    if (isBetter(choice))
      best = choice;
  }
  double tolerance() const { return best ? 1e-9 * (1 + best->work) : 0; }

  void search();
  void decide(int value, bool isKept);
  void fill();

  KeepingProblem problem; ///< With the decisions that were made.
  int64_t budget;
  int branches; ///< That may still be looked at.
  std::optional<KeepingChoice> best;
};
} // namespace

void KeepingSearch::search() {
  KeepingChoice fits = keepLeast(problem);
  if (fits.bytes > budget)
    return;
  offer(fits);
  KeepingChoice exceeds = cheapest(problem, 0);
  offer(exceeds);
  if (exceeds.bytes <= budget)
    return;
  // No choice is below the line through both, once no price finds one.
  while (exceeds.work < fits.work) {
    double price = (fits.work - exceeds.work) /
                   static_cast<double>(exceeds.bytes - fits.bytes);
    auto costOf = [&](const KeepingChoice &choice) {
      return choice.work + price * static_cast<double>(choice.bytes);
    };
    KeepingChoice between = cheapest(problem, price);
    offer(between);
    double line = costOf(fits);
    if (costOf(between) >= line - 1e-9 * (1 + std::abs(line))) {
      double bound = line - price * static_cast<double>(budget);
      if (bound >= best->work - tolerance())
        return;
      break;
    }
    (between.bytes <= budget ? fits : exceeds) = between;
  }
  if (exceeds.work >= best->work - tolerance())
    return;
  // The largest value that only the cheaper of the two keeps.
  int chosen = -1;
  for (size_t v = 0; v < problem.values.size(); ++v) {
    const KeepableValue &value = problem.values[v];
    if (exceeds.isKept[v] && !fits.isKept[v] && value.canRecompute &&
        (chosen < 0 || value.bytes > problem.values[chosen].bytes))
      chosen = static_cast<int>(v);
  }
  if (chosen < 0)
    return;
  decide(chosen, true);
  decide(chosen, false);
}

void KeepingSearch::decide(int number, bool isKept) {
  if (--branches < 0)
    return;
  KeepableValue &value = problem.values[number];
  (isKept ? value.canRecompute : value.canKeep) = false;
  search();
  problem.values[number].canRecompute = true;
  problem.values[number].canKeep = true;
}

/// Where the search has ended early: keeps more while something fits.
void KeepingSearch::fill() {
  for (size_t v = 0; v < problem.values.size(); ++v) {
    if (!best->isRecomputed[v] || !problem.values[v].canKeep)
      continue;
    std::vector<bool> isKept = best->isKept;
    isKept[v] = true;
    offer(evaluate(problem, isKept));
  }
}

std::optional<KeepingChoice> keepWithin(const KeepingProblem &problem,
                                        int64_t budget, int maxBranches) {
  return KeepingSearch(problem, budget, maxBranches).run();
}

} // namespace tessera
