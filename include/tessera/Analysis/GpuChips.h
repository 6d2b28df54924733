// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The GPUs that kernels are compiled for, with what a kernel may use of one.
// Source: NVIDIA, CUDA C++ Programming Guide 13, "Technical Specifications per
// Compute Capability".
#ifndef TESSERA_ANALYSIS_GPUCHIPS_H
#define TESSERA_ANALYSIS_GPUCHIPS_H

#include <array>
#include <cstdint>
#include <string_view>

namespace tessera {

struct GpuChip {
  std::string_view name;  ///< As ptxas calls it.
  int64_t sharedBytes;    ///< Of a block, at most, when asked for at launch.
  int64_t registers;      ///< Of a block, of 32 bits each.
  int64_t threadsOfBlock; ///< At most.
};

inline constexpr std::array<GpuChip, 3> gpuChips = {{
    {"sm_80", 163 << 10, 65536, 1024},
    {"sm_90a", 227 << 10, 65536, 1024},
    {"sm_100a", 227 << 10, 65536, 1024},
}};

/// The chip called `name`, or null.
inline const GpuChip *findGpuChip(std::string_view name) {
  for (const GpuChip &chip : gpuChips)
    if (chip.name == name)
      return &chip;
  return nullptr;
}

} // namespace tessera

#endif // TESSERA_ANALYSIS_GPUCHIPS_H
