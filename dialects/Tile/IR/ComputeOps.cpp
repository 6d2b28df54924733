// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Verification.h"

using namespace mlir;
using namespace tessera::tile;

#define GET_OP_CLASSES
#include "dialects/Tile/IR/ComputeOps.cpp.inc"

/// The splat `attr` in another shape; null where it is none.
static Attribute resizedSplat(Attribute attr, Type type) {
  auto splat = dyn_cast_or_null<SplatElementsAttr>(attr);
  return splat ? splat.resizeSplat(cast<ShapedType>(type)) : Attribute();
}

//===----------------------------------------------------------------------===//
// dot
//===----------------------------------------------------------------------===//

/// Products are added in this type: f32 for narrower floats.
static Type sumType(Type type) {
  if (isa<FloatType>(type) && type.getIntOrFloatBitWidth() < 32)
    return Float32Type::get(type.getContext());
  return type;
}

LogicalResult DotOp::verify() {
  if (getResultTriangle() && getLhsTriangle())
    return emitOpError("has a triangle of the result and one of lhs; one of "
                       "them has to be left out");
  if ((getResultTriangle() || getLhsTriangle()) != bool(getDiagonal()))
    return emitOpError(
        getDiagonal() ? "has a diagonal but no triangle; name `result "
                        "lower`, `result upper`, `lhs lower` or `lhs "
                        "upper` before it"
                      : "has a triangle but no diagonal; give one by `at`");
  if (failed(verifyRank(*this, getLhs(), "lhs", 2)) ||
      failed(verifyRank(*this, getRhs(), "rhs", 2)))
    return failure();
  int64_t m = shapeOf(getLhs())[0], k = shapeOf(getLhs())[1],
          n = shapeOf(getRhs())[1];
  Type type = getElementTypeOrSelf(getLhs());
  if (failed(verifyShape(*this, getRhs(), "rhs", {k, n})) ||
      failed(verifyShape(*this, getAcc(), "the accumulator", {m, n})) ||
      failed(verifyElementType(*this, getRhs(), "rhs", type)))
    return failure();
  Type sum = sumType(type), got = getElementTypeOrSelf(getAcc());
  if (got == sum)
    return success();
  InFlightDiagnostic error = emitOpError()
                             << "adds products of " << type << " in " << sum
                             << ", but its accumulator holds " << got;
  error.attachNote(getAcc().getLoc())
      << "the accumulator has type " << getAcc().getType();
  error.attachNote() << "accumulate in " << sum
                     << " and convert the finished sum";
  return error;
}

//===----------------------------------------------------------------------===//
// reduce
//===----------------------------------------------------------------------===//

LogicalResult ReduceOp::verify() {
  SmallVector<int64_t> shape(shapeOf(getInput()));
  auto dim = static_cast<int64_t>(getDim());
  if (failed(verifyDim(*this, dim, shape.size())))
    return failure();
  bool mayHaveNaN =
      (getKind() == ReductionKind::max || getKind() == ReductionKind::min) &&
      isa<FloatType>(getElementTypeOrSelf(getInput()));
  if (getNumbers() && !mayHaveNaN)
    return emitOpError("has `numbers`, which is for max and min of floats; "
                       "leave it out");
  shape[dim] = 1;
  if (failed(verifyShape(*this, getResult(), "a result", shape)))
    return failure();
  return verifyElementType(*this, getResult(), "a result",
                           getElementTypeOrSelf(getInput()));
}

OpFoldResult ReduceOp::fold(FoldAdaptor adaptor) {
  if (getInput().getType() == getType())
    return getInput(); // One element along the dimension.
  if (getKind() == ReductionKind::max || getKind() == ReductionKind::min)
    return resizedSplat(adaptor.getInput(), getType());
  return {};
}

//===----------------------------------------------------------------------===//
// scan
//===----------------------------------------------------------------------===//

LogicalResult ScanOp::verify() {
  SmallVector<int64_t> shape(shapeOf(getInput()));
  auto dim = static_cast<int64_t>(getDim());
  if (failed(verifyDim(*this, dim, shape.size())))
    return failure();
  shape[dim] = 1;
  if (failed(verifyShape(*this, getCarry(), "the carry", shape)))
    return failure();
  return verifyElementType(*this, getCarry(), "the carry",
                           getElementTypeOrSelf(getInput()));
}

//===----------------------------------------------------------------------===//
// broadcast
//===----------------------------------------------------------------------===//

LogicalResult BroadcastOp::verify() {
  ArrayRef<int64_t> from = shapeOf(getInput()), to = shapeOf(getResult());
  if (failed(verifyRank(*this, getResult(), "a result", from.size())) ||
      failed(verifyElementType(*this, getResult(), "a result",
                               getElementTypeOrSelf(getInput()))))
    return failure();
  for (auto [d, size] : llvm::enumerate(from)) {
    if (size == to[d] || size == 1)
      continue;
    InFlightDiagnostic error = emitOpError()
                               << "cannot repeat dimension " << d << " of size "
                               << size << " to size " << to[d]
                               << "; only dimensions of size 1 are repeated";
    error.attachNote(getInput().getLoc())
        << "the input has type " << getInput().getType();
    return error;
  }
  return success();
}

