// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Elementwise ops on tiles: arith and math ops, in f32 for narrower floats.
#include "BlockEmitter.h"

#include <cmath>

using namespace mlir;
using namespace tessera;

Value BlockEmitter::emitElementwise(Operation *op, const BlockBox &box) {
  SmallVector<Value> operands;
  for (Value operand : op->getOperands()) {
    Value tile = emit(operand, box);
    if (!tile)
      return {};
    operands.push_back(tile);
  }
  loc = op->getLoc();
  Type type = getElementTypeOrSelf(op->getResult(0).getType());
  if (auto convert = dyn_cast<ConvertOp>(op))
    return emitConvert(
        operands[0], getElementTypeOrSelf(convert.getInput().getType()), type);
  if (isa<SelectOp>(op))
    return arith::SelectOp::create(builder, loc, operands[0], operands[1],
                                   operands[2]);
  for (Value &operand : operands)
    operand = toF32(operand);
  if (auto compare = dyn_cast<CompareOp>(op))
    return emitCompare(compare, operands[0], operands[1]);
  Value result = emitMath(op, operands);
  return isa<FloatType>(type) ? fromF32(result, type) : result;
}

Value BlockEmitter::emitMath(Operation *op, ArrayRef<Value> x) {
  auto type = cast<RankedTensorType>(x[0].getType());
  bool isFloat = isa<FloatType>(type.getElementType());
  bool isUnsigned =
      getElementTypeOrSelf(op->getResult(0).getType()).isUnsignedInteger();
  ArrayRef<int64_t> shape = type.getShape();
  auto number = [&](double value) {
    return splatNumber(shape, type.getElementType(), value);
  };
  auto mul = [&](Value a, Value b) -> Value {
    return arith::MulFOp::create(builder, loc, a, b);
  };
  auto add = [&](Value a, Value b) -> Value {
    return arith::AddFOp::create(builder, loc, a, b);
  };
  // 1 / (1 + e^-v)
  auto logistic = [&](Value v) -> Value {
    Value e = math::ExpOp::create(builder, loc,
                                  arith::NegFOp::create(builder, loc, v));
    return arith::DivFOp::create(builder, loc, number(1), add(e, number(1)));
  };
  auto pick = [&](auto floatOp, auto intOp) -> Value {
    if (isFloat)
      return decltype(floatOp)::create(builder, loc, x[0], x[1]);
    return decltype(intOp)::create(builder, loc, x[0], x[1]);
  };
  auto pickSigned = [&](auto floatOp, auto signedOp, auto unsignedOp) -> Value {
    return isUnsigned ? pick(floatOp, unsignedOp) : pick(floatOp, signedOp);
  };
  // Host processors trap on x / 0 and on the smallest number / -1. The latter
  // is the smallest number again, as is its quotient by 1; both remainders are
  // 0. A quotient by 0 may be anything.
  auto divisor = [&]() -> Value {
    auto is = [&](Value value, Value what) -> Value {
      return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq,
                                   value, what);
    };
    Value traps = is(x[1], number(0));
    if (!isUnsigned) {
      unsigned width = type.getElementTypeBitWidth();
      Value smallest =
          splat(shape, builder.getIntegerAttr(type.getElementType(),
                                              APInt::getSignedMinValue(width)));
      Value overflows = arith::AndIOp::create(builder, loc, is(x[0], smallest),
                                              is(x[1], number(-1)));
      traps = arith::OrIOp::create(builder, loc, traps, overflows);
    }
    return arith::SelectOp::create(builder, loc, traps, number(1), x[1]);
  };
  return llvm::TypeSwitch<Operation *, Value>(op)
      .Case([&](AddOp) { return pick(arith::AddFOp(), arith::AddIOp()); })
      .Case([&](SubOp) { return pick(arith::SubFOp(), arith::SubIOp()); })
      .Case([&](MulOp) { return pick(arith::MulFOp(), arith::MulIOp()); })
      .Case([&](DivOp) -> Value {
        if (isFloat)
          return arith::DivFOp::create(builder, loc, x[0], x[1]);
        if (isUnsigned)
          return arith::DivUIOp::create(builder, loc, x[0], divisor());
        return arith::DivSIOp::create(builder, loc, x[0], divisor());
      })
      .Case([&](RemOp) -> Value {
        if (isFloat)
          return arith::RemFOp::create(builder, loc, x[0], x[1]);
        if (isUnsigned)
          return arith::RemUIOp::create(builder, loc, x[0], divisor());
        return arith::RemSIOp::create(builder, loc, x[0], divisor());
      })
      .Case([&](MaxOp) {
        return pickSigned(arith::MaximumFOp(), arith::MaxSIOp(),
                          arith::MaxUIOp());
      })
      .Case([&](MinOp) {
        return pickSigned(arith::MinimumFOp(), arith::MinSIOp(),
                          arith::MinUIOp());
      })
      .Case([&](AndOp) {
        return arith::AndIOp::create(builder, loc, x[0], x[1]);
      })
      .Case(
          [&](OrOp) { return arith::OrIOp::create(builder, loc, x[0], x[1]); })
      .Case([&](XorOp) {
        return arith::XOrIOp::create(builder, loc, x[0], x[1]);
      })
      .Case(
          [&](PowOp) { return math::PowFOp::create(builder, loc, x[0], x[1]); })
      .Case([&](NegOp) -> Value {
        if (isFloat)
          return arith::NegFOp::create(builder, loc, x[0]);
        return arith::SubIOp::create(builder, loc, number(0), x[0]);
      })
      .Case([&](AbsOp) -> Value {
        if (isFloat)
          return math::AbsFOp::create(builder, loc, x[0]);
        if (isUnsigned)
          return x[0];
        return math::AbsIOp::create(builder, loc, x[0]);
      })
      .Case([&](SignOp) -> Value {
        Value zero = number(0);
        auto choose = [&](Value isAbove, Value isBelow, Value otherwise) {
          Value below = arith::SelectOp::create(builder, loc, isBelow,
                                                number(-1), otherwise);
          return arith::SelectOp::create(builder, loc, isAbove, number(1),
                                         below)
              .getResult();
        };
        if (isFloat) // NaN is neither above nor below and stays.
          return choose(
              arith::CmpFOp::create(builder, loc, arith::CmpFPredicate::OGT,
                                    x[0], zero),
              arith::CmpFOp::create(builder, loc, arith::CmpFPredicate::OLT,
                                    x[0], zero),
              x[0]);
        if (isUnsigned)
          return arith::MinUIOp::create(builder, loc, x[0], number(1));
        return choose(arith::CmpIOp::create(
                          builder, loc, arith::CmpIPredicate::sgt, x[0], zero),
                      arith::CmpIOp::create(
                          builder, loc, arith::CmpIPredicate::slt, x[0], zero),
                      zero);
      })
      .Case([&](NotOp) -> Value {
        Value ones = type.getElementType().isInteger(1)
                         ? splat(shape, builder.getBoolAttr(true))
                         : number(-1);
        return arith::XOrIOp::create(builder, loc, x[0], ones);
      })
      .Case([&](ExpOp) { return math::ExpOp::create(builder, loc, x[0]); })
      .Case([&](LogOp) { return math::LogOp::create(builder, loc, x[0]); })
      .Case([&](SqrtOp) { return math::SqrtOp::create(builder, loc, x[0]); })
      .Case([&](RsqrtOp) { return math::RsqrtOp::create(builder, loc, x[0]); })
      .Case([&](TanhOp) { return math::TanhOp::create(builder, loc, x[0]); })
      .Case([&](ErfOp) { return math::ErfOp::create(builder, loc, x[0]); })
      .Case([&](SinOp) { return math::SinOp::create(builder, loc, x[0]); })
      .Case([&](CosOp) { return math::CosOp::create(builder, loc, x[0]); })
      .Case([&](FloorOp) { return math::FloorOp::create(builder, loc, x[0]); })
      .Case([&](LogisticOp) { return logistic(x[0]); })
      .Case([&](SiluOp) { return mul(x[0], logistic(x[0])); })
      .Case([&](GeluOp op) -> Value {
        Value half = mul(x[0], number(0.5)), inner;
        if (op.getApproximation() == GeluApproximation::tanh) {
          Value cube = mul(mul(x[0], x[0]), x[0]);
          Value sum = add(x[0], mul(cube, number(0.044715)));
          inner = math::TanhOp::create(builder, loc,
                                       mul(sum, number(std::sqrt(2 / M_PI))));
        } else {
          inner = math::ErfOp::create(builder, loc,
                                      mul(x[0], number(std::sqrt(0.5))));
        }
        return mul(half, add(inner, number(1)));
      })
      .Default([](Operation *op) {
        op->emitOpError("is elementwise but has no emitter");
        return Value();
      });
}

