// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Bounds of index values inside kernels, so that targets check only those
// accesses that can leave a tensor.
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
/// variables with constant bounds, and integer arithmetic on them; nullopt when
/// nothing is known.
std::optional<IndexRange> getIndexRange(mlir::Value index);

/// Whether elements [offset, offset + size) lie in [0, extent) for every value
/// that `offset` can take.
bool isProvenInBounds(mlir::Value offset, int64_t size, int64_t extent);

} // namespace tessera::tile

#endif // TESSERA_DIALECTS_TILE_IR_INDEXRANGE_H
