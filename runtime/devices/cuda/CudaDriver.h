// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The NVIDIA driver's library, opened at run time, so that one build runs with
// and without a GPU.
#ifndef TESSERA_RUNTIME_DEVICES_CUDA_CUDADRIVER_H
#define TESSERA_RUNTIME_DEVICES_CUDA_CUDADRIVER_H

#include "tessera-rt/Status.h"

#include <cstdint>

namespace tessera::rt {

/// CUresult; 0 is success.
using CudaResult = int;
constexpr CudaResult cudaNotReady = 600;

struct CudaDriver {
#define CUDA_SYMBOL(member, name, parameters) CudaResult(*member) parameters;
#include "CudaSymbols.def"
#undef CUDA_SYMBOL

  /// Opened and initialised on the first call.
  static Result<const CudaDriver *> open();

  /// "cuLaunchKernel: CUDA_ERROR_ILLEGAL_ADDRESS (an illegal memory ...)".
  Status check(CudaResult result, const char *what) const;
};

} // namespace tessera::rt

#endif // TESSERA_RUNTIME_DEVICES_CUDA_CUDADRIVER_H
