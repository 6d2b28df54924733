// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Philox4x32-10, the counter-based generator behind tessera.rng.
// Source: Salmon et al., Parallel random numbers: as easy as 1, 2, 3, SC 2011.
#ifndef TESSERA_INTERPRETER_PHILOX_H
#define TESSERA_INTERPRETER_PHILOX_H

#include <array>
#include <cstdint>

namespace tessera {

/// Four random words for a counter and a key.
std::array<uint32_t, 4> philox4x32(std::array<uint32_t, 4> counter,
                                   std::array<uint32_t, 2> key);

} // namespace tessera

#endif // TESSERA_INTERPRETER_PHILOX_H
