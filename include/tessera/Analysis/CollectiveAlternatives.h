// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Words for what else would have done what a collective does, with its cost.
#ifndef TESSERA_ANALYSIS_COLLECTIVEALTERNATIVES_H
#define TESSERA_ANALYSIS_COLLECTIVEALTERNATIVES_H

#include "tessera/Analysis/ReshardPlanner.h"

namespace tessera {

/// "all_gather over x, all_slice over y: 4096 bytes, ~3.2 us".
std::string describePlan(const ReshardPlan &plan);

/// Another algorithm for a single step, for a local input of `localShape`: a
/// textbook one on the same group.
std::string describeOtherWay(const ReshardStep &step,
                             const std::vector<int64_t> &localShape,
                             int64_t bytesPerElement, const Mesh &mesh);

} // namespace tessera

#endif // TESSERA_ANALYSIS_COLLECTIVEALTERNATIVES_H
