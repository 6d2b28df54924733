// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Derivatives of ops on whole rows: the norms, log-sum-exp and cross entropy.
// They are formed in f32, or f64 for f64, as the ops are. Of a row no more than
// a few numbers are kept; what a backward pass needs of its elements, it
// computes again from the op's own operand.
#include "Rules.h"
#include "dialects/Tessera/IR/RowFormulas.h"

using namespace mlir;
using namespace tessera;
using namespace tessera::derivatives;

using Build = FormulaBuilder;
using dist::ReductionKind;

//===----------------------------------------------------------------------===//
// Norms
//===----------------------------------------------------------------------===//

/// Rows as a norm scales them, and 1 / sqrt(variance + epsilon), one a row.
namespace {
struct NormalRows {
  Value normal, rate;
};
} // namespace

static NormalRows normalRows(Build &b, Value input, Type wide, double epsilon,
                             bool isCentred) {
  Value x = b.convert(input, wide);
  if (isCentred)
    x = b.create<SubOp>(x, overRows(b, meanOfRows(b, x), x));
  Value rate = rateOfRows(b, x, epsilon);
  return {b.create<MulOp>(x, overRows(b, rate, x)), rate};
}

static Value normTangent(Build &b, Value change, Value input, FloatAttr epsilon,
                         bool isCentred) {
  return b.create<NormTangentOp>(change, input, epsilon,
                                 isCentred ? UnitAttr::get(epsilon.getContext())
                                           : UnitAttr());
}

/// normal * scale [+ bias], where each of the three may have a tangent.
template <typename Norm>
static void differentiateNorm(Norm op, Value bias, Tangents &t) {
  constexpr bool isCentred = std::is_same_v<Norm, LayerNormOp>;
  Type wide = wideTypeOf(op);
  ArrayRef<int64_t> shape = shapeOf(op);
  int64_t last = static_cast<int64_t>(shape.size()) - 1;
  Build &b = t.primal, &l = t.linear;
  auto spread = [&](Build &build, Value column) {
    return build.broadcast(build.convert(column, wide), shape, {last});
  };
  Value sum;
  if (Value dx = t.of(op.getInput()))
    sum = l.create<MulOp>(normTangent(l, l.convert(dx, wide), op.getInput(),
                                      op.getEpsilonAttr(), isCentred),
                          spread(b, op.getScale()));
  if (Value dScale = t.of(op.getScale())) {
    NormalRows rows = normalRows(b, op.getInput(), wide,
                                 op.getEpsilon().convertToDouble(), isCentred);
    sum = t.sum(sum, l.create<MulOp>(spread(l, dScale), rows.normal));
  }
  if (Value dBias = bias ? t.of(bias) : Value())
    sum = t.sum(sum, spread(l, dBias));
  t.set(op, l.convert(sum, getElementTypeOrSelf(op.getType())));
}

/// T(d) = r (d - mean(d) - n mean(n d)) is linear in d. With dx the change of
/// the rows, r changes by -r^2 mean(n dx) and n by T(dx), so that T(d) does by
/// -r (mean(n dx) T(d) + mean(n d) T(dx) + mean(T(dx) d) n).
static void differentiateNormTangent(NormTangentOp op, Tangents &t) {
  Type wide = wideTypeOf(op);
  Build &b = t.primal, &l = t.linear;
  Value sum;
  if (Value change = t.of(op.getChange()))
    sum = l.convert(normTangent(l, change, op.getInput(), op.getEpsilonAttr(),
                                op.getCentred()),
                    wide);
  if (Value given = t.of(op.getInput())) {
    NormalRows rows =
        normalRows(b, op.getInput(), wide, op.getEpsilon().convertToDouble(),
                   op.getCentred());
    Value rate = overRows(b, rows.rate, rows.normal);
    Value d = b.convert(op.getChange(), wide);
    auto scaled = [&](Value x) { return b.create<MulOp>(x, rate); };
    auto times = [&](Value dRow, Value x) {
      return l.create<MulOp>(overRows(l, dRow, x), scaled(x));
    };
    Value dx = l.convert(given, wide);
    Value dNormal =
        normTangent(l, dx, op.getInput(), op.getEpsilonAttr(), op.getCentred());
    Value along = overRows(b, meanOfRows(b, b.create<MulOp>(rows.normal, d)),
                           rows.normal);
    Value less = times(meanOfRows(l, l.create<MulOp>(dx, rows.normal)),
                       b.convert(op, wide));
    less = l.create<AddOp>(less, l.create<MulOp>(dNormal, scaled(along)));
    less = l.create<AddOp>(
        less, times(meanOfRows(l, l.create<MulOp>(dNormal, d)), rows.normal));
    sum = t.sum(sum, l.create<NegOp>(less));
  }
  t.set(op, l.convert(sum, getElementTypeOrSelf(op.getType())));
}

