// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Philox4x32-10 on tiles, one counter per element. Source: Salmon, Moraes, Dror
// and Shaw, Parallel random numbers: as easy as 1, 2, 3, SC 2011.
#include "BlockEmitter.h"

#include <array>
#include <cmath>

using namespace mlir;
using namespace tessera;

/// Numbers of 32 bits are computed with in i64, whose upper half products need.
class BlockEmitter::RngBlock {
public:
  RngBlock(BlockEmitter &emitter, RngOp op, const BlockBox &box)
      : emitter(emitter), builder(emitter.builder), loc(emitter.loc), op(op),
        box(box), shape(box.sizes), i64(builder.getI64Type()) {}

  Value emit();

private:
  using Words = std::array<Value, 4>;

  Value logicalIndices();
  Value keyWord(int64_t index);
  Words scramble(Value block, Value firstKey, Value secondKey);
  Value ownWord(const Words &words, Value lane);
  Value unit(Value word, int bits = 24);
  Value normal(const Words &words, Value lane);

  Value number(int64_t value) {
    return emitter.splat(shape, builder.getI64IntegerAttr(value));
  }
  Value add(Value a, Value b) {
    return arith::AddIOp::create(builder, loc, a, b);
  }
  Value mul(Value a, Value b) {
    return arith::MulIOp::create(builder, loc, a, b);
  }
  Value bitwiseAnd(Value a, Value b) {
    return arith::AndIOp::create(builder, loc, a, b);
  }
  Value exclusiveOr(Value a, Value b) {
    return arith::XOrIOp::create(builder, loc, a, b);
  }
  Value shiftRight(Value a, int64_t bits) {
    return arith::ShRUIOp::create(builder, loc, a, number(bits));
  }
  Value low(Value a) { return bitwiseAnd(a, number(0xffffffff)); }
  Value high(Value a) { return shiftRight(a, 32); }
  Value choose(Value condition, Value a, Value b) {
    return arith::SelectOp::create(builder, loc, condition, a, b);
  }
  Value narrow(Value word) {
    return arith::TruncIOp::create(
        builder, loc, emitter.tileType(shape, builder.getI32Type()), word);
  }
  /// A tile of one element, in every element of the block.
  Value everywhere(Value tile) {
    SmallVector<int64_t> ones(shape.size(), 1);
    return emitter.broadcastTo(emitter.reshape(tile, ones), shape);
  }
  /// What floats are computed in.
  Type realType() {
    return emitter.accumulatorType(getElementTypeOrSelf(op.getType()));
  }

  BlockEmitter &emitter;
  OpBuilder &builder;
  Location loc;
  RngOp op;
  const BlockBox &box;
  ArrayRef<int64_t> shape;
  Type i64;
};

/// As many bits as the type holds without rounding, which might give 1.
static int uniformBits(Type type) {
  unsigned digits =
      cast<FloatType>(getElementTypeOrSelf(type)).getFPMantissaWidth();
  return std::min(digits, 24u);
}

Value BlockEmitter::emitRng(RngOp op, const BlockBox &box) {
  return RngBlock(*this, op, box).emit();
}

Value BlockEmitter::RngBlock::emit() {
  Value linear = logicalIndices();
  Value firstKey = keyWord(0), secondKey = keyWord(1);
  if (!linear || !firstKey || !secondKey)
    return {};
  // A counter gives the words of four elements.
  Value lane = bitwiseAnd(linear, number(3));
  Words words = scramble(shiftRight(linear, 2), firstKey, secondKey);
  switch (op.getDistribution()) {
  case RngDistribution::bits:
    return narrow(ownWord(words, lane));
  case RngDistribution::uniform:
    return emitter.emitConvert(
        unit(ownWord(words, lane), uniformBits(op.getType())), realType(),
        getElementTypeOrSelf(op.getType()));
  case RngDistribution::normal:
    return emitter.emitConvert(normal(words, lane), realType(),
                               getElementTypeOrSelf(op.getType()));
  }
  llvm_unreachable("unknown distribution");
}

