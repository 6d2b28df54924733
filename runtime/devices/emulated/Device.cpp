// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Runs cuda kernels on the host, one fiber per CUDA thread, and checks them.
#include "BlockEmulator.h"
#include "tessera-rt/KernelObjects.h"
#include "tessera-rt/Registry.h"

#include <algorithm>
#include <utility>

using namespace tessera;
using namespace tessera::rt;

namespace {

class EmulatedDevice final : public HostMemoryDevice {
public:
  explicit EmulatedDevice(const DeviceOptions &options) : options(options) {}

  const char *name() const override { return "emulated"; }
  bool accepts(const std::string &target) const override {
    return target == "emulated" || target.rfind("emulated:", 0) == 0;
  }

  Status load(const abi::Artefact &artefact) override {
    Result<KernelObjects> loaded = KernelObjects::load(artefact);
    if (!loaded.ok())
      return loaded.status();
    objects = std::move(*loaded);
    kernels = artefact.plan.kernels;
    traffic.resize(kernels.size());
    for (size_t i = 0; i < objects.objects.size(); ++i) {
      void *slot = objects.objects[i].find(TESSERA_EMU_TABLE);
      if (!slot)
        return Status::error(
            "object " + std::to_string(i) + " of the artefact has no symbol '" +
            TESSERA_EMU_TABLE +
            "': it was not compiled for emulation; compile the program again "
            "for an emulated target");
      *static_cast<const TesseraEmuTable **>(slot) =
          &emulated::BlockEmulator::table();
    }
    return Status::success();
  }

  Status launch(const Launch &launch) override {
    const abi::Kernel &kernel = kernels[launch.kernel];
    emulated::EmulatedLaunch work;
    work.name = kernel.name;
    work.kernel =
        reinterpret_cast<abi::EmulatedKernel>(objects.functions[launch.kernel]);
    std::copy(kernel.grid.begin(), kernel.grid.end(), work.grid);
    work.threads = kernel.threads;
    work.sharedBytes = kernel.sharedBytes;
    if (options.profile)
      work.traffic = &traffic[launch.kernel];
    for (int device : *launch.devices) {
      work.buffers.clear();
      for (size_t i = 0; i < launch.bytes->size(); ++i)
        work.buffers.push_back({static_cast<char *>(launch.args[device][i]),
                                (*launch.bytes)[i],
                                static_cast<int64_t>(i) >= kernel.numInputs});
      std::string fault = emulated::runEmulated(work, *options.pool);
      if (!fault.empty())
        return Status::error(fault).in("device " + std::to_string(device));
    }
    return Status::success();
  }

  std::vector<KernelTraffic> takeTraffic() override {
    return std::exchange(traffic, std::vector<KernelTraffic>(kernels.size()));
  }

private:
  DeviceOptions options;
  KernelObjects objects;
  std::vector<abi::Kernel> kernels;
  std::vector<KernelTraffic> traffic; ///< By kernel.
};

} // namespace

Result<std::unique_ptr<Device>>
tessera::rt::createEmulatedDevice(const DeviceOptions &options) {
  return std::unique_ptr<Device>(std::make_unique<EmulatedDevice>(options));
}
