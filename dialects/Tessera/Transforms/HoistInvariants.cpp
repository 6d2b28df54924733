// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Tessera/Transforms/Passes.h"

#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "mlir/Transforms/RegionUtils.h"

namespace tessera {
#define GEN_PASS_DEF_HOISTINVARIANTS
#include "dialects/Tessera/Transforms/Passes.h.inc"
} // namespace tessera

using namespace mlir;
using namespace tessera;

namespace {
/// Moves ops of one loop before it.
class Hoister {
public:
  explicit Hoister(DataFlowInterface loop) : loop(loop) {}

  void run() {
    for (Region &region : loop->getRegions()) {
      // What runs once, as branches do, keeps its ops.
      if (loop.getTripCount(&region) == 1)
        continue;
      for (Operation &op : llvm::make_early_inc_range(region.front()))
        if (canLeave(&op) && isWorthMoving(&op))
          move(&op);
    }
  }

private:
  bool isOutside(Value value) {
    return !loop->isAncestor(value.getParentBlock()->getParentOp());
  }

  /// The values that `op` and its regions use.
  static SmallVector<Value> usedValues(Operation *op) {
    SmallVector<Value> used(op->getOperands());
    llvm::SetVector<Value> captured;
    getUsedValuesDefinedAbove(op->getRegions(), captured);
    llvm::append_range(used, captured);
    return used;
  }

  /// Whether `op` computes the same in every iteration.
  bool canLeave(Operation *op) {
    return isPure(op) && !op->hasTrait<OpTrait::IsTerminator>() &&
           llvm::all_of(usedValues(op), [&](Value value) {
             return isOutside(value) || cheap.contains(value.getDefiningOp());
           });
  }

  /// Constants and what follows from them, from the device's place in the mesh
  /// or by repeating a value, such as masks of padding: part of the kernels
  /// that use it, where before the loop it would be a tensor in memory.
  bool isCheap(Operation *op) {
    if (op->getNumRegions() != 0 || isa<ContractOp>(op))
      return false;
    return isa<ConstantOp, IotaOp, BroadcastOp>(op) ||
           llvm::all_of(op->getOperands(), [&](Value value) {
             Operation *def = value.getDefiningOp();
             return def &&
                    (cheap.contains(def) || isa<ConstantOp, IotaOp>(def) ||
                     (isa<dist::DistDialect>(def->getDialect()) &&
                      def->getNumOperands() == 0));
           });
  }

  bool isWorthMoving(Operation *op) {
    if (isa<dist::DistDialect>(op->getDialect()))
      return true;
    if (!isCheap(op))
      return true;
    cheap.insert(op);
    return false;
  }

  /// Moves `op`, and first what it needs.
  void move(Operation *op) {
    for (Value value : usedValues(op))
      if (Operation *def = value.getDefiningOp(); def && !isOutside(value)) {
        cheap.erase(def);
        move(def);
      }
    op->moveBefore(loop);
  }

  DataFlowInterface loop;
  llvm::DenseSet<Operation *> cheap; ///< Invariant, and left in the loop.
};

struct HoistInvariantsPass
    : tessera::impl::HoistInvariantsBase<HoistInvariantsPass> {
  void runOnOperation() override {
    if (failed(verifyRegionsAreKnown(getOperation(), getArgument())))
      return signalPassFailure();
    // Inner loops first: what leaves them may leave the outer ones too.
    getOperation()->walk([&](DataFlowInterface loop) { Hoister(loop).run(); });
  }
};
} // namespace
