// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Attention: a loop over chunks of the keys with an online softmax (Milakov and
// Gimelshein 2018; FlashAttention, Dao 2022).
#include "BlockEmitter.h"

#include <limits>

using namespace mlir;
using namespace tessera;

/// A block of the result is [1, queries, 1, valueSize]: of one batch element
/// and one head.
class BlockEmitter::AttentionBlock {
public:
  AttentionBlock(BlockEmitter &emitter, AttentionOp op, const BlockBox &box);

  Value emit();

private:
  /// What the keys so far give: sum of e^(score - most) value, [queries, E];
  /// the largest score and the sum of e^(score - most), [queries, 1].
  struct State {
    Value acc, most, sum;
  };

  Value loadQuery();
  Value loadKey(Value position);
  Value loadValue(Value position);
  Value scoresAt(Value position);
  Value addBias(Value scores, Value position);
  Value mask(Value scores, Value position);
  std::optional<State> advance(Value position, std::optional<State> before);
  std::optional<State> overAllKeys();
  Value toResult(const State &state);

  Value number(ArrayRef<int64_t> shape, double value) {
    return emitter.splatNumber(shape, sumType, value);
  }
  Value perRow(Value column, int64_t columns) {
    return emitter.broadcastTo(column, {queries, columns});
  }
  Value add(Value a, Value b) {
    return arith::AddFOp::create(builder, loc, a, b);
  }
  Value sub(Value a, Value b) {
    return arith::SubFOp::create(builder, loc, a, b);
  }
  Value mul(Value a, Value b) {
    return arith::MulFOp::create(builder, loc, a, b);
  }
  Value exp(Value a) { return math::ExpOp::create(builder, loc, a); }

  static constexpr double minusInfinity =
      -std::numeric_limits<double>::infinity();

  BlockEmitter &emitter;
  OpBuilder &builder;
  Location loc;
  AttentionOp op;
  Value batch, firstQuery, head, keyHead, firstColumn, zero, query;
  int64_t queries, valueSize, headSize, length, chunk;
  Type sumType;
};

BlockEmitter::AttentionBlock::AttentionBlock(BlockEmitter &emitter,
                                             AttentionOp op,
                                             const BlockBox &box)
    : emitter(emitter), builder(emitter.builder), loc(op.getLoc()), op(op),
      batch(box.offsets[0]), firstQuery(box.offsets[1]), head(box.offsets[2]),
      keyHead(head), firstColumn(box.offsets[3]),
      zero(emitter.constantIndex(0)), queries(box.sizes[1]),
      valueSize(box.sizes[3]), headSize(shapeOf(op.getQuery())[3]),
      length(shapeOf(op.getKey())[1]),
      chunk(chooseChunk(length, attentionRows(emitter.sizes,
                                              emitter.sizes.attentionKeys,
                                              headElements(op)))),
      sumType(emitter.accumulatorType(getElementTypeOrSelf(op.getType()))) {
  // Heads of the query share those of key and value in groups.
  int64_t group = shapeOf(op.getQuery())[2] / shapeOf(op.getKey())[2];
  if (group != 1)
    keyHead = arith::DivUIOp::create(builder, loc, head,
                                     emitter.constantIndex(group));
}

Value BlockEmitter::AttentionBlock::loadQuery() {
  Value tile = emitter.emit(op.getQuery(), {{batch, firstQuery, head, zero},
                                            {1, queries, 1, headSize}});
  return tile ? emitter.reshape(tile, {queries, headSize}) : tile;
}

/// Transposed: [headSize, chunk].
Value BlockEmitter::AttentionBlock::loadKey(Value position) {
  Value tile = emitter.emit(
      op.getKey(), {{batch, position, keyHead, zero}, {1, chunk, 1, headSize}});
  if (!tile)
    return {};
  return emitter.transpose(emitter.reshape(tile, {chunk, headSize}), {1, 0});
}

Value BlockEmitter::AttentionBlock::loadValue(Value position) {
  Value tile =
      emitter.emit(op.getValue(), {{batch, position, keyHead, firstColumn},
                                   {1, chunk, 1, valueSize}});
  return tile ? emitter.reshape(tile, {chunk, valueSize}) : tile;
}

/// Of all queries with the chunk of keys at `position`; -inf where a query does
/// not see a key.
Value BlockEmitter::AttentionBlock::scoresAt(Value position) {
  Value key = loadKey(position);
  if (!key)
    return {};
  Value scores = tile::DotOp::create(
      builder, loc, emitter.tileType({queries, chunk}, sumType), query, key,
      number({queries, chunk}, 0));
  scores =
      mul(scores, number({queries, chunk}, op.getScale().convertToDouble()));
  scores = addBias(scores, position);
  return scores ? mask(scores, position) : scores;
}

Value BlockEmitter::AttentionBlock::addBias(Value scores, Value position) {
  Value bias = op.getBias();
  if (!bias)
    return scores;
  ArrayRef<int64_t> shape = shapeOf(bias);
  BlockBox source = {{shape[0] == 1 ? zero : batch, shape[1] == 1 ? zero : head,
                      shape[2] == 1 ? zero : firstQuery, position},
                     {1, 1, shape[2] == 1 ? 1 : queries, chunk}};
  Value tile = emitter.emit(bias, source);
  if (!tile)
    return {};
  tile = emitter.reshape(emitter.toF32(tile), {source.sizes[2], chunk});
  return add(scores, perRow(tile, chunk));
}

