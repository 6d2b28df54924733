// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// NVIDIA GPUs by the driver API. Device d of the mesh runs on GPU d modulo the
// number of GPUs, each with a stream of its own.
#include "CudaDevice.h"
#include "tessera-rt/Registry.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <thread>
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
/// CU_STREAM_NON_BLOCKING.
constexpr unsigned nonBlocking = 1;

uint64_t address(const void *memory) {
  return reinterpret_cast<uint64_t>(memory);
}

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

class CudaDevice final : public Device {
public:
  CudaDevice(const CudaDriver &driver, const DeviceOptions &options)
      : driver(driver), options(options) {}
  ~CudaDevice() override;

  /// Opens the GPUs.
  Status start();

  const char *name() const override { return "cuda"; }
  bool usesHostMemory() const override { return false; }
  bool accepts(const std::string &target) const override {
    return target.rfind("cuda:", 0) == 0;
  }
  Status load(const abi::Artefact &artefact) override;
  void *allocate(int device, size_t bytes) override;
  void release(int device, void *memory) override;
  Status copyIn(int device, void *to, const void *from, size_t bytes) override;
  Status copyOut(int device, void *to, const void *from, size_t bytes) override;
  Status copy(int device, void *to, const void *from, size_t bytes) override;
  Status fill(int device, void *to, const std::string &pattern,
              size_t bytes) override;
  Status launch(const Launch &launch) override;
  Status synchronize() override;

private:
  struct Gpu {
    int handle = 0;
    void *context = nullptr;
    int major = 0, minor = 0;      ///< Compute capability.
    int sharedBytes = 0;           ///< Most that a block can have.
    std::vector<void *> modules;   ///< One per object.
    std::vector<void *> functions; ///< One per kernel.
  };

  Gpu &gpuOf(int device) { return gpus[device % gpus.size()]; }
  Status open(int ordinal);
  Status readAttributes(Gpu &gpu);
  Status wait(int device);
  Status loadOn(Gpu &gpu, const abi::Artefact &artefact);
  Status checkLimits(const Gpu &gpu, const abi::Kernel &kernel);
  Status loadKernel(Gpu &gpu, const abi::Kernel &kernel);

  const CudaDriver &driver;
  DeviceOptions options;
  std::vector<Gpu> gpus;
  std::vector<void *> streams; ///< One per device.
  std::vector<abi::Kernel> kernels;
  /// A kernel did not end in time. Releasing anything would wait for it, so
  /// what is held is left to the end of the process.
  bool isHung = false;
};

} // namespace

Status CudaDevice::readAttributes(Gpu &gpu) {
  const std::pair<int, int *> wanted[] = {{capabilityMajor, &gpu.major},
                                          {capabilityMinor, &gpu.minor},
                                          {sharedOptIn, &gpu.sharedBytes}};
  for (auto [attribute, value] : wanted)
    if (Status status = driver.check(
            driver.deviceGetAttribute(value, attribute, gpu.handle),
            "cuDeviceGetAttribute");
        !status.ok())
      return status;
  return Status::success();
}

Status CudaDevice::open(int ordinal) {
  Gpu gpu;
  Status status =
      driver.check(driver.deviceGet(&gpu.handle, ordinal), "cuDeviceGet");
  if (status.ok())
    status = readAttributes(gpu);
  if (status.ok())
    status = driver.check(driver.retainContext(&gpu.context, gpu.handle),
                          "cuDevicePrimaryCtxRetain");
  if (status.ok())
    gpus.push_back(std::move(gpu));
  return status.in("GPU " + std::to_string(ordinal));
}

Status CudaDevice::start() {
  int count = 0;
  if (Status status =
          driver.check(driver.deviceGetCount(&count), "cuDeviceGetCount");
      !status.ok())
    return status;
  if (count == 0)
    return Status::error("the NVIDIA driver sees no GPU (is "
                         "CUDA_VISIBLE_DEVICES set?); use device 'cpu' or "
                         "'emulated'");
  for (int i = 0; i < std::min(count, options.count); ++i)
    if (Status status = open(i); !status.ok())
      return status;
  for (int d = 0; d < options.count; ++d) {
    CudaScope scope(driver, gpuOf(d).context);
    if (!scope.status().ok())
      return scope.status();
    void *stream = nullptr;
    Status status = driver.check(driver.createStream(&stream, nonBlocking),
                                 "cuStreamCreate");
    if (!status.ok())
      return status;
    streams.push_back(stream);
  }
  return Status::success();
}

