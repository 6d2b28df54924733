// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// What mma.sync.m16n8k16 computes, of the fragments of a warp's lanes.
#ifndef TESSERA_RUNTIME_DEVICES_EMULATED_WARPPRODUCT_H
#define TESSERA_RUNTIME_DEVICES_EMULATED_WARPPRODUCT_H

#include "tessera/ABI/EmulatorABI.h"

#include <array>

namespace tessera::emulated {

using WarpFragments = std::array<TesseraEmuFragments *, TESSERA_EMU_WARP_SIZE>;

/// sums += a * b, in f32, where GPUs may round otherwise in the last place.
void multiplyFragments(TesseraEmuElement type, const WarpFragments &lanes);

} // namespace tessera::emulated

#endif // TESSERA_RUNTIME_DEVICES_EMULATED_WARPPRODUCT_H
