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
      return rewriter.notifyMatchFailure(op, "its predicate is not a negation");
    rewriter.replaceOpWithNewOp<SelectOp>(op, op.getType(), inverse.getInput(),
                                          op.getOnFalse(), op.getOnTrue());
    return success();
  }
};

std::optional<CompareDirection> inverseOf(CompareDirection direction,
                                          Type element) {
  using Direction = CompareDirection;
  if (direction == Direction::eq)
    return Direction::ne;
  if (direction == Direction::ne)
    return Direction::eq;
  // NaN is neither less than a number nor greater or equal.
  if (isa<FloatType>(element))
    return std::nullopt;
  switch (direction) {
  case Direction::lt:
    return Direction::ge;
  case Direction::ge:
    return Direction::lt;
  case Direction::gt:
    return Direction::le;
  case Direction::le:
    return Direction::gt;
  default:
    return std::nullopt;
  }
}

/// not(x < y) -> x >= y.
struct InvertComparison : OpRewritePattern<NotOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(NotOp op,
                                PatternRewriter &rewriter) const override {
    auto compare = op.getInput().getDefiningOp<CompareOp>();
    if (!compare || !isDroppable(compare.getType()))
      return rewriter.notifyMatchFailure(op, "does not invert a comparison");
    std::optional<CompareDirection> inverse =
        inverseOf(compare.getDirection(),
                  getElementTypeOrSelf(compare.getLhs().getType()));
    if (!inverse)
      return rewriter.notifyMatchFailure(op, "floats have no such comparison");
    rewriter.replaceOpWithNewOp<CompareOp>(op, op.getType(), *inverse,
                                           compare.getLhs(), compare.getRhs());
    return success();
  }
};

/// (x + c) + d -> x + (c + d) of integers, which wrap; floats round. Likewise
/// of products and bits.
template <typename Op> struct JoinConstants : OpRewritePattern<Op> {
  using OpRewritePattern<Op>::OpRewritePattern;

  /// The operand that is not a constant, and the constant.
  static std::optional<std::pair<Value, Value>> splitOperands(Op op) {
    for (auto [x, c] : {std::pair(op.getLhs(), op.getRhs()),
                        std::pair(op.getRhs(), op.getLhs())})
      if (c.template getDefiningOp<ConstantOp>() &&
          !x.template getDefiningOp<ConstantOp>())
        return std::pair<Value, Value>(x, c);
    return std::nullopt;
  }

  LogicalResult matchAndRewrite(Op op,
                                PatternRewriter &rewriter) const override {
    if (!isa<IntegerType>(getElementTypeOrSelf(op.getType())))
      return rewriter.notifyMatchFailure(op, "rounds");
    auto outer = splitOperands(op);
    auto inner = outer ? outer->first.template getDefiningOp<Op>() : Op();
    auto terms = inner ? splitOperands(inner) : std::nullopt;
    if (!terms || !isDroppable(inner.getType()))
      return rewriter.notifyMatchFailure(op, "has no two constants");
    SmallVector<Attribute> constants(2);
    matchPattern(terms->second, m_Constant(&constants[0]));
    matchPattern(outer->second, m_Constant(&constants[1]));
    if (!foldSplats(op, constants))
      return rewriter.notifyMatchFailure(op, "its constants are not splats");
    Value joined = rewriter.createOrFold<Op>(
        op.getLoc(), outer->second.getType(), terms->second, outer->second);
    rewriter.modifyOpInPlace(op, [&] {
      op->setOperand(0, terms->first);
      op->setOperand(1, joined);
    });
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
               AbsorbNot, InvertComparison, JoinConstants<AddOp>,
               JoinConstants<MulOp>, JoinConstants<AndOp>, JoinConstants<OrOp>,
               JoinConstants<XorOp>, ReduceOfOneElement>(getContext());
  addShapeCanonicalizations(patterns);
  addControlCanonicalizations(patterns);
}