/// f64 in f32, not to nearest but to the neighbour of odd last bit where it is
/// not exact: rounding that to fewer bits is as good as rounding at once
/// (Boldo and Melquiond, When double rounding is odd, 2005).
Value BlockEmitter::toOddF32(Value value) {
  auto type = cast<RankedTensorType>(value.getType());
  auto narrowType = type.clone(builder.getF32Type());
  auto bitsType = type.clone(builder.getI32Type());
  Value near = arith::TruncFOp::create(builder, loc, narrowType, value);
  Value back = arith::ExtFOp::create(builder, loc, type, near);
  auto holds = [&](arith::CmpFPredicate predicate, Value a, Value b) -> Value {
    Value flag = arith::CmpFOp::create(builder, loc, predicate, a, b);
    return arith::ExtUIOp::create(builder, loc, bitsType, flag);
  };
  Value isFar =
      holds(arith::CmpFPredicate::OGT, math::AbsFOp::create(builder, loc, back),
            math::AbsFOp::create(builder, loc, value));
  Value isInexact = holds(arith::CmpFPredicate::ONE, back, value);
  Value bits = arith::BitcastOp::create(builder, loc, bitsType, near);
  bits = arith::SubIOp::create(builder, loc, bits, isFar);
  bits = arith::OrIOp::create(builder, loc, bits, isInexact);
  return arith::BitcastOp::create(builder, loc, narrowType, bits);
}

