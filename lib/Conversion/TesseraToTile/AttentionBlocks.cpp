// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Attention: a loop over chunks of the keys with an online softmax (Milakov and
// Gimelshein 2018; FlashAttention, Dao 2022). Chunks that a causal mask hides
// from all queries of the block are left out.
#include "AttentionScores.h"

using namespace mlir;
using namespace tessera;

/// A block of the result is [1, queries, 1, valueSize]: of one batch element
/// and one head.
class BlockEmitter::AttentionBlock {
public:
  /// `op` is attention or attention_logsumexp; `value` may be null.
  template <typename Op>
  AttentionBlock(BlockEmitter &emitter, Op op, Value value, const BlockBox &box)
      : scores(emitter, op), emitter(emitter), builder(emitter.builder),
        loc(op.getLoc()), value(value), firstQuery(box.offsets[1]),
        firstColumn(box.offsets[3]), queries(box.sizes[1]),
        valueSize(box.sizes[3]),
        chunk(chooseChunks(emitter.sizes, op, value).keys),
        keysFirst(queries >= emitter.sizes.attentionFixedColumns) {
    scores.batch = box.offsets[0];
    scores.head = scores.keyHead = box.offsets[2];
    // Heads of the query share those of key and value in groups.
    if (scores.group != 1)
      scores.keyHead = arith::DivUIOp::create(
          builder, loc, scores.head, emitter.constantIndex(scores.group));
  }

  /// What the keys give: sum of e^(score - most) value, [queries, E], null
  /// without values; the largest score and the sum of e^(score - most),
  /// [queries, 1], or [1, queries] where keys are first.
  struct State {
    Value acc, most, sum;
  };

  /// None, with a diagnostic, when an operand cannot be emitted.
  std::optional<State> overAllKeys();
  Value toResult(const State &state, Type elementType);
  Value toLogsumexp(const State &state);

private:
  Value loadValue(Value position);
  std::optional<State> advance(Value position, std::optional<State> before,
                               bool isVisible = false);
  std::optional<State> overKeys(Value begin, Value end, const State &before,
                                bool isVisible);
  State fromCarried(ValueRange carried) {
    return {value ? carried[2] : Value(), carried[0], carried[1]};
  }
  SmallVector<Value> toCarried(const State &state) {
    SmallVector<Value> carried = {state.most, state.sum};
    if (value)
      carried.push_back(state.acc);
    return carried;
  }

  Value number(ArrayRef<int64_t> shape, double value) {
    return scores.number(shape, value);
  }
  /// A number a query, for all its scores, or for `columns` of its result.
  Value perScore(Value numbers) {
    return emitter.broadcastTo(numbers, keysFirst ? ArrayRef({chunk, queries})
                                                  : ArrayRef({queries, chunk}));
  }
  Value perRow(Value numbers, int64_t columns) {
    return emitter.broadcastTo(emitter.reshape(numbers, {queries, 1}),
                               {queries, columns});
  }
  SmallVector<int64_t> shapeOfNumbers() const {
    return keysFirst ? SmallVector<int64_t>{1, queries}
                     : SmallVector<int64_t>{queries, 1};
  }

  AttentionScores scores;
  BlockEmitter &emitter;
  OpBuilder &builder;
  Location loc;
  Value value, firstQuery, firstColumn;
  int64_t queries, valueSize, chunk;
  bool keysFirst;     ///< The scores are [keys, queries].
  Value queryColumns; ///< If keys are first: transposed.
};

Value BlockEmitter::AttentionBlock::loadValue(Value position) {
  Value tile = emitter.emit(
      value, {{scores.batch, position, scores.keyHead, firstColumn},
              {1, chunk, 1, valueSize}});
  return tile ? emitter.toF32(emitter.reshape(tile, {chunk, valueSize})) : tile;
}

/// The state after the chunk of keys at `position`: the new maximum rescales
/// what was summed before, if anything was.
std::optional<BlockEmitter::AttentionBlock::State>
BlockEmitter::AttentionBlock::advance(Value position,
                                      std::optional<State> before,
                                      bool isVisible) {
  AttentionScores::Place place{firstQuery, position, queries, chunk, keysFirst};
  place.isVisible = isVisible;
  place.columns = queryColumns;
  Value block = scores.emit(place);
  int64_t keyDim = keysFirst ? 0 : 1;
  Value values = value ? loadValue(position) : Value();
  if (!block || (value && !values))
    return std::nullopt;
  State after;
  after.most = emitter.reduceToMost(block, keyDim);
  if (before)
    after.most =
        arith::MaximumFOp::create(builder, loc, before->most, after.most);
  // Where all scores are -inf so far, subtract 0: e^-inf is 0, not NaN.
  Value shift = scores.finite(after.most);
  Value weights = scores.exp(scores.sub(block, perScore(shift)));
  after.sum = emitter.reduce(tile::ReductionKind::sum, weights, keyDim);
  Value acc = value ? number({queries, valueSize}, 0) : Value();
  if (before) {
    Value rescale = scores.exp(scores.sub(before->most, shift));
    after.sum = scores.add(scores.mul(before->sum, rescale), after.sum);
    if (value)
      acc = scores.mul(before->acc, perRow(rescale, valueSize));
  }
  if (value)
    after.acc = scores.dot(
        keysFirst ? emitter.transpose(weights, {1, 0}) : weights, values, acc,
        scores.visible(place, /*isOfResult=*/false, keysFirst));
  return after;
}

