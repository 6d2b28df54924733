// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Puts the accesses of single threads to global memory together to those that
// warps make, and counts the sectors that these touch.
#ifndef TESSERA_RUNTIME_DEVICES_EMULATED_WARPACCESSES_H
#define TESSERA_RUNTIME_DEVICES_EMULATED_WARPACCESSES_H

#include "tessera-rt/Traffic.h"

#include <cstdint>
#include <vector>

namespace tessera::emulated {

/// An access of a thread.
struct ThreadAccess {
  /// See TesseraEmuTable::checkGlobalAccess.
  int32_t site = 0, turn = 0;
  int32_t argument = 0;
  bool isWrite = false;
  int64_t begin = 0; ///< Bytes from where the argument begins, at a sector.
  int64_t bytes = 0;
};

/// Adds to `traffic` what the accesses of one warp cost. lanes[l] has those of
/// lane l in the order in which it made them.
///
/// Lanes are together where they do the same access in the same turn of its
/// loop for the n-th time. As LLVM's load-store vectoriser does for PTX, what a
/// thread reads or writes side by side in one basic block counts as one access
/// of up to 16 bytes, where all lanes do so at an aligned address.
void countWarp(const std::vector<std::vector<ThreadAccess>> &lanes,
               rt::KernelTraffic &traffic);

} // namespace tessera::emulated

#endif // TESSERA_RUNTIME_DEVICES_EMULATED_WARPACCESSES_H
