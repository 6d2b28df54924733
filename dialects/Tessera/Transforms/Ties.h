// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Arguments of a function whose memory a result takes.
#ifndef TESSERA_DIALECTS_TESSERA_TRANSFORMS_TIES_H
#define TESSERA_DIALECTS_TESSERA_TRANSFORMS_TIES_H

#include "dialects/Tessera/IR/Tessera.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace tessera {

/// Argument attribute: the index of the result that the argument is tied to.
inline constexpr llvm::StringLiteral tiedAttrName = "tessera.tied";

struct Tie {
  unsigned argument, result;
};

/// The ties of a function, in the order of its arguments. An error where there
/// is no such result, where its shape or element type is another, or where two
/// arguments are tied to one result.
llvm::FailureOr<llvm::SmallVector<Tie>> findTies(mlir::func::FuncOp function);

} // namespace tessera

#endif // TESSERA_DIALECTS_TESSERA_TRANSFORMS_TIES_H
