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

/// slice(slice(x)) is one slice of x.
static bool absorbSlice(SliceOp op, SliceOp inner) {
  SmallVector<int64_t> starts, limits, strides;
  for (auto [d, size] : llvm::enumerate(shapeOf(op.getResult()))) {
    int64_t step = inner.getStrides()[d];
    starts.push_back(inner.getStarts()[d] + op.getStarts()[d] * step);
    // One element has no next one, and the product may exceed 64 bits.
    strides.push_back(size == 1 ? 1 : op.getStrides()[d] * step);
    limits.push_back(starts.back() + (size - 1) * strides.back() + 1);
  }
  op.setOperand(inner.getInput());
  op.setStarts(starts);
  op.setLimits(limits);
  op.setStrides(strides);
  return true;
}

/// First and last index that a slice with elements takes along `dim`.
static std::pair<int64_t, int64_t> rangeOf(SliceOp op, int64_t dim) {
  int64_t first = op.getStarts()[dim];
  int64_t size = shapeOf(op.getResult())[dim];
  return {first, first + (size - 1) * op.getStrides()[dim]};
}

/// Lets `op` cut `source` instead, of whose dimension `dim` index 0 is index
/// `begin` of the present input.
static void cutInstead(SliceOp op, Value source, int64_t dim, int64_t begin) {
  auto [first, last] = rangeOf(op, dim);
  SmallVector<int64_t> starts(op.getStarts()), limits(op.getLimits());
  starts[dim] = first - begin;
  limits[dim] = last - begin + 1;
  op.setOperand(source);
  op.setStarts(starts);
  op.setLimits(limits);
}

/// slice(concatenate(x, y)) is slice(x) where it reads no element of y.
static bool absorbConcatenate(SliceOp op, ConcatenateOp inner) {
  int64_t dim = inner.getDim(), begin = 0;
  auto [first, last] = rangeOf(op, dim);
  for (Value input : inner.getInputs()) {
    int64_t end = begin + shapeOf(input)[dim];
    if (first >= begin && last < end) {
      cutInstead(op, input, dim, begin);
      return true;
    }
    begin = end;
  }
  return false;
}

/// slice(pad(x)) is slice(x) where it takes no padding.
static bool absorbPad(SliceOp op, PadOp inner) {
  ArrayRef<int64_t> shape = shapeOf(inner.getInput());
  for (auto [d, size] : llvm::enumerate(shape)) {
    auto [first, last] = rangeOf(op, d);
    int64_t low = inner.getLow()[d];
    if (first < low || last >= low + size)
      return false;
  }
  op.setOperand(inner.getInput()); // Also of scalars, which have no dimension.
  for (size_t d = 0; d < shape.size(); ++d)
    cutInstead(op, inner.getInput(), d, inner.getLow()[d]);
  return true;
}

/// Whether `op` takes padding of `inner` alone: along some dimension it ends
/// before the input begins or begins behind its end.
static bool takesPadding(SliceOp op, PadOp inner) {
  for (auto [d, size] : llvm::enumerate(shapeOf(inner.getInput()))) {
    auto [first, last] = rangeOf(op, d);
    int64_t low = inner.getLow()[d];
    if (last < low || first >= low + size)
      return true;
  }
  return false;
}

OpFoldResult SliceOp::fold(FoldAdaptor adaptor) {
  bool isWhole = shapeOf(getInput()) == shapeOf(getResult()) &&
                 llvm::all_of(getStrides(), [](int64_t s) { return s == 1; });
  if (isWhole && getInput().getType() == getType())
    return getInput();
  if (Attribute splat = reshapeSplat(adaptor.getInput(), getType()))
    return splat;
  // An empty box may begin past the end of what it is cut from.
  if (llvm::is_contained(shapeOf(getResult()), 0))
    return {};
  if (auto pad = getInput().getDefiningOp<PadOp>())
    if (canBeConstant(getType()) && takesPadding(*this, pad))
      return DenseElementsAttr::get(
          RankedTensorType::get(shapeOf(getResult()),
                                getElementTypeOrSelf(getType())),
          pad.getValue());
  bool changed = false;
  if (auto slice = getDroppable<SliceOp>(getInput()))
    changed = absorbSlice(*this, slice);
  else if (auto joined = getDroppable<ConcatenateOp>(getInput()))
    changed = absorbConcatenate(*this, joined);
  else if (auto pad = getDroppable<PadOp>(getInput()))
    changed = absorbPad(*this, pad);
  return changed ? OpFoldResult(getResult()) : OpFoldResult();
}

/// The inputs without those that have no elements, and with those that are
/// joined along the same dimension themselves in their place.
static SmallVector<Value> flattenInputs(ConcatenateOp op) {
  SmallVector<Value> inputs;
  for (Value input : op.getInputs()) {
    auto inner = getDroppable<ConcatenateOp>(input);
    if (inner && inner.getDim() == op.getDim())
      llvm::append_range(inputs, inner.getInputs());
    else if (shapeOf(input)[op.getDim()] != 0)
      inputs.push_back(input);
  }
  return inputs;
}

OpFoldResult ConcatenateOp::fold(FoldAdaptor adaptor) {
  if (getInputs().size() == 1 && getInputs()[0].getType() == getType())
    return getInputs()[0];
  ArrayRef<Attribute> constants = adaptor.getInputs();
  auto first = dyn_cast_or_null<SplatElementsAttr>(constants.front());
  bool isOneSplat = first && llvm::all_of(constants, [&](Attribute attr) {
                      auto splat = dyn_cast_or_null<SplatElementsAttr>(attr);
                      return splat && splat.getSplatValue<Attribute>() ==
                                          first.getSplatValue<Attribute>();
                    });
  if (isOneSplat)
    if (Attribute splat = reshapeSplat(first, getType()))
      return splat;
  SmallVector<Value> inputs = flattenInputs(*this);
  if (inputs.empty() || llvm::equal(inputs, getInputs()))
    return {};
  getInputsMutable().assign(inputs);
  return getResult();
}

OpFoldResult PadOp::fold(FoldAdaptor adaptor) {
  if (getInput().getType() == getType())
    return getInput();
  auto constant = dyn_cast_or_null<SplatElementsAttr>(adaptor.getInput());
  if (constant && constant.getSplatValue<Attribute>() == getValue())
    if (Attribute splat = reshapeSplat(constant, getType()))
      return splat;
  auto inner = getDroppable<PadOp>(getInput());
  if (!inner || inner.getValue() != getValue())
    return {};
  SmallVector<int64_t> low, high;
  for (size_t d = 0; d < getLow().size(); ++d) {
    low.push_back(inner.getLow()[d] + getLow()[d]);
    high.push_back(inner.getHigh()[d] + getHigh()[d]);
  }
  setOperand(inner.getInput());
  setLow(low);
  setHigh(high);
  return getResult();
}
