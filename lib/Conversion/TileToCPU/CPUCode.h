// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The smallest pieces of a kernel's code on a CPU: arithmetic on indices and
// vectors, and loads and stores at addresses.
#ifndef TESSERA_LIB_CONVERSION_TILETOCPU_CPUCODE_H
#define TESSERA_LIB_CONVERSION_TILETOCPU_CPUCODE_H

#include "dialects/Tile/IR/Tile.h"
#include "lib/Conversion/TileKernels/KernelConstants.h"

namespace tessera::cpu {

using Indices = llvm::SmallVector<mlir::Value, 4>;

/// The dimension of a tile that the lanes of a vector run along (-1: one
/// element), and their number.
struct Lanes {
  int dim = -1;
  int64_t count = 1;
};

/// The dimensions of `shape` that are not of size one.
llvm::SmallVector<int> longDims(llvm::ArrayRef<int64_t> shape);

/// Writes at the insertion point of `builder`; holds no state of its own.
class Code {
public:
  Code(mlir::OpBuilder &builder, const mlir::Location &loc,
       KernelConstants &constants)
      : builder(builder), loc(loc), constants(constants) {}

  mlir::Value add(mlir::Value a, int64_t b);
  mlir::Value add(mlir::Value a, mlir::Value b);
  mlir::Value multiply(mlir::Value a, int64_t b);
  mlir::Value isBelow(mlir::Value a, mlir::Value b);
  mlir::Value lane(mlir::Value vector, int64_t index);
  /// The type of a value with these lanes.
  mlir::Type typeOf(mlir::Type elementType, Lanes lanes);
  mlir::Value spread(mlir::Value value, Lanes lanes);
  mlir::Value fromElements(llvm::ArrayRef<mlir::Value> elements);
  mlir::Value laneIndices(mlir::Value first, int64_t count);
  mlir::Value acrossLanes(tile::ReductionKind kind, mlir::Value vector);
  /// Vector i of lanes j, for vectors j of lanes i.
  llvm::SmallVector<mlir::Value>
  transposed(llvm::ArrayRef<mlir::Value> vectors);

  static unsigned bytesOf(mlir::Type elementType);
  mlir::Value address(mlir::Value base, mlir::Type elementType,
                      llvm::ArrayRef<int64_t> strides, int64_t offset,
                      const Indices &indices);
  mlir::Value loadAt(mlir::Value address, mlir::Type elementType,
                     int64_t count);
  void storeAt(mlir::Value value, mlir::Value address);
  /// Into the cache of this level. The address may be one of nothing.
  void prefetch(mlir::Value address, int level = 1);

  mlir::OpBuilder &builder;
  const mlir::Location &loc;
  KernelConstants &constants;
};

} // namespace tessera::cpu

#endif // TESSERA_LIB_CONVERSION_TILETOCPU_CPUCODE_H
