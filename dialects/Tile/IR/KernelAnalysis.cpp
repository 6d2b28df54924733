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

BlockArgument tessera::tile::getCarriedInside(BlockArgument argument) {
  if (!argument.hasOneUse())
    return {};
  OpOperand &use = *argument.use_begin();
  auto inner = dyn_cast<scf::ForOp>(use.getOwner());
  BlockArgument carried =
      inner ? inner.getTiedLoopRegionIterArg(&use) : BlockArgument();
  if (!carried)
    return {};
  auto outer = cast<scf::ForOp>(argument.getOwner()->getParentOp());
  OpResult end = inner.getTiedLoopResult(carried);
  bool isNext =
      end.hasOneUse() && outer.getTiedLoopYieldedValue(argument)->get() == end;
  return isNext ? carried : BlockArgument();
}

bool tessera::tile::isAccumulator(BlockArgument argument) {
  if (BlockArgument inside = getCarriedInside(argument))
    return isAccumulator(inside);
  auto dots = argument.getOwner()->getOps<DotOp>();
  return llvm::any_of(dots, [&](DotOp dot) {
    return accumulatesInPlace(dot) && getAccumulatorSource(dot) == argument;
  });
}

//===----------------------------------------------------------------------===//
// Stores
//===----------------------------------------------------------------------===//

SmallVector<StoreOp> tessera::tile::storesTogether(StoreOp first) {
  SmallVector<StoreOp> stores = {first};
  auto shape = [](StoreOp op) {
    return cast<MemRefType>(op.getMemory().getType()).getShape();
  };
  for (Operation *next = first->getNextNode(); next;
       next = next->getNextNode()) {
    auto store = dyn_cast<StoreOp>(next);
    bool isTogether = store && store.getOffsets() == first.getOffsets() &&
                      store.getValue().getType().getShape() ==
                          first.getValue().getType().getShape() &&
                      shape(store) == shape(first) &&
                      llvm::none_of(stores, [&](StoreOp other) {
                        return other.getMemory() == store.getMemory();
                      });
    if (!isTogether)
      break;
    stores.push_back(store);
  }
  return stores;
}

/// The stores at the end of a kernel if they are all its stores and write one
/// box; else none.
static SmallVector<StoreOp> lastStores(KernelOp kernel) {
  auto stores = llvm::to_vector(kernel.getBlock().getOps<StoreOp>());
  bool hasInner = false;
  kernel.walk([&](StoreOp store) {
    hasInner |= store->getBlock() != &kernel.getBlock();
  });
  if (stores.empty() || hasInner ||
      storesTogether(stores.front()).size() != stores.size() ||
      !isa<ReturnOp>(stores.back()->getNextNode()))
    return {};
  return stores;
}

/// The tiles whose every use is one of `stores`, an elementwise op whose
/// result is such a tile, or a reduction if `orReduced`.
static llvm::DenseSet<Value>
usedInPlace(KernelOp kernel, ArrayRef<StoreOp> stores, bool orReduced) {
  llvm::DenseSet<Value> tiles;
  if (stores.empty())
    return tiles;
  Block &block = kernel.getBlock();
  auto isInPlace = [&](Operation *user) {
    if (user->getBlock() != &block)
      return false;
    if (isa<StoreOp>(user) || (orReduced && isa<ReduceOp>(user)))
      return true;
    return OpTrait::hasElementwiseMappableTraits(user) &&
           llvm::all_of(user->getResults(),
                        [&](Value result) { return tiles.contains(result); });
  };
  for (Operation &op : llvm::reverse(block))
    for (Value result : op.getResults())
      if (isTile(result) && llvm::all_of(result.getUsers(), isInPlace))
        tiles.insert(result);
  return tiles;
}

llvm::DenseSet<Value> tessera::tile::getOnlyStoredTiles(KernelOp kernel) {
  return usedInPlace(kernel, lastStores(kernel), /*orReduced=*/false);
}

//===----------------------------------------------------------------------===//
// Aliasing
//===----------------------------------------------------------------------===//

SmallVector<AliasablePair> tessera::tile::getAliasablePairs(KernelOp kernel) {
  SmallVector<AliasablePair> pairs;
  SmallVector<StoreOp> stores = lastStores(kernel);
  // Reductions have read their operands before anything is stored.
  llvm::DenseSet<Value> inPlace =
      usedInPlace(kernel, stores, /*orReduced=*/true);
  for (StoreOp store : stores) {
    auto output = dyn_cast<BlockArgument>(store.getMemory());
    if (!output)
      continue;
    for (int64_t i = 0; i < static_cast<int64_t>(kernel.getNumInputs()); ++i) {
      BlockArgument input = kernel.getBlock().getArgument(i);
      bool isAliasable = input.getType() == output.getType() &&
                         llvm::all_of(input.getUsers(), [&](Operation *user) {
                           auto load = dyn_cast<LoadOp>(user);
                           return load &&
                                  load.getOffsets() == store.getOffsets() &&
                                  load.getType().getShape() ==
                                      store.getValue().getType().getShape() &&
                                  inPlace.contains(load.getResult());
                         });
      if (isAliasable)
        pairs.push_back({i, output.getArgNumber()});
    }
  }
  return pairs;
}
