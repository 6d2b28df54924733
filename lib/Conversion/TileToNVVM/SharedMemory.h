// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Buffers in a block's shared memory: created with a lifetime, placed at the
// end so that buffers that never live together share space.
#ifndef TESSERA_LIB_CONVERSION_TILETONVVM_SHAREDMEMORY_H
#define TESSERA_LIB_CONVERSION_TILETONVVM_SHAREDMEMORY_H

#include "mlir/IR/Builders.h"
#include "mlir/IR/Value.h"
#include <deque>

namespace tessera {

/// A tile in shared memory, row-major, or column-major when it is a swapped
/// matrix; rows (columns) may be padded against bank conflicts.
struct SharedBuffer {
  mlir::Type elementType; ///< As stored: i8 for i1.
  llvm::SmallVector<int64_t> shape;
  bool isSwapped = false; ///< Element (i, j) is stored as (j, i).
  int64_t rowStride = 1;  ///< Elements from one stored row to the next.
  mlir::Value base;       ///< Address in shared memory.
  int64_t bytes = 0;
  /// Steps of the kernel between which the contents matter, inclusive.
  int64_t firstStep = 0, lastStep = 0;
};

class SharedMemory {
public:
  /// Buffers' addresses are computed next to `base`, with offsets that place()
  /// fills in.
  SharedMemory(mlir::OpBuilder &builder, mlir::Value base)
      : builder(builder), base(base) {}

  SharedBuffer *create(mlir::Location loc, llvm::ArrayRef<int64_t> shape,
                       mlir::Type elementType, int64_t rowPadding = 0,
                       bool isSwapped = false);

  /// Each nest of loops over threads is a step.
  void advance() { ++step; }
  void touch(SharedBuffer *buffer);
  /// A step of its own, so that buffers made before the loop's first nest are
  /// told from those that existed before the loop.
  void enterLoop() { loopStarts.push_back(step++); }
  /// Buffers from before the loop that were used inside live to its end: the
  /// next iteration needs them again.
  void leaveLoop();

  /// Decides all offsets; returns the bytes needed.
  int64_t place();

private:
  mlir::OpBuilder &builder;
  mlir::Value base;
  std::deque<SharedBuffer> buffers;
  llvm::SmallVector<int64_t> loopStarts;
  int64_t step = 0;
};

} // namespace tessera

#endif // TESSERA_LIB_CONVERSION_TILETONVVM_SHAREDMEMORY_H
