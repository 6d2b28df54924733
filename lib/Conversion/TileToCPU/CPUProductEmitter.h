// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Writes one matrix product: its factors packed, then multiplied panel by
// panel.
#ifndef TESSERA_LIB_CONVERSION_TILETOCPU_CPUPRODUCTEMITTER_H
#define TESSERA_LIB_CONVERSION_TILETOCPU_CPUPRODUCTEMITTER_H

#include "CPUKernelEmitter.h"

namespace tessera {

/// Of the emitter it uses the elements of tiles, the loops, and which tiles are
/// in buffers.
class CPUKernelEmitter::ProductEmitter {
public:
  explicit ProductEmitter(CPUKernelEmitter &emitter)
      : emitter(emitter), builder(emitter.builder), loc(emitter.loc),
        lanes(emitter.lanes), code(emitter.code), tiles(emitter.tiles) {}

  void emit(tile::DotOp op);

  /// For a product's result: its rows hold whole panels.
  Buffer *createPanelBuffer(mlir::RankedTensorType type);
  /// For a tile that products read column by column: their lines are in
  /// different sets of a cache.
  Buffer *createColumnBuffer(mlir::RankedTensorType type);
  /// Packs the right factor, which no turn of a loop around the product
  /// changes, before that loop.
  void packBefore(tile::DotOp op);

private:
  /// Turns of the loop over the depth that are written out. What a turn has
  /// beside its multiplications costs where another thread shares the core's
  /// front end: there four are 9% faster than one, and eight not faster still.
  static constexpr int64_t unrolledDepth = 4;

  /// The left factor. Rows from m on that are multiplied together begin at
  /// base + m * blockStride; of them element (i, k) is i * rowStride +
  /// k * depthStride further.
  struct LeftFactor {
    mlir::Value base;
    int64_t blockStride = 0, rowStride = 0, depthStride = 1;
    /// Rows that are packed at one time, into the same place; 0: all are there.
    int64_t group = 0;

    static LeftFactor byRows(mlir::Value base, int64_t stride) {
      return {base, stride, stride, 1};
    }
    bool isByRows() const { return depthStride == 1; }
    /// Of rows that are multiplied `rows` together: packed, they leave no gap.
    int64_t depthStrideOf(int64_t rows) const {
      return group == 0 ? depthStride : rows;
    }
  };
  /// A factor that is packed, in the next turn of the loop around the product
  /// or in the next program's first: which parts of it each register block
  /// fetches.
  struct FactorAhead {
    mlir::Value tile;
    int contiguousDim;
    int64_t elementsPerLine, linesPerRow, linesPerBlock;
  };
  /// Of rows, panels or the depth: what a triangle leaves.
  struct Range {
    mlir::Value begin, end;
  };
  /// Rows of the result that are multiplied `rows` together.
  struct RowPart {
    mlir::Value first, end;
    int64_t rows;
  };
  /// What the parts of one product have in common.
  struct Product {
    tile::DotOp op;
    LeftFactor left;
    mlir::Value packedRight;
    int64_t panel; ///< Columns of a panel, whole vectors.
    int64_t panels;
    /// Of a panel, that are computed: all, or in the last panel those that
    /// something is stored of.
    int64_t vectors;
    Buffer *result;   ///< Null: its elements are stored from `complete`.
    bool accumulates; ///< Onto something else than zeros.
    int64_t rows;     ///< Of a register block.
    /// The result is rows of memory, to which this product is added.
    bool isInMemory = false;
    /// In the loop around the product whose last turn completes the result;
    /// null: there is none.
    mlir::Value isLastTurn = {};
    /// What stores the rows of the result when they are complete.
    llvm::SmallVector<tile::StoreOp> stores = {};
    llvm::SmallVector<FactorAhead> ahead = {};
    /// By panels, where all of the depth is summed at one time and little more
    /// is done than to store the sums: a register block, which they are stored
    /// from at once. The stores are then spread over the product, which leaves
    /// memory idle. What reads other tiles, or computes much, does that faster
    /// along whole rows. Null: sums are kept in `result`.
    Buffer *complete = nullptr;
    /// Of the left factor's rows that are packed.
    mlir::Value firstPacked = {};
    /// Rows outside: those of a register block stay in the first level cache
    /// for all panels, which stream from the second level one. Panels outside:
    /// a panel stays in the first level cache for all packed rows, and there
    /// may be many panels.
    bool isByPanels = false;

    mlir::Type elementType() const {
      tile::DotOp product = op;
      return mlir::getElementTypeOrSelf(product.getType());
    }
  };

