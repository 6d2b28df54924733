// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Philox4x32-10 on tiles, one counter per element. Source: Salmon, Moraes, Dror
// and Shaw, Parallel random numbers: as easy as 1, 2, 3, SC 2011.
#include "BlockEmitter.h"

#include <cmath>

using namespace mlir;
using namespace tessera;

Value BlockEmitter::emitRng(RngOp op, const BlockBox &box) {
  Type i64 = builder.getI64Type(), i32 = builder.getI32Type();
  ArrayRef<int64_t> shape = box.sizes;
  auto wide = [&](int64_t value) {
    return splat(shape, builder.getI64IntegerAttr(value));
  };
  auto add = [&](Value a, Value b) -> Value {
    return arith::AddIOp::create(builder, loc, a, b);
  };
  auto mul = [&](Value a, Value b) -> Value {
    return arith::MulIOp::create(builder, loc, a, b);
  };
  auto logicalAnd = [&](Value a, Value b) -> Value {
    return arith::AndIOp::create(builder, loc, a, b);
  };
  auto exclusiveOr = [&](Value a, Value b) -> Value {
    return arith::XOrIOp::create(builder, loc, a, b);
  };
  auto high = [&](Value a) -> Value {
    return arith::ShRUIOp::create(builder, loc, a, wide(32));
  };
  Value mask = wide(0xffffffff);

  // Row-major logical index of each element.
  Value linear = wide(0);
  for (auto [d, extent] : llvm::enumerate(op.getGlobalShape())) {
    Value index = indicesAlong(shape, d, box.offsets[d]);
    if (!op.getOffsets().empty()) {
      Value start = emit(op.getOffsets()[d], {{constantIndex(0)}, {1}});
      if (!start)
        return {};
      SmallVector<int64_t> ones(shape.size(), 1);
      start = broadcastTo(reshape(start, ones), shape);
      index = add(index, start);
    }
    Value extended =
        arith::ExtSIOp::create(builder, loc, tileType(shape, i64), index);
    linear = add(mul(linear, wide(extent)), extended);
  }
  Value lane = logicalAnd(linear, wide(3));
  Value block = arith::ShRUIOp::create(builder, loc, linear, wide(2));

  // The key's two words, the same for all elements.
  Value key[2];
  for (int i : {0, 1}) {
    Value word = emit(op.getKey(), {{constantIndex(i)}, {1}});
    if (!word)
      return {};
    SmallVector<int64_t> ones(shape.size(), 1);
    word = broadcastTo(reshape(word, ones), shape);
    if (getElementTypeOrSelf(word.getType()) != i64)
      word = arith::ExtUIOp::create(builder, loc, tileType(shape, i64), word);
    key[i] = logicalAnd(word, mask);
  }

  Value counter[4] = {logicalAnd(block, mask), high(block), wide(0), wide(0)};
  for (int round = 0; round < 10; ++round) {
    if (round > 0) {
      key[0] = logicalAnd(add(key[0], wide(0x9E3779B9)), mask);
      key[1] = logicalAnd(add(key[1], wide(0xBB67AE85)), mask);
    }
    Value first = mul(counter[0], wide(0xD2511F53));
    Value second = mul(counter[2], wide(0xCD9E8D57));
    Value next[4] = {exclusiveOr(exclusiveOr(high(second), counter[1]), key[0]),
                     logicalAnd(second, mask),
                     exclusiveOr(exclusiveOr(high(first), counter[3]), key[1]),
                     logicalAnd(first, mask)};
    std::copy(next, next + 4, counter);
  }
  auto isLane = [&](int64_t which) -> Value {
    return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq, lane,
                                 wide(which));
  };
  auto choose = [&](Value condition, Value a, Value b) -> Value {
    return arith::SelectOp::create(builder, loc, condition, a, b);
  };
  Type type = getElementTypeOrSelf(op.getType());
  auto narrow = [&](Value word) -> Value {
    return arith::TruncIOp::create(builder, loc, tileType(shape, i32), word);
  };
  if (op.getDistribution() == RngDistribution::bits) {
    Value word = choose(isLane(0), counter[0],
                        choose(isLane(1), counter[1],
                               choose(isLane(2), counter[2], counter[3])));
    return narrow(word);
  }
  Type real = type.isF64() ? type : builder.getF32Type();
  // The top 24 bits over 2^24, in [0, 1).
  auto unit = [&](Value word) -> Value {
    Value bits = arith::ShRUIOp::create(builder, loc, word, wide(8));
    Value number = arith::SIToFPOp::create(builder, loc, tileType(shape, real),
                                           narrow(bits));
    return arith::MulFOp::create(
        builder, loc, number, splatNumber(shape, real, std::ldexp(1.0, -24)));
  };
  if (op.getDistribution() == RngDistribution::uniform) {
    Value word = choose(isLane(0), counter[0],
                        choose(isLane(1), counter[1],
                               choose(isLane(2), counter[2], counter[3])));
    return emitConvert(unit(word), real, type);
  }
  // Box-Muller on the words of the element's pair: sqrt(-2 ln(1 - u)) times the
  // cosine (even element) or sine (odd element) of 2 pi v.
  Value isLowPair = arith::CmpIOp::create(
      builder, loc, arith::CmpIPredicate::ult, lane, wide(2));
  Value u = unit(choose(isLowPair, counter[0], counter[2]));
  Value v = unit(choose(isLowPair, counter[1], counter[3]));
  Value one = splatNumber(shape, real, 1);
  Value log = math::LogOp::create(builder, loc,
                                  arith::SubFOp::create(builder, loc, one, u));
  Value radius = math::SqrtOp::create(
      builder, loc,
      arith::MulFOp::create(builder, loc, log, splatNumber(shape, real, -2)));
  Value angle = arith::MulFOp::create(builder, loc, v,
                                      splatNumber(shape, real, 2 * M_PI));
  Value isEven = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq,
                                       logicalAnd(lane, wide(1)), wide(0));
  Value turn = choose(isEven, math::CosOp::create(builder, loc, angle),
                      math::SinOp::create(builder, loc, angle));
  Value normal = arith::MulFOp::create(builder, loc, radius, turn);
  return emitConvert(normal, real, type);
}
