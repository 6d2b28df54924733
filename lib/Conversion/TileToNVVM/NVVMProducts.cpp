// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Products: factors in shared memory, sums in registers. Each thread owns a
// rectangle of the result. Where a loop only adds to a product, the sums stay
// in registers from its first iteration to its last (NVVMLoops.cpp).
#include "AccessOrder.h"
#include "NVVMKernelEmitter.h"

#include "dialects/Tile/IR/KernelAnalysis.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"

using namespace mlir;
using namespace tessera;
using namespace tessera::tile;

/// Sums that a thread keeps, at most: more would not fit its registers beside
/// the factors.
static constexpr int64_t maxSums = 64;

static int64_t dimSize(Value tile, int64_t dim) {
  return cast<RankedTensorType>(tile.getType()).getDimSize(dim);
}

int64_t NVVMKernelEmitter::threadsForProduct(int64_t m, int64_t n) {
  return m * n / 32;
}

NVVMKernelEmitter::Rectangle
NVVMKernelEmitter::chooseRectangle(DotOp op) const {
  int64_t m = dimSize(op.getResult(), 0), n = dimSize(op.getResult(), 1);
  if (canUseTensorCores(op))
    return chooseWarpRectangle(m, n);
  Rectangle best;
  auto owners = [&](const Rectangle &r) {
    return (m / r.rows) * (n / r.columns);
  };
  // The smallest rectangle with which every sum has an owner; among those of
  // one size the squarest, rather tall than wide: rows are read by broadcast.
  auto isBetter = [&](const Rectangle &r) {
    bool fits = owners(r) <= threads, bestFits = owners(best) <= threads;
    if (fits != bestFits)
      return fits;
    if (owners(r) != owners(best))
      return fits == (owners(r) > owners(best));
    return std::abs(r.rows - r.columns) < std::abs(best.rows - best.columns);
  };
  for (int64_t columns : {1, 2, 4, 8})
    for (int64_t rows : {8, 4, 2, 1}) {
      Rectangle next;
      next.rows = rows;
      next.columns = columns;
      if (m % rows == 0 && n % columns == 0 && rows * columns <= maxSums &&
          isBetter(next))
        best = next;
    }
  best.rowTiles = m / best.rows;
  best.columnTiles = n / best.columns;
  best.adjacentRows = isStoredSwapped(op.getLhs());
  best.adjacentColumns = !isStoredSwapped(op.getRhs());
  return best;
}

/// Neighbouring threads read neighbouring vectors: of adjacent elements where
/// those are contiguous, else from rows a whole stride apart.
void NVVMKernelEmitter::locate(Rectangle &rectangle, Value owner) {
  if (rectangle.ofWarp)
    return locateInWarp(rectangle, owner);
  Indices tile =
      delinearize(owner, {rectangle.rowTiles, rectangle.columnTiles});
  auto indicesOf = [&](Value at, int64_t count, int64_t tiles, bool adjacent) {
    SmallVector<Value> indices;
    if (adjacent && count > 1)
      at = arith::MulIOp::create(builder, loc, at, constant(count));
    for (int64_t i = 0; i < count; ++i)
      indices.push_back(arith::AddIOp::create(
          builder, loc, at, constant(adjacent ? i : i * tiles)));
    return indices;
  };
  rectangle.rowIndex = indicesOf(tile[0], rectangle.rows, rectangle.rowTiles,
                                 rectangle.adjacentRows);
  rectangle.columnIndex =
      indicesOf(tile[1], rectangle.columns, rectangle.columnTiles,
                rectangle.adjacentColumns);
}

/// Elements [own index][position] of a factor, `depth` positions from `first`
/// along the summed dimension, widened to `type`. `ownFirst`: the left factor.
SmallVector<SmallVector<Value>>
NVVMKernelEmitter::readFactor(SharedBuffer *buffer, ArrayRef<Value> own,
                              bool ownFirst, Value first, int64_t depth,
                              Type type) {
  auto at = [&](Value index, Value position) {
    return ownFirst ? Indices{index, position} : Indices{position, index};
  };
  auto widen = [&](Value value) -> Value {
    if (value.getType() == type || !isa<FloatType>(type))
      return value;
    return arith::ExtFOp::create(builder, loc, type, value);
  };
  SmallVector<SmallVector<Value>> elements(own.size());
  bool liesAlongOwn = buffer->isSwapped == ownFirst;
  if (!liesAlongOwn) {
    for (auto [i, index] : llvm::enumerate(own))
      for (Value value :
           loadRun(buffer, at(index, first), depth, buffer->elementType))
        elements[i].push_back(widen(value));
    return elements;
  }
  for (int64_t p = 0; p < depth; ++p) {
    Value position = arith::AddIOp::create(builder, loc, first, constant(p));
    SmallVector<Value> run =
        loadRun(buffer, at(own[0], position), own.size(), buffer->elementType);
    for (auto [i, value] : llvm::enumerate(run))
      elements[i].push_back(widen(value));
  }
  return elements;
}

