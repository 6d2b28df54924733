// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Writes one tile kernel as the program of one CUDA thread.
//
// A tile is either *virtual*: its elements are computed where they are used
// (loads, elementwise ops, broadcasts, iota), or *buffered* in shared memory
// (products, reductions, loop-carried tiles, operands of products), or, while a
// loop only adds to a product, in the threads' *registers*. Each
// consumer that needs all elements at one time (a store, a reduction, a
// product, the filling of a buffer) becomes a nest of loops over its elements,
// dealt to the block's threads so that neighbouring threads take neighbouring
// elements; nests that communicate are separated by barriers.
#ifndef TESSERA_LIB_CONVERSION_TILETONVVM_NVVMKERNELEMITTER_H
#define TESSERA_LIB_CONVERSION_TILETONVVM_NVVMKERNELEMITTER_H

#include "SharedMemory.h"
#include "lib/Conversion/TileKernels/KernelEmitterBase.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include <map>

namespace tessera {

class NVVMKernelEmitter final : public KernelEmitterBase {
public:
  /// Emits into `function`, whose arguments are pointers, one per memref of
  /// `kernel`. `shared` is the address of the block's shared memory.
  NVVMKernelEmitter(tile::KernelOp kernel, mlir::LLVM::LLVMFuncOp function,
                    mlir::OpBuilder &builder, mlir::Value shared, int threads);

  /// After run(): the bytes of shared memory the kernel needs.
  int64_t placeShared() { return shared.place(); }

  /// A block size for `kernel`: enough threads for its largest nest.
  static int chooseThreads(tile::KernelOp kernel);

private:
  // Statements.
  mlir::Value programId(unsigned dim) override;
  mlir::LogicalResult emitFor(mlir::scf::ForOp loop) override;
  void emitYield(mlir::scf::ForOp loop, llvm::ArrayRef<SharedBuffer *> carried);
  void emitStores(llvm::ArrayRef<tile::StoreOp> ops) override;
  mlir::Value extractElement(tile::ExtractOp op) override;
  void emitReduce(tile::ReduceOp op) override;
  void emitScan(tile::ScanOp op) override;
  void emitScatter(tile::ScatterOp op) override;
  void emitArgsort(tile::ArgsortOp op) override;
  class RowSorter;
  void reduceByWarps(tile::ReduceOp op, SharedBuffer *result);
  mlir::Value reduceEvery(tile::ReduceOp op, Indices outer, mlir::Value first,
                          int64_t by);
  void emitDot(tile::DotOp op) override;

  // Nests. A barrier stands between a write of shared memory and the next nest
  // that reads any, and between a read and the next nest that writes.
  void beginNest(bool readsShared, bool writesShared);
  void endNest(bool readsShared, bool writesShared);
  void barrier();
  /// A barrier if there is anything that a later nest might have to wait for.
  void settle();
  /// Whether elements of `tile` come from shared memory.
  bool readsShared(mlir::Value tile) const;
  /// Deals the elements of `shape` to the threads, row-major with dimension
  /// `fastest` (default: the last) moved to the end; a thread takes `width`
  /// neighbours along it.
  void forEachRun(llvm::ArrayRef<int64_t> shape,
                  llvm::function_ref<void(llvm::ArrayRef<Indices>)> body,
                  int64_t fastest = -1, int64_t width = 1);
  /// The same, neighbour after neighbour.
  void forEachElement(llvm::ArrayRef<int64_t> shape,
                      llvm::function_ref<void(Indices)> body,
                      int64_t fastest = -1, int64_t width = 1);
  /// What accessAlignment says of all memory that `tile` is computed from.
  int64_t alignmentOf(mlir::Value tile) const;
  /// for (i = first; i < end; i += by) body(i, carried values).
  llvm::SmallVector<mlir::Value>
  forLoop(mlir::Value first, int64_t end, mlir::Value by,
          mlir::ValueRange inits,
          llvm::function_ref<llvm::SmallVector<mlir::Value>(mlir::Value,
                                                            mlir::ValueRange)>
              body);
  void fill(SharedBuffer *buffer, mlir::Value tile);
  /// The buffer of a tile, made and filled when it has none.
  SharedBuffer *stage(mlir::Value tile);
  /// Whether stage() stores a matrix column by column.
  bool isStoredSwapped(mlir::Value tile) const;
  /// Stages what `tile` is computed from where a nest along dimension `fastest`
  /// would read memory across.
  void stageAgainst(mlir::Value tile, int64_t fastest);

