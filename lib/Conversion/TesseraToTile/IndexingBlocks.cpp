// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Boxes and rows at computed indices, and the keys of sorts.
#include "BlockEmitter.h"

#include <numeric>

using namespace mlir;
using namespace tessera;

//===----------------------------------------------------------------------===//
// Boxes
//===----------------------------------------------------------------------===//

Value BlockEmitter::emitStart(Value start, int64_t last) {
  if (last == 0)
    return constantIndex(0);
  Value tile = emit(start, {{constantIndex(0)}, {1}});
  if (!tile)
    return {};
  Type type = getElementTypeOrSelf(tile.getType());
  Value number = tile::ExtractOp::create(builder, loc, type, tile);
  Value index =
      arith::IndexCastOp::create(builder, loc, builder.getIndexType(), number);
  index = arith::MaxSIOp::create(builder, loc, index, constantIndex(0));
  return arith::MinSIOp::create(builder, loc, index, constantIndex(last));
}

Value BlockEmitter::emitDynamicSlice(DynamicSliceOp op, const BlockBox &box) {
  BlockBox source = box;
  for (auto [d, start] : llvm::enumerate(op.getStarts())) {
    int64_t last = shapeOf(op.getInput())[d] - shapeOf(op.getResult())[d];
    Value first = emitStart(start, last);
    if (!first)
      return {};
    source.offsets[d] = addIndices(box.offsets[d], first);
  }
  return emit(op.getInput(), source);
}

//===----------------------------------------------------------------------===//
// Rows
//===----------------------------------------------------------------------===//

/// Memory seen as rows: what batch and indexed dimensions choose is one
/// dimension, the first; the others follow. `strides` has, per dimension of the
/// source, the distance of its entries in rows.
struct BlockEmitter::RowView {
  Value memory;
  int64_t numRows = 1;
  SmallVector<int64_t> strides;
};

static bool isRowDim(const IndexedDims &dims, int64_t d) {
  return dims.isIndexed(d) || llvm::is_contained(dims.sourceBatch, d);
}

BlockEmitter::RowView BlockEmitter::viewAsRows(Value memory,
                                               const IndexedDims &dims) {
  auto type = cast<MemRefType>(memory.getType());
  SmallVector<int64_t> memoryStrides;
  int64_t offset;
  (void)type.getStridesAndOffset(memoryStrides, offset);
  RowView view;
  if (dims.indexed.size() == 1 && dims.indexed[0] == 0 &&
      dims.sourceBatch.empty()) {
    view.memory = memory;
    view.numRows = type.getDimSize(0);
    view.strides.assign(type.getRank(), 1);
    return view;
  }
  int64_t unit = 0;
  for (int64_t d = 0; d < type.getRank(); ++d)
    if (isRowDim(dims, d) && type.getDimSize(d) > 1)
      unit = std::gcd(unit, memoryStrides[d]);
  unit = std::max<int64_t>(unit, 1);
  SmallVector<int64_t> shape = {1}, strides = {unit};
  for (int64_t d = 0; d < type.getRank(); ++d) {
    view.strides.push_back(0);
    if (!isRowDim(dims, d)) {
      shape.push_back(type.getDimSize(d));
      strides.push_back(memoryStrides[d]);
    } else if (type.getDimSize(d) > 1) {
      view.strides[d] = memoryStrides[d] / unit;
      shape[0] += (type.getDimSize(d) - 1) * view.strides[d];
    }
  }
  view.numRows = shape[0];
  view.memory = viewOf(memory, offset, shape, strides);
  return view;
}

/// How a box of slices is cut into rows.
struct BlockEmitter::RowBox {
  SmallVector<int64_t> rowDims; ///< Of the slices.
  SmallVector<int64_t> rowSizes, restSizes;
  SmallVector<Value> restOffsets;
  /// For each dimension of the slices, where it is when rows come first.
  SmallVector<int64_t> places;
  int64_t numRows = 1;
};

