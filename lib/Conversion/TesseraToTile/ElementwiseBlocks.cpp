// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Elementwise ops on tiles: arith and math ops, in f32 for narrower floats.
// Conversions are in ConvertBlocks.cpp.
#include "BlockEmitter.h"

#include <cmath>
#include <limits>

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
  if (isa<NextafterOp>(op))
    return emitNextafter(operands[0], operands[1]);
  for (Value &operand : operands)
    operand = toF32(operand);
  if (auto compare = dyn_cast<CompareOp>(op))
    return emitCompare(compare, operands[0], operands[1]);
  Value result = operands.size() == 2 ? emitBinary(op, operands[0], operands[1])
                                      : emitUnary(op, operands[0]);
  return isa<FloatType>(type) ? fromF32(result, type) : result;
}

static bool isUnsigned(Operation *op) {
  return getElementTypeOrSelf(op->getResult(0).getType()).isUnsignedInteger();
}

static Value withoutEmitter(Operation *op) {
  op->emitOpError("is elementwise but has no emitter");
  return {};
}

/// `divisor` as integer division may have it: host processors trap on x / 0 and
/// on the smallest number / -1, so both divide by 1 instead. The latter is the
/// smallest number again, as is its quotient by 1; both remainders are 0. A
/// quotient by 0 may be anything.
Value BlockEmitter::safeDivisor(Value number, Value divisor, bool isUnsigned) {
  auto type = cast<RankedTensorType>(divisor.getType());
  Type elementType = type.getElementType();
  auto filled = [&](APInt value) {
    return splat(type.getShape(), builder.getIntegerAttr(elementType, value));
  };
  auto equals = [&](Value tile, APInt value) -> Value {
    return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq, tile,
                                 filled(value));
  };
  unsigned width = type.getElementTypeBitWidth();
  Value traps = equals(divisor, APInt::getZero(width));
  if (!isUnsigned) {
    Value overflows = arith::AndIOp::create(
        builder, loc, equals(number, APInt::getSignedMinValue(width)),
        equals(divisor, APInt::getAllOnes(width)));
    traps = arith::OrIOp::create(builder, loc, traps, overflows);
  }
  return arith::SelectOp::create(builder, loc, traps, filled(APInt(width, 1)),
                                 divisor);
}

Value BlockEmitter::emitBinary(Operation *op, Value x, Value y) {
  bool isFloat = isa<FloatType>(getElementTypeOrSelf(x.getType()));
  auto pick = [&](auto floatOp, auto signedOp, auto unsignedOp) -> Value {
    if (isFloat)
      return decltype(floatOp)::create(builder, loc, x, y);
    if (isUnsigned(op))
      return decltype(unsignedOp)::create(builder, loc, x, y);
    return decltype(signedOp)::create(builder, loc, x, y);
  };
  if (!isFloat && isa<DivOp, RemOp>(op))
    y = safeDivisor(x, y, isUnsigned(op));
  return llvm::TypeSwitch<Operation *, Value>(op)
      .Case([&](AddOp) {
        return pick(arith::AddFOp(), arith::AddIOp(), arith::AddIOp());
      })
      .Case([&](SubOp) {
        return pick(arith::SubFOp(), arith::SubIOp(), arith::SubIOp());
      })
      .Case([&](MulOp) {
        return pick(arith::MulFOp(), arith::MulIOp(), arith::MulIOp());
      })
      .Case([&](DivOp) {
        return pick(arith::DivFOp(), arith::DivSIOp(), arith::DivUIOp());
      })
      .Case([&](RemOp) {
        return pick(arith::RemFOp(), arith::RemSIOp(), arith::RemUIOp());
      })
      .Case([&](MaxOp) {
        return pick(arith::MaximumFOp(), arith::MaxSIOp(), arith::MaxUIOp());
      })
      .Case([&](MinOp) {
        return pick(arith::MinimumFOp(), arith::MinSIOp(), arith::MinUIOp());
      })
      .Case([&](AndOp) { return arith::AndIOp::create(builder, loc, x, y); })
      .Case([&](OrOp) { return arith::OrIOp::create(builder, loc, x, y); })
      .Case([&](XorOp) { return arith::XOrIOp::create(builder, loc, x, y); })
      .Case([&](PowOp) -> Value {
        if (!isFloat)
          return emitIntegerPower(x, y, isUnsigned(op));
        return math::PowFOp::create(builder, loc, x, y);
      })
      .Case([&](Atan2Op) { return emitAtan2(x, y); })
      .Case([&](CopysignOp) {
        return math::CopySignOp::create(builder, loc, x, y);
      })
      .Case([&](ShiftLeftOp) { return emitShift<arith::ShLIOp>(x, y, 0); })
      .Case([&](ShiftRightOp op) {
        if (isUnsigned(op))
          return emitShift<arith::ShRUIOp>(x, y, 0);
        // Shifted by all bits, a number leaves its sign.
        return emitShift<arith::ShRSIOp>(x, y, std::nullopt);
      })
      .Default(withoutEmitter);
}

