// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The polynomials are minimax fits made for this file. Each is exact at 0, and
// accurate relative to the function, so that small arguments keep their digits.
#include "ExpandFunctions.h"
#include "FormulaWriter.h"

#include "dialects/Tile/IR/Tile.h"

#include <limits>

using namespace mlir;
using namespace tessera;

namespace {

using Predicate = arith::CmpFPredicate;

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float notANumber = std::numeric_limits<float>::quiet_NaN();
/// pi/2, and what its rounding to f32 left out.
constexpr float halfPi = 1.57079637e+00f, halfPiRest = -4.37113883e-08f;
constexpr float ln2 = 6.93147182e-01f;

/// (atan(sqrt z) / sqrt z - 1) / z up to z = tan(pi/8)^2.
constexpr float atanPolynomial[] = {-3.333331550e-01f, 1.999848940e-01f,
                                    -1.424384822e-01f, 1.059599817e-01f,
                                    -6.083445549e-02f};
/// (asin(sqrt z) / sqrt z - 1) / z up to z = 1/4.
constexpr float asinPolynomial[] = {1.666665987e-01f, 7.500510917e-02f,
                                    4.451572049e-02f, 3.181760933e-02f,
                                    1.440261494e-02f, 3.756518843e-02f};
/// (e^x - 1 - x) / x^2 from -ln(2) / 2 to ln(2) / 2.
constexpr float expPolynomial[] = {4.999999404e-01f, 1.666652113e-01f,
                                   4.166838899e-02f, 8.368745446e-03f,
                                   1.381454058e-03f};
/// The same with one term less: e^x within 1.1e-7 of its value.
constexpr float shortExpPolynomial[] = {4.999923110e-01f, 1.666708887e-01f,
                                        4.189046100e-02f, 8.314777166e-03f};
/// (2^x - 1) / x from -1/2 to 1/2.
constexpr float exp2Polynomial[] = {
    6.931471805e-01f, 2.402265108e-01f, 5.550410963e-02f, 9.618036911e-03f,
    1.333343079e-03f, 1.546711035e-04f, 1.531494691e-05f};
/// (log(1 + x) - x + x^2 / 2) / x^3 from sqrt(1/2) - 1 to sqrt(2) - 1.
constexpr float logPolynomial[] = {
    3.333331044e-01f,  -2.499998660e-01f, 2.000222661e-01f,
    -1.666925082e-01f, 1.421865809e-01f,  -1.238434847e-01f,
    1.187297629e-01f,  -1.178980769e-01f, 6.915368067e-02f};

/// A base of logarithms: 1 / ln(base) and log(2), each in two parts. The first
/// part of log(2) has so few bits that its product with an exponent is exact.
struct Base {
  float scale, scaleRest, ofTwo, ofTwoRest;
};
constexpr Base baseTwo = {1.44269502e+00f, 1.92596299e-08f, 1, 0};
constexpr Base baseTen = {4.34294492e-01f, -1.01030549e-08f, 0.30078125f,
                          2.48745663e-04f};

class FunctionWriter : public FormulaWriter {
public:
  using FormulaWriter::FormulaWriter;