BlockEmitter::RowBox BlockEmitter::cutIntoRows(const IndexedDims &dims,
                                               const BlockBox &box) {
  RowBox rows;
  std::vector<IndexedDims::Slice> slices = dims.slices();
  for (auto [d, slice] : llvm::enumerate(slices))
    if (slice.indices >= 0) {
      rows.rowDims.push_back(d);
      rows.rowSizes.push_back(box.sizes[d]);
      rows.numRows *= box.sizes[d];
    }
  size_t nextRow = 0, nextRest = rows.rowDims.size();
  for (auto [d, slice] : llvm::enumerate(slices)) {
    if (slice.indices >= 0) {
      rows.places.push_back(nextRow++);
      continue;
    }
    rows.places.push_back(nextRest++);
    rows.restSizes.push_back(box.sizes[d]);
    rows.restOffsets.push_back(box.offsets[d]);
  }
  return rows;
}

Value BlockEmitter::emitRowNumbers(const IndexedDims &dims, ValueRange indices,
                                   Value source, const RowView &view,
                                   const RowBox &rows, const BlockBox &box) {
  std::vector<IndexedDims::Slice> slices = dims.slices();
  // The box of the indices, and the order that rows have in it.
  BlockBox indexBox;
  indexBox.offsets.resize(dims.indicesRank);
  indexBox.sizes.resize(dims.indicesRank);
  SmallVector<int64_t> order, shape(rows.rowSizes);
  for (int64_t d : rows.rowDims) {
    int64_t dim = slices[d].indices;
    order.push_back(dim);
    indexBox.offsets[dim] = box.offsets[d];
    indexBox.sizes[dim] = box.sizes[d];
  }
  if (shape.empty()) {
    indexBox = {{constantIndex(0)}, {1}};
    order = {0};
    shape = {1};
  }
  SmallVector<Value> tiles;
  bool isWide = !llvm::isInt<32>(view.numRows);
  for (Value value : indices) {
    Value tile = emit(value, indexBox);
    if (!tile)
      return {};
    isWide |= getElementTypeOrSelf(tile.getType()).isInteger(64);
    tiles.push_back(transpose(tile, order));
  }
  // tile.gather checks rows against the size of the memory.
  if (tiles.size() == 1 && dims.sourceBatch.empty())
    return reshape(tiles.front(), {rows.numRows});

  Type type = isWide ? builder.getI64Type() : builder.getI32Type();
  auto widened = [&](Value tile, bool isUnsigned) -> Value {
    if (getElementTypeOrSelf(tile.getType()) == type)
      return tile;
    if (isUnsigned)
      return arith::ExtUIOp::create(builder, loc, tileType(shape, type), tile);
    return arith::ExtSIOp::create(builder, loc, tileType(shape, type), tile);
  };
  Value row, inside;
  auto addTerm = [&](Value index, int64_t stride) {
    if (stride != 1)
      index = arith::MulIOp::create(
          builder, loc, index,
          splat(shape, builder.getIntegerAttr(type, stride)));
    row = row ? arith::AddIOp::create(builder, loc, row, index).getResult()
              : index;
  };
  ArrayRef<int64_t> sizes = shapeOf(source);
  for (auto [k, dim] : llvm::enumerate(dims.indexed)) {
    bool isUnsigned =
        getElementTypeOrSelf(indices[k].getType()).isUnsignedInteger();
    Value index = widened(tiles[k], isUnsigned);
    Value size = splat(shape, builder.getIntegerAttr(type, sizes[dim]));
    // Unsigned: negative indices become large.
    Value fits = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult,
                                       index, size);
    inside = inside
                 ? arith::AndIOp::create(builder, loc, inside, fits).getResult()
                 : fits;
    addTerm(index, view.strides[dim]);
  }
  for (auto [r, d] : llvm::enumerate(rows.rowDims)) {
    if (slices[d].source < 0)
      continue;
    Value entry = indicesAlong(shape, r, box.offsets[d]);
    if (getElementTypeOrSelf(entry.getType()) != type)
      entry = isWide ? toI64(entry)
                     : arith::TruncIOp::create(builder, loc,
                                               tileType(shape, type), entry)
                           .getResult();
    addTerm(entry, view.strides[slices[d].source]);
  }
  Value none = splat(shape, builder.getIntegerAttr(type, -1));
  row = arith::SelectOp::create(builder, loc, inside, row, none);
  return reshape(row, {rows.numRows});
}

