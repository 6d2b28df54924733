// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "CudaDriver.h"

#include <dlfcn.h>

using namespace tessera::rt;

static Result<const CudaDriver *> openDriver() {
  void *library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  if (!library)
    return Status::error("no NVIDIA driver (libcuda.so.1 not found); install "
                         "one, or use device 'cpu' or 'emulated'");
  static CudaDriver driver;
#define CUDA_SYMBOL(member, name, parameters)                                  \
  driver.member =                                                              \
      reinterpret_cast<CudaResult(*) parameters>(dlsym(library, name));        \
  if (!driver.member)                                                          \
    return Status::error("the NVIDIA driver lacks " name                       \
                         "; install a newer one");
#include "CudaSymbols.def"
#undef CUDA_SYMBOL
  if (Status status = driver.check(driver.init(0), "cuInit"); !status.ok())
    return status;
  return &driver;
}

Result<const CudaDriver *> CudaDriver::open() {
  static Result<const CudaDriver *> opened = openDriver();
  return opened;
}

Status CudaDriver::check(CudaResult result, const char *what) const {
  if (result == 0)
    return Status::success();
  const char *name = nullptr, *text = nullptr;
  getErrorName(result, &name);
  getErrorString(result, &text);
  return Status::error(std::string(what) + ": " +
                       (name ? name : "error " + std::to_string(result)) +
                       (text ? " (" + std::string(text) + ")" : ""));
}
