// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The search behind planReshard, for layouts that are lists of whole digits.
#ifndef TESSERA_LIB_ANALYSIS_RESHARDSEARCH_H
#define TESSERA_LIB_ANALYSIS_RESHARDSEARCH_H

#include "ReshardSpace.h"

namespace tessera {

/// The plan that the search finds from the space's start to its goal: the
/// cheapest where it ends within its bound, else the best of a beam search and
/// of gathering and cutting. Infinite time, without steps, when there is none.
/// Tells the state that the plan's first move leads to in `first`; with
/// `avoid`, the plan is the best of those that do not go there first.
ReshardPlan searchPlan(const ReshardSpace &space, ReshardState *first,
                       const ReshardState *avoid = nullptr);

} // namespace tessera

#endif // TESSERA_LIB_ANALYSIS_RESHARDSEARCH_H
