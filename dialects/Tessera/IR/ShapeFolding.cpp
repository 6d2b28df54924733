// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Folding.h"

using namespace mlir;
using namespace tessera;

/// The op that gives `value` if it is an `Op` and may be folded away.
template <typename Op> static Op getDroppable(Value value) {
  auto op = value.getDefiningOp<Op>();
  return op && isDroppable(value.getType()) ? op : Op();
}

OpFoldResult ReshapeOp::fold(FoldAdaptor adaptor) {
  if (getInput().getType() == getType())
    return getInput();
  if (Attribute splat = reshapeSplat(adaptor.getInput(), getType()))
    return splat;
  auto inner = getInput().getDefiningOp<ReshapeOp>();
  if (inner && inner.getInput().getType() == getType())
    return inner.getInput();
  if (auto droppable = getDroppable<ReshapeOp>(getInput())) {
    setOperand(droppable.getInput());
    return getResult();
  }
  return {};
}

OpFoldResult TransposeOp::fold(FoldAdaptor adaptor) {
  bool isIdentity = llvm::equal(getPermutation(),
                                llvm::seq<int64_t>(getPermutation().size()));
  if (isIdentity && getInput().getType() == getType())
    return getInput();
  if (Attribute splat = reshapeSplat(adaptor.getInput(), getType()))
    return splat;
  auto inner = getInput().getDefiningOp<TransposeOp>();
  if (!inner)
    return {};
  SmallVector<int64_t> composed;
  for (int64_t dim : getPermutation())
    composed.push_back(inner.getPermutation()[dim]);
  if (llvm::equal(composed, llvm::seq<int64_t>(composed.size())) &&
      inner.getInput().getType() == getType())
    return inner.getInput();
  if (!isDroppable(getInput().getType()))
    return {};
  setOperand(inner.getInput());
  setPermutation(composed);
  return getResult();
}

OpFoldResult BroadcastOp::fold(FoldAdaptor adaptor) {
  if (getInput().getType() == getType())
    return getInput();
  if (Attribute splat = reshapeSplat(adaptor.getInput(), getType()))
    return splat;
  if (auto inner = getDroppable<BroadcastOp>(getInput())) {
    SmallVector<int64_t> composed;
    for (int64_t dim : inner.getDims())
      composed.push_back(getDims()[dim]);
    setOperand(inner.getInput());
    setDims(composed);
    return getResult();
  }
  return {};
}

OpFoldResult SliceOp::fold(FoldAdaptor adaptor) {
  bool isWhole = shapeOf(getInput()) == shapeOf(getResult()) &&
                 llvm::all_of(getStrides(), [](int64_t s) { return s == 1; });
  if (isWhole && getInput().getType() == getType())
    return getInput();
  return reshapeSplat(adaptor.getInput(), getType());
}

OpFoldResult ConcatenateOp::fold(FoldAdaptor) {
  if (getInputs().size() == 1 && getInputs()[0].getType() == getType())
    return getInputs()[0];
  return {};
}

OpFoldResult PadOp::fold(FoldAdaptor) {
  return getInput().getType() == getType() ? OpFoldResult(getInput())
                                           : OpFoldResult();
}