  // Products.
  /// What a thread owns of a product's result.
  struct Rectangle {
    int64_t rows = 1, columns = 1;
    int64_t rowTiles = 1, columnTiles = 1; ///< Rectangles in the result.
    /// Whether own rows and columns are neighbours, or tiles apart.
    bool adjacentRows = false, adjacentColumns = false;
    llvm::SmallVector<mlir::Value> rowIndex, columnIndex;
    /// The lanes of a warp share a rectangle and multiply it together: see
    /// NVVMTensorCores.cpp.
    bool ofWarp = false;
    /// Then: the columns of the right factor, and the first position along the
    /// summed dimension, that the thread brings.
    llvm::SmallVector<mlir::Value> factorColumn;
    mlir::Value factorPosition;

    int64_t owners() const { return rowTiles * columnTiles; }
  };
  /// A loop-carried product: each thread's sums, row by row.
  struct Registers {
    Rectangle rectangle;
    llvm::SmallVector<mlir::Value> values;
    mlir::Value isOwner; ///< Null when every thread owns a rectangle.
  };
  /// The tiles of a loop: a buffer for each that is not a product's sums, by
  /// index, and the arguments whose sums are in `registers`.
  struct CarriedTiles {
    llvm::SmallVector<SharedBuffer *> buffers;
    llvm::SmallVector<mlir::Value> products;
  };
  static int64_t threadsForProduct(int64_t m, int64_t n);
  Rectangle chooseRectangle(tile::DotOp op) const;
  /// The indices of what thread `owner` of rectangle.owners() owns.
  void locate(Rectangle &rectangle, mlir::Value owner);
  llvm::SmallVector<llvm::SmallVector<mlir::Value>>
  readFactor(SharedBuffer *buffer, llvm::ArrayRef<mlir::Value> own,
             bool ownFirst, mlir::Value first, int64_t depth, mlir::Type type);
  llvm::SmallVector<mlir::Value> multiply(tile::DotOp op, SharedBuffer *lhs,
                                          SharedBuffer *rhs,
                                          const Rectangle &rectangle,
                                          mlir::ValueRange acc);
  static bool canUseTensorCores(tile::DotOp op);
  Rectangle chooseWarpRectangle(int64_t m, int64_t n) const;
  void locateInWarp(Rectangle &rectangle, mlir::Value owner);
  llvm::SmallVector<mlir::Value>
  multiplyOnTensorCores(tile::DotOp op, SharedBuffer *lhs, SharedBuffer *rhs,
                        const Rectangle &rectangle, mlir::ValueRange acc);
  /// Elements `at` and the next one along the summed dimension `dim`, in one
  /// register.
  mlir::Value loadPair(SharedBuffer *buffer, mlir::Type type, Indices at,
                       unsigned dim);
  llvm::SmallVector<mlir::Value> elementsOf(mlir::Value tile,
                                            const Rectangle &rectangle);
  void storeRectangle(SharedBuffer *buffer, const Rectangle &rectangle,
                      mlir::ValueRange values);
  tile::DotOp productInRegisters(mlir::scf::ForOp loop, unsigned index);
  CarriedTiles carryTiles(mlir::scf::ForOp loop);
  llvm::SmallVector<mlir::Value> sumsOf(const CarriedTiles &carried) const;
  void setSums(const CarriedTiles &carried, mlir::ValueRange values);
  void carryInRegisters(tile::DotOp op, mlir::Value init, mlir::Value argument);
  SharedBuffer *spill(const Registers &carried, mlir::RankedTensorType type);

