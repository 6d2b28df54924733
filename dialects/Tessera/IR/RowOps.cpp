// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "RowFactors.h"
#include "Verification.h"
#include "dialects/Tessera/IR/FormulaBuilder.h"

#include <cmath>

using namespace mlir;
using namespace tessera;

#define GET_OP_CLASSES
#include "dialects/Tessera/IR/RowOps.cpp.inc"

static SmallVector<int64_t> without(ArrayRef<int64_t> shape, int64_t dim) {
  SmallVector<int64_t> rest(shape);
  rest.erase(rest.begin() + dim);
  return rest;
}

/// One value for each row along `dim` of the first operand, which is whole;
/// further operands have a value a row, too.
static FactorRule totalRule(const OpShapes &shapes, int64_t dim) {
  FactorRule rule;
  TensorFactors rows = addRowFactors(rule, shapes.operands[0], dim);
  TensorFactors totals = rows;
  totals.erase(totals.begin() + dim);
  rule.operands.push_back(rows);
  rule.operands.resize(shapes.operands.size(), totals);
  rule.results = {totals};
  return rule;
}

//===----------------------------------------------------------------------===//
// logsumexp
//===----------------------------------------------------------------------===//

LogicalResult LogsumexpOp::verify() {
  if (failed(verifyOneMesh(*this)) ||
      failed(verifyDim(*this, getDim(), {getInput(), "the input"})))
    return failure();
  return verifyInferredResult(*this, "the dimension is dropped");
}

InferredType LogsumexpOp::inferResultType() {
  return {without(shapeOf(getInput()), getDim()), wideTypeOf(getInput())};
}

FactorRule LogsumexpOp::getFactorRuleFor(const OpShapes &shapes) {
  return totalRule(shapes, getDim());
}

PropagationRound LogsumexpOp::getPropagationRound() {
  return PropagationRound::Compute;
}

KernelRole LogsumexpOp::getKernelRole() { return KernelRole::Rows; }

double LogsumexpOp::getFlops() { return 4 * numElements(getInput()); }

//===----------------------------------------------------------------------===//
// cross_entropy
//===----------------------------------------------------------------------===//

LogicalResult CrossEntropyOp::verify() {
  if (failed(verifyOneMesh(*this)))
    return failure();
  ArrayRef<int64_t> shape = shapeOf(getLogits());
  if (shape.empty() || shape.back() == 0)
    return explain(emitOpError() << "expects logits [..., V] of a class at "
                                    "least, got "
                                 << shapeToString(shape),
                   *this, NamedValue{getLogits(), "the logits"},
                   "their last dimension has a logit for each class");
  if (failed(verifyShape(*this, getLabels(), "labels", shape.drop_back(),
                         "there is a label for each row of the logits")))
    return failure();
  double smoothing = getSmoothing().convertToDouble();
  if (!(smoothing >= 0 && smoothing <= 1))
    return explain(emitOpError() << "has smoothing " << smoothing
                                 << "; expected a number from 0 to 1",
                   *this, {}, "0 wants all weight on the label's class");
  if (!std::isfinite(getZLoss().convertToDouble()))
    return explain(emitOpError()
                       << "has z_loss " << getZLoss().convertToDouble()
                       << "; expected a finite number",
                   *this, {}, "0 leaves the term out");
  auto type = cast<IntegerType>(getElementTypeOrSelf(getLabels()));
  if (std::optional<uint64_t> ignored = getIgnore()) {
    auto number = static_cast<int64_t>(*ignored);
    bool fits = type.isUnsigned()
                    ? number >= 0 && llvm::isUIntN(type.getWidth(), *ignored)
                    : llvm::isIntN(type.getWidth(), number);
    if (!fits)
      return explain(emitOpError() << "ignores the label " << number
                                   << ", which is no number of " << type,
                     *this, NamedValue{getLabels(), "the labels"},
                     "leave it out where no label is ignored");
  }
  return verifyInferredResult(*this, "there is a value for each row");
}

InferredType CrossEntropyOp::inferResultType() {
  return {SmallVector<int64_t>(shapeOf(getLogits()).drop_back()),
          wideTypeOf(getLogits())};
}

FactorRule CrossEntropyOp::getFactorRuleFor(const OpShapes &shapes) {
  return totalRule(shapes, shapes.operands[0].size() - 1);
}

PropagationRound CrossEntropyOp::getPropagationRound() {
  return PropagationRound::Compute;
}

KernelRole CrossEntropyOp::getKernelRole() { return KernelRole::Rows; }

double CrossEntropyOp::getFlops() { return 6 * numElements(getLogits()); }

//===----------------------------------------------------------------------===//
// norm_tangent
//===----------------------------------------------------------------------===//

LogicalResult NormTangentOp::verify() {
  if (failed(verifyOneMesh(*this)))
    return failure();
  ArrayRef<int64_t> shape = shapeOf(getChange());
  if (shape.empty())
    return explain(emitOpError() << "expects a change of rank 1 or more", *this,
                   NamedValue{getChange(), "the change"},
                   "its last dimension is that of normalised rows");
  if (failed(verifyShape(*this, getInput(), "rows", shape,
                         "there is a change of each element")))
    return failure();
  Type change = getElementTypeOrSelf(getChange()),
       input = getElementTypeOrSelf(getInput());
  bool isNarrower = change.isF32() && input.getIntOrFloatBitWidth() == 16;
  if (!isNarrower &&
      failed(verifyElementType(*this, getInput(), "rows", change)))
    return failure();
  return verifyInferredResult(*this);
}

InferredType NormTangentOp::inferResultType() { return likeOperand(*this); }

FactorRule NormTangentOp::getFactorRuleFor(const OpShapes &shapes) {
  FactorRule rule;
  ArrayRef<int64_t> shape = shapes.operands[0];
  TensorFactors rows =
      addRowFactors(rule, shape, static_cast<int64_t>(shape.size()) - 1);
  rule.operands = {rows, rows};
  rule.results = {rows};
  rule.linear = {{{0}}};
  return rule;
}

KernelRole NormTangentOp::getKernelRole() { return KernelRole::Rows; }

int64_t NormTangentOp::getWholeElements() { return shapeOf(getInput()).back(); }

double NormTangentOp::getFlops() { return 12 * numElements(getInput()); }
