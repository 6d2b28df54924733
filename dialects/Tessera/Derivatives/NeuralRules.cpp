// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Derivatives of softmax, the norms and gelu. They are formed in f32, or f64
// for f64, as the ops are.
#include "Rules.h"

#include <cmath>

using namespace mlir;
using namespace tessera;
using namespace tessera::derivatives;

using Build = FormulaBuilder;
using dist::ReductionKind;

/// The type that the op computes in.
static Type wideType(Operation *op) {
  Type type = getElementTypeOrSelf(op->getResult(0).getType());
  return type.isF64() ? type : Type(Float32Type::get(op->getContext()));
}

static Type narrowType(Operation *op) {
  return getElementTypeOrSelf(op->getResult(0).getType());
}

/// The mean of each row; of one value a row, which is all that is kept of it.
static Value meanOf(Build &b, Value x) {
  ArrayRef<int64_t> shape = shapeOf(x);
  Value sum = b.reduce(ReductionKind::sum, x, shape.size() - 1);
  return b.create<MulOp>(sum, b.numberLike(1.0 / shape.back(), sum));
}

/// One value a row, for each element of the rows of `like`.
static Value overRows(Build &b, Value row, Value like) {
  ArrayRef<int64_t> shape = shapeOf(like);
  return b.repeat(row, shape, shape.size() - 1);
}

/// 1 / sqrt(mean of squares + epsilon) of each row.
static Value rateOf(Build &b, Value x, double epsilon) {
  Value square = meanOf(b, b.create<MulOp>(x, x));
  return b.create<RsqrtOp>(
      b.create<AddOp>(square, b.numberLike(epsilon, square)));
}

/// dy = y (dx - sum(y dx))
static void differentiateSoftmax(SoftmaxOp op, Tangents &t) {
  Type wide = wideType(op);
  Value y = t.primal.convert(op, wide);
  Build &l = t.linear;
  Value dx = l.convert(t.of(op.getInput()), wide);
  ArrayRef<int64_t> shape = shapeOf(op);
  Value sum = l.reduce(ReductionKind::sum, l.create<MulOp>(dx, y), op.getDim());
  Value dy = l.create<MulOp>(
      l.create<SubOp>(dx, l.repeat(sum, shape, op.getDim())), y);
  t.set(op, l.convert(dy, narrowType(op)));
}

/// The tangent of normal * scale [+ bias], of which any tangent may be null.
static void finishNorm(Operation *op, Value normal, Value dNormal, Value scale,
                       Value bias, Tangents &t) {
  Type wide = wideType(op);
  ArrayRef<int64_t> shape = shapeOf(op->getResult(0));
  int64_t last = shape.size() - 1;
  Build &l = t.linear;
  Value sum;
  if (dNormal)
    sum = l.create<MulOp>(
        dNormal,
        t.primal.broadcast(t.primal.convert(scale, wide), shape, {last}));
  if (Value dScale = t.of(scale))
    sum = t.sum(
        sum, l.create<MulOp>(
                 l.broadcast(l.convert(dScale, wide), shape, {last}), normal));
  if (Value dBias = bias ? t.of(bias) : Value())
    sum = t.sum(sum, l.broadcast(l.convert(dBias, wide), shape, {last}));
  t.set(op->getResult(0), l.convert(sum, narrowType(op)));
}

/// With r = 1 / sqrt(variance + epsilon) and n = (x - mean) r:
/// dn = r (dx - mean(dx) - n mean(n dx)).
static void differentiateLayerNorm(LayerNormOp op, Tangents &t) {
  Build &b = t.primal;
  Type wide = wideType(op);
  Value x = b.convert(op.getInput(), wide);
  Value centred = b.create<SubOp>(x, overRows(b, meanOf(b, x), x));
  Value rate =
      overRows(b, rateOf(b, centred, op.getEpsilon().convertToDouble()), x);
  Value normal = b.create<MulOp>(centred, rate);
  Value dNormal;
  if (Value given = t.of(op.getInput())) {
    Build &l = t.linear;
    Value dx = l.convert(given, wide);
    Value along = overRows(l, meanOf(l, l.create<MulOp>(dx, normal)), x);
    dNormal = l.create<SubOp>(dx, overRows(l, meanOf(l, dx), x));
    dNormal = l.create<SubOp>(dNormal, l.create<MulOp>(along, normal));
    dNormal = l.create<MulOp>(dNormal, rate);
  }
  finishNorm(op, normal, dNormal, op.getScale(), op.getBias(), t);
}

