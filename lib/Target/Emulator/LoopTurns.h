// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Counts the turns of a function's loops, in the function itself.
#ifndef TESSERA_LIB_TARGET_EMULATOR_LOOPTURNS_H
#define TESSERA_LIB_TARGET_EMULATOR_LOOPTURNS_H

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/Builders.h"
#include "llvm/ADT/DenseMap.h"

namespace tessera {

class LoopTurns {
public:
  /// Adds a counter to every loop of `function`, whose blocks stay as they are
  /// afterwards.
  LoopTurns(mlir::LLVM::LLVMFuncOp function, mlir::OpBuilder &builder);

  /// At the builder's place, the turns that the innermost loop around it has
  /// done since it was entered; 0 outside of loops. An i32.
  mlir::Value at(mlir::OpBuilder &builder, mlir::Location loc) const;

private:
  /// Addresses of counters, by the blocks whose innermost loop they count.
  llvm::DenseMap<mlir::Block *, mlir::Value> counters;
};

} // namespace tessera

#endif // TESSERA_LIB_TARGET_EMULATOR_LOOPTURNS_H