Value BlockEmitter::emitUnary(Operation *op, Value x) {
  auto type = cast<RankedTensorType>(x.getType());
  bool isFloat = isa<FloatType>(type.getElementType());
  auto number = [&](double value) {
    return splatNumber(type.getShape(), type.getElementType(), value);
  };
  return llvm::TypeSwitch<Operation *, Value>(op)
      .Case([&](NegOp) -> Value {
        if (isFloat)
          return arith::NegFOp::create(builder, loc, x);
        return arith::SubIOp::create(builder, loc, number(0), x);
      })
      .Case([&](AbsOp) -> Value {
        if (isFloat)
          return math::AbsFOp::create(builder, loc, x);
        return isUnsigned(op) ? x : math::AbsIOp::create(builder, loc, x);
      })
      .Case([&](SignOp) -> Value {
        if (isUnsigned(op))
          return arith::MinUIOp::create(builder, loc, x, number(1));
        return emitSign(x);
      })
      .Case([&](NotOp) {
        unsigned width = type.getElementTypeBitWidth();
        auto ones = builder.getIntegerAttr(type.getElementType(),
                                           APInt::getAllOnes(width));
        return arith::XOrIOp::create(builder, loc, x,
                                     splat(type.getShape(), ones));
      })
      .Case([&](ExpOp) { return emitExp(x); })
      .Case([&](Exp2Op) { return math::Exp2Op::create(builder, loc, x); })
      .Case([&](LogOp) { return emitLog(x); })
      .Case([&](Log2Op) { return math::Log2Op::create(builder, loc, x); })
      .Case([&](Log10Op) { return math::Log10Op::create(builder, loc, x); })
      .Case([&](AsinOp) { return math::AsinOp::create(builder, loc, x); })
      .Case([&](AcosOp) { return math::AcosOp::create(builder, loc, x); })
      .Case([&](AtanOp) { return math::AtanOp::create(builder, loc, x); })
      .Case([&](AsinhOp) { return math::AsinhOp::create(builder, loc, x); })
      .Case([&](AcoshOp) { return math::AcoshOp::create(builder, loc, x); })
      .Case([&](AtanhOp) { return math::AtanhOp::create(builder, loc, x); })
      .Case([&](ErfinvOp) { return emitInverseErf(x); })
      .Case([&](SqrtOp) { return math::SqrtOp::create(builder, loc, x); })
      .Case([&](RsqrtOp) { return math::RsqrtOp::create(builder, loc, x); })
      .Case([&](TanhOp) {
        return keepZero(x, math::TanhOp::create(builder, loc, x));
      })
      .Case([&](ErfOp) {
        return keepZero(x, math::ErfOp::create(builder, loc, x));
      })
      .Case([&](SinOp) { return math::SinOp::create(builder, loc, x); })
      .Case([&](CosOp) { return math::CosOp::create(builder, loc, x); })
      .Case([&](FloorOp) { return math::FloorOp::create(builder, loc, x); })
      .Case([&](LogisticOp) { return emitLogistic(x); })
      .Case([&](SiluOp) {
        return arith::MulFOp::create(builder, loc, x, emitLogistic(x));
      })
      .Case([&](GeluOp op) { return emitGelu(op, x); })
      .Default(withoutEmitter);
}

