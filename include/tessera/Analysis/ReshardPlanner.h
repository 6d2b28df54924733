// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The cheapest sequence of collectives from one layout to another: A* over
// layouts, with an alpha-beta cost per collective, bounded in time.
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
  /// Permute: the device of index i along `axes` sends its value to that of
  /// index i along `to`, which are the same digits in another order.
  std::vector<AxisRef> to;
  Layout after;
  int64_t bytes = 0;      ///< Each device sends.
  double nanoseconds = 0; ///< Modelled time.
};

struct ReshardPlan {
  std::vector<ReshardStep> steps;
  double nanoseconds = 0;
  /// The search met its bound, so that a cheaper plan may exist; this one is no
  /// dearer than gathering and cutting.
  bool isCut = false;
};

/// The cheapest plan from `from` to `to`, both closed and of one mesh, for a
/// tensor of logical `shape`. `to` may be partial only along axes along which
/// `from` is: a partial value is never made of a whole one. `to` varies along
/// all axes along which `from` does. Asking for anything else gives an empty
/// plan of infinite time. `others` gets what else was possible,
/// cheapest first: the best plan that begins differently, and the plain one.
ReshardPlan planReshard(const Layout &from, const Layout &to,
                        const std::vector<int64_t> &shape,
                        int64_t bytesPerElement, const Mesh &mesh,
                        std::vector<ReshardPlan> *others = nullptr);

} // namespace tessera

#endif // TESSERA_ANALYSIS_RESHARDPLANNER_H
