// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Reduction: Cody and Waite, Software Manual for the Elementary Functions,
// 1980, with fused multiply-adds; of large arguments, Payne and Hanek, Radian
// Reduction for Trigonometric Functions, 1983. Polynomials: S. Moshier, Cephes,
// single precision.
#include "ExpandTrigonometry.h"
#include "FormulaWriter.h"

#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

#include <limits>

using namespace mlir;
using namespace tessera;

namespace {

/// pi/2 in three parts of 24 bits: k times the first is exact in a fused
/// multiply-add, so that x - k pi/2 loses no bits of x.
constexpr float halfPi[] = {1.57079637e+00f, -4.37113883e-08f,
                            -1.71512475e-15f};

/// Up to here the three parts suffice.
constexpr float mostReducedByParts = 1e5f;

/// The bits of 1 / (2 pi) behind the binary point, the first word before it.
constexpr uint32_t inverseTurn[] = {0x00000000, 0x28be60db, 0x9391054a,
                                    0x7f09d5f4, 0x7d4d3770, 0x36d8a566,
                                    0x4f10e410, 0x7f9458ea};

/// x = quarters pi/2 + rest with |rest| <= pi/4; `quarters` is a whole f32,
/// correct modulo 4.
struct Angle {
  Value quarters, rest;
};

/// Writes the formulas of sine and cosine.
class AngleWriter : public FormulaWriter {
public:
  using FormulaWriter::FormulaWriter;

