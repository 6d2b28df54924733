// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Tiles whose neighbours along the lanes lie apart in memory: squares of them
// are loaded along the dimension where neighbours are adjacent, and turned in
// registers.
#include "CPUKernelEmitter.h"

#include "llvm/ADT/TypeSwitch.h"
#include <set>

using namespace mlir;
using namespace tessera;
using namespace tessera::tile;

using Dims = SmallVector<int>;

/// Tiles that are computed of turned ones in code for each row, which is 16
/// times as long; with more of them, rows are a loop.
constexpr size_t mostUnrolled = 6;

/// Finds the tiles that are to be turned, from one that is computed down to
/// loads and buffers. Of each tile on the way it keeps which dimension of the
/// first one each of its dimensions is; -1 where its index is 0.
class CPUKernelEmitter::TurnFinder {
public:
  TurnFinder(CPUKernelEmitter &emitter, int laneDim)
      : emitter(emitter), laneDim(laneDim) {}

  void visit(Value tile, const Dims &dims);

  /// The dimension to load along, of the first tile; -1: none is turned.
  int rowDim = -1;
  SmallVector<Turned> found;
  /// How many tiles are computed on the way.
  size_t numVisited() const { return seen.size(); }

private:
  void visitSources(Operation *op, const Dims &dims);
  void visitMemory(Value tile, const Dims &dims, ArrayRef<int64_t> strides);

  CPUKernelEmitter &emitter;
  int laneDim;
  std::set<std::pair<void *, Dims>> seen;
};

void CPUKernelEmitter::TurnFinder::visit(Value tile, const Dims &dims) {
  auto type = cast<RankedTensorType>(tile.getType());
  const auto *lane = llvm::find(dims, laneDim);
  if (lane == dims.end() || type.getDimSize(lane - dims.begin()) == 1 ||
      !seen.insert({tile.getAsOpaquePointer(), dims}).second)
    return;
  if (Buffer *buffer = emitter.buffers.lookup(tile))
    visitMemory(tile, dims, buffer->strides);
  else if (Operation *op = tile.getDefiningOp())
    visitSources(op, dims);
}

void CPUKernelEmitter::TurnFinder::visitSources(Operation *op,
                                                const Dims &dims) {
  llvm::TypeSwitch<Operation *>(op)
      .Case([&](LoadOp op) {
        visitMemory(op.getResult(), dims,
                    emitter.memories.lookup(op.getMemory()).strides);
      })
      .Case([&](TransOp op) {
        Dims source(dims.size());
        for (auto [to, from] : llvm::enumerate(op.getPermutation()))
          source[from] = dims[to];
        visit(op.getInput(), source);
      })
      .Case([&](BroadcastOp op) {
        Dims source = dims;
        auto from = cast<RankedTensorType>(op.getInput().getType());
        for (auto [d, size] : llvm::enumerate(from.getShape()))
          if (size == 1)
            source[d] = -1;
        visit(op.getInput(), source);
      })
      .Case([&](ReshapeOp op) {
        // Where only unit dimensions come and go.
        auto from = cast<RankedTensorType>(op.getInput().getType());
        auto type = cast<RankedTensorType>(op.getType());
        Dims long0 = cpu::longDims(from.getShape()),
             long1 = cpu::longDims(type.getShape());
        Dims source(from.getRank(), -1);
        bool isSame = long0.size() == long1.size();
        for (auto [d, result] : llvm::zip(long0, long1)) {
          isSame &= from.getDimSize(d) == type.getDimSize(result);
          source[d] = dims[result];
        }
        if (isSame)
          visit(op.getInput(), source);
      })
      .Case<GatherOp, IotaOp, SplatOp, arith::ConstantOp>([](auto) {})
      .Default([&](Operation *op) {
        for (Value operand : op->getOperands())
          if (isa<RankedTensorType>(operand.getType()))
            visit(operand, dims);
      });
}

void CPUKernelEmitter::TurnFinder::visitMemory(Value tile, const Dims &dims,
                                               ArrayRef<int64_t> strides) {
  ArrayRef<int64_t> shape = cast<RankedTensorType>(tile.getType()).getShape();
  int lane = static_cast<int>(llvm::find(dims, laneDim) - dims.begin());
  if (strides[lane] == 1)
    return;
  for (auto [d, stride] : llvm::enumerate(strides)) {
    bool isAdjacent = stride == 1 && shape[d] > 1 && dims[d] >= 0;
    if (!isAdjacent || (rowDim >= 0 && rowDim != dims[d]))
      continue;
    rowDim = dims[d];
    Turned turned;
    turned.tile = tile;
    turned.dims = dims;
    turned.rowDim = static_cast<int>(d);
    turned.laneDim = lane;
    found.push_back(turned);
    return;
  }
}

