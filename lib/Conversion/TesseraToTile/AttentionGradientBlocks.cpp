// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Gradients of attention: for each chunk of keys a loop over the queries that
// see it, which computes their scores again (Dao, FlashAttention-2, ICLR 2024).
// Five products a pair of chunks; gradients of keys and values stay in the
// core, those of queries are added up in memory, one chunk of keys after the
// other.
#include "AttentionScores.h"

using namespace mlir;
using namespace tessera;

/// The block is of one batch element and one key head.
class BlockEmitter::AttentionGradientBlock {
public:
  AttentionGradientBlock(BlockEmitter &emitter, AttentionGradientOp op,
                         const AttentionGradients &outputs, Value batch,
                         Value keyHead);

  bool emit();

private:
  /// Gradients of the chunk's keys and values so far, those that are wanted.
  using Carried = SmallVector<Value>;

  bool chunkOfKeys(Value position);
  Carried overQueries(Value position, ValueRange before);
  Carried chunkOfQueries(Value position, Value firstKey, ValueRange before);
  Value row(Value source, Value position);
  void addToQueries(Value change, Value firstQuery);
  Carried fail(ValueRange carried) {
    hasFailed = true;
    return llvm::to_vector(carried);
  }

  AttentionScores scores;
  BlockEmitter &emitter;
  OpBuilder &builder;
  Location loc;
  AttentionGradientOp op;
  AttentionGradients outputs;
  int64_t headSize, valueSize, queries, keys;
  Value keyColumns; ///< The chunk's keys, transposed.
  bool hasFailed = false;
};

/// Rows of a chunk: more of its tiles are alive at a time than in attention.
static int64_t gradientRows(TileSizes sizes, int64_t most, int64_t elements) {
  sizes.attentionElements /= 4;
  return attentionRows(sizes, most, elements);
}

BlockEmitter::AttentionGradientBlock::AttentionGradientBlock(
    BlockEmitter &emitter, AttentionGradientOp op,
    const AttentionGradients &outputs, Value batch, Value keyHead)
    : scores(emitter, op), emitter(emitter), builder(emitter.builder),
      loc(op.getLoc()), op(op), outputs(outputs),
      headSize(shapeOf(op.getQuery())[3]),
      valueSize(shapeOf(op.getValue())[3]) {
  scores.batch = batch;
  scores.keyHead = scores.head = keyHead;
  int64_t elements = headElements(op.getQuery(), op.getValue());
  if (scores.sumType.isF64())
    elements *= 2;
  queries = chooseChunk(
      scores.queries,
      gradientRows(emitter.sizes, emitter.sizes.attentionQueries, elements));
  keys = chooseChunk(
      scores.length,
      gradientRows(emitter.sizes, emitter.sizes.attentionKeys, elements));
}

bool BlockEmitter::AttentionGradientBlock::emit() {
  emitter.forLoop(scores.length, keys, {},
                  [&](Value position, ValueRange) -> SmallVector<Value> {
                    hasFailed |= !chunkOfKeys(position);
                    return {};
                  });
  return !hasFailed;
}

bool BlockEmitter::AttentionGradientBlock::chunkOfKeys(Value position) {
  // What all chunks of queries read is computed before them.
  Value key = scores.rows(op.getKey(), position, keys, scores.keyHead),
        value = scores.rows(op.getValue(), position, keys, scores.keyHead);
  if (!key || !value)
    return false;
  keyColumns = emitter.transpose(emitter.toF32(key), {1, 0});
  Carried sums;
  if (outputs.key)
    sums.push_back(scores.number({keys, headSize}, 0));
  if (outputs.value)
    sums.push_back(scores.number({keys, valueSize}, 0));
  // Heads of the query that share the key head, one after the other.
  if (scores.group == 1) {
    sums = overQueries(position, sums);
  } else {
    Value firstHead = arith::MulIOp::create(
        builder, loc, scores.keyHead, emitter.constantIndex(scores.group));
    sums = emitter.forLoop(
        scores.group, 1, sums, [&](Value head, ValueRange carried) {
          scores.head = arith::AddIOp::create(builder, loc, firstHead, head);
          return overQueries(position, carried);
        });
  }
  auto store = [&](Value sum, Value output) {
    int64_t columns = cast<RankedTensorType>(sum.getType()).getDimSize(1);
    tile::StoreOp::create(builder, loc,
                          emitter.reshape(sum, {1, keys, 1, columns}), output,
                          ValueRange{scores.batch, position, scores.keyHead,
                                     emitter.constantIndex(0)});
  };
  if (outputs.value)
    store(sums.pop_back_val(), outputs.value);
  if (outputs.key)
    store(sums.pop_back_val(), outputs.key);
  return !hasFailed;
}

