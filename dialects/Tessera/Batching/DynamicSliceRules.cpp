// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Boxes of computed position. Where each entry has a position of its own, they
// are read by gather and written by scatter at the clamped indices.
#include "Rules.h"

using namespace mlir;
using namespace tessera;
using namespace tessera::batching;

using Build = FormulaBuilder;

static Value zeroStart(Build &b, MLIRContext *context) {
  return b.number(0, {}, IntegerType::get(context, 32));
}

/// For each of the dimensions `indexed`, the indices that the boxes have along
/// it: one tensor [batch, sizes of the box along these dimensions...].
static SmallVector<Value> boxIndices(BatchedOp &b, ValueRange starts,
                                     ArrayRef<int64_t> indexed,
                                     ArrayRef<int64_t> shape,
                                     ArrayRef<int64_t> box) {
  SmallVector<int64_t> grid = {b.size()};
  for (int64_t dim : indexed)
    grid.push_back(box[dim]);
  SmallVector<Value> result;
  for (auto [i, dim] : llvm::enumerate(indexed)) {
    Value start = b.batched(starts[dim]);
    double last = static_cast<double>(shape[dim] - box[dim]);
    start = b.build.create<MinOp>(start, b.build.numberLike(last, start));
    start = b.build.create<MaxOp>(start, b.build.numberLike(0, start));
    result.push_back(
        b.build.create<AddOp>(b.build.broadcast(start, grid, {0}),
                              b.build.iota(grid, static_cast<int64_t>(i) + 1)));
  }
  return result;
}

/// How the boxes that are read at, or written to, such indices correspond to
/// dimensions of the whole.
static IndexedDims boxDims(ArrayRef<int64_t> indexed, int64_t rank,
                           bool inSource) {
  IndexedDims dims;
  dims.sourceRank = rank + inSource;
  dims.indicesRank = static_cast<int64_t>(indexed.size()) + 1;
  for (int64_t dim : indexed)
    dims.indexed.push_back(dim + inSource);
  if (inSource)
    dims.sourceBatch = dims.indicesBatch = {0};
  return dims;
}

/// For each dimension of the slices, the one of [batch, box...] that it is.
static SmallVector<int64_t> boxOrder(const IndexedDims &dims, bool inSource) {
  SmallVector<int64_t> order;
  for (IndexedDims::Slice slice : dims.slices()) {
    if (slice.source >= 0)
      order.push_back(inSource ? slice.source : slice.source + 1);
    else if (slice.indices == 0)
      order.push_back(0);
    else
      order.push_back(dims.indexed[slice.indices - 1] + !inSource);
  }
  return order;
}

static SmallVector<int64_t> inverse(ArrayRef<int64_t> permutation) {
  SmallVector<int64_t> result(permutation.size());
  for (auto [i, from] : llvm::enumerate(permutation))
    result[from] = i;
  return result;
}

static DenseI64ArrayAttr attr(MLIRContext *context,
                              const std::vector<int64_t> &dims) {
  return DenseI64ArrayAttr::get(context, dims);
}

static void batchSlice(DynamicSliceOp op, BatchedOp &b) {
  MLIRContext *context = op.getContext();
  ArrayRef<int64_t> shape = shapeOf(op.getInput()), box = shapeOf(op);
  bool inSource = b.isBatched(op.getInput());
  // First the dimensions along which all entries read alike.
  SmallVector<int64_t> indexed, common(shape);
  SmallVector<Value> starts;
  for (auto [dim, start] : llvm::enumerate(op.getStarts())) {
    if (!b.isBatched(start)) {
      common[dim] = box[dim];
      starts.push_back(b.get(start));
      continue;
    }
    starts.push_back(zeroStart(b.build, context));
    if (box[dim] != shape[dim])
      indexed.push_back(static_cast<int64_t>(dim));
  }
  Value value = b.get(op.getInput());
  if (ArrayRef<int64_t>(common) != shape) {
    SmallVector<int64_t> sizes(common);
    if (inSource) {
      sizes = withFront(b.size(), common);
      starts.insert(starts.begin(), zeroStart(b.build, context));
    }
    value = DynamicSliceOp::create(
        b.getBuilder(), op.getLoc(),
        b.build.typeOf(sizes, getElementTypeOrSelf(op.getType())), value,
        starts);
  }
  if (indexed.empty())
    return b.set(op, value, inSource);
  IndexedDims dims = boxDims(indexed, shape.size(), inSource);
  SmallVector<Value> indices =
      boxIndices(b, op.getStarts(), indexed, shape, box);
  Value made = b.build.create<GatherOp>(
      value, ValueRange(indices), attr(context, dims.indexed),
      attr(context, dims.sourceBatch), attr(context, dims.indicesBatch));
  SmallVector<int64_t> order = boxOrder(dims, inSource);
  if (!llvm::is_sorted(order))
    made = b.build.transpose(made, inverse(order));
  b.set(op, made);
}

static void batchUpdate(DynamicUpdateSliceOp op, BatchedOp &b) {
  MLIRContext *context = op.getContext();
  ArrayRef<int64_t> shape = shapeOf(op.getInput()),
                    box = shapeOf(op.getUpdate());
  SmallVector<int64_t> indexed;
  SmallVector<Value> starts = {zeroStart(b.build, context)};
  bool areAlike = true;
  for (auto [dim, start] : llvm::enumerate(op.getStarts())) {
    starts.push_back(b.isBatched(start) ? zeroStart(b.build, context)
                                        : b.get(start));
    if (box[dim] == shape[dim])
      continue;
    indexed.push_back(static_cast<int64_t>(dim));
    areAlike &= !b.isBatched(start);
  }
  Value input = b.batched(op.getInput()), update = b.batched(op.getUpdate());
  if (areAlike)
    return b.set(op, b.build.create<DynamicUpdateSliceOp>(
                         input, ValueRange(starts), update));
  IndexedDims dims = boxDims(indexed, shape.size(), true);
  SmallVector<int64_t> order = boxOrder(dims, true);
  if (!llvm::is_sorted(order))
    update = b.build.transpose(update, order);
  SmallVector<Value> indices =
      boxIndices(b, op.getStarts(), indexed, shape, box);
  b.set(op,
        b.build.create<ScatterOp>(
            ScatterKindAttr::get(context, ScatterKind::set), input,
            ValueRange(indices), update, attr(context, dims.indexed),
            attr(context, dims.sourceBatch), attr(context, dims.indicesBatch)));
}

void tessera::batching::addDynamicSliceRules(BatchingRules &rules) {
  rules.add<DynamicSliceOp>(batchSlice);
  rules.add<DynamicUpdateSliceOp>(batchUpdate);
}