/// acc + lhs * rhs on the elements of a rectangle, row by row.
SmallVector<Value> NVVMKernelEmitter::multiply(DotOp op, SharedBuffer *lhs,
                                               SharedBuffer *rhs,
                                               const Rectangle &rectangle,
                                               ValueRange acc) {
  if (rectangle.ofWarp)
    return multiplyOnTensorCores(op, lhs, rhs, rectangle, acc);
  int64_t k = dimSize(op.getLhs(), 1);
  Type accType = getElementTypeOrSelf(op.getType());
  auto multiplyAdd = [&](Value a, Value b, Value sum) -> Value {
    if (isa<FloatType>(accType))
      return math::FmaOp::create(builder, loc, a, b, sum);
    Value product = arith::MulIOp::create(builder, loc, a, b);
    return arith::AddIOp::create(builder, loc, sum, product);
  };
  int64_t widest = maxAccessBytes / std::max(elementBytes(lhs->elementType),
                                             elementBytes(rhs->elementType));
  int64_t depth = std::max<int64_t>(1, widest);
  while (k % depth)
    depth /= 2;
  auto step = [&](Value first, ValueRange carried) {
    auto a = readFactor(lhs, rectangle.rowIndex, /*ownFirst=*/true, first,
                        depth, accType);
    auto b = readFactor(rhs, rectangle.columnIndex, /*ownFirst=*/false, first,
                        depth, accType);
    SmallVector<Value> sums(carried.begin(), carried.end());
    for (int64_t p = 0; p < depth; ++p)
      for (int64_t i = 0; i < rectangle.rows; ++i)
        for (int64_t j = 0; j < rectangle.columns; ++j) {
          Value &sum = sums[i * rectangle.columns + j];
          sum = multiplyAdd(a[i][p], b[j][p], sum);
        }
    return sums;
  };
  if (k == depth)
    return step(constant(0), acc);
  return forLoop(constant(0), k, constant(depth), acc, step);
}

SmallVector<Value> NVVMKernelEmitter::elementsOf(Value tile,
                                                 const Rectangle &rectangle) {
  SmallVector<Value> elements;
  for (Value row : rectangle.rowIndex)
    for (Value column : rectangle.columnIndex)
      elements.push_back(element(tile, {row, column}));
  return elements;
}

void NVVMKernelEmitter::storeRectangle(SharedBuffer *buffer,
                                       const Rectangle &rectangle,
                                       ValueRange values) {
  size_t next = 0;
  for (Value row : rectangle.rowIndex)
    for (Value column : rectangle.columnIndex)
      storeShared(buffer, {row, column}, values[next++]);
}

void NVVMKernelEmitter::emitDot(DotOp op) {
  SharedBuffer *lhs = stage(op.getLhs()), *rhs = stage(op.getRhs());
  BlockArgument source = getAccumulatorSource(op);
  auto inRegisters = source ? registers.find(source) : registers.end();
  if (inRegisters != registers.end()) {
    Registers &carried = inRegisters->second;
    beginNest(/*readsShared=*/true, /*writesShared=*/false);
    size_t next = 0;
    for (Value row : carried.rectangle.rowIndex)
      for (Value column : carried.rectangle.columnIndex)
        remember(source, {row, column}, carried.values[next++]);
    SmallVector<Value> acc = elementsOf(op.getAcc(), carried.rectangle);
    carried.values = multiply(op, lhs, rhs, carried.rectangle, acc);
    endNest(/*readsShared=*/true, /*writesShared=*/false);
    return;
  }
  auto type = cast<RankedTensorType>(op.getType());
  SharedBuffer *result =
      accumulatesInPlace(op)
          ? buffers.lookup(source)
          : shared.create(loc, type.getShape(), type.getElementType());
  buffers[op.getResult()] = result;
  Rectangle rectangle = chooseRectangle(op);
  beginNest(/*readsShared=*/true, /*writesShared=*/true);
  forEachElement({rectangle.owners()}, [&](Indices owner) {
    locate(rectangle, owner[0]);
    SmallVector<Value> acc = elementsOf(op.getAcc(), rectangle);
    storeRectangle(result, rectangle, multiply(op, lhs, rhs, rectangle, acc));
  });
  endNest(/*readsShared=*/true, /*writesShared=*/true);
}
