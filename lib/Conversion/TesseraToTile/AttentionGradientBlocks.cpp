// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Gradients of attention, whose scores are computed again chunk by chunk (Dao,
// FlashAttention-2, ICLR 2024).
//
// A block that computes all gradients of a key head needs five products a pair
// of chunks: for each chunk of keys it visits the queries that see it.
// Gradients of keys and values stay in the core, those of queries are added up
// in memory, one chunk of keys after the other. Blocks that compute one chunk
// each, of keys or of queries, need seven, and no block needs another's
// results.
#include "AttentionScores.h"

using namespace mlir;
using namespace tessera;

class BlockEmitter::AttentionGradientBlock {
public:
  AttentionGradientBlock(BlockEmitter &emitter, AttentionGradientOp op,
                         const AttentionGradients &outputs,
                         const GradientBlock &block);

  bool ofKeys(Value first);
  bool ofQueries(Value first);

private:
  /// Gradients of the chunk's keys and values so far, those that are wanted.
  using Carried = SmallVector<Value>;

  bool chunkOfKeys(Value firstKey);
  Carried overQueries(Value firstKey, ValueRange before);
  Carried overQueries(Value firstKey, Value begin, Value end, ValueRange before,
                      bool isVisible);
  Carried chunkOfQueries(const AttentionScores::Place &place,
                         ValueRange before);
  Value weightsAt(const AttentionScores::Place &place);
  Value changeAt(const AttentionScores::Place &place, Value weights);
  Value perRow(Value source, const AttentionScores::Place &place,
               bool isFinite = false);
  void addToQueries(Value change, const AttentionScores::Place &place);
  void store(Value sum, Value output, Value first, Value head);
  template <typename T> T fail(T result) {
    hasFailed = true;
    return result;
  }

  AttentionScores scores;
  BlockEmitter &emitter;
  OpBuilder &builder;
  Location loc;
  AttentionGradientOp op;
  AttentionGradients outputs;
  int64_t headSize, valueSize;
  AttentionChunks chunks;
  /// Whether the scores' columns are of what a loop reads in every turn: the
  /// keys, or the queries where these have the result.
  bool areColumnsFixed;
  /// Of these, and of the values or cotangents.
  Value scoreColumns, changeColumns;
  /// Keys of the chunk, for the gradients of the queries: scaled, or transposed
  /// where columns are not fixed.
  Value keyFactor;
  bool hasFailed = false;
};

AttentionChunks BlockEmitter::chooseGradientChunks(const TileSizes &sizes,
                                                   AttentionGradientOp op) {
  int64_t elements = headElements(op.getQuery(), op.getValue());
  if (getElementTypeOrSelf(op.getType()).isF64())
    elements *= 2;
  // More tiles are alive at a time than in attention.
  TileSizes fewer = sizes;
  fewer.attentionElements /= 4;
  fewer.attentionQueries = sizes.gradientQueries;
  return chooseAttentionChunks(
      fewer, {shapeOf(op.getQuery())[1], shapeOf(op.getKey())[1]}, elements,
      op.getCausal());
}

BlockEmitter::AttentionGradientBlock::AttentionGradientBlock(
    BlockEmitter &emitter, AttentionGradientOp op,
    const AttentionGradients &outputs, const GradientBlock &block)
    : scores(emitter, op), emitter(emitter), builder(emitter.builder),
      loc(op.getLoc()), op(op), outputs(outputs),
      headSize(shapeOf(op.getQuery())[3]), valueSize(shapeOf(op.getValue())[3]),
      chunks(chooseGradientChunks(emitter.sizes, op)) {
  scores.batch = block.batch;
  scores.head = scores.keyHead = block.head;
  bool isOfKeys = outputs.key || outputs.value;
  areColumnsFixed = (isOfKeys ? chunks.keys : chunks.queries) >=
                    emitter.sizes.attentionFixedColumns;
}

//===----------------------------------------------------------------------===//
// A pair of chunks
//===----------------------------------------------------------------------===//

