// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tessera-rt/KernelObjects.h"
#include "tessera-rt/HostCpu.h"

using namespace tessera;
using namespace tessera::rt;

Result<KernelObjects> KernelObjects::load(const abi::Artefact &artefact) {
  KernelObjects loaded;
  if (artefact.objects.empty() && artefact.plan.kernels.empty())
    return loaded;
  if (Status status = checkCpu(artefact.plan, hostCpu()); !status.ok())
    return status;
  for (const std::string &bytes : artefact.objects) {
    Result<SharedObject> object = SharedObject::load(bytes);
    if (!object.ok())
      return object.status();
    loaded.objects.push_back(std::move(*object));
  }
  for (const abi::Kernel &kernel : artefact.plan.kernels) {
    void *function = loaded.objects[kernel.object].find(kernel.symbol);
    if (!function)
      return Status::error("kernel '" + kernel.name + "': object " +
                           std::to_string(kernel.object) +
                           " of the artefact has no symbol '" + kernel.symbol +
                           "'; compile the program again");
    loaded.functions.push_back(function);
  }
  return loaded;
}
