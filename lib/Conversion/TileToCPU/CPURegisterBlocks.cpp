// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The inner loop of a product: a block of the result in registers, to which one
// column of the left factor's rows times one row of the right factor's panel is
// added at a time; and what it fetches into the caches on the way.
#include "CPUProductEmitter.h"

#include "lib/Conversion/TileKernels/ForLoop.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace tessera;
using namespace tessera::tile;

/// Rows [firstRow, firstRow + rows) of one panel of the result.
void CPUKernelEmitter::ProductEmitter::multiplyPanel(const Product &product,
                                                     Value firstRow,
                                                     int64_t rows,
                                                     Value panelIndex) {
  DotOp op = product.op;
  const LeftFactor &left = product.left;
  int64_t panel = product.panel, vectors = product.vectors;
  int64_t depth = cast<RankedTensorType>(op.getLhs().getType()).getDimSize(1);
  Type type = product.elementType();
  Lanes full{1, lanes};

  Value firstColumn = code.multiply(panelIndex, panel);
  Value rightBase =
      code.address(product.packedRight, type, {depth * panel}, 0, {panelIndex});
  Value leftBase = code.address(left.base, type, {left.blockStride}, 0,
                                {packedRow(product, firstRow)});
  int64_t depthStride = left.depthStrideOf(rows);
  // What is accumulated onto is added at the end: chains of sums are then as
  // long as a chunk of the depth, not all of it, which rounds less.
  SmallVector<Value> inits(rows * vectors,
                           code.spread(emitter.number(type, 0), full));
  // Adds column k of the left rows times row k of the panel.
  auto addOuterProduct = [&](Value k, SmallVector<Value> &sums) {
    SmallVector<Value> b;
    for (int64_t j = 0; j < vectors; ++j)
      b.push_back(code.loadAt(
          code.address(rightBase, type, {panel}, j * lanes, {k}), type, lanes));
    for (int64_t i = 0; i < rows; ++i) {
      Value a = code.loadAt(
          code.address(leftBase, type, {depthStride}, i * left.rowStride, {k}),
          type, 0);
      a = code.spread(a, full);
      for (int64_t j = 0; j < vectors; ++j) {
        Value &sum = sums[i * vectors + j];
        sum = multiplyAdd(a, b[j], sum);
      }
    }
  };
  fetchBefore(product, firstRow, panelIndex);
  bool fetchesRows = product.isInMemory && !product.isByPanels;
  for (int64_t i = 0; fetchesRows && i < rows; ++i)
    fetchResultRow(product, code.add(firstRow, i), firstColumn);
  int64_t whole = depth / unrolledDepth * unrolledDepth;
  SmallVector<Value> sums = inits;
  if (whole > 0) {
    FreshElements fresh(emitter);
    Range range = depthOf(product, firstRow, rows, whole);
    sums = emitForLoop(
        builder, loc, {range.begin, range.end, emitter.constant(unrolledDepth)},
        inits, [&](Value k, ValueRange carried) {
          if (product.isByPanels) {
            fetchNextPanel(product, firstRow, rows, rightBase, k);
            if (product.accumulates || product.complete)
              fetchResult(product, firstRow, rows, firstColumn, k);
          }
          fetchAhead(product, firstRow, panelIndex, k);
          if (left.isByRows() && left.group == 0)
            prefetchNextRows(product, leftBase, rows, panelIndex, k);
          SmallVector<Value> next(carried.begin(), carried.end());
          for (int64_t i = 0; i < unrolledDepth; ++i)
            addOuterProduct(code.add(k, i), next);
          return next;
        });
  }
  for (int64_t k = whole; k < depth; ++k)
    addOuterProduct(emitter.constant(k), sums);
  if (product.accumulates)
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t j = 0; j < vectors; ++j) {
        Indices place = {code.add(firstRow, i),
                         code.add(firstColumn, j * lanes)};
        Value &sum = sums[i * vectors + j];
        Value before =
            product.isInMemory
                ? tiles.load(product.result, place, full, type)
                : code.spread(emitter.element(op.getAcc(), place, full), full);
        sum = add(sum, before);
      }
  storeSums(product, firstRow, rows, firstColumn, sums);
}

