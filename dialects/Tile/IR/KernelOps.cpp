// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Tile/IR/Tile.h"

using namespace mlir;
using namespace tessera::tile;

#define GET_OP_CLASSES
#include "dialects/Tile/IR/KernelOps.cpp.inc"

LogicalResult KernelOp::verifyRegions() { return success(); }
LogicalResult LaunchOp::verifySymbolUses(SymbolTableCollection &) {
  return success();
}
LogicalResult LoadOp::verify() { return success(); }
LogicalResult StoreOp::verify() { return success(); }
LogicalResult GatherOp::verify() { return success(); }
