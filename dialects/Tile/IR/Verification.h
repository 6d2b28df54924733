// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// What the verifiers of the op families share.
#ifndef TESSERA_DIALECTS_TILE_IR_VERIFICATION_H
#define TESSERA_DIALECTS_TILE_IR_VERIFICATION_H

#include "dialects/Tile/IR/Tile.h"

namespace tessera::tile {

/// `[2, 3]`.
std::string shapeToString(llvm::ArrayRef<int64_t> shape);

/// Shape of a tile or of memory.
llvm::ArrayRef<int64_t> shapeOf(mlir::Value value);

/// `value`, called `name`, has exactly `shape`.
mlir::LogicalResult verifyShape(mlir::Operation *op, mlir::Value value,
                                llvm::StringRef name,
                                llvm::ArrayRef<int64_t> shape);

/// `value`, called `name`, has rank `rank`.
mlir::LogicalResult verifyRank(mlir::Operation *op, mlir::Value value,
                               llvm::StringRef name, int64_t rank);

/// `value`, called `name`, has elements of type `type`.
mlir::LogicalResult verifyElementType(mlir::Operation *op, mlir::Value value,
                                      llvm::StringRef name, mlir::Type type);

/// `dim` lies in [0, rank).
mlir::LogicalResult verifyDim(mlir::Operation *op, int64_t dim, int64_t rank);

} // namespace tessera::tile

#endif // TESSERA_DIALECTS_TILE_IR_VERIFICATION_H