/// A number a query, for each key of the chunk; 0 for -inf if `isFinite`.
Value BlockEmitter::AttentionGradientBlock::perRow(
    Value source, const AttentionScores::Place &place, bool isFinite) {
  Value tile =
      emitter.emit(source, {{scores.batch, scores.head, place.firstQuery},
                            {1, 1, place.queries}});
  if (!tile)
    return {};
  if (isFinite)
    tile = scores.finite(tile);
  if (place.keysFirst)
    return emitter.broadcastTo(emitter.reshape(tile, {1, place.queries}),
                               {place.keys, place.queries});
  return emitter.broadcastTo(emitter.reshape(tile, {place.queries, 1}),
                             {place.queries, place.keys});
}

Value BlockEmitter::AttentionGradientBlock::weightsAt(
    const AttentionScores::Place &place) {
  Value block = scores.emit(place),
        sums = perRow(op.getLogsumexp(), place, /*isFinite=*/true);
  if (!block || !sums)
    return {};
  return scores.exp(scores.sub(block, sums));
}

/// What the scores have for gradients; not scaled yet where columns are fixed.
Value BlockEmitter::AttentionGradientBlock::changeAt(
    const AttentionScores::Place &place, Value weights) {
  Value value = scores.rows(op.getValue(), place.firstKey, place.keys,
                            scores.keyHead),
        cotangent = scores.rows(op.getCotangent(), place.firstQuery,
                                place.queries, scores.head),
        mean = perRow(op.getMean(), place);
  if (!value || !cotangent || !mean)
    return {};
  Value change;
  if (areColumnsFixed)
    change = scores.dot(emitter.toF32(place.keysFirst ? value : cotangent),
                        changeColumns, {}, scores.visible(place, true));
  else if (place.keysFirst)
    change = scores.dot(value, emitter.transpose(cotangent, {1, 0}));
  else
    change = scores.dot(cotangent, emitter.transpose(value, {1, 0}));
  change = scores.mul(weights, scores.sub(change, mean));
  // What is hidden is not computed, and may be anything.
  ArrayRef<int64_t> shape = cast<RankedTensorType>(change.getType()).getShape();
  Value isSeen = place.columns ? scores.visibleMask(shape, place) : Value();
  if (isSeen)
    change = arith::SelectOp::create(builder, loc, isSeen, change,
                                     scores.number(shape, 0));
  return areColumnsFixed ? change : scores.scaled(change);
}

/// Rows of [B, N, heads, columns].
void BlockEmitter::AttentionGradientBlock::store(Value sum, Value output,
                                                 Value first, Value head) {
  ArrayRef<int64_t> shape = cast<RankedTensorType>(sum.getType()).getShape();
  tile::StoreOp::create(
      builder, loc, emitter.reshape(sum, {1, shape[0], 1, shape[1]}), output,
      ValueRange{scores.batch, first, head, emitter.constantIndex(0)});
}

//===----------------------------------------------------------------------===//
// By keys and values, and by queries in memory
//===----------------------------------------------------------------------===//

bool BlockEmitter::AttentionGradientBlock::ofKeys(Value first) {
  if (first)
    return chunkOfKeys(first);
  emitter.forLoop(scores.length, chunks.keys, {},
                  [&](Value position, ValueRange) -> SmallVector<Value> {
                    hasFailed |= !chunkOfKeys(position);
                    return {};
                  });
  return !hasFailed;
}

