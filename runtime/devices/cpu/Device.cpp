// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The host's cores: the blocks of all devices are one loop over the threads.
#include "tessera-rt/KernelObjects.h"
#include "tessera-rt/LargeStack.h"
#include "tessera-rt/Registry.h"
#include "tessera/ABI/KernelABI.h"

#include <algorithm>
#include <cstring>
#include <mutex>

using namespace tessera;
using namespace tessera::rt;

namespace {

class CpuDevice final : public HostMemoryDevice {
public:
  explicit CpuDevice(const DeviceOptions &options) : options(options) {}

  const char *name() const override { return "cpu"; }
  bool accepts(const std::string &target) const override {
    return target == "cpu" || target.rfind("cpu:", 0) == 0;
  }

  Status load(const abi::Artefact &artefact) override {
    Result<KernelObjects> loaded = KernelObjects::load(artefact);
    if (!loaded.ok())
      return loaded.status();
    objects = std::move(*loaded);
    for (const abi::Kernel &kernel : artefact.plan.kernels)
      kernels.push_back({abi::numElements(kernel.grid),
                         kernel.stackBytes + abi::kernelStackMargin});
    return Status::success();
  }

  Status launch(const Launch &launch) override {
    int64_t needed = kernels[launch.kernel].stackBytes;
    if (static_cast<int64_t>(stackLeft()) >= needed) {
      runBlocks(launch);
      return Status::success();
    }
    if (runOnLargeStack([&] { runBlocks(launch); }))
      return Status::success();
    return Status::error(
        "a kernel needs " + std::to_string(needed) +
        " bytes of stack, the calling thread has " +
        std::to_string(stackLeft()) +
        " left, and no other thread can be made; call from a thread with a "
        "larger stack, or raise the limit of threads (ulimit -u)");
  }

  Status copy(int device, void *to, const void *from, size_t bytes) override {
    char *out = static_cast<char *>(to);
    const char *in = static_cast<const char *>(from);
    bool overlaps = out < in + bytes && in < out + bytes;
    if (overlaps)
      return HostMemoryDevice::copy(device, to, from, bytes);
    inChunks(bytes, chunkBytes, [&](size_t begin, size_t end) {
      std::memcpy(out + begin, in + begin, end - begin);
    });
    return Status::success();
  }

  Status fill(int device, void *to, const std::string &pattern,
              size_t bytes) override {
    char *out = static_cast<char *>(to);
    if (pattern == std::string(pattern.size(), pattern[0])) {
      inChunks(bytes, chunkBytes, [&](size_t begin, size_t end) {
        std::memset(out + begin, pattern[0], end - begin);
      });
      return Status::success();
    }
    // The first chunk, and copies of it.
    size_t chunk = chunkBytes / pattern.size() * pattern.size();
    if (chunk == 0 || bytes <= chunk)
      return HostMemoryDevice::fill(device, to, pattern, bytes);
    Status status = HostMemoryDevice::fill(device, to, pattern, chunk);
    inChunks(bytes - chunk, chunk, [&](size_t begin, size_t end) {
      for (size_t at = begin; at < end; at += chunk)
        std::memcpy(out + chunk + at, out, std::min(chunk, end - at));
    });
    return status;
  }

private:
  /// What a thread copies or fills at one time.
  static constexpr size_t chunkBytes = size_t(128) << 10;

  /// Calls body(begin, end) on bytes that all threads share, whole chunks but
  /// for the last.
  template <typename Body>
  void inChunks(size_t bytes, size_t chunk, Body &&body) {
    auto count = static_cast<int64_t>((bytes + chunk - 1) / chunk);
    options.pool->parallelFor(count, 1, [&](int64_t begin, int64_t end) {
      body(begin * chunk, std::min(bytes, end * chunk));
    });
  }

  struct Kernel {
    int64_t blocks;
    int64_t stackBytes; ///< That a thread must have left.
  };

  void runBlocks(const Launch &launch) {
    auto kernel =
        reinterpret_cast<abi::CpuKernel>(objects.functions[launch.kernel]);
    int64_t perDevice = kernels[launch.kernel].blocks;
    options.pool->parallelFor(
        perDevice * launch.devices->size(), 1, [&](int64_t begin, int64_t end) {
          while (begin < end) {
            int64_t index = begin / perDevice;
            int64_t base = index * perDevice;
            int64_t stop = std::min(end, base + perDevice);
            int device = (*launch.devices)[index];
            int64_t time = launch.spans ? steadyTime() : 0;
            kernel(launch.args[device], begin - base, stop - base);
            if (launch.spans)
              addSpan(launch.spans[device], {time, steadyTime()});
            begin = stop;
          }
        });
  }

  /// Extends the time that a device worked by that of some of its blocks.
  void addSpan(Span &all, Span part) {
    std::lock_guard<std::mutex> lock(spansMutex);
    all.begin = all.begin < 0 ? part.begin : std::min(all.begin, part.begin);
    all.end = std::max(all.end, part.end);
  }

  DeviceOptions options;
  KernelObjects objects;
  std::vector<Kernel> kernels;
  std::mutex spansMutex;
};

} // namespace

Result<std::unique_ptr<Device>>
tessera::rt::createCpuDevice(const DeviceOptions &options) {
  return std::unique_ptr<Device>(std::make_unique<CpuDevice>(options));
}