/// Keeps the sums of a register block, or stores what becomes of them.
void CPUKernelEmitter::ProductEmitter::storeSums(const Product &product,
                                                 Value firstRow, int64_t rows,
                                                 Value firstColumn,
                                                 ValueRange sums) {
  Buffer *buffer = product.result;
  Value row = firstRow, column = firstColumn;
  if (product.complete) {
    buffer = product.complete;
    row = column = emitter.constant(0);
  }
  int64_t vectors = product.vectors;
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < vectors; ++j)
      tiles.store(buffer, {code.add(row, i), code.add(column, j * lanes)},
                  Lanes{1, lanes}, sums[i * vectors + j]);
  if (!product.complete)
    return;
  // The block as a part of the tile that the rest of the kernel reads.
  Buffer block = *buffer;
  Value before =
      code.add(code.multiply(firstRow, block.strides[0]), firstColumn);
  before = arith::SubIOp::create(builder, loc, emitter.constant(0), before);
  block.base = code.address(block.base, block.elementType, {1}, 0, {before});
  DotOp op = product.op;
  FreshElements fresh(emitter);
  emitter.buffers[op.getResult()] = &block;
  emitter.storeRows(product.stores, firstRow, rows, firstColumn,
                    product.vectors * lanes);
  emitter.buffers.erase(op.getResult());
}

/// Fetches into the second level cache, near column k, a part of the share of
/// the panel that is multiplied next which falls to this block of `rows` rows:
/// a few lines in each turn of the loop over the depth, since many at one time
/// would hold up the loads of the product. Past the last panel there may be
/// nothing, which a prefetch may ask for.
void CPUKernelEmitter::ProductEmitter::fetchNextPanel(const Product &product,
                                                      Value firstRow,
                                                      int64_t rows,
                                                      Value rightBase,
                                                      Value k) {
  DotOp op = product.op;
  auto left = cast<RankedTensorType>(op.getLhs().getType());
  int64_t depth = left.getDimSize(1);
  int64_t m = std::min(left.getDimSize(0), product.left.group);
  Type type = product.elementType();
  int64_t perLine = 64 / cpu::Code::bytesOf(type);
  int64_t elements = depth * product.panel;
  int64_t linesPerRow = llvm::divideCeil(elements / perLine, m);
  int64_t turns = depth / unrolledDepth;
  int64_t linesPerTurn = llvm::divideCeil(rows * linesPerRow, turns);
  Value turn =
      arith::DivUIOp::create(builder, loc, k, emitter.constant(unrolledDepth));
  for (int64_t i = 0; i < linesPerTurn; ++i)
    code.prefetch(code.address(rightBase, type,
                               {linesPerRow * perLine, linesPerTurn * perLine},
                               elements + i * perLine,
                               {packedRow(product, firstRow), turn}),
                  2);
}

/// Fetches into the first level cache, near column k, a row of what this block
/// of `rows` rows is added to, or stored to, at its end.
void CPUKernelEmitter::ProductEmitter::fetchResult(const Product &product,
                                                   Value firstRow, int64_t rows,
                                                   Value firstColumn, Value k) {
  Value turn =
      arith::DivUIOp::create(builder, loc, k, emitter.constant(unrolledDepth));
  turn = arith::MinUIOp::create(builder, loc, turn, emitter.constant(rows - 1));
  Value row = arith::AddIOp::create(builder, loc, firstRow, turn);
  fetchResultRow(product, row, firstColumn);
}

void CPUKernelEmitter::ProductEmitter::fetchResultRow(const Product &product,
                                                      Value row,
                                                      Value firstColumn) {
  Type type = product.elementType();
  int64_t perLine = 64 / cpu::Code::bytesOf(type);
  for (int64_t j = 0; j < product.panel; j += perLine) {
    Value column = code.add(firstColumn, j);
    if (product.complete)
      emitter.prefetchStored(product.stores, row, column);
    else
      code.prefetch(code.address(product.result->base, type,
                                 product.result->strides, 0, {row, column}));
  }
}

/// Fetches into the first level cache what the panel whose turn it is has to
/// fetch of the rows below, near column k, so that all panels together fetch
/// the rows that are multiplied next: 5% faster. Past the last row there may be
/// nothing, which a prefetch may ask for.
void CPUKernelEmitter::ProductEmitter::prefetchNextRows(const Product &product,
                                                        Value leftBase,
                                                        int64_t rows,
                                                        Value panelIndex,
                                                        Value k) {
  int64_t stride = product.left.rowStride;
  int64_t share = (rows + product.panels - 1) / product.panels;
  Type type = product.elementType();
  for (int64_t i = 0; i < share; ++i) {
    Value next = code.address(leftBase, type, {share * stride, 1},
                              (rows + i) * stride, {panelIndex, k});
    code.prefetch(next);
  }
}

Value CPUKernelEmitter::ProductEmitter::multiplyAdd(Value a, Value b,
                                                    Value acc) {
  if (isa<FloatType>(getElementTypeOrSelf(acc.getType())))
    return math::FmaOp::create(builder, loc, a, b, acc);
  return add(acc, arith::MulIOp::create(builder, loc, a, b));
}

Value CPUKernelEmitter::ProductEmitter::add(Value a, Value b) {
  if (isa<FloatType>(getElementTypeOrSelf(a.getType())))
    return arith::AddFOp::create(builder, loc, a, b);
  return arith::AddIOp::create(builder, loc, a, b);
}
