// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// What an op with regions computes of given values.
#ifndef TESSERA_DIALECTS_TESSERA_IR_DEPENDENTS_H
#define TESSERA_DIALECTS_TESSERA_IR_DEPENDENTS_H

#include "mlir/IR/Operation.h"
#include "llvm/ADT/DenseSet.h"

namespace tessera {

/// How values depend on others.
enum class Dependence {
  Data,    ///< They are computed from them.
  Control, ///< Or they come out of a region that these chose.
};

/// `values`, and the values of `op` and its regions that depend on them,
/// through all iterations. `canDepend` says of a value that an op makes from
/// them, or lets them flow to, whether it counts.
llvm::DenseSet<mlir::Value> findDependents(
    mlir::Operation *op, llvm::DenseSet<mlir::Value> values,
    Dependence dependence,
    llvm::function_ref<bool(mlir::Operation *, mlir::Value)> canDepend);

} // namespace tessera

#endif // TESSERA_DIALECTS_TESSERA_IR_DEPENDENTS_H
