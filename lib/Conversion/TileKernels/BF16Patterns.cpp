// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "BF16Patterns.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Transforms/Passes.h"

using namespace mlir;

namespace {

/// Before: sitofp %x : i32 to bf16. After: sitofp to f32, then truncf, which
/// becomes bit arithmetic. Canonicalisation joins the two.
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
    Value number = ConvertOp::create(rewriter, op.getLoc(), wide, op.getIn());
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
