// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Brings the factors of a product into the order in which its inner loop reads
// them: the left one row by row, in place if possible, or in slivers of a few
// rows where it lies column by column; the right one in panels of a few
// vectors' width.
#include "CPUProductEmitter.h"

#include "dialects/Tile/IR/IndexRange.h"
#include "lib/Conversion/TileKernels/ForLoop.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

#include <numeric>

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

/// Whether rows of so many elements, which are used together, share a few sets
/// of a cache: those of 1 KiB and its multiples do, which 256 f32 are.
static bool isCrowding(int64_t columns) { return columns % 256 == 0; }

/// Distance of rows of `columns` elements on the stack.
int64_t CPUKernelEmitter::ProductEmitter::spreadRows(int64_t columns) {
  return isCrowding(columns) ? columns + lanes : columns;
}

/// Rows of a left factor that are packed before they are multiplied. By rows
/// few, so that they stay in the fastest caches, and whole cache lines of them;
/// by panels as many as leave room for these in the second level cache.
constexpr int64_t rowsOfGroup = 48, rowsOfPanelGroup = 256;

/// `rows` are multiplied together, but for a few. Where panels are outside all
/// of the factor is packed, since it is read again for each of them; else what
/// lies column by column, or is computed.
CPUKernelEmitter::ProductEmitter::LeftFactor
CPUKernelEmitter::ProductEmitter::prepareLeft(Value tile, Type type,
                                              int64_t rows, bool isByPanels) {
  auto matrix = cast<RankedTensorType>(tile.getType());
  bool isAcross = emitter.isContiguous(tile, 1);
  bool isAlong = emitter.isContiguous(tile, 0) && !isAcross;
  if (std::optional<LeftFactor> turned = leftByColumns(tile, type))
    return *turned;
  std::optional<LeftFactor> inPlace = leftInMemory(tile, type);
  bool canTurn = isAcross && rows <= lanes;
  // A few rows that share sets of a cache are soon packed; one shares none.
  int64_t m = matrix.getDimSize(0);
  bool isCrowded =
      inPlace && m > 1 && m <= rowsOfGroup && isCrowding(inPlace->rowStride);
  if (isByPanels ? isAlong || canTurn
                 : (isAlong && !inPlace) || (isCrowded && canTurn)) {
    int64_t most = isByPanels ? rowsOfPanelGroup : rowsOfGroup;
    int64_t group = std::max<int64_t>(1, most / rows) * rows;
    if (isByPanels && m <= most)
      group = m; // With the rows that are left over.
    int64_t depth = matrix.getDimSize(1);
    return {tiles.create({group * depth}, type)->base, depth, 1, rows, group};
  }
  if (inPlace)
    return *inPlace;
  Buffer *buffer = tiles.create(matrix.getShape(), type);
  emitter.forEachVector(matrix.getShape(), [&](Indices indices, Lanes lanes) {
    tiles.store(buffer, indices, lanes,
                widen(emitter.element(tile, indices, lanes), type, lanes));
  });
  return LeftFactor::byRows(buffer->base, buffer->strides[0]);
}

/// Where `row` of the left factor is among those at its base.
Value CPUKernelEmitter::ProductEmitter::packedRow(const Product &product,
                                                  Value row) {
  if (product.left.group == 0)
    return row;
  return arith::SubIOp::create(builder, loc, row, product.firstPacked);
}

/// Columns of the left factor that are copied before those beside them: the
/// slivers that share a cache line of a column then find it in the first level
/// cache, whose ways are few where columns are a power of two apart.
constexpr int64_t columnsTogether = 8;

