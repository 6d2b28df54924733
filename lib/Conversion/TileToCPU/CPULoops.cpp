// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The loops over a tile's elements, and those that fill buffers.
#include "CPUKernelEmitter.h"

#include "lib/Conversion/TileKernels/ForLoop.h"

using namespace mlir;
using namespace tessera;

SmallVector<Value> CPUKernelEmitter::forLoop(
    int64_t end, int64_t step, ValueRange inits,
    function_ref<SmallVector<Value>(Value, ValueRange)> body) {
  FreshElements fresh(*this);
  return emitForLoop(builder, loc, {constant(0), constant(end), constant(step)},
                     inits, body);
}

void CPUKernelEmitter::forLoop(int64_t end, int64_t step,
                               function_ref<void(Value)> body) {
  if (end <= step) {
    FreshElements fresh(*this);
    return body(constant(0));
  }
  forLoop(end, step, {}, [&](Value index, ValueRange) {
    body(index);
    return SmallVector<Value>();
  });
}

void CPUKernelEmitter::forEachElement(ArrayRef<int64_t> shape,
                                      function_ref<void(Indices)> body) {
  Indices indices(shape.size(), constant(0));
  auto nest = [&](auto &&nest, size_t d) -> void {
    while (d < shape.size() && shape[d] == 1)
      ++d;
    if (d == shape.size())
      return body(indices);
    forLoop(shape[d], 1, [&](Value index) {
      indices[d] = index;
      nest(nest, d + 1);
    });
  };
  nest(nest, 0);
}

void CPUKernelEmitter::forEachVector(ArrayRef<int64_t> shape,
                                     function_ref<void(Indices, Lanes)> body,
                                     int64_t vectors) {
  int vectorDim = static_cast<int>(shape.size()) - 1;
  while (vectorDim >= 0 && shape[vectorDim] == 1)
    --vectorDim;
  if (vectorDim < 0) {
    FreshElements fresh(*this);
    return body(Indices(shape.size(), constant(0)), Lanes());
  }
  int64_t size = shape[vectorDim];
  int64_t whole = size / lanes * lanes;
  forEachElement(shape.take_front(vectorDim), [&](Indices indices) {
    indices.resize(shape.size(), constant(0));
    auto visit = [&](Value position, int64_t count) {
      indices[vectorDim] = position;
      body(indices, Lanes{vectorDim, count});
    };
    int64_t step = whole % (vectors * lanes) == 0 ? vectors * lanes : lanes;
    if (whole > 0)
      forLoop(whole, step, [&](Value index) {
        for (int64_t i = 0; i < step; i += lanes)
          visit(code.add(index, i), lanes);
      });
    if (size > whole) {
      FreshElements fresh(*this);
      visit(constant(whole), size - whole);
    }
  });
}

/// Vectors that a turn of the loop that fills a buffer computes: a turn's own
/// instructions are then few beside a short computation.
constexpr int64_t vectorsOfTurn = 2;

void CPUKernelEmitter::fill(Buffer *buffer, Value tile) {
  forEachVectorOf(
      buffer->shape, tile,
      [&](Indices indices, Lanes lanes) {
        tiles.store(buffer, indices, lanes, element(tile, indices, lanes));
      },
      vectorsOfTurn);
}

void CPUKernelEmitter::copy(Buffer *to, Buffer *from) {
  forEachVector(to->shape, [&](Indices indices, Lanes lanes) {
    tiles.store(to, indices, lanes,
                tiles.load(from, indices, lanes, from->elementType));
  });
}