Value BlockEmitter::emitCompare(CompareOp op, Value lhs, Value rhs) {
  using FP = arith::CmpFPredicate;
  using IP = arith::CmpIPredicate;
  auto choose = [&](FP floatPredicate, IP intPredicate) -> Value {
    if (isa<FloatType>(getElementTypeOrSelf(lhs.getType())))
      return arith::CmpFOp::create(builder, loc, floatPredicate, lhs, rhs);
    return arith::CmpIOp::create(builder, loc, intPredicate, lhs, rhs);
  };
  // Booleans compare as 0 and 1.
  bool isUnsigned =
      getElementTypeOrSelf(op.getLhs().getType()).isInteger(1) ||
      getElementTypeOrSelf(op.getLhs().getType()).isUnsignedInteger();
  switch (op.getDirection()) {
  case CompareDirection::eq:
    return choose(FP::OEQ, IP::eq);
  case CompareDirection::ne:
    return choose(FP::UNE, IP::ne);
  case CompareDirection::lt:
    return choose(FP::OLT, isUnsigned ? IP::ult : IP::slt);
  case CompareDirection::le:
    return choose(FP::OLE, isUnsigned ? IP::ule : IP::sle);
  case CompareDirection::gt:
    return choose(FP::OGT, isUnsigned ? IP::ugt : IP::sgt);
  case CompareDirection::ge:
    return choose(FP::OGE, isUnsigned ? IP::uge : IP::sge);
  }
  return {};
}