/// Shifts by amounts that are not below the width: `otherwise`, or, where that
/// is absent, as by all bits but one.
template <typename Op>
Value BlockEmitter::emitShift(Value x, Value y,
                              std::optional<int64_t> otherwise) {
  auto type = cast<RankedTensorType>(x.getType());
  auto filled = [&](int64_t value) {
    return splatNumber(type.getShape(), type.getElementType(), value);
  };
  int64_t width = type.getElementTypeBitWidth();
  // Unsigned: negative amounts are large.
  Value isInside = arith::CmpIOp::create(
      builder, loc, arith::CmpIPredicate::ult, y, filled(width));
  Value amount =
      arith::SelectOp::create(builder, loc, isInside, y, filled(width - 1));
  Value shifted = Op::create(builder, loc, x, amount);
  if (!otherwise)
    return shifted;
  return arith::SelectOp::create(builder, loc, isInside, shifted,
                                 filled(*otherwise));
}

/// Of floats and signed integers. NaN is neither above nor below 0 and stays.
Value BlockEmitter::emitSign(Value x) {
  auto type = cast<RankedTensorType>(x.getType());
  auto number = [&](double value) {
    return splatNumber(type.getShape(), type.getElementType(), value);
  };
  Value zero = number(0), isAbove, isBelow, otherwise;
  if (isa<FloatType>(type.getElementType())) {
    using Predicate = arith::CmpFPredicate;
    isAbove = arith::CmpFOp::create(builder, loc, Predicate::OGT, x, zero);
    isBelow = arith::CmpFOp::create(builder, loc, Predicate::OLT, x, zero);
    // As in NumPy, of -0 it is +0.
    otherwise = arith::AddFOp::create(builder, loc, x, zero);
  } else {
    using Predicate = arith::CmpIPredicate;
    isAbove = arith::CmpIOp::create(builder, loc, Predicate::sgt, x, zero);
    isBelow = arith::CmpIOp::create(builder, loc, Predicate::slt, x, zero);
    otherwise = zero;
  }
  Value below =
      arith::SelectOp::create(builder, loc, isBelow, number(-1), otherwise);
  return arith::SelectOp::create(builder, loc, isAbove, number(1), below);
}

/// The targets' polynomials for f32 take normal numbers: smaller ones are
/// scaled to be such.
Value BlockEmitter::emitLog(Value x) {
  auto type = cast<RankedTensorType>(x.getType());
  if (!type.getElementType().isF32())
    return math::LogOp::create(builder, loc, x);
  auto number = [&](double value) {
    return splatNumber(type.getShape(), type.getElementType(), value);
  };
  Value isSmall =
      arith::CmpFOp::create(builder, loc, arith::CmpFPredicate::OLT, x,
                            number(std::numeric_limits<float>::min()));
  Value scaled =
      arith::MulFOp::create(builder, loc, x, number(std::ldexp(1.0, 24)));
  Value log = math::LogOp::create(
      builder, loc, arith::SelectOp::create(builder, loc, isSmall, scaled, x));
  Value excess = arith::SelectOp::create(builder, loc, isSmall,
                                         number(24 * M_LN2), number(0));
  return arith::SubFOp::create(builder, loc, log, excess);
}

