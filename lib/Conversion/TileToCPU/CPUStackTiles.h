// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Tiles on the stack of a kernel's function.
#ifndef TESSERA_LIB_CONVERSION_TILETOCPU_CPUSTACKTILES_H
#define TESSERA_LIB_CONVERSION_TILETOCPU_CPUSTACKTILES_H

#include "CPUCode.h"

#include <deque>

namespace tessera::cpu {

/// A tile on the stack, row-major, rows padded to whole vectors.
struct Buffer {
  mlir::Type elementType; ///< As stored: i8 for i1.
  llvm::SmallVector<int64_t> shape, strides;
  mlir::Value base;
};

class StackTiles {
public:
  /// Buffers are made in `entry`, the block of the function that dominates all;
  /// `lanes` is the number of f32 in a vector register.
  StackTiles(Code &code, mlir::Block *entry, int64_t lanes)
      : code(code), entry(entry), lanes(lanes) {}

  Buffer *create(llvm::ArrayRef<int64_t> shape, mlir::Type elementType);
  /// Rows of memory that are there already, as a buffer.
  Buffer *view(mlir::Value base, llvm::ArrayRef<int64_t> shape,
               llvm::ArrayRef<int64_t> strides, mlir::Type elementType);
  mlir::Value load(Buffer *buffer, const Indices &indices, Lanes lanes,
                   mlir::Type elementType);
  void store(Buffer *buffer, const Indices &indices, Lanes lanes,
             mlir::Value value);

  /// Bytes of stack that the buffers take.
  int64_t totalBytes() const { return bytesOfAll; }

private:
  Code &code;
  mlir::Block *entry;
  int64_t lanes;
  std::deque<Buffer> storage;
  int64_t bytesOfAll = 0;
};

} // namespace tessera::cpu

#endif // TESSERA_LIB_CONVERSION_TILETOCPU_CPUSTACKTILES_H