Value BlockEmitter::emitConvert(Value value, Type from, Type to) {
  auto type = cast<RankedTensorType>(value.getType());
  Type target =
      to.isUnsignedInteger()
          ? IntegerType::get(builder.getContext(), to.getIntOrFloatBitWidth())
          : to;
  RankedTensorType result = type.clone(target);
  if (type == result)
    return value;
  unsigned fromBits = from.getIntOrFloatBitWidth();
  unsigned toBits = to.getIntOrFloatBitWidth();
  bool fromFloat = isa<FloatType>(from), toFloat = isa<FloatType>(to);
  auto zero = [&] {
    return splatNumber(type.getShape(), type.getElementType(), 0);
  };
  if (to.isInteger(1)) {
    if (fromFloat) {
      Value wide = toF32(value);
      type = cast<RankedTensorType>(wide.getType());
      return arith::CmpFOp::create(builder, loc, arith::CmpFPredicate::UNE,
                                   wide, zero());
    }
    return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ne, value,
                                 zero());
  }
  if (fromFloat && toFloat) {
    // Targets convert between f32 and its neighbours, no further.
    if (fromBits == 64)
      return fromF32(toBits < 32 ? toOddF32(value) : value, to);
    value = toF32(value);
    if (toBits < 64)
      return fromF32(value, to);
    return arith::ExtFOp::create(builder, loc, result, value);
  }
  if (toFloat) {
    bool isUnsigned = from.isInteger(1) || from.isUnsignedInteger();
    RankedTensorType wide =
        toBits < 32 ? type.clone(builder.getF32Type()) : result;
    Value number =
        isUnsigned
            ? arith::UIToFPOp::create(builder, loc, wide, value).getResult()
            : arith::SIToFPOp::create(builder, loc, wide, value).getResult();
    return fromF32(number, to);
  }
  if (fromFloat) {
    // Towards zero, saturating; NaN gives 0. The instruction alone leaves what
    // does not fit undefined, so it sees only what fits.
    Value x = toF32(value);
    auto wide = cast<RankedTensorType>(x.getType());
    auto number = [&](double v) {
      return splatNumber(wide.getShape(), wide.getElementType(), v);
    };
    bool isUnsigned = to.isUnsignedInteger();
    double limit = std::ldexp(1.0, isUnsigned ? toBits : toBits - 1);
    double bottom = isUnsigned ? 0 : -limit;
    Value isHigh = arith::CmpFOp::create(
        builder, loc, arith::CmpFPredicate::OGE, x, number(limit));
    Value isLow = arith::CmpFOp::create(builder, loc, arith::CmpFPredicate::ULE,
                                        x, number(bottom));
    Value isNumber =
        arith::CmpFOp::create(builder, loc, arith::CmpFPredicate::ORD, x, x);
    Value outside = arith::OrIOp::create(builder, loc, isHigh, isLow);
    Value safe = arith::SelectOp::create(builder, loc, outside, number(0), x);
    Value integer;
    if (isUnsigned)
      integer = arith::FPToUIOp::create(builder, loc, result, safe);
    else
      integer = arith::FPToSIOp::create(builder, loc, result, safe);
    auto bound = [&](APInt value) {
      return splat(wide.getShape(), builder.getIntegerAttr(target, value));
    };
    Value low = arith::SelectOp::create(
        builder, loc, isLow,
        bound(isUnsigned ? APInt::getMinValue(toBits)
                         : APInt::getSignedMinValue(toBits)),
        integer);
    Value high = arith::SelectOp::create(
        builder, loc, isHigh,
        bound(isUnsigned ? APInt::getMaxValue(toBits)
                         : APInt::getSignedMaxValue(toBits)),
        low);
    return arith::SelectOp::create(builder, loc, isNumber, high,
                                   bound(APInt(toBits, 0)));
  }
  if (fromBits > toBits)
    return arith::TruncIOp::create(builder, loc, result, value);
  if (from.isInteger(1) || from.isUnsignedInteger())
    return arith::ExtUIOp::create(builder, loc, result, value);
  return arith::ExtSIOp::create(builder, loc, result, value);
}
