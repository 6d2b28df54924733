// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Tessera/IR/Tessera.h"
using namespace mlir;
using namespace tessera;

#define GET_OP_CLASSES
#include "dialects/Tessera/IR/ReductionOps.cpp.inc"

LogicalResult ReduceOp::verify() { return success(); }
OpFoldResult ReduceOp::fold(FoldAdaptor) { return {}; }
FactorRule ReduceOp::getFactorRule() { return {}; }

