// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Products and attention: loops that accumulate over the summed dimension.
#include "BlockEmitter.h"

#include <functional>
#include <limits>

using namespace mlir;
using namespace tessera;

namespace {

/// The letters of one factor's dimensions, in the order batch, own, summed.
struct FactorDims {
  SmallVector<int64_t> batch, own, summed;
};

FactorDims classify(StringRef letters, StringRef other, StringRef out) {
  FactorDims dims;
  for (auto [d, letter] : llvm::enumerate(letters)) {
    bool inOther = other.contains(letter), inOut = out.contains(letter);
    if (inOther && inOut)
      dims.batch.push_back(d);
    else if (inOut)
      dims.own.push_back(d);
    else
      dims.summed.push_back(d);
  }
  return dims;
}

int64_t productOf(ArrayRef<int64_t> sizes) {
  int64_t product = 1;
  for (int64_t size : sizes)
    product *= size;
  return product;
}

} // namespace

Value BlockEmitter::emitContract(ContractOp op, const BlockBox &box) {
  ContractOp::Indices indices = op.getIndices();
  FactorDims lhs = classify(indices.lhs, indices.rhs, indices.out);
  FactorDims rhs = classify(indices.rhs, indices.lhs, indices.out);
  // The result's box by letter; summed letters are cut below.
  auto positionIn = [](StringRef letters, char letter) {
    return static_cast<int64_t>(letters.find(letter));
  };
  SmallVector<int64_t> batchSizes, rowSizes, columnSizes;
  for (int64_t d : lhs.batch)
    batchSizes.push_back(box.sizes[positionIn(indices.out, indices.lhs[d])]);
  for (int64_t d : lhs.own)
    rowSizes.push_back(box.sizes[positionIn(indices.out, indices.lhs[d])]);
  for (int64_t d : rhs.own)
    columnSizes.push_back(box.sizes[positionIn(indices.out, indices.rhs[d])]);
  if (productOf(batchSizes) != 1) {
    op.emitOpError("is cut into blocks of several batch elements");
    return {};
  }
  int64_t m = productOf(rowSizes), n = productOf(columnSizes);
  Type type = getElementTypeOrSelf(op.getType());
  Type accType = isa<FloatType>(type) && type.getIntOrFloatBitWidth() < 32
                     ? builder.getF32Type()
                     : type;

  // Summed dimensions: the last one in chunks, the others one by one.
  ArrayRef<int64_t> lhsShape = shapeOf(op.getLhs());
  SmallVector<char> summed;
  SmallVector<int64_t> extents;
  for (int64_t d : lhs.summed) {
    summed.push_back(indices.lhs[d]);
    extents.push_back(lhsShape[d]);
  }
  int64_t depth =
      summed.empty() ? 1 : chooseChunk(extents.back(), sizes.productDepth);

  bool failedInside = false;
  auto factorTile = [&](Value factor, StringRef letters, const FactorDims &dims,
                        ArrayRef<Value> positions, bool ownFirst,
                        int64_t ownSize) -> Value {
    BlockBox source;
    source.offsets.resize(letters.size());
    source.sizes.resize(letters.size());
    for (auto [d, letter] : llvm::enumerate(letters)) {
      size_t at = indices.out.find(letter);
      if (at != std::string::npos) {
        source.offsets[d] = box.offsets[at];
        source.sizes[d] = box.sizes[at];
        continue;
      }
      size_t s = llvm::find(summed, letter) - summed.begin();
      source.offsets[d] = positions[s];
      source.sizes[d] = s + 1 == summed.size() ? depth : 1;
    }
    Value tile = emit(factor, source);
    if (!tile) {
      failedInside = true;
      return {};
    }
    // Both factors list the summed letters in the left factor's order.
    SmallVector<int64_t> permutation(dims.batch), summedDims;
    for (char letter : summed)
      summedDims.push_back(positionIn(letters, letter));
    if (ownFirst)
      llvm::append_range(permutation, dims.own);
    llvm::append_range(permutation, summedDims);
    if (!ownFirst)
      llvm::append_range(permutation, dims.own);
    tile = transpose(tile, permutation);
    return ownFirst ? reshape(tile, {ownSize, depth})
                    : reshape(tile, {depth, ownSize});
  };
  auto step = [&](ArrayRef<Value> positions, Value acc) -> Value {
    Value a = factorTile(op.getLhs(), indices.lhs, lhs, positions, true, m);
    Value b = factorTile(op.getRhs(), indices.rhs, rhs, positions, false, n);
    if (!a || !b)
      return acc;
    return tile::DotOp::create(builder, loc, acc.getType(), a, b, acc);
  };

  Value acc = splatNumber({m, n}, accType, 0);
  SmallVector<Value> positions(summed.size(), constantIndex(0));
  std::function<Value(size_t, Value)> nest = [&](size_t level,
                                                 Value carried) -> Value {
    if (level == summed.size())
      return step(positions, carried);
    bool isLast = level + 1 == summed.size();
    int64_t by = isLast ? depth : 1;
    if (extents[level] <= by) {
      positions[level] = constantIndex(0);
      return nest(level + 1, carried);
    }
    return forLoop(extents[level], by, carried,
                   [&](Value position, ValueRange inner) {
                     positions[level] = position;
                     return SmallVector<Value>{nest(level + 1, inner[0])};
                   })[0];
  };
  acc = nest(0, acc);
  if (failedInside)
    return {};

  // [m, n] -> [batch 1s, rows..., columns...] -> the result's order.
  SmallVector<int64_t> shape(batchSizes);
  llvm::append_range(shape, rowSizes);
  llvm::append_range(shape, columnSizes);
  if (shape.empty())
    shape.push_back(1);
  std::string letters;
  for (int64_t d : lhs.batch)
    letters += indices.lhs[d];
  for (int64_t d : lhs.own)
    letters += indices.lhs[d];
  for (int64_t d : rhs.own)
    letters += indices.rhs[d];
  SmallVector<int64_t> permutation;
  for (char letter : indices.out)
    permutation.push_back(positionIn(letters, letter));
  if (permutation.empty())
    permutation.push_back(0);
  Value result = transpose(reshape(acc, shape), permutation);
  return isa<FloatType>(type) ? fromF32(result, type) : result;
}

