// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Reduction: Cody and Waite, Software Manual for the Elementary Functions,
// 1980, with fused multiply-adds. Polynomials: S. Moshier, Cephes, single
// precision.
#include "ExpandTrigonometry.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/BuiltinTypes.h"

using namespace mlir;
using namespace tessera;

namespace {

/// pi/2 in three parts of 24 bits: k times the first is exact in a fused
/// multiply-add, so that x - k pi/2 loses no bits of x.
constexpr float halfPi[] = {1.57079637e+00f, -4.37113883e-08f,
                            -1.71512475e-15f};

template <typename Op> struct Expand : OpRewritePattern<Op> {
  Expand(MLIRContext *context) : OpRewritePattern<Op>(context, /*benefit=*/2) {}

  LogicalResult matchAndRewrite(Op op,
                                PatternRewriter &rewriter) const override {
    Type type = op.getType();
    if (!getElementTypeOrSelf(type).isF32())
      return rewriter.notifyMatchFailure(op, "not f32");
    Location loc = op.getLoc();
    auto number = [&](float value) -> Value {
      TypedAttr attr = rewriter.getF32FloatAttr(value);
      if (auto shaped = dyn_cast<ShapedType>(type))
        attr = DenseElementsAttr::get(shaped, value);
      return arith::ConstantOp::create(rewriter, loc, attr);
    };
    auto multiply = [&](Value a, Value b) -> Value {
      return arith::MulFOp::create(rewriter, loc, a, b);
    };
    auto multiplyAdd = [&](Value a, Value b, Value c) -> Value {
      return math::FmaOp::create(rewriter, loc, a, b, c);
    };
    auto select = [&](Value condition, Value a, Value b) -> Value {
      return arith::SelectOp::create(rewriter, loc, condition, a, b);
    };
    auto compare = [&](arith::CmpFPredicate predicate, Value a, float b) {
      return arith::CmpFOp::create(rewriter, loc, predicate, a, number(b));
    };

    // x = k pi/2 + r, |r| <= pi/4.
    Value x = op.getOperand();
    Value k = math::RoundEvenOp::create(rewriter, loc,
                                        multiply(x, number(0.636619747f)));
    Value negative = arith::NegFOp::create(rewriter, loc, k);
    Value r = x;
    for (float part : halfPi)
      r = multiplyAdd(negative, number(part), r);
    Value square = multiply(r, r);

    Value sine = number(-1.9515295891e-4f);
    sine = multiplyAdd(sine, square, number(8.3321608736e-3f));
    sine = multiplyAdd(sine, square, number(-1.6666654611e-1f));
    sine = multiplyAdd(multiply(sine, square), r, r);
    Value cosine = number(2.443315711809948e-5f);
    cosine = multiplyAdd(cosine, square, number(-1.388731625493765e-3f));
    cosine = multiplyAdd(cosine, square, number(4.166664568298827e-2f));
    cosine = multiplyAdd(cosine, square, number(-0.5f));
    cosine = multiplyAdd(cosine, square, number(1));

    // The quadrant, 0 to 3, stays a float: infinities and NaNs have none, and
    // give NaN through r.
    if (std::is_same_v<Op, math::CosOp>)
      k = arith::AddFOp::create(rewriter, loc, k, number(1));
    Value turns =
        math::FloorOp::create(rewriter, loc, multiply(k, number(0.25f)));
    Value quadrant = multiplyAdd(turns, number(-4), k);
    Value isOdd = arith::OrIOp::create(
        rewriter, loc, compare(arith::CmpFPredicate::OEQ, quadrant, 1),
        compare(arith::CmpFPredicate::OEQ, quadrant, 3));
    Value magnitude = select(isOdd, cosine, sine);
    Value isNegative = compare(arith::CmpFPredicate::OGE, quadrant, 2);
    rewriter.replaceOp(
        op, select(isNegative, arith::NegFOp::create(rewriter, loc, magnitude),
                   magnitude));
    return success();
  }
};

} // namespace

void tessera::populateExpandTrigonometryPatterns(RewritePatternSet &patterns) {
  patterns.add<Expand<math::SinOp>, Expand<math::CosOp>>(patterns.getContext());
}
