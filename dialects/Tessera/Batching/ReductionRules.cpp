// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Ops that combine the elements along dimensions, and products.
#include "Rules.h"

using namespace mlir;
using namespace tessera;
using namespace tessera::batching;

/// A letter of the batch, in the operands that have it: where one has not, the
/// batch is one more dimension of a single product.
static LogicalResult batchContract(ContractOp op, BatchedOp &b) {
  StringRef letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
  size_t found = letters.find_first_not_of(op.getSpec());
  if (found == StringRef::npos)
    return op.emitError() << "\"" << op.getSpec()
                          << "\" uses all letters; a batch needs one more";
  std::string batch(1, letters[found]);
  auto front = [&](Value operand, const std::string &indices) {
    return b.isBatched(operand) ? batch + indices : indices;
  };
  ContractOp::Indices indices = op.getIndices();
  auto copy = cast<ContractOp>(b.copyWith(b.getAll(op->getOperands())));
  copy.setSpec(front(op.getLhs(), indices.lhs) + "," +
               front(op.getRhs(), indices.rhs) + "->" + batch + indices.out);
  return success();
}

void tessera::batching::addReductionRules(BatchingRules &rules) {
  rules.add<ContractOp>(batchContract);
  rules.add<ReduceOp>([](ReduceOp op, BatchedOp &b) {
    cast<ReduceOp>(b.copy()).setDims(shifted(op.getDims()));
  });
  rules.add<CumulativeOp>([](CumulativeOp op, BatchedOp &b) {
    cast<CumulativeOp>(b.copy()).setDim(op.getDim() + 1);
  });
  rules.add<ArgsortOp>([](ArgsortOp op, BatchedOp &b) {
    cast<ArgsortOp>(b.copy()).setDim(op.getDim() + 1);
  });
}
