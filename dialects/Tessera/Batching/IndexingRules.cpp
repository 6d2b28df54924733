// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// gather and scatter, by their own batch dimensions where indices and what they
// index both have the batch.
#include "Rules.h"

using namespace mlir;
using namespace tessera;
using namespace tessera::batching;

namespace {
/// The attributes of an indexing op.
struct Dims {
  SmallVector<int64_t> indexed, sourceBatch, indicesBatch;

  DenseI64ArrayAttr attr(MLIRContext *context, ArrayRef<int64_t> dims) const {
    return DenseI64ArrayAttr::get(context, dims);
  }
};
} // namespace

/// The dimensions where the source or the indices have the batch.
static Dims dimsWithBatch(const IndexedDims &dims, bool inSource,
                          bool inIndices) {
  Dims result;
  auto behind = [](const std::vector<int64_t> &list, bool isBatched) {
    return isBatched ? shifted(list)
                     : SmallVector<int64_t>(list.begin(), list.end());
  };
  result.indexed = behind(dims.indexed, inSource);
  result.sourceBatch = behind(dims.sourceBatch, inSource);
  result.indicesBatch = behind(dims.indicesBatch, inIndices);
  if (inSource && inIndices) {
    result.sourceBatch.insert(result.sourceBatch.begin(), 0);
    result.indicesBatch.insert(result.indicesBatch.begin(), 0);
  }
  return result;
}

static void batchGather(GatherOp op, BatchedOp &b) {
  bool inSource = b.isBatched(op.getSource()),
       inIndices = b.isAnyBatched(op.getIndices());
  SmallVector<Value> indices =
      inIndices ? b.batchedAll(op.getIndices()) : b.getAll(op.getIndices());
  Dims dims = dimsWithBatch(op.getIndexedDims(), inSource, inIndices);
  MLIRContext *context = op.getContext();
  Value made = b.build.create<GatherOp>(
      b.get(op.getSource()), ValueRange(indices),
      dims.attr(context, dims.indexed), dims.attr(context, dims.sourceBatch),
      dims.attr(context, dims.indicesBatch));
  int64_t place = 0;
  if (!inSource)
    for (auto [i, slice] : llvm::enumerate(
             made.getDefiningOp<GatherOp>().getIndexedDims().slices()))
      if (slice.source < 0 && slice.indices == 0)
        place = i;
  b.set(op, moveToFront(b.build, made, place));
}

/// The input needs the batch, as each entry writes into its own. Updates are
/// combined in the order of each entry.
static void batchScatter(ScatterOp op, BatchedOp &b) {
  bool inIndices = b.isAnyBatched(op.getIndices());
  SmallVector<Value> indices =
      inIndices ? b.batchedAll(op.getIndices()) : b.getAll(op.getIndices());
  Dims dims = dimsWithBatch(op.getIndexedDims(), true, inIndices);
  MLIRContext *context = op.getContext();
  b.set(op, b.build.create<ScatterOp>(
                op.getKindAttr(), b.batched(op.getInput()), ValueRange(indices),
                b.batched(op.getUpdates()), dims.attr(context, dims.indexed),
                dims.attr(context, dims.sourceBatch),
                dims.attr(context, dims.indicesBatch)));
}

void tessera::batching::addIndexingRules(BatchingRules &rules) {
  rules.add<GatherOp>(batchGather);
  rules.add<ScatterOp>(batchScatter);
}
