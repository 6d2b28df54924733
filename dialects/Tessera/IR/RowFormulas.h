// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The ops of RowOps.td as formulas of simpler ones, and what their derivatives
// share with these.
#ifndef TESSERA_DIALECTS_TESSERA_IR_ROWFORMULAS_H
#define TESSERA_DIALECTS_TESSERA_IR_ROWFORMULAS_H

#include "dialects/Tessera/IR/FormulaBuilder.h"

namespace tessera {

/// As writeFormula (OpFormulas.h), of cross_entropy, logsumexp and
/// norm_tangent.
mlir::Value writeRowFormula(mlir::Operation *op, mlir::OpBuilder &builder);

/// [..., V]: whether a logit is the one of its row's label.
mlir::Value isOfLabel(FormulaBuilder &f, CrossEntropyOp op);
/// [...]: whether the result of a row depends on its logits.
mlir::Value dependsOnLogits(FormulaBuilder &f, CrossEntropyOp op);

/// The mean of each row of the last dimension.
mlir::Value meanOfRows(FormulaBuilder &f, mlir::Value x);
/// One value a row, for each element of the rows of `like`.
mlir::Value overRows(FormulaBuilder &f, mlir::Value row, mlir::Value like);
/// 1 / sqrt(mean of squares + epsilon) of each row.
mlir::Value rateOfRows(FormulaBuilder &f, mlir::Value x, double epsilon);

} // namespace tessera

#endif // TESSERA_DIALECTS_TESSERA_IR_ROWFORMULAS_H
