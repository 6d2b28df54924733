// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "LocalPart.h"
#include "dialects/Tessera/IR/Tessera.h"
#include "tessera/Analysis/MeshGroups.h"

using namespace mlir;
using namespace tessera;

bool LocalPart::isUneven(int64_t size, const std::vector<AxisRef> &axes) const {
  return size % groupSize(axes, mesh) != 0;
}

Value LocalPart::offset(Location loc, const std::vector<AxisRef> &axes,
                        int64_t size) {
  MLIRContext *context = builder.getContext();
  return dist::LocalOffsetOp::create(
      builder, loc, RankedTensorType::get({}, builder.getI32Type()),
      FlatSymbolRefAttr::get(context, mesh.name),
      dist::AxesAttr::get(context, axes), builder.getI64IntegerAttr(size));
}

/// Number of local elements that exist: an i32 scalar.
Value LocalPart::extent(Location loc, const std::vector<AxisRef> &axes,
                        int64_t size) {
  MLIRContext *context = builder.getContext();
  return dist::ValidExtentOp::create(
      builder, loc, RankedTensorType::get({}, builder.getI32Type()),
      FlatSymbolRefAttr::get(context, mesh.name),
      dist::AxesAttr::get(context, axes), builder.getI64IntegerAttr(size));
}

Value LocalPart::broadcast(Location loc, Value scalar, RankedTensorType like) {
  if (like.getRank() == 0)
    return scalar;
  auto type = RankedTensorType::get(like.getShape(),
                                    getElementTypeOrSelf(scalar.getType()));
  return BroadcastOp::create(builder, loc, type, scalar, ArrayRef<int64_t>{});
}

Value LocalPart::isBelow(Location loc, Value lhs, Value rhs) {
  auto type = RankedTensorType::get(shapeOf(lhs), builder.getI1Type());
  return CompareOp::create(builder, loc, type, CompareDirection::lt, lhs, rhs);
}

Value LocalPart::neutralLike(Location loc, RankedTensorType type,
                             ReduceKind kind) {
  TypedAttr element = neutralElement(kind, type.getElementType());
  return ConstantOp::create(builder, loc, type,
                            SplatElementsAttr::get(type, element));
}

Value LocalPart::maskPadding(Value value, size_t dim, int64_t size,
                             const std::vector<AxisRef> &axes,
                             ReduceKind kind) {
  Location loc = value.getLoc();
  auto type = cast<RankedTensorType>(value.getType());
  auto indexType = RankedTensorType::get(type.getShape(), builder.getI32Type());
  Value index = IotaOp::create(builder, loc, indexType, dim, Value());
  Value exists =
      isBelow(loc, index, broadcast(loc, extent(loc, axes, size), indexType));
  return SelectOp::create(builder, loc, type, exists, value,
                          neutralLike(loc, type, kind));
}

Value LocalPart::broadcastIndex(Location loc, Value index,
                                RankedTensorType like) {
  if (!like.getElementType().isInteger(32)) {
    auto scalar = RankedTensorType::get({}, like.getElementType());
    index = ConvertOp::create(builder, loc, scalar, index);
  }
  return broadcast(loc, index, like);
}

Value LocalPart::localIndices(Location loc, Value indices,
                              const std::vector<AxisRef> &axes, int64_t size) {
  auto type = cast<RankedTensorType>(indices.getType());
  Value first = broadcastIndex(loc, offset(loc, axes, size), type);
  Value local = SubOp::create(builder, loc, type, indices, first);
  Value exists =
      isBelow(loc, local, broadcastIndex(loc, extent(loc, axes, size), type));
  auto minusOne = IntegerAttr::get(type.getElementType(), -1);
  Value none = ConstantOp::create(builder, loc, type,
                                  SplatElementsAttr::get(type, minusOne));
  return SelectOp::create(builder, loc, type, exists, local, none);
}

