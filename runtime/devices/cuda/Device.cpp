// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// NVIDIA GPUs by the driver API. Device d of the mesh runs on GPU d modulo the
// number of GPUs, each with a stream of its own: a mesh may have more devices
// than there are GPUs, which then share one's time and memory.
#include "CudaDevice.h"
#include "Gpu.h"
#include "tessera-rt/Registry.h"

#include <algorithm>
#include <chrono>
#include <thread>

using namespace tessera;
using namespace tessera::rt;

namespace {

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
  void *stream(int device) const override { return streams[device]; }
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
  Gpu &gpuOf(int device) { return gpus[device % gpus.size()]; }
  template <typename Copy>
  Status copyOfHost(int device, size_t bytes, Copy copy);
  Status poll(int device);

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

Status CudaDevice::start() {
  int count = 0;
  if (Status status =
          driver.check(driver.deviceGetCount(&count), "cuDeviceGetCount");
      !status.ok())
    return status;
  if (count == 0)
    return Status::error("the NVIDIA driver sees no GPU (is "
                         "CUDA_VISIBLE_DEVICES set?); without a GPU, compile "
                         "for target 'cpu' or 'emulated'");
  for (int i = 0; i < std::min(count, options.count); ++i) {
    Result<Gpu> gpu = Gpu::open(driver, i);
    if (!gpu.ok())
      return gpu.status();
    gpus.push_back(std::move(*gpu));
  }
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
  for (Gpu &gpu : gpus)
    gpu.close(driver);
}

Status CudaDevice::load(const abi::Artefact &artefact) {
  kernels = artefact.plan.kernels;
  for (Gpu &gpu : gpus)
    if (Status status = gpu.load(driver, artefact); !status.ok())
      return status;
  return Status::success();
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
  return copyOfHost(device, bytes, [&](void *stream) {
    return driver.check(driver.copyIn(address(to), from, bytes, stream),
                        "cuMemcpyHtoDAsync");
  });
}

Status CudaDevice::copyOut(int device, void *to, const void *from,
                           size_t bytes) {
  return copyOfHost(device, bytes, [&](void *stream) {
    return driver.check(driver.copyOut(to, address(from), bytes, stream),
                        "cuMemcpyDtoHAsync");
  });
}

/// A copy from or to the host's memory, which is the caller's again when this
/// returns. It begins on an idle stream: a kernel that hangs must neither block
/// the host inside the driver nor leave a copy behind that comes true later.
template <typename Copy>
Status CudaDevice::copyOfHost(int device, size_t bytes, Copy copy) {
  if (bytes == 0)
    return Status::success();
  CudaScope scope(driver, gpuOf(device).context);
  Status status = scope.status();
  if (status.ok())
    status = poll(device);
  if (status.ok())
    status = copy(streams[device]);
  return status.ok() ? poll(device) : status;
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
  for (int device : *launch.devices) {
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

/// Waits for a stream inside its context; a kernel that never ends becomes an
/// error.
Status CudaDevice::poll(int device) {
  using Clock = std::chrono::steady_clock;
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
  for (int device = 0; device < options.count; ++device) {
    CudaScope scope(driver, gpuOf(device).context);
    Status status = scope.status();
    if (status.ok())
      status = poll(device);
    if (!status.ok())
      return status;
  }
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
