// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "FormulaBuilder.h"

using namespace mlir;
using namespace tessera;

static Type elementOf(Value value) {
  return getElementTypeOrSelf(value.getType());
}

Type tessera::wideTypeOf(Value value) {
  Type type = elementOf(value);
  return type.isF64() ? type : Float32Type::get(value.getContext());
}

Type FormulaBuilder::typeOf(ArrayRef<int64_t> shape, Type element) const {
  auto meshTensor = dyn_cast<MeshTensorType>(model);
  if (!meshTensor)
    return RankedTensorType::get(shape, element);
  return MeshTensorType::get(
      builder.getContext(), shape, element,
      Layout::open(meshTensor.getLayout().mesh, shape.size()));
}

Value FormulaBuilder::insertInferred(OperationState &state) {
  Operation *op = Operation::create(state);
  InferredType inferred = cast<ResultTypeInterface>(op).inferResultType();
  assert(inferred.shape && inferred.elementType &&
         "the op's operands and attributes do not decide its type");
  op->getResult(0).setType(typeOf(*inferred.shape, inferred.elementType));
  return builder.insert(op)->getResult(0);
}

Value FormulaBuilder::number(double value, ArrayRef<int64_t> shape,
                             Type element) {
  TypedAttr number =
      isa<FloatType>(element)
          ? TypedAttr(builder.getFloatAttr(element, value))
          : builder.getIntegerAttr(element, static_cast<int64_t>(value));
  return create<ConstantOp>(DenseElementsAttr::get(
      RankedTensorType::get(shape, element), Attribute(number)));
}

Value FormulaBuilder::numberLike(double value, Value x) {
  return number(value, shapeOf(x), elementOf(x));
}

Value FormulaBuilder::integerLike(int64_t value, Value x) {
  return create<ConstantOp>(DenseElementsAttr::get(
      RankedTensorType::get(shapeOf(x), elementOf(x)),
      Attribute(builder.getIntegerAttr(elementOf(x), value))));
}

Value FormulaBuilder::convert(Value x, Type element) {
  if (elementOf(x) == element)
    return x;
  return ConvertOp::create(builder, loc, typeOf(shapeOf(x), element), x);
}

Value FormulaBuilder::reduce(dist::ReductionKind kind, Value x, int64_t dim) {
  return create<ReduceOp>(
      dist::ReductionKindAttr::get(builder.getContext(), kind), x,
      builder.getDenseI64ArrayAttr(dim));
}

Value FormulaBuilder::repeat(Value x, ArrayRef<int64_t> shape, int64_t dim) {
  SmallVector<int64_t> dims;
  for (int64_t d = 0, rank = shape.size(); d < rank; ++d)
    if (d != dim)
      dims.push_back(d);
  return broadcast(x, shape, dims);
}

Value FormulaBuilder::broadcast(Value x, ArrayRef<int64_t> shape,
                                ArrayRef<int64_t> dims) {
  return BroadcastOp::create(builder, loc, typeOf(shape, elementOf(x)), x,
                             builder.getDenseI64ArrayAttr(dims));
}

Value FormulaBuilder::reshape(Value x, ArrayRef<int64_t> shape) {
  if (shapeOf(x) == shape)
    return x;
  return ReshapeOp::create(builder, loc, typeOf(shape, elementOf(x)), x);
}

Value FormulaBuilder::transpose(Value x, ArrayRef<int64_t> permutation) {
  return create<TransposeOp>(x, builder.getDenseI64ArrayAttr(permutation));
}

Value FormulaBuilder::contract(Value x, Value y, StringRef spec) {
  return create<ContractOp>(x, y, builder.getStringAttr(spec));
}

Value FormulaBuilder::compare(CompareDirection direction, Value x, Value y) {
  return create<CompareOp>(
      CompareDirectionAttr::get(builder.getContext(), direction), x, y);
}

Value FormulaBuilder::select(Value predicate, Value onTrue, Value onFalse) {
  return create<SelectOp>(predicate, onTrue, onFalse);
}

Value FormulaBuilder::iota(ArrayRef<int64_t> shape, int64_t dim, Type element) {
  return IotaOp::create(builder, loc, typeOf(shape, element),
                        builder.getI64IntegerAttr(dim), Value());
}
