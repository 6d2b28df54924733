// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Brings the factors of a product into the order in which its inner loop reads
// them: the left one row by row, in place if possible, or in slivers of a few
// rows where it lies column by column; the right one in panels of a few
// vectors' width.
#include "CPUProductEmitter.h"

#include "dialects/Tile/IR/IndexRange.h"
#include "lib/Conversion/TileKernels/ForLoop.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace tessera;
using namespace tessera::tile;

/// Factors of narrow types are multiplied in the type of the result.
Value CPUKernelEmitter::ProductEmitter::widen(Value value, Type type,
                                              Lanes lanes) {
  if (getElementTypeOrSelf(value.getType()) == type)
    return value;
  return arith::ExtFOp::create(builder, loc, code.typeOf(type, lanes),
                               code.spread(value, lanes));
}

//===----------------------------------------------------------------------===//
// The left factor
//===----------------------------------------------------------------------===//

/// Rows of a transposed left factor that are packed before they are multiplied:
/// few, so that they stay in the fastest caches, and whole cache lines of them.
constexpr int64_t rowsInGroup = 48;

/// `rows` are multiplied together.
CPUKernelEmitter::ProductEmitter::LeftFactor
CPUKernelEmitter::ProductEmitter::prepareLeft(Value tile, Type type,
                                              int64_t rows) {
  if (auto inPlace = leftInMemory(tile, type))
    return *inPlace;
  if (emitter.isContiguous(tile, 0) && !emitter.isContiguous(tile, 1)) {
    int64_t group = std::max<int64_t>(1, rowsInGroup / rows) * rows;
    int64_t depth = cast<RankedTensorType>(tile.getType()).getDimSize(1);
    return {tiles.create({group * depth}, type)->base, depth, 1, rows, group};
  }
  auto matrix = cast<RankedTensorType>(tile.getType());
  Buffer *buffer = tiles.create(matrix.getShape(), type);
  emitter.forEachVector(matrix.getShape(), [&](Indices indices, Lanes lanes) {
    tiles.store(buffer, indices, lanes,
                widen(emitter.element(tile, indices, lanes), type, lanes));
  });
  return LeftFactor::byRows(buffer->base, buffer->strides[0]);
}

Value CPUKernelEmitter::ProductEmitter::rowInGroup(const LeftFactor &left,
                                                   Value row) {
  if (left.group == 0)
    return row;
  return arith::RemUIOp::create(builder, loc, row,
                                emitter.constant(left.group));
}

/// Columns of the left factor that are copied before those beside them: the
/// slivers that share a cache line of a column then find it in the first level
/// cache, whose ways are few where columns are a power of two apart.
constexpr int64_t columnsTogether = 8;

/// Packs the transpose of what is in memory where `firstRow` begins a group,
/// or is that of the last `rows`, which are fewer than others. Column k of the
/// sliver from row m of the group on is at m * depth + k * rows, one vector.
void CPUKernelEmitter::ProductEmitter::packGroup(const Product &product,
                                                 Value firstRow, int64_t rows) {
  const LeftFactor &left = product.left;
  if (left.group == 0)
    return;
  DotOp op = product.op;
  Value tile = op.getLhs();
  auto matrix = cast<RankedTensorType>(tile.getType());
  int64_t m = matrix.getDimSize(0), depth = matrix.getDimSize(1);
  int64_t whole = m / product.rows * product.rows;
  Type type = product.result->elementType;
  auto copyColumns = [&](Value row, Value k, int64_t columns) {
    Value at = rowInGroup(left, row);
    Lanes part{0, rows};
    for (int64_t i = 0; i < columns; ++i) {
      Value column = code.add(k, i);
      if (depth >= 2 * columnsTogether)
        emitter.prefetchElement(tile, {row, code.add(column, columnsTogether)});
      Value value =
          code.spread(emitter.element(tile, {row, column}, part), part);
      code.storeAt(widen(value, type, part),
                   code.address(left.base, type, {depth, left.depthStride}, 0,
                                {at, column}));
    }
  };
  auto forColumns = [&](function_ref<void(Value, int64_t)> body) {
    int64_t wholeDepth = depth / columnsTogether * columnsTogether;
    if (wholeDepth > 0)
      emitter.forLoop(wholeDepth, columnsTogether,
                      [&](Value k) { body(k, columnsTogether); });
    if (depth > wholeDepth) {
      FreshElements fresh(emitter);
      body(emitter.constant(wholeDepth), depth - wholeDepth);
    }
  };
  if (rows < product.rows)
    return forColumns(
        [&](Value k, int64_t columns) { copyColumns(firstRow, k, columns); });
  FreshElements fresh(emitter);
  Value isFirst =
      arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq,
                            rowInGroup(left, firstRow), emitter.constant(0));
  auto check = scf::IfOp::create(builder, loc, isFirst, false);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPoint(check.thenBlock()->getTerminator());
  Value end = arith::MinUIOp::create(
      builder, loc, code.add(firstRow, left.group), emitter.constant(whole));
  forColumns([&](Value k, int64_t columns) {
    FreshElements inside(emitter);
    emitForLoop(builder, loc, {firstRow, end, emitter.constant(rows)}, {},
                [&](Value row, ValueRange) {
                  copyColumns(row, k, columns);
                  return SmallVector<Value>();
                });
  });
}

