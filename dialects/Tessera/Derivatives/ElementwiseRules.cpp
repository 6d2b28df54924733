// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Derivatives of elementwise ops. At the edges of their domains, and where they
// have none, values are those of JAX: 1 for |x| at 0, half of the cotangent for
// each of two equal operands of max, infinity for sqrt at 0.
#include "Rules.h"
#include "Widening.h"

#include <cmath>

using namespace mlir;
using namespace tessera;
using namespace tessera::derivatives;

using Build = FormulaBuilder;

static Value oneMinusSquare(Build &b, Value x) {
  return b.create<SubOp>(b.numberLike(1, x), b.create<MulOp>(x, x));
}

static Value onePlusSquare(Build &b, Value x) {
  return b.create<AddOp>(b.numberLike(1, x), b.create<MulOp>(x, x));
}

static Value scaled(Build &b, double factor, Value x) {
  return b.create<MulOp>(b.numberLike(factor, x), x);
}

static Value isEqual(Build &b, Value x, Value y) {
  return b.compare(CompareDirection::eq, x, y);
}

static Value isZero(Build &b, Value x) {
  return isEqual(b, x, b.numberLike(0, x));
}

//===----------------------------------------------------------------------===//
// One operand
//===----------------------------------------------------------------------===//

static void addPowerRules(DerivativeRules &rules) {
  rules.factor<SqrtOp>([](Build &b, SqrtOp op) {
    return b.create<DivOp>(b.numberLike(0.5, op), op);
  });
  rules.factor<RsqrtOp>([](Build &b, RsqrtOp op) {
    return scaled(b, -0.5, b.create<DivOp>(op, op.getInput()));
  });
  rules.factor<ExpOp>([](Build &, ExpOp op) { return op; });
  rules.factor<Exp2Op>(
      [](Build &b, Exp2Op op) { return scaled(b, M_LN2, op); });
  auto divided = [](double factor) {
    return [factor](auto op, Tangents &t) {
      Value dx = t.of(op.getInput());
      Value by =
          factor == 1 ? op.getInput() : scaled(t.primal, factor, op.getInput());
      t.set(op, t.linear.create<DivOp>(dx, by));
    };
  };
  rules.jvp<LogOp>(divided(1));
  rules.jvp<Log2Op>(divided(M_LN2));
  rules.jvp<Log10Op>(divided(M_LN10));
}

static void addAngleRules(DerivativeRules &rules) {
  rules.factor<SinOp>(
      [](Build &b, SinOp op) { return b.create<CosOp>(op.getInput()); });
  rules.factor<CosOp>([](Build &b, CosOp op) {
    return b.create<NegOp>(b.create<SinOp>(op.getInput()));
  });
  rules.factor<AsinOp>([](Build &b, AsinOp op) {
    return b.create<RsqrtOp>(oneMinusSquare(b, op.getInput()));
  });
  rules.factor<AcosOp>([](Build &b, AcosOp op) {
    return b.create<NegOp>(b.create<RsqrtOp>(oneMinusSquare(b, op.getInput())));
  });
  rules.jvp<AtanOp>([](AtanOp op, Tangents &t) {
    t.set(op, t.linear.create<DivOp>(t.of(op.getInput()),
                                     onePlusSquare(t.primal, op.getInput())));
  });
  rules.factor<TanhOp>(
      [](Build &b, TanhOp op) { return oneMinusSquare(b, op); });
  rules.factor<AsinhOp>([](Build &b, AsinhOp op) {
    return b.create<RsqrtOp>(onePlusSquare(b, op.getInput()));
  });
  rules.factor<AcoshOp>([](Build &b, AcoshOp op) {
    Value x = op.getInput(), one = b.numberLike(1, x);
    return b.create<RsqrtOp>(
        b.create<MulOp>(b.create<SubOp>(x, one), b.create<AddOp>(x, one)));
  });
  rules.jvp<AtanhOp>([](AtanhOp op, Tangents &t) {
    t.set(op, t.linear.create<DivOp>(t.of(op.getInput()),
                                     oneMinusSquare(t.primal, op.getInput())));
  });
}

