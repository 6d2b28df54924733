// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "PrepareBlocks.h"

#include "KernelGroups.h"

#include <cmath>

using namespace mlir;
using namespace tessera;

void tessera::sinkFreeOps(Block &block) {
  llvm::DenseMap<Operation *, Operation *> copies;
  auto copyOf = [&](auto &&copyOf, Operation *op) -> Operation * {
    Operation *&known = copies[op];
    if (known)
      return known;
    SmallVector<Value> operands(op->getOperands());
    for (Value &operand : operands)
      if (Operation *def = operand.getDefiningOp();
          def && def->getBlock() != &block && isFreeOp(def))
        operand = copyOf(copyOf, def)->getResult(0);
    OpBuilder builder = OpBuilder::atBlockBegin(&block);
    if (!operands.empty())
      if (Operation *def = operands.front().getDefiningOp();
          def && def->getBlock() == &block)
        builder.setInsertionPointAfter(def);
    Operation *copy = builder.clone(*op);
    copy->setOperands(operands);
    return copies[op] = copy;
  };
  for (Operation &op : llvm::make_early_inc_range(block))
    for (OpOperand &operand : op.getOpOperands())
      if (Operation *def = operand.get().getDefiningOp();
          def && def->getBlock() != &block && isFreeOp(def))
        operand.set(copyOf(copyOf, def)->getResult(0));
}

/// More are split: the inputs of each part, and the parts.
constexpr size_t mostConcatenated = 32;

static void split(ConcatenateOp op) {
  OpBuilder builder(op);
  SmallVector<Value> inputs(op.getInputs());
  auto dim = static_cast<int64_t>(op.getDim());
  while (inputs.size() > mostConcatenated) {
    auto root = static_cast<size_t>(
        std::ceil(std::sqrt(static_cast<double>(inputs.size()))));
    size_t size = std::min(mostConcatenated, root);
    SmallVector<Value> parts;
    for (size_t first = 0; first < inputs.size(); first += size) {
      ArrayRef<Value> part =
          ArrayRef<Value>(inputs).slice(first).take_front(size);
      auto type = cast<RankedTensorType>(op.getType());
      SmallVector<int64_t> shape(type.getShape());
      shape[dim] = 0;
      for (Value input : part)
        shape[dim] += shapeOf(input)[dim];
      parts.push_back(ConcatenateOp::create(builder, op.getLoc(),
                                            type.clone(shape), part, dim));
    }
    inputs = std::move(parts);
  }
  op.getInputsMutable().assign(inputs);
}

void tessera::splitConcatenations(Block &block) {
  auto ops = llvm::to_vector(block.getOps<ConcatenateOp>());
  for (ConcatenateOp op : ops)
    if (op.getInputs().size() > mostConcatenated)
      split(op);
}