CudaDevice::~CudaDevice() {
  if (isHung)
    return;
  for (size_t d = 0; d < streams.size(); ++d) {
    CudaScope scope(driver, gpuOf(static_cast<int>(d)).context);
    driver.destroyStream(streams[d]);
  }
  for (Gpu &gpu : gpus) {
    {
      CudaScope scope(driver, gpu.context);
      for (void *module : gpu.modules)
        driver.unloadModule(module);
    }
    driver.releaseContext(gpu.handle);
  }
}

Status CudaDevice::load(const abi::Artefact &artefact) {
  kernels = artefact.plan.kernels;
  const std::string &target = artefact.plan.target;
  std::string chip = target.substr(target.find(':') + 1);
  for (size_t i = 0; i < gpus.size(); ++i) {
    Gpu &gpu = gpus[i];
    std::string where = "GPU " + std::to_string(i) + " (compute capability " +
                        std::to_string(gpu.major) + "." +
                        std::to_string(gpu.minor) + ")";
    if (!artefact.objects.empty() && !runsOn(chip, gpu.major, gpu.minor))
      return Status::error(where + " cannot run code for target '" + target +
                           "'; compile for the GPU: cuda:sm_80 for 8.x, "
                           "cuda:sm_90a for 9.0, cuda:sm_100a for 10.0");
    CudaScope scope(driver, gpu.context);
    Status status = scope.status();
    if (status.ok())
      status = loadOn(gpu, artefact);
    if (!status.ok())
      return status.in("loading code for target '" + target + "' on " + where);
  }
  return Status::success();
}

Status CudaDevice::loadOn(Gpu &gpu, const abi::Artefact &artefact) {
  for (const std::string &object : artefact.objects) {
    void *module = nullptr;
    Status status = driver.check(driver.loadModule(&module, object.data()),
                                 "cuModuleLoadData");
    if (!status.ok())
      return status;
    gpu.modules.push_back(module);
  }
  for (const abi::Kernel &kernel : kernels) {
    Status status = checkLimits(gpu, kernel);
    if (status.ok())
      status = loadKernel(gpu, kernel);
    if (!status.ok())
      return status.in("kernel '" + kernel.name + "'");
  }
  return Status::success();
}

Status CudaDevice::checkLimits(const Gpu &gpu, const abi::Kernel &kernel) {
  for (size_t i = 1; i < kernel.grid.size(); ++i)
    if (kernel.grid[i] > maxGridYZ)
      return Status::error(std::to_string(kernel.grid[i]) +
                           " blocks along grid dimension " + std::to_string(i) +
                           ", a GPU takes at most " +
                           std::to_string(maxGridYZ));
  if (kernel.sharedBytes > gpu.sharedBytes)
    return Status::error(std::to_string(kernel.sharedBytes) +
                         " bytes of shared memory, a block of this GPU has at "
                         "most " +
                         std::to_string(gpu.sharedBytes));
  return Status::success();
}

Status CudaDevice::loadKernel(Gpu &gpu, const abi::Kernel &kernel) {
  void *function = nullptr;
  Status status =
      driver.check(driver.getFunction(&function, gpu.modules[kernel.object],
                                      kernel.symbol.c_str()),
                   "cuModuleGetFunction");
  if (status.ok() && kernel.sharedBytes > sharedWithoutOptIn)
    status = driver.check(
        driver.setFunctionAttribute(function, maxDynamicShared,
                                    static_cast<int>(kernel.sharedBytes)),
        "cuFuncSetAttribute");
  if (status.ok())
    gpu.functions.push_back(function);
  return status;
}

void *CudaDevice::allocate(int device, size_t bytes) {
  CudaScope scope(driver, gpuOf(device).context);
  uint64_t memory = 0;
  // The driver aligns to 256 bytes and refuses empty allocations.
  if (!scope.status().ok() ||
      driver.allocate(&memory, std::max<size_t>(bytes, 1)) != 0)
    return nullptr;
  return reinterpret_cast<void *>(memory);
}

void CudaDevice::release(int device, void *memory) {
  if (isHung)
    return;
  CudaScope scope(driver, gpuOf(device).context);
  driver.release(address(memory));
}

Status CudaDevice::copyIn(int device, void *to, const void *from,
                          size_t bytes) {
  if (bytes == 0)
    return Status::success();
  CudaScope scope(driver, gpuOf(device).context);
  if (!scope.status().ok())
    return scope.status();
  Status status =
      driver.check(driver.copyIn(address(to), from, bytes, streams[device]),
                   "cuMemcpyHtoDAsync");
  // The caller may change `from` at once, which might be pinned.
  return status.ok() ? wait(device) : status;
}

