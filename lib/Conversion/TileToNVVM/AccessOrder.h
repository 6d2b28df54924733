// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// In which order a block best visits the elements of a tile.
#ifndef TESSERA_LIB_CONVERSION_TILETONVVM_ACCESSORDER_H
#define TESSERA_LIB_CONVERSION_TILETONVVM_ACCESSORDER_H

#include "mlir/IR/Value.h"

namespace tessera {

/// The widest access of a thread.
constexpr int64_t maxAccessBytes = 16;

/// Bytes of an element in memory.
int64_t elementBytes(mlir::Type type);

/// The dimension of `tile` along which its elements are contiguous in the
/// memory that it is loaded from; the last one where that is unknown.
int64_t contiguousDim(mlir::Value tile);

/// Whether a tile that is used twice is best kept in shared memory: computing
/// an element reads memory or evaluates a function, and the tile is not large.
bool isWorthKeeping(mlir::Value tile);

/// Of the elements of a tile at `offsets` in the dimensions of `memory` from
/// `firstDim` on, those at multiples of the result and the neighbours up to the
/// next multiple are aligned as one access, and in bounds together. 0 when that
/// is so for any number.
int64_t accessAlignment(mlir::Value memory, mlir::ValueRange offsets,
                        llvm::ArrayRef<int64_t> tileShape, size_t firstDim = 0);

/// How many neighbours along a dimension of `size` elements a thread takes:
/// one wide access, if all threads still get work and `alignment` allows it.
int64_t neighboursPerThread(int64_t size, int64_t total, int64_t bytes,
                            int64_t threads, int64_t alignment);

} // namespace tessera

#endif // TESSERA_LIB_CONVERSION_TILETONVVM_ACCESSORDER_H
