// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Reductions and what is built on them: whole rows of a block at a time.
#include "BlockEmitter.h"

using namespace mlir;
using namespace tessera;

static StringRef nameOf(dist::ReductionKind kind) {
  switch (kind) {
  case dist::ReductionKind::sum:
    return "sum";
  case dist::ReductionKind::max:
    return "max";
  case dist::ReductionKind::min:
    return "min";
  case dist::ReductionKind::prod:
    return "prod";
  }
  return "sum";
}

static TypedAttr neutralOf(StringRef kind, Type type) {
  if (kind == "sum" || kind == "prod") {
    int64_t value = kind == "prod";
    if (isa<FloatType>(type))
      return FloatAttr::get(type, static_cast<double>(value));
    return IntegerAttr::get(type, value);
  }
  bool isMax = kind == "max";
  if (auto floatType = dyn_cast<FloatType>(type))
    return FloatAttr::get(
        type, APFloat::getInf(floatType.getFloatSemantics(), isMax));
  unsigned width = type.getIntOrFloatBitWidth();
  return IntegerAttr::get(type, isMax ? APInt::getSignedMinValue(width)
                                      : APInt::getSignedMaxValue(width));
}

Value BlockEmitter::emitReduce(ReduceOp op, const BlockBox &box) {
  StringRef kind = nameOf(op.getKind());
  SmallVector<int64_t> shape = shapeOf1(op.getInput());
  Type type = getElementTypeOrSelf(op.getType());
  // The block of the input: whole along the reduced dimensions.
  BlockBox source;
  size_t next = 0;
  int64_t kept = 1, reduced = 1;
  for (size_t d = 0; d < shape.size(); ++d) {
    bool isReduced = llvm::is_contained(op.getDims(), static_cast<int64_t>(d));
    if (isReduced) {
      source.offsets.push_back(constantIndex(0));
      source.sizes.push_back(shape[d]);
      reduced *= shape[d];
    } else {
      source.offsets.push_back(box.offsets[next]);
      source.sizes.push_back(box.sizes[next++]);
      kept *= source.sizes.back();
    }
  }
  if (op.getDims().empty())
    return emit(op.getInput(), box);

  // Tiles compare as signed numbers; with the upper bit flipped that is the
  // order of unsigned ones.
  bool flips = type.isUnsignedInteger() && (kind == "max" || kind == "min");
  auto flip = [&](Value tile) -> Value {
    if (!flips)
      return tile;
    auto tileType = cast<RankedTensorType>(tile.getType());
    APInt bit = APInt::getSignMask(tileType.getElementTypeBitWidth());
    Value mask = splat(tileType.getShape(),
                       builder.getIntegerAttr(tileType.getElementType(), bit));
    return arith::XOrIOp::create(builder, loc, tile, mask);
  };
  // Over all reduced dimensions of one tile, in f32 for narrower floats.
  auto reduceTile = [&](Value tile) {
    tile = toF32(tile);
    for (int64_t dim : llvm::reverse(op.getDims()))
      tile = reduce(kind, tile, dim);
    return tile;
  };
  auto finish = [&](Value tile) {
    tile = flip(tile);
    if (isa<FloatType>(type))
      tile = fromF32(tile, type);
    return reshape(tile, box.sizes);
  };
  if (kept * reduced <= sizes.reduceElements) {
    Value tile = emit(op.getInput(), source);
    return tile ? finish(reduceTile(flip(tile))) : Value();
  }

  // Chunks of the longest reduced dimension, the others whole.
  int64_t dim = op.getDims()[0];
  for (int64_t d : op.getDims())
    if (shape[d] > shape[dim])
      dim = d;
  int64_t perStep = kept * reduced / shape[dim];
  int64_t chunk = chooseChunk(
      shape[dim], std::max<int64_t>(1, sizes.reduceElements / perStep));
  SmallVector<int64_t> partialShape(source.sizes);
  for (int64_t d : op.getDims())
    partialShape[d] = 1;
  Type accType = isa<FloatType>(type) && type.getIntOrFloatBitWidth() < 32
                     ? builder.getF32Type()
                     : type;
  source.sizes[dim] = chunk;
  bool failedInside = false;
  Value total = forLoop(
      shape[dim], chunk, splat(partialShape, neutralOf(kind, accType)),
      [&](Value position, ValueRange carried) -> SmallVector<Value> {
        BlockBox part = source;
        part.offsets[dim] = position;
        Value tile = emit(op.getInput(), part);
        if (!tile) {
          failedInside = true;
          return {carried[0]};
        }
        tile = flip(toF32(tile));
        if (shape[dim] % chunk != 0) {
          Value inside = insideAlong(part.sizes, dim, position, shape[dim]);
          Value neutral = splat(part.sizes, neutralOf(kind, accType));
          tile = arith::SelectOp::create(builder, loc, inside, tile, neutral);
        }
        Value partial = reduceTile(tile);
        bool isFloat = isa<FloatType>(accType);
        auto combine = [&](auto floatOp, auto intOp) -> Value {
          if (isFloat)
            return decltype(floatOp)::create(builder, loc, carried[0], partial);
          return decltype(intOp)::create(builder, loc, carried[0], partial);
        };
        if (kind == "sum")
          return {combine(arith::AddFOp(), arith::AddIOp())};
        if (kind == "max")
          return {combine(arith::MaximumFOp(), arith::MaxSIOp())};
        if (kind == "min")
          return {combine(arith::MinimumFOp(), arith::MinSIOp())};
        return {combine(arith::MulFOp(), arith::MulIOp())};
      })[0];
  return failedInside ? Value() : finish(total);
}

Value BlockEmitter::emitSoftmax(SoftmaxOp op, const BlockBox &box) {
  Value input = emit(op.getInput(), box);
  if (!input)
    return {};
  Value x = toF32(input);
  int64_t dim = op.getDim();
  Value most = broadcastTo(reduce("max", x, dim), box.sizes);
  Value shifted = arith::SubFOp::create(builder, loc, x, most);
  Value e = math::ExpOp::create(builder, loc, shifted);
  Value sum = broadcastTo(reduce("sum", e, dim), box.sizes);
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
    return arith::MulFOp::create(builder, loc, reduce("sum", tile, dim),
                                 perColumn);
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
  Value mean =
      arith::MulFOp::create(builder, loc, reduce("sum", square, dim),
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