Status CudaDevice::copyOut(int device, void *to, const void *from,
                           size_t bytes) {
  if (bytes == 0)
    return Status::success();
  CudaScope scope(driver, gpuOf(device).context);
  if (!scope.status().ok())
    return scope.status();
  Status status =
      driver.check(driver.copyOut(to, address(from), bytes, streams[device]),
                   "cuMemcpyDtoHAsync");
  return status.ok() ? wait(device) : status;
}

Status CudaDevice::copy(int device, void *to, const void *from, size_t bytes) {
  if (bytes == 0)
    return Status::success();
  CudaScope scope(driver, gpuOf(device).context);
  if (!scope.status().ok())
    return scope.status();
  return driver.check(
      driver.copy(address(to), address(from), bytes, streams[device]),
      "cuMemcpyDtoDAsync");
}

Status CudaDevice::fill(int device, void *to, const std::string &pattern,
                        size_t bytes) {
  if (bytes == 0)
    return Status::success();
  CudaScope scope(driver, gpuOf(device).context);
  if (!scope.status().ok())
    return scope.status();
  void *stream = streams[device];
  auto bits = [&](auto value) {
    std::copy_n(pattern.data(), sizeof value, reinterpret_cast<char *>(&value));
    return value;
  };
  switch (pattern.size()) {
  case 1:
    return driver.check(
        driver.fill8(address(to), bits(uint8_t()), bytes, stream),
        "cuMemsetD8Async");
  case 2:
    return driver.check(
        driver.fill16(address(to), bits(uint16_t()), bytes / 2, stream),
        "cuMemsetD16Async");
  case 4:
    return driver.check(
        driver.fill32(address(to), bits(uint32_t()), bytes / 4, stream),
        "cuMemsetD32Async");
  default: {
    std::string host;
    while (host.size() < bytes)
      host += pattern;
    return copyIn(device, to, host.data(), bytes);
  }
  }
}

Status CudaDevice::launch(const Launch &launch) {
  const abi::Kernel &kernel = kernels[launch.kernel];
  unsigned grid[3] = {1, 1, 1};
  for (size_t i = 0; i < kernel.grid.size(); ++i)
    grid[i] = static_cast<unsigned>(kernel.grid[i]);
  std::vector<void *> parameters(launch.bytes->size());
  for (int device = 0; device < options.count; ++device) {
    Gpu &gpu = gpuOf(device);
    CudaScope scope(driver, gpu.context);
    if (!scope.status().ok())
      return scope.status();
    for (size_t i = 0; i < parameters.size(); ++i)
      parameters[i] = const_cast<void **>(&launch.args[device][i]);
    Status status =
        driver.check(driver.launch(gpu.functions[launch.kernel], grid[0],
                                   grid[1], grid[2], kernel.threads, 1, 1,
                                   static_cast<unsigned>(kernel.sharedBytes),
                                   streams[device], parameters.data(), nullptr),
                     "cuLaunchKernel");
    if (!status.ok())
      return status.in("device " + std::to_string(device));
  }
  return Status::success();
}

/// Polls, so that a kernel that never ends becomes an error.
Status CudaDevice::wait(int device) {
  using Clock = std::chrono::steady_clock;
  CudaScope scope(driver, gpuOf(device).context);
  if (!scope.status().ok())
    return scope.status();
  Clock::time_point begin = Clock::now();
  for (int polls = 0;; ++polls) {
    CudaResult result = driver.queryStream(streams[device]);
    if (result != cudaNotReady)
      return driver.check(result, "cuStreamQuery")
          .in("device " + std::to_string(device) + ", at this step or before");
    if (polls < 10000)
      continue;
    if (Clock::now() - begin > std::chrono::milliseconds(options.timeoutMs)) {
      isHung = true;
      return Status::error("device " + std::to_string(device) +
                           " did not finish within " +
                           std::to_string(options.timeoutMs) +
                           " ms; raise timeoutMs if it needs longer");
    }
    std::this_thread::sleep_for(std::chrono::microseconds(50));
  }
}

Status CudaDevice::synchronize() {
  for (int device = 0; device < options.count; ++device)
    if (Status status = wait(device); !status.ok())
      return status;
  return Status::success();
}

Result<std::unique_ptr<Device>>
tessera::rt::createCudaDevice(const CudaDriver &driver,
                              const DeviceOptions &options) {
  auto device = std::make_unique<CudaDevice>(driver, options);
  if (Status status = device->start(); !status.ok())
    return status;
  return std::unique_ptr<Device>(std::move(device));
}

Result<std::unique_ptr<Device>>
tessera::rt::createCudaDevice(const DeviceOptions &options) {
  Result<const CudaDriver *> driver = CudaDriver::open();
  return driver.ok() ? createCudaDevice(**driver, options) : driver.status();
}
