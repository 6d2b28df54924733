// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// LLVM's optimisation pipeline, as all targets run it.
#ifndef TESSERA_LIB_TARGET_OPTIMIZEMODULE_H
#define TESSERA_LIB_TARGET_OPTIMIZEMODULE_H

namespace llvm {
class Module;
class TargetMachine;
} // namespace llvm

namespace tessera {

/// What the pipeline does with loops and straight code: vectorise and unroll
/// them, or neither.
enum class LoopTransforms { All, None };

/// Runs the default pipeline of `level`, 1 to 3, for `machine`.
void optimizeModule(llvm::Module &module, llvm::TargetMachine &machine,
                    unsigned level,
                    LoopTransforms transforms = LoopTransforms::All);

} // namespace tessera

#endif // TESSERA_LIB_TARGET_OPTIMIZEMODULE_H
