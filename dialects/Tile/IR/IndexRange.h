// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Bounds and divisors of index values inside kernels, so that targets check
// only those accesses that can leave a tensor, and know which are aligned.
#ifndef TESSERA_DIALECTS_TILE_IR_INDEXRANGE_H
#define TESSERA_DIALECTS_TILE_IR_INDEXRANGE_H

#include "mlir/IR/Value.h"
#include <cstdint>
#include <optional>

namespace tessera::tile {

/// An inclusive range.
struct IndexRange {
  int64_t min = 0;
  int64_t max = 0;
};

/// The range of an index value built from constants, program ids, loop
/// variables with such bounds and a constant step, and integer arithmetic on
/// them; nullopt when nothing is known.
std::optional<IndexRange> getIndexRange(mlir::Value index);

/// A number that divides `index` whatever its value; 0 when that is always 0.
int64_t getIndexDivisor(mlir::Value index);

/// Whether elements [offset, offset + size) are in [0, extent) for every value
/// that `offset` can take.
bool isProvenInBounds(mlir::Value offset, int64_t size, int64_t extent);

/// Whether of elements [offset + i count, offset + (i + 1) count), for any i,
/// either all are in [0, extent) or none.
bool areInBoundsTogether(mlir::Value offset, int64_t count, int64_t extent);

} // namespace tessera::tile

#endif // TESSERA_DIALECTS_TILE_IR_INDEXRANGE_H
