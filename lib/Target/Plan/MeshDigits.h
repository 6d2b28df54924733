// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Permutations of devices as moves of digits, the form that a plan has them in.
#ifndef TESSERA_LIB_TARGET_PLAN_MESHDIGITS_H
#define TESSERA_LIB_TARGET_PLAN_MESHDIGITS_H

#include "tessera/Analysis/MeshGroups.h"

#include <optional>

namespace tessera {

/// The moves of digits by which device d sends to targets[d], where there are
/// any: a shift along one axis, or a reordering of digits.
std::optional<std::vector<abi::DigitMove>>
findMoves(const std::vector<int64_t> &targets, const Mesh &mesh);

} // namespace tessera

#endif // TESSERA_LIB_TARGET_PLAN_MESHDIGITS_H