Value BlockEmitter::emitGather(GatherOp op, const BlockBox &box) {
  IndexedDims dims = op.getIndexedDims();
  RowView view = viewAsRows(memories.lookup(op.getSource()), dims);
  RowBox rows = cutIntoRows(dims, box);
  Value numbers =
      emitRowNumbers(dims, op.getIndices(), op.getSource(), view, rows, box);
  if (!numbers)
    return {};
  SmallVector<int64_t> shape = {rows.numRows};
  llvm::append_range(shape, rows.restSizes);
  Type stored = cast<MemRefType>(view.memory.getType()).getElementType();
  Value tile = tile::GatherOp::create(builder, loc, tileType(shape, stored),
                                      view.memory, numbers, rows.restOffsets);
  tile = fromMemory(tile, getElementTypeOrSelf(op.getType()));
  // Rows first, then in the order of the slices.
  SmallVector<int64_t> sizes(rows.rowSizes);
  llvm::append_range(sizes, rows.restSizes);
  if (sizes.empty())
    return reshape(tile, box.sizes);
  return transpose(reshape(tile, sizes), rows.places);
}

static tile::ScatterKind kindOf(ScatterOp op) {
  bool isUnsigned = getElementTypeOrSelf(op.getType()).isUnsignedInteger();
  switch (op.getKind()) {
  case ScatterKind::set:
    return tile::ScatterKind::set;
  case ScatterKind::add:
    return tile::ScatterKind::add;
  case ScatterKind::max:
    return isUnsigned ? tile::ScatterKind::umax : tile::ScatterKind::max;
  case ScatterKind::min:
    return isUnsigned ? tile::ScatterKind::umin : tile::ScatterKind::min;
  }
  llvm_unreachable("unknown scatter");
}

/// The numbers of rows in `part`; -1 for others.
Value BlockEmitter::onlyRowsOf(RowPart part, int64_t numRows, Value numbers) {
  if (part.count == 1)
    return numbers;
  auto type = cast<RankedTensorType>(numbers.getType());
  Type element = type.getElementType();
  auto number = [&](int64_t value) {
    return splat(type.getShape(), builder.getIntegerAttr(element, value));
  };
  int64_t size = llvm::divideCeil(numRows, part.count);
  Value first =
      arith::MulIOp::create(builder, loc, part.number, constantIndex(size));
  first = arith::IndexCastOp::create(builder, loc, element, first);
  first = tile::SplatOp::create(builder, loc, type, first);
  Value place = arith::SubIOp::create(builder, loc, numbers, first);
  Value isInside = arith::CmpIOp::create(
      builder, loc, arith::CmpIPredicate::ult, place, number(size));
  return arith::SelectOp::create(builder, loc, isInside, numbers, number(-1));
}

bool BlockEmitter::scatterRows(ScatterOp op, Value output, BlockBox box,
                               RowPart part) {
  IndexedDims dims = op.getIndexedDims();
  RowView view = viewAsRows(output, dims);
  RowBox rows = cutIntoRows(dims, box);
  Value numbers =
      emitRowNumbers(dims, op.getIndices(), op.getInput(), view, rows, box);
  Value tile = emit(op.getUpdates(), box);
  if (!numbers || !tile)
    return false;
  numbers = onlyRowsOf(part, view.numRows, numbers);
  // Rows first.
  SmallVector<int64_t> order(rows.places.size());
  for (auto [d, place] : llvm::enumerate(rows.places))
    order[place] = d;
  if (!order.empty())
    tile = transpose(tile, order);
  SmallVector<int64_t> shape = {rows.numRows};
  llvm::append_range(shape, rows.restSizes);
  tile = reshape(tile, shape);
  Type stored = cast<MemRefType>(output.getType()).getElementType();
  if (getElementTypeOrSelf(tile.getType()).isInteger(1))
    tile = arith::ExtUIOp::create(builder, loc, tileType(shape, stored), tile);
  tile::ScatterOp::create(builder, loc, kindOf(op), tile, view.memory, numbers,
                          rows.restOffsets);
  return true;
}