  Value exp(Value x);
  Value expOfNonPositive(Value x);
  Value exp2(Value x);
  Value logarithm(Value x, const Base &base);
  Value asin(Value x);
  Value acos(Value x);
  Value atan(Value x);
  Value atan2(Value y, Value x);
  Value asinh(Value x);
  Value acosh(Value x);
  Value atanh(Value x);

private:
  Value asinOfSmall(Value x);
  Value atanOfQuotient(Value numerator, Value denominator);
  Value log1p(Value x);
  Value square(Value x) { return multiply(x, x); }
  Value root(Value x) { return make<math::SqrtOp>(x); }
  Value bitsOf(Value x) {
    return to<arith::BitcastOp>(rewriter.getI32Type(), x);
  }
  Value floatOf(Value bits) {
    return to<arith::BitcastOp>(rewriter.getF32Type(), bits);
  }
};

/// 2^n e^r for the whole n nearest to x / ln(2), which is the end of a sum's
/// digits: they hold 126 more, and are the exponent of 2^(n-1) once they are in
/// its place. Arguments end where n is -126, which gives 0, and 128.
Value FunctionWriter::exp(Value x) {
  constexpr float log2OfE = 1.44269504f, least = -87.3f, most = 89;
  // ln(2) in two parts, the first with so few bits that n times it is exact.
  constexpr float ofTwo = 0.693359375f, ofTwoRest = -2.12194440e-04f;
  constexpr float whole = 0x1.8p23f + 126;
  // NaN stays.
  Value a = select(compare(Predicate::OGT, number(least), x), number(least), x);
  a = select(compare(Predicate::OLT, number(most), a), number(most), a);
  Value sum = multiplyAdd(a, number(log2OfE), number(whole));
  Value n = subtract(sum, number(whole));
  Value r = multiplyAdd(n, number(-ofTwo), a);
  r = multiplyAdd(n, number(-ofTwoRest), r);
  Value power = floatOf(make<arith::ShLIOp>(bitsOf(sum), integer32(23)));
  // (e^r - 1) 2^n + 2^n. Of chains of sums, two short ones are faster than a
  // long one: more elements are then computed at a time.
  const float *c = expPolynomial;
  Value square = this->square(r);
  Value low = multiplyAdd(r, number(c[1]), number(c[0])),
        high = multiplyAdd(r, number(c[3]), number(c[2]));
  high = multiplyAdd(square, number(c[4]), high);
  Value rest = multiplyAdd(square, multiplyAdd(square, high, low), r);
  Value half = multiplyAdd(rest, power, power);
  return add(half, half);
}

/// The same for arguments that are not above 0 but for rounding, as those of a
/// softmax are: what is above counts as 0. That takes 13 instructions instead
/// of
/// 16. Within 2e-7 of the value from -10 on; ln(2) in one part leaves 2e-9 for
/// each of the n. Below -87.7 the result is 0.
Value FunctionWriter::expOfNonPositive(Value x) {
  constexpr float log2OfE = 1.44269504f, least = -88;
  constexpr float whole = 0x1.8p23f + 127;
  // NaN stays.
  Value a = select(compare(Predicate::OGT, number(least), x), number(least), x);
  a = select(compare(Predicate::OLT, number(0), a), number(0), a);
  Value sum = multiplyAdd(a, number(log2OfE), number(whole));
  Value n = subtract(sum, number(whole));
  Value r = multiplyAdd(n, number(-ln2), a);
  Value power = floatOf(make<arith::ShLIOp>(bitsOf(sum), integer32(23)));
  const float *c = shortExpPolynomial;
  Value square = this->square(r);
  Value low = multiplyAdd(r, number(c[1]), number(c[0])),
        high = multiplyAdd(r, number(c[3]), number(c[2]));
  Value rest = multiplyAdd(square, multiplyAdd(square, high, low), r);
  return multiplyAdd(rest, power, power);
}

/// 2^n 2^r for the whole n nearest to x. The power of two is multiplied in two
/// steps, since it may be outside of the range of f32.
Value FunctionWriter::exp2(Value x) {
  Value clamped = select(compare(Predicate::OLT, x, -160.0f), number(-160), x);
  clamped = select(compare(Predicate::OLT, clamped, 136.0f), clamped,
                   number(136)); // NaN, too.
  Value n = make<math::RoundEvenOp>(clamped), r = subtract(clamped, n);
  Value power = multiplyAdd(r, polynomial(r, exp2Polynomial), number(1));
  Value whole = to<arith::FPToSIOp>(rewriter.getI32Type(), n);
  Value half = make<arith::ShRSIOp>(whole, integer32(1));
  auto powerOfTwo = [&](Value exponent) {
    Value biased = make<arith::AddIOp>(exponent, integer32(127));
    return floatOf(make<arith::ShLIOp>(biased, integer32(23)));
  };
  power = multiply(power, powerOfTwo(half));
  power = multiply(power, powerOfTwo(make<arith::SubIOp>(whole, half)));
  return select(isNaN(x), x, power);
}

/// x = m 2^e with sqrt(1/2) <= m < sqrt(2).
Value FunctionWriter::logarithm(Value x, const Base &base) {
  Value isSmall = compare(Predicate::OLT, x, std::numeric_limits<float>::min());
  Value normal = select(isSmall, multiply(x, number(0x1p24f)), x);
  Value bits = bitsOf(normal);
  Value e = make<arith::ShRSIOp>(
      make<arith::SubIOp>(bits, integer32(0x3f3504f3)), integer32(23));
  Value m =
      floatOf(make<arith::SubIOp>(bits, make<arith::ShLIOp>(e, integer32(23))));
  Value f = subtract(m, number(1));
  Value exponent = subtract(to<arith::SIToFPOp>(rewriter.getF32Type(), e),
                            select(isSmall, number(24), number(0)));
  // log(m) = f + rest.
  Value rest = multiply(
      square(f), multiplyAdd(f, polynomial(f, logPolynomial), number(-0.5f)));
  Value low = multiplyAdd(rest, number(base.scale),
                          multiply(f, number(base.scaleRest)));
  Value sum = multiplyAdd(f, number(base.scale), low);
  sum = add(sum, multiply(exponent, number(base.ofTwoRest)));
  Value log = multiplyAdd(exponent, number(base.ofTwo), sum);
  log = select(compare(Predicate::OEQ, x, infinity), x, log);
  log = select(compare(Predicate::OEQ, x, 0), number(-infinity), log);
  return select(compare(Predicate::OGE, x, 0), log, number(notANumber));
}

//===----------------------------------------------------------------------===//
// Angles
//===----------------------------------------------------------------------===//

/// For |x| <= 1/2.
Value FunctionWriter::asinOfSmall(Value x) {
  Value z = square(x);
  return multiplyAdd(multiply(polynomial(z, asinPolynomial), z), x, x);
}

/// Above 1/2, asin(x) = pi/2 - 2 asin(sqrt((1 - x) / 2)).
Value FunctionWriter::asin(Value x) {
  Value a = magnitude(x);
  Value isLarge = compare(Predicate::OGT, a, 0.5f);
  Value half = root(multiply(subtract(number(1), a), number(0.5f)));
  Value angle = asinOfSmall(select(isLarge, half, a));
  Value large =
      add(multiplyAdd(angle, number(-2), number(halfPi)), number(halfPiRest));
  return copySign(select(isLarge, large, angle), x);
}

/// pi/2 - asin(x) near 0; above 1/2, 2 asin(sqrt((1 - x) / 2)), and pi less
/// that below -1/2.
Value FunctionWriter::acos(Value x) {
  Value a = magnitude(x);
  Value isLarge = compare(Predicate::OGT, a, 0.5f);
  Value half = root(multiply(subtract(number(1), a), number(0.5f)));
  Value angle = asinOfSmall(select(isLarge, half, x));
  Value small = subtract(number(halfPi), subtract(angle, number(halfPiRest)));
  Value twice = multiply(angle, number(2));
  Value obtuse =
      subtract(number(2 * halfPi), subtract(twice, number(2 * halfPiRest)));
  Value large = select(compare(Predicate::OLT, x, 0), obtuse, twice);
  return select(isLarge, large, small);
}

/// atan(a / b) for 0 <= a <= b and b > 0: above tan(pi/8), pi/4 is taken off.
Value FunctionWriter::atanOfQuotient(Value a, Value b) {
  Value isLarge = compare(Predicate::OGT, a, multiply(b, number(0.414213562f)));
  Value t =
      divide(select(isLarge, subtract(a, b), a), select(isLarge, add(a, b), b));
  Value z = square(t);
  Value angle = multiplyAdd(multiply(polynomial(z, atanPolynomial), z), t, t);
  Value large = add(number(halfPi / 2), add(angle, number(halfPiRest / 2)));
  return select(isLarge, large, angle);
}

Value FunctionWriter::atan(Value x) {
  Value a = magnitude(x), one = number(1);
  Value isLarge = compare(Predicate::OGT, a, 1);
  Value angle =
      atanOfQuotient(select(isLarge, one, a), select(isLarge, a, one));
  Value rest = subtract(number(halfPi), subtract(angle, number(halfPiRest)));
  return copySign(select(isLarge, rest, angle), x);
}

Value FunctionWriter::atan2(Value y, Value x) {
  Value a = magnitude(y), b = magnitude(x);
  Value isSteep = compare(Predicate::OGT, a, b);
  Value least = select(isSteep, b, a), most = select(isSteep, a, b);
  // Two infinities or two zeros are as two ones and as 0 and 1. The sum of two
  // large numbers must not overflow.
  Value isEqual = compare(Predicate::OEQ, least, most);
  Value isZero = compare(Predicate::OEQ, most, 0);
  Value scale =
      select(compare(Predicate::OGT, most, 0x1p126f), number(0.25f), number(1));
  least = select(isEqual, select(isZero, number(0), number(1)),
                 multiply(least, scale));
  most = select(isEqual, number(1), multiply(most, scale));
  Value angle = atanOfQuotient(least, most);
  Value steep = subtract(number(halfPi), subtract(angle, number(halfPiRest)));
  angle = select(isSteep, steep, angle);
  Value isBehind =
      make<arith::CmpIOp>(arith::CmpIPredicate::slt, bitsOf(x), integer32(0));
  Value behind =
      subtract(number(2 * halfPi), subtract(angle, number(2 * halfPiRest)));
  angle = copySign(select(isBehind, behind, angle), y);
  Value sum = add(x, y);
  return select(make<arith::OrIOp>(isNaN(x), isNaN(y)), sum, angle);
}

//===----------------------------------------------------------------------===//
// Inverse hyperbolic functions
//===----------------------------------------------------------------------===//

/// log(1 + x), by W. Kahan: the rounding of u = 1 + x cancels in
/// x log(u) / (u - 1).
Value FunctionWriter::log1p(Value x) {
  Value u = add(x, number(1));
  Value scaled =
      multiply(make<math::LogOp>(u), divide(x, subtract(u, number(1))));
  Value isOne = compare(Predicate::OEQ, u, 1);
  Value isInfinite = compare(Predicate::OEQ, u, infinity);
  return select(make<arith::OrIOp>(isOne, isInfinite), x, scaled);
}

/// From here on, a^2 + 1 is a^2 in f32.
constexpr float largeForSquares = 8192;

Value FunctionWriter::asinh(Value x) {
  Value a = magnitude(x), square = this->square(a);
  Value bent = divide(square, add(root(add(square, number(1))), number(1)));
  Value large = add(make<math::LogOp>(a), number(ln2));
  Value isLarge = compare(Predicate::OGT, a, largeForSquares);
  return copySign(select(isLarge, large, log1p(add(a, bent))), x);
}

Value FunctionWriter::acosh(Value x) {
  Value t = subtract(x, number(1));
  Value bent = root(multiply(t, add(t, number(2))));
  Value large = add(make<math::LogOp>(x), number(ln2));
  Value isLarge = compare(Predicate::OGT, x, largeForSquares);
  Value result = select(isLarge, large, log1p(add(t, bent)));
  return select(compare(Predicate::OLT, x, 1), number(notANumber), result);
}

/// log((1 + a) / (1 - a)) / 2
Value FunctionWriter::atanh(Value x) {
  Value a = magnitude(x);
  Value w = divide(add(a, a), subtract(number(1), a));
  Value result = multiply(log1p(w), number(0.5f));
  result = select(compare(Predicate::OGT, a, 1), number(notANumber), result);
  return copySign(result, x);
}

//===----------------------------------------------------------------------===//
// Patterns
//===----------------------------------------------------------------------===//

template <typename Op, typename Write>
struct ExpandFunction : OpRewritePattern<Op> {
  ExpandFunction(MLIRContext *context, Write write)
      : OpRewritePattern<Op>(context, /*benefit=*/2), write(write) {}

