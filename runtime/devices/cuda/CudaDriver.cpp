// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "CudaDriver.h"

#include <cstdlib>
#include <dlfcn.h>

using namespace tessera::rt;

static constexpr char wayOut[] =
    "; without a GPU, compile for target 'cpu' or 'emulated'";

Result<CudaDriver> CudaDriver::load(const std::string &library) {
  // Never closed: the driver keeps threads of its own.
  void *handle = dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!handle) {
    const char *why = dlerror();
    return Status::error("no NVIDIA driver (" +
                         std::string(why ? why : library.c_str()) +
                         "); install one, or name its library in "
                         "TESSERA_LIBCUDA" +
                         wayOut);
  }
  CudaDriver driver;
#define CUDA_SYMBOL(member, name, parameters)                                  \
  driver.member =                                                              \
      reinterpret_cast<CudaResult(*) parameters>(dlsym(handle, name));         \
  if (!driver.member)                                                          \
    return Status::error("the NVIDIA driver (" + library +                     \
                         ") lacks " name "; install a newer one" + wayOut);
#include "CudaSymbols.def"
#undef CUDA_SYMBOL
  Status status = driver.check(driver.init(0), "cuInit");
  if (!status.ok())
    return Status::error(
        "the NVIDIA driver does not start: " + status.message() +
        "; see what nvidia-smi says about it" + wayOut);
  return driver;
}

Result<const CudaDriver *> CudaDriver::open() {
  static Result<CudaDriver> opened = [] {
    const char *library = std::getenv("TESSERA_LIBCUDA");
    return load(library && *library ? library : "libcuda.so.1");
  }();
  if (!opened.ok())
    return opened.status();
  return &*opened;
}

Status CudaDriver::check(CudaResult result, const char *what) const {
  if (result == 0)
    return Status::success();
  const char *name = nullptr, *text = nullptr;
  if (getErrorName(result, &name) != 0)
    name = nullptr;
  if (getErrorString(result, &text) != 0)
    text = nullptr;
  return Status::error(std::string(what) + ": " +
                       (name ? name : "error " + std::to_string(result)) +
                       (text ? " (" + std::string(text) + ")" : ""));
}
