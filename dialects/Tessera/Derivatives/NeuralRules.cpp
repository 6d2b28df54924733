// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Derivatives of softmax and gelu. They are formed in f32, or f64
// for f64, as the ops are.
#include "Rules.h"

#include <cmath>

using namespace mlir;
using namespace tessera;
using namespace tessera::derivatives;

using Build = FormulaBuilder;
using dist::ReductionKind;

/// dy = y (dx - sum(y dx))
static void differentiateSoftmax(SoftmaxOp op, Tangents &t) {
  Type wide = wideTypeOf(op);
  Value y = t.primal.convert(op, wide);
  Build &l = t.linear;
  Value dx = l.convert(t.of(op.getInput()), wide);
  ArrayRef<int64_t> shape = shapeOf(op);
  Value sum = l.reduce(ReductionKind::sum, l.create<MulOp>(dx, y), op.getDim());
  Value dy = l.create<MulOp>(
      l.create<SubOp>(dx, l.repeat(sum, shape, op.getDim())), y);
  t.set(op, l.convert(dy, getElementTypeOrSelf(op.getType())));
}

/// none: Phi(x) + x phi(x). tanh: with u = sqrt(2/pi) (x + c x^3),
/// 0.5 (1 + tanh u) + 0.5 x (1 - tanh^2 u) sqrt(2/pi) (1 + 3 c x^2).
static void differentiateGelu(GeluOp op, Tangents &t) {
  Build &b = t.primal;
  Value x = b.convert(op.getInput(), wideTypeOf(op));
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
  Value dx = l.convert(t.of(op.getInput()), wideTypeOf(op));
  t.set(op, l.convert(l.create<MulOp>(dx, slope),
                      getElementTypeOrSelf(op.getType())));
}

void tessera::derivatives::addNeuralRules(DerivativeRules &rules) {
  rules.jvp<GeluOp>(differentiateGelu);
  rules.jvp<SoftmaxOp>(differentiateSoftmax);
}
