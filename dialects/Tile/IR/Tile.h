// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The tile dialect: kernels on tiles.
#ifndef TESSERA_DIALECTS_TILE_IR_TILE_H
#define TESSERA_DIALECTS_TILE_IR_TILE_H

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "dialects/Tile/IR/TileDialect.h.inc"

#include "dialects/Tile/IR/TileEnums.h.inc"

#define GET_ATTRDEF_CLASSES
#include "dialects/Tile/IR/TileAttrs.h.inc"

namespace tessera::tile {

/// Whether values of `type` are tiles: builtin tensors of static shape, rank 1
/// or more, whose elements the targets compute with.
bool isTileType(mlir::Type type);

/// Of a math.exp of f32 in a kernel: its argument is not above 0 but for
/// rounding, and what is above counts as 0. For the weights of a softmax.
constexpr llvm::StringLiteral nonPositiveAttrName = "tile.non_positive";

/// Whether `type` is memory of kernels: as for tiles, but a memref, and without
/// i1, which is stored as i8.
bool isMemoryType(mlir::Type type);

} // namespace tessera::tile

#define GET_OP_CLASSES
#include "dialects/Tile/IR/KernelOps.h.inc"
#define GET_OP_CLASSES
#include "dialects/Tile/IR/ComputeOps.h.inc"
#define GET_OP_CLASSES
#include "dialects/Tile/IR/UpdateOps.h.inc"

#endif // TESSERA_DIALECTS_TILE_IR_TILE_H
