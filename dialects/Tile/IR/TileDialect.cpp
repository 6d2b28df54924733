// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Tile/IR/Tile.h"

using namespace mlir;
using namespace tessera::tile;

#include "dialects/Tile/IR/TileDialect.cpp.inc"
#include "dialects/Tile/IR/TileEnums.cpp.inc"

static bool isElementType(Type type) {
  return type.isF64() || type.isF32() || type.isBF16() || type.isF16() ||
         type.isSignlessInteger(1) || type.isSignlessInteger(8) ||
         type.isSignlessInteger(32) || type.isSignlessInteger(64);
}

/// Every target walks over the dimensions, and takes no step over none of them.
static bool hasElements(ShapedType type) {
  return type.hasStaticShape() && type.getRank() > 0 &&
         type.getNumElements() > 0;
}

bool tessera::tile::isTileType(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  return tensor && hasElements(tensor) &&
         isElementType(tensor.getElementType());
}

bool tessera::tile::isMemoryType(Type type) {
  auto memory = dyn_cast<MemRefType>(type);
  return memory && hasElements(memory) &&
         !memory.getElementType().isInteger(1) &&
         isElementType(memory.getElementType());
}

Operation *TileDialect::materializeConstant(OpBuilder &builder, Attribute value,
                                            Type type, Location loc) {
  return arith::ConstantOp::materialize(builder, value, type, loc);
}

void TileDialect::initialize() {
  addOperations<
#define GET_OP_LIST
#include "dialects/Tile/IR/KernelOps.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "dialects/Tile/IR/ComputeOps.cpp.inc"
      >();
}