void CPUKernelEmitter::forEachVectorOf(ArrayRef<int64_t> shape,
                                       ValueRange values,
                                       function_ref<void(Indices, Lanes)> body,
                                       int64_t vectors) {
  int laneDim = static_cast<int>(shape.size()) - 1;
  while (laneDim >= 0 && shape[laneDim] == 1)
    --laneDim;
  TurnFinder finder(*this, laneDim);
  for (Value value : values)
    finder.visit(value, llvm::to_vector(llvm::seq<int>(shape.size())));
  if (laneDim < 0 || finder.found.empty())
    return forEachVector(shape, body, vectors);

  int rowDim = finder.rowDim;
  SmallVector<int64_t> others(shape);
  others[rowDim] = others[laneDim] = 1;
  auto steps = [&](int dim, function_ref<void(Value, int64_t)> visit) {
    int64_t whole = shape[dim] / lanes * lanes;
    if (whole > 0)
      forLoop(whole, lanes, [&](Value index) { visit(index, lanes); });
    if (shape[dim] > whole)
      visit(constant(whole), shape[dim] - whole);
  };
  forEachElement(others, [&](Indices indices) {
    steps(rowDim, [&](Value row, int64_t rows) {
      steps(laneDim, [&](Value column, int64_t columns) {
        indices[rowDim] = row;
        indices[laneDim] = column;
        visitSquare(finder.found, indices, rowDim, rows, {laneDim, columns},
                    finder.numVisited() > mostUnrolled, body);
      });
    });
  });
}

/// Rows `rows` from `indices` on, after what they need is turned. Where much is
/// computed of them (`isLong`), in a loop.
void CPUKernelEmitter::visitSquare(ArrayRef<Turned> tiles, Indices indices,
                                   int rowDim, int64_t rows, Lanes lanes,
                                   bool isLong,
                                   function_ref<void(Indices, Lanes)> body) {
  FreshElements fresh(*this);
  SmallVector<Value> rowIndices, laneIndices;
  for (int64_t i = 0; i < rows; ++i)
    rowIndices.push_back(code.add(indices[rowDim], i));
  for (int64_t i = 0; i < lanes.count; ++i)
    laneIndices.push_back(code.add(indices[lanes.dim], i));
  SmallVector<Turned> square(tiles);
  for (Turned &tile : square) {
    for (int dim : tile.dims)
      tile.indices.push_back(dim < 0 ? constant(0) : indices[dim]);
    Indices at = tile.indices;
    Lanes along{tile.rowDim, rows};
    SmallVector<Value> columns;
    for (Value index : laneIndices) {
      at[tile.laneDim] = index;
      columns.push_back(code.spread(element(tile.tile, at, along), along));
    }
    tile.rows = rowIndices;
    tile.vectors = code.transposed(columns);
  }
  if (isLong)
    return loopOverRows(square, indices, rowDim, rows, lanes, body);
  turned = std::move(square);
  for (Value row : rowIndices) {
    indices[rowDim] = row;
    body(indices, lanes);
  }
  turned.clear();
}

/// The rows of a square in a loop, by way of the stack.
void CPUKernelEmitter::loopOverRows(ArrayRef<Turned> square, Indices indices,
                                    int rowDim, int64_t rows, Lanes lanes,
                                    function_ref<void(Indices, Lanes)> body) {
  SmallVector<Buffer *> stored;
  Lanes along{1, lanes.count};
  for (const Turned &tile : square) {
    stored.push_back(
        tiles.create({rows, lanes.count}, getElementTypeOrSelf(tile.tile)));
    for (auto [i, vector] : llvm::enumerate(tile.vectors))
      tiles.store(stored.back(), {constant(i), constant(0)}, along, vector);
  }
  Value first = indices[rowDim];
  forLoop(rows, 1, [&](Value row) {
    indices[rowDim] = code.add(first, row);
    turned.assign(square.begin(), square.end());
    for (auto [tile, buffer] : llvm::zip_equal(turned, stored)) {
      tile.rows = {indices[rowDim]};
      tile.vectors = {tiles.load(buffer, {row, constant(0)}, along,
                                 getElementTypeOrSelf(tile.tile))};
    }
    body(indices, lanes);
    turned.clear();
  });
}

Value CPUKernelEmitter::turnedElement(Value tile, const Indices &indices,
                                      Lanes lanes) {
  for (const Turned &known : turned) {
    if (known.tile != tile || known.laneDim != lanes.dim)
      continue;
    const Value *row = llvm::find(known.rows, indices[known.rowDim]);
    bool isSame = row != known.rows.end();
    for (auto [d, index] : llvm::enumerate(indices))
      isSame &=
          static_cast<int>(d) == known.rowDim || index == known.indices[d];
    if (isSame)
      return known.vectors[row - known.rows.begin()];
  }
  return {};
}
