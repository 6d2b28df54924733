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
  if (!named || named.getName().empty() || !policy.consume_front("names:"))
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
  bool isInPrimal(Value value) { return value.getParentBlock() == &primal; }
  bool isCheap(Value value);

  /// Finds what is kept, what is computed again, and the inputs of checkpoints.
  void collect(ArrayRef<OpOperand *> uses);
  /// Computes again what one op of the program does.
  void copy(Operation *op);
  void openCheckpoint(Attribute region, Location loc);
  /// What stands for `value` in the linear program, for an op of `region`.
  Value there(Value value, Attribute region);

  Block &linear, &primal;
  OpBuilder builder;
  llvm::SetVector<Value> kept;
  llvm::SetVector<Operation *> copied;
  IRMapping outside; ///< What is kept, and copies that are in no checkpoint.
  struct Checkpoint {
    llvm::SetVector<Value> inputs;
    IRMapping again;
    bool isOpen = false;
  };
  llvm::DenseMap<Attribute, Checkpoint> checkpoints;
};
} // namespace

Attribute ResidualBringer::regionOf(Value value) {
  Operation *op = value.getDefiningOp();
  Attribute tag =
      op && isInPrimal(value) ? op->getAttr(checkpointAttrName) : Attribute();
  if (!tag)
    return {};
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
  if (!op || !isInPrimal(value))
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

void ResidualBringer::collect(ArrayRef<OpOperand *> uses) {
  llvm::DenseSet<Value> seen;
  for (OpOperand *use : uses) {
    SmallVector<Value> next = {use->get()};
    while (!next.empty()) {
      Value value = next.pop_back_val();
      if (!isInPrimal(value) || !seen.insert(value).second)
        continue;
      bool cheap = isCheap(value);
      Attribute region = cheap ? Attribute() : regionOf(value);
      if (!cheap && !region) {
        kept.insert(value);
        continue;
      }
      Operation *op = value.getDefiningOp();
      copied.insert(op);
      if (region)
        checkpoints.try_emplace(region);
      for (Value used : usedValues(op)) {
        next.push_back(used);
        if (region && isInPrimal(used) && !isCheap(used) &&
            regionOf(used) != region)
          checkpoints[region].inputs.insert(used);
      }
    }
  }
}

void ResidualBringer::openCheckpoint(Attribute region, Location loc) {
  Checkpoint &checkpoint = checkpoints[region];
  if (checkpoint.isOpen)
    return;
  checkpoint.isOpen = true;
  // What a checkpoint takes is kept: ops outside of where it is made use it.
  SmallVector<Value> inputs = llvm::map_to_vector(
      checkpoint.inputs, [&](Value input) { return outside.lookup(input); });
  if (inputs.empty())
    return;
  auto barrier =
      BarrierOp::create(builder, loc, TypeRange(ValueRange(inputs)), inputs);
  checkpoint.again.map(checkpoint.inputs.getArrayRef(), barrier.getResults());
}

Value ResidualBringer::there(Value value, Attribute region) {
  if (!isInPrimal(value))
    return value;
  if (region)
    if (Value known = checkpoints[region].again.lookupOrNull(value))
      return known;
  if (Value known = outside.lookupOrNull(value))
    return known;
  return checkpoints[regionOf(value)].again.lookup(value);
}

void ResidualBringer::copy(Operation *op) {
  Attribute region =
      isCheap(op->getResult(0)) ? Attribute() : regionOf(op->getResult(0));
  // Of several results, some may be kept.
  for (Value result : op->getResults())
    if (!region && !isCheap(result))
      region = regionOf(result);
  if (region)
    openCheckpoint(region, op->getLoc());
  IRMapping mapping;
  for (Value used : usedValues(op))
    mapping.map(used, there(used, region));
  Operation *made = builder.clone(*op, mapping);
  made->removeAttr(checkpointAttrName);
  made->removeAttr(derivedAttrName);
  IRMapping &into = region ? checkpoints[region].again : outside;
  for (auto [from, to] : llvm::zip(op->getResults(), made->getResults()))
    if (!into.contains(from))
      into.map(from, to);
}

SmallVector<Residual> ResidualBringer::run() {
  eraseDeadOps(linear);
  SmallVector<OpOperand *> uses;
  linear.walk([&](Operation *op) {
    for (OpOperand &operand : op->getOpOperands())
      if (isInPrimal(operand.get()))
        uses.push_back(&operand);
  });
  collect(uses);
  SmallVector<Residual> residuals;
  for (Value value : kept) {
    BlockArgument inside = linear.addArgument(value.getType(), value.getLoc());
    residuals.push_back({value, inside});
    outside.map(value, inside);
  }
  // Copies stand before the first op of the linear program, in the order of the
  // ops that they are copies of.
  builder.setInsertionPointToStart(&linear);
  SmallVector<Operation *> ordered(copied.getArrayRef());
  llvm::sort(ordered,
             [](Operation *a, Operation *b) { return a->isBeforeInBlock(b); });
  for (Operation *op : ordered)
    copy(op);
  for (OpOperand *use : uses)
    use->set(there(use->get(), Attribute()));
  return residuals;
}

SmallVector<Residual> tessera::derivatives::bringResiduals(Block &linear,
                                                           Block &primal) {
  return ResidualBringer(linear, primal).run();
}
