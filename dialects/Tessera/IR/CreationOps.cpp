// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Folding.h"
#include "Verification.h"

#include "mlir/IR/DialectResourceBlobManager.h"

using namespace mlir;
using namespace tessera;

#define GET_OP_CLASSES
#include "dialects/Tessera/IR/CreationOps.cpp.inc"

/// Every element can be made anywhere: each dimension is a factor of its own.
static TensorFactors addPassFactors(FactorRule &rule, ArrayRef<int64_t> shape) {
  TensorFactors dims;
  for (auto [d, size] : llvm::enumerate(shape))
    dims.push_back({rule.addFactor("d" + std::to_string(d), size)});
  return dims;
}

//===----------------------------------------------------------------------===//
// Neutral elements
//===----------------------------------------------------------------------===//

TypedAttr tessera::neutralElement(ReduceKind kind, Type type) {
  if (auto floatType = dyn_cast<FloatType>(type)) {
    switch (kind) {
    case ReduceKind::Sum:
      // 0.0 would change -0.0, which is a sum of nothing else.
      return FloatAttr::get(type, -0.0);
    case ReduceKind::Prod:
      return FloatAttr::get(type, 1.0);
    case ReduceKind::Max:
    case ReduceKind::Min:
      return FloatAttr::get(
          type, APFloat::getInf(floatType.getFloatSemantics(),
                                /*Negative=*/kind == ReduceKind::Max));
    }
  }
  unsigned width = type.getIntOrFloatBitWidth();
  bool isUnsigned = type.isUnsignedInteger();
  switch (kind) {
  case ReduceKind::Sum:
    return IntegerAttr::get(type, 0);
  case ReduceKind::Prod:
    return IntegerAttr::get(type, 1);
  case ReduceKind::Max:
    return IntegerAttr::get(type, isUnsigned ? APInt::getMinValue(width)
                                             : APInt::getSignedMinValue(width));
  case ReduceKind::Min:
    return IntegerAttr::get(type, isUnsigned ? APInt::getMaxValue(width)
                                             : APInt::getSignedMaxValue(width));
  }
  return {};
}

bool tessera::isNeutralSplat(Value value, ReduceKind kind) {
  auto constant = value.getDefiningOp<ConstantOp>();
  auto splat = constant ? dyn_cast<SplatElementsAttr>(constant.getValue())
                        : SplatElementsAttr();
  if (!splat || splat.getElementType().isInteger(1))
    return false;
  TypedAttr neutral = neutralElement(kind, splat.getElementType());
  // Zeros of either sign add up to themselves.
  if (auto number = dyn_cast<FloatAttr>(neutral))
    return splat.getSplatValue<APFloat>().compare(number.getValue()) ==
           APFloat::cmpEqual;
  return splat.getSplatValue<APInt>() == cast<IntegerAttr>(neutral).getValue();
}

//===----------------------------------------------------------------------===//
// constant
//===----------------------------------------------------------------------===//

/// A resource is stored outside of the op: nothing else checks its size.
static LogicalResult verifyResource(ConstantOp op, ShapedType type) {
  auto resource = dyn_cast<DenseResourceElementsAttr>(op.getValue());
  if (!resource)
    return success();
  DenseResourceElementsHandle handle = resource.getRawHandle();
  int64_t bits = type.getElementTypeBitWidth();
  int64_t expected = type.getNumElements() * llvm::divideCeil(bits, 8);
  AsmResourceBlob *blob = handle.getBlob();
  if (blob && static_cast<int64_t>(blob->getData().size()) == expected)
    return success();
  InFlightDiagnostic error = op.emitOpError()
                             << "takes " << expected << " bytes from resource '"
                             << handle.getKey() << "', which ";
  if (blob)
    error << "has " << blob->getData().size();
  else
    error << "does not exist";
  error.attachNote() << "put its bytes into the file's dialect_resources, "
                        "behind 4 that give the alignment, or write the "
                        "elements as dense<...>";
  return error;
}

LogicalResult ConstantOp::verify() {
  if (failed(verifyInferredResult(*this,
                                  "the constant's elements have that shape")))
    return failure();
  return verifyResource(*this, cast<ShapedType>(getValue().getType()));
}

InferredType ConstantOp::inferResultType() {
  auto type = cast<ShapedType>(getValue().getType());
  return {SmallVector<int64_t>(type.getShape()), type.getElementType()};
}

OpFoldResult ConstantOp::fold(FoldAdaptor) { return getValue(); }

FactorRule ConstantOp::getFactorRuleFor(const OpShapes &shapes) {
  FactorRule rule;
  rule.results = {addPassFactors(rule, shapes.results[0])};
  return rule;
}

double ConstantOp::getFlops() { return 0; }

/// Of a constant that is not splat, the host has the elements.
KernelRole ConstantOp::getKernelRole() {
  return getValue().isSplat() ? KernelRole::Generated : KernelRole::Host;
}

/// Every device can take its part of the elements.
bool ConstantOp::isCheapToClone() { return true; }

/// A splat takes the local shape; other constants are cut from the whole.
LogicalResult ConstantOp::localiseResults(LocalValues &parts) {
  MeshTensorType logical = parts.logicalType(getResult());
  auto local = cast<RankedTensorType>(getType());
  auto whole =
      RankedTensorType::get(logical.getShape(), logical.getElementType());
  if (local == whole)
    return success();
  if (auto splat = dyn_cast<SplatElementsAttr>(getValue())) {
    setValueAttr(splat.resizeSplat(local));
    return success();
  }
  getResult().setType(whole);
  auto uses = llvm::to_vector(
      llvm::map_range(getResult().getUses(),
                      [](OpOperand &use) -> OpOperand * { return &use; }));
  OpBuilder::InsertionGuard guard(parts.getBuilder());
  parts.getBuilder().setInsertionPointAfter(*this);
  Value part = parts.cut(getResult(), logical);
  for (OpOperand *use : uses)
    use->set(part);
  return success();
}