  // Elements.
  mlir::Value element(mlir::Value tile, Indices indices);
  mlir::Value computeElement(mlir::Value tile, const Indices &indices);
  mlir::Value loadElement(tile::LoadOp op, const Indices &indices);
  mlir::Value gatherElement(tile::GatherOp op, const Indices &indices);
  mlir::Value broadcastElement(tile::BroadcastOp op, Indices indices);
  mlir::Value reshapeElement(tile::ReshapeOp op, const Indices &indices);
  mlir::Value transposedElement(tile::TransOp op, const Indices &indices);
  mlir::Value elementwiseElement(mlir::Operation *op, const Indices &indices);
  /// Where an element of a tile is in memory.
  struct Place {
    Indices coordinates;
    /// Whether each is in bounds; null where it always is.
    llvm::SmallVector<mlir::Value> fits;
    /// How far behind each the element is. Neighbours that are in bounds
    /// together share a coordinate.
    llvm::SmallVector<int64_t> behind;
  };
  /// offset + index for each dimension of memory from `firstDim` on.
  Place placeOf(mlir::ValueRange offsets, const Indices &indices,
                llvm::ArrayRef<int64_t> tileShape, const Memory &memory,
                size_t firstDim);
  /// Null when all coordinates always fit.
  mlir::Value allFit(const Place &place);
  mlir::Value isBelow(mlir::Value coordinate, int64_t size);
  void storeRun(llvm::ArrayRef<tile::StoreOp> ops, llvm::ArrayRef<Indices> run);
  /// The element, or `otherwise` where there is none.
  mlir::Value guardedLoad(const Memory &memory, Place place,
                          mlir::Value otherwise);
  mlir::Value loadShared(SharedBuffer *buffer, const Indices &indices,
                         mlir::Type elementType);
  void storeShared(SharedBuffer *buffer, const Indices &indices,
                   mlir::Value value);
  /// `count` elements side by side in the buffer of a matrix from `indices` on,
  /// which is a multiple of `count`, by the widest loads that fit.
  llvm::SmallVector<mlir::Value> loadRun(SharedBuffer *buffer, Indices indices,
                                         int64_t count, mlir::Type elementType);
  mlir::Value fromStored(mlir::Value value, mlir::Type elementType);
  mlir::Value sharedAddress(SharedBuffer *buffer, Indices indices);
  /// Makes `value` known as an element until the nest ends.
  void remember(mlir::Value tile, const Indices &indices, mlir::Value value);
  mlir::Value memoryAddress(const Memory &memory, const Place &place);

  // Small arithmetic.
  mlir::Value constantI32(int64_t value);
  Indices delinearize(mlir::Value linear, llvm::ArrayRef<int64_t> shape);
  mlir::Value linearize(const Indices &indices, llvm::ArrayRef<int64_t> shape);
  mlir::Value warpReduce(tile::ReductionKind kind, mlir::Value value);

  int threads;
  SharedMemory shared;
  mlir::Value threadId; ///< As index.
  llvm::DenseMap<mlir::Value, SharedBuffer *> buffers;
  /// Elements already computed at the insertion point of the current nest.
  std::map<std::pair<void *, llvm::SmallVector<void *>>, mlir::Value> memo;
  llvm::DenseMap<mlir::Value, Registers> registers; ///< By loop argument.
  /// An index in a run of neighbours: that of the first, a multiple of `count`,
  /// and how far behind it this one is.
  struct Neighbour {
    mlir::Value first;
    int64_t behind = 0, count = 1;
  };
  llvm::DenseMap<mlir::Value, Neighbour> neighbours; ///< By index.
  /// Reads and writes of shared memory since the last barrier.
  bool readsPending = false, writesPending = false;
};

} // namespace tessera

#endif // TESSERA_LIB_CONVERSION_TILETONVVM_NVVMKERNELEMITTER_H
