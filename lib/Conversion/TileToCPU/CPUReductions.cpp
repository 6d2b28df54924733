// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Reductions of a tile along one dimension.
#include "CPUKernelEmitter.h"

using namespace mlir;
using namespace tessera;

/// Vectors side by side whose sums are in registers, and rows that are combined
/// before what they come to joins the rest in memory.
constexpr int64_t vectorsTogether = 4, rowsTogether = 4;

static bool combinesAs(tile::ReductionKind kind, Operation *op) {
  switch (kind) {
  case tile::ReductionKind::sum:
    return isa<arith::AddFOp, arith::AddIOp>(op);
  case tile::ReductionKind::max:
    return isa<arith::MaximumFOp, arith::MaxSIOp>(op);
  case tile::ReductionKind::min:
    return isa<arith::MinimumFOp, arith::MinSIOp>(op);
  case tile::ReductionKind::prod:
    return isa<arith::MulFOp, arith::MulIOp>(op);
  }
  llvm_unreachable("unknown reduction");
}

/// The op that combines the result with a tile which a loop carries, to give
/// the next value of that tile, if none of the three has other uses. The result
/// can then be formed in the carried tile.
static Operation *accumulationOf(tile::ReduceOp op) {
  if (!op->hasOneUse())
    return nullptr;
  Operation *user = *op->user_begin();
  if (!combinesAs(op.getKind(), user) || !user->hasOneUse())
    return nullptr;
  auto carried = dyn_cast<BlockArgument>(user->getOperand(0));
  auto yield = dyn_cast<scf::YieldOp>(*user->user_begin());
  auto loop = dyn_cast<scf::ForOp>(op->getParentOp());
  if (!carried || !carried.hasOneUse() || !yield || !loop ||
      carried.getOwner() != loop.getBody() || yield->getParentOp() != loop)
    return nullptr;
  unsigned index = carried.getArgNumber() - loop.getNumInductionVars();
  return yield.getOperand(index) == user->getResult(0) ? user : nullptr;
}

/// As `combine`, where either zero may stand for the other: the sign of the
/// greatest of zeros costs more than all else.
/// Where no NaN need be found, one may give anything.
Value CPUKernelEmitter::reduceTwo(tile::ReduceOp op, Value a, Value b) {
  Value result = combine(op.getKind(), a, b);
  auto flags = arith::FastMathFlags::nsz;
  if (op.getNumbers())
    flags = flags | arith::FastMathFlags::nnan;
  auto most = result.getDefiningOp<arith::MaximumFOp>();
  auto least = result.getDefiningOp<arith::MinimumFOp>();
  if (most)
    most.setFastmath(flags);
  if (least)
    least.setFastmath(flags);
  bool isAny = op.getNumbers() && (most || least);
  return isAny ? LLVM::FreezeOp::create(builder, loc, result) : result;
}

void CPUKernelEmitter::emitReduce(tile::ReduceOp op) {
  auto inType = cast<RankedTensorType>(op.getInput().getType());
  auto outType = cast<RankedTensorType>(op.getType());
  Operation *accumulation = accumulationOf(op);
  bool accumulates = accumulation != nullptr;
  Buffer *result =
      accumulates ? buffers.lookup(accumulation->getOperand(0))
                  : tiles.create(outType.getShape(), outType.getElementType());
  bool dimIsInner = llvm::all_of(inType.getShape().drop_front(op.getDim() + 1),
                                 [](int64_t size) { return size == 1; });
  if (dimIsInner)
    forEachElement(outType.getShape(), [&](Indices indices) {
      Value total = reduceRow(op, indices);
      if (accumulates)
        total = reduceTwo(
            op, tiles.load(result, indices, Lanes(), outType.getElementType()),
            total);
      tiles.store(result, indices, Lanes(), total);
    });
  else
    reduceAcrossRows(op, result, accumulates);
  Value formed =
      accumulates ? accumulation->getResult(0) : Value(op.getResult());
  buffers[formed] = result;
}

//===----------------------------------------------------------------------===//
// Down columns
//===----------------------------------------------------------------------===//

/// The dimension that vectors of a result run along.
static size_t vectorDimOf(ArrayRef<int64_t> shape) {
  size_t dim = shape.size() - 1;
  while (shape[dim] == 1)
    --dim;
  return dim;
}

