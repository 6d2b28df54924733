// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Writes one tile kernel as loops over vectors.
//
// A tile is either *virtual*: its elements are computed where they are used, or
// *buffered* on the stack (products, reductions, loop-carried tiles, and values
// that are costly and used more than once). Each consumer that needs all
// elements (a store, a reduction, the packing of a factor, the filling of a
// buffer) is a nest of loops whose innermost one advances by a vector.
#ifndef TESSERA_LIB_CONVERSION_TILETOCPU_CPUKERNELEMITTER_H
#define TESSERA_LIB_CONVERSION_TILETOCPU_CPUKERNELEMITTER_H

#include "lib/Conversion/TileKernels/KernelEmitterBase.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include <deque>
#include <map>

namespace tessera {

class CPUKernelEmitter final : public KernelEmitterBase {
public:
  /// Emits at `builder`'s insertion point. `pointers` are the addresses of the
  /// kernel's memrefs, `block` the linear index of the block, `entry` the block
  /// of the function that dominates all, where stack buffers are made.
  CPUKernelEmitter(tile::KernelOp kernel, mlir::OpBuilder &builder,
                   mlir::ValueRange pointers, mlir::Value block,
                   mlir::Block *entry, int64_t lanes);

  /// Bytes of stack that the buffers take.
  int64_t stackBytes() const { return totalBytes; }

private:
  /// A tile on the stack, row-major, rows padded to whole vectors.
  struct Buffer {
    mlir::Type elementType; ///< As stored: i8 for i1.
    llvm::SmallVector<int64_t> shape, strides;
    mlir::Value base;
  };
  /// Along which dimension of a tile the lanes of a vector lie (-1: one
  /// element), and how many there are.
  struct Lanes {
    int dim = -1;
    int64_t count = 1;
  };

  // CPUKernelEmitter.cpp: statements.
  mlir::Value programId(unsigned dim) override;
  mlir::LogicalResult emitFor(mlir::scf::ForOp loop) override;
  void emitStore(tile::StoreOp op) override;
  void emitReduce(tile::ReduceOp op) override;
  void emitVirtual(mlir::Operation *op) override;
  bool isWorthBuffering(mlir::Operation *op);
  double costOf(mlir::Value tile);
  Buffer *createBuffer(llvm::ArrayRef<int64_t> shape, mlir::Type elementType);
  /// For a product's result: its rows hold whole panels.
  Buffer *createPanelBuffer(mlir::RankedTensorType type);
  void fill(Buffer *buffer, mlir::Value tile);
  void copy(Buffer *to, Buffer *from);
  /// Visits `shape` in row-major order, vectors along its last long dimension.
  void forEachVector(llvm::ArrayRef<int64_t> shape,
                     llvm::function_ref<void(Indices, Lanes)> body);
  /// for (i = 0; i < end; i += step) body(i).
  void forLoop(int64_t end, int64_t step,
               llvm::function_ref<void(mlir::Value)> body);
  llvm::SmallVector<mlir::Value>
  forLoop(int64_t first, int64_t end, int64_t step, mlir::ValueRange inits,
          llvm::function_ref<llvm::SmallVector<mlir::Value>(mlir::Value,
                                                            mlir::ValueRange)>
              body);

  // CPUProducts.cpp
  /// Where the left factor's element (m, k) lies: base + m * rowStride + k.
  struct LeftFactor {
    mlir::Value base;
    int64_t rowStride = 0;
  };
  void emitDot(tile::DotOp op) override;
  bool hasPanelRows(Buffer *buffer) const;
  LeftFactor prepareLeft(mlir::Value tile, mlir::Type type);
  std::optional<LeftFactor> leftInMemory(mlir::Value tile, mlir::Type type);
  mlir::Value packRight(mlir::Value tile, mlir::Type type, int64_t panel);
  void packTransposed(mlir::Value source, mlir::Value packed, int64_t depth,
                      int64_t columns, int64_t panel, mlir::Type type);
  void multiplyPanel(tile::DotOp op, const LeftFactor &left, mlir::Value packed,
                     Buffer *result, mlir::Value firstRow, int64_t rows,
                     mlir::Value panelIndex, int64_t panel, bool accumulates);

  // CPUElements.cpp
  mlir::Value element(mlir::Value tile, Indices indices, Lanes lanes);
  mlir::Value computeElement(mlir::Value tile, const Indices &indices,
                             Lanes lanes);
  mlir::Value elementByElement(mlir::Value tile, Indices indices, Lanes lanes);
  mlir::Value loadElement(tile::LoadOp op, const Indices &indices, Lanes lanes);
  mlir::Value gatherElement(tile::GatherOp op, const Indices &indices,
                            Lanes lanes);
  mlir::Value loadMemory(const Memory &memory, const Indices &coordinates,
                         Lanes lanes, mlir::Value condition, mlir::Value mask,
                         mlir::TypedAttr pad);
  mlir::Value loadBuffer(Buffer *buffer, const Indices &indices, Lanes lanes,
                         mlir::Type elementType);
  void storeBuffer(Buffer *buffer, const Indices &indices, Lanes lanes,
                   mlir::Value value);
  /// offset + index per dimension; whether that is in bounds for the dimensions
  /// without lanes (a scalar) and for the one with lanes (a vector), null where
  /// it always is.
  void coordinatesOf(mlir::ValueRange offsets, const Indices &indices,
                     llvm::ArrayRef<int64_t> tileShape, const Memory &memory,
                     Lanes lanes, size_t firstDim, Indices &coordinates,
                     mlir::Value &condition, mlir::Value &mask);
  mlir::Value address(mlir::Value base, mlir::Type elementType,
                      llvm::ArrayRef<int64_t> strides, int64_t offset,
                      const Indices &indices);
  mlir::Value loadAt(mlir::Value address, mlir::Type elementType,
                     int64_t count);
  void storeAt(mlir::Value value, mlir::Value address);

  // Small arithmetic.
  mlir::Value add(mlir::Value a, int64_t b);
  mlir::Value add(mlir::Value a, mlir::Value b);
  mlir::Value spread(mlir::Value value, Lanes lanes);
  mlir::Value laneIndices(mlir::Value first, int64_t count);
  mlir::Value acrossLanes(tile::ReductionKind kind, mlir::Value vector);

  mlir::Value block;
  int64_t lanes; ///< Of a full vector.
  std::deque<Buffer> storage;
  llvm::DenseMap<mlir::Value, Buffer *> buffers;
  using Key = std::tuple<void *, int, int64_t, llvm::SmallVector<void *>>;
  std::map<Key, mlir::Value> memo;
  int64_t totalBytes = 0;
};

} // namespace tessera

#endif // TESSERA_LIB_CONVERSION_TILETOCPU_CPUKERNELEMITTER_H
