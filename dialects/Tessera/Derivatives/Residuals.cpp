// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Residuals.h"

#include "Captures.h"
#include "dialects/Tessera/IR/Calls.h"
#include "dialects/Tessera/IR/Effects.h"

#include "mlir/IR/IRMapping.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

using namespace mlir;
using namespace tessera;
using namespace tessera::derivatives;

void tessera::derivatives::eraseDeadOps(Block &block) {
  Operation *op = block.empty() ? nullptr : &block.back();
  while (op) {
    Operation *before = op->getPrevNode();
    if (isOpTriviallyDead(op))
      op->erase();
    op = before;
  }
}

/// Whether a policy keeps the results of `op`, of a checkpoint.
static bool isKept(Operation *op, StringRef policy) {
  if (policy == "everything")
    return true;
  if (policy == "dots")
    return isa<ContractOp>(op);
  auto named = dyn_cast<CheckpointNameOp>(op);
  if (!named || !policy.consume_front("names:"))
    return false;
  SmallVector<StringRef> names;
  policy.split(names, ',');
  return llvm::is_contained(names, named.getName());
}

namespace {
/// Brings values of one block into another.
class ResidualBringer {
public:
  ResidualBringer(Block &linear, Block &primal)
      : linear(linear), primal(primal),
        builder(primal.getParentOp()->getContext()) {}

  SmallVector<Residual> run();

private:
  /// The checkpoint that computes `value` again, or null: one that no other op
  /// of the program needs, and that its policy does not keep.
  Attribute regionOf(Value value);
  Attribute tagOf(Value value) {
    Operation *op = value.getDefiningOp();
    return op && op->getBlock() == &primal ? op->getAttr(checkpointAttrName)
                                           : Attribute();
  }
  bool isCheap(Value value);

  /// Finds the inputs of all checkpoints that `value` is computed again by.
  void collectInputs(Value value);
  Value bring(Value value);
  Value keep(Value value);
  Value computeAgain(Value value, Attribute region);

  Block &linear, &primal;
  OpBuilder builder;
  SmallVector<Residual> residuals;
  llvm::DenseSet<Value> seen; ///< By collectInputs.
  llvm::DenseMap<Value, Value> brought;
  struct Checkpoint {
    llvm::SetVector<Value> inputs;
    IRMapping again;
    bool isOpen = false;
  };
  /// All of them are known before values are brought.
  llvm::DenseMap<Attribute, Checkpoint> checkpoints;
};
} // namespace

Attribute ResidualBringer::regionOf(Value value) {
  Attribute tag = tagOf(value);
  if (!tag)
    return {};
  Operation *op = value.getDefiningOp();
  auto policy = cast<StringAttr>(cast<ArrayAttr>(tag)[1]).getValue();
  if (isKept(op, policy) || !isMemoryEffectFree(op))
    return {};
  // What other ops of the program use is in memory anyway.
  for (Operation *user : value.getUsers()) {
    Operation *inPrimal = primal.findAncestorOpInBlock(*user);
    if (inPrimal && inPrimal->getAttr(checkpointAttrName) != tag)
      return {};
  }
  return tag;
}

bool ResidualBringer::isCheap(Value value) {
  Operation *op = value.getDefiningOp();
  if (!op || op->getBlock() != &primal)
    return false;
  if (isa<ConstantOp, IotaOp>(op))
    return true;
  auto kernel = dyn_cast<KernelInterface>(op);
  if (!kernel)
    return false;
  return kernel.isCheapToClone() ||
         (op->hasAttr(derivedAttrName) &&
          kernel.getKernelRole() == KernelRole::Elementwise);
}

void ResidualBringer::collectInputs(Value value) {
  if (value.getParentBlock() != &primal || !seen.insert(value).second)
    return;
  Attribute region = regionOf(value);
  if (!isCheap(value) && !region)
    return;
  if (region)
    checkpoints.try_emplace(region);
  for (Value used : usedValues(value.getDefiningOp())) {
    collectInputs(used);
    if (!isCheap(value) && !isCheap(used) && used.getParentBlock() == &primal &&
        regionOf(used) != region)
      checkpoints[region].inputs.insert(used);
  }
}

Value ResidualBringer::keep(Value value) {
  BlockArgument inside = linear.addArgument(value.getType(), value.getLoc());
  residuals.push_back({value, inside});
  return inside;
}

Value ResidualBringer::computeAgain(Value value, Attribute region) {
  Checkpoint &checkpoint = checkpoints[region];
  if (!checkpoint.isOpen) {
    checkpoint.isOpen = true;
    SmallVector<Value> inputs;
    for (Value input : checkpoint.inputs)
      inputs.push_back(bring(input));
    if (!inputs.empty()) {
      auto barrier = BarrierOp::create(builder, value.getLoc(),
                                       TypeRange(ValueRange(inputs)), inputs);
      checkpoint.again.map(checkpoint.inputs.getArrayRef(),
                           barrier.getResults());
    }
  }
  IRMapping &again = checkpoint.again;
  if (Value known = again.lookupOrNull(value))
    return known;
  Operation *op = value.getDefiningOp();
  for (Value used : usedValues(op))
    if (!again.contains(used) && used.getParentBlock() == &primal)
      again.map(used, isCheap(used) ? bring(used) : computeAgain(used, region));
  Operation *copy = builder.clone(*op, again);
  copy->removeAttr(checkpointAttrName);
  copy->removeAttr(derivedAttrName);
  return again.lookup(value);
}

Value ResidualBringer::bring(Value value) {
  if (Value known = brought.lookup(value))
    return known;
  Value result;
  if (value.getParentBlock() != &primal) {
    result = value;
  } else if (isCheap(value)) {
    IRMapping mapping;
    Operation *op = value.getDefiningOp();
    for (Value operand : op->getOperands())
      mapping.map(operand, bring(operand));
    Operation *copy = builder.clone(*op, mapping);
    copy->removeAttr(checkpointAttrName);
    copy->removeAttr(derivedAttrName);
    result = copy->getResult(cast<OpResult>(value).getResultNumber());
  } else if (Attribute region = regionOf(value)) {
    result = computeAgain(value, region);
  } else {
    result = keep(value);
  }
  brought[value] = result;
  return result;
}

SmallVector<Residual> ResidualBringer::run() {
  eraseDeadOps(linear);
  SmallVector<OpOperand *> uses;
  linear.walk([&](Operation *op) {
    for (OpOperand &operand : op->getOpOperands())
      if (operand.get().getParentBlock() == &primal)
        uses.push_back(&operand);
  });
  for (OpOperand *use : uses)
    collectInputs(use->get());
  // Copies stand before the first op of the linear program, in the order in
  // which they are made.
  builder.setInsertionPointToStart(&linear);
  for (OpOperand *use : uses)
    use->set(bring(use->get()));
  return std::move(residuals);
}

SmallVector<Residual> tessera::derivatives::bringResiduals(Block &linear,
                                                           Block &primal) {
  return ResidualBringer(linear, primal).run();
}
