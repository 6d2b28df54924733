// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// How compiled kernels are called. `args` holds one pointer per argument of the
// tile.kernel, inputs then outputs, row-major.
#ifndef TESSERA_ABI_KERNELABI_H
#define TESSERA_ABI_KERNELABI_H

#include <cstdint>

namespace tessera::abi {

/// cpu: runs blocks [begin, end) of the linearised grid, first dimension
/// fastest. Re-entrant; different ranges may run at once.
using CpuKernel = void (*)(void *const *args, int64_t begin, int64_t end);

/// emulated: runs one CUDA thread; see EmulatorABI.h.
using EmulatedKernel = void (*)(void *const *args);

/// Alignment of every buffer that is not a user's, bytes.
constexpr int64_t bufferAlignment = 64;

/// Stack that a cpu kernel may use for scratch, bytes; the plan says how much
/// each of them does.
constexpr int64_t maxKernelScratch = 4 << 20;
/// Stack that a cpu kernel may use besides: saved registers, calls.
constexpr int64_t kernelStackMargin = 256 << 10;

} // namespace tessera::abi

#endif // TESSERA_ABI_KERNELABI_H
