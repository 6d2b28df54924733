// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "BF16Patterns.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Transforms/Passes.h"

using namespace mlir;

namespace {

/// Makes an integer one that f32 holds exactly, and that rounds to bf16 as it
/// does itself: where it has more bits, its low ones become one, odd if any was
/// set (Boldo and Melquiond, When double rounding is odd, 2005).
class OddRounding {
public:
  OddRounding(PatternRewriter &rewriter, Location loc, Value value)
      : rewriter(rewriter), loc(loc), type(value.getType()), value(value) {}

  Value run(bool isUnsigned) {
    unsigned width = getElementTypeOrSelf(type).getIntOrFloatBitWidth();
    // After each step a number is exact, or larger than 2^exact. Far more than
    // the 8 bits of a bf16 are above those that are dropped.
    unsigned exact = 24;
    for (unsigned dropped : {8, 19, 30, 40}) {
      if (width <= exact)
        break;
      value = arith::SelectOp::create(rewriter, loc, isAbove(exact, isUnsigned),
                                      withoutLowBits(dropped), value);
      exact = 24 + dropped;
    }
    return value;
  }

private:
  Value integer(const APInt &number) {
    TypedAttr attr =
        rewriter.getIntegerAttr(getElementTypeOrSelf(type), number);
    if (auto shaped = dyn_cast<ShapedType>(type))
      attr = DenseElementsAttr::get(shaped, cast<Attribute>(attr));
    return arith::ConstantOp::create(rewriter, loc, attr);
  }
  APInt power(unsigned exponent) {
    return APInt::getOneBitSet(
        getElementTypeOrSelf(type).getIntOrFloatBitWidth(), exponent);
  }

  /// Not in [-2^exponent, 2^exponent), or [0, 2^exponent).
  Value isAbove(unsigned exponent, bool isUnsigned) {
    Value shifted = value;
    if (!isUnsigned)
      shifted =
          arith::AddIOp::create(rewriter, loc, value, integer(power(exponent)));
    return arith::CmpIOp::create(
        rewriter, loc, arith::CmpIPredicate::uge, shifted,
        integer(power(isUnsigned ? exponent : exponent + 1)));
  }

  Value withoutLowBits(unsigned count) {
    APInt low = power(count) - 1;
    Value carry = arith::AddIOp::create(
        rewriter, loc,
        arith::AndIOp::create(rewriter, loc, value, integer(low)),
        integer(low));
    return arith::AndIOp::create(
        rewriter, loc, arith::OrIOp::create(rewriter, loc, value, carry),
        integer(~low));
  }

  PatternRewriter &rewriter;
  Location loc;
  Type type;
  Value value;
};

/// Before: sitofp %x : i32 to bf16. After: sitofp to f32, which is exact, then
/// truncf, which becomes bit arithmetic.
template <typename ConvertOp>
struct IntegerToBF16ThroughF32 : OpRewritePattern<ConvertOp> {
  using OpRewritePattern<ConvertOp>::OpRewritePattern;
  LogicalResult matchAndRewrite(ConvertOp op,
                                PatternRewriter &rewriter) const override {
    Type type = op.getType(), wide = rewriter.getF32Type();
    if (!getElementTypeOrSelf(type).isBF16())
      return rewriter.notifyMatchFailure(op, "does not make bf16");
    if (auto vector = dyn_cast<VectorType>(type))
      wide = vector.clone(wide);
    Value integer = OddRounding(rewriter, op.getLoc(), op.getIn())
                        .run(std::is_same_v<ConvertOp, arith::UIToFPOp>);
    Value number = ConvertOp::create(rewriter, op.getLoc(), wide, integer);
    rewriter.replaceOpWithNewOp<arith::TruncFOp>(op, type, number);
    return success();
  }
};

} // namespace

void tessera::populateBF16Patterns(RewritePatternSet &patterns) {
  arith::populateExpandBFloat16Patterns(patterns);
  patterns.add<IntegerToBF16ThroughF32<arith::SIToFPOp>,
               IntegerToBF16ThroughF32<arith::UIToFPOp>>(patterns.getContext());
}
