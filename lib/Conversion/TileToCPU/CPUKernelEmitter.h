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

#include "CPUStackTiles.h"
#include "lib/Conversion/TileKernels/KernelEmitterBase.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include <map>

namespace tessera {

class CPUKernelEmitter final : public KernelEmitterBase {
public:
  /// Emits at `builder`'s insertion point. `pointers` are the addresses of the
  /// kernel's memrefs, `block` the linear index of the block, `entry` the block
  /// of the function that dominates all, where stack buffers are made, `lanes`
  /// the number of f32 in a vector register.
  CPUKernelEmitter(tile::KernelOp kernel, mlir::OpBuilder &builder,
                   mlir::ValueRange pointers, mlir::Value block,
                   mlir::Block *entry, int64_t lanes);

  /// Bytes of stack that the buffers take.
  int64_t stackBytes() const { return tiles.totalBytes(); }

private:
  using Lanes = cpu::Lanes;
  using Buffer = cpu::Buffer;
  /// An element of a memref, or several along the lanes, and which of them
  /// exist: tiles may reach past the ends of what they are cut from.
  struct Place {
    Indices coordinates;
    mlir::Value condition; ///< Whether any exist; null: yes.
    mlir::Value mask;      ///< Which lanes exist if any do; null: all.
  };
  /// While one lives, elements that were computed before it are not reused;
  /// nor are those computed meanwhile, afterwards. Marks a region (values in a
  /// loop do not dominate what follows it) and writes to what elements read.
  class FreshElements {
  public:
    explicit FreshElements(CPUKernelEmitter &emitter) : emitter(emitter) {
      emitter.known.clear();
    }
    ~FreshElements() { emitter.known.clear(); }
    FreshElements(const FreshElements &) = delete;

  private:
    CPUKernelEmitter &emitter;
  };

  // CPUKernelEmitter.cpp: statements.
  mlir::Value programId(unsigned dim) override;
  mlir::LogicalResult emitFor(mlir::scf::ForOp loop) override;
  void copyFactorsBefore(mlir::scf::ForOp loop);
  static bool isComputedFactor(mlir::Value tile);
  /// Whether the elements of `op`, a virtual one, are kept after all.
  bool isBuffered(mlir::Operation *op) const;

  // CPUOverwrites.cpp
  mlir::Operation *findOverwriting(tile::DotOp op) const;

  void emitVirtual(mlir::Operation *op) override;
  mlir::Value extractElement(tile::ExtractOp op) override;

  // CPUReductions.cpp
  void emitReduce(tile::ReduceOp op) override;
  mlir::Value reduceTwo(tile::ReduceOp op, mlir::Value a, mlir::Value b);
  void reduceAcrossRows(tile::ReduceOp op, Buffer *result, bool accumulates);
  void reduceFewColumns(tile::ReduceOp op, Buffer *result, bool accumulates);
  void reduceRowGroup(tile::ReduceOp op, Buffer *result, const Indices &indices,
                      mlir::Value firstRow, int64_t rows);
  mlir::Value reduceRow(tile::ReduceOp op, const Indices &indices);

  // CPUScans.cpp
  void emitScan(tile::ScanOp op) override;
  void scanRow(tile::ScanOp op, Buffer *result, Buffer *next, Indices indices);
  mlir::Value scanLanes(tile::ScanOp op, mlir::Value vector, int64_t count);
  void scanAcrossRows(tile::ScanOp op, Buffer *result, Buffer *next,
                      const Indices &indices, Lanes lanes);
  // CPUUpdates.cpp
  void emitScatter(tile::ScatterOp op) override;
  void emitArgsort(tile::ArgsortOp op) override;
  class RowSorter;

  // CPULoops.cpp
  /// Visits `shape` in row-major order, vectors along its last long dimension,
  /// some of them in a turn of its loop.
  void forEachVector(llvm::ArrayRef<int64_t> shape,
                     llvm::function_ref<void(Indices, Lanes)> body,
                     int64_t vectors = 1);
  /// The same, element by element.
  void forEachElement(llvm::ArrayRef<int64_t> shape,
                      llvm::function_ref<void(Indices)> body);
  /// for (i = 0; i < end; i += step) body(i).
  void forLoop(int64_t end, int64_t step,
               llvm::function_ref<void(mlir::Value)> body);
  /// The same with values carried from one turn to the next.
  llvm::SmallVector<mlir::Value>
  forLoop(int64_t end, int64_t step, mlir::ValueRange inits,
          llvm::function_ref<llvm::SmallVector<mlir::Value>(mlir::Value,
                                                            mlir::ValueRange)>
              body);

  // CPUTransposes.cpp
  class TurnFinder;
  /// A tile whose neighbours along the lanes lie apart in memory, and those
  /// along `rowDim` do not; then, of one square, the vectors along the lanes.
  struct Turned {
    mlir::Value tile;
    llvm::SmallVector<int> dims; ///< Of the tile that is visited; -1: none.
    int rowDim = -1, laneDim = -1;
    Indices indices; ///< Of the square's first element.
    llvm::SmallVector<mlir::Value> rows, vectors; ///< Index along rowDim.
  };
  /// As forEachVector, where `body` computes elements of `values`, all of this
  /// shape. What of them lies across the lanes is turned, square by square.
  void forEachVectorOf(llvm::ArrayRef<int64_t> shape, mlir::ValueRange values,
                       llvm::function_ref<void(Indices, Lanes)> body,
                       int64_t vectors = 1);
  void visitSquare(llvm::ArrayRef<Turned> tiles, Indices indices, int rowDim,
                   int64_t rows, Lanes lanes, bool isLong,
                   llvm::function_ref<void(Indices, Lanes)> body);
  void loopOverRows(llvm::ArrayRef<Turned> square, Indices indices, int rowDim,
                    int64_t rows, Lanes lanes,
                    llvm::function_ref<void(Indices, Lanes)> body);
  /// The elements if they are in the square that is being visited; else null.
  mlir::Value turnedElement(mlir::Value tile, const Indices &indices,
                            Lanes lanes);

