// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Tessera/IR/Tessera.h"
using namespace mlir;
using namespace tessera;

#define GET_OP_CLASSES
#include "dialects/Tessera/IR/CreationOps.cpp.inc"

LogicalResult ConstantOp::verify() { return success(); }
OpFoldResult ConstantOp::fold(FoldAdaptor) { return getValue(); }
FactorRule ConstantOp::getFactorRule() { return {}; }

LogicalResult IotaOp::verify() { return success(); }
FactorRule IotaOp::getFactorRule() { return {}; }

LogicalResult RngOp::verify() { return success(); }
FactorRule RngOp::getFactorRule() { return {}; }