  // CPUProducts.cpp
  static bool isZeroTile(mlir::Value tile);
  Buffer *prepareResult(tile::DotOp op, bool accumulates);
  void findLastTurn(Product &product);
  void findStores(Product &product);
  int64_t vectorsOfLastPanel(const Product &product);
  /// Stores the first `columns` of `count` rows from `row` on.
  void storeRows(const Product &product, mlir::Value row, int64_t count,
                 int64_t columns);
  bool hasPanelRows(Buffer *buffer) const;
  void multiply(Product &product, int64_t m);
  void multiplyRows(Product &product, llvm::ArrayRef<RowPart> parts);
  void forPanels(const Product &product, mlir::Value row, int64_t rows,
                 llvm::function_ref<void(mlir::Value)> body);

  // CPURegisterBlocks.cpp
  void multiplyPanel(const Product &product, mlir::Value firstRow, int64_t rows,
                     mlir::Value panelIndex);
  void storeSums(const Product &product, mlir::Value firstRow, int64_t rows,
                 mlir::Value firstColumn, mlir::ValueRange sums);
  void fetchNextPanel(const Product &product, mlir::Value firstRow,
                      int64_t rows, mlir::Value rightBase, mlir::Value k);
  void fetchResult(const Product &product, mlir::Value firstRow, int64_t rows,
                   mlir::Value firstColumn, mlir::Value k);
  void fetchResultRow(const Product &product, mlir::Value row,
                      mlir::Value firstColumn);
  void prefetchNextRows(const Product &product, mlir::Value leftBase,
                        int64_t rows, mlir::Value panelIndex, mlir::Value k);
  mlir::Value multiplyAdd(mlir::Value a, mlir::Value b, mlir::Value acc);
  /// Of floats or integers.
  mlir::Value add(mlir::Value a, mlir::Value b);

  // CPURowSums.cpp
  Buffer *takeRowsOfMemory(tile::DotOp op, int64_t panel);

  // CPUTriangles.cpp
  mlir::Value clamped(mlir::Value value, int64_t offset, mlir::Value low,
                      mlir::Value high);
  Range panelsOf(const Product &product, mlir::Value firstRow, int64_t rows);
  Range depthOf(const Product &product, mlir::Value firstRow, int64_t rows,
                int64_t whole);

  // CPURowProducts.cpp
  bool isRowTimesRows(tile::DotOp op) const;
  void multiplyRow(tile::DotOp op);
  void multiplyColumns(tile::DotOp op, Buffer *result, bool accumulates,
                       mlir::Value firstColumn, int64_t count);

  // CPUFetchAhead.cpp
  void findFactorsAhead(Product &product, bool isLeftPacked,
                        bool isRightPacked);
  std::optional<FactorAhead> factorAhead(mlir::Value tile, int64_t blocks);
  void setScalarsAhead(const Product &product);
  void fetchLine(const Product &product, const FactorAhead &factor,
                 mlir::Value firstRow, mlir::Value panelIndex,
                 mlir::Value number);
  void fetchBefore(const Product &product, mlir::Value firstRow,
                   mlir::Value panelIndex);
  void fetchAhead(const Product &product, mlir::Value firstRow,
                  mlir::Value panelIndex, mlir::Value depth);

  // CPUPacking.cpp
  LeftFactor prepareLeft(mlir::Value tile, mlir::Type type, int64_t rows,
                         bool isByPanels);
  void packRows(const Product &product, const RowPart &part);
  void packAcross(const Product &product, const RowPart &part);
  void turnSquare(llvm::SmallVectorImpl<mlir::Value> &rows);
  mlir::Value loadWhole(mlir::Value tile, Indices indices, Lanes part,
                        mlir::Type type);
  int64_t spreadRows(int64_t columns);
  mlir::Value packedRow(const Product &product, mlir::Value row);
  std::optional<LeftFactor> leftByColumns(mlir::Value tile, mlir::Type type);
  std::optional<LeftFactor> leftInMemory(mlir::Value tile, mlir::Type type);
  mlir::Value rightInMemory(mlir::Value tile, mlir::Type type);
  mlir::Value packRight(mlir::Value tile, mlir::Type type, int64_t panel);
  void packVector(Buffer *packed, mlir::Value tile,
                  mlir::ValueRange panelAndRow, mlir::Value firstColumn,
                  int64_t inPanel, int64_t count);
  void packTransposed(mlir::Value tile, Buffer *packed, int64_t depth,
                      int64_t columns, int64_t panel);
  mlir::Value widen(mlir::Value value, mlir::Type type, Lanes lanes);

  CPUKernelEmitter &emitter;
  mlir::OpBuilder &builder;
  mlir::Location &loc;
  int64_t lanes;
  cpu::Code &code;
  cpu::StackTiles &tiles;
  /// The kernel's scalars as they will be when the factors ahead are packed.
  mlir::IRMapping scalarsAhead;
};

} // namespace tessera

#endif // TESSERA_LIB_CONVERSION_TILETOCPU_CPUPRODUCTEMITTER_H
