// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Tessera/IR/Tessera.h"
using namespace mlir;
using namespace tessera;

#define GET_OP_CLASSES
#include "dialects/Tessera/IR/ShapeOps.cpp.inc"

LogicalResult ReshapeOp::verify() { return success(); }
OpFoldResult ReshapeOp::fold(FoldAdaptor) { return {}; }
FactorRule ReshapeOp::getFactorRule() { return {}; }

LogicalResult TransposeOp::verify() { return success(); }
OpFoldResult TransposeOp::fold(FoldAdaptor) { return {}; }
FactorRule TransposeOp::getFactorRule() { return {}; }

LogicalResult BroadcastOp::verify() { return success(); }
OpFoldResult BroadcastOp::fold(FoldAdaptor) { return {}; }
FactorRule BroadcastOp::getFactorRule() { return {}; }

LogicalResult SliceOp::verify() { return success(); }
OpFoldResult SliceOp::fold(FoldAdaptor) { return {}; }
FactorRule SliceOp::getFactorRule() { return {}; }

LogicalResult ConcatenateOp::verify() { return success(); }
OpFoldResult ConcatenateOp::fold(FoldAdaptor) { return {}; }
FactorRule ConcatenateOp::getFactorRule() { return {}; }

LogicalResult PadOp::verify() { return success(); }
OpFoldResult PadOp::fold(FoldAdaptor) { return {}; }
FactorRule PadOp::getFactorRule() { return {}; }

