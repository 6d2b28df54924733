// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Reductions and what is built on them: whole rows of a block at a time.
#include "BlockEmitter.h"

using namespace mlir;
using namespace tessera;

/// The elements of the input that a block of the result takes: whole along the
/// reduced dimensions.
BlockBox BlockEmitter::reducedBox(ReduceOp op, const BlockBox &box) {
  BlockBox source;
  size_t next = 0;
  for (auto [d, size] : llvm::enumerate(shapeOf1(op.getInput()))) {
    bool isReduced = llvm::is_contained(op.getDims(), static_cast<int64_t>(d));
    source.offsets.push_back(isReduced ? constantIndex(0) : box.offsets[next]);
    source.sizes.push_back(isReduced ? size : box.sizes[next++]);
  }
  return source;
}

/// Tiles compare as signed numbers; with the upper bit flipped that is the
/// order of unsigned ones.
Value BlockEmitter::flipForOrder(Operation *op, tile::ReductionKind kind,
                                 Value tile) {
  bool compares =
      kind == tile::ReductionKind::max || kind == tile::ReductionKind::min;
  if (!compares ||
      !getElementTypeOrSelf(op->getResult(0).getType()).isUnsignedInteger())
    return tile;
  auto type = cast<RankedTensorType>(tile.getType());
  APInt bit = APInt::getSignMask(type.getElementTypeBitWidth());
  Value mask = splat(type.getShape(),
                     builder.getIntegerAttr(type.getElementType(), bit));
  return arith::XOrIOp::create(builder, loc, tile, mask);
}

Value BlockEmitter::emitReduce(ReduceOp op, const BlockBox &box) {
  if (op.getDims().empty())
    return emit(op.getInput(), box);
  BlockBox source = reducedBox(op, box);
  int64_t elements = 1;
  for (int64_t size : source.sizes)
    elements *= size;
  Value result;
  if (elements <= sizes.reduceElements) {
    Value tile = emit(op.getInput(), source);
    if (tile)
      result = reduceTile(
          op, flipForOrder(op, toTileKind(op.getKind()), toF32(tile)));
  } else {
    result = reduceInChunks(op, source);
  }
  if (!result)
    return {};
  result = flipForOrder(op, toTileKind(op.getKind()), result);
  Type type = getElementTypeOrSelf(op.getType());
  if (isa<FloatType>(type))
    result = fromF32(result, type);
  return reshape(result, box.sizes);
}

/// Over all reduced dimensions of one tile.
Value BlockEmitter::reduceTile(ReduceOp op, Value tile) {
  for (int64_t dim : llvm::reverse(op.getDims()))
    tile = reduce(toTileKind(op.getKind()), tile, dim);
  return tile;
}

/// In chunks of one reduced dimension, the others whole: of the outermost one
/// whose entries are small enough, so that memory is read in its order, or of
/// the longest. What is left at its end is a chunk of its own. Null, with a
/// diagnostic, when the input cannot be emitted.
Value BlockEmitter::reduceInChunks(ReduceOp op, BlockBox source) {
  int64_t elements = 1;
  for (int64_t size : source.sizes)
    elements *= size;
  int64_t dim = *llvm::max_element(op.getDims(), [&](int64_t a, int64_t b) {
    return source.sizes[a] < source.sizes[b];
  });
  for (int64_t d : llvm::reverse(op.getDims()))
    if (source.sizes[d] > 1 &&
        elements / source.sizes[d] <= sizes.reduceElements)
      dim = d;
  int64_t length = source.sizes[dim], perStep = elements / length;
  int64_t chunk =
      chooseChunk(length, std::max<int64_t>(1, sizes.reduceElements / perStep));
  SmallVector<int64_t> partialShape(source.sizes);
  for (int64_t d : op.getDims())
    partialShape[d] = 1;
  tile::ReductionKind kind = toTileKind(op.getKind());
  TypedAttr neutral = tile::neutralElement(
      kind, accumulatorType(getElementTypeOrSelf(op.getType())));
  bool failedInside = false;
  auto combineWith = [&](Value total, Value position, int64_t size) -> Value {
    source.offsets[dim] = position;
    source.sizes[dim] = size;
    Value tile = emit(op.getInput(), source);
    if (!tile) {
      failedInside = true;
      return total;
    }
    tile = flipForOrder(op, kind, toF32(tile));
    return tile::combine(builder, loc, kind, total, reduceTile(op, tile));
  };
  int64_t whole = length / chunk * chunk;
  Value total =
      forLoop(whole, chunk, splat(partialShape, neutral),
              [&](Value position, ValueRange carried) -> SmallVector<Value> {
                return {combineWith(carried[0], position, chunk)};
              })[0];
  if (whole < length)
    total = combineWith(total, constantIndex(whole), length - whole);
  return failedInside ? Value() : total;
}

Value BlockEmitter::emitSoftmax(SoftmaxOp op, const BlockBox &box) {
  Value input = emit(op.getInput(), box);
  if (!input)
    return {};
  Value x = toF32(input);
  int64_t dim = op.getDim();
  Value most = broadcastTo(reduceToMost(x, dim), box.sizes);
  Value shifted = arith::SubFOp::create(builder, loc, x, most);
  Value e = math::ExpOp::create(builder, loc, shifted);
  Value sum = broadcastTo(reduce(tile::ReductionKind::sum, e, dim), box.sizes);
  Value result = arith::DivFOp::create(builder, loc, e, sum);
  return fromF32(result, getElementTypeOrSelf(op.getType()));
}

