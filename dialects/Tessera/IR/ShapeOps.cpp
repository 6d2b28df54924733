// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Verification.h"

using namespace mlir;
using namespace tessera;

#define GET_OP_CLASSES
#include "dialects/Tessera/IR/ShapeOps.cpp.inc"

static LogicalResult verifySameElements(Operation *op, Value input) {
  if (failed(verifyOneMesh(op)))
    return failure();
  return verifyElementType(op, op->getResult(0), "a result",
                           getElementTypeOrSelf(input));
}

/// The list called `name` has an entry for each dimension of `input`.
static LogicalResult verifyCount(Operation *op, StringRef name, size_t count,
                                 Value input) {
  size_t rank = shapeOf(input).size();
  if (count == rank)
    return success();
  return explain(op->emitOpError() << name << " has " << count
                                   << " entries, the input has rank " << rank,
                 op, NamedValue{input, "the input"},
                 "give one entry per dimension of the input");
}

static int addDim(FactorRule &rule, size_t dim, int64_t size,
                  FactorKind kind = FactorKind::Pass) {
  return rule.addFactor("d" + std::to_string(dim), size, kind);
}

/// A dimension that the op cuts or extends: whole on input and result, each
/// with a factor of its own size.
static void addWholeDim(FactorRule &rule, size_t dim, int64_t inSize,
                        int64_t outSize, TensorFactors &in,
                        TensorFactors &out) {
  std::string name = std::to_string(dim);
  in.push_back({rule.addFactor("i" + name, inSize, FactorKind::Replicate)});
  out.push_back({rule.addFactor("o" + name, outSize, FactorKind::Replicate)});
}

//===----------------------------------------------------------------------===//
// reshape
//===----------------------------------------------------------------------===//

LogicalResult ReshapeOp::verify() {
  if (failed(verifySameElements(*this, getInput())))
    return failure();
  int64_t in = ShapedType::getNumElements(shapeOf(getInput()));
  int64_t out = ShapedType::getNumElements(shapeOf(getResult()));
  if (in != out)
    return explain(
        emitOpError() << "cannot give " << in << " elements of shape "
                      << shapeToString(shapeOf(getInput())) << " the shape "
                      << shapeToString(shapeOf(getResult())) << " of " << out,
        *this, NamedValue{getInput(), "the input"},
        "a reshape keeps all elements; use tessera.slice to drop some, "
        "tessera.pad or tessera.broadcast for more");
  return success();
}

InferredType ReshapeOp::inferResultType() {
  return {std::nullopt, getElementTypeOrSelf(getInput())};
}

FactorRule ReshapeOp::getFactorRuleFor(const OpShapes &shapes) {
  return reshapeRule(shapes.operands[0], shapes.results[0]);
}

double ReshapeOp::getFlops() { return 0; }

KernelRole ReshapeOp::getKernelRole() { return KernelRole::Host; }

//===----------------------------------------------------------------------===//
// transpose
//===----------------------------------------------------------------------===//

LogicalResult TransposeOp::verify() {
  ArrayRef<int64_t> shape = shapeOf(getInput());
  ArrayRef<int64_t> permutation = getPermutation();
  if (failed(verifySameElements(*this, getInput())) ||
      failed(verifyCount(*this, "permutation", permutation.size(), getInput())))
    return failure();
  for (auto [i, dim] : llvm::enumerate(permutation))
    if (dim < 0 || dim >= static_cast<int64_t>(shape.size()) ||
        llvm::is_contained(permutation.take_front(i), dim))
      return explain(emitOpError()
                         << shapeToString(permutation)
                         << " is not a permutation of the dimensions 0 to "
                         << static_cast<int64_t>(shape.size()) - 1,
                     *this, NamedValue{getInput(), "the input"},
                     "name each dimension once: entry i is the input dimension "
                     "that becomes dimension i of the result");
  return verifyInferredResult(*this);
}

InferredType TransposeOp::inferResultType() {
  InferredType type = {SmallVector<int64_t>(),
                       getElementTypeOrSelf(getInput())};
  for (int64_t dim : getPermutation())
    type.shape->push_back(shapeOf(getInput())[dim]);
  return type;
}

FactorRule TransposeOp::getFactorRuleFor(const OpShapes &shapes) {
  FactorRule rule;
  TensorFactors in, out;
  for (auto [d, size] : llvm::enumerate(shapes.operands[0]))
    in.push_back({addDim(rule, d, size)});
  for (int64_t dim : getPermutation())
    out.push_back(in[dim]);
  rule.operands = {in};
  rule.results = {out};
  rule.linear = {{{0}}};
  return rule;
}

double TransposeOp::getFlops() { return 0; }

KernelRole TransposeOp::getKernelRole() { return KernelRole::Movement; }

