// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Ops that move elements, and those that make values: what they do along their
// own dimensions they do along the next ones, nothing along the batch.
#include "Rules.h"

using namespace mlir;
using namespace tessera;
using namespace tessera::batching;

static void batchTranspose(TransposeOp op, BatchedOp &b) {
  b.set(op, b.build.transpose(b.get(op.getInput()),
                              withFront(0, shifted(op.getPermutation()))));
}

static void batchSlice(SliceOp op, BatchedOp &b) {
  auto copy = cast<SliceOp>(b.copy());
  copy.setStarts(withFront(0, op.getStarts()));
  copy.setLimits(withFront(b.size(), op.getLimits()));
  copy.setStrides(withFront(1, op.getStrides()));
}

static void batchPad(PadOp op, BatchedOp &b) {
  auto copy = cast<PadOp>(b.copy());
  copy.setLow(withFront(0, op.getLow()));
  copy.setHigh(withFront(0, op.getHigh()));
}

static void batchBroadcast(BroadcastOp op, BatchedOp &b) {
  auto copy = cast<BroadcastOp>(b.copy());
  copy.setDims(withFront(0, shifted(op.getDims())));
}

/// A batch of keys is one of the op's own.
static void batchRng(RngOp op, BatchedOp &b) {
  auto copy = cast<RngOp>(b.copyWith(b.getAll(op->getOperands())));
  copy.setGlobalShape(withFront(b.size(), op.getGlobalShape()));
}

void tessera::batching::addShapeRules(BatchingRules &rules) {
  rules.elementwise<ReshapeOp>();
  rules.add<TransposeOp>(batchTranspose);
  rules.add<BroadcastOp>(batchBroadcast);
  rules.add<SliceOp>(batchSlice);
  rules.add<PadOp>(batchPad);
  rules.add<ConcatenateOp>([](ConcatenateOp op, BatchedOp &b) {
    cast<ConcatenateOp>(b.copy()).setDim(op.getDim() + 1);
  });
  rules.add<RngOp>(batchRng);
  // They depend on no entry, and are copied.
  rules.elementwise<ConstantOp, IotaOp>();
}
