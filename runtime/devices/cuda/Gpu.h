// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// One GPU and the code on it.
#ifndef TESSERA_RUNTIME_DEVICES_CUDA_GPU_H
#define TESSERA_RUNTIME_DEVICES_CUDA_GPU_H

#include "CudaDriver.h"
#include "tessera/ABI/PlanFormat.h"

#include <vector>

namespace tessera::rt {

struct Gpu {
  int ordinal = 0; ///< The driver's number.
  int handle = 0;
  void *context = nullptr;       ///< The GPU's primary one.
  int major = 0, minor = 0;      ///< Compute capability.
  int sharedBytes = 0;           ///< Most that a block can have.
  std::vector<void *> modules;   ///< One per object.
  std::vector<void *> functions; ///< One per kernel.

  static Result<Gpu> open(const CudaDriver &driver, int ordinal);

  /// Loads the objects and finds every kernel. Refuses code for another kind of
  /// GPU, and kernels that ask for more than the GPU has.
  Status load(const CudaDriver &driver, const abi::Artefact &artefact);

  /// Gives back what `open` and `load` took.
  void close(const CudaDriver &driver);

private:
  Status loadModules(const CudaDriver &driver, const abi::Artefact &artefact);
  Status checkLimits(const abi::Kernel &kernel) const;
  Status loadKernel(const CudaDriver &driver, const abi::Kernel &kernel);
};

} // namespace tessera::rt

#endif // TESSERA_RUNTIME_DEVICES_CUDA_GPU_H
