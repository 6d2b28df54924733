// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Scans of a tile along one dimension.
#include "CPUKernelEmitter.h"

#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace tessera;

void CPUKernelEmitter::emitScan(tile::ScanOp op) {
  auto type = cast<RankedTensorType>(op.getInput().getType());
  auto carryType = cast<RankedTensorType>(op.getCarry().getType());
  Buffer *result = tiles.create(type.getShape(), type.getElementType());
  Buffer *next = tiles.create(carryType.getShape(), type.getElementType());
  bool dimIsInner = llvm::all_of(type.getShape().drop_front(op.getDim() + 1),
                                 [](int64_t size) { return size == 1; });
  if (dimIsInner)
    forEachElement(carryType.getShape(), [&](Indices indices) {
      scanRow(op, result, next, indices);
    });
  else
    forEachVector(carryType.getShape(), [&](Indices indices, Lanes lanes) {
      scanAcrossRows(op, result, next, indices, lanes);
    });
  buffers[op.getResult()] = result;
  buffers[op.getNext()] = next;
}

/// Vectors along an inner dimension, one step of the scanned one at a time.
void CPUKernelEmitter::scanAcrossRows(tile::ScanOp op, Buffer *result,
                                      Buffer *next, const Indices &indices,
                                      Lanes lanes) {
  auto dim = static_cast<size_t>(op.getDim());
  int64_t length = cast<RankedTensorType>(op.getType(0)).getDimSize(dim);
  Value start = code.spread(element(op.getCarry(), indices, lanes), lanes);
  auto step = [&](Value turn, ValueRange carried) {
    Indices at = indices;
    at[dim] = turn;
    if (op.getReverse())
      at[dim] = arith::SubIOp::create(builder, loc, constant(length - 1), turn);
    Value value = code.spread(element(op.getInput(), at, lanes), lanes);
    Value sum = combine(op.getKind(), carried[0], value);
    tiles.store(result, at, lanes, op.getExclusive() ? carried[0] : sum);
    return SmallVector<Value>{sum};
  };
  tiles.store(next, indices, lanes, forLoop(length, 1, start, step)[0]);
}

/// What is combined up to each lane, in steps of doubling distance. Source:
/// Hillis and Steele, Data parallel algorithms, 1986.
Value CPUKernelEmitter::scanLanes(tile::ScanOp op, Value vector,
                                  int64_t count) {
  Type type = getElementTypeOrSelf(vector.getType());
  Value neutral = code.spread(
      constantOf(tile::neutralElement(op.getKind(), type)), Lanes{0, count});
  for (int64_t distance = 1; distance < count; distance *= 2) {
    SmallVector<int64_t> from;
    for (int64_t i = 0; i < count; ++i) {
      int64_t source = op.getReverse() ? i + distance : i - distance;
      from.push_back(source >= 0 && source < count ? source : count);
    }
    Value moved =
        vector::ShuffleOp::create(builder, loc, vector, neutral, from);
    vector = combine(op.getKind(), moved, vector);
  }
  return vector;
}

/// One row, a vector at a time. Only one operation of a vector waits for the
/// one before it: what the row has come to is known from the last lanes alone.
void CPUKernelEmitter::scanRow(tile::ScanOp op, Buffer *result, Buffer *next,
                               Indices indices) {
  int dim = static_cast<int>(op.getDim());
  int64_t length = cast<RankedTensorType>(op.getType(0)).getDimSize(dim);
  int64_t whole = length / lanes * lanes;
  bool isReverse = op.getReverse();
  // Combines the vector at `position` with `carry`, and returns what is carried
  // on.
  auto visit = [&](Value position, int64_t count, Value carry) -> Value {
    Indices at = indices;
    at[dim] = position;
    Lanes part{dim, count};
    Value vector = code.spread(element(op.getInput(), at, part), part);
    Value scanned = scanLanes(op, vector, count);
    Value total = combine(op.getKind(), carry,
                          code.lane(scanned, isReverse ? 0 : count - 1));
    Value sums = combine(op.getKind(), code.spread(carry, part), scanned);
    if (op.getExclusive()) {
      SmallVector<int64_t> from;
      for (int64_t i = 0; i < count; ++i) {
        int64_t source = isReverse ? i + 1 : i - 1;
        from.push_back(source >= 0 && source < count ? source : count);
      }
      sums = vector::ShuffleOp::create(builder, loc, sums,
                                       code.spread(carry, part), from);
    }
    tiles.store(result, at, part, sums);
    return total;
  };
  Value carry = element(op.getCarry(), indices, Lanes());
  auto visitTail = [&] {
    if (whole == length)
      return;
    FreshElements fresh(*this);
    carry = visit(constant(whole), length - whole, carry);
  };
  if (isReverse)
    visitTail();
  if (whole > 0)
    carry = forLoop(whole, lanes, carry, [&](Value turn, ValueRange carried) {
      Value position = turn;
      if (isReverse)
        position =
            arith::SubIOp::create(builder, loc, constant(whole - lanes), turn);
      return SmallVector<Value>{visit(position, lanes, carried[0])};
    })[0];
  if (!isReverse)
    visitTail();
  tiles.store(next, indices, Lanes(), carry);
}
