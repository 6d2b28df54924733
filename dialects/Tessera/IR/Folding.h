// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// What the folds of the op families share.
#ifndef TESSERA_DIALECTS_TESSERA_IR_FOLDING_H
#define TESSERA_DIALECTS_TESSERA_IR_FOLDING_H

#include "dialects/Tessera/IR/Tessera.h"

#include "mlir/IR/PatternMatch.h"

namespace tessera {

/// Whether a value of this type may disappear: a layout that someone asked for
/// must not get lost.
bool isDroppable(mlir::Type type);

/// Whether `type` can be that of a constant: every device then holds elements
/// of the logical value, not terms of a sum.
bool canBeConstant(mlir::Type type);

/// `attr`, where it is a splat, in the shape of `type`; else null.
mlir::Attribute reshapeSplat(mlir::Attribute attr, mlir::Type type);

/// A constant of `type` whose elements are all `value`; null for types that are
/// no constant's.
mlir::Attribute splatOf(mlir::Type type, int64_t value);

/// The value of an elementwise op, including compare, select and convert, whose
/// operands are all splats; null where they are not, where the result is not
/// defined (integer division by zero), or where it could differ by rounding
/// from what a kernel computes (exp, tanh, ...).
mlir::Attribute foldSplats(mlir::Operation *op,
                           llvm::ArrayRef<mlir::Attribute> constants);

/// x + 0, x - 0, x * 1, x / 1, x ^ 1, x and true, x or false, max(x, x), -(-x),
/// ||x|| and the like: an operand where its type, layout included, is the
/// result's. Of integers and truth values also x - x, x * 0, x and false.
/// All-splat operands give a constant.
mlir::OpFoldResult foldElementwise(mlir::Operation *op,
                                   llvm::ArrayRef<mlir::Attribute> constants);

/// Adds the rewrites of ops that move or repeat elements.
void addShapeCanonicalizations(mlir::RewritePatternSet &patterns);

/// Adds the rewrites of loops and conditionals.
void addControlCanonicalizations(mlir::RewritePatternSet &patterns);

/// Puts the initial value in the place of each carried value that every
/// iteration of a loop passes on as it is; whether there was one.
bool captureUnchanged(DataFlowInterface loop, mlir::RewriterBase &rewriter);

/// Whether converting from `from` to `through` and back gives every element
/// again: `through` then holds the very numbers of `from`.
bool isExactRoundTrip(mlir::Type from, mlir::Type through);

} // namespace tessera

#endif // TESSERA_DIALECTS_TESSERA_IR_FOLDING_H
