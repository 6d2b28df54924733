// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Axes of a mesh as digits of device numbers, the form that a plan has them in.
#ifndef TESSERA_LIB_TARGET_PLAN_MESHDIGITS_H
#define TESSERA_LIB_TARGET_PLAN_MESHDIGITS_H

#include "tessera/ABI/Digits.h"
#include "tessera/Analysis/Layout.h"

#include <optional>

namespace tessera {

/// The digits that are the devices' coordinates along `axes`. Axes of one
/// device have none.
std::vector<abi::Digit> digitsOf(const std::vector<AxisRef> &axes,
                                 const Mesh &mesh);

/// The moves of digits by which device d sends to targets[d], where there are
/// any: a shift along one axis, or a reordering of digits.
std::optional<std::vector<abi::DigitMove>>
findMoves(const std::vector<int64_t> &targets, const Mesh &mesh);

} // namespace tessera

#endif // TESSERA_LIB_TARGET_PLAN_MESHDIGITS_H
