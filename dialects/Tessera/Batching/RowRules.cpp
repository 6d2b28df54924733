// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Log-sum-exp, cross entropy and the derivative of norms: entries are further
// rows.
#include "Rules.h"

using namespace mlir;
using namespace tessera;
using namespace tessera::batching;

void tessera::batching::addRowRules(BatchingRules &rules) {
  rules.add<LogsumexpOp>([](LogsumexpOp op, BatchedOp &b) {
    cast<LogsumexpOp>(b.copy()).setDim(op.getDim() + 1);
  });
  rules.add<CrossEntropyOp>([](CrossEntropyOp, BatchedOp &b) { b.copy(); });
  rules.add<NormTangentOp>([](NormTangentOp, BatchedOp &b) { b.copy(); });
}