BlockEmitter::AttentionGradientBlock::Carried
BlockEmitter::AttentionGradientBlock::overQueries(Value position,
                                                  ValueRange before) {
  Value begin = scores.isCausal ? scores.firstQueryOf(position, queries)
                                : emitter.constantIndex(0);
  return emitter.forLoop({begin, emitter.constantIndex(scores.queries),
                          emitter.constantIndex(queries)},
                         before, [&](Value firstQuery, ValueRange carried) {
                           return chunkOfQueries(firstQuery, position, carried);
                         });
}

/// A number a query, along [keys, queries].
Value BlockEmitter::AttentionGradientBlock::row(Value source, Value position) {
  Value tile = emitter.emit(
      source, {{scores.batch, scores.head, position}, {1, 1, queries}});
  return tile ? emitter.reshape(tile, {1, queries}) : tile;
}

BlockEmitter::AttentionGradientBlock::Carried
BlockEmitter::AttentionGradientBlock::chunkOfQueries(Value position,
                                                     Value firstKey,
                                                     ValueRange before) {
  // All of [keys, queries], so that what is added to the keys needs no
  // transposition.
  Value weights =
      scores.emit({position, firstKey, queries, keys, /*keysFirst=*/true});
  Value logsumexp = row(op.getLogsumexp(), position);
  Value cotangent =
      scores.rows(op.getCotangent(), position, queries, scores.head);
  if (!weights || !logsumexp || !cotangent)
    return fail(before);
  auto perKey = [&](Value row) {
    return emitter.broadcastTo(row, {keys, queries});
  };
  weights = scores.exp(scores.sub(weights, perKey(scores.finite(logsumexp))));
  Carried sums = llvm::to_vector(before);
  if (outputs.value)
    sums.back() = scores.dot(weights, emitter.toF32(cotangent), sums.back());
  if (!outputs.query && !outputs.key)
    return sums;

  Value value = scores.rows(op.getValue(), firstKey, keys, scores.keyHead);
  Value mean = row(op.getMean(), position);
  Value query = scores.rows(op.getQuery(), position, queries, scores.head);
  if (!value || !mean || !query)
    return fail(before);
  Value change = scores.dot(value, emitter.transpose(cotangent, {1, 0}));
  change = scores.mul(weights, scores.sub(change, perKey(mean)));
  change = scores.mul(change, scores.number({keys, queries}, scores.scale));
  if (outputs.key)
    sums.front() = scores.dot(change, emitter.toF32(query), sums.front());
  if (outputs.query)
    addToQueries(change, position);
  return sums;
}

/// Adds the product of `change` and the keys to the gradients of the queries,
/// in memory. Of one query and column only this block adds, in this order.
void BlockEmitter::AttentionGradientBlock::addToQueries(Value change,
                                                        Value firstQuery) {
  // Transposed, so that the smaller result is, and not `change`.
  Value sum = scores.dot(keyColumns, change);
  sum = emitter.reshape(emitter.transpose(sum, {1, 0}),
                        {queries, 1, 1, headSize});
  // Queries are the rows that a scatter counts.
  ArrayRef<int64_t> shape = shapeOf(op.getQuery());
  int64_t perQuery = shape[2] * shape[3];
  Value view =
      emitter.viewOf(outputs.query, 0, {shape[1], shape[0], shape[2], shape[3]},
                     {perQuery, shape[1] * perQuery, shape[3], 1});
  tile::ScatterOp::create(
      builder, loc, tile::ScatterKind::add, sum, view,
      emitter.indicesAlong({queries}, 0, firstQuery),
      ValueRange{scores.batch, scores.head, emitter.constantIndex(0)});
}

bool BlockEmitter::emitAttentionGradients(AttentionGradientOp op,
                                          const AttentionGradients &outputs,
                                          Value batch, Value keyHead) {
  loc = op.getLoc();
  return AttentionGradientBlock(*this, op, outputs, batch, keyHead).emit();
}
