// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Scans of a tile along one dimension: a thread a row.
#include "NVVMKernelEmitter.h"

using namespace mlir;
using namespace tessera;
using namespace tessera::tile;

void NVVMKernelEmitter::emitScan(ScanOp op) {
  auto type = cast<RankedTensorType>(op.getInput().getType());
  auto carryType = cast<RankedTensorType>(op.getCarry().getType());
  int64_t length = type.getDimSize(op.getDim());
  // Threads would read memory far apart: all bring the tile first.
  stage(op.getInput());
  SharedBuffer *result =
      shared.create(loc, type.getShape(), type.getElementType());
  SharedBuffer *next =
      shared.create(loc, carryType.getShape(), type.getElementType());
  beginNest(/*readsShared=*/true, /*writesShared=*/true);
  forEachElement(carryType.getShape(), [&](Indices row) {
    Value start = element(op.getCarry(), row);
    auto step = [&](Value turn, ValueRange carried) {
      Indices at = row;
      at[op.getDim()] = turn;
      if (op.getReverse())
        at[op.getDim()] =
            arith::SubIOp::create(builder, loc, constant(length - 1), turn);
      Value sum = combine(op.getKind(), carried[0], element(op.getInput(), at));
      storeShared(result, at, op.getExclusive() ? carried[0] : sum);
      return SmallVector<Value>{sum};
    };
    Value total = forLoop(constant(0), length, constant(1), start, step)[0];
    storeShared(next, row, total);
  });
  endNest(/*readsShared=*/true, /*writesShared=*/true);
  buffers[op.getResult()] = result;
  buffers[op.getNext()] = next;
}
