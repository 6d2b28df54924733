// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The host's cores: the blocks of all devices are one loop over the threads.
#include "tessera-rt/KernelObjects.h"
#include "tessera-rt/Registry.h"
#include "tessera/ABI/KernelABI.h"

#include <algorithm>

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
      blocks.push_back(abi::numElements(kernel.grid));
    return Status::success();
  }

  Status launch(const Launch &launch) override {
    auto kernel =
        reinterpret_cast<abi::CpuKernel>(objects.functions[launch.kernel]);
    int64_t perDevice = blocks[launch.kernel];
    options.pool->parallelFor(
        perDevice * options.count, 1, [&](int64_t begin, int64_t end) {
          while (begin < end) {
            int64_t device = begin / perDevice;
            int64_t base = device * perDevice;
            int64_t stop = std::min(end, base + perDevice);
            kernel(launch.args[device], begin - base, stop - base);
            begin = stop;
          }
        });
    return Status::success();
  }

private:
  DeviceOptions options;
  KernelObjects objects;
  std::vector<int64_t> blocks; ///< Per kernel.
};

} // namespace

Result<std::unique_ptr<Device>>
tessera::rt::createCpuDevice(const DeviceOptions &options) {
  return std::unique_ptr<Device>(std::make_unique<CpuDevice>(options));
}
