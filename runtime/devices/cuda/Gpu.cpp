// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Gpu.h"

#include <cstdlib>
#include <utility>

using namespace tessera;
using namespace tessera::rt;

namespace {

/// CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and _MINOR.
constexpr int capabilityMajor = 75, capabilityMinor = 76;
/// CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN.
constexpr int sharedOptIn = 97;
/// CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES.
constexpr int maxDynamicShared = 8;
/// Shared memory that a launch may ask for without opting in, bytes.
constexpr int64_t sharedWithoutOptIn = 48 * 1024;
/// Blocks along the second and third dimension of a grid.
constexpr int64_t maxGridYZ = 65535;

/// Whether code for `chip` ("sm_90a") runs on a GPU of compute capability
/// major.minor: code with 'a' on exactly its own, other code on later minor
/// versions too.
bool runsOn(const std::string &chip, int major, int minor) {
  if (chip.rfind("sm_", 0) != 0)
    return false;
  bool exact = chip.back() == 'a';
  int number = std::atoi(chip.c_str() + 3);
  return number / 10 == major &&
         (exact ? number % 10 == minor : number % 10 <= minor);
}

} // namespace

Result<Gpu> Gpu::open(const CudaDriver &driver, int ordinal) {
  Gpu gpu;
  gpu.ordinal = ordinal;
  Status status =
      driver.check(driver.deviceGet(&gpu.handle, ordinal), "cuDeviceGet");
  const std::pair<int, int *> wanted[] = {{capabilityMajor, &gpu.major},
                                          {capabilityMinor, &gpu.minor},
                                          {sharedOptIn, &gpu.sharedBytes}};
  for (auto [attribute, value] : wanted)
    if (status.ok())
      status =
          driver.check(driver.deviceGetAttribute(value, attribute, gpu.handle),
                       "cuDeviceGetAttribute");
  if (status.ok())
    status = driver.check(driver.retainContext(&gpu.context, gpu.handle),
                          "cuDevicePrimaryCtxRetain");
  if (!status.ok())
    return status.in("GPU " + std::to_string(ordinal));
  return gpu;
}

Status Gpu::load(const CudaDriver &driver, const abi::Artefact &artefact) {
  const std::string &target = artefact.plan.target;
  std::string where = "GPU " + std::to_string(ordinal) +
                      " (compute capability " + std::to_string(major) + "." +
                      std::to_string(minor) + ")";
  std::string chip = target.substr(target.find(':') + 1);
  if (!artefact.objects.empty() && !runsOn(chip, major, minor))
    return Status::error(where + " cannot run code for target '" + target +
                         "'; compile for the GPU: cuda:sm_80 for 8.x, "
                         "cuda:sm_90a for 9.0, cuda:sm_100a for 10.0");
  CudaScope scope(driver, context);
  Status status = scope.status();
  if (status.ok())
    status = loadModules(driver, artefact);
  for (const abi::Kernel &kernel : artefact.plan.kernels) {
    if (!status.ok())
      break;
    status = checkLimits(kernel);
    if (status.ok())
      status = loadKernel(driver, kernel);
    status = status.in("kernel '" + kernel.name + "'");
  }
  return status.in("loading code for target '" + target + "' on " + where);
}

Status Gpu::loadModules(const CudaDriver &driver,
                        const abi::Artefact &artefact) {
  for (const std::string &object : artefact.objects) {
    void *module = nullptr;
    Status status = driver.check(driver.loadModule(&module, object.data()),
                                 "cuModuleLoadData");
    if (!status.ok())
      return status;
    modules.push_back(module);
  }
  return Status::success();
}

Status Gpu::checkLimits(const abi::Kernel &kernel) const {
  for (size_t i = 1; i < kernel.grid.size(); ++i)
    if (kernel.grid[i] > maxGridYZ)
      return Status::error(std::to_string(kernel.grid[i]) +
                           " blocks along grid dimension " + std::to_string(i) +
                           ", a GPU takes at most " +
                           std::to_string(maxGridYZ));
  if (kernel.sharedBytes > sharedBytes)
    return Status::error(std::to_string(kernel.sharedBytes) +
                         " bytes of shared memory, a block of this GPU has at "
                         "most " +
                         std::to_string(sharedBytes));
  return Status::success();
}

Status Gpu::loadKernel(const CudaDriver &driver, const abi::Kernel &kernel) {
  void *function = nullptr;
  Status status =
      driver.check(driver.getFunction(&function, modules[kernel.object],
                                      kernel.symbol.c_str()),
                   "cuModuleGetFunction");
  if (status.ok() && kernel.sharedBytes > sharedWithoutOptIn)
    status = driver.check(
        driver.setFunctionAttribute(function, maxDynamicShared,
                                    static_cast<int>(kernel.sharedBytes)),
        "cuFuncSetAttribute");
  if (status.ok())
    functions.push_back(function);
  return status;
}

void Gpu::close(const CudaDriver &driver) {
  {
    CudaScope scope(driver, context);
    for (void *module : modules)
      driver.unloadModule(module);
  }
  driver.releaseContext(handle);
}
