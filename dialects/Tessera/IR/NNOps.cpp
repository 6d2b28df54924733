// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Tessera/IR/Tessera.h"
using namespace mlir;
using namespace tessera;

#define GET_OP_CLASSES
#include "dialects/Tessera/IR/NNOps.cpp.inc"

LogicalResult GeluOp::verify() { return success(); }
FactorRule GeluOp::getFactorRule() { return {}; }

LogicalResult SoftmaxOp::verify() { return success(); }
FactorRule SoftmaxOp::getFactorRule() { return {}; }

LogicalResult LayerNormOp::verify() { return success(); }
FactorRule LayerNormOp::getFactorRule() { return {}; }

LogicalResult RmsNormOp::verify() { return success(); }
FactorRule RmsNormOp::getFactorRule() { return {}; }

LogicalResult AttentionOp::verify() { return success(); }
FactorRule AttentionOp::getFactorRule() { return {}; }

