// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Reductions of a tile along one dimension.
#include "CPUKernelEmitter.h"

using namespace mlir;
using namespace tessera;

void CPUKernelEmitter::emitReduce(tile::ReduceOp op) {
  auto inType = cast<RankedTensorType>(op.getInput().getType());
  auto outType = cast<RankedTensorType>(op.getType());
  Buffer *result = tiles.create(outType.getShape(), outType.getElementType());
  bool dimIsInner = llvm::all_of(inType.getShape().drop_front(op.getDim() + 1),
                                 [](int64_t size) { return size == 1; });
  if (dimIsInner)
    forEachElement(outType.getShape(), [&](Indices indices) {
      tiles.store(result, indices, Lanes(), reduceRow(op, indices));
    });
  else
    reduceAcrossRows(op, result);
  buffers[op.getResult()] = result;
}

/// Vectors along an inner dimension, several side by side, one step of the
/// reduced one at a time.
void CPUKernelEmitter::reduceAcrossRows(tile::ReduceOp op, Buffer *result) {
  auto type = cast<RankedTensorType>(op.getInput().getType());
  ArrayRef<int64_t> shape = result->shape;
  size_t vectorDim = shape.size() - 1;
  while (shape[vectorDim] == 1)
    --vectorDim;
  Value neutral =
      constantOf(tile::neutralElement(op.getKind(), type.getElementType()));
  auto visit = [&](Indices indices, Value position, ArrayRef<int64_t> counts) {
    auto laneOf = [&](size_t i) {
      return Lanes{static_cast<int>(vectorDim), counts[i]};
    };
    auto columnsAt = [&](size_t i) {
      Indices at = indices;
      at[vectorDim] = code.add(position, static_cast<int64_t>(i) * lanes);
      return at;
    };
    SmallVector<Value> inits;
    for (size_t i = 0; i < counts.size(); ++i)
      inits.push_back(code.spread(neutral, laneOf(i)));
    auto step = [&](Value row, ValueRange carried) {
      SmallVector<Value> next;
      for (size_t i = 0; i < counts.size(); ++i) {
        Indices at = columnsAt(i);
        at[op.getDim()] = row;
        Value value =
            code.spread(element(op.getInput(), at, laneOf(i)), laneOf(i));
        next.push_back(combine(op.getKind(), carried[i], value));
      }
      return next;
    };
    SmallVector<Value> sums =
        forLoop(type.getDimSize(op.getDim()), 1, inits, step);
    for (auto [i, sum] : llvm::enumerate(sums))
      tiles.store(result, columnsAt(i), laneOf(i), sum);
  };
  constexpr int64_t together = 4;
  int64_t size = shape[vectorDim], stride = together * lanes;
  int64_t whole = size / stride * stride;
  forEachElement(shape.take_front(vectorDim), [&](Indices indices) {
    indices.resize(shape.size(), constant(0));
    if (whole > 0)
      forLoop(whole, stride, [&](Value position) {
        visit(indices, position, SmallVector<int64_t>(together, lanes));
      });
    for (int64_t position = whole; position < size; position += lanes) {
      FreshElements fresh(*this);
      visit(indices, constant(position), std::min(lanes, size - position));
    }
  });
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
    return code.spread(element(op.getInput(), at, part), part);
  };

  int64_t vectors = length >= 4 * lanes ? 4 : 1;
  int64_t stride = vectors * lanes;
  int64_t whole = length / stride * stride;
  Value total;
  if (whole > 0) {
    Value start = code.spread(
        constantOf(tile::neutralElement(kind, type.getElementType())),
        Lanes{dim, lanes});
    SmallVector<Value> inits(vectors, start);
    SmallVector<Value> parts =
        forLoop(whole, stride, inits, [&](Value position, ValueRange carried) {
          SmallVector<Value> next;
          for (auto [i, part] : llvm::enumerate(carried))
            next.push_back(combine(
                kind, part, vectorAt(code.add(position, i * lanes), lanes)));
          return next;
        });
    for (; parts.size() > 1; parts.resize(parts.size() / 2))
      for (size_t i = 0; i < parts.size() / 2; ++i)
        parts[i] = combine(kind, parts[2 * i], parts[2 * i + 1]);
    total = code.acrossLanes(kind, parts[0]);
  }
  for (int64_t position = whole; position < length; position += lanes) {
    FreshElements fresh(*this);
    int64_t count = std::min(lanes, length - position);
    Value tail = vectorAt(constant(position), count);
    tail = code.acrossLanes(kind, tail);
    total = total ? combine(kind, total, tail) : tail;
  }
  return total;
}