/// The left factor, read in place: a buffer, or a load that stays in
/// bounds, of the right type, whose rows are evenly spaced and contiguous.
std::optional<CPUKernelEmitter::ProductEmitter::LeftFactor>
CPUKernelEmitter::ProductEmitter::leftInMemory(Value tile, Type type) {
  Value source = tile;
  while (auto reshape = source.getDefiningOp<ReshapeOp>())
    source = reshape.getInput();
  auto matrix = cast<RankedTensorType>(tile.getType());
  if (Buffer *buffer = emitter.buffers.lookup(source)) {
    if (source != tile || buffer->elementType != type)
      return std::nullopt;
    return LeftFactor::byRows(buffer->base, buffer->strides[0]);
  }
  auto load = source.getDefiningOp<LoadOp>();
  if (!load || getElementTypeOrSelf(load.getType()) != type)
    return std::nullopt;
  Memory memory = emitter.memories.lookup(load.getMemory());
  ArrayRef<int64_t> box = cast<RankedTensorType>(load.getType()).getShape();
  int last = static_cast<int>(box.size()) - 1;
  if (last < 0 || box[last] != matrix.getDimSize(1) ||
      memory.strides[last] != 1)
    return std::nullopt;
  Indices coordinates;
  for (auto [d, offset] : llvm::enumerate(load.getOffsets())) {
    if (!isProvenInBounds(offset, box[d], memory.shape[d]))
      return std::nullopt;
    coordinates.push_back(emitter.scalars.lookupOrDefault(offset));
  }
  // Rows are the other dimensions together: one of them, or several that follow
  // one another in memory.
  int64_t stride = 0, expected = 0;
  for (int d = last - 1; d >= 0; --d) {
    if (box[d] == 1)
      continue;
    if (stride == 0)
      stride = memory.strides[d];
    else if (memory.strides[d] != expected)
      return std::nullopt;
    expected = memory.strides[d] * box[d];
  }
  return LeftFactor::byRows(emitter.address(memory, coordinates), stride);
}

//===----------------------------------------------------------------------===//
// The right factor
//===----------------------------------------------------------------------===//

/// How many rows ahead of the one that is packed memory is read.
constexpr int64_t rowsAhead = 16;

/// Panels of the right factor [depth, columns]: panel p holds columns p * panel
/// to (p + 1) * panel, row by row; columns past the end are zero.
Value CPUKernelEmitter::ProductEmitter::packRight(Value tile, Type type,
                                                  int64_t panel) {
  auto matrix = cast<RankedTensorType>(tile.getType());
  int64_t depth = matrix.getDimSize(0), columns = matrix.getDimSize(1);
  int64_t panels = (columns + panel - 1) / panel;
  Buffer *packed = tiles.create({panels, depth, panel}, type);
  packed->strides = {depth * panel, panel, 1};
  if (emitter.isContiguous(tile, 0) && !emitter.isContiguous(tile, 1) &&
      type.getIntOrFloatBitWidth() == 32 && depth >= lanes &&
      columns >= lanes) {
    packTransposed(tile, packed, depth, columns, panel);
    return packed->base;
  }
  emitter.forLoop(panels, 1, [&](Value p) {
    Value firstColumn = code.multiply(p, panel);
    emitter.forLoop(depth, 1, [&](Value k) {
      for (int64_t j = 0; depth >= 2 * rowsAhead && j < panel; j += lanes)
        emitter.prefetchElement(
            tile, {code.add(k, rowsAhead), code.add(firstColumn, j)});
      for (int64_t j = 0; j < panel; j += lanes) {
        auto pack = [&](int64_t count) {
          packVector(packed, tile, {p, k}, firstColumn, j, count);
        };
        // Whole vectors inside; in the last panel fewer columns, then zeros.
        int64_t inLast =
            std::clamp<int64_t>(columns - (panels - 1) * panel - j, 0, lanes);
        if (inLast == lanes || panels == 1) {
          pack(inLast);
          continue;
        }
        Value isLast =
            arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq, p,
                                  emitter.constant(panels - 1));
        auto check = scf::IfOp::create(builder, loc, isLast, true);
        OpBuilder::InsertionGuard guard(builder);
        for (auto [region, count] : {std::pair(check.thenBlock(), inLast),
                                     {check.elseBlock(), lanes}}) {
          FreshElements fresh(emitter);
          builder.setInsertionPoint(region->getTerminator());
          pack(count);
        }
      }
    });
  });
  return packed->base;
}

