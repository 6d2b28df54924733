// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The cheapest sequence of collectives from one layout to another: Dijkstra's
// algorithm over layouts, with an alpha-beta cost per collective.
#ifndef TESSERA_ANALYSIS_RESHARDPLANNER_H
#define TESSERA_ANALYSIS_RESHARDPLANNER_H

#include "tessera/Analysis/CollectiveCost.h"

namespace tessera {

/// One collective of a plan, and the layout after it.
struct ReshardStep {
  CollectiveKind kind = CollectiveKind::AllSlice;
  std::vector<AxisRef> axes; ///< Of the group, major to minor.
  int dim = -1;              ///< Cut or joined dimension; for AllToAll, joined.
  int splitDim = -1;         ///< AllToAll: cut dimension.
  ReduceKind reduce = ReduceKind::Sum;
  std::vector<int64_t> targets; ///< Permute: receiver of each device's value.
  Layout after;
  int64_t bytes = 0;      ///< Each device sends.
  double nanoseconds = 0; ///< Modelled time.
};

struct ReshardPlan {
  std::vector<ReshardStep> steps;
  double nanoseconds = 0;
};

/// The cheapest plan from `from` to `to`, both closed and of one mesh, for a
/// tensor of logical `shape`. `to` may be partial only along axes along which
/// `from` is: a partial value is never made of a whole one, and asking for it
/// gives an empty plan of infinite time.
ReshardPlan planReshard(const Layout &from, const Layout &to,
                        const std::vector<int64_t> &shape,
                        int64_t bytesPerElement, const Mesh &mesh);

} // namespace tessera

#endif // TESSERA_ANALYSIS_RESHARDPLANNER_H