Value LocalPart::isElsewhere(Location loc, Value indices,
                             const std::vector<AxisRef> &axes, int64_t size) {
  auto type = cast<RankedTensorType>(indices.getType());
  auto flags = RankedTensorType::get(type.getShape(), builder.getI1Type());
  auto number = [&](int64_t value) -> Value {
    auto attr = IntegerAttr::get(type.getElementType(), value);
    return ConstantOp::create(builder, loc, type,
                              SplatElementsAttr::get(type, attr));
  };
  auto isWithin = [&](Value index, Value count) -> Value {
    Value isNatural = CompareOp::create(builder, loc, flags,
                                        CompareDirection::ge, index, number(0));
    return AndOp::create(builder, loc, flags, isNatural,
                         isBelow(loc, index, count));
  };
  Value first = broadcastIndex(loc, offset(loc, axes, size), type);
  Value local = SubOp::create(builder, loc, type, indices, first);
  Value isHere =
      isWithin(local, broadcastIndex(loc, extent(loc, axes, size), type));
  Value isNotHere = NotOp::create(builder, loc, flags, isHere);
  return AndOp::create(builder, loc, flags, isWithin(indices, number(size)),
                       isNotHere);
}

Value LocalPart::onFirstDevice(Value value, const std::vector<AxisRef> &axes) {
  Location loc = value.getLoc();
  auto type = cast<RankedTensorType>(value.getType());
  MLIRContext *context = builder.getContext();
  if (isNeutralSplat(value, ReduceKind::Sum))
    return value;
  Value index = dist::AxisIndexOp::create(
      builder, loc, RankedTensorType::get({}, builder.getI32Type()),
      FlatSymbolRefAttr::get(context, mesh.name),
      dist::AxesAttr::get(context, axes));
  auto indexType = RankedTensorType::get(type.getShape(), builder.getI32Type());
  auto one = builder.getI32IntegerAttr(1);
  Value ones = ConstantOp::create(builder, loc, indexType,
                                  SplatElementsAttr::get(indexType, one));
  Value isFirst = isBelow(loc, broadcast(loc, index, indexType), ones);
  return SelectOp::create(builder, loc, type, isFirst, value,
                          neutralLike(loc, type, ReduceKind::Sum));
}

//===----------------------------------------------------------------------===//
// LocalValues
//===----------------------------------------------------------------------===//

MeshTensorType LocalValues::logicalType(Value value) const {
  return cast_or_null<MeshTensorType>(logicalTypes.lookup(value));
}

void LocalValues::setLogicalType(Value value, MeshTensorType type) {
  logicalTypes[value] = type;
}

OpShapes LocalValues::logicalShapes(Operation *op) const {
  auto shapeOfValue = [&](Value value) {
    MeshTensorType logical = logicalType(value);
    return shapeVector(logical ? Type(logical) : value.getType());
  };
  OpShapes shapes;
  for (Value operand : op->getOperands())
    shapes.operands.push_back(shapeOfValue(operand));
  for (Value result : op->getResults())
    shapes.results.push_back(shapeOfValue(result));
  return shapes;
}

void LocalValues::maskReducedPadding(Operation *op, const FactorRule &rule) {
  for (auto [i, dims] : llvm::enumerate(rule.operands)) {
    MeshTensorType type = logicalType(op->getOperand(i));
    if (!type)
      continue;
    for (auto [d, list] : llvm::enumerate(dims)) {
      if (list.size() != 1 || rule.factors[list[0]].kind != FactorKind::Reduce)
        continue;
      const std::vector<AxisRef> &axes = type.getLayout().dims[d].axes;
      if (!isUneven(type.getDimSize(d), axes))
        continue;
      // A contraction multiplies: zero is its neutral element.
      ReduceKind kind = rule.factors[list[0]].reduce;
      Value masked =
          maskPadding(op->getOperand(i), d, type.getDimSize(d), axes, kind);
      op->setOperand(i, masked);
      setLogicalType(masked, type);
    }
  }
}

Value LocalValues::cut(Value whole, MeshTensorType logical) {
  Location loc = whole.getLoc();
  MLIRContext *context = builder.getContext();
  auto meshRef = FlatSymbolRefAttr::get(context, mesh.name);
  SmallVector<int64_t> shape(logical.getShape());
  Value value = whole;
  for (auto [d, dim] : llvm::enumerate(logical.getLayout().dims))
    for (const AxisRef &axis : dim.axes) {
      shape[d] = llvm::divideCeil(shape[d], axis.sizeOn(mesh));
      value = dist::AllSliceOp::create(
          builder, loc, RankedTensorType::get(shape, logical.getElementType()),
          value, builder.getI64IntegerAttr(d), meshRef,
          dist::AxesAttr::get(context, {axis}), dist::WhyAttr());
    }
  setLogicalType(value, logical);
  return value;
}
