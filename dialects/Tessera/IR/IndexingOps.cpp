// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Verification.h"

using namespace mlir;
using namespace tessera;

#define GET_OP_CLASSES
#include "dialects/Tessera/IR/IndexingOps.cpp.inc"

LogicalResult GatherOp::verify() {
  if (failed(verifyOneMesh(*this)) ||
      failed(verifyDim(*this, getDim(), {getSource(), "the source"})))
    return failure();
  return verifyInferredResult(*this, "the indices' shape stands in place of "
                                     "the indexed dimension");
}

InferredType GatherOp::inferResultType() {
  ArrayRef<int64_t> source = shapeOf(getSource());
  SmallVector<int64_t> shape(source.take_front(getDim()));
  llvm::append_range(shape, shapeOf(getIndices()));
  llvm::append_range(shape, source.drop_front(getDim() + 1));
  return {shape, getElementTypeOrSelf(getSource())};
}

FactorRule GatherOp::getFactorRuleFor(const OpShapes &shapes) {
  FactorRule rule;
  int64_t dim = getDim();
  // Rows that another device holds read as zero here, so lookups in a split
  // source are summed; truth values have no sum.
  FactorKind indexedKind = getElementTypeOrSelf(getSource()).isInteger(1)
                               ? FactorKind::Replicate
                               : FactorKind::Reduce;
  TensorFactors source, indices, out;
  for (auto [d, size] : llvm::enumerate(shapes.operands[0])) {
    bool indexed = static_cast<int64_t>(d) == dim;
    int factor = rule.addFactor(indexed ? "n" : "s" + std::to_string(d), size,
                                indexed ? indexedKind : FactorKind::Pass);
    source.push_back({factor});
    if (!indexed) {
      out.push_back({factor});
      continue;
    }
    for (auto [i, count] : llvm::enumerate(shapes.operands[1])) {
      int index = rule.addFactor("i" + std::to_string(i), count);
      indices.push_back({index});
      out.push_back({index});
    }
  }
  rule.operands = {source, indices};
  rule.results = {out};
  rule.linear = {{{0}, ReduceKind::Sum}};
  return rule;
}

double GatherOp::getFlops() { return 0; }

PropagationRound GatherOp::getPropagationRound() {
  return PropagationRound::Compute;
}

KernelRole GatherOp::getKernelRole() { return KernelRole::Indexed; }

/// Looks up in this device's part of the rows; indices of other devices' rows
/// become -1, which reads zeros.
void GatherOp::localiseOperands(const FactorRule &, LocalValues &parts) {
  MeshTensorType source = parts.logicalType(getSource());
  int64_t dim = getDim();
  const std::vector<AxisRef> &axes = source.getLayout().dims[dim].axes;
  if (axes.empty())
    return;
  MeshTensorType logical = parts.logicalType(getIndices());
  Value indices =
      parts.localIndices(getLoc(), getIndices(), axes, source.getDimSize(dim));
  getIndicesMutable().assign(indices);
  parts.setLogicalType(indices, logical);
}
