// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Residuals.h"

#include "Captures.h"
#include "ResidualBringer.h"
#include "dialects/Tessera/IR/Effects.h"

using namespace mlir;
using namespace tessera;
using namespace tessera::derivatives;

/// How many of the values that are kept for a checkpoint are listed.
static constexpr size_t maxDescribed = 8;

void tessera::derivatives::eraseDeadOps(Block &block) {
  Operation *op = block.empty() ? nullptr : &block.back();
  while (op) {
    Operation *before = op->getPrevNode();
    if (isOpTriviallyDead(op))
      op->erase();
    op = before;
  }
}

Attribute ResidualBringer::regionOf(Value value) {
  Operation *op = value.getDefiningOp();
  Attribute mark =
      op && isInPrimal(value) ? op->getAttr(checkpointAttrName) : Attribute();
  if (!mark || keptByBudget.contains(value) || isKeptBy(policyOf(mark), op) ||
      !isFreeOfEffects(op))
    return {};
  // What other ops of the program use is in memory anyway.
  for (Operation *user : value.getUsers()) {
    Operation *inPrimal = primal.findAncestorOpInBlock(*user);
    if (inPrimal && inPrimal->getAttr(checkpointAttrName) != mark)
      return {};
  }
  return mark;
}

bool ResidualBringer::isCheap(Value value) {
  Operation *op = value.getDefiningOp();
  if (!op || !isInPrimal(value))
    return false;
  if (isa<ConstantOp, IotaOp>(op) || isOfKeys(value))
    return true;
  auto kernel = dyn_cast<KernelInterface>(op);
  if (!kernel)
    return false;
  return kernel.isCheapToClone() ||
         (op->hasAttr(derivedAttrName) &&
          kernel.getKernelRole() == KernelRole::Elementwise);
}

bool ResidualBringer::isOfKeys(Value value) {
  auto [known, isNew] = ofKeys.try_emplace(value, false);
  if (!isNew)
    return known->second;
  Operation *op = value.getDefiningOp();
  auto kernel = dyn_cast_or_null<KernelInterface>(op);
  if (!kernel || !isInPrimal(value))
    return false;
  bool result = isa<RngOp>(op);
  bool passesOn =
      isa<BroadcastOp>(op) || kernel.getKernelRole() == KernelRole::Elementwise;
  if (!result && passesOn) {
    auto isConstant = [](Value operand) {
      return isa_and_nonnull<ConstantOp, IotaOp>(operand.getDefiningOp());
    };
    result = llvm::all_of(op->getOperands(), [&](Value operand) {
      return isConstant(operand) || isOfKeys(operand) ||
             isa_and_nonnull<BroadcastOp>(operand.getDefiningOp());
    });
    // Something else than constants alone.
    result &= llvm::any_of(op->getOperands(),
                           [&](Value operand) { return isOfKeys(operand); });
  }
  return ofKeys[value] = result;
}

SmallVector<ResidualBringer::Need>
ResidualBringer::needsOf(ArrayRef<OpOperand *> uses) {
  SmallVector<Need> needs;
  for (OpOperand *use : uses) {
    Operation *user = linear.findAncestorOpInBlock(*use->getOwner());
    needs.push_back({use->get(), user->getAttr(checkpointAttrName)});
  }
  return needs;
}

void ResidualBringer::addNeeds(Operation *op, Attribute owner,
                               SmallVectorImpl<Need> &needs) {
  if (Attribute mark = op->getAttr(checkpointAttrName))
    owner = mark;
  for (Value used : usedValues(op))
    needs.push_back({used, owner});
}

void ResidualBringer::collect(ArrayRef<OpOperand *> uses) {
  llvm::DenseSet<Need> seen;
  for (Need need : needsOf(uses)) {
    SmallVector<Need> next = {need};
    while (!next.empty()) {
      auto [value, owner] = next.pop_back_val();
      if (!isInPrimal(value) || !seen.insert({value, owner}).second)
        continue;
      bool cheap = isCheap(value);
      Attribute region = cheap ? Attribute() : regionOf(value);
      if (!cheap && !region) {
        kept.insert(value);
        if (owner)
          checkpoints[owner].kept.insert(value);
        continue;
      }
      Operation *op = value.getDefiningOp();
      bool isNew = copied.insert(op);
      addNeeds(op, owner, next);
      if (!region)
        continue;
      Checkpoint &checkpoint = checkpoints[region];
      if (isNew)
        checkpoint.flops += flopsOf(op);
      for (Value used : usedValues(op))
        if (isInPrimal(used) && !isCheap(used) && regionOf(used) != region)
          checkpoint.inputs.insert(used);
    }
  }
}