static void addActivationRules(DerivativeRules &rules) {
  rules.factor<LogisticOp>([](Build &b, LogisticOp op) {
    return b.create<MulOp>(op, b.create<SubOp>(b.numberLike(1, op), op));
  });
  rules.factor<SiluOp>([](Build &b, SiluOp op) {
    Value x = op.getInput(), s = b.create<LogisticOp>(x);
    Value slope = b.create<MulOp>(s, b.create<SubOp>(b.numberLike(1, x), s));
    return b.create<AddOp>(s, b.create<MulOp>(x, slope));
  });
  rules.factor<ErfOp>([](Build &b, ErfOp op) {
    Value x = op.getInput();
    return scaled(b, M_2_SQRTPI,
                  b.create<ExpOp>(b.create<NegOp>(b.create<MulOp>(x, x))));
  });
  rules.factor<ErfinvOp>([](Build &b, ErfinvOp op) {
    return scaled(b, 1 / M_2_SQRTPI, b.create<ExpOp>(b.create<MulOp>(op, op)));
  });
}

//===----------------------------------------------------------------------===//
// Two operands
//===----------------------------------------------------------------------===//

/// d(x^y) = y x^(y-1) dx + log(x) x^y dy; 0 for dx where y = 0, and log(1) for
/// dy where x = 0.
static void differentiatePow(PowOp op, Tangents &t) {
  Build &b = t.primal;
  Value x = op.getLhs(), y = op.getRhs();
  Value one = b.numberLike(1, x), sum;
  if (Value dx = t.of(x)) {
    Value isFlat = isZero(b, y);
    Value exponent = b.select(isFlat, one, y);
    Value slope = b.create<MulOp>(
        exponent, b.create<PowOp>(x, b.create<SubOp>(exponent, one)));
    slope = b.select(isFlat, b.numberLike(0, x), slope);
    sum = t.linear.create<MulOp>(dx, slope);
  }
  if (Value dy = t.of(y)) {
    Value base = b.select(isZero(b, x), one, x);
    Value slope = b.create<MulOp>(b.create<LogOp>(base), op);
    sum = t.sum(sum, t.linear.create<MulOp>(dy, slope));
  }
  t.set(op, sum);
}

/// The larger, or smaller, operand has the tangent; equal ones half of it each.
template <typename Op> static void differentiateExtremum(Op op, Tangents &t) {
  Build &b = t.primal;
  Value x = op.getLhs(), y = op.getRhs();
  auto share = [&](Value mine, Value other) -> Value {
    Value half = b.select(isEqual(b, other, op), b.numberLike(0.5, mine),
                          b.numberLike(1, mine));
    return b.select(isEqual(b, mine, op), half, b.numberLike(0, mine));
  };
  Value sum;
  if (Value dx = t.of(x))
    sum = t.linear.create<MulOp>(dx, share(x, y));
  if (Value dy = t.of(y))
    sum = t.sum(sum, t.linear.create<MulOp>(dy, share(y, x)));
  t.set(op, sum);
}

static void differentiateAtan2(Atan2Op op, Tangents &t) {
  Build &b = t.primal;
  Value y = op.getLhs(), x = op.getRhs();
  Value square = b.create<AddOp>(b.create<MulOp>(x, x), b.create<MulOp>(y, y));
  Value sum;
  if (Value dy = t.of(y))
    sum = t.linear.create<MulOp>(dy, b.create<DivOp>(x, square));
  if (Value dx = t.of(x))
    sum = t.sum(sum, t.linear.create<MulOp>(
                         dx, b.create<DivOp>(b.create<NegOp>(y), square)));
  t.set(op, sum);
}

