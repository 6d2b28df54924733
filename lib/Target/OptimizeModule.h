// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// LLVM's optimisation pipeline, as all targets run it.
#ifndef TESSERA_LIB_TARGET_OPTIMIZEMODULE_H
#define TESSERA_LIB_TARGET_OPTIMIZEMODULE_H

#include "llvm/Passes/PassBuilder.h"
#include "llvm/Target/TargetMachine.h"

namespace tessera {

/// Runs the default pipeline of `level`, 1 to 3, for `machine`.
void optimizeModule(llvm::Module &module, llvm::TargetMachine &machine,
                    unsigned level, llvm::PipelineTuningOptions tuning = {});

} // namespace tessera

#endif // TESSERA_LIB_TARGET_OPTIMIZEMODULE_H
