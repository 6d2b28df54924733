// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Random tensors and printed ones.
#ifndef TESSERA_TOOLS_TESSERA_RUN_VALUES_H
#define TESSERA_TOOLS_TESSERA_RUN_VALUES_H

#include "tessera/ABI/PlanFormat.h"

#include <random>

namespace tessera::run {

/// Floats are uniform in [-1, 1); integers are 0 or 1, which are valid indices
/// of nearly every table.
std::string randomTensor(const abi::Tensor &tensor, std::mt19937_64 &random);

/// The first few elements with least, greatest and mean: "[1, 2, ...] min 1
/// max 6 mean 3.5".
std::string summary(const abi::Tensor &tensor, const std::string &bytes,
                    size_t maxShown);

} // namespace tessera::run

#endif // TESSERA_TOOLS_TESSERA_RUN_VALUES_H