//===----------------------------------------------------------------------===//
// logsumexp, cross_entropy
//===----------------------------------------------------------------------===//

/// exp(x - total), the softmax of rows whose log-sum-exp is `total`.
static Value softmaxOf(Build &b, Value x, Value total, int64_t dim) {
  return b.create<ExpOp>(b.create<SubOp>(x, b.repeat(total, shapeOf(x), dim)));
}

/// The sum of dx * slope along `dim`.
static void setSlope(Value result, Value input, Value slope, int64_t dim,
                     Tangents &t) {
  Build &l = t.linear;
  Value dx = l.convert(t.of(input), wideTypeOf(input));
  t.set(result, l.reduce(ReductionKind::sum, l.create<MulOp>(dx, slope), dim));
}

static void differentiateLogsumexp(LogsumexpOp op, Tangents &t) {
  auto dim = static_cast<int64_t>(op.getDim());
  Value x = t.primal.convert(op.getInput(), wideTypeOf(op));
  setSlope(op, op.getInput(), softmaxOf(t.primal, x, op, dim), dim, t);
}

/// With p the softmax, w the wanted weights and z the factor of lse^2, the
/// slope is p (1 + 2 z lse) - w, and zero in rows that do not depend on their
/// logits.
static void differentiateCrossEntropy(CrossEntropyOp op, Tangents &t) {
  Build &b = t.primal;
  Type wide = wideTypeOf(op);
  ArrayRef<int64_t> shape = shapeOf(op.getLogits());
  auto last = static_cast<int64_t>(shape.size()) - 1;
  double smoothing = op.getSmoothing().convertToDouble(),
         zLoss = op.getZLoss().convertToDouble();
  double shared = smoothing / static_cast<double>(shape.back());
  Value total = b.create<LogsumexpOp>(
      op.getLogits(),
      IntegerAttr::get(IntegerType::get(op.getContext(), 64), last));
  Value x = b.convert(op.getLogits(), wide);
  Value slope = softmaxOf(b, x, total, last);
  if (zLoss != 0) {
    Value factor =
        b.create<AddOp>(b.create<MulOp>(total, b.numberLike(2 * zLoss, total)),
                        b.numberLike(1, total));
    slope = b.create<MulOp>(slope, overRows(b, factor, slope));
  }
  Value wanted =
      b.select(isOfLabel(b, op), b.numberLike(1 - smoothing + shared, slope),
               b.numberLike(shared, slope));
  slope = b.create<SubOp>(slope, wanted);
  slope = b.select(overRows(b, dependsOnLogits(b, op), slope), slope,
                   b.numberLike(0, slope));
  setSlope(op, op.getLogits(), slope, last, t);
}

void tessera::derivatives::addRowRules(DerivativeRules &rules) {
  rules.jvp<LayerNormOp>([](LayerNormOp op, Tangents &t) {
    differentiateNorm(op, op.getBias(), t);
  });
  rules.jvp<RmsNormOp>(
      [](RmsNormOp op, Tangents &t) { differentiateNorm(op, Value(), t); });
  rules.jvp<NormTangentOp>(differentiateNormTangent);
  // Its own transposed map.
  rules.transpose<NormTangentOp>([](NormTangentOp op, Cotangents &c) {
    c.add(op.getChange(),
          normTangent(c.build, c.of(op), c.residual(op.getInput()),
                      op.getEpsilonAttr(), op.getCentred()));
  });
  rules.jvp<LogsumexpOp>(differentiateLogsumexp);
  rules.jvp<CrossEntropyOp>(differentiateCrossEntropy);
}