/// One vector of a panel's row, from column `inPanel` of the panel on: `count`
/// columns of the tile, then zeros.
void CPUKernelEmitter::ProductEmitter::packVector(Buffer *packed, Value tile,
                                                  ValueRange panelAndRow,
                                                  Value firstColumn,
                                                  int64_t inPanel,
                                                  int64_t count) {
  Type type = packed->elementType;
  Value row = panelAndRow[1];
  Indices to = {panelAndRow[0], row, emitter.constant(inPanel)};
  if (count < lanes)
    tiles.store(packed, to, Lanes{2, lanes}, emitter.number(type, 0));
  if (count == 0)
    return;
  Lanes part{1, count};
  Value value =
      emitter.element(tile, {row, code.add(firstColumn, inPanel)}, part);
  tiles.store(packed, to, Lanes{2, count},
              widen(code.spread(value, part), type, part));
}

/// A factor whose rows run along columns of memory, packed in squares of lanes
/// x lanes elements, transposed in registers by rounds of interleaving: row i
/// and row i + n/2 become rows 2i and 2i + 1, log2(n) times.
void CPUKernelEmitter::ProductEmitter::packTransposed(
    Value tile, Buffer *packed, int64_t depth, int64_t columns, int64_t panel) {
  Type type = packed->elementType;
  SmallVector<int64_t> low, high;
  for (int64_t i = 0; i < lanes / 2; ++i) {
    low.append({i, i + lanes});
    high.append({i + lanes / 2, i + lanes / 2 + lanes});
  }
  auto interleave = [&](ArrayRef<Value> rows) {
    SmallVector<Value> next;
    for (int64_t i = 0; i < lanes / 2; ++i)
      for (ArrayRef<int64_t> order : {ArrayRef(low), ArrayRef(high)})
        next.push_back(vector::ShuffleOp::create(builder, loc, rows[i],
                                                 rows[i + lanes / 2], order));
    return next;
  };
  // `count` elements down column `column` of the tile, then anything.
  auto loadColumn = [&](Value column, Value k, int64_t count) -> Value {
    Lanes part{0, count};
    Value value = code.spread(emitter.element(tile, {k, column}, part), part);
    value = widen(value, type, part);
    if (count == lanes)
      return value;
    SmallVector<int64_t> order(lanes, 0);
    for (int64_t i = 0; i < count; ++i)
      order[i] = i;
    return vector::ShuffleOp::create(builder, loc, value, value, order);
  };
  Value zeros = code.spread(emitter.number(type, 0), Lanes{1, lanes});
  // Column c is at (c / panel) * depth * panel + c % panel; a square of
  // `width` columns, then zeros.
  auto packColumns = [&](Value column, int64_t width) {
    Value panelWidth = emitter.constant(panel);
    Value p = arith::DivUIOp::create(builder, loc, column, panelWidth);
    Value inPanel = arith::RemUIOp::create(builder, loc, column, panelWidth);
    Value start = code.add(code.multiply(p, depth * panel), inPanel);
    auto packSquare = [&](Value k, int64_t height) {
      SmallVector<Value> rows(lanes, zeros);
      for (int64_t i = 0; i < width; ++i) {
        emitter.prefetchElement(tile, {k, code.add(column, lanes + i)});
        rows[i] = loadColumn(code.add(column, i), k, height);
      }
      for (int64_t n = lanes; n > 1 && width > 0; n /= 2)
        rows = interleave(rows);
      for (int64_t i = 0; i < height; ++i)
        code.storeAt(rows[i], code.address(packed->base, type, {panel, 1}, 0,
                                           {code.add(k, i), start}));
    };
    int64_t whole = depth / lanes * lanes;
    if (whole > 0)
      emitter.forLoop(whole, lanes, [&](Value k) { packSquare(k, lanes); });
    if (depth > whole) {
      FreshElements fresh(emitter);
      packSquare(emitter.constant(whole), depth - whole);
    }
  };
  int64_t whole = columns / lanes * lanes;
  if (whole > 0)
    emitter.forLoop(whole, lanes, [&](Value c) { packColumns(c, lanes); });
  int64_t padded = (columns + panel - 1) / panel * panel;
  for (int64_t c = whole; c < padded; c += lanes)
    packColumns(emitter.constant(c),
                std::clamp<int64_t>(columns - c, 0, lanes));
}