/// Packs rows of the left factor in slivers of `part.rows`, where it has them
/// side by side: column k of the sliver from packed row m on is at m * depth +
/// k * part.rows, one vector.
void CPUKernelEmitter::ProductEmitter::packRows(const Product &product,
                                                const RowPart &part) {
  int64_t rows = part.rows;
  const LeftFactor &left = product.left;
  DotOp op = product.op;
  Value tile = op.getLhs();
  int64_t depth = cast<RankedTensorType>(tile.getType()).getDimSize(1);
  Type type = product.elementType();
  if (emitter.isContiguous(tile, 1))
    return packAcross(product, part);
  auto copyColumns = [&](Value row, Value k, int64_t columns) {
    Value at = packedRow(product, row);
    Lanes sliver{0, rows};
    for (int64_t i = 0; i < columns; ++i) {
      Value column = code.add(k, i);
      if (depth >= 2 * columnsTogether)
        emitter.prefetchElement(tile, {row, code.add(column, columnsTogether)});
      Value value =
          code.spread(emitter.element(tile, {row, column}, sliver), sliver);
      code.storeAt(
          widen(value, type, sliver),
          code.address(left.base, type, {depth, rows}, 0, {at, column}));
    }
  };
  auto copyAllRows = [&](Value k, int64_t columns) {
    FreshElements inside(emitter);
    emitForLoop(builder, loc, {part.first, part.end, emitter.constant(rows)},
                {}, [&](Value row, ValueRange) {
                  copyColumns(row, k, columns);
                  return SmallVector<Value>();
                });
  };
  int64_t wholeDepth = depth / columnsTogether * columnsTogether;
  if (wholeDepth > 0)
    emitter.forLoop(wholeDepth, columnsTogether,
                    [&](Value k) { copyAllRows(k, columnsTogether); });
  if (depth > wholeDepth) {
    FreshElements fresh(emitter);
    copyAllRows(emitter.constant(wholeDepth), depth - wholeDepth);
  }
}

/// The same of a factor that has the summed elements side by side: in squares
/// that are turned in registers.
void CPUKernelEmitter::ProductEmitter::packAcross(const Product &product,
                                                  const RowPart &part) {
  int64_t rows = part.rows;
  const LeftFactor &left = product.left;
  DotOp op = product.op;
  int64_t depth = cast<RankedTensorType>(op.getLhs().getType()).getDimSize(1);
  Type type = product.elementType();
  auto packSquare = [&](Value row, Value k, int64_t count) {
    SmallVector<Value> vectors(
        lanes, code.spread(emitter.number(type, 0), Lanes{1, lanes}));
    for (int64_t i = 0; i < rows; ++i)
      vectors[i] =
          loadWhole(op.getLhs(), {code.add(row, i), k}, Lanes{1, count}, type);
    turnSquare(vectors);
    SmallVector<int64_t> order(rows);
    std::iota(order.begin(), order.end(), 0);
    for (int64_t i = 0; i < count; ++i)
      code.storeAt(vector::ShuffleOp::create(builder, loc, vectors[i],
                                             vectors[i], order),
                   code.address(left.base, type, {depth, rows}, 0,
                                {packedRow(product, row), code.add(k, i)}));
  };
  FreshElements fresh(emitter);
  emitForLoop(builder, loc, {part.first, part.end, emitter.constant(rows)}, {},
              [&](Value row, ValueRange) {
                int64_t whole = depth / lanes * lanes;
                if (whole > 0)
                  emitter.forLoop(whole, lanes,
                                  [&](Value k) { packSquare(row, k, lanes); });
                if (depth > whole)
                  packSquare(row, emitter.constant(whole), depth - whole);
                return SmallVector<Value>();
              });
}

/// Turns lanes x lanes elements by rounds of interleaving: row i and row i +
/// n/2 become rows 2i and 2i + 1, log2(n) times.
void CPUKernelEmitter::ProductEmitter::turnSquare(
    SmallVectorImpl<Value> &rows) {
  SmallVector<int64_t> low, high;
  for (int64_t i = 0; i < lanes / 2; ++i) {
    low.append({i, i + lanes});
    high.append({i + lanes / 2, i + lanes / 2 + lanes});
  }
  for (int64_t n = lanes; n > 1; n /= 2) {
    SmallVector<Value> next;
    for (int64_t i = 0; i < lanes / 2; ++i)
      for (ArrayRef<int64_t> order : {ArrayRef(low), ArrayRef(high)})
        next.push_back(vector::ShuffleOp::create(builder, loc, rows[i],
                                                 rows[i + lanes / 2], order));
    rows.assign(next);
  }
}

/// A whole vector whose first elements are those of the tile along `part`; the
/// others are any.
Value CPUKernelEmitter::ProductEmitter::loadWhole(Value tile, Indices indices,
                                                  Lanes part, Type type) {
  Value value = code.spread(emitter.element(tile, indices, part), part);
  value = widen(value, type, part);
  if (part.count == lanes)
    return value;
  SmallVector<int64_t> order(lanes, 0);
  std::iota(order.begin(), order.begin() + part.count, 0);
  return vector::ShuffleOp::create(builder, loc, value, value, order);
}

