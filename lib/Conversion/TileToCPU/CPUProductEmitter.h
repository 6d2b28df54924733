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

private:
  /// The left factor, whose element (m, k) is at base + m * rowStride + k.
  struct LeftFactor {
    mlir::Value base;
    int64_t rowStride = 0;
  };
  /// What the parts of one product have in common.
  struct Product {
    tile::DotOp op;
    LeftFactor left;
    mlir::Value packedRight;
    int64_t panel; ///< Columns of a panel, whole vectors.
    int64_t panels;
    Buffer *result;
    bool accumulates; ///< Onto something else than zeros.
  };

  // CPUProducts.cpp
  bool hasPanelRows(Buffer *buffer) const;
  void multiplyPanel(const Product &product, mlir::Value firstRow, int64_t rows,
                     mlir::Value panelIndex);
  void prefetchNextRows(const Product &product, mlir::Value leftBase,
                        int64_t rows, mlir::Value panelIndex, mlir::Value k);
  mlir::Value multiplyAdd(mlir::Value a, mlir::Value b, mlir::Value acc);

  // CPUPacking.cpp
  LeftFactor prepareLeft(mlir::Value tile, mlir::Type type);
  std::optional<LeftFactor> leftInMemory(mlir::Value tile, mlir::Type type);
  mlir::Value packRight(mlir::Value tile, mlir::Type type, int64_t panel);
  void packVector(Buffer *packed, mlir::Value tile,
                  mlir::ValueRange panelAndRow, mlir::Value firstColumn,
                  int64_t inPanel, int64_t count);
  void packTransposed(mlir::Value source, Buffer *packed, int64_t depth,
                      int64_t columns, int64_t panel);
  mlir::Value widen(mlir::Value value, mlir::Type type, Lanes lanes);

  CPUKernelEmitter &emitter;
  mlir::OpBuilder &builder;
  mlir::Location &loc;
  int64_t lanes;
  cpu::Code &code;
  cpu::StackTiles &tiles;
};

} // namespace tessera

#endif // TESSERA_LIB_CONVERSION_TILETOCPU_CPUPRODUCTEMITTER_H