OpFoldResult BroadcastOp::fold(FoldAdaptor adaptor) {
  if (getInput().getType() == getType())
    return getInput();
  if (Attribute splat = resizedSplat(adaptor.getInput(), getType()))
    return splat;
  if (auto inner = getInput().getDefiningOp<BroadcastOp>()) {
    getInputMutable().assign(inner.getInput());
    return getResult();
  }
  return {};
}

//===----------------------------------------------------------------------===//
// reshape
//===----------------------------------------------------------------------===//

LogicalResult ReshapeOp::verify() {
  int64_t from = ShapedType::getNumElements(shapeOf(getInput()));
  int64_t to = ShapedType::getNumElements(shapeOf(getResult()));
  if (from != to)
    return emitOpError() << "cannot give " << from << " elements of shape "
                         << shapeToString(shapeOf(getInput())) << " the shape "
                         << shapeToString(shapeOf(getResult())) << " of " << to;
  return verifyElementType(*this, getResult(), "a result",
                           getElementTypeOrSelf(getInput()));
}

OpFoldResult ReshapeOp::fold(FoldAdaptor adaptor) {
  if (getInput().getType() == getType())
    return getInput();
  if (Attribute splat = resizedSplat(adaptor.getInput(), getType()))
    return splat;
  if (auto inner = getInput().getDefiningOp<ReshapeOp>()) {
    getInputMutable().assign(inner.getInput());
    return getResult();
  }
  return {};
}

//===----------------------------------------------------------------------===//
// trans
//===----------------------------------------------------------------------===//

LogicalResult TransOp::verify() {
  ArrayRef<int64_t> shape = shapeOf(getInput()), order = getPermutation();
  SmallVector<int64_t> sorted(order), expected;
  llvm::sort(sorted);
  if (!llvm::equal(sorted, llvm::seq<int64_t>(shape.size())))
    return emitOpError() << shapeToString(order)
                         << " is not a permutation of the dimensions 0 to "
                         << static_cast<int64_t>(shape.size()) - 1;
  for (int64_t dim : order)
    expected.push_back(shape[dim]);
  if (failed(verifyShape(*this, getResult(), "a result", expected)))
    return failure();
  return verifyElementType(*this, getResult(), "a result",
                           getElementTypeOrSelf(getInput()));
}

OpFoldResult TransOp::fold(FoldAdaptor adaptor) {
  ArrayRef<int64_t> order = getPermutation();
  if (llvm::equal(order, llvm::seq<int64_t>(order.size())))
    return getInput();
  if (Attribute splat = resizedSplat(adaptor.getInput(), getType()))
    return splat;
  if (auto inner = getInput().getDefiningOp<TransOp>()) {
    SmallVector<int64_t> both;
    for (int64_t dim : order)
      both.push_back(inner.getPermutation()[dim]);
    setPermutation(both);
    getInputMutable().assign(inner.getInput());
    return getResult();
  }
  return {};
}

//===----------------------------------------------------------------------===//
// iota, splat
//===----------------------------------------------------------------------===//

LogicalResult IotaOp::verify() {
  return verifyDim(*this, static_cast<int64_t>(getDim()),
                   shapeOf(getResult()).size());
}

OpFoldResult IotaOp::fold(FoldAdaptor) {
  auto type = cast<RankedTensorType>(getType());
  if (type.getDimSize(getDim()) != 1)
    return {};
  return SplatElementsAttr::get(type,
                                IntegerAttr::get(type.getElementType(), 0));
}

LogicalResult SplatOp::verify() {
  return verifyElementType(*this, getResult(), "a result",
                           getInput().getType());
}

OpFoldResult SplatOp::fold(FoldAdaptor adaptor) {
  if (!adaptor.getInput())
    return {};
  return SplatElementsAttr::get(cast<ShapedType>(getType()),
                                adaptor.getInput());
}

//===----------------------------------------------------------------------===//
// extract
//===----------------------------------------------------------------------===//

LogicalResult ExtractOp::verify() {
  ArrayRef<int64_t> shape = shapeOf(getInput());
  if (ShapedType::getNumElements(shape) != 1) {
    InFlightDiagnostic error = emitOpError()
                               << "takes the only element of a tile, got shape "
                               << shapeToString(shape);
    error.attachNote(getInput().getLoc())
        << "the tile has type " << getInput().getType();
    error.attachNote() << "combine its elements by tile.reduce, or load one";
    return error;
  }
  return verifyElementType(*this, getInput(), "a tile", getType());
}

OpFoldResult ExtractOp::fold(FoldAdaptor adaptor) {
  if (auto splat = dyn_cast_or_null<SplatElementsAttr>(adaptor.getInput()))
    return splat.getSplatValue<Attribute>();
  auto source = getInput().getDefiningOp<SplatOp>();
  return source ? source.getInput() : Value();
}
