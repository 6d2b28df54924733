// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// A module of kernels cut into modules that can be compiled side by side.
#ifndef TESSERA_LIB_TARGET_CPU_SPLITKERNELS_H
#define TESSERA_LIB_TARGET_CPU_SPLITKERNELS_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "llvm/ADT/SmallVector.h"

namespace tessera {

/// Modules that define together what `module` does and that can be compiled
/// apart: one per function of external linkage, in order, each with its own
/// copy of the private symbols that it uses. Globals of external linkage are
/// defined in the first, which exists always.
llvm::SmallVector<mlir::OwningOpRef<mlir::ModuleOp>>
splitKernels(mlir::ModuleOp module);

} // namespace tessera

#endif // TESSERA_LIB_TARGET_CPU_SPLITKERNELS_H
