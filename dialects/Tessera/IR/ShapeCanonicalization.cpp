// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Rewrites of ops that move or repeat elements into other ones of them.
#include "Folding.h"

#include "mlir/IR/PatternMatch.h"

using namespace mlir;
using namespace tessera;

/// `type` with another shape, its layout left open.
static Type withShape(Type type, ArrayRef<int64_t> shape) {
  auto meshTensor = dyn_cast<MeshTensorType>(type);
  if (!meshTensor)
    return cast<RankedTensorType>(type).clone(shape);
  return MeshTensorType::get(
      type.getContext(), shape, meshTensor.getElementType(),
      Layout::open(meshTensor.getLayout().mesh, shape.size()));
}

namespace {
/// slice(broadcast(x)) -> broadcast(slice(x)): repeats no more than is taken.
struct SliceOfBroadcast : OpRewritePattern<SliceOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(SliceOp op,
                                PatternRewriter &rewriter) const override {
    auto broadcast = op.getInput().getDefiningOp<BroadcastOp>();
    if (!broadcast || !isDroppable(broadcast.getType()))
      return rewriter.notifyMatchFailure(op, "does not cut a broadcast");
    Value input = broadcast.getInput();
    SmallVector<int64_t> starts, limits, strides, shape;
    for (auto [size, dim] : llvm::zip(shapeOf(input), broadcast.getDims())) {
      // One element that is repeated is taken however the result is cut, where
      // that leaves any.
      bool isRepeated = size != shapeOf(broadcast.getResult())[dim];
      starts.push_back(isRepeated ? 0 : op.getStarts()[dim]);
      limits.push_back(isRepeated ? 1 : op.getLimits()[dim]);
      strides.push_back(isRepeated ? 1 : op.getStrides()[dim]);
      shape.push_back(isRepeated ? 1 : shapeOf(op.getResult())[dim]);
    }
    if (shapeOf(input) != ArrayRef(shape))
      input = SliceOp::create(rewriter, op.getLoc(),
                              withShape(input.getType(), shape), input,
                              rewriter.getDenseI64ArrayAttr(starts),
                              rewriter.getDenseI64ArrayAttr(limits),
                              rewriter.getDenseI64ArrayAttr(strides));
    rewriter.replaceOpWithNewOp<BroadcastOp>(op, op.getType(), input,
                                             broadcast.getDims());
    return success();
  }
};

/// reduce max(broadcast(x)) -> broadcast(x) along dimensions that the broadcast
/// added: the largest of equal elements is that element. A sum is a multiple,
/// which rounds once where the sum rounds at each step.
struct PickOfBroadcast : OpRewritePattern<ReduceOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ReduceOp op,
                                PatternRewriter &rewriter) const override {
    auto broadcast = op.getInput().getDefiningOp<BroadcastOp>();
    bool isPick = op.getKind() == dist::ReductionKind::max ||
                  op.getKind() == dist::ReductionKind::min;
    if (!isPick || !broadcast || !isDroppable(broadcast.getType()))
      return rewriter.notifyMatchFailure(op, "no extremum of a broadcast");
    for (int64_t dim : op.getDims())
      if (llvm::is_contained(broadcast.getDims(), dim) ||
          shapeOf(broadcast.getResult())[dim] == 0)
        return rewriter.notifyMatchFailure(op, "compares unlike elements");
    SmallVector<int64_t> dims;
    for (int64_t dim : broadcast.getDims())
      dims.push_back(dim - llvm::count_if(op.getDims(), [&](int64_t dropped) {
                       return dropped < dim;
                     }));
    rewriter.replaceOpWithNewOp<BroadcastOp>(op, op.getType(),
                                             broadcast.getInput(), dims);
    return success();
  }
};

/// gather of constant indices -> broadcast(slice), or reshape(slice) where the
/// indices have no dimension. Of local tensors alone: in a whole program the
/// source may come to be split along the dimension, where devices look up what
/// they hold and a slice would collect the source first.
struct GatherOfConstant : OpRewritePattern<GatherOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(GatherOp op,
                                PatternRewriter &rewriter) const override {
    int64_t indexRank = shapeOf(op.getIndices().front()).size();
    if (layoutOf(op.getType()) || !op.getSourceBatch().empty() ||
        (op.getDims().size() != 1 && indexRank != 0))
      return rewriter.notifyMatchFailure(op, "it does not read a slice");
    ArrayRef<int64_t> source = shapeOf(op.getSource());
    SmallVector<int64_t> starts(source.size(), 0), limits(source),
        strides(source.size(), 1), shape(source), dims;
    for (auto [indices, dim] : llvm::zip_equal(op.getIndices(), op.getDims())) {
      SplatElementsAttr splat;
      if (!matchPattern(indices, m_Constant(&splat)))
        return rewriter.notifyMatchFailure(op, "its index is not known");
      // An index outside reads zeros.
      APInt index = splat.getSplatValue<APInt>();
      bool isUnsigned = splat.getElementType().isUnsignedInteger();
      if ((!isUnsigned && index.isNegative()) || index.uge(source[dim]))
        return rewriter.notifyMatchFailure(op, "the index is outside");
      starts[dim] = index.getZExtValue();
      limits[dim] = starts[dim] + 1;
      shape[dim] = 1;
    }
    Value row = SliceOp::create(
        rewriter, op.getLoc(), withShape(op.getSource().getType(), shape),
        op.getSource(), rewriter.getDenseI64ArrayAttr(starts),
        rewriter.getDenseI64ArrayAttr(limits),
        rewriter.getDenseI64ArrayAttr(strides));
    if (indexRank == 0) {
      rewriter.replaceOpWithNewOp<ReshapeOp>(op, op.getType(), row);
      return success();
    }
    int64_t dim = op.getDims().front();
    for (int64_t d = 0, rank = source.size(); d < rank; ++d)
      dims.push_back(d < dim ? d : d + indexRank - 1);
    rewriter.replaceOpWithNewOp<BroadcastOp>(op, op.getType(), row, dims);
    return success();
  }
};
} // namespace

void tessera::addShapeCanonicalizations(RewritePatternSet &patterns) {
  patterns.add<SliceOfBroadcast, PickOfBroadcast, GatherOfConstant>(
      patterns.getContext());
}
