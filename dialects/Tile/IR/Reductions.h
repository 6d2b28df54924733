// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The arithmetic of tile.reduce: on tiles, and on the vectors and scalars that
// targets compute them with.
#ifndef TESSERA_DIALECTS_TILE_IR_REDUCTIONS_H
#define TESSERA_DIALECTS_TILE_IR_REDUCTIONS_H

#include "dialects/Tile/IR/Tile.h"

namespace tessera::tile {

/// `a` and `b`, of one type, combined element by element.
mlir::Value combine(mlir::OpBuilder &builder, mlir::Location loc,
                    ReductionKind kind, mlir::Value a, mlir::Value b);

/// The element that changes nothing when combined with another of `type`.
mlir::TypedAttr neutralElement(ReductionKind kind, mlir::Type type);

} // namespace tessera::tile

#endif // TESSERA_DIALECTS_TILE_IR_REDUCTIONS_H
