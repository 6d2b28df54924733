// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Captures.h"

using namespace mlir;
using namespace tessera;

static bool isInside(Block *block, Operation *op) {
  for (Operation *around = block->getParentOp(); around;
       around = around->getParentOp())
    if (around == op)
      return true;
  return false;
}

llvm::SetVector<Value> tessera::derivatives::capturedValues(Operation *op) {
  llvm::SetVector<Value> captured;
  for (Region &region : op->getRegions())
    region.walk([&](Operation *inner) {
      for (Value operand : inner->getOperands())
        if (!isInside(operand.getParentBlock(), op))
          captured.insert(operand);
    });
  return captured;
}

llvm::SetVector<Value> tessera::derivatives::usedValues(Operation *op) {
  llvm::SetVector<Value> used(op->operand_begin(), op->operand_end());
  llvm::SetVector<Value> captured = capturedValues(op);
  used.insert(captured.begin(), captured.end());
  return used;
}
