// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "AttentionScores.h"

#include <cmath>

using namespace mlir;
using namespace tessera;

Value BlockEmitter::AttentionScores::finite(Value x) {
  ArrayRef<int64_t> shape = cast<RankedTensorType>(x.getType()).getShape();
  Value isEmpty = arith::CmpFOp::create(builder, loc, arith::CmpFPredicate::OEQ,
                                        x, number(shape, minusInfinity));
  return arith::SelectOp::create(builder, loc, isEmpty, number(shape, 0), x);
}

Value BlockEmitter::AttentionScores::exp(Value a) {
  if (!sumType.isF32()) {
    ArrayRef<int64_t> shape = cast<RankedTensorType>(a.getType()).getShape();
    a = arith::MinimumFOp::create(builder, loc, a, number(shape, 0));
  }
  auto exp = math::ExpOp::create(builder, loc, a);
  if (sumType.isF32())
    exp->setAttr(tile::nonPositiveAttrName, builder.getUnitAttr());
  return exp;
}

Value BlockEmitter::AttentionScores::dot(Value lhs, Value rhs, Value acc,
                                         const Triangle &triangle) {
  SmallVector<int64_t> shape = {
      cast<RankedTensorType>(lhs.getType()).getDimSize(0),
      cast<RankedTensorType>(rhs.getType()).getDimSize(1)};
  if (!acc)
    acc = number(shape, 0);
  auto half = [&](bool isHere) {
    return triangle.diagonal && isHere
               ? tile::TriangleAttr::get(builder.getContext(), triangle.half)
               : tile::TriangleAttr();
  };
  return tile::DotOp::create(
      builder, loc, emitter.tileType(shape, sumType), lhs, rhs, acc,
      triangle.diagonal, half(triangle.isOfResult), half(!triangle.isOfResult));
}

BlockEmitter::AttentionScores::Triangle
BlockEmitter::AttentionScores::visible(const Place &place, bool isOfResult,
                                       bool isTurned) {
  if (!isCausal || place.isVisible || !place.columns)
    return {};
  // Query firstQuery + s sees key firstKey + t where t <= s + diagonal.
  Value diagonal =
      arith::SubIOp::create(builder, loc, place.firstQuery, place.firstKey);
  diagonal = emitter.addIndex(diagonal, length - queries);
  bool hasKeysAsRows = place.keysFirst != isTurned;
  return {diagonal,
          hasKeysAsRows ? tile::Triangle::upper : tile::Triangle::lower,
          isOfResult};
}

Value BlockEmitter::AttentionScores::rows(Value source, Value first,
                                          int64_t count, Value atHead) {
  int64_t columns = shapeOf(source)[3];
  Value tile =
      emitter.emit(source, {{batch, first, atHead, emitter.constantIndex(0)},
                            {1, count, 1, columns}});
  return tile ? emitter.reshape(tile, {count, columns}) : tile;
}

Value BlockEmitter::AttentionScores::firstQueryOf(Value position,
                                                  int64_t step) {
  Value zero = emitter.constantIndex(0), by = emitter.constantIndex(step);
  // Query s sees key t where t <= s + length - queries.
  Value first = emitter.addIndex(position, queries - length);
  first = arith::MaxSIOp::create(builder, loc, first, zero);
  first = arith::DivUIOp::create(builder, loc, first, by);
  return arith::MulIOp::create(builder, loc, first, by);
}

Value BlockEmitter::AttentionScores::endOfKeys(Value position) {
  Value end = emitter.addIndex(position, length - queries);
  end = arith::MaxSIOp::create(builder, loc, end, emitter.constantIndex(0));
  return arith::MinSIOp::create(builder, loc, end,
                                emitter.constantIndex(length));
}

Value BlockEmitter::AttentionScores::firstOfAllKeys(Value position,
                                                    int64_t keys,
                                                    int64_t step) {
  Value last = emitter.addIndex(position, keys - 1 + step - 1);
  return arith::MinSIOp::create(
      builder, loc, firstQueryOf(last, step),
      emitter.constantIndex((queries + step - 1) / step * step));
}

Value BlockEmitter::AttentionScores::endOfAllKeys(Value position,
                                                  int64_t step) {
  Value by = emitter.constantIndex(step);
  Value end = endOfKeys(emitter.addIndex(position, 1));
  return arith::MulIOp::create(
      builder, loc, arith::DivUIOp::create(builder, loc, end, by), by);
}

