// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "RowFactors.h"
#include "Verification.h"

using namespace mlir;
using namespace tessera;

#define GET_OP_CLASSES
#include "dialects/Tessera/IR/NNOps.cpp.inc"

/// The result is like the input.
static LogicalResult verifyLike(Operation *op) {
  return failure(failed(verifyOneMesh(op)) || failed(verifyInferredResult(op)));
}

/// Rule of an op that works on whole rows along `dim` of its first operand; the
/// further operands have one element per column.
static FactorRule rowRule(const OpShapes &shapes, int64_t dim) {
  FactorRule rule;
  TensorFactors rows = addRowFactors(rule, shapes.operands[0], dim);
  rule.operands.push_back(rows);
  for (size_t i = 1; i < shapes.operands.size(); ++i)
    rule.operands.push_back({rows[dim]});
  rule.results = {rows};
  return rule;
}

//===----------------------------------------------------------------------===//
// gelu, softmax
//===----------------------------------------------------------------------===//

LogicalResult GeluOp::verify() { return verifyLike(*this); }

InferredType GeluOp::inferResultType() { return likeOperand(*this); }

FactorRule GeluOp::getFactorRuleFor(const OpShapes &shapes) {
  return elementwiseRule(shapes.results[0], 1);
}

KernelRole GeluOp::getKernelRole() { return KernelRole::Elementwise; }

int64_t GeluOp::getElementCost() { return 25; }

LogicalResult SoftmaxOp::verify() {
  if (failed(verifyLike(*this)))
    return failure();
  return verifyDim(*this, getDim(), {getInput(), "the input"});
}

InferredType SoftmaxOp::inferResultType() { return likeOperand(*this); }

FactorRule SoftmaxOp::getFactorRuleFor(const OpShapes &shapes) {
  return rowRule(shapes, getDim());
}

KernelRole SoftmaxOp::getKernelRole() { return KernelRole::Rows; }

int64_t SoftmaxOp::getWholeElements() { return shapeOf(getInput())[getDim()]; }

double SoftmaxOp::getFlops() { return 5 * numElements(getInput()); }

//===----------------------------------------------------------------------===//
// layer_norm, rms_norm
//===----------------------------------------------------------------------===//

/// Input of rank >= 1; `value`, called `name`, holds one element per column.
static LogicalResult verifyColumns(Operation *op, Value input, Value value,
                                   StringRef name) {
  ArrayRef<int64_t> shape = shapeOf(input);
  if (shape.empty())
    return explain(op->emitOpError() << "expects an input of rank 1 or more",
                   op, NamedValue{input, "the input"},
                   "its last dimension is normalised; tessera.reshape gives a "
                   "scalar one");
  if (failed(verifyShape(op, value, name, shape.take_back(1),
                         "it has one element per column of the input")))
    return failure();
  return verifyElementType(op, value, name, getElementTypeOrSelf(input));
}

LogicalResult LayerNormOp::verify() {
  if (failed(verifyLike(*this)) ||
      failed(verifyColumns(*this, getInput(), getScale(), "scale")))
    return failure();
  return verifyColumns(*this, getInput(), getBias(), "bias");
}

InferredType LayerNormOp::inferResultType() { return likeOperand(*this); }

FactorRule LayerNormOp::getFactorRuleFor(const OpShapes &shapes) {
  return rowRule(shapes, shapes.operands[0].size() - 1);
}

KernelRole LayerNormOp::getKernelRole() { return KernelRole::Rows; }

int64_t LayerNormOp::getWholeElements() { return shapeOf(getInput()).back(); }

double LayerNormOp::getFlops() { return 8 * numElements(getInput()); }

LogicalResult RmsNormOp::verify() {
  if (failed(verifyLike(*this)))
    return failure();
  return verifyColumns(*this, getInput(), getScale(), "scale");
}

InferredType RmsNormOp::inferResultType() { return likeOperand(*this); }

FactorRule RmsNormOp::getFactorRuleFor(const OpShapes &shapes) {
  return rowRule(shapes, shapes.operands[0].size() - 1);
}

KernelRole RmsNormOp::getKernelRole() { return KernelRole::Rows; }

int64_t RmsNormOp::getWholeElements() { return shapeOf(getInput()).back(); }

double RmsNormOp::getFlops() { return 4 * numElements(getInput()); }
