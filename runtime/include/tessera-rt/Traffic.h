// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// What kernels' accesses to global memory cost, in the 32-byte sectors that a
// GPU moves (CUDA C++ Programming Guide, "Device Memory Accesses").
#ifndef TESSERA_RT_TRAFFIC_H
#define TESSERA_RT_TRAFFIC_H

#include <cstdint>
#include <vector>

namespace tessera::rt {

struct SectorCount {
  /// Sectors that each access of a warp touches, added up.
  int64_t touched = 0;
  /// The fewest that hold the same bytes. Coalesced accesses touch no more.
  int64_t least = 0;

  SectorCount &operator+=(const SectorCount &other) {
    touched += other.touched;
    least += other.least;
    return *this;
  }
};

/// Of one argument of a kernel.
struct ArgumentTraffic {
  SectorCount loads, stores;
};

/// By argument.
using KernelTraffic = std::vector<ArgumentTraffic>;

} // namespace tessera::rt

#endif // TESSERA_RT_TRAFFIC_H
