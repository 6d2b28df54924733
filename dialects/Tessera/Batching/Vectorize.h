// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Functions of one entry made functions of a batch of them, by a rule per op.
#ifndef TESSERA_DIALECTS_TESSERA_BATCHING_VECTORIZE_H
#define TESSERA_DIALECTS_TESSERA_BATCHING_VECTORIZE_H

#include "dialects/Tessera/IR/Tessera.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace tessera {

struct BatchOptions {
  int64_t size = 1; ///< Entries of the batch.
  /// Axes that split the batch where an op states a layout; none: open.
  std::vector<std::string> axes;
};

/// What becomes of a result, which may or may not depend on the entry.
enum class BatchedResult {
  AsComputed, ///< Has the batch if it depends on the entry.
  Batched,    ///< Has it, repeated if need be.
  Summed,     ///< Is summed over the entries, if it has the batch.
};

struct BatchedFunction {
  /// (arguments, those that are batched with the batch as first dimension) to
  /// the results, likewise.
  mlir::func::FuncOp function;
  llvm::SmallVector<bool> results; ///< Which have the batch.
  /// Further functions that were made: of the calls whose rules are kept.
  llvm::SmallVector<mlir::func::FuncOp> called;
};

/// Adds a private function `prefix` beside `function`, which computes it for
/// each entry of a batch of the arguments that `arguments` marks. Functions
/// that it calls are called `<prefix>.<number>`.
llvm::FailureOr<BatchedFunction> makeBatched(mlir::func::FuncOp function,
                                             llvm::ArrayRef<bool> arguments,
                                             BatchedResult results,
                                             const BatchOptions &options,
                                             llvm::StringRef prefix);

} // namespace tessera

#endif // TESSERA_DIALECTS_TESSERA_BATCHING_VECTORIZE_H
