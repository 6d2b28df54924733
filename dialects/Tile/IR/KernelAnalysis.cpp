// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Tile/IR/KernelAnalysis.h"

using namespace mlir;
using namespace tessera::tile;

bool tessera::tile::isTile(Value value) {
  return isa<RankedTensorType>(value.getType());
}

bool tessera::tile::isVirtualTileOp(Operation *op) {
  if (isa<LoadOp, GatherOp, BroadcastOp, ReshapeOp, TransOp, IotaOp, SplatOp>(
          op))
    return true;
  if (isa<arith::ConstantOp>(op))
    return isTile(op->getResult(0));
  return OpTrait::hasElementwiseMappableTraits(op) &&
         llvm::any_of(op->getResults(), isTile);
}

BlockArgument tessera::tile::getAccumulatorSource(DotOp op) {
  Value value = op.getAcc();
  for (;;) {
    if (!value.hasOneUse())
      return {};
    if (auto argument = dyn_cast<BlockArgument>(value))
      return argument;
    Operation *def = value.getDefiningOp();
    if (!OpTrait::hasElementwiseMappableTraits(def))
      return {};
    // Follow the operand that is carried; two that might be are one too many.
    Value next;
    for (Value operand : def->getOperands()) {
      if (!isTile(operand))
        continue;
      Operation *producer = operand.getDefiningOp();
      bool mayBeCarried =
          !producer || (OpTrait::hasElementwiseMappableTraits(producer) &&
                        operand.getType() == op.getType() &&
                        !isa<arith::ConstantOp>(producer));
      if (!mayBeCarried)
        continue;
      if (next)
        return {};
      next = operand;
    }
    if (!next)
      return {};
    value = next;
  }
}

bool tessera::tile::accumulatesInPlace(DotOp op) {
  BlockArgument source = getAccumulatorSource(op);
  if (!source || !op->hasOneUse())
    return false;
  auto loop = dyn_cast_or_null<scf::ForOp>(source.getOwner()->getParentOp());
  auto yield = dyn_cast<scf::YieldOp>(*op->user_begin());
  if (!loop || !yield || yield->getParentOp() != loop ||
      source == loop.getInductionVar())
    return false;
  unsigned index = source.getArgNumber() - loop.getNumInductionVars();
  return yield.getOperand(index) == op.getResult();
}
