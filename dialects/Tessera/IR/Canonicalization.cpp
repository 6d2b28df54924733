// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Rewrites into another op of the dialect; folds are with the op families.
#include "Folding.h"

#include "mlir/IR/PatternMatch.h"

using namespace mlir;
using namespace tessera;

namespace {
/// x + -y -> x - y, x - -y -> x + y, which rounds alike.
template <typename From, typename To>
struct AbsorbNegation : OpRewritePattern<From> {
  using OpRewritePattern<From>::OpRewritePattern;
  LogicalResult matchAndRewrite(From op,
                                PatternRewriter &rewriter) const override {
    auto neg = op.getRhs().template getDefiningOp<NegOp>();
    if (!neg || !isDroppable(neg.getType()))
      return rewriter.notifyMatchFailure(op, "does not take a negation");
    rewriter.replaceOpWithNewOp<To>(op, op.getType(), op.getLhs(),
                                    neg.getInput());
    return success();
  }
};

/// select(not p, x, y) -> select(p, y, x).
struct AbsorbNot : OpRewritePattern<SelectOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(SelectOp op,
                                PatternRewriter &rewriter) const override {
    auto inverse = op.getPredicate().getDefiningOp<NotOp>();
    if (!inverse || !isDroppable(inverse.getType()))
      return rewriter.notifyMatchFailure(op, "its predicate is no inverse");
    rewriter.replaceOpWithNewOp<SelectOp>(op, op.getType(), inverse.getInput(),
                                          op.getOnFalse(), op.getOnTrue());
    return success();
  }
};

/// reduce along dimensions of one element -> reshape. Layouts must be open or
/// absent: a dimension of one element has a factor in the rule of the reduction
/// and none in that of the reshape.
struct ReduceOfOneElement : OpRewritePattern<ReduceOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ReduceOp op,
                                PatternRewriter &rewriter) const override {
    ArrayRef<int64_t> shape = shapeOf(op.getInput());
    bool combines = llvm::any_of(op.getDims(),
                                 [&](int64_t dim) { return shape[dim] != 1; });
    if (combines || !isDroppable(op.getInput().getType()) ||
        !isDroppable(op.getType()))
      return rewriter.notifyMatchFailure(op, "combines several elements");
    rewriter.replaceOpWithNewOp<ReshapeOp>(op, op.getType(), op.getInput());
    return success();
  }
};
} // namespace

void TesseraDialect::getCanonicalizationPatterns(
    RewritePatternSet &patterns) const {
  patterns.add<AbsorbNegation<AddOp, SubOp>, AbsorbNegation<SubOp, AddOp>,
               AbsorbNot, ReduceOfOneElement>(getContext());
}
