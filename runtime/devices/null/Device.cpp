// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Runs no kernels, for any target: shows what a program costs around them, and
// that its plan holds together. Results are whatever the memory held.
#include "tessera-rt/Registry.h"

using namespace tessera;
using namespace tessera::rt;

namespace {

class NullDevice final : public HostMemoryDevice {
public:
  const char *name() const override { return "null"; }
  bool computes() const override { return false; }
  bool accepts(const std::string &target) const override { return true; }
  Status load(const abi::Artefact &artefact) override {
    return Status::success();
  }
  Status launch(const Launch &launch) override { return Status::success(); }
};

} // namespace

Result<std::unique_ptr<Device>>
tessera::rt::createNullDevice(const DeviceOptions &options) {
  return std::unique_ptr<Device>(std::make_unique<NullDevice>());
}