/// The left factor, read in place from a buffer that holds it column by column:
/// the rows that are multiplied together are side by side.
std::optional<CPUKernelEmitter::ProductEmitter::LeftFactor>
CPUKernelEmitter::ProductEmitter::leftByColumns(Value tile, Type type) {
  auto turned = tile.getDefiningOp<TransOp>();
  if (!turned || emitter.buffers.contains(tile))
    return std::nullopt;
  Buffer *buffer = emitter.buffers.lookup(turned.getInput());
  if (!buffer || buffer->elementType != type || buffer->strides.back() != 1 ||
      isCrowding(buffer->strides[0]))
    return std::nullopt;
  return LeftFactor{buffer->base, 1, 1, buffer->strides[0]};
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

/// Where the panels of the right factor begin if they are packed already: the
/// tile is a load of whole ones, which stays in bounds, of the right type. Else
/// null.
Value CPUKernelEmitter::ProductEmitter::rightInMemory(Value tile, Type type) {
  auto columns = tile.getDefiningOp<ReshapeOp>();
  auto turned =
      columns ? columns.getInput().getDefiningOp<TransOp>() : TransOp();
  if (!turned || turned.getPermutation() != ArrayRef<int64_t>({1, 0, 2}))
    return {};
  Value panels = turned.getInput();
  while (auto reshape = panels.getDefiningOp<ReshapeOp>())
    panels = reshape.getInput();
  auto load = panels.getDefiningOp<LoadOp>();
  if (!load || getElementTypeOrSelf(load.getType()) != type)
    return {};
  // [1..., panels, depth, columns of a panel], whole panels of the memory.
  ArrayRef<int64_t> box = cast<RankedTensorType>(load.getType()).getShape();
  ArrayRef<int64_t> shape =
      cast<RankedTensorType>(turned.getInput().getType()).getShape();
  Memory memory = emitter.memories.lookup(load.getMemory());
  int64_t stride = shape[1] * shape[2];
  if (shape[2] != TargetAttr::vectorsOfPanel * lanes || box.size() < 3 ||
      box.take_back(3) != shape ||
      llvm::any_of(box.drop_back(3), [](int64_t size) { return size != 1; }) ||
      ArrayRef<int64_t>(memory.strides).take_back(3) !=
          ArrayRef<int64_t>({stride, shape[2], 1}))
    return {};
  Indices coordinates;
  for (auto [d, offset] : llvm::enumerate(load.getOffsets())) {
    if (!isProvenInBounds(offset, box[d], memory.shape[d]))
      return {};
    coordinates.push_back(emitter.scalars.lookupOrDefault(offset));
  }
  return emitter.address(memory, coordinates);
}

/// How many rows ahead of the one that is packed memory is read.
constexpr int64_t rowsAhead = 4;
/// Up to so many panels, as heads of attention have, are packed row by row
/// without a loop over them, which would cost a third of the instructions.
constexpr int64_t mostPanelsWithoutLoop = 4;

/// Panels of the right factor [depth, columns]: panel p holds columns p * panel
/// to (p + 1) * panel, row by row; columns past the end are zero. Rows are
/// packed whole, one after another: pieces of many rows that a power of two
/// separates share a few sets of the caches, which would lose what is fetched
/// ahead, and lines that two panels have in common.
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
  int64_t perLine =
      64 / cpu::Code::bytesOf(getElementTypeOrSelf(tile.getType()));
  // Of few panels without a loop over them.
  auto forPanels = [&](function_ref<void(Value)> body) {
    if (panels > mostPanelsWithoutLoop)
      return emitter.forLoop(panels, 1, body);
    for (int64_t p = 0; p < panels; ++p)
      body(emitter.constant(p));
  };
  emitter.forLoop(depth, 1, [&](Value k) {
    forPanels([&](Value p) {
      Value firstColumn = code.multiply(p, panel);
      for (int64_t j = 0; depth >= 2 * rowsAhead && j < panel;
           j += std::max(lanes, perLine))
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
/// x lanes elements that are turned in registers.
void CPUKernelEmitter::ProductEmitter::packTransposed(
    Value tile, Buffer *packed, int64_t depth, int64_t columns, int64_t panel) {
  Type type = packed->elementType;
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
        rows[i] =
            loadWhole(tile, {k, code.add(column, i)}, Lanes{0, height}, type);
      }
      if (width > 0)
        turnSquare(rows);
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