/// The row-major index of each element in the whole tensor, of those of a batch
/// in what belongs to the element's key.
Value BlockEmitter::RngBlock::logicalIndices() {
  Value linear = number(0);
  for (auto [d, extent] : llvm::enumerate(op.getGlobalShape())) {
    if (static_cast<int64_t>(d) < op.getBatchRank())
      continue;
    Value index = emitter.toI64(emitter.indicesAlong(shape, d, box.offsets[d]));
    if (!op.getOffsets().empty()) {
      Value start =
          emitter.emit(op.getOffsets()[d], {{emitter.constantIndex(0)}, {1}});
      if (!start)
        return {};
      index = add(index, emitter.toI64(everywhere(start)));
    }
    linear = add(mul(linear, number(extent)), index);
  }
  return linear;
}

/// A word of each element's key.
Value BlockEmitter::RngBlock::keyWord(int64_t index) {
  size_t batch = op.getBatchRank();
  BlockBox keys{SmallVector<Value>(ArrayRef(box.offsets).take_front(batch)),
                SmallVector<int64_t>(shape.take_front(batch))};
  keys.offsets.push_back(emitter.constantIndex(index));
  keys.sizes.push_back(1);
  Value word = emitter.emit(op.getKey(), keys);
  if (!word)
    return {};
  SmallVector<int64_t> sizes(shape.size(), 1);
  llvm::copy(shape.take_front(batch), sizes.begin());
  word = emitter.broadcastTo(emitter.reshape(word, sizes), shape);
  if (getElementTypeOrSelf(word.getType()) != i64)
    word = arith::ExtUIOp::create(builder, loc, emitter.tileType(shape, i64),
                                  word);
  return low(word);
}

/// The ten rounds; multipliers and key increments are the paper's.
BlockEmitter::RngBlock::Words
BlockEmitter::RngBlock::scramble(Value block, Value firstKey, Value secondKey) {
  Words words = {low(block), high(block), number(0), number(0)};
  for (int round = 0; round < 10; ++round) {
    if (round > 0) {
      firstKey = low(add(firstKey, number(0x9E3779B9)));
      secondKey = low(add(secondKey, number(0xBB67AE85)));
    }
    Value first = mul(words[0], number(0xD2511F53));
    Value second = mul(words[2], number(0xCD9E8D57));
    words = {
        exclusiveOr(exclusiveOr(high(second), words[1]), firstKey), low(second),
        exclusiveOr(exclusiveOr(high(first), words[3]), secondKey), low(first)};
  }
  return words;
}

/// The word of an element: that of its place among four.
Value BlockEmitter::RngBlock::ownWord(const Words &words, Value lane) {
  Value word = words[3];
  for (int64_t which : {2, 1, 0}) {
    Value isOwn = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq,
                                        lane, number(which));
    word = choose(isOwn, words[which], word);
  }
  return word;
}

/// The top bits over 2^bits, in [0, 1).
Value BlockEmitter::RngBlock::unit(Value word, int bits) {
  Value numerator =
      arith::SIToFPOp::create(builder, loc, emitter.tileType(shape, realType()),
                              narrow(shiftRight(word, 32 - bits)));
  Value scale = emitter.splatNumber(shape, realType(), std::ldexp(1.0, -bits));
  return arith::MulFOp::create(builder, loc, numerator, scale);
}

/// Box-Muller on the words of the element's pair: sqrt(-2 ln(1 - u)) times the
/// cosine (even element) or sine (odd element) of 2 pi v.
Value BlockEmitter::RngBlock::normal(const Words &words, Value lane) {
  auto real = [&](double value) {
    return emitter.splatNumber(shape, realType(), value);
  };
  Value isLowPair = arith::CmpIOp::create(
      builder, loc, arith::CmpIPredicate::ult, lane, number(2));
  Value u = unit(choose(isLowPair, words[0], words[2]));
  Value v = unit(choose(isLowPair, words[1], words[3]));
  Value log = math::LogOp::create(
      builder, loc, arith::SubFOp::create(builder, loc, real(1), u));
  Value radius = math::SqrtOp::create(
      builder, loc, arith::MulFOp::create(builder, loc, log, real(-2)));
  Value angle = arith::MulFOp::create(builder, loc, v, real(2 * M_PI));
  Value isEven = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq,
                                       bitwiseAnd(lane, number(1)), number(0));
  Value turn = choose(isEven, math::CosOp::create(builder, loc, angle),
                      math::SinOp::create(builder, loc, angle));
  return arith::MulFOp::create(builder, loc, radius, turn);
}
