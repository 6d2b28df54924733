// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Tessera/IR/Tessera.h"
using namespace mlir;
using namespace tessera;

#define GET_OP_CLASSES
#include "dialects/Tessera/IR/ContractionOps.cpp.inc"

LogicalResult ContractOp::verify() { return success(); }
void ContractOp::getCanonicalizationPatterns(RewritePatternSet &, MLIRContext *) {}
FactorRule ContractOp::getFactorRule() { return {}; }

ContractOp::Indices ContractOp::getIndices() {
  auto [inputs, out] = getSpec().split("->");
  auto [lhs, rhs] = inputs.split(",");
  return {lhs.str(), rhs.str(), out.str()};
}
