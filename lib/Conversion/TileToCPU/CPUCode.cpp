// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "CPUCode.h"

#include "dialects/Tile/IR/Reductions.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace tessera;
using namespace tessera::cpu;

SmallVector<int> tessera::cpu::longDims(ArrayRef<int64_t> shape) {
  SmallVector<int> dims;
  for (auto [d, size] : llvm::enumerate(shape))
    if (size != 1)
      dims.push_back(static_cast<int>(d));
  return dims;
}

Value Code::add(Value a, Value b) {
  if (matchPattern(a, m_Zero()))
    return b;
  if (matchPattern(b, m_Zero()))
    return a;
  return arith::AddIOp::create(builder, loc, a, b);
}

Value Code::add(Value a, int64_t b) { return add(a, constants.index(b)); }

Value Code::multiply(Value a, int64_t b) {
  if (b == 1 || matchPattern(a, m_Zero()))
    return a;
  return arith::MulIOp::create(builder, loc, a, constants.index(b));
}

/// Unsigned: a negative index is a large one, so that one comparison tells
/// whether an index is within [0, b).
Value Code::isBelow(Value a, Value b) {
  return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult, a, b);
}

Value Code::lane(Value vector, int64_t index) {
  return vector::ExtractOp::create(builder, loc, vector, index);
}

Type Code::typeOf(Type elementType, Lanes lanes) {
  return lanes.dim < 0 ? elementType
                       : VectorType::get({lanes.count}, elementType);
}

/// A scalar in every lane; vectors as they are.
Value Code::spread(Value value, Lanes lanes) {
  if (lanes.dim < 0 || isa<VectorType>(value.getType()))
    return value;
  return vector::BroadcastOp::create(builder, loc,
                                     typeOf(value.getType(), lanes), value);
}

Value Code::fromElements(ArrayRef<Value> elements) {
  auto type = VectorType::get({static_cast<int64_t>(elements.size())},
                              elements.front().getType());
  return vector::FromElementsOp::create(builder, loc, type, elements);
}

/// [first, first + 1, ...] as i64.
Value Code::laneIndices(Value first, int64_t count) {
  Type i64 = builder.getI64Type();
  auto type = VectorType::get({count}, i64);
  SmallVector<int64_t> steps = llvm::to_vector(llvm::seq<int64_t>(count));
  Value step =
      constants.of(DenseElementsAttr::get(type, ArrayRef<int64_t>(steps)));
  Value start = arith::IndexCastOp::create(builder, loc, i64, first);
  Value starts = vector::BroadcastOp::create(builder, loc, type, start);
  return arith::AddIOp::create(builder, loc, starts, step);
}

/// Combines the lanes of a vector pairwise, in a fixed order.
Value Code::acrossLanes(tile::ReductionKind kind, Value value) {
  int64_t count = cast<VectorType>(value.getType()).getNumElements();
  while (count > 1 && count % 2 == 0) {
    SmallVector<int64_t> low = llvm::to_vector(llvm::seq<int64_t>(count / 2));
    SmallVector<int64_t> high =
        llvm::to_vector(llvm::seq<int64_t>(count / 2, count));
    Value a = vector::ShuffleOp::create(builder, loc, value, value, low);
    Value b = vector::ShuffleOp::create(builder, loc, value, value, high);
    value = tile::combine(builder, loc, kind, a, b);
    count /= 2;
  }
  Value total = lane(value, 0);
  for (int64_t i = 1; i < count; ++i)
    total = tile::combine(builder, loc, kind, total, lane(value, i));
  return total;
}

/// By rounds of interleaving: vectors i and i + n/2 become vectors 2i and
/// 2i + 1, log2(n) times, of n vectors of n lanes.
SmallVector<Value> Code::transposed(ArrayRef<Value> vectors) {
  auto count = static_cast<int64_t>(vectors.size());
  int64_t laneCount =
      cast<VectorType>(vectors.front().getType()).getNumElements();
  auto n = static_cast<int64_t>(
      llvm::PowerOf2Ceil(std::max<int64_t>(count, laneCount)));
  auto shuffle = [&](Value a, Value b, ArrayRef<int64_t> order) -> Value {
    return vector::ShuffleOp::create(builder, loc, a, b, order);
  };
  // The first lanes of a vector, or those that there are and then any.
  auto resized = [&](Value vector, int64_t from, int64_t to) {
    if (from == to)
      return vector;
    SmallVector<int64_t> order;
    for (int64_t i = 0; i < to; ++i)
      order.push_back(i < from ? i : vector::ShuffleOp::kPoisonIndex);
    return shuffle(vector, vector, order);
  };
  SmallVector<Value> square;
  for (int64_t i = 0; i < n; ++i)
    square.push_back(i < count ? resized(vectors[i], laneCount, n)
                               : square.front());
  SmallVector<int64_t> low, high;
  for (int64_t i = 0; i < n / 2; ++i) {
    low.append({i, i + n});
    high.append({i + n / 2, i + n / 2 + n});
  }
  for (int64_t round = 1; round < n; round *= 2) {
    SmallVector<Value> next;
    for (int64_t i = 0; i < n / 2; ++i)
      for (ArrayRef<int64_t> order : {ArrayRef(low), ArrayRef(high)})
        next.push_back(shuffle(square[i], square[i + n / 2], order));
    square = std::move(next);
  }
  square.truncate(laneCount);
  for (Value &vector : square)
    vector = resized(vector, n, count);
  return square;
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

unsigned Code::bytesOf(Type elementType) {
  return (elementType.getIntOrFloatBitWidth() + 7) / 8;
}

Value Code::address(Value base, Type elementType, ArrayRef<int64_t> strides,
                    int64_t offset, const Indices &indices) {
  Value linear = constants.index(offset);
  for (auto [index, stride] : llvm::zip(indices, strides))
    linear = add(linear, multiply(index, stride));
  Value at =
      arith::IndexCastOp::create(builder, loc, builder.getI64Type(), linear);
  return LLVM::GEPOp::create(builder, loc, base.getType(), elementType, base,
                             ArrayRef<LLVM::GEPArg>{at});
}

/// A vector of `count` elements, or one element if that is 0.
Value Code::loadAt(Value address, Type elementType, int64_t count) {
  Type type = elementType;
  if (count > 0)
    type = VectorType::get({count}, elementType);
  return LLVM::LoadOp::create(builder, loc, type, address,
                              bytesOf(elementType));
}

void Code::storeAt(Value value, Value address) {
  LLVM::StoreOp::create(builder, loc, value, address,
                        bytesOf(getElementTypeOrSelf(value.getType())));
}

void Code::prefetch(Value address, int level) {
  LLVM::Prefetch::create(builder, loc, address, /*rw=*/0, /*hint=*/4 - level,
                         /*cache=*/1);
}
