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
#define CUDA_SYMBOL(member, name, parameters)                                  \
  CudaResult(*member) parameters = nullptr;
#include "CudaSymbols.def"
#undef CUDA_SYMBOL

  /// The machine's driver, opened and initialised on the first call: the
  /// library that the environment variable TESSERA_LIBCUDA names, else
  /// libcuda.so.1.
  static Result<const CudaDriver *> open();

  /// Opens and initialises `library`.
  static Result<CudaDriver> load(const std::string &library);

  /// "cuLaunchKernel: CUDA_ERROR_ILLEGAL_ADDRESS (an illegal memory ...)".
  Status check(CudaResult result, const char *what) const;
};

/// Makes a GPU's context the calling thread's current one, and the one before
/// current again at the end: the caller may use the driver too.
class CudaScope {
public:
  CudaScope(const CudaDriver &driver, void *context)
      : driver(driver),
        result(driver.check(driver.pushContext(context), "cuCtxPushCurrent")) {}
  ~CudaScope() {
    void *popped = nullptr;
    if (result.ok())
      (void)driver.popContext(&popped);
  }
  CudaScope(const CudaScope &) = delete;
  CudaScope &operator=(const CudaScope &) = delete;

  /// Whether the context could be entered.
  const Status &status() const { return result; }

private:
  const CudaDriver &driver;
  Status result;
};

} // namespace tessera::rt

#endif // TESSERA_RUNTIME_DEVICES_CUDA_CUDADRIVER_H
