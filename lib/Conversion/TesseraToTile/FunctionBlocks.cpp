// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Functions that the math dialect has not: the inverse of the error function,
// neighbours of floats, and powers of integers.
#include "BlockEmitter.h"

#include <cmath>

using namespace mlir;
using namespace tessera;

/// Writes arithmetic on tiles of the shape of one of them.
class BlockEmitter::Formula {
public:
  using Predicate = arith::CmpFPredicate;

  Formula(BlockEmitter &emitter, Value like)
      : emitter(emitter), builder(emitter.builder), loc(emitter.loc),
        type(cast<RankedTensorType>(like.getType())),
        bitsType(builder.getIntegerType(type.getElementTypeBitWidth())) {}

  Value number(double value) {
    return emitter.splatNumber(type.getShape(), type.getElementType(), value);
  }
  Value integer(int64_t value) {
    return emitter.splatNumber(type.getShape(), bitsType, value);
  }
  template <typename Op, typename... Operands>
  Value make(Operands... operands) {
    return Op::create(builder, loc, operands...);
  }
  Value add(Value a, Value b) { return make<arith::AddFOp>(a, b); }
  Value sub(Value a, Value b) { return make<arith::SubFOp>(a, b); }
  Value mul(Value a, Value b) { return make<arith::MulFOp>(a, b); }
  Value div(Value a, Value b) { return make<arith::DivFOp>(a, b); }
  Value abs(Value a) { return make<math::AbsFOp>(a); }
  Value select(Value condition, Value a, Value b) {
    return make<arith::SelectOp>(condition, a, b);
  }
  Value compare(Predicate predicate, Value a, Value b) {
    return make<arith::CmpFOp>(predicate, a, b);
  }
  Value either(Value a, Value b) { return make<arith::OrIOp>(a, b); }
  Value bitsOf(Value a) {
    return arith::BitcastOp::create(builder, loc, type.clone(bitsType), a);
  }
  Value floatOf(Value bits) {
    return arith::BitcastOp::create(builder, loc, type, bits);
  }
  Value polynomial(Value x, ArrayRef<double> coefficients) {
    Value sum = number(coefficients.back());
    for (double coefficient : llvm::reverse(coefficients.drop_back()))
      sum = make<math::FmaOp>(sum, x, number(coefficient));
    return sum;
  }

  Value inverseErfNarrow(Value x);
  Value inverseErfWide(Value x);

private:
  BlockEmitter &emitter;
  OpBuilder &builder;
  Location loc;
  RankedTensorType type;
  Type bitsType;
};

//===----------------------------------------------------------------------===//
// The inverse of the error function
//===----------------------------------------------------------------------===//

/// x P(w) with w = -log(1 - x^2), a form of M. Giles, "Approximating the erfinv
/// function", 2010; the polynomials are minimax fits made for this file.
Value BlockEmitter::Formula::inverseErfNarrow(Value x) {
  // In w - 2.5 up to w = 5, in sqrt(w) - 3 above.
  constexpr double middle[] = {
      1.501409359e+00, 2.466402961e-01,  -4.177384138e-03, -1.252763796e-03,
      2.183422163e-04, -4.950465967e-06, -3.462115893e-06, 4.633813313e-07,
      2.318436530e-08, -8.590431855e-09};
  constexpr double ends[] = {
      2.832976801e+00,  1.001675049e+00,  9.445360566e-03, -7.638671381e-03,
      5.685946913e-03,  -3.591139849e-03, 1.488389110e-03, -6.750415863e-05,
      -3.124984324e-04, 1.220539380e-04};
  Value a = abs(x), one = number(1);
  Value product = mul(sub(one, a), add(one, a));
  Value w = make<arith::NegFOp>(make<math::LogOp>(product));
  Value isMiddle = compare(Predicate::OLT, w, number(5));
  Value ofMiddle = polynomial(sub(w, number(2.5)), middle);
  Value ofEnds = polynomial(sub(make<math::SqrtOp>(w), number(3)), ends);
  return mul(select(isMiddle, ofMiddle, ofEnds), a);
}

/// Halley's iterations from an approximation of S. Winitzki, "A handy
/// approximation for the error function and its inverse", 2008. Near the ends,
/// erfc has the digits that erf has lost.
Value BlockEmitter::Formula::inverseErfWide(Value x) {
  constexpr double a = 0.147;
  Value p = abs(x), one = number(1), q = sub(one, p);
  Value log = make<math::LogOp>(mul(q, add(one, p)));
  Value half = add(number(2 / (M_PI * a)), mul(log, number(0.5)));
  Value rest = mul(log, number(-1 / a));
  // sqrt(half^2 + rest) - half, without cancellation.
  Value root = make<math::SqrtOp>(add(mul(half, half), rest));
  Value y = make<math::SqrtOp>(div(rest, add(root, half)));
  Value isTiny = compare(Predicate::OLT, p, number(1e-4));
  y = select(isTiny, mul(p, number(std::sqrt(M_PI) / 2)), y);
  Value isMiddle = compare(Predicate::OLT, p, number(0.5));
  for (int i = 0; i < 3; ++i) {
    Value excess = select(isMiddle, sub(make<math::ErfOp>(y), p),
                          sub(q, make<math::ErfcOp>(y)));
    Value slope = make<math::ExpOp>(mul(y, y));
    Value step = mul(mul(excess, number(std::sqrt(M_PI) / 2)), slope);
    y = sub(y, div(step, make<math::FmaOp>(y, step, one)));
  }
  return y;
}