/// With r = 1 / sqrt(mean(x^2) + epsilon) and n = x r: dn = r (dx - n mean(n
/// dx)).
static void differentiateRmsNorm(RmsNormOp op, Tangents &t) {
  Build &b = t.primal;
  Type wide = wideType(op);
  Value x = b.convert(op.getInput(), wide);
  Value rate = overRows(b, rateOf(b, x, op.getEpsilon().convertToDouble()), x);
  Value normal = b.create<MulOp>(x, rate);
  Value dNormal;
  if (Value given = t.of(op.getInput())) {
    Build &l = t.linear;
    Value dx = l.convert(given, wide);
    Value along = overRows(l, meanOf(l, l.create<MulOp>(dx, normal)), x);
    dNormal = l.create<SubOp>(dx, l.create<MulOp>(along, normal));
    dNormal = l.create<MulOp>(dNormal, rate);
  }
  finishNorm(op, normal, dNormal, op.getScale(), Value(), t);
}

/// none: Phi(x) + x phi(x). tanh: with u = sqrt(2/pi) (x + c x^3),
/// 0.5 (1 + tanh u) + 0.5 x (1 - tanh^2 u) sqrt(2/pi) (1 + 3 c x^2).
static void differentiateGelu(GeluOp op, Tangents &t) {
  Build &b = t.primal;
  Value x = b.convert(op.getInput(), wideType(op));
  auto scaled = [&](double factor, Value value) -> Value {
    return b.create<MulOp>(value, b.numberLike(factor, value));
  };
  Value one = b.numberLike(1, x), square = b.create<MulOp>(x, x), slope;
  if (op.getApproximation() == GeluApproximation::none) {
    Value below = scaled(
        0.5, b.create<AddOp>(b.create<ErfOp>(scaled(M_SQRT1_2, x)), one));
    Value density = scaled(M_2_SQRTPI * M_SQRT1_2 / 2,
                           b.create<ExpOp>(scaled(-0.5, square)));
    slope = b.create<AddOp>(below, b.create<MulOp>(x, density));
  } else {
    constexpr double root = M_2_SQRTPI * M_SQRT1_2, cubic = 0.044715;
    Value inner = scaled(
        root, b.create<MulOp>(x, b.create<AddOp>(one, scaled(cubic, square))));
    Value tanh = b.create<TanhOp>(inner);
    Value outer = scaled(root, b.create<AddOp>(one, scaled(3 * cubic, square)));
    Value change = b.create<MulOp>(
        b.create<SubOp>(one, b.create<MulOp>(tanh, tanh)), outer);
    slope = scaled(0.5, b.create<AddOp>(b.create<AddOp>(one, tanh),
                                        b.create<MulOp>(x, change)));
  }
  Build &l = t.linear;
  Value dx = l.convert(t.of(op.getInput()), wideType(op));
  t.set(op, l.convert(l.create<MulOp>(dx, slope), narrowType(op)));
}

void tessera::derivatives::addNeuralRules(DerivativeRules &rules) {
  rules.jvp<GeluOp>(differentiateGelu);
  rules.jvp<SoftmaxOp>(differentiateSoftmax);
  rules.jvp<LayerNormOp>(differentiateLayerNorm);
  rules.jvp<RmsNormOp>(differentiateRmsNorm);
  addAttentionRules(rules);
}
