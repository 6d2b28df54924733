// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Calls of functions, and marks for differentiation.
#ifndef TESSERA_DIALECTS_TESSERA_IR_CALLS_H
#define TESSERA_DIALECTS_TESSERA_IR_CALLS_H

#include "dialects/Tessera/IR/Tessera.h"

#include "mlir/IR/IRMapping.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#define GET_OP_CLASSES
#include "dialects/Tessera/IR/CallOps.h.inc"

namespace tessera {

/// What a backward pass keeps of a call, by its attribute `checkpoint`.
struct CheckpointPolicy {
  enum class Kind {
    Everything, ///< What derivatives need, as without a policy.
    Nothing,    ///< Only what the call takes, and results that others use.
    Dots,       ///< Results of contractions, too.
    PlainDots,  ///< Of those without batch dimensions.
    Names,      ///< Values that tessera.checkpoint_name calls so, too.
    NotNames,   ///< All but values that tessera.checkpoint_name calls so.
    Budget,     ///< No more bytes than that, so that least is computed again.
  };
  Kind kind = Kind::Everything;
  llvm::SmallVector<llvm::StringRef> names;
  int64_t bytes = 0;

  /// Nullopt where `text` is no policy.
  static std::optional<CheckpointPolicy> parse(llvm::StringRef text);
};

/// Copies of the ops of `function`, inserted by `builder`, with `arguments` in
/// place of its own; returns what it would return.
llvm::SmallVector<mlir::Value> cloneBody(mlir::FunctionOpInterface function,
                                         mlir::ValueRange arguments,
                                         mlir::OpBuilder &builder);

/// The function that `op` calls `name`; an error where it has no body. `from`
/// is in the module, where `op` is not.
llvm::FailureOr<mlir::FunctionOpInterface>
findCallee(mlir::Operation *op, mlir::FlatSymbolRefAttr name,
           mlir::Operation *from = nullptr);

/// An error where a function calls itself, or one that calls it, below `root`.
mlir::LogicalResult verifyNotRecursive(mlir::Operation *root);

/// Says that the tangents of a call are not known, as they are in reverse mode
/// only.
mlir::LogicalResult refuseForwardMode(CustomTangentOp op);

/// Replaces the calls below `root` that `isWanted` accepts, and those that come
/// in with their callees, by the callees' ops. An error where a function calls
/// itself.
mlir::LogicalResult inlineCalls(mlir::Operation *root,
                                llvm::function_ref<bool(CallOp)> isWanted);

} // namespace tessera

#endif // TESSERA_DIALECTS_TESSERA_IR_CALLS_H