bool BlockEmitter::scatter(ScatterOp op, Value output, BlockBox box,
                           RowPart part) {
  loc = op.getLoc();
  std::vector<IndexedDims::Slice> slices = op.getIndexedDims().slices();
  auto first = llvm::find_if(
      slices, [](const IndexedDims::Slice &slice) { return slice.source < 0; });
  int64_t dim = first - slices.begin();
  if (first == slices.end() || box.sizes[dim] == shapeOf(op.getUpdates())[dim])
    return scatterRows(op, output, box, part);
  // Chunk after chunk of the positions, in order.
  int64_t length = shapeOf(op.getUpdates())[dim], chunk = box.sizes[dim];
  bool isDone = true;
  forLoop(length / chunk * chunk, chunk, {},
          [&](Value position, ValueRange) -> SmallVector<Value> {
            box.offsets[dim] = position;
            isDone &= scatterRows(op, output, box, part);
            return {};
          });
  if (length % chunk == 0)
    return isDone;
  box.offsets[dim] = constantIndex(length / chunk * chunk);
  box.sizes[dim] = length % chunk;
  return isDone && scatterRows(op, output, box, part);
}

//===----------------------------------------------------------------------===//
// Keys
//===----------------------------------------------------------------------===//

SortKeys BlockEmitter::emitSortKeys(ArgsortOp op, const BlockBox &box) {
  loc = op.getLoc();
  Value tile = emit(op.getInput(), box);
  if (!tile)
    return {};
  Type type = getElementTypeOrSelf(op.getInput().getType());
  int64_t width = std::max<int64_t>(32, type.getIntOrFloatBitWidth());
  SortKeys result{{}, 0, width};
  Type bits = builder.getIntegerType(width);
  auto keyType = tileType(box.sizes, bits);
  auto number = [&](const APInt &value) {
    return splat(box.sizes, builder.getIntegerAttr(bits, value));
  };
  Value sign = number(APInt::getSignMask(width));
  Value ones = number(APInt::getAllOnes(width));
  Value key;
  if (type.isInteger(1)) {
    key = arith::ExtUIOp::create(builder, loc, keyType, tile);
    result.highBit = 1;
  } else if (auto floatType = dyn_cast<FloatType>(type)) {
    // The bits below come from widening.
    if (type.getIntOrFloatBitWidth() < 32)
      result.lowBit = type.isBF16() ? 16 : 13;
    Value x = toF32(tile);
    Type wide = getElementTypeOrSelf(x.getType());
    Value zero = splatNumber(box.sizes, wide, 0);
    auto compare = [&](arith::CmpFPredicate predicate, Value a, Value b) {
      return arith::CmpFOp::create(builder, loc, predicate, a, b);
    };
    Value isZero = compare(arith::CmpFPredicate::OEQ, x, zero);
    Value isNaN = compare(arith::CmpFPredicate::UNO, x, x);
    x = arith::SelectOp::create(builder, loc, isZero, zero, x);
    Value raw = arith::BitcastOp::create(builder, loc, keyType, x);
    Value none = number(APInt::getZero(width));
    Value isNegative = arith::CmpIOp::create(
        builder, loc, arith::CmpIPredicate::slt, raw, none);
    Value flips = arith::SelectOp::create(builder, loc, isNegative, ones, sign);
    key = arith::XOrIOp::create(builder, loc, raw, flips);
    key = arith::SelectOp::create(builder, loc, isNaN, ones, key);
  } else if (type.isUnsignedInteger()) {
    key = tile;
  } else {
    key = arith::XOrIOp::create(builder, loc, tile, sign);
  }
  if (op.getDescending())
    key = arith::XOrIOp::create(builder, loc, key, ones);
  result.tile = key;
  return result;
}
