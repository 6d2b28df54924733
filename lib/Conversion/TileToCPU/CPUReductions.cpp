// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Reductions of a tile along one dimension.
#include "CPUKernelEmitter.h"

using namespace mlir;
using namespace tessera;

void CPUKernelEmitter::emitReduce(tile::ReduceOp op) {
  auto inType = cast<RankedTensorType>(op.getInput().getType());
  auto outType = cast<RankedTensorType>(op.getType());
  Buffer *result = createBuffer(outType.getShape(), outType.getElementType());
  bool dimIsInner = llvm::all_of(inType.getShape().drop_front(op.getDim() + 1),
                                 [](int64_t size) { return size == 1; });
  if (dimIsInner)
    forEachElement(outType.getShape(), [&](Indices indices) {
      storeBuffer(result, indices, Lanes(), reduceRow(op, indices));
    });
  else
    forEachVector(outType.getShape(), [&](Indices indices, Lanes lanes) {
      storeBuffer(result, indices, lanes, reduceAcrossRows(op, indices, lanes));
    });
  buffers[op.getResult()] = result;
}

/// Vectors along an inner dimension, one step of the reduced one at a time.
Value CPUKernelEmitter::reduceAcrossRows(tile::ReduceOp op,
                                         const Indices &indices, Lanes lanes) {
  auto type = cast<RankedTensorType>(op.getInput().getType());
  Value start = spread(
      constantOf(tile::neutralElement(op.getKind(), type.getElementType())),
      lanes);
  auto step = [&](Value position, ValueRange carried) {
    Indices at = indices;
    at[op.getDim()] = position;
    Value next = spread(element(op.getInput(), at, lanes), lanes);
    return SmallVector<Value>{combine(op.getKind(), carried[0], next)};
  };
  return forLoop(type.getDimSize(op.getDim()), 1, start, step)[0];
}

/// One row to a scalar. Several vectors in flight hide the latency of one.
Value CPUKernelEmitter::reduceRow(tile::ReduceOp op, const Indices &indices) {
  auto type = cast<RankedTensorType>(op.getInput().getType());
  int dim = static_cast<int>(op.getDim());
  int64_t length = type.getDimSize(dim);
  tile::ReductionKind kind = op.getKind();
  auto vectorAt = [&](Value position, int64_t count) {
    Indices at = indices;
    at[dim] = position;
    Lanes part{dim, count};
    return spread(element(op.getInput(), at, part), part);
  };

  int64_t vectors = length >= 4 * lanes ? 4 : 1;
  int64_t stride = vectors * lanes;
  int64_t whole = length / stride * stride;
  Value total;
  if (whole > 0) {
    Value start =
        spread(constantOf(tile::neutralElement(kind, type.getElementType())),
               Lanes{dim, lanes});
    SmallVector<Value> inits(vectors, start);
    SmallVector<Value> parts =
        forLoop(whole, stride, inits, [&](Value position, ValueRange carried) {
          SmallVector<Value> next;
          for (auto [i, part] : llvm::enumerate(carried))
            next.push_back(
                combine(kind, part, vectorAt(add(position, i * lanes), lanes)));
          return next;
        });
    for (; parts.size() > 1; parts.resize(parts.size() / 2))
      for (size_t i = 0; i < parts.size() / 2; ++i)
        parts[i] = combine(kind, parts[2 * i], parts[2 * i + 1]);
    total = acrossLanes(kind, parts[0]);
  }
  for (int64_t position = whole; position < length; position += lanes) {
    FreshElements fresh(*this);
    int64_t count = std::min(lanes, length - position);
    Value tail = vectorAt(constant(position), count);
    tail = acrossLanes(kind, tail);
    total = total ? combine(kind, total, tail) : tail;
  }
  return total;
}
