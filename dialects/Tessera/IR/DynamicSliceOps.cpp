// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Verification.h"

#include "mlir/IR/Matchers.h"
#include "mlir/IR/PatternMatch.h"

using namespace mlir;
using namespace tessera;

#define GET_OP_CLASSES
#include "dialects/Tessera/IR/DynamicSliceOps.cpp.inc"

/// The starts, and that `box`, called `name`, fits into `input`.
static LogicalResult verifyBox(Operation *op, Value input, OperandRange starts,
                               Value box, StringRef name) {
  ArrayRef<int64_t> shape = shapeOf(input), sizes = shapeOf(box);
  if (failed(verifyOneMesh(op)) ||
      failed(verifyElementType(op, box, name, getElementTypeOrSelf(input))))
    return failure();
  if (starts.size() != shape.size())
    return explain(op->emitOpError()
                       << "has " << starts.size()
                       << " starts, the input has rank " << shape.size(),
                   op, NamedValue{input, "the input"},
                   "give one start per dimension of the input; 0 for a "
                   "dimension that is taken whole");
  if (sizes.size() != shape.size())
    return explain(op->emitOpError()
                       << "expects " << name << " of rank " << shape.size()
                       << ", got rank " << sizes.size(),
                   op, NamedValue{input, "the input"},
                   "a box has all dimensions of the input; use "
                   "tessera.reshape to drop or add dimensions of size 1");
  for (auto [d, size] : llvm::enumerate(shape))
    if (sizes[d] > size)
      return explain(
          op->emitOpError() << "has a box of size " << sizes[d]
                            << " in dimension " << d << " of size " << size,
          op, NamedValue{input, "the input"},
          "a box must be within the input; make it smaller, or extend "
          "the input with tessera.pad");
  return success();
}

/// Factors of the input and of the box: shared where the box takes a dimension
/// whole; else both are whole on each device.
static void addBox(FactorRule &rule, ArrayRef<int64_t> input,
                   ArrayRef<int64_t> box, TensorFactors &inputFactors,
                   TensorFactors &boxFactors) {
  for (auto [d, sizes] : llvm::enumerate(llvm::zip_equal(input, box))) {
    auto [size, boxSize] = sizes;
    std::string name = std::to_string(d);
    if (size == boxSize) {
      inputFactors.push_back({rule.addFactor("d" + name, size)});
      boxFactors.push_back(inputFactors.back());
      continue;
    }
    inputFactors.push_back(
        {rule.addFactor("i" + name, size, FactorKind::Replicate)});
    boxFactors.push_back(
        {rule.addFactor("o" + name, boxSize, FactorKind::Replicate)});
  }
}

//===----------------------------------------------------------------------===//
// dynamic_slice
//===----------------------------------------------------------------------===//

LogicalResult DynamicSliceOp::verify() {
  return verifyBox(*this, getInput(), getStarts(), getResult(), "a result");
}

InferredType DynamicSliceOp::inferResultType() {
  return {std::nullopt, getElementTypeOrSelf(getInput())};
}

FactorRule DynamicSliceOp::getFactorRuleFor(const OpShapes &shapes) {
  FactorRule rule;
  TensorFactors in, out;
  addBox(rule, shapes.operands[0], shapes.results[0], in, out);
  rule.operands = {in};
  rule.operands.resize(1 + getStarts().size());
  rule.results = {out};
  rule.linear = {{{0}}};
  return rule;
}

double DynamicSliceOp::getFlops() { return 0; }

KernelRole DynamicSliceOp::getKernelRole() { return KernelRole::Movement; }

OpFoldResult DynamicSliceOp::fold(FoldAdaptor) {
  // A box of the whole input begins at 0 after clamping.
  return getInput().getType() == getType() ? getInput() : Value();
}

/// Before: dynamic_slice at constant starts. After: slice.
static LogicalResult useConstantStarts(DynamicSliceOp op,
                                       PatternRewriter &rewriter) {
  SmallVector<int64_t> starts, limits;
  for (auto [d, start] : llvm::enumerate(op.getStarts())) {
    int64_t size = shapeOf(op.getInput())[d], box = shapeOf(op.getResult())[d];
    SplatElementsAttr known;
    if (size != box && !matchPattern(start, m_Constant(&known)))
      return rewriter.notifyMatchFailure(op, "a start is not known");
    int64_t first =
        size == box ? 0 : known.getSplatValue<APInt>().getSExtValue();
    starts.push_back(std::clamp<int64_t>(first, 0, size - box));
    limits.push_back(starts.back() + box);
  }
  SmallVector<int64_t> strides(starts.size(), 1);
  rewriter.replaceOpWithNewOp<SliceOp>(op, op.getType(), op.getInput(), starts,
                                       limits, strides);
  return success();
}

void DynamicSliceOp::getCanonicalizationPatterns(RewritePatternSet &patterns,
                                                 MLIRContext *) {
  patterns.add(useConstantStarts);
}

//===----------------------------------------------------------------------===//
// dynamic_update_slice
//===----------------------------------------------------------------------===//

LogicalResult DynamicUpdateSliceOp::verify() {
  if (failed(verifyBox(*this, getInput(), getStarts(), getUpdate(),
                       "the update")) ||
      failed(verifyShape(*this, getResult(), "a result", shapeOf(getInput()))))
    return failure();
  return verifyElementType(*this, getResult(), "a result",
                           getElementTypeOrSelf(getInput()));
}

InferredType DynamicUpdateSliceOp::inferResultType() {
  return {SmallVector<int64_t>(shapeOf(getInput())),
          getElementTypeOrSelf(getInput())};
}

FactorRule DynamicUpdateSliceOp::getFactorRuleFor(const OpShapes &shapes) {
  FactorRule rule;
  TensorFactors in, box;
  addBox(rule, shapes.operands[0], shapes.operands.back(), in, box);
  rule.operands = {in};
  rule.operands.resize(1 + getStarts().size());
  rule.operands.push_back(box);
  rule.results = {in};
  rule.linear = {{{0, static_cast<int>(getStarts().size()) + 1}}};
  return rule;
}

double DynamicUpdateSliceOp::getFlops() { return 0; }

KernelRole DynamicUpdateSliceOp::getKernelRole() { return KernelRole::Update; }

OpFoldResult DynamicUpdateSliceOp::fold(FoldAdaptor) {
  return getUpdate().getType() == getType() ? getUpdate() : Value();
}