  Angle reduce(Value x);
  Value inQuadrant(const Angle &angle);

private:
  Value sine(Value rest);
  Value cosine(Value rest);
  Angle reduceByParts(Value x);
  Angle reduceByFraction(Value x);
  Value fractionOfTurn(Value magnitudeBits);
  Value inverseTurnWord(Value first, size_t index);
};

/// Arguments are small mostly: only where one is not, all lanes are reduced the
/// slow way as well.
Angle AngleWriter::reduce(Value x) {
  Angle byParts = reduceByParts(x);
  // Infinities and NaNs give NaN by parts.
  Value magnitude = make<math::AbsFOp>(x);
  Value isLarge = make<arith::AndIOp>(
      compare(arith::CmpFPredicate::OGT, magnitude, mostReducedByParts),
      compare(arith::CmpFPredicate::OLT, magnitude,
              std::numeric_limits<float>::infinity()));
  Value anyLarge = isLarge;
  if (isa<VectorType>(type))
    anyLarge = make<vector::ReductionOp>(vector::CombiningKind::OR, isLarge);
  auto branch = scf::IfOp::create(rewriter, loc, TypeRange{type, type},
                                  anyLarge, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(rewriter);
  rewriter.setInsertionPointToStart(branch.thenBlock());
  Angle byFraction = reduceByFraction(x);
  scf::YieldOp::create(
      rewriter, loc,
      ValueRange{select(isLarge, byFraction.quarters, byParts.quarters),
                 select(isLarge, byFraction.rest, byParts.rest)});
  rewriter.setInsertionPointToStart(branch.elseBlock());
  scf::YieldOp::create(rewriter, loc,
                       ValueRange{byParts.quarters, byParts.rest});
  return {branch.getResult(0), branch.getResult(1)};
}

Angle AngleWriter::reduceByParts(Value x) {
  Value quarters = make<math::RoundEvenOp>(multiply(x, number(0.636619747f)));
  Value negative = negate(quarters), rest = x;
  for (float part : halfPi)
    rest = multiplyAdd(negative, number(part), rest);
  return {quarters, rest};
}

/// For finite |x| > 1.
Angle AngleWriter::reduceByFraction(Value x) {
  Type i32 = rewriter.getI32Type(), i64 = rewriter.getI64Type(),
       f64 = rewriter.getF64Type();
  Value bits =
      to<arith::ExtUIOp>(i64, to<arith::BitcastOp>(i32, make<math::AbsFOp>(x)));
  Value fraction = fractionOfTurn(bits);
  // To the nearest quarter: what is left is a signed number of 2^-62 quarters.
  Value quarter = make<arith::ShRUIOp>(
      make<arith::AddIOp>(fraction, integer(uint64_t(1) << 61)), integer(62));
  Value left =
      make<arith::SubIOp>(fraction, make<arith::ShLIOp>(quarter, integer(62)));
  Value scale = constant(rewriter.getF64FloatAttr(0x1.921fb54442d18p-62));
  Value rest = to<arith::TruncFOp>(
      rewriter.getF32Type(), multiply(to<arith::SIToFPOp>(f64, left), scale));
  Value quarters = to<arith::SIToFPOp>(rewriter.getF32Type(),
                                       to<arith::TruncIOp>(i32, quarter));
  Value isNegative = compare(arith::CmpFPredicate::OLT, x, 0);
  return {select(isNegative, negate(quarters), quarters),
          select(isNegative, negate(rest), rest)};
}

/// |x| / (2 pi) modulo 1, in 2^-64. |x| is m 2^(e - 32) for a whole m of 32
/// bits. Behind the point, the first e - 32 bits of 1 / (2 pi) times that are
/// whole turns; the 96 bits after them are enough.
Value AngleWriter::fractionOfTurn(Value magnitudeBits) {
  Value biased = make<arith::ShRUIOp>(magnitudeBits, integer(23));
  Value e = make<arith::SubIOp>(biased, integer(126));
  Value mantissa = make<arith::OrIOp>(
      make<arith::AndIOp>(magnitudeBits, integer(0x7fffff)), integer(0x800000));
  mantissa = make<arith::ShLIOp>(mantissa, integer(8));
  Value first = make<arith::ShRUIOp>(e, integer(5));
  Value shift = make<arith::AndIOp>(e, integer(31));
  Value previous = inverseTurnWord(first, 0), words[3];
  for (size_t i = 0; i < 3; ++i) {
    Value next = inverseTurnWord(first, i + 1);
    Value both =
        make<arith::OrIOp>(make<arith::ShLIOp>(previous, integer(32)), next);
    words[i] =
        make<arith::ShRUIOp>(make<arith::ShLIOp>(both, shift), integer(32));
    previous = next;
  }
  auto times = [&](Value word) { return make<arith::MulIOp>(mantissa, word); };
  Value high = make<arith::ShLIOp>(times(words[0]), integer(32));
  Value low = make<arith::ShRUIOp>(times(words[2]), integer(32));
  return make<arith::AddIOp>(make<arith::AddIOp>(high, times(words[1])), low);
}

/// inverseTurn[first + index], where `first` is 0 to 4.
Value AngleWriter::inverseTurnWord(Value first, size_t index) {
  Value word = integer(inverseTurn[index]);
  for (size_t i = 1; i <= 4; ++i)
    word =
        select(make<arith::CmpIOp>(arith::CmpIPredicate::eq, first, integer(i)),
               integer(inverseTurn[i + index]), word);
  return word;
}

Value AngleWriter::sine(Value rest) {
  Value square = multiply(rest, rest);
  Value sum = number(-1.9515295891e-4f);
  sum = multiplyAdd(sum, square, number(8.3321608736e-3f));
  sum = multiplyAdd(sum, square, number(-1.6666654611e-1f));
  return multiplyAdd(multiply(sum, square), rest, rest);
}

Value AngleWriter::cosine(Value rest) {
  Value square = multiply(rest, rest);
  Value sum = number(2.443315711809948e-5f);
  sum = multiplyAdd(sum, square, number(-1.388731625493765e-3f));
  sum = multiplyAdd(sum, square, number(4.166664568298827e-2f));
  sum = multiplyAdd(sum, square, number(-0.5f));
  return multiplyAdd(sum, square, number(1));
}

/// The sine of the angle. The quadrant, 0 to 3, stays a float: infinities and
/// NaNs have none, and give NaN through the rest.
Value AngleWriter::inQuadrant(const Angle &angle) {
  Value turns = make<math::FloorOp>(multiply(angle.quarters, number(0.25f)));
  Value quadrant = multiplyAdd(turns, number(-4), angle.quarters);
  Value isOdd =
      make<arith::OrIOp>(compare(arith::CmpFPredicate::OEQ, quadrant, 1),
                         compare(arith::CmpFPredicate::OEQ, quadrant, 3));
  Value magnitude = select(isOdd, cosine(angle.rest), sine(angle.rest));
  Value isNegative = compare(arith::CmpFPredicate::OGE, quadrant, 2);
  return select(isNegative, negate(magnitude), magnitude);
}

/// The cosine of an angle is the sine a quarter later.
template <typename Op> struct Expand : OpRewritePattern<Op> {
  Expand(MLIRContext *context) : OpRewritePattern<Op>(context, /*benefit=*/2) {}

  LogicalResult matchAndRewrite(Op op,
                                PatternRewriter &rewriter) const override {
    Type type = op.getType();
    if (!getElementTypeOrSelf(type).isF32())
      return rewriter.notifyMatchFailure(op, "not f32");
    AngleWriter writer(rewriter, op.getLoc(), type);
    Angle angle = writer.reduce(op.getOperand());
    if (std::is_same_v<Op, math::CosOp>)
      angle.quarters = writer.add(angle.quarters, writer.number(1));
    Value result = writer.inQuadrant(angle);
    // The reduction loses the sign of a zero.
    if (std::is_same_v<Op, math::SinOp>)
      result = writer.select(
          writer.compare(arith::CmpFPredicate::OEQ, op.getOperand(), 0),
          op.getOperand(), result);
    rewriter.replaceOp(op, result);
    return success();
  }
};

} // namespace

void tessera::populateExpandTrigonometryPatterns(RewritePatternSet &patterns) {
  patterns.add<Expand<math::SinOp>, Expand<math::CosOp>>(patterns.getContext());
}