/// Some rows at a time, so that memory is read in its order; a few columns at
/// once where they fit in registers.
void CPUKernelEmitter::reduceAcrossRows(tile::ReduceOp op, Buffer *result,
                                        bool accumulates) {
  ArrayRef<int64_t> shape = result->shape;
  size_t vectorDim = vectorDimOf(shape);
  if (shape[vectorDim] <= vectorsTogether * lanes)
    return reduceFewColumns(op, result, accumulates);
  auto type = cast<RankedTensorType>(op.getInput().getType());
  if (!accumulates) {
    Value neutral =
        constantOf(tile::neutralElement(op.getKind(), type.getElementType()));
    forEachVector(shape, [&](Indices indices, Lanes part) {
      tiles.store(result, indices, part, neutral);
    });
  }
  int64_t rows = type.getDimSize(op.getDim());
  int64_t whole = rows / rowsTogether * rowsTogether;
  forEachElement(shape.take_front(vectorDim), [&](Indices indices) {
    indices.resize(shape.size(), constant(0));
    if (whole > 0)
      forLoop(whole, rowsTogether, [&](Value row) {
        reduceRowGroup(op, result, indices, row, rowsTogether);
      });
    if (rows > whole)
      reduceRowGroup(op, result, indices, constant(whole), rows - whole);
  });
}

/// Combines `rows` rows pairwise, and then with the result.
void CPUKernelEmitter::reduceRowGroup(tile::ReduceOp op, Buffer *result,
                                      const Indices &indices, Value firstRow,
                                      int64_t rows) {
  SmallVector<int64_t> columns(result->shape.size(), 1);
  size_t vectorDim = vectorDimOf(result->shape);
  columns[vectorDim] = result->shape[vectorDim];
  forEachVector(columns, [&](const Indices &column, Lanes part) {
    Indices at = indices;
    at[vectorDim] = column[vectorDim];
    SmallVector<Value> values;
    for (int64_t i = 0; i < rows; ++i) {
      Indices from = at;
      from[op.getDim()] = code.add(firstRow, i);
      values.push_back(code.spread(element(op.getInput(), from, part), part));
    }
    for (; values.size() > 1; values.resize((values.size() + 1) / 2))
      for (size_t i = 0; 2 * i < values.size(); ++i)
        values[i] = 2 * i + 1 == values.size()
                        ? values[2 * i]
                        : reduceTwo(op, values[2 * i], values[2 * i + 1]);
    Value before = tiles.load(result, at, part, result->elementType);
    tiles.store(result, at, part, reduceTwo(op, before, values[0]));
  });
}

/// One row at a time, into registers.
void CPUKernelEmitter::reduceFewColumns(tile::ReduceOp op, Buffer *result,
                                        bool accumulates) {
  auto type = cast<RankedTensorType>(op.getInput().getType());
  ArrayRef<int64_t> shape = result->shape;
  size_t vectorDim = vectorDimOf(shape);
  Value neutral =
      constantOf(tile::neutralElement(op.getKind(), type.getElementType()));
  forEachElement(shape.take_front(vectorDim), [&](Indices indices) {
    indices.resize(shape.size(), constant(0));
    SmallVector<Lanes> parts;
    SmallVector<Indices> places;
    SmallVector<Value> inits;
    for (int64_t first = 0; first < shape[vectorDim]; first += lanes) {
      Lanes part{static_cast<int>(vectorDim),
                 std::min(lanes, shape[vectorDim] - first)};
      indices[vectorDim] = constant(first);
      Value init = accumulates
                       ? tiles.load(result, indices, part, result->elementType)
                       : neutral;
      parts.push_back(part);
      places.push_back(indices);
      inits.push_back(code.spread(init, part));
    }
    auto step = [&](Value row, ValueRange carried) {
      SmallVector<Value> next;
      for (auto [part, place, sum] : llvm::zip(parts, places, carried)) {
        Indices at = place;
        at[op.getDim()] = row;
        Value value = code.spread(element(op.getInput(), at, part), part);
        next.push_back(reduceTwo(op, sum, value));
      }
      return next;
    };
    SmallVector<Value> sums =
        forLoop(type.getDimSize(op.getDim()), 1, inits, step);
    for (auto [part, place, sum] : llvm::zip(parts, places, sums))
      tiles.store(result, place, part, sum);
  });
}

//===----------------------------------------------------------------------===//
// Along rows
//===----------------------------------------------------------------------===//

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
            next.push_back(reduceTwo(
                op, part, vectorAt(code.add(position, i * lanes), lanes)));
          return next;
        });
    for (; parts.size() > 1; parts.resize(parts.size() / 2))
      for (size_t i = 0; i < parts.size() / 2; ++i)
        parts[i] = reduceTwo(op, parts[2 * i], parts[2 * i + 1]);
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