bool BlockEmitter::AttentionGradientBlock::chunkOfKeys(Value firstKey) {
  // What all chunks of queries read is computed before them.
  auto rowsOf = [&](Value source) {
    return scores.rows(source, firstKey, chunks.keys, scores.keyHead);
  };
  Value key = rowsOf(op.getKey()), value = rowsOf(op.getValue());
  if (!key || !value)
    return false;
  if (areColumnsFixed) {
    scoreColumns = scores.scoreColumnsOf(key);
    changeColumns = scores.columnsOf(value);
    if (outputs.query)
      keyFactor = scores.scaled(emitter.toF32(key));
  } else if (outputs.query) {
    keyFactor = emitter.transpose(emitter.toF32(key), {1, 0});
  }
  Carried sums;
  if (outputs.key)
    sums.push_back(scores.number({chunks.keys, headSize}, 0));
  if (outputs.value)
    sums.push_back(scores.number({chunks.keys, valueSize}, 0));
  // Heads of the query that share the key head, one after the other.
  if (scores.group == 1) {
    sums = overQueries(firstKey, sums);
  } else {
    Value firstHead = arith::MulIOp::create(
        builder, loc, scores.keyHead, emitter.constantIndex(scores.group));
    sums = emitter.forLoop(
        scores.group, 1, sums, [&](Value head, ValueRange carried) {
          scores.head = arith::AddIOp::create(builder, loc, firstHead, head);
          return overQueries(firstKey, carried);
        });
  }
  if (outputs.value)
    store(sums.pop_back_val(), outputs.value, firstKey, scores.keyHead);
  if (outputs.key) {
    Value sum = sums.pop_back_val();
    store(areColumnsFixed ? scores.scaled(sum) : sum, outputs.key, firstKey,
          scores.keyHead);
  }
  return !hasFailed;
}

BlockEmitter::AttentionGradientBlock::Carried
BlockEmitter::AttentionGradientBlock::overQueries(Value firstKey,
                                                  ValueRange before) {
  Value begin = scores.isCausal ? scores.firstQueryOf(firstKey, chunks.queries)
                                : emitter.constantIndex(0);
  Value end = emitter.constantIndex(scores.queries);
  if (!scores.isCausal || !areColumnsFixed)
    return overQueries(firstKey, begin, end, before, /*isVisible=*/false);
  // Most chunks have nothing to hide.
  Value middle = scores.firstOfAllKeys(firstKey, chunks.keys, chunks.queries);
  Carried sums =
      overQueries(firstKey, begin, middle, before, /*isVisible=*/false);
  return overQueries(firstKey, middle, end, sums, /*isVisible=*/true);
}

BlockEmitter::AttentionGradientBlock::Carried
BlockEmitter::AttentionGradientBlock::overQueries(Value firstKey, Value begin,
                                                  Value end, ValueRange before,
                                                  bool isVisible) {
  return emitter.forLoop({begin, end, emitter.constantIndex(chunks.queries)},
                         before, [&](Value firstQuery, ValueRange carried) {
                           // Where keys are first, all of [keys, queries], what
                           // is added to the keys needs no transposition.
                           AttentionScores::Place place{
                               firstQuery, firstKey, chunks.queries,
                               chunks.keys, !areColumnsFixed};
                           place.isVisible = isVisible;
                           place.sumsQueries = true;
                           place.columns = scoreColumns;
                           return chunkOfQueries(place, carried);
                         });
}

BlockEmitter::AttentionGradientBlock::Carried
BlockEmitter::AttentionGradientBlock::chunkOfQueries(
    const AttentionScores::Place &place, ValueRange before) {
  Carried sums = llvm::to_vector(before);
  auto rowsOf = [&](Value source) {
    Value rows =
        scores.rows(source, place.firstQuery, place.queries, scores.head);
    return rows ? emitter.toF32(rows) : rows;
  };
  Value weights = weightsAt(place), cotangent = rowsOf(op.getCotangent());
  if (!weights || !cotangent)
    return fail(sums);
  auto byKeys = [&](Value tile) {
    return place.keysFirst ? tile : emitter.transpose(tile, {1, 0});
  };
  AttentionScores::Triangle seenByKeys =
      scores.visible(place, /*isOfResult=*/false, !place.keysFirst);
  if (outputs.value)
    sums.back() =
        scores.dot(byKeys(weights), cotangent, sums.back(), seenByKeys);
  if (!outputs.query && !outputs.key)
    return sums;
  Value change = changeAt(place, weights), query = rowsOf(op.getQuery());
  if (!change || !query)
    return fail(sums);
  if (outputs.key)
    sums.front() = scores.dot(byKeys(change), query, sums.front(), seenByKeys);
  if (outputs.query)
    addToQueries(change, place);
  return sums;
}