//===----------------------------------------------------------------------===//
// broadcast
//===----------------------------------------------------------------------===//

LogicalResult BroadcastOp::verify() {
  ArrayRef<int64_t> in = shapeOf(getInput()), out = shapeOf(getResult());
  if (failed(verifySameElements(*this, getInput())) ||
      failed(verifyCount(*this, "dims", getDims().size(), getInput())) ||
      failed(verifyAscendingDims(*this, "dims", getDims(),
                                 {getResult(), "the result"})))
    return failure();
  for (auto [i, dim] : llvm::enumerate(getDims()))
    if (in[i] != 1 && in[i] != out[dim])
      return explain(emitOpError()
                         << "input dimension " << i << " of size " << in[i]
                         << " cannot become result dimension " << dim
                         << " of size " << out[dim]
                         << "; it must have that size, or 1",
                     *this, NamedValue{getInput(), "the input"});
  return success();
}

InferredType BroadcastOp::inferResultType() {
  return {std::nullopt, getElementTypeOrSelf(getInput())};
}

FactorRule BroadcastOp::getFactorRuleFor(const OpShapes &shapes) {
  FactorRule rule;
  ArrayRef<int64_t> inShape = shapes.operands[0];
  TensorFactors in(inShape.size()), out;
  for (auto [d, size] : llvm::enumerate(shapes.results[0]))
    out.push_back({addDim(rule, d, size)});
  for (auto [i, dim] : llvm::enumerate(getDims()))
    if (inShape[i] == shapes.results[0][dim])
      in[i] = out[dim];
  rule.operands = {in};
  rule.results = {out};
  rule.linear = {{{0}}};
  return rule;
}

double BroadcastOp::getFlops() { return 0; }

PropagationRound BroadcastOp::getPropagationRound() {
  return PropagationRound::Broadcast;
}

KernelRole BroadcastOp::getKernelRole() { return KernelRole::Generated; }

bool BroadcastOp::isCheapToClone() { return true; }

//===----------------------------------------------------------------------===//
// slice
//===----------------------------------------------------------------------===//

LogicalResult SliceOp::verify() {
  ArrayRef<int64_t> shape = shapeOf(getInput());
  if (failed(verifySameElements(*this, getInput())) ||
      failed(verifyCount(*this, "starts", getStarts().size(), getInput())) ||
      failed(verifyCount(*this, "limits", getLimits().size(), getInput())) ||
      failed(verifyCount(*this, "strides", getStrides().size(), getInput())))
    return failure();
  for (auto [d, size] : llvm::enumerate(shape)) {
    int64_t start = getStarts()[d], limit = getLimits()[d],
            stride = getStrides()[d];
    if (start < 0 || limit < start || limit > size || stride < 1)
      return explain(emitOpError()
                         << "takes " << start << " to " << limit << " by "
                         << stride << " of dimension " << d << " of size "
                         << size
                         << "; expected 0 <= start <= limit <= size and "
                            "stride >= 1",
                     *this, NamedValue{getInput(), "the input"},
                     "a slice goes forward within its input; tessera.pad "
                     "extends a dimension");
  }
  return verifyInferredResult(*this);
}

InferredType SliceOp::inferResultType() {
  InferredType type = {SmallVector<int64_t>(),
                       getElementTypeOrSelf(getInput())};
  for (auto [start, limit, stride] :
       llvm::zip(getStarts(), getLimits(), getStrides()))
    type.shape->push_back(limit == start ? 0
                                         : (limit - start - 1) / stride + 1);
  return type;
}

FactorRule SliceOp::getFactorRuleFor(const OpShapes &shapes) {
  FactorRule rule;
  TensorFactors in, out;
  for (auto [d, size] : llvm::enumerate(shapes.operands[0])) {
    int64_t outSize = shapes.results[0][d];
    if (getStarts()[d] == 0 && outSize == size) {
      int factor = addDim(rule, d, size);
      in.push_back({factor});
      out.push_back({factor});
    } else {
      addWholeDim(rule, d, size, outSize, in, out);
    }
  }
  rule.operands = {in};
  rule.results = {out};
  rule.linear = {{{0}}};
  return rule;
}

double SliceOp::getFlops() { return 0; }

KernelRole SliceOp::getKernelRole() { return KernelRole::Movement; }

/// A dimension that is taken whole may be split: its limit is local.
LogicalResult SliceOp::localiseResults(LocalValues &parts) {
  MeshTensorType logical = parts.logicalType(getResult());
  SmallVector<int64_t> limits(getLimits());
  for (auto [d, size] : llvm::enumerate(shapeOf(getResult())))
    if (size != logical.getDimSize(d))
      limits[d] = size;
  setLimits(limits);
  return success();
}

//===----------------------------------------------------------------------===//
// concatenate
//===----------------------------------------------------------------------===//