  void fill(Buffer *buffer, mlir::Value tile);
  void copy(Buffer *to, Buffer *from);

  // CPUProducts.cpp and the other files of ProductEmitter
  void emitDot(tile::DotOp op) override;
  class ProductEmitter;

  // CPUElements.cpp
  mlir::Value element(mlir::Value tile, Indices indices, Lanes lanes);
  mlir::Value computeElement(mlir::Value tile, const Indices &indices,
                             Lanes lanes);
  /// Whether neighbours along `dim` are neighbours in all memory that `tile`
  /// is computed from where it is used, or one and the same.
  bool isContiguous(mlir::Value tile, int dim);
  /// Fetches into a cache (1: the first level) what `tile` reads of memory for
  /// one element, which need not exist.
  void prefetchElement(mlir::Value tile, const Indices &indices, int level = 1);
  std::optional<Indices> indicesBefore(tile::ReshapeOp op,
                                       const Indices &indices, Lanes &lanes);
  mlir::Value elementByElement(mlir::Value tile, const Indices &indices,
                               Lanes lanes);
  mlir::Value elementOf(tile::BroadcastOp op, Indices indices, Lanes lanes);
  mlir::Value elementOf(tile::ReshapeOp op, const Indices &indices,
                        Lanes lanes);
  mlir::Value elementOf(tile::TransOp op, const Indices &indices, Lanes lanes);
  mlir::Value elementOf(tile::IotaOp op, const Indices &indices, Lanes lanes);
  mlir::Value elementwise(mlir::Operation *op, const Indices &indices,
                          Lanes lanes);

  // CPUMemory.cpp
  mlir::Value elementOf(tile::LoadOp op, const Indices &indices, Lanes lanes);
  mlir::Value elementOf(tile::GatherOp op, const Indices &indices, Lanes lanes);
  /// Adds the coordinates offset + index of the dimensions from
  /// `place.coordinates.size()` on, and whether they are in bounds.
  void addCoordinates(Place &place, mlir::ValueRange offsets,
                      const Indices &indices, llvm::ArrayRef<int64_t> tileShape,
                      const Memory &memory, Lanes lanes);
  mlir::Value loadMemory(const Memory &memory, const Place &place, Lanes lanes,
                         mlir::TypedAttr pad);
  mlir::Value loadLanes(const Memory &memory, const Place &place, Lanes lanes,
                        mlir::TypedAttr pad);
  void emitStores(llvm::ArrayRef<tile::StoreOp> ops) override;
  void storeLanes(const Memory &memory, const Place &place, Lanes lanes,
                  mlir::Value value);
  mlir::Value address(const Memory &memory, const Indices &coordinates);
  /// One vector of each store; all are computed before any is stored.
  void storeVector(llvm::ArrayRef<tile::StoreOp> ops, const Indices &indices,
                   Lanes lanes);

  // CPURowStores.cpp
  /// The kernel's last stores, if they store row by row what becomes of the
  /// rows of `result`, a product; none otherwise. The caller then calls
  /// `storeRows` for all rows, from the insertion point on.
  llvm::SmallVector<tile::StoreOp> takeRowStores(mlir::Value result);
  /// What `ops` store of `count` rows of a product from `firstRow` on, in
  /// `columns` columns from `firstColumn` on.
  void storeRows(llvm::ArrayRef<tile::StoreOp> ops, mlir::Value firstRow,
                 int64_t count, mlir::Value firstColumn, int64_t columns);
  /// Whether `ops` do little else than store `result`.
  static bool storeNearly(llvm::ArrayRef<tile::StoreOp> ops,
                          mlir::Value result);
  /// Fetches into the first level cache where `ops` store an element of a
  /// product, which need not exist.
  void prefetchStored(llvm::ArrayRef<tile::StoreOp> ops, mlir::Value row,
                      mlir::Value column);
  /// Of an element of a product in the tiles that `ops` store.
  Indices storedIndices(tile::StoreOp op, mlir::Value row, mlir::Value column);

  mlir::Value block;
  int64_t lanes; ///< Of a full vector.
  cpu::Code code;
  cpu::StackTiles tiles;
  llvm::DenseSet<mlir::Value> kept; ///< Virtual tiles worth a buffer.
  llvm::DenseMap<mlir::Value, Buffer *> buffers;
  /// Of tiles that take a product's, before they are computed.
  llvm::DenseMap<mlir::Value, Buffer *> overwritten;
  /// A right factor that was packed before a loop, whatever is multiplied.
  struct PackedFactor {
    mlir::Value base;
    int64_t vectors = 0; ///< Of a panel's row.
  };
  using TypedFactor = std::pair<mlir::Value, mlir::Type>;
  llvm::DenseMap<TypedFactor, PackedFactor> packedFactors;
  llvm::SmallVector<Turned> turned; ///< Of the square that is being visited.
  /// Tile, dimension and number of the lanes, indices.
  using ElementKey =
      std::tuple<void *, int, int64_t, llvm::SmallVector<void *>>;
  std::map<ElementKey, mlir::Value> known;
};

} // namespace tessera

#endif // TESSERA_LIB_CONVERSION_TILETOCPU_CPUKERNELEMITTER_H
