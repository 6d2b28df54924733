// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Which values of a computation are kept for later, and which are computed
// again from those, so that what is kept fits into a budget.
#ifndef TESSERA_ANALYSIS_KEPTVALUES_H
#define TESSERA_ANALYSIS_KEPTVALUES_H

#include <cstdint>
#include <optional>
#include <vector>

namespace tessera {

/// A value of the first computation. At least one of the two is possible.
struct KeepableValue {
  int64_t bytes = 0; ///< That keeping it takes.
  double work = 0;   ///< Of computing it again from its operands.
  std::vector<int> operands;
  bool canKeep = true;
  bool canRecompute = true;
};

struct KeepingProblem {
  std::vector<KeepableValue> values; ///< Of no cycles.
  std::vector<int> needed;           ///< Those that are needed later.
};

struct KeepingChoice {
  std::vector<bool> isKept, isRecomputed; ///< By value; needed ones are either.
  int64_t bytes = 0;                      ///< Of all that is kept.
  double work = 0;                        ///< Of all that is computed again.
};

/// The choice that keeps the fewest bytes.
KeepingChoice keepLeast(const KeepingProblem &problem);

/// The choice of least work that keeps at most `budget` bytes; nullopt where
/// even keepLeast keeps more.
///
/// For a price per byte the cheapest choice is a minimum cut: a value that is
/// needed is kept at its price, or computed again at its work, and then its
/// operands are needed. Prices that meet the budget from both sides give a
/// choice and a bound; where they differ, as for things of a knapsack, deciding
/// about single values closes the gap. After `maxBranches` such decisions the
/// best choice so far is taken, which may not be the least.
std::optional<KeepingChoice> keepWithin(const KeepingProblem &problem,
                                        int64_t budget, int maxBranches = 64);

} // namespace tessera

#endif // TESSERA_ANALYSIS_KEPTVALUES_H