Value BlockEmitter::emitLayerNorm(LayerNormOp op, const BlockBox &box) {
  size_t dim = box.sizes.size() - 1;
  BlockBox columns = {{box.offsets[dim]}, {box.sizes[dim]}};
  Value input = emit(op.getInput(), box), scale = emit(op.getScale(), columns),
        bias = emit(op.getBias(), columns);
  if (!input || !scale || !bias)
    return {};
  Value x = toF32(input);
  Type type = getElementTypeOrSelf(x.getType());
  SmallVector<int64_t> rows(box.sizes), row(box.sizes.size(), 1);
  rows[dim] = 1;
  row[dim] = box.sizes[dim];
  Value perColumn = splatNumber(rows, type, 1.0 / box.sizes[dim]);
  auto mean = [&](Value tile) -> Value {
    return arith::MulFOp::create(
        builder, loc, reduce(tile::ReductionKind::sum, tile, dim), perColumn);
  };
  auto across = [&](Value tile) {
    return broadcastTo(reshape(toF32(tile), row), box.sizes);
  };
  Value centred =
      arith::SubFOp::create(builder, loc, x, broadcastTo(mean(x), box.sizes));
  Value square = arith::MulFOp::create(builder, loc, centred, centred);
  Value epsilon = splatNumber(rows, type, op.getEpsilon().convertToDouble());
  Value variance = arith::AddFOp::create(builder, loc, mean(square), epsilon);
  Value inverse = math::RsqrtOp::create(builder, loc, variance);
  Value result = arith::MulFOp::create(builder, loc, centred,
                                       broadcastTo(inverse, box.sizes));
  result = arith::MulFOp::create(builder, loc, result, across(scale));
  result = arith::AddFOp::create(builder, loc, result, across(bias));
  return fromF32(result, getElementTypeOrSelf(op.getType()));
}

Value BlockEmitter::emitRmsNorm(RmsNormOp op, const BlockBox &box) {
  size_t dim = box.sizes.size() - 1;
  BlockBox columns = {{box.offsets[dim]}, {box.sizes[dim]}};
  Value input = emit(op.getInput(), box), scale = emit(op.getScale(), columns);
  if (!input || !scale)
    return {};
  Value x = toF32(input);
  Type type = getElementTypeOrSelf(x.getType());
  SmallVector<int64_t> rows(box.sizes), row(box.sizes.size(), 1);
  rows[dim] = 1;
  row[dim] = box.sizes[dim];
  Value square = arith::MulFOp::create(builder, loc, x, x);
  Value mean = arith::MulFOp::create(
      builder, loc, reduce(tile::ReductionKind::sum, square, dim),
      splatNumber(rows, type, 1.0 / box.sizes[dim]));
  Value epsilon = splatNumber(rows, type, op.getEpsilon().convertToDouble());
  Value inverse = math::RsqrtOp::create(
      builder, loc, arith::AddFOp::create(builder, loc, mean, epsilon));
  Value result =
      arith::MulFOp::create(builder, loc, x, broadcastTo(inverse, box.sizes));
  result = arith::MulFOp::create(
      builder, loc, result, broadcastTo(reshape(toF32(scale), row), box.sizes));
  return fromF32(result, getElementTypeOrSelf(op.getType()));
}

Value BlockEmitter::emitNormTangent(NormTangentOp op, const BlockBox &box) {
  size_t dim = box.sizes.size() - 1;
  Value change = emit(op.getChange(), box), input = emit(op.getInput(), box);
  if (!change || !input)
    return {};
  Value d = toF32(change), x = toF32(input);
  Type type = getElementTypeOrSelf(d.getType());
  SmallVector<int64_t> rows(box.sizes);
  rows[dim] = 1;
  Value perColumn = splatNumber(rows, type, 1.0 / box.sizes[dim]);
  auto mean = [&](Value tile) -> Value {
    return arith::MulFOp::create(
        builder, loc, reduce(tile::ReductionKind::sum, tile, dim), perColumn);
  };
  auto less = [&](Value tile, Value row) -> Value {
    return arith::SubFOp::create(builder, loc, tile,
                                 broadcastTo(row, box.sizes));
  };
  auto times = [&](Value a, Value b) -> Value {
    return arith::MulFOp::create(builder, loc, a, broadcastTo(b, box.sizes));
  };
  if (op.getCentred())
    x = less(x, mean(x));
  Value epsilon = splatNumber(rows, type, op.getEpsilon().convertToDouble());
  Value rate = math::RsqrtOp::create(
      builder, loc,
      arith::AddFOp::create(builder, loc, mean(times(x, x)), epsilon));
  Value normal = times(x, rate);
  Value result = arith::SubFOp::create(builder, loc, d,
                                       times(normal, mean(times(normal, d))));
  if (op.getCentred())
    result = less(result, mean(d));
  return fromF32(times(result, rate), getElementTypeOrSelf(op.getType()));
}
