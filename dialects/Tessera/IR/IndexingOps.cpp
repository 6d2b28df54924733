// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Tessera/IR/Tessera.h"
using namespace mlir;
using namespace tessera;

#define GET_OP_CLASSES
#include "dialects/Tessera/IR/IndexingOps.cpp.inc"

LogicalResult GatherOp::verify() { return success(); }
FactorRule GatherOp::getFactorRule() { return {}; }

