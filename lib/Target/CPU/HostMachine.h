// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Target machines of LLVM for the CPUs that kernels are compiled for.
#ifndef TESSERA_LIB_TARGET_CPU_HOSTMACHINE_H
#define TESSERA_LIB_TARGET_CPU_HOSTMACHINE_H

#include "tessera/Target/CPU.h"

#include "llvm/IR/Module.h"
#include "llvm/Target/TargetMachine.h"
#include <memory>

namespace tessera {

/// Emits position-independent code for `cpu`. Not to be shared by threads.
std::unique_ptr<llvm::TargetMachine>
createHostMachine(const CPUDescription &cpu, unsigned optLevel);

/// Makes every function of `module` use what `cpu` has and no more.
void applyCPU(llvm::Module &module, const CPUDescription &cpu,
              const llvm::TargetMachine &machine);

} // namespace tessera

#endif // TESSERA_LIB_TARGET_CPU_HOSTMACHINE_H