//===----------------------------------------------------------------------===//
// iota
//===----------------------------------------------------------------------===//

LogicalResult IotaOp::verify() {
  return verifyDim(*this, getDim(), {getResult(), "the result"});
}

/// The shape and type of indices are free.
InferredType IotaOp::inferResultType() { return {}; }

FactorRule IotaOp::getFactorRuleFor(const OpShapes &shapes) {
  FactorRule rule;
  if (getOffset())
    rule.operands = {{}};
  rule.results = {addPassFactors(rule, shapes.results[0])};
  return rule;
}

double IotaOp::getFlops() { return 0; }

KernelRole IotaOp::getKernelRole() { return KernelRole::Generated; }

bool IotaOp::isCheapToClone() { return true; }

LogicalResult IotaOp::localiseResults(LocalValues &parts) {
  MeshTensorType logical = parts.logicalType(getResult());
  const std::vector<AxisRef> &axes = logical.getLayout().dims[getDim()].axes;
  if (!axes.empty())
    getOffsetMutable().assign(
        parts.offset(getLoc(), axes, logical.getDimSize(getDim())));
  return success();
}

/// The only index of a dimension of one element is 0.
OpFoldResult IotaOp::fold(FoldAdaptor) {
  if (getOffset() || shapeOf(getResult())[getDim()] != 1)
    return {};
  return splatOf(getType(), 0);
}

//===----------------------------------------------------------------------===//
// rng
//===----------------------------------------------------------------------===//

/// Random bits are words of the generator.
static LogicalResult verifyWord(RngOp op) {
  Type type = getElementTypeOrSelf(op.getType());
  if (isa<FloatType>(type) || type.getIntOrFloatBitWidth() == 32)
    return success();
  InFlightDiagnostic error =
      op.emitOpError() << "gives words of 32 bits; expected element type i32 "
                          "or ui32, got "
                       << type;
  error.attachNote() << "use tessera.convert on the words";
  return error;
}

int64_t RngOp::getBatchRank() { return shapeOf(getKey()).size() - 1; }

/// The words of each key, and that the keys number what the result's leading
/// dimensions do.
static LogicalResult verifyKeys(RngOp op) {
  ArrayRef<int64_t> keys = shapeOf(op.getKey()),
                    shape = shapeOf(op.getResult());
  SmallVector<int64_t> expected(
      shape.take_front(keys.empty() ? 0 : keys.size() - 1));
  expected.push_back(2);
  return verifyShape(op, op.getKey(), "a key", expected,
                     "a key is two words, as tessera.random.key makes; a batch "
                     "of keys has the result's leading dimensions before them");
}

LogicalResult RngOp::verify() {
  if (failed(verifyKeys(*this)))
    return failure();
  size_t rank = shapeOf(getResult()).size();
  if (getGlobalShape().size() != rank)
    return explain(
        emitOpError() << "logical shape " << shapeToString(getGlobalShape())
                      << " has rank " << getGlobalShape().size()
                      << ", the result has " << rank,
        *this, {}, "the result is this shape, or with offsets a part of it");
  if (!getOffsets().empty() && getOffsets().size() != rank)
    return explain(emitOpError() << "expects one offset per dimension (" << rank
                                 << "), got " << getOffsets().size(),
                   *this, {},
                   "without offsets the result is the whole logical shape");
  if (getOffsets().empty() &&
      failed(verifyInferredResult(*this,
                                  "a part of the logical shape needs offsets")))
    return failure();
  bool isFloat = isa<FloatType>(getElementTypeOrSelf(getType()));
  if (isFloat != (getDistribution() != RngDistribution::bits))
    return explain(
        emitOpError() << "uniform and normal numbers are floats, bits are "
                         "integers; got element type "
                      << getElementTypeOrSelf(getType()),
        *this, {},
        isFloat ? "use 'uniform' or 'normal', or integer elements"
                : "use 'bits', or float elements and then tessera.convert");
  return verifyWord(*this);
}

/// With offsets the result is a part of the logical shape.
InferredType RngOp::inferResultType() {
  if (!getOffsets().empty())
    return {};
  return {SmallVector<int64_t>(getGlobalShape()), Type()};
}

FactorRule RngOp::getFactorRuleFor(const OpShapes &shapes) {
  FactorRule rule;
  int word = rule.addFactor("key", 2, FactorKind::Replicate);
  TensorFactors numbers = addPassFactors(rule, shapes.results[0]);
  // Each device has the keys of its part of the batch.
  TensorFactors keys(numbers.begin(), numbers.begin() + getBatchRank());
  keys.push_back({word});
  rule.operands = {keys};
  for (size_t i = 0; i < getOffsets().size(); ++i)
    rule.operands.push_back({});
  rule.results = {numbers};
  return rule;
}

KernelRole RngOp::getKernelRole() { return KernelRole::Indexed; }

int64_t RngOp::getElementCost() { return 40; }

LogicalResult RngOp::localiseResults(LocalValues &parts) {
  MeshTensorType logical = parts.logicalType(getResult());
  if (logical.getLayout().isReplicated())
    return success();
  SmallVector<Value> offsets;
  for (auto [d, size] : llvm::enumerate(logical.getShape()))
    offsets.push_back(
        parts.offset(getLoc(), logical.getLayout().dims[d].axes, size));
  getOffsetsMutable().assign(offsets);
  return success();
}