/// The targets' polynomials for f32 may give zero for the least numbers, which
/// are the square of e^(x/2).
Value BlockEmitter::emitExp(Value x) {
  auto type = cast<RankedTensorType>(x.getType());
  if (!type.getElementType().isF32())
    return math::ExpOp::create(builder, loc, x);
  auto number = [&](double value) {
    return splatNumber(type.getShape(), type.getElementType(), value);
  };
  Value isSmall = arith::CmpFOp::create(builder, loc, arith::CmpFPredicate::OLT,
                                        x, number(-86));
  Value half = arith::MulFOp::create(builder, loc, x, number(0.5));
  Value e = math::ExpOp::create(
      builder, loc, arith::SelectOp::create(builder, loc, isSmall, half, x));
  Value square = arith::MulFOp::create(builder, loc, e, e);
  return arith::SelectOp::create(builder, loc, isSmall, square, e);
}

/// Where both are zeros, the angle of (+-1, y): MLIR's folder of math.atan2
/// makes NaN of constants that are.
Value BlockEmitter::emitAtan2(Value y, Value x) {
  auto type = cast<RankedTensorType>(x.getType());
  auto number = [&](double value) {
    return splatNumber(type.getShape(), type.getElementType(), value);
  };
  auto isZero = [&](Value value) -> Value {
    return arith::CmpFOp::create(builder, loc, arith::CmpFPredicate::OEQ, value,
                                 number(0));
  };
  Value areZero = arith::AndIOp::create(builder, loc, isZero(x), isZero(y));
  Value unit = math::CopySignOp::create(builder, loc, number(1), x);
  x = arith::SelectOp::create(builder, loc, areZero, unit, x);
  return math::Atan2Op::create(builder, loc, y, x);
}

/// `result`, but x where x is a zero: the targets' polynomials for functions
/// that are odd lose its sign.
Value BlockEmitter::keepZero(Value x, Value result) {
  auto type = cast<RankedTensorType>(x.getType());
  Value zero = splatNumber(type.getShape(), type.getElementType(), 0);
  Value isZero =
      arith::CmpFOp::create(builder, loc, arith::CmpFPredicate::OEQ, x, zero);
  return arith::SelectOp::create(builder, loc, isZero, x, result);
}

/// 1 / (1 + e^-x), and below 0, where e^-x may overflow, e^x / (1 + e^x).
Value BlockEmitter::emitLogistic(Value x) {
  auto type = cast<RankedTensorType>(x.getType());
  auto number = [&](double value) {
    return splatNumber(type.getShape(), type.getElementType(), value);
  };
  Value magnitude = math::AbsFOp::create(builder, loc, x);
  Value e = emitExp(arith::NegFOp::create(builder, loc, magnitude));
  Value isBelow = arith::CmpFOp::create(builder, loc, arith::CmpFPredicate::OLT,
                                        x, number(0));
  Value above = arith::SelectOp::create(builder, loc, isBelow, e, number(1));
  return arith::DivFOp::create(
      builder, loc, above, arith::AddFOp::create(builder, loc, e, number(1)));
}

/// x / 2 (1 + f(x)), where f is erf(sqrt(1/2) x) or, approximately,
/// tanh(sqrt(2/pi) (x + 0.044715 x^3)).
Value BlockEmitter::emitGelu(GeluOp op, Value x) {
  auto type = cast<RankedTensorType>(x.getType());
  auto number = [&](double value) {
    return splatNumber(type.getShape(), type.getElementType(), value);
  };
  auto mul = [&](Value a, Value b) -> Value {
    return arith::MulFOp::create(builder, loc, a, b);
  };
  auto add = [&](Value a, Value b) -> Value {
    return arith::AddFOp::create(builder, loc, a, b);
  };
  Value half = mul(x, number(0.5)), inner;
  if (op.getApproximation() == GeluApproximation::tanh) {
    Value sum = add(x, mul(mul(mul(x, x), x), number(0.044715)));
    inner = math::TanhOp::create(builder, loc,
                                 mul(sum, number(std::sqrt(2 / M_PI))));
  } else {
    inner = math::ErfOp::create(builder, loc, mul(x, number(std::sqrt(0.5))));
  }
  return mul(half, add(inner, number(1)));
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