/// x - y trunc(x / y).
static void differentiateRem(RemOp op, Tangents &t) {
  Build &b = t.primal;
  Value x = op.getLhs(), y = op.getRhs();
  Value sum = t.of(x);
  if (Value dy = t.of(y)) {
    Value quotient = b.create<DivOp>(x, y);
    Value whole = b.create<MulOp>(b.create<SignOp>(quotient),
                                  b.create<FloorOp>(b.create<AbsOp>(quotient)));
    sum = t.sum(sum, t.linear.create<MulOp>(dy, b.create<NegOp>(whole)));
  }
  t.set(op, sum);
}

/// 1 from 0 on, else -1.
static Value slopeOfAbs(Build &b, Value x) {
  Value isUp = b.compare(CompareDirection::ge, x, b.numberLike(0, x));
  return b.select(isUp, b.numberLike(1, x), b.numberLike(-1, x));
}

static void addArithmeticRules(DerivativeRules &rules) {
  rules.linear<NegOp>();
  rules.jvp<AddOp>([](AddOp op, Tangents &t) {
    t.set(op, t.sum(t.of(op.getLhs()), t.of(op.getRhs())));
  });
  rules.jvp<SubOp>([](SubOp op, Tangents &t) {
    Value dx = t.of(op.getLhs()), dy = t.of(op.getRhs());
    if (!dy)
      return t.set(op, dx);
    t.set(op, dx ? t.linear.create<SubOp>(dx, dy) : t.linear.create<NegOp>(dy));
  });
  rules.jvp<MulOp>([](MulOp op, Tangents &t) {
    Value sum;
    if (Value dx = t.of(op.getLhs()))
      sum = t.linear.create<MulOp>(dx, op.getRhs());
    if (Value dy = t.of(op.getRhs()))
      sum = t.sum(sum, t.linear.create<MulOp>(dy, op.getLhs()));
    t.set(op, sum);
  });
  // d(x / y) = dx / y - dy x / y^2
  rules.jvp<DivOp>([](DivOp op, Tangents &t) {
    Value x = op.getLhs(), y = op.getRhs(), sum;
    if (Value dx = t.of(x))
      sum = t.linear.create<DivOp>(dx, y);
    if (Value dy = t.of(y)) {
      Value slope = t.primal.create<NegOp>(t.primal.create<DivOp>(op, y));
      sum = t.sum(sum, t.linear.create<MulOp>(dy, slope));
    }
    t.set(op, sum);
  });
  rules.jvp<PowOp>(differentiatePow);
  rules.jvp<MaxOp>(differentiateExtremum<MaxOp>);
  rules.jvp<MinOp>(differentiateExtremum<MinOp>);
  rules.jvp<Atan2Op>(differentiateAtan2);
  rules.jvp<RemOp>(differentiateRem);
  rules.factor<AbsOp>(
      [](Build &b, AbsOp op) { return slopeOfAbs(b, op.getInput()); });
  // |x| with the sign of y.
  rules.jvp<CopysignOp>([](CopysignOp op, Tangents &t) {
    Value dx = t.of(op.getLhs());
    if (!dx)
      return;
    Build &b = t.primal;
    Value slope =
        b.create<MulOp>(slopeOfAbs(b, op.getLhs()),
                        b.create<CopysignOp>(b.numberLike(1, op), op.getRhs()));
    t.set(op, t.linear.create<MulOp>(dx, slope));
  });
  rules.jvp<NextafterOp>(
      [](NextafterOp op, Tangents &t) { t.set(op, t.of(op.getLhs())); });
}

//===----------------------------------------------------------------------===//
// Transposed maps
//===----------------------------------------------------------------------===//

/// Of an op that is linear in one operand while the other is fixed.
template <typename Op> static void transposeProduct(Op op, Cotangents &c) {
  Value ct = c.of(op.getResult());
  if (c.isLinear(op.getLhs()))
    c.add(op.getLhs(), c.build.create<Op>(ct, c.residual(op.getRhs())));
  else
    c.add(op.getRhs(), c.build.create<Op>(ct, c.residual(op.getLhs())));
}