int64_t BlockEmitter::headElements(AttentionOp op) {
  return std::max(shapeOf(op.getQuery())[3], shapeOf(op.getValue())[3]);
}

Value BlockEmitter::emitAttention(AttentionOp op, const BlockBox &box) {
  // A block of the result is [1, queries, 1, E].
  int64_t queries = box.sizes[1], headSize = shapeOf(op.getQuery())[3],
          valueSize = box.sizes[3], length = shapeOf(op.getKey())[1],
          group = shapeOf(op.getQuery())[2] / shapeOf(op.getKey())[2];
  int64_t numQueries = shapeOf(op.getQuery())[1];
  Value batch = box.offsets[0], firstQuery = box.offsets[1],
        head = box.offsets[2];
  Value zero = constantIndex(0);
  Value keyHead = group == 1 ? head
                             : Value(arith::DivUIOp::create(
                                   builder, loc, head, constantIndex(group)));
  Value query = emit(op.getQuery(), {{batch, firstQuery, head, zero},
                                     {1, queries, 1, headSize}});
  if (!query)
    return {};
  loc = op.getLoc();
  query = reshape(query, {queries, headSize});
  Type sumType = getElementTypeOrSelf(op.getType());
  if (!sumType.isF64())
    sumType = builder.getF32Type();
  double minusInfinity = -std::numeric_limits<double>::infinity();
  int64_t chunk = chooseChunk(
      length, attentionRows(sizes, sizes.attentionKeys, headElements(op)));

  bool failedInside = false;
  auto scoresAt = [&](Value position) -> Value {
    Value key = emit(op.getKey(), {{batch, position, keyHead, zero},
                                   {1, chunk, 1, headSize}});
    if (!key)
      return {};
    key = transpose(reshape(key, {chunk, headSize}), {1, 0});
    Value scores = tile::DotOp::create(
        builder, loc, tileType({queries, chunk}, sumType), query, key,
        splatNumber({queries, chunk}, sumType, 0));
    scores =
        arith::MulFOp::create(builder, loc, scores,
                              splatNumber({queries, chunk}, sumType,
                                          op.getScale().convertToDouble()));
    if (Value bias = op.getBias()) {
      ArrayRef<int64_t> shape = shapeOf(bias);
      BlockBox source = {{shape[0] == 1 ? zero : batch,
                          shape[1] == 1 ? zero : head,
                          shape[2] == 1 ? zero : firstQuery, position},
                         {1, 1, shape[2] == 1 ? 1 : queries, chunk}};
      Value tile = emit(bias, source);
      if (!tile)
        return {};
      tile = reshape(toF32(tile), {source.sizes[2], chunk});
      scores = arith::AddFOp::create(builder, loc, scores,
                                     broadcastTo(tile, {queries, chunk}));
    }
    Value masked = splatNumber({queries, chunk}, sumType, minusInfinity);
    if (length % chunk != 0) {
      Value inside = insideAlong({queries, chunk}, 1, position, length);
      scores = arith::SelectOp::create(builder, loc, inside, scores, masked);
    }
    if (op.getCausal()) {
      Value keyIndex = indicesAlong({queries, chunk}, 1, position);
      Value queryIndex = indicesAlong(
          {queries, chunk}, 0, addIndex(firstQuery, length - numQueries));
      Value visible = arith::CmpIOp::create(
          builder, loc, arith::CmpIPredicate::sle, keyIndex, queryIndex);
      scores = arith::SelectOp::create(builder, loc, visible, scores, masked);
    }
    return scores;
  };

  // Online softmax (Milakov and Gimelshein 2018; FlashAttention, Dao 2022): the
  // running maximum rescales what was summed so far.
  auto update = [&](Value position, ValueRange carried) -> SmallVector<Value> {
    SmallVector<Value> unchanged(carried.begin(), carried.end());
    Value scores = scoresAt(position);
    Value value =
        emit(op.getValue(), {{batch, position, keyHead, box.offsets[3]},
                             {1, chunk, 1, valueSize}});
    if (!scores || !value) {
      failedInside = true;
      return unchanged;
    }
    value = reshape(value, {chunk, valueSize});
    Value acc = carried[0], most = carried[1], sum = carried[2];
    Value newMost =
        arith::MaximumFOp::create(builder, loc, most, reduce("max", scores, 1));
    // Where all scores are -inf so far, subtract 0: e^-inf is 0, not NaN.
    Value none = arith::CmpFOp::create(
        builder, loc, arith::CmpFPredicate::OEQ, newMost,
        splatNumber({queries, 1}, sumType, minusInfinity));
    Value safeMost = arith::SelectOp::create(
        builder, loc, none, splatNumber({queries, 1}, sumType, 0), newMost);
    Value shifted = arith::SubFOp::create(
        builder, loc, scores, broadcastTo(safeMost, {queries, chunk}));
    Value weights = math::ExpOp::create(builder, loc, shifted);
    Value rescale = math::ExpOp::create(
        builder, loc, arith::SubFOp::create(builder, loc, most, safeMost));
    Value newSum = arith::AddFOp::create(
        builder, loc, arith::MulFOp::create(builder, loc, sum, rescale),
        reduce("sum", weights, 1));
    Value scaled = arith::MulFOp::create(
        builder, loc, acc, broadcastTo(rescale, {queries, valueSize}));
    Value newAcc = tile::DotOp::create(builder, loc, acc.getType(), weights,
                                       toF32(value), scaled);
    return {newAcc, newMost, newSum};
  };
  SmallVector<Value> state = {splatNumber({queries, valueSize}, sumType, 0),
                              splatNumber({queries, 1}, sumType, minusInfinity),
                              splatNumber({queries, 1}, sumType, 0)};
  if (chunk == length) {
    // All keys at once: nothing to rescale.
    Value scores = scoresAt(zero);
    Value value = emit(op.getValue(), {{batch, zero, keyHead, box.offsets[3]},
                                       {1, chunk, 1, valueSize}});
    if (!scores || !value)
      return {};
    value = reshape(value, {chunk, valueSize});
    Value most = reduce("max", scores, 1);
    Value none = arith::CmpFOp::create(
        builder, loc, arith::CmpFPredicate::OEQ, most,
        splatNumber({queries, 1}, sumType, minusInfinity));
    Value safeMost = arith::SelectOp::create(
        builder, loc, none, splatNumber({queries, 1}, sumType, 0), most);
    Value weights = math::ExpOp::create(
        builder, loc,
        arith::SubFOp::create(builder, loc, scores,
                              broadcastTo(safeMost, {queries, chunk})));
    state[2] = reduce("sum", weights, 1);
    state[0] = tile::DotOp::create(builder, loc, state[0].getType(), weights,
                                   toF32(value), state[0]);
  } else {
    state = forLoop(length, chunk, state, update);
  }
  if (failedInside)
    return {};
  // A row without a visible key gives 0.
  Value isEmpty =
      arith::CmpFOp::create(builder, loc, arith::CmpFPredicate::OEQ, state[2],
                            splatNumber({queries, 1}, sumType, 0));
  Value one = splatNumber({queries, 1}, sumType, 1);
  Value divisor = arith::SelectOp::create(builder, loc, isEmpty, one, state[2]);
  Value inverse = arith::DivFOp::create(builder, loc, one, divisor);
  Value result = arith::MulFOp::create(
      builder, loc, state[0], broadcastTo(inverse, {queries, valueSize}));
  return fromF32(reshape(result, {1, queries, 1, valueSize}),
                 getElementTypeOrSelf(op.getType()));
}
