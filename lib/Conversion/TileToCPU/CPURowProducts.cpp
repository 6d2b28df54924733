// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Products of one row: each element of the right factor is used once, so the
// factor is read where it is, and nothing is packed.
#include "CPUProductEmitter.h"

#include "dialects/Tile/IR/KernelAnalysis.h"

using namespace mlir;
using namespace tessera;
using namespace tessera::tile;

/// Columns of the right factor, rows of memory, that are multiplied together,
/// and vectors of each: so many sums hide the latency of one.
constexpr int64_t columnsTogether = 4, vectorsOfColumn = 2;

/// Whether the left factor is one row, and the right one has what is summed
/// side by side in memory.
bool CPUKernelEmitter::ProductEmitter::isRowTimesRows(DotOp op) const {
  auto right = cast<RankedTensorType>(op.getRhs().getType());
  return cast<RankedTensorType>(op.getType()).getDimSize(0) == 1 &&
         right.getDimSize(0) >= lanes && emitter.isContiguous(op.getLhs(), 1) &&
         emitter.isContiguous(op.getRhs(), 0) &&
         !emitter.isContiguous(op.getRhs(), 1);
}

void CPUKernelEmitter::ProductEmitter::multiplyRow(DotOp op) {
  int64_t columns = cast<RankedTensorType>(op.getType()).getDimSize(1);
  bool accumulates = !isZeroTile(op.getAcc());
  Buffer *result = prepareResult(op, accumulates);
  int64_t whole = columns / columnsTogether * columnsTogether;
  if (whole > 0)
    emitter.forLoop(whole, columnsTogether, [&](Value column) {
      multiplyColumns(op, result, accumulates, column, columnsTogether);
    });
  if (columns > whole) {
    FreshElements fresh(emitter);
    multiplyColumns(op, result, accumulates, emitter.constant(whole),
                    columns - whole);
  }
}

/// The row times `count` columns from `firstColumn` on.
void CPUKernelEmitter::ProductEmitter::multiplyColumns(DotOp op, Buffer *result,
                                                       bool accumulates,
                                                       Value firstColumn,
                                                       int64_t count) {
  int64_t depth = cast<RankedTensorType>(op.getLhs().getType()).getDimSize(1);
  Type type = result->elementType;
  Value zero = emitter.constant(0);
  SmallVector<Value> columns;
  for (int64_t c = 0; c < count; ++c)
    columns.push_back(code.add(firstColumn, c));
  auto factor = [&](Value tile, Indices indices, Lanes part) {
    return widen(code.spread(emitter.element(tile, indices, part), part), type,
                 part);
  };
  // Adds to the sums of each column the products from `k` on, one vector.
  auto addVector = [&](Value k, int64_t size, MutableArrayRef<Value> sums) {
    Value a = factor(op.getLhs(), {zero, k}, Lanes{1, size});
    for (auto [column, sum] : llvm::zip_equal(columns, sums))
      sum =
          multiplyAdd(a, factor(op.getRhs(), {k, column}, Lanes{0, size}), sum);
  };
  auto zeros = [&](int64_t vectors, int64_t size) {
    return SmallVector<Value>(
        vectors, code.spread(emitter.number(type, 0), Lanes{0, size}));
  };
  int64_t step = vectorsOfColumn * lanes, whole = depth / step * step;
  SmallVector<Value> sums = zeros(vectorsOfColumn * count, lanes);
  if (whole > 0)
    sums = emitter.forLoop(whole, step, sums, [&](Value k, ValueRange carried) {
      SmallVector<Value> next(carried.begin(), carried.end());
      MutableArrayRef<Value> rest = next;
      for (int64_t v = 0; v < vectorsOfColumn; ++v)
        addVector(code.add(k, v * lanes), lanes, rest.slice(v * count, count));
      return next;
    });
  MutableArrayRef<Value> first = MutableArrayRef<Value>(sums).take_front(count);
  for (; depth - whole >= lanes; whole += lanes)
    addVector(emitter.constant(whole), lanes, first);
  SmallVector<Value> totals;
  for (int64_t c = 0; c < count; ++c) {
    Value sum = first[c];
    for (int64_t v = 1; v < vectorsOfColumn; ++v)
      sum = add(sum, sums[v * count + c]);
    totals.push_back(code.acrossLanes(ReductionKind::sum, sum));
  }
  if (int64_t tail = depth - whole; tail > 0) {
    SmallVector<Value> rest = zeros(count, tail);
    addVector(emitter.constant(whole), tail, rest);
    for (auto [total, sum] : llvm::zip_equal(totals, rest))
      total = add(total, code.acrossLanes(ReductionKind::sum, sum));
  }
  Lanes part{1, count};
  Value total = code.fromElements(totals);
  if (accumulates)
    total =
        add(total,
            code.spread(emitter.element(op.getAcc(), {zero, firstColumn}, part),
                        part));
  tiles.store(result, {zero, firstColumn}, part, total);
}
