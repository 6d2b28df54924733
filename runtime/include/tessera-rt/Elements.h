// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Elements of tensors as numbers and as text.
#ifndef TESSERA_RT_ELEMENTS_H
#define TESSERA_RT_ELEMENTS_H

#include "tessera/ABI/PlanStep.h"

namespace tessera::rt {

/// Element `index` of a row-major array. Integers beyond 2^53 are rounded.
double elementAt(abi::DType dtype, const void *data, size_t index);

/// "1.5"; integers have all their digits.
std::string elementText(abi::DType dtype, const void *data, size_t index);

/// A whole tensor in brackets, "[[1, 2], [3, 4]]"; of rows longer than
/// `maxShown` the elements from there on are "...".
std::string tensorText(abi::DType dtype, const void *data,
                       const std::vector<int64_t> &shape, int64_t maxShown);

} // namespace tessera::rt

#endif // TESSERA_RT_ELEMENTS_H
