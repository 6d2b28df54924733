// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Conversions between element types. Targets convert between f32 and its
// neighbours and between integers; the others go through f32.
#include "BlockEmitter.h"

#include <cmath>

using namespace mlir;
using namespace tessera;

static bool countsUnsigned(Type type) {
  return type.isInteger(1) || type.isUnsignedInteger();
}

Value BlockEmitter::emitConvert(Value value, Type from, Type to) {
  auto type = cast<RankedTensorType>(value.getType());
  if (type == tileType(type.getShape(), to))
    return value;
  if (to.isInteger(1))
    return isNotZero(value);
  if (isa<FloatType>(from))
    return isa<FloatType>(to) ? floatToFloat(value, to)
                              : floatToInteger(value, to);
  return isa<FloatType>(to) ? integerToFloat(value, from, to)
                            : integerToInteger(value, from, to);
}

Value BlockEmitter::isNotZero(Value value) {
  value = toF32(value);
  auto type = cast<RankedTensorType>(value.getType());
  Value zero = splatNumber(type.getShape(), type.getElementType(), 0);
  if (isa<FloatType>(type.getElementType()))
    return arith::CmpFOp::create(builder, loc, arith::CmpFPredicate::UNE, value,
                                 zero);
  return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ne, value,
                               zero);
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

Value BlockEmitter::floatToFloat(Value value, Type to) {
  auto type = cast<RankedTensorType>(value.getType());
  unsigned toBits = to.getIntOrFloatBitWidth();
  if (type.getElementTypeBitWidth() == 64)
    return fromF32(toBits < 32 ? toOddF32(value) : value, to);
  value = toF32(value);
  if (toBits < 64)
    return fromF32(value, to);
  return arith::ExtFOp::create(builder, loc, type.clone(to), value);
}

Value BlockEmitter::integerToFloat(Value value, Type from, Type to) {
  auto type = cast<RankedTensorType>(value.getType());
  // What f32 does not hold exactly is infinite in f16; targets round to bf16.
  RankedTensorType wide = type.clone(to.isF16() ? builder.getF32Type() : to);
  Value number;
  if (countsUnsigned(from))
    number = arith::UIToFPOp::create(builder, loc, wide, value);
  else
    number = arith::SIToFPOp::create(builder, loc, wide, value);
  return fromF32(number, to);
}

/// Towards zero, saturating; NaN gives 0. The instruction alone leaves what
/// does not fit undefined, so it sees only what fits.
Value BlockEmitter::floatToInteger(Value value, Type to) {
  Value x = toF32(value);
  auto type = cast<RankedTensorType>(x.getType());
  RankedTensorType result = tileType(type.getShape(), to);
  unsigned bits = to.getIntOrFloatBitWidth();
  bool isUnsigned = to.isUnsignedInteger();
  double limit = std::ldexp(1.0, isUnsigned ? bits : bits - 1);
  auto compare = [&](arith::CmpFPredicate predicate, double bound) -> Value {
    return arith::CmpFOp::create(
        builder, loc, predicate, x,
        splatNumber(type.getShape(), type.getElementType(), bound));
  };
  Value isHigh = compare(arith::CmpFPredicate::OGE, limit);
  Value isLow = compare(arith::CmpFPredicate::ULE, isUnsigned ? 0 : -limit);
  Value isNumber =
      arith::CmpFOp::create(builder, loc, arith::CmpFPredicate::ORD, x, x);
  Value isOutside = arith::OrIOp::create(builder, loc, isHigh, isLow);
  Value inside = arith::SelectOp::create(
      builder, loc, isOutside,
      splatNumber(type.getShape(), type.getElementType(), 0), x);
  Value integer;
  if (isUnsigned)
    integer = arith::FPToUIOp::create(builder, loc, result, inside);
  else
    integer = arith::FPToSIOp::create(builder, loc, result, inside);
  auto constant = [&](APInt number) {
    return splat(type.getShape(),
                 builder.getIntegerAttr(result.getElementType(), number));
  };
  Value lowest = constant(isUnsigned ? APInt::getMinValue(bits)
                                     : APInt::getSignedMinValue(bits));
  Value highest = constant(isUnsigned ? APInt::getMaxValue(bits)
                                      : APInt::getSignedMaxValue(bits));
  integer = arith::SelectOp::create(builder, loc, isLow, lowest, integer);
  integer = arith::SelectOp::create(builder, loc, isHigh, highest, integer);
  return arith::SelectOp::create(builder, loc, isNumber, integer,
                                 constant(APInt(bits, 0)));
}

Value BlockEmitter::integerToInteger(Value value, Type from, Type to) {
  auto type = cast<RankedTensorType>(value.getType());
  RankedTensorType result = tileType(type.getShape(), to);
  if (from.getIntOrFloatBitWidth() > to.getIntOrFloatBitWidth())
    return arith::TruncIOp::create(builder, loc, result, value);
  if (countsUnsigned(from))
    return arith::ExtUIOp::create(builder, loc, result, value);
  return arith::ExtSIOp::create(builder, loc, result, value);
}
