// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Derivatives of functions on whole tensors. Algorithm: forward mode by a rule
// per op, reverse mode as its linear part transposed (Radul et al., You only
// linearize once, POPL 2023).
#ifndef TESSERA_DIALECTS_TESSERA_DERIVATIVES_DIFFERENTIATE_H
#define TESSERA_DIALECTS_TESSERA_DERIVATIVES_DIFFERENTIATE_H

#include "dialects/Tessera/IR/Tessera.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace tessera {

/// Where a function on tangents or cotangents has a value from.
struct ResidualSource {
  enum class Kind {
    Argument, ///< An argument of the function.
    Result,   ///< A result of it.
    Kept,     ///< A further result of the forward function.
  };
  Kind kind = Kind::Argument;
  unsigned number = 0;
};

/// Which results are differentiated by which arguments. Others have neither
/// tangents nor cotangents, so that nothing is computed for them.
struct Differentiated {
  llvm::SmallVector<unsigned> arguments, results; ///< Of floats.
};

/// The numbers of the results of floats.
llvm::SmallVector<unsigned> floatResults(mlir::func::FuncOp function);

/// A function in two steps: values first, then derivatives.
struct DerivativeFunctions {
  /// The function's arguments to its results, then what is kept.
  mlir::func::FuncOp forward;
  /// vjp: (residuals..., cotangents of the results...) to the
  /// cotangents of the arguments. linearize: (residuals..., tangents of the
  /// arguments...) to the tangents of the results.
  mlir::func::FuncOp derivative;
  llvm::SmallVector<ResidualSource> residuals;
};

/// Adds private functions `<prefix>.fwd` and `<prefix>.bwd` beside `function`.
llvm::FailureOr<DerivativeFunctions> makeVjp(mlir::func::FuncOp function,
                                             const Differentiated &wanted,
                                             llvm::StringRef prefix);

/// Adds `<prefix>.fwd` and `<prefix>.lin`.
llvm::FailureOr<DerivativeFunctions>
makeLinearized(mlir::func::FuncOp function, const Differentiated &wanted,
               llvm::StringRef prefix);

/// Adds `<prefix>.jvp`: (arguments..., tangents of those wanted...) to all
/// results and then the tangents of those wanted.
llvm::FailureOr<mlir::func::FuncOp> makeJvp(mlir::func::FuncOp function,
                                            const Differentiated &wanted,
                                            llvm::StringRef prefix);

} // namespace tessera

#endif // TESSERA_DIALECTS_TESSERA_DERIVATIVES_DIFFERENTIATE_H
