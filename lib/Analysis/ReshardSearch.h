// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The search behind planReshard, for layouts that are lists of whole digits.
#ifndef TESSERA_LIB_ANALYSIS_RESHARDSEARCH_H
#define TESSERA_LIB_ANALYSIS_RESHARDSEARCH_H

#include "AxisDigits.h"
#include "tessera/Analysis/ReshardPlanner.h"

namespace tessera {

/// The cheapest plan between two layouts all of whose axes fit into `digits`
/// and whose parts stay the same when seen in them. Infinite time, without
/// steps, when there is none.
ReshardPlan searchPlan(const Layout &from, const Layout &to,
                       const AxisDigits &digits,
                       const std::vector<int64_t> &shape,
                       int64_t bytesPerElement, const Mesh &mesh);

/// Fills in what `step` from layout `before` sends and costs.
void priceStep(ReshardStep &step, const Layout &before,
               const std::vector<int64_t> &shape, int64_t bytesPerElement,
               const Mesh &mesh);

} // namespace tessera

#endif // TESSERA_LIB_ANALYSIS_RESHARDSEARCH_H
