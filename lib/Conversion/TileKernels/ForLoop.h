// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The one way that emitters make a loop.
#ifndef TESSERA_LIB_CONVERSION_TILEKERNELS_FORLOOP_H
#define TESSERA_LIB_CONVERSION_TILEKERNELS_FORLOOP_H

#include "mlir/Dialect/SCF/IR/SCF.h"

namespace tessera {

/// Emits the body of a loop, given the index and the carried values; returns
/// what the next iteration carries.
using LoopBody = llvm::function_ref<llvm::SmallVector<mlir::Value>(
    mlir::Value, mlir::ValueRange)>;

struct LoopRange {
  mlir::Value begin, end, step;
};

/// An scf.for over `range` that carries `inits`; returns its results. The
/// builder stays where it is.
llvm::SmallVector<mlir::Value> emitForLoop(mlir::OpBuilder &builder,
                                           mlir::Location loc, LoopRange range,
                                           mlir::ValueRange inits,
                                           LoopBody body);

} // namespace tessera

#endif // TESSERA_LIB_CONVERSION_TILEKERNELS_FORLOOP_H
