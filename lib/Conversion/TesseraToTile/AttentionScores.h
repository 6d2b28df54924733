// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Blocks of the scores of an attention: what attention and its gradients have
// in common.
#ifndef TESSERA_LIB_CONVERSION_TESSERATOTILE_ATTENTIONSCORES_H
#define TESSERA_LIB_CONVERSION_TESSERATOTILE_ATTENTIONSCORES_H

#include "BlockEmitter.h"

#include <limits>

namespace tessera {

/// Scores of queries of one head with keys of the head that it reads.
class BlockEmitter::AttentionScores {
public:
  using Value = mlir::Value;

  /// `op` is attention or an op of its gradients.
  template <typename Op>
  AttentionScores(BlockEmitter &emitter, Op op)
      : emitter(emitter), builder(emitter.builder), loc(op.getLoc()),
        query(op.getQuery()), key(op.getKey()), bias(op.getBias()),
        scale(op.getScale().convertToDouble()), isCausal(op.getCausal()),
        queries(shapeOf(op.getQuery())[1]), length(shapeOf(op.getKey())[1]),
        group(shapeOf(op.getQuery())[2] / shapeOf(op.getKey())[2]),
        sumType(emitter.accumulatorType(
            mlir::getElementTypeOrSelf(op.getQuery().getType()))) {}

  /// Which part of a block is at which place, and which of its dimensions is
  /// that of the keys: [queries, keys] or [keys, queries].
  struct Place {
    Value firstQuery, firstKey;
    int64_t queries, keys;
    bool keysFirst = false;
    /// No query is before a key, and no key outside.
    bool isVisible = false;
    /// Queries outside may not have weights, since all are added up.
    bool sumsQueries = false;
    /// Of the queries if keys are first, else of the keys: by scoreColumnsOf.
    Value columns = {};
  };

  /// -inf where a query does not see a key, or either is outside. Null, with a
  /// diagnostic, when an operand cannot be emitted.
  Value emit(const Place &place);

  /// Rows [count, columns] of `source` [B, N, heads, columns].
  Value rows(Value source, Value first, int64_t count, Value atHead);

  /// Rows that many products multiply as their right factor, transposed.
  Value columnsOf(Value rows);
  /// The same of those whose products are scores. They are scaled, instead of
  /// the scores, where this changes no bit of these, which the forward and the
  /// backward pass compute from different factors.
  Value scoreColumnsOf(Value rows);
  Value scaled(Value tile);

  /// The first query that sees the key at `position`, rounded down to a
  /// multiple of `step`; the end of the keys that a query before `position`
  /// sees.
  Value firstQueryOf(Value position, int64_t step);
  Value endOfKeys(Value position);
  /// From which multiple of `step` on all queries see the `keys` keys at
  /// `position`, the number of queries at most; the multiple up to which all
  /// queries from `position` on see all keys.
  Value firstOfAllKeys(Value position, int64_t keys, int64_t step);
  Value endOfAllKeys(Value position, int64_t step);

  // Arithmetic on tiles.
  Value number(llvm::ArrayRef<int64_t> shape, double value) {
    return emitter.splatNumber(shape, sumType, value);
  }
  Value add(Value a, Value b) {
    return mlir::arith::AddFOp::create(builder, loc, a, b);
  }
  Value sub(Value a, Value b) {
    return mlir::arith::SubFOp::create(builder, loc, a, b);
  }
  Value mul(Value a, Value b) {
    return mlir::arith::MulFOp::create(builder, loc, a, b);
  }
  /// Of numbers that are not above 0, but for the rounding of scores; those
  /// that are count as 0.
  Value exp(Value a);
  /// `x`, or 0 where it is -inf.
  Value finite(Value x);
  /// What of a matrix counts, if not all does: of the result of a product, or
  /// of its left factor.
  struct Triangle {
    Value diagonal; ///< Null: all counts.
    tile::Triangle half;
    bool isOfResult;
  };
  /// `acc` + `lhs` * `rhs`; `acc` may be null.
  Value dot(Value lhs, Value rhs, Value acc = {}) {
    return dot(lhs, rhs, acc, {});
  }
  Value dot(Value lhs, Value rhs, Value acc, const Triangle &triangle);
  /// The visible scores of a place that has hidden ones, as they are there or,
  /// if `isTurned`, the other way round.
  Triangle visible(const Place &place, bool isOfResult, bool isTurned = false);
  /// Which elements of [queries, keys], or [keys, queries], queries see; null:
  /// all.
  Value visibleMask(llvm::ArrayRef<int64_t> shape, const Place &place);

  static constexpr double minusInfinity =
      -std::numeric_limits<double>::infinity();

  BlockEmitter &emitter;
  mlir::OpBuilder &builder;
  mlir::Location loc;
  Value query, key, bias;
  double scale;
  bool isCausal;
  /// Of the whole: queries, keys, and query heads that share a key head.
  int64_t queries, length, group;
  mlir::Type sumType;
  /// Set by the user: what the block is of.
  Value batch, head, keyHead;

private:
  Value addBias(Value scores, const Place &place);
  Value mask(Value scores, const Place &place);
};

} // namespace tessera

#endif // TESSERA_LIB_CONVERSION_TESSERATOTILE_ATTENTIONSCORES_H
