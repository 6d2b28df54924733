// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// What every target asks of a kernel's tiles: which are computed where they are
// used, and which products may overwrite the tile they accumulate into.
#ifndef TESSERA_DIALECTS_TILE_IR_KERNELANALYSIS_H
#define TESSERA_DIALECTS_TILE_IR_KERNELANALYSIS_H

#include "dialects/Tile/IR/Tile.h"

namespace tessera::tile {

/// Whether `value` is a tile (and not a scalar or an index).
bool isTile(mlir::Value value);

/// Ops whose elements can be computed one by one where they are used: loads,
/// elementwise ops, broadcasts and other movement, constants.
bool isVirtualTileOp(mlir::Operation *op);

/// The loop-carried tile that a product's accumulator comes from through
/// elementwise ops alone, each used once: element (m, n) of the result depends
/// on element (m, n) of that tile and on nothing else of it. Null when there is
/// none.
mlir::BlockArgument getAccumulatorSource(DotOp op);

/// Whether the product may be formed in the memory of the tile it accumulates
/// into: its result is the next value of that loop-carried tile and has no
/// other use.
bool accumulatesInPlace(DotOp op);

} // namespace tessera::tile

#endif // TESSERA_DIALECTS_TILE_IR_KERNELANALYSIS_H