/// What computing `value`, which is kept, from all else that is would take.
double ResidualBringer::flopsAgain(Value value) {
  llvm::SetVector<Operation *> ops;
  ops.insert(value.getDefiningOp());
  double flops = 0;
  for (size_t i = 0; i < ops.size(); ++i) {
    flops += flopsOf(ops[i]);
    for (Value used : usedValues(ops[i]))
      if (isInPrimal(used) && !kept.contains(used) && used.getDefiningOp())
        ops.insert(used.getDefiningOp());
  }
  return flops;
}

DictionaryAttr ResidualBringer::describe(Attribute region) {
  const Checkpoint &checkpoint = checkpoints[region];
  // The largest first.
  SmallVector<std::pair<int64_t, size_t>> order;
  int64_t bytes = 0, left = 0;
  for (auto [i, value] : llvm::enumerate(checkpoint.kept))
    if (!isAliveAnyway(value)) {
      bytes += bytesOf(value);
      order.push_back({-bytesOf(value), i});
    }
  llvm::sort(order);
  SmallVector<Attribute> texts;
  for (auto [size, number] : order) {
    if (texts.size() == maxDescribed) {
      left -= size;
      continue;
    }
    Value value = checkpoint.kept[number];
    std::string text = describeKept(value) + describePlace(value.getLoc());
    if (keptByBudget.contains(value))
      text += ", which would take " +
              std::to_string(static_cast<int64_t>(flopsAgain(value))) +
              " operations to compute again";
    texts.push_back(builder.getStringAttr(text));
  }
  if (left)
    texts.push_back(builder.getStringAttr(
        Twine(left) + " bytes: " + Twine(order.size() - maxDescribed) +
        " values more"));
  return builder.getDictionaryAttr(
      {builder.getNamedAttr("policy",
                            builder.getStringAttr(policyTextOf(region))),
       builder.getNamedAttr("bytes", builder.getI64IntegerAttr(bytes)),
       builder.getNamedAttr("kept", builder.getArrayAttr(texts)),
       builder.getNamedAttr("flops",
                            builder.getF64FloatAttr(checkpoint.flops))});
}

void ResidualBringer::openCheckpoint(Attribute region) {
  Checkpoint &checkpoint = checkpoints[region];
  if (checkpoint.isOpen)
    return;
  checkpoint.isOpen = true;
  // What a checkpoint takes is kept: ops outside of where it is made use it.
  SmallVector<Value> inputs = llvm::map_to_vector(
      checkpoint.inputs, [&](Value input) { return outside.lookup(input); });
  if (inputs.empty())
    return;
  auto barrier = BarrierOp::create(builder, locationOf(region),
                                   TypeRange(ValueRange(inputs)), inputs);
  barrier->setAttr(recomputationAttrName, describe(region));
  checkpoint.again.map(checkpoint.inputs.getArrayRef(), barrier.getResults());
  behindBarriers.insert(barrier.result_begin(), barrier.result_end());
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
  Attribute region;
  // Of several results, some may be kept.
  for (Value result : op->getResults())
    if (!region && !isCheap(result))
      region = regionOf(result);
  if (region)
    openCheckpoint(region);
  IRMapping mapping;
  bool isBehindBarrier = false;
  for (Value used : usedValues(op)) {
    Value now = there(used, region);
    mapping.map(used, now);
    isBehindBarrier |= behindBarriers.contains(now);
  }
  Operation *made = builder.clone(*op, mapping);
  made->removeAttr(checkpointAttrName);
  made->removeAttr(derivedAttrName);
  if (isBehindBarrier) {
    made->setAttr(recomputedAttrName, builder.getUnitAttr());
    behindBarriers.insert(made->result_begin(), made->result_end());
  }
  IRMapping &into = region ? checkpoints[region].again : outside;
  for (auto [from, to] : llvm::zip(op->getResults(), made->getResults()))
    if (!into.contains(from))
      into.map(from, to);
}

FailureOr<SmallVector<Residual>> ResidualBringer::run() {
  eraseDeadOps(linear);
  SmallVector<OpOperand *> uses;
  linear.walk([&](Operation *op) {
    for (OpOperand &operand : op->getOpOperands())
      if (isInPrimal(operand.get()))
        uses.push_back(&operand);
  });
  if (failed(meetBudgets(uses)))
    return failure();
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

FailureOr<SmallVector<Residual>>
tessera::derivatives::bringResiduals(Block &linear, Block &primal) {
  return ResidualBringer(linear, primal).run();
}
