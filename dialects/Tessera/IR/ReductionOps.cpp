// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Folding.h"
#include "Verification.h"
#include "tessera/Analysis/MeshGroups.h"

using namespace mlir;
using namespace tessera;

#define GET_OP_CLASSES
#include "dialects/Tessera/IR/ReductionOps.cpp.inc"

LogicalResult ReduceOp::verify() {
  if (failed(verifyOneMesh(*this)) ||
      failed(verifyAscendingDims(*this, "dims", getDims(),
                                 {getInput(), "the input"})))
    return failure();
  return verifyInferredResult(*this, "reduced dimensions are dropped");
}

InferredType ReduceOp::inferResultType() {
  InferredType type = {SmallVector<int64_t>(),
                       getElementTypeOrSelf(getInput())};
  for (auto [dim, size] : llvm::enumerate(shapeOf(getInput())))
    if (!llvm::is_contained(getDims(), static_cast<int64_t>(dim)))
      type.shape->push_back(size);
  return type;
}

FactorRule ReduceOp::getFactorRuleFor(const OpShapes &shapes) {
  FactorRule rule;
  auto kind = dist::toReduceKind(getKind());
  TensorFactors in, out;
  for (auto [dim, size] : llvm::enumerate(shapes.operands[0])) {
    bool reduced = llvm::is_contained(getDims(), static_cast<int64_t>(dim));
    int factor =
        rule.addFactor("d" + std::to_string(dim), size,
                       reduced ? FactorKind::Reduce : FactorKind::Pass, kind);
    in.push_back({factor});
    if (!reduced)
      out.push_back({factor});
  }
  rule.operands = {in};
  rule.results = {out};
  rule.linear = {{{0}, kind}};
  return rule;
}

PropagationRound ReduceOp::getPropagationRound() {
  return PropagationRound::Compute;
}

KernelRole ReduceOp::getKernelRole() { return KernelRole::Rows; }

double ReduceOp::getFlops() {
  double flops = 1;
  for (int64_t size : shapeOf(getInput()))
    flops *= size;
  return flops;
}

OpFoldResult ReduceOp::fold(FoldAdaptor adaptor) {
  if (getDims().empty() && getInput().getType() == getType())
    return getInput();
  // The largest of equal elements is that element, if there is one.
  bool isPick = getKind() == dist::ReductionKind::max ||
                getKind() == dist::ReductionKind::min;
  if (isPick && ShapedType::getNumElements(shapeOf(getInput())) != 0)
    if (Attribute splat = reshapeSplat(adaptor.getInput(), getType()))
      return splat;
  // Floats are rounded between two sums, and in another order within one.
  auto inner = getInput().getDefiningOp<ReduceOp>();
  bool isInteger = isa<IntegerType>(getElementTypeOrSelf(getType()));
  if (!inner || inner.getKind() != getKind() || !(isPick || isInteger) ||
      !isDroppable(getInput().getType()))
    return {};
  SmallVector<int64_t> dims(inner.getDims());
  int64_t kept = 0;
  int64_t rank = shapeOf(inner.getInput()).size();
  for (int64_t dim = 0; dim < rank; ++dim)
    if (!llvm::is_contained(inner.getDims(), dim) &&
        llvm::is_contained(getDims(), kept++))
      dims.push_back(dim);
  llvm::sort(dims);
  setOperand(inner.getInput());
  setDims(dims);
  return getResult();
}

//===----------------------------------------------------------------------===//
// cumulative
//===----------------------------------------------------------------------===//

LogicalResult CumulativeOp::verify() {
  if (failed(verifyOneMesh(*this)) ||
      failed(verifyShape(*this, getResult(), "a result", shapeOf(getInput()),
                         "it has an element for each of the input")) ||
      failed(verifyElementType(*this, getResult(), "a result",
                               getElementTypeOrSelf(getInput()))))
    return failure();
  return verifyDim(*this, getDim(), {getInput(), "the input"});
}

InferredType CumulativeOp::inferResultType() { return likeOperand(*this); }

FactorRule CumulativeOp::getFactorRuleFor(const OpShapes &shapes) {
  FactorRule rule;
  TensorFactors factors;
  for (auto [dim, size] : llvm::enumerate(shapes.operands[0])) {
    bool isCombined = dim == getDim();
    factors.push_back(
        {rule.addFactor("d" + std::to_string(dim), size,
                        isCombined && !getByParts() ? FactorKind::Replicate
                                                    : FactorKind::Pass)});
  }
  rule.operands = {factors};
  rule.results = {factors};
  // Combining terms and combining along the dimension may change places.
  rule.linear = {{{0}, dist::toReduceKind(getKind())}};
  return rule;
}

PropagationRound CumulativeOp::getPropagationRound() {
  return PropagationRound::Compute;
}

/// The dimension is whole here, so no padding is combined into an element:
/// tessera-partition writes a split one in other ops.
void CumulativeOp::localiseOperands(const FactorRule &, LocalValues &) {
  removeByPartsAttr();
}

bool CumulativeOp::isExpandable() { return !getByParts(); }

bool CumulativeOp::expandInPlace() {
  setByParts(true);
  return true;
}

std::optional<Exchange> CumulativeOp::getExchange(const Mesh &mesh) {
  auto type = dyn_cast<MeshTensorType>(getType());
  if (!type || !getByParts())
    return std::nullopt;
  Layout from = type.getLayout().closed(), to = from;
  int64_t parts = groupSize(from.dims[getDim()].axes, mesh);
  if (parts == 1)
    return std::nullopt;
  to.dims[getDim()].axes.clear();
  SmallVector<int64_t> shape(type.getShape());
  shape[getDim()] = parts;
  // As the sums within a part, those of parts are rounded once.
  Type element = type.getElementType();
  bool isPick = getKind() == dist::ReductionKind::max ||
                getKind() == dist::ReductionKind::min;
  if (isa<FloatType>(element) && element.getIntOrFloatBitWidth() < 32 &&
      !isPick)
    element = Float32Type::get(getContext());
  return Exchange{MeshTensorType::get(getContext(), shape, element, from),
                  MeshTensorType::get(getContext(), shape, element, to)};
}

KernelRole CumulativeOp::getKernelRole() { return KernelRole::Rows; }

int64_t CumulativeOp::getElementCost() { return 8; }

OpFoldResult CumulativeOp::fold(FoldAdaptor adaptor) {
  if (getExclusive())
    return {};
  if (shapeOf(getInput())[getDim()] == 1 && getInput().getType() == getType())
    return getInput();
  bool isPick = getKind() == dist::ReductionKind::max ||
                getKind() == dist::ReductionKind::min;
  return isPick ? reshapeSplat(adaptor.getInput(), getType()) : Attribute();
}
