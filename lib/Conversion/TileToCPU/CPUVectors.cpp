// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Small arithmetic on indices and vectors.
#include "CPUKernelEmitter.h"

#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace tessera;

Value CPUKernelEmitter::add(Value a, Value b) {
  if (matchPattern(a, m_Zero()))
    return b;
  if (matchPattern(b, m_Zero()))
    return a;
  return arith::AddIOp::create(builder, loc, a, b);
}

Value CPUKernelEmitter::add(Value a, int64_t b) { return add(a, constant(b)); }

Value CPUKernelEmitter::multiply(Value a, int64_t b) {
  if (b == 1 || matchPattern(a, m_Zero()))
    return a;
  return arith::MulIOp::create(builder, loc, a, constant(b));
}

/// Unsigned: a negative index is a large one, so that one comparison tells
/// whether an index is within [0, b).
Value CPUKernelEmitter::isBelow(Value a, Value b) {
  return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult, a, b);
}

Value CPUKernelEmitter::lane(Value vector, int64_t index) {
  return vector::ExtractOp::create(builder, loc, vector, index);
}

Type CPUKernelEmitter::typeOf(Type elementType, Lanes lanes) {
  return lanes.dim < 0 ? elementType
                       : VectorType::get({lanes.count}, elementType);
}

/// A scalar in every lane; vectors as they are.
Value CPUKernelEmitter::spread(Value value, Lanes lanes) {
  if (lanes.dim < 0 || isa<VectorType>(value.getType()))
    return value;
  return vector::BroadcastOp::create(builder, loc,
                                     typeOf(value.getType(), lanes), value);
}

Value CPUKernelEmitter::fromElements(ArrayRef<Value> elements) {
  auto type = VectorType::get({static_cast<int64_t>(elements.size())},
                              elements.front().getType());
  return vector::FromElementsOp::create(builder, loc, type, elements);
}

/// [first, first + 1, ...] as i64.
Value CPUKernelEmitter::laneIndices(Value first, int64_t count) {
  Type i64 = builder.getI64Type();
  auto type = VectorType::get({count}, i64);
  SmallVector<int64_t> steps = llvm::to_vector(llvm::seq<int64_t>(count));
  Value step =
      constantOf(DenseElementsAttr::get(type, ArrayRef<int64_t>(steps)));
  Value start = arith::IndexCastOp::create(builder, loc, i64, first);
  Value starts = vector::BroadcastOp::create(builder, loc, type, start);
  return arith::AddIOp::create(builder, loc, starts, step);
}

/// Combines the lanes of a vector pairwise, in a fixed order.
Value CPUKernelEmitter::acrossLanes(tile::ReductionKind kind, Value value) {
  int64_t count = cast<VectorType>(value.getType()).getNumElements();
  while (count > 1 && count % 2 == 0) {
    SmallVector<int64_t> low = llvm::to_vector(llvm::seq<int64_t>(count / 2));
    SmallVector<int64_t> high =
        llvm::to_vector(llvm::seq<int64_t>(count / 2, count));
    Value a = vector::ShuffleOp::create(builder, loc, value, value, low);
    Value b = vector::ShuffleOp::create(builder, loc, value, value, high);
    value = combine(kind, a, b);
    count /= 2;
  }
  Value total = lane(value, 0);
  for (int64_t i = 1; i < count; ++i)
    total = combine(kind, total, lane(value, i));
  return total;
}