LogicalResult ConcatenateOp::verify() {
  if (getInputs().empty())
    return explain(emitOpError() << "expects at least one value", *this, {},
                   "name the values to join: tessera.concatenate %a, %b dim 0");
  if (failed(verifySameElements(*this, getInputs().front())))
    return failure();
  SmallVector<int64_t> expected(shapeOf(getInputs().front()));
  int64_t dim = getDim();
  if (failed(verifyDim(*this, dim, {getInputs().front(), "input 0"})))
    return failure();
  for (auto [i, input] : llvm::enumerate(getInputs())) {
    ArrayRef<int64_t> shape = shapeOf(input);
    if (shape.size() == expected.size())
      expected[dim] = shape[dim];
    if (failed(verifyShape(*this, input, "input " + std::to_string(i), expected,
                           "inputs differ in the joined dimension only")) ||
        failed(verifyElementType(*this, input, "input " + std::to_string(i),
                                 getElementTypeOrSelf(getType()))))
      return failure();
  }
  return verifyInferredResult(*this);
}

InferredType ConcatenateOp::inferResultType() {
  InferredType type = likeOperand(*this);
  (*type.shape)[getDim()] = 0;
  for (Value input : getInputs())
    (*type.shape)[getDim()] += shapeOf(input)[getDim()];
  return type;
}

FactorRule ConcatenateOp::getFactorRuleFor(const OpShapes &shapes) {
  FactorRule rule;
  int64_t dim = getDim();
  TensorFactors out;
  for (auto [d, size] : llvm::enumerate(shapes.results[0]))
    out.push_back({addDim(rule, d, size,
                          static_cast<int64_t>(d) == dim ? FactorKind::Replicate
                                                         : FactorKind::Pass)});
  LinearGroup all;
  for (auto [i, input] : llvm::enumerate(shapes.operands)) {
    TensorFactors in = out;
    in[dim] = {rule.addFactor("i" + std::to_string(i), input[dim],
                              FactorKind::Replicate)};
    rule.operands.push_back(in);
    all.operands.push_back(static_cast<int>(i));
  }
  rule.results = {out};
  rule.linear = {all};
  return rule;
}

double ConcatenateOp::getFlops() { return 0; }

KernelRole ConcatenateOp::getKernelRole() { return KernelRole::Movement; }

//===----------------------------------------------------------------------===//
// pad
//===----------------------------------------------------------------------===//

LogicalResult PadOp::verify() {
  ArrayRef<int64_t> shape = shapeOf(getInput());
  if (failed(verifySameElements(*this, getInput())) ||
      failed(verifyCount(*this, "low", getLow().size(), getInput())) ||
      failed(verifyCount(*this, "high", getHigh().size(), getInput())))
    return failure();
  for (size_t d = 0; d < shape.size(); ++d)
    if (getLow()[d] < 0 || getHigh()[d] < 0)
      return explain(emitOpError()
                         << "pads dimension " << d << " by " << getLow()[d]
                         << " and " << getHigh()[d] << "; expected 0 or more",
                     *this, {}, "use tessera.slice to remove elements");
  Type type = getElementTypeOrSelf(getInput());
  if (getValue().getType() != type)
    return explain(emitOpError()
                       << "pads with a value of type " << getValue().getType()
                       << ", the elements have type " << type,
                   *this, NamedValue{getInput(), "the input"},
                   "write the value's type behind it, as in value 0.0 : f32");
  return verifyInferredResult(*this);
}

InferredType PadOp::inferResultType() {
  InferredType type = likeOperand(*this);
  for (auto [size, low, high] : llvm::zip(*type.shape, getLow(), getHigh()))
    size += low + high;
  return type;
}

/// Whether `attr` is the number zero.
static bool isZero(Attribute attr) {
  if (auto number = dyn_cast<FloatAttr>(attr))
    return number.getValue().isPosZero();
  auto number = dyn_cast<IntegerAttr>(attr);
  return number && number.getValue().isZero();
}

FactorRule PadOp::getFactorRuleFor(const OpShapes &shapes) {
  FactorRule rule;
  TensorFactors in, out;
  for (auto [d, size] : llvm::enumerate(shapes.operands[0])) {
    int64_t outSize = shapes.results[0][d];
    if (outSize == size) {
      int factor = addDim(rule, d, size);
      in.push_back({factor});
      out.push_back({factor});
    } else {
      addWholeDim(rule, d, size, outSize, in, out);
    }
  }
  rule.operands = {in};
  rule.results = {out};
  if (isZero(getValue()))
    rule.linear = {{{0}}};
  return rule;
}

double PadOp::getFlops() { return 0; }

KernelRole PadOp::getKernelRole() { return KernelRole::Movement; }
