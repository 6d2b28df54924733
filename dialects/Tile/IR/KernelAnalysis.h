// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// What every target asks of a kernel's tiles: which are computed where they are
// used, which products may overwrite the tile they accumulate into, and which
// outputs may overwrite inputs.
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

/// The tile of a loop inside that begins as this loop-carried tile and ends as
/// its next value, if nothing else uses either: one buffer may hold both. Null
/// where there is none.
mlir::BlockArgument getCarriedInside(mlir::BlockArgument argument);

/// Whether a product is formed in the memory of this loop-carried tile, in its
/// loop or in one inside.
bool isAccumulator(mlir::BlockArgument argument);

/// `first` and the stores right behind it that write the same box of other
/// memory of the same shape. Targets compute an element of each of them before
/// they store any, so that elementwise work is done once and in place.
llvm::SmallVector<StoreOp> storesTogether(StoreOp first);

/// The tiles whose elements are used only by the kernel's last stores, at their
/// own indices, through elementwise ops: the loop that stores computes each
/// element once.
llvm::DenseSet<mlir::Value> getOnlyStoredTiles(KernelOp kernel);

/// An input and an output of a kernel, both by their number among the kernel's
/// arguments, that may share memory.
struct AliasablePair {
  int64_t input = 0;
  int64_t output = 0;
};

/// Which inputs an output may overwrite: each block reads of the input only the
/// box that it writes of the output, and has computed an element from what it
/// read before it stores that element. True of two arguments of one type; of
/// several inputs that are listed for an output, one may share its memory at a
/// time, and none of the kernel's other inputs may share that memory.
llvm::SmallVector<AliasablePair> getAliasablePairs(KernelOp kernel);

} // namespace tessera::tile

#endif // TESSERA_DIALECTS_TILE_IR_KERNELANALYSIS_H
