// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Tile/IR/Tile.h"

using namespace mlir;
using namespace tessera::tile;

#define GET_OP_CLASSES
#include "dialects/Tile/IR/ComputeOps.cpp.inc"

LogicalResult DotOp::verify() { return success(); }
LogicalResult ReduceOp::verify() { return success(); }
LogicalResult BroadcastOp::verify() { return success(); }
OpFoldResult BroadcastOp::fold(FoldAdaptor) { return {}; }
LogicalResult ReshapeOp::verify() { return success(); }
OpFoldResult ReshapeOp::fold(FoldAdaptor) { return {}; }
LogicalResult TransOp::verify() { return success(); }
OpFoldResult TransOp::fold(FoldAdaptor) { return {}; }
LogicalResult IotaOp::verify() { return success(); }
LogicalResult SplatOp::verify() { return success(); }
