// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// What the CPU of this machine can execute.
#ifndef TESSERA_RT_HOSTCPU_H
#define TESSERA_RT_HOSTCPU_H

#include "tessera-rt/Status.h"
#include "tessera/ABI/PlanFormat.h"

#include <string>
#include <vector>

namespace tessera::rt {

struct HostCpu {
  std::string architecture; ///< "x86_64", "aarch64"; empty for others.
  /// Names in tessera/ABI/CpuFeatures.h.
  std::vector<std::string> features;

  bool has(const std::string &feature) const;
};

/// This machine's, with what its system supports.
const HostCpu &hostCpu();

/// Fails when the host objects of `plan` use instructions that `cpu` lacks.
Status checkCpu(const abi::Plan &plan, const HostCpu &cpu);

} // namespace tessera::rt

#endif // TESSERA_RT_HOSTCPU_H
