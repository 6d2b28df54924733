// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Composite ops as formulas of simpler ones.
#ifndef TESSERA_DIALECTS_TESSERA_IR_OPFORMULAS_H
#define TESSERA_DIALECTS_TESSERA_IR_OPFORMULAS_H

#include "dialects/Tessera/IR/Tessera.h"

namespace tessera {

/// The result of `op`, one of attention, attention_gradient,
/// attention_logsumexp, gelu, layer_norm, rms_norm, silu, softmax and those of
/// RowFormulas.h, by contractions, reductions and elementwise ops that
/// `builder` inserts: in f32 and rounded once, in f64 for f64. Null for any
/// other op. A formula for derivatives leaves out what only rounding asks for:
/// the bound of attention_gradient's weights would halve theirs at 1.
mlir::Value writeFormula(mlir::Operation *op, mlir::OpBuilder &builder,
                         bool isForDerivatives = false);

/// The weights of an attention, [B,K,G,S,T] with G query heads to each of K key
/// heads: the softmax of the scores, zeros in rows without a visible key.
mlir::Value writeAttentionWeights(AttentionOp op, mlir::OpBuilder &builder);
mlir::Value writeAttentionWeights(AttentionLogsumexpOp op,
                                  mlir::OpBuilder &builder);

} // namespace tessera

#endif // TESSERA_DIALECTS_TESSERA_IR_OPFORMULAS_H