/// Adds the product of `change` and the keys to the gradients of the queries,
/// in memory. Of one query and column only this block adds, in this order.
void BlockEmitter::AttentionGradientBlock::addToQueries(
    Value change, const AttentionScores::Place &place) {
  // Where keys are first, transposed, so that the smaller result is, and not
  // `change`.
  Value sum = areColumnsFixed
                  ? scores.dot(change, keyFactor, {},
                               scores.visible(place, /*isOfResult=*/false))
                  : emitter.transpose(scores.dot(keyFactor, change), {1, 0});
  sum = emitter.reshape(sum, {chunks.queries, 1, 1, headSize});
  // Queries are the rows that a scatter counts.
  ArrayRef<int64_t> shape = shapeOf(op.getQuery());
  int64_t perQuery = shape[2] * shape[3];
  Value view =
      emitter.viewOf(outputs.query, 0, {shape[1], shape[0], shape[2], shape[3]},
                     {perQuery, shape[1] * perQuery, shape[3], 1});
  tile::ScatterOp::create(
      builder, loc, tile::ScatterKind::add, sum, view,
      emitter.indicesAlong({chunks.queries}, 0, place.firstQuery),
      ValueRange{scores.batch, scores.head, emitter.constantIndex(0)});
}

//===----------------------------------------------------------------------===//
// By queries alone
//===----------------------------------------------------------------------===//

bool BlockEmitter::AttentionGradientBlock::ofQueries(Value first) {
  if (scores.group != 1)
    scores.keyHead = arith::DivUIOp::create(
        builder, loc, scores.head, emitter.constantIndex(scores.group));
  // All chunks of keys read the same queries.
  Value query = scores.rows(op.getQuery(), first, chunks.queries, scores.head),
        cotangent =
            scores.rows(op.getCotangent(), first, chunks.queries, scores.head);
  if (!query || !cotangent)
    return false;
  if (areColumnsFixed) {
    scoreColumns = scores.scoreColumnsOf(query);
    changeColumns = scores.columnsOf(cotangent);
  }
  Value end = emitter.constantIndex(scores.length);
  if (scores.isCausal)
    end = scores.endOfKeys(emitter.addIndex(first, chunks.queries));
  SmallVector<Value> sums = emitter.forLoop(
      {emitter.constantIndex(0), end, emitter.constantIndex(chunks.keys)},
      scores.number({chunks.queries, headSize}, 0),
      [&](Value firstKey, ValueRange carried) -> SmallVector<Value> {
        AttentionScores::Place place{first, firstKey, chunks.queries,
                                     chunks.keys, areColumnsFixed};
        place.columns = scoreColumns;
        Value weights = weightsAt(place),
              change = weights ? changeAt(place, weights) : weights,
              key = scores.rows(op.getKey(), firstKey, chunks.keys,
                                scores.keyHead);
        if (!change || !key)
          return fail(llvm::to_vector(carried));
        key = emitter.toF32(key);
        if (areColumnsFixed) {
          change = emitter.transpose(change, {1, 0});
          key = scores.scaled(key);
        }
        return {scores.dot(
            change, key, carried[0],
            scores.visible(place, /*isOfResult=*/false, place.keysFirst))};
      });
  store(sums.front(), outputs.query, first, scores.head);
  return !hasFailed;
}

bool BlockEmitter::emitAttentionGradients(AttentionGradientOp op,
                                          const AttentionGradients &outputs,
                                          const GradientBlock &block) {
  loc = op.getLoc();
  AttentionGradientBlock gradients(*this, op, outputs, block);
  return outputs.key || outputs.value ? gradients.ofKeys(block.first)
                                      : gradients.ofQueries(block.first);
}