Value BlockEmitter::AttentionBlock::mask(Value scores, Value position) {
  SmallVector<int64_t> shape = {queries, chunk};
  Value hidden = number(shape, minusInfinity);
  if (length % chunk != 0) {
    Value inside = emitter.insideAlong(shape, 1, position, length);
    scores = arith::SelectOp::create(builder, loc, inside, scores, hidden);
  }
  if (op.getCausal()) {
    // The last query sees all keys.
    int64_t ahead = length - shapeOf(op.getQuery())[1];
    Value keyIndex = emitter.indicesAlong(shape, 1, position);
    Value lastVisible =
        emitter.indicesAlong(shape, 0, emitter.addIndex(firstQuery, ahead));
    if (keyIndex.getType() != lastVisible.getType()) {
      keyIndex = emitter.toI64(keyIndex);
      lastVisible = emitter.toI64(lastVisible);
    }
    Value isVisible = arith::CmpIOp::create(
        builder, loc, arith::CmpIPredicate::sle, keyIndex, lastVisible);
    scores = arith::SelectOp::create(builder, loc, isVisible, scores, hidden);
  }
  return scores;
}

/// The state after the chunk of keys at `position`: the new maximum rescales
/// what was summed before, if anything was. None, with a diagnostic, when an
/// operand cannot be emitted.
std::optional<BlockEmitter::AttentionBlock::State>
BlockEmitter::AttentionBlock::advance(Value position,
                                      std::optional<State> before) {
  Value scores = scoresAt(position);
  Value value = loadValue(position);
  if (!scores || !value)
    return std::nullopt;
  State after;
  after.most = emitter.reduce(tile::ReductionKind::max, scores, 1);
  if (before)
    after.most =
        arith::MaximumFOp::create(builder, loc, before->most, after.most);
  // Where all scores are -inf so far, subtract 0: e^-inf is 0, not NaN.
  Value isEmpty =
      arith::CmpFOp::create(builder, loc, arith::CmpFPredicate::OEQ, after.most,
                            number({queries, 1}, minusInfinity));
  Value shift = arith::SelectOp::create(builder, loc, isEmpty,
                                        number({queries, 1}, 0), after.most);
  Value weights = exp(sub(scores, perRow(shift, chunk)));
  after.sum = emitter.reduce(tile::ReductionKind::sum, weights, 1);
  Value acc = number({queries, valueSize}, 0);
  if (before) {
    Value rescale = exp(sub(before->most, shift));
    after.sum = add(mul(before->sum, rescale), after.sum);
    acc = mul(before->acc, perRow(rescale, valueSize));
  }
  after.acc = tile::DotOp::create(builder, loc, acc.getType(), weights,
                                  emitter.toF32(value), acc);
  return after;
}

std::optional<BlockEmitter::AttentionBlock::State>
BlockEmitter::AttentionBlock::overAllKeys() {
  if (chunk == length)
    return advance(zero, std::nullopt);
  bool failedInside = false;
  SmallVector<Value> results = emitter.forLoop(
      length, chunk,
      {number({queries, valueSize}, 0), number({queries, 1}, minusInfinity),
       number({queries, 1}, 0)},
      [&](Value position, ValueRange carried) -> SmallVector<Value> {
        std::optional<State> after =
            advance(position, State{carried[0], carried[1], carried[2]});
        if (after)
          return {after->acc, after->most, after->sum};
        failedInside = true;
        return llvm::to_vector(carried);
      });
  if (failedInside)
    return std::nullopt;
  return State{results[0], results[1], results[2]};
}

/// acc / sum; a row without a visible key gives 0. There acc may be anything:
/// a weight of 0 times an infinite value is NaN.
Value BlockEmitter::AttentionBlock::toResult(const State &state) {
  Value inverse =
      arith::DivFOp::create(builder, loc, number({queries, 1}, 1), state.sum);
  Value result = mul(state.acc, perRow(inverse, valueSize));
  Value zeros = number({queries, valueSize}, 0);
  Value isEmpty = arith::CmpFOp::create(builder, loc, arith::CmpFPredicate::OEQ,
                                        perRow(state.sum, valueSize), zeros);
  result = arith::SelectOp::create(builder, loc, isEmpty, zeros, result);
  return emitter.fromF32(emitter.reshape(result, {1, queries, 1, valueSize}),
                         getElementTypeOrSelf(op.getType()));
}

Value BlockEmitter::AttentionBlock::emit() {
  query = loadQuery();
  if (!query)
    return {};
  std::optional<State> state = overAllKeys();
  return state ? toResult(*state) : Value();
}

int64_t BlockEmitter::headElements(AttentionOp op) {
  return std::max(shapeOf(op.getQuery())[3], shapeOf(op.getValue())[3]);
}

Value BlockEmitter::emitAttention(AttentionOp op, const BlockBox &box) {
  return AttentionBlock(*this, op, box).emit();
}