Value BlockEmitter::emitInverseErf(Value x) {
  Formula f(*this, x);
  bool isWide = getElementTypeOrSelf(x.getType()).isF64();
  Value result = isWide ? f.inverseErfWide(x) : f.inverseErfNarrow(x);
  using Predicate = arith::CmpFPredicate;
  Value isEnd = f.compare(Predicate::OEQ, f.abs(x), f.number(1));
  result = f.select(isEnd, f.number(INFINITY), result);
  Value isInside = f.compare(Predicate::OLE, f.abs(x), f.number(1));
  result = f.select(isInside, result, f.number(NAN));
  // Zeros keep their sign.
  return math::CopySignOp::create(builder, loc, result, x);
}

//===----------------------------------------------------------------------===//
// nextafter
//===----------------------------------------------------------------------===//

/// Numbers of one sign are ordered as their bits are. Those of bf16 and f16 are
/// stepped through in f32, of whose bits they have the upper ones; below 2^-14,
/// where f16 is spaced evenly, by addition.
Value BlockEmitter::emitNextafter(Value x, Value y) {
  Type element = getElementTypeOrSelf(x.getType());
  bool isHalf = element.isF16();
  int64_t step = isHalf ? 1 << 13 : element.isBF16() ? 1 << 16 : 1;
  x = toF32(x);
  y = toF32(y);
  Formula f(*this, x);
  using Predicate = arith::CmpFPredicate;
  Value zero = f.number(0);
  Value isAbove = f.compare(Predicate::OGT, y, x);
  Value isPositive = f.compare(Predicate::OGT, x, zero);
  Value grows = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq,
                                      isAbove, isPositive);
  Value bits = f.bitsOf(x);
  Value next = f.floatOf(f.make<arith::AddIOp>(
      bits, f.select(grows, f.integer(step), f.integer(-step))));
  Value least = f.floatOf(f.integer(step));
  if (isHalf) {
    constexpr double leastNormal = 0x1p-14, spacing = 0x1p-24;
    Value magnitude = f.abs(x);
    Value isFine = f.compare(Predicate::OLT, magnitude, f.number(leastNormal));
    Value isEdge = f.compare(Predicate::OEQ, magnitude, f.number(leastNormal));
    Value shrinksFromEdge = f.select(grows, isFine, isEdge);
    Value moved = f.add(magnitude,
                        f.select(grows, f.number(spacing), f.number(-spacing)));
    moved = math::CopySignOp::create(builder, loc, moved, x);
    next = f.select(f.either(isFine, shrinksFromEdge), moved, next);
    Value largest = math::CopySignOp::create(builder, loc, f.number(65504), x);
    Value isInfinite = f.compare(Predicate::OEQ, magnitude, f.number(INFINITY));
    next = f.select(isInfinite, largest, next);
    least = f.number(spacing);
  }
  Value fromZero = math::CopySignOp::create(builder, loc, least, y);
  next = f.select(f.compare(Predicate::OEQ, x, zero), fromZero, next);
  next = f.select(f.compare(Predicate::OEQ, x, y), y, next);
  next = f.select(f.compare(Predicate::UNO, x, y), f.add(x, y), next);
  return fromF32(next, element);
}

//===----------------------------------------------------------------------===//
// Powers of integers
//===----------------------------------------------------------------------===//

/// By squaring, bit by bit of the exponent; wraps. A negative exponent gives
/// the reciprocal rounded to zero.
Value BlockEmitter::emitIntegerPower(Value x, Value y, bool isUnsigned) {
  auto type = cast<RankedTensorType>(x.getType());
  int64_t width = type.getElementTypeBitWidth();
  int64_t bits = isUnsigned ? width : width - 1;
  auto number = [&](int64_t value) {
    return splatNumber(type.getShape(), type.getElementType(), value);
  };
  auto equals = [&](Value tile, int64_t value) -> Value {
    return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq, tile,
                                 number(value));
  };
  auto mul = [&](Value a, Value b) -> Value {
    return arith::MulIOp::create(builder, loc, a, b);
  };
  Value zero = number(0), one = number(1);
  SmallVector<Value> carried =
      forLoop(bits, 1, {one, x, y}, [&](Value, ValueRange tiles) {
        Value odd = arith::AndIOp::create(builder, loc, tiles[2], number(1));
        Value result = arith::SelectOp::create(
            builder, loc, equals(odd, 1), mul(tiles[0], tiles[1]), tiles[0]);
        Value rest = arith::ShRUIOp::create(builder, loc, tiles[2], number(1));
        return SmallVector<Value>{result, mul(tiles[1], tiles[1]), rest};
      });
  Value power = carried[0];
  if (isUnsigned)
    return power;
  Value odd = arith::AndIOp::create(builder, loc, y, one);
  Value sign = arith::SelectOp::create(builder, loc, equals(odd, 1), x, one);
  Value reciprocal = arith::SelectOp::create(
      builder, loc, equals(x, 1), one,
      arith::SelectOp::create(builder, loc, equals(x, -1), sign, zero));
  Value isNegative =
      arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::slt, y, zero);
  return arith::SelectOp::create(builder, loc, isNegative, reciprocal, power);
}
