// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// What computing a value again costs, with all that it is computed from.
#ifndef TESSERA_LIB_ANALYSIS_RECOMPUTATIONCOST_H
#define TESSERA_LIB_ANALYSIS_RECOMPUTATIONCOST_H

#include "tessera/Analysis/KernelPlanner.h"

namespace tessera {

/// Whether an op can be computed again where it is used.
bool isLight(const KernelNode &node);

/// Computing a value again computes its cone again: all light ops that it is
/// made of, down to values that are in memory. Where cones end follows from the
/// program alone: at values whose users read so many boxes of them, through ops
/// that move elements, that a kernel of their own is cheaper.
class RecomputationCost {
public:
  RecomputationCost(const std::vector<KernelNode> &nodes,
                    const KernelLimits &limits);

  /// Whether computing elements of `node` so many times, over a whole kernel,
  /// costs less than storing each and loading it again.
  bool isWorthRepeating(int node, double evaluations);

private:
  double costOfMemory(int node) const;
  double coneCost(int node, double bound);

  const std::vector<KernelNode> &nodes;
  const KernelLimits &limits;
  std::vector<bool> isInMemory; ///< Needed by the host, or the end of a cone.
  std::vector<int> visited;
  int visit = 0;
};

} // namespace tessera

#endif // TESSERA_LIB_ANALYSIS_RECOMPUTATIONCOST_H
