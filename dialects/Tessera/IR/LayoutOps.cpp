// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Tessera/IR/Tessera.h"
using namespace mlir;
using namespace tessera;

#define GET_OP_CLASSES
#include "dialects/Tessera/IR/LayoutOps.cpp.inc"

LogicalResult ConstrainOp::verify() { return success(); }
FactorRule ConstrainOp::getFactorRule() { return {}; }

LogicalResult ReshardOp::verify() { return success(); }
OpFoldResult ReshardOp::fold(FoldAdaptor) { return {}; }
