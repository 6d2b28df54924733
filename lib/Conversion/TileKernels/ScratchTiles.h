// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Which tiles of a kernel are kept in a core's own memory, and how much they
// take.
#ifndef TESSERA_LIB_CONVERSION_TILEKERNELS_SCRATCHTILES_H
#define TESSERA_LIB_CONVERSION_TILEKERNELS_SCRATCHTILES_H

#include "dialects/Tile/IR/Tile.h"

namespace tessera {

/// The tiles that could be computed where they are used and are worth a buffer
/// instead: they cost more than a division, and are used more than once or
/// repeated by a broadcast. Not those that only the kernel's last stores use.
llvm::DenseSet<mlir::Value> getKeptTiles(tile::KernelOp kernel);

/// Bytes of all buffers of a kernel but those that products pack factors into:
/// kept tiles, results of reductions, scans and products, and tiles that loops
/// carry. Targets may need less.
int64_t estimateScratchBytes(tile::KernelOp kernel);

} // namespace tessera

#endif // TESSERA_LIB_CONVERSION_TILEKERNELS_SCRATCHTILES_H
