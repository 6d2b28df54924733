// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Derivatives of attention. Forward mode is formulas on all scores. Reverse
// mode keeps of the scores the logarithm of each row's sum of exponentials, and
// computes the rest again (Dao, FlashAttention-2, ICLR 2024).
#include "Rules.h"
#include "dialects/Tessera/IR/OpFormulas.h"

using namespace mlir;
using namespace tessera;
using namespace tessera::derivatives;

using Build = FormulaBuilder;
using dist::ReductionKind;

//===----------------------------------------------------------------------===//
// Formulas on all scores
//===----------------------------------------------------------------------===//

/// Changes of the scores [B,K,G,S,T], with G query heads to each of K key
/// heads; null where they do not change. `op` is attention or
/// attention_logsumexp, `weights` the softmax of its scores.
template <typename Op>
static Value tangentOfScores(Op op, Value weights, Tangents &t) {
  Type wide = wideTypeOf(op.getQuery());
  SmallVector<int64_t> shape(shapeOf(weights));
  int64_t batch = shape[0], groups = shape[1], perGroup = shape[2],
          queries = shape[3], keys = shape[4];
  auto grouped = [&](Build &b, Value query) {
    return b.reshape(b.convert(query, wide), {batch, queries, groups, perGroup,
                                              shapeOf(op.getQuery())[3]});
  };
  Build &b = t.primal, &l = t.linear;
  Value scores;
  if (Value dq = t.of(op.getQuery()))
    scores = l.contract(grouped(l, dq), b.convert(op.getKey(), wide),
                        "bskgd,btkd->bkgst");
  if (Value dk = t.of(op.getKey()))
    scores =
        t.sum(scores, l.contract(grouped(b, op.getQuery()), l.convert(dk, wide),
                                 "bskgd,btkd->bkgst"));
  if (scores)
    scores = l.create<MulOp>(
        scores, b.numberLike(op.getScale().convertToDouble(), weights));
  if (Value dBias = op.getBias() ? t.of(op.getBias()) : Value()) {
    Value whole =
        l.broadcast(l.convert(dBias, wide),
                    {batch, groups * perGroup, queries, keys}, {0, 1, 2, 3});
    scores = t.sum(scores, l.reshape(whole, shape));
  }
  return scores;
}

/// The mean of the changes of each row's scores, [B,K,G,S].
static Value meanOfRows(Build &l, Value scores, Value weights) {
  return l.reduce(ReductionKind::sum, l.create<MulOp>(scores, weights), 4);
}

/// With weights w: dw = w (ds - sum(w ds)), where ds are the tangents of the
/// scores, and the result is the product of w and the values.
static void differentiateByFormula(AttentionOp op, Tangents &t) {
  Type wide = wideTypeOf(op.getQuery());
  Value weights = writeAttentionWeights(op, t.getPrimalBuilder());
  ArrayRef<int64_t> shape = shapeOf(weights);
  Build &b = t.primal, &l = t.linear;
  Value sum;
  if (Value scores = tangentOfScores(op, weights, t)) {
    Value mean = meanOfRows(l, scores, weights);
    Value change = l.create<MulOp>(
        l.create<SubOp>(scores, l.repeat(mean, shape, 4)), weights);
    sum =
        l.contract(change, b.convert(op.getValue(), wide), "bkgst,btke->bskge");
  }
  if (Value dv = t.of(op.getValue()))
    sum = t.sum(sum,
                l.contract(weights, l.convert(dv, wide), "bkgst,btke->bskge"));
  sum = l.reshape(sum, shapeOf(op));
  t.set(op, l.convert(sum, getElementTypeOrSelf(op.getType())));
}

/// The mean of the changes of the scores, in rows without a visible key zero.
static void differentiateLogsumexp(AttentionLogsumexpOp op, Tangents &t) {
  Value weights = writeAttentionWeights(op, t.getPrimalBuilder());
  Value scores = tangentOfScores(op, weights, t);
  t.set(op,
        t.linear.reshape(meanOfRows(t.linear, scores, weights), shapeOf(op)));
}

//===----------------------------------------------------------------------===//
// Reverse mode
//===----------------------------------------------------------------------===//

/// The tangent is an op of its own, which only the transposed program is made
/// of.
static void standForTangent(AttentionOp op, Tangents &t) {
  Value logsumexp = t.primal.create<AttentionLogsumexpOp>(
      op.getQuery(), op.getKey(), op.getBias(), op.getScaleAttr(),
      op.getCausalAttr());
  Type type = t.linear.typeOf(shapeOf(op), getElementTypeOrSelf(op.getType()));
  t.set(op, AttentionTangentOp::create(
                t.getLinearBuilder(), op.getLoc(), type, op.getQuery(),
                op.getKey(), op.getValue(), op, logsumexp, op.getBias(),
                t.of(op.getQuery()), t.of(op.getKey()), t.of(op.getValue()),
                op.getScaleAttr(), op.getCausalAttr()));
}

static void differentiateAttention(AttentionOp op, Tangents &t) {
  // The gradient of a bias is as large as the scores, where it has all of their
  // dimensions.
  bool hasBiasTangent = op.getBias() && t.of(op.getBias());
  if (t.getLinearizer().isForTransposing() && !hasBiasTangent)
    return standForTangent(op, t);
  differentiateByFormula(op, t);
}

static void transposeAttention(AttentionTangentOp op, Cotangents &c) {
  Build &b = c.build;
  Type wide = wideTypeOf(op.getQuery());
  Value cotangent = c.of(op);
  Value output = b.convert(c.residual(op.getOutput()), wide);
  Value mean = b.reduce(ReductionKind::sum,
                        b.create<MulOp>(b.convert(cotangent, wide), output), 3);
  mean = b.transpose(mean, {0, 2, 1});
  Value query = c.residual(op.getQuery()), key = c.residual(op.getKey()),
        value = c.residual(op.getValue()),
        logsumexp = c.residual(op.getLogsumexp()),
        bias = op.getBias() ? c.residual(op.getBias()) : Value();
  auto add = [&](AttentionOperand of, Value tangent) {
    if (!tangent)
      return;
    auto which = AttentionOperandAttr::get(op.getContext(), of);
    Value gradient = b.create<AttentionGradientOp>(
        which, query, key, value, logsumexp, mean, cotangent, bias,
        op.getScaleAttr(), op.getCausalAttr());
    c.add(tangent, b.convert(gradient, getElementTypeOrSelf(op.getType())));
  };
  add(AttentionOperand::query, op.getQueryTangent());
  add(AttentionOperand::key, op.getKeyTangent());
  add(AttentionOperand::value, op.getValueTangent());
}

void tessera::derivatives::addAttentionRules(DerivativeRules &rules) {
  rules.jvp<AttentionOp>(differentiateAttention);
  rules.jvp<AttentionLogsumexpOp>(differentiateLogsumexp);
  // Second derivatives hold the scores.
  rules.jvp<AttentionGradientOp>([](AttentionGradientOp op, Tangents &t) {
    return t.getLinearizer().runFormula(op);
  });
  rules.refuse<AttentionTangentOp>("only its transpose is computed");
  rules.transpose<AttentionTangentOp>(transposeAttention);
}