Value BlockEmitter::AttentionScores::scaled(Value tile) {
  ArrayRef<int64_t> shape = cast<RankedTensorType>(tile.getType()).getShape();
  return mul(tile, number(shape, scale));
}

Value BlockEmitter::AttentionScores::columnsOf(Value rows) {
  return emitter.transpose(emitter.toF32(rows), {1, 0});
}

/// Whether a number is a power of two, products with which are exact.
static bool isPowerOfTwo(double number) {
  int exponent;
  return std::abs(std::frexp(number, &exponent)) == 0.5;
}

Value BlockEmitter::AttentionScores::scoreColumnsOf(Value rows) {
  rows = emitter.toF32(rows);
  return columnsOf(isPowerOfTwo(scale) ? scaled(rows) : rows);
}

Value BlockEmitter::AttentionScores::emit(const Place &place) {
  Value q = rows(query, place.firstQuery, place.queries, head),
        k = rows(key, place.firstKey, place.keys, keyHead);
  if (!q || !k)
    return {};
  Value scores;
  if (place.columns) {
    scores = dot(emitter.toF32(place.keysFirst ? k : q), place.columns, {},
                 visible(place, /*isOfResult=*/true));
    if (!isPowerOfTwo(scale))
      scores = scaled(scores);
  } else if (place.keysFirst) {
    scores = scaled(dot(k, emitter.transpose(q, {1, 0})));
  } else {
    scores = scaled(dot(q, emitter.transpose(k, {1, 0})));
  }
  scores = addBias(scores, place);
  return scores ? mask(scores, place) : scores;
}

Value BlockEmitter::AttentionScores::addBias(Value scores, const Place &place) {
  if (!bias)
    return scores;
  ArrayRef<int64_t> shape = shapeOf(bias);
  Value zero = emitter.constantIndex(0);
  BlockBox source = {{shape[0] == 1 ? zero : batch, shape[1] == 1 ? zero : head,
                      shape[2] == 1 ? zero : place.firstQuery, place.firstKey},
                     {1, 1, shape[2] == 1 ? 1 : place.queries, place.keys}};
  Value tile = emitter.emit(bias, source);
  if (!tile)
    return {};
  tile = emitter.reshape(emitter.toF32(tile), {source.sizes[2], place.keys});
  if (place.keysFirst)
    tile = emitter.transpose(tile, {1, 0});
  return add(scores,
             emitter.broadcastTo(
                 tile, cast<RankedTensorType>(scores.getType()).getShape()));
}

Value BlockEmitter::AttentionScores::mask(Value scores, const Place &place) {
  ArrayRef<int64_t> shape = cast<RankedTensorType>(scores.getType()).getShape();
  int64_t keyDim = place.keysFirst ? 0 : 1, queryDim = 1 - keyDim;
  Value hidden = number(shape, minusInfinity);
  auto keep = [&](Value where) {
    scores = arith::SelectOp::create(builder, loc, where, scores, hidden);
  };
  if (length % place.keys != 0 && !place.isVisible)
    keep(emitter.insideAlong(shape, keyDim, place.firstKey, length));
  if (place.sumsQueries && queries % place.queries != 0)
    keep(emitter.insideAlong(shape, queryDim, place.firstQuery, queries));
  if (Value where = visibleMask(shape, place))
    keep(where);
  return scores;
}

Value BlockEmitter::AttentionScores::visibleMask(ArrayRef<int64_t> shape,
                                                 const Place &place) {
  if (!isCausal || place.isVisible)
    return {};
  int64_t keyDim = place.keysFirst ? 0 : 1;
  // The last query sees all keys.
  Value keyIndex = emitter.indicesAlong(shape, keyDim, place.firstKey);
  Value lastVisible = emitter.indicesAlong(
      shape, 1 - keyDim, emitter.addIndex(place.firstQuery, length - queries));
  if (keyIndex.getType() != lastVisible.getType()) {
    keyIndex = emitter.toI64(keyIndex);
    lastVisible = emitter.toI64(lastVisible);
  }
  return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::sle,
                               keyIndex, lastVisible);
}