/// Whether `value` of the block of `op` is from outside of it, or an argument,
/// but for how it is laid out.
static bool isWeight(Value value, ConvertOp op) {
  Operation *producer = value.getDefiningOp();
  if (!producer || producer->getBlock() != op->getBlock())
    return true;
  return isa<ConvertOp, ConstrainOp, ReshapeOp, TransposeOp, SliceOp>(
             producer) &&
         isWeight(producer->getOperand(0), op);
}

/// The cotangent of a weight of f32 that is converted to 16 bits is formed in
/// f32: all uses of the narrow weight and all devices add to it, and it is
/// accumulated over batches. So is one of f64 that is converted to less. That
/// of an intermediate value has the narrow type until here, in which it moves
/// between devices.
static void transposeConvert(ConvertOp op, Cotangents &c) {
  Value ct = c.of(op);
  Type to = getElementTypeOrSelf(op.getInput().getType());
  Type from = getElementTypeOrSelf(ct.getType());
  bool isNarrowed = to.getIntOrFloatBitWidth() > from.getIntOrFloatBitWidth();
  Value gradient = c.build.convert(ct, to);
  if (isNarrowed && isWeight(op.getInput(), op))
    gradient.getDefiningOp()->setAttr(gradientAttrName,
                                      UnitAttr::get(op.getContext()));
  c.add(op.getInput(), gradient);
}

static void addTransposes(DerivativeRules &rules) {
  rules.transpose<NegOp>([](NegOp op, Cotangents &c) {
    c.add(op.getInput(), c.build.create<NegOp>(c.of(op)));
  });
  rules.transpose<AddOp>([](AddOp op, Cotangents &c) {
    c.add(op.getLhs(), c.of(op));
    c.add(op.getRhs(), c.of(op));
  });
  rules.transpose<SubOp>([](SubOp op, Cotangents &c) {
    c.add(op.getLhs(), c.of(op));
    if (c.isLinear(op.getRhs()))
      c.add(op.getRhs(), c.build.create<NegOp>(c.of(op)));
  });
  rules.transpose<MulOp>(transposeProduct<MulOp>);
  rules.transpose<DivOp>([](DivOp op, Cotangents &c) {
    if (!c.isLinear(op.getLhs()))
      return c.getTransposer().refuse(op);
    c.add(op.getLhs(),
          c.build.create<DivOp>(c.of(op), c.residual(op.getRhs())));
  });
  rules.transpose<SelectOp>([](SelectOp op, Cotangents &c) {
    Value predicate = c.residual(op.getPredicate()), ct = c.of(op);
    Value zeros = zerosLike(c.build, ct);
    if (c.isLinear(op.getOnTrue()))
      c.add(op.getOnTrue(), c.build.select(predicate, ct, zeros));
    if (c.isLinear(op.getOnFalse()))
      c.add(op.getOnFalse(), c.build.select(predicate, zeros, ct));
  });
  rules.transpose<ConvertOp>(transposeConvert);
}

void tessera::derivatives::addElementwiseRules(DerivativeRules &rules) {
  rules.none<SignOp, FloorOp, NotOp, AndOp, OrOp, XorOp, ShiftLeftOp,
             ShiftRightOp, CompareOp>();
  addPowerRules(rules);
  addAngleRules(rules);
  addActivationRules(rules);
  addArithmeticRules(rules);
  rules.jvp<SelectOp>([](SelectOp op, Tangents &t) {
    t.set(op, t.linear.select(op.getPredicate(), t.ofOrZeros(op.getOnTrue()),
                              t.ofOrZeros(op.getOnFalse())));
  });
  rules.jvp<ConvertOp>([](ConvertOp op, Tangents &t) {
    t.set(op, t.linear.convert(t.of(op.getInput()),
                               getElementTypeOrSelf(op.getType())));
  });
  addTransposes(rules);
}