std::optional<BlockEmitter::AttentionBlock::State>
BlockEmitter::AttentionBlock::overAllKeys() {
  Value zero = emitter.constantIndex(0);
  // All chunks read the same queries.
  Value rows = scores.rows(scores.query, firstQuery, queries, scores.head);
  if (!rows)
    return std::nullopt;
  if (keysFirst)
    queryColumns = scores.scoreColumnsOf(rows);
  if (chunk == scores.length)
    return advance(zero, std::nullopt);
  Value end = emitter.constantIndex(scores.length);
  if (scores.isCausal)
    end = scores.endOfKeys(emitter.addIndex(firstQuery, queries));
  State none = {value ? number({queries, valueSize}, 0) : Value(),
                number(shapeOfNumbers(), AttentionScores::minusInfinity),
                number(shapeOfNumbers(), 0)};
  if (!scores.isCausal || !keysFirst)
    return overKeys(zero, end, none, /*isVisible=*/false);
  // Most chunks have nothing to hide.
  Value middle = scores.endOfAllKeys(firstQuery, chunk);
  auto before = overKeys(zero, middle, none, /*isVisible=*/true);
  return before ? overKeys(middle, end, *before, /*isVisible=*/false)
                : std::nullopt;
}

std::optional<BlockEmitter::AttentionBlock::State>
BlockEmitter::AttentionBlock::overKeys(Value begin, Value end,
                                       const State &state, bool isVisible) {
  bool failedInside = false;
  SmallVector<Value> results = emitter.forLoop(
      {begin, end, emitter.constantIndex(chunk)}, toCarried(state),
      [&](Value position, ValueRange carried) -> SmallVector<Value> {
        std::optional<State> after =
            advance(position, fromCarried(carried), isVisible);
        if (after)
          return toCarried(*after);
        failedInside = true;
        return llvm::to_vector(carried);
      });
  if (failedInside)
    return std::nullopt;
  return fromCarried(results);
}

/// acc / sum; a row without a visible key gives 0. There acc may be anything:
/// a weight of 0 times an infinite value is NaN.
Value BlockEmitter::AttentionBlock::toResult(const State &state,
                                             Type elementType) {
  Value inverse = arith::DivFOp::create(builder, loc,
                                        number(shapeOfNumbers(), 1), state.sum);
  Value result = scores.mul(state.acc, perRow(inverse, valueSize));
  Value zeros = number({queries, valueSize}, 0);
  Value isEmpty = arith::CmpFOp::create(builder, loc, arith::CmpFPredicate::OEQ,
                                        perRow(state.sum, valueSize), zeros);
  result = arith::SelectOp::create(builder, loc, isEmpty, zeros, result);
  return emitter.fromF32(emitter.reshape(result, {1, queries, 1, valueSize}),
                         elementType);
}

/// most + log(sum), -inf for a row without a visible key, [1, 1, queries].
Value BlockEmitter::AttentionBlock::toLogsumexp(const State &state) {
  Value log = math::LogOp::create(builder, loc, state.sum);
  return emitter.reshape(scores.add(scores.finite(state.most), log),
                         {1, 1, queries});
}

int64_t BlockEmitter::headElements(Value query, Value value) {
  int64_t size = shapeOf(query)[3];
  return value ? std::max(size, shapeOf(value)[3]) : size;
}

Value BlockEmitter::emitAttention(AttentionOp op, const BlockBox &box) {
  AttentionBlock block(*this, op, op.getValue(), box);
  auto state = block.overAllKeys();
  return state ? block.toResult(*state, getElementTypeOrSelf(op.getType()))
               : Value();
}

std::optional<BlockEmitter::AttentionTiles>
BlockEmitter::emitAttention(AttentionLogsumexpOp op, Value value,
                            const BlockBox &box) {
  loc = op.getLoc();
  AttentionBlock block(*this, op, value, box);
  auto state = block.overAllKeys();
  if (!state)
    return std::nullopt;
  AttentionTiles tiles;
  if (value)
    tiles.result = block.toResult(*state, getElementTypeOrSelf(value));
  tiles.logsumexp = block.toLogsumexp(*state);
  return tiles;
}