  LogicalResult matchAndRewrite(Op op,
                                PatternRewriter &rewriter) const override {
    if (!getElementTypeOrSelf(op.getType()).isF32())
      return rewriter.notifyMatchFailure(op, "not f32");
    FunctionWriter writer(rewriter, op.getLoc(), op.getType());
    rewriter.replaceOp(op, write(writer, op));
    return success();
  }

private:
  Write write;
};

template <typename Op, typename Write>
void addExpansion(RewritePatternSet &patterns, Write write) {
  patterns.add<ExpandFunction<Op, Write>>(patterns.getContext(), write);
}

} // namespace

void tessera::populateExpandFunctionsPatterns(RewritePatternSet &patterns) {
  using W = FunctionWriter;
  addExpansion<math::ExpOp>(patterns, [](W &w, math::ExpOp op) {
    return op->hasAttr(tile::nonPositiveAttrName)
               ? w.expOfNonPositive(op.getOperand())
               : w.exp(op.getOperand());
  });
  addExpansion<math::Exp2Op>(
      patterns, [](W &w, math::Exp2Op op) { return w.exp2(op.getOperand()); });
  addExpansion<math::Log2Op>(patterns, [](W &w, math::Log2Op op) {
    return w.logarithm(op.getOperand(), baseTwo);
  });
  addExpansion<math::Log10Op>(patterns, [](W &w, math::Log10Op op) {
    return w.logarithm(op.getOperand(), baseTen);
  });
  addExpansion<math::AsinOp>(
      patterns, [](W &w, math::AsinOp op) { return w.asin(op.getOperand()); });
  addExpansion<math::AcosOp>(
      patterns, [](W &w, math::AcosOp op) { return w.acos(op.getOperand()); });
  addExpansion<math::AtanOp>(
      patterns, [](W &w, math::AtanOp op) { return w.atan(op.getOperand()); });
  addExpansion<math::Atan2Op>(patterns, [](W &w, math::Atan2Op op) {
    return w.atan2(op.getLhs(), op.getRhs());
  });
  addExpansion<math::AsinhOp>(patterns, [](W &w, math::AsinhOp op) {
    return w.asinh(op.getOperand());
  });
  addExpansion<math::AcoshOp>(patterns, [](W &w, math::AcoshOp op) {
    return w.acosh(op.getOperand());
  });
  addExpansion<math::AtanhOp>(patterns, [](W &w, math::AtanhOp op) {
    return w.atanh(op.getOperand());
  });
}

bool tessera::isLibraryFunction(Operation *op) {
  return isa<math::ExpOp, math::Exp2Op, math::LogOp, math::Log2Op,
             math::Log10Op, math::TanhOp, math::ErfOp, math::ErfcOp,
             math::SinOp, math::CosOp, math::AsinOp, math::AcosOp, math::AtanOp,
             math::Atan2Op, math::AsinhOp, math::AcoshOp, math::AtanhOp,
             math::PowFOp>(op);
}
