// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// NVIDIA GPUs by the driver API. Device d of the mesh runs on GPU d modulo the
// number of GPUs, each with a stream of its own.
#include "CudaDriver.h"
#include "tessera-rt/Registry.h"

#include <algorithm>
#include <chrono>
#include <thread>

using namespace tessera;
using namespace tessera::rt;

namespace {

/// CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and _MINOR.
constexpr int capabilityMajor = 75, capabilityMinor = 76;
/// CU_STREAM_NON_BLOCKING.
constexpr unsigned nonBlocking = 1;

uint64_t address(const void *memory) {
  return reinterpret_cast<uint64_t>(memory);
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
    std::string architecture;      ///< "sm_90".
    std::vector<void *> modules;   ///< One per object.
    std::vector<void *> functions; ///< One per kernel.
  };

  /// Makes device `device`'s GPU the current one.
  Gpu &enter(int device) {
    Gpu &gpu = gpus[device % gpus.size()];
    driver.setContext(gpu.context);
    return gpu;
  }
  Status wait(int device);
  Status loadOn(Gpu &gpu, const abi::Artefact &artefact);

  const CudaDriver &driver;
  DeviceOptions options;
  std::vector<Gpu> gpus;
  std::vector<void *> streams; ///< One per device.
  std::vector<abi::Kernel> kernels;
};

} // namespace

Status CudaDevice::start() {
  int count = 0;
  if (Status status =
          driver.check(driver.deviceGetCount(&count), "cuDeviceGetCount");
      !status.ok())
    return status;
  if (count == 0)
    return Status::error("the NVIDIA driver sees no GPU; use device 'cpu' or "
                         "'emulated'");
  for (int i = 0; i < std::min(count, options.count); ++i) {
    Gpu gpu;
    int major = 0, minor = 0;
    Status status =
        driver.check(driver.deviceGet(&gpu.handle, i), "cuDeviceGet");
    if (status.ok())
      status = driver.check(driver.retainContext(&gpu.context, gpu.handle),
                            "cuDevicePrimaryCtxRetain");
    if (!status.ok())
      return status.in("GPU " + std::to_string(i));
    driver.deviceGetAttribute(&major, capabilityMajor, gpu.handle);
    driver.deviceGetAttribute(&minor, capabilityMinor, gpu.handle);
    gpu.architecture = "sm_" + std::to_string(major) + std::to_string(minor);
    gpus.push_back(gpu);
  }
  for (int d = 0; d < options.count; ++d) {
    enter(d);
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
  for (size_t d = 0; d < streams.size(); ++d) {
    enter(static_cast<int>(d));
    driver.destroyStream(streams[d]);
  }
  for (Gpu &gpu : gpus) {
    driver.setContext(gpu.context);
    for (void *module : gpu.modules)
      driver.unloadModule(module);
    driver.releaseContext(gpu.handle);
  }
}

Status CudaDevice::load(const abi::Artefact &artefact) {
  kernels = artefact.plan.kernels;
  for (Gpu &gpu : gpus) {
    driver.setContext(gpu.context);
    Status status = loadOn(gpu, artefact);
    if (!status.ok())
      return status.in("loading code for target '" + artefact.plan.target +
                       "' on a GPU of architecture " + gpu.architecture);
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
    void *function = nullptr;
    Status status =
        driver.check(driver.getFunction(&function, gpu.modules[kernel.object],
                                        kernel.symbol.c_str()),
                     "cuModuleGetFunction");
    if (!status.ok())
      return status.in("kernel '" + kernel.name + "'");
    gpu.functions.push_back(function);
  }
  return Status::success();
}

void *CudaDevice::allocate(int device, size_t bytes) {
  enter(device);
  uint64_t memory = 0;
  // The driver aligns to 256 bytes and refuses empty allocations.
  if (driver.allocate(&memory, std::max<size_t>(bytes, 1)) != 0)
    return nullptr;
  return reinterpret_cast<void *>(memory);
}

void CudaDevice::release(int device, void *memory) {
  enter(device);
  driver.release(address(memory));
}

Status CudaDevice::copyIn(int device, void *to, const void *from,
                          size_t bytes) {
  if (bytes == 0)
    return Status::success();
  enter(device);
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
  enter(device);
  Status status =
      driver.check(driver.copyOut(to, address(from), bytes, streams[device]),
                   "cuMemcpyDtoHAsync");
  return status.ok() ? wait(device) : status;
}

Status CudaDevice::copy(int device, void *to, const void *from, size_t bytes) {
  if (bytes == 0)
    return Status::success();
  enter(device);
  return driver.check(
      driver.copy(address(to), address(from), bytes, streams[device]),
      "cuMemcpyDtoDAsync");
}

Status CudaDevice::fill(int device, void *to, const std::string &pattern,
                        size_t bytes) {
  if (bytes == 0)
    return Status::success();
  enter(device);
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
    Gpu &gpu = enter(device);
    for (size_t i = 0; i < parameters.size(); ++i)
      parameters[i] = const_cast<void **>(&launch.args[device][i]);
    Status status =
        driver.check(driver.launch(gpu.functions[launch.kernel], grid[0],
                                   grid[1], grid[2], kernel.threads, 1, 1, 0,
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
  enter(device);
  Clock::time_point begin = Clock::now();
  for (int polls = 0;; ++polls) {
    CudaResult result = driver.queryStream(streams[device]);
    if (result != cudaNotReady)
      return driver.check(result, "cuStreamQuery")
          .in("device " + std::to_string(device) + ", at this step or before");
    if (polls < 10000)
      continue;
    if (Clock::now() - begin > std::chrono::milliseconds(options.timeoutMs))
      return Status::error("device " + std::to_string(device) +
                           " did not finish within " +
                           std::to_string(options.timeoutMs) +
                           " ms; raise timeoutMs if it needs longer");
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
tessera::rt::createCudaDevice(const DeviceOptions &options) {
  Result<const CudaDriver *> driver = CudaDriver::open();
  if (!driver.ok())
    return driver.status();
  auto device = std::make_unique<CudaDevice>(**driver, options);
  if (Status status = device->start(); !status.ok())
    return status;
  return std::unique_ptr<Device>(std::move(device));
}
