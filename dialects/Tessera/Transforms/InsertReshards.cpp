// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "FunctionMesh.h"
#include "PartialSums.h"
#include "Provenance.h"
#include "Resharder.h"
#include "dialects/Tessera/IR/TermConversion.h"
#include "dialects/Tessera/Transforms/Passes.h"
#include "tessera/Analysis/ReshardPlanner.h"

using namespace mlir;

namespace tessera {
#define GEN_PASS_DEF_INSERTRESHARDS
#include "dialects/Tessera/Transforms/Passes.h.inc"

const Layout &layoutOfValue(Value value) {
  return cast<MeshTensorType>(value.getType()).getLayout();
}

double bytesOfValue(Value value) {
  auto type = cast<MeshTensorType>(value.getType());
  return double(type.getNumElements()) * type.getElementTypeBitWidth() / 8;
}

LogicalResult Resharder::visit(Block &block) {
  SmallVector<Operation *> ops;
  for (Operation &op : block)
    ops.push_back(&op);
  for (Operation *op : ops) {
    if (auto constrain = dyn_cast<ConstrainOp>(op)) {
      resolve(constrain);
    } else if (auto ret = dyn_cast<func::ReturnOp>(op)) {
      resolve(ret);
    } else if (auto flow = dyn_cast<DataFlowInterface>(op)) {
      if (failed(makeConsistent(flow)))
        return failure();
    } else if (isInnerSum(op)) {
      continue;
    } else if (isa<AddOp>(op)) {
      for (Operation *addition : regroupSum(op))
        makeConsistent(addition,
                       cast<FactorRuleInterface>(addition).getFactorRule());
    } else if (auto rule = dyn_cast<FactorRuleInterface>(op)) {
      makeConsistent(op, rule.getFactorRule());
    } else if (!isa<ReshardOp, YieldOp>(op)) {
      return op->emitOpError("has no factor rule, so what layouts it takes "
                             "is unknown; implement FactorRuleInterface");
    }
  }
  return success();
}

/// Whether operand `index` of `op` is a constant of neutral elements beside
/// terms that pass through the op partial along `passed`: it becomes a term,
/// too.
static bool isNeutralTerm(Operation *op, const FactorRule &rule, size_t index,
                          const std::vector<AxisRef> &passed) {
  return !passed.empty() &&
         llvm::any_of(rule.linear, [&](const LinearGroup &group) {
           return llvm::is_contained(group.operands, int(index)) &&
                  isNeutralSplat(op->getOperand(index), group.kind) &&
                  llvm::any_of(group.operands, [&](int other) {
                    const Layout *layout =
                        layoutOf(op->getOperand(other).getType());
                    return layout && layout->partialKind == group.kind &&
                           llvm::is_contained(layout->partial, passed.front());
                  });
         });
}

void Resharder::makeConsistent(Operation *op, const FactorRule &rule) {
  FactorAssignment axes = assign(op, rule);
  std::vector<AxisRef> passed = passedPartials(op, rule, axes);
  for (auto [i, operand] : llvm::enumerate(op->getOperands())) {
    if (!isa<MeshTensorType>(operand.getType()))
      continue;
    Layout wanted = layoutOfOperand(op, rule, i, axes, passed);
    const Layout &now = layoutOfValue(operand);
    if (!wanted.sameSharding(now))
      op->setOperand(
          i, reshard(operand, wanted, op, describeNeed(op, rule, now, wanted)));
  }
  setResults(op, rule, axes, passed);
  explainExchange(op);
}

Layout Resharder::layoutOfOperand(Operation *op, const FactorRule &rule,
                                  size_t index, const FactorAssignment &axes,
                                  const std::vector<AxisRef> &passed) {
  Layout wanted = layoutUnder(axes, rule.operands[index], mesh);
  const Layout &now = layoutOfValue(op->getOperand(index));
  for (const AxisRef &axis : now.partial)
    if (llvm::is_contained(passed, axis))
      wanted.partial.push_back(axis);
  wanted.partialKind = now.partialKind;
  wanted.varying = now.varying;
  if (isNeutralTerm(op, rule, index, passed)) {
    wanted.partial = passed;
    wanted.partialKind = kindOfPartial(op, passed.front());
  }
  return wanted;
}

void Resharder::explainExchange(Operation *op) {
  auto parts = dyn_cast<ExpansionInterface>(op);
  std::optional<Exchange> exchange =
      parts ? parts.getExchange(mesh) : std::nullopt;
  if (exchange)
    op->setAttr(exchangeAttrName,
                explainReshard(op->getResult(0), exchange->to.getLayout(),
                               describeOp(op) +
                                   " combines what the parts of a split "
                                   "dimension come to on each device"));
}

std::vector<AxisRef> Resharder::passedPartials(Operation *op,
                                               const FactorRule &rule,
                                               const FactorAssignment &axes) {
  std::vector<AxisRef> candidates, passed;
  std::vector<AxisRef> varying = varyingOfOperands(op, mesh);
  for (Value operand : op->getOperands())
    if (isa<MeshTensorType>(operand.getType()))
      llvm::append_range(candidates, layoutOfValue(operand).partial);
  for (const AxisRef &axis : candidates) {
    bool splits = llvm::any_of(
        axes, [&](const auto &list) { return overlaps(list, axis); });
    if (splits || overlaps(varying, axis) || llvm::is_contained(passed, axis))
      continue;
    bool fits = llvm::any_of(rule.linear, [&](const LinearGroup &group) {
      return passesThrough(op, group, axis);
    });
    // One kind per value: a result that a split Reduce factor makes partial
    // with another kind cannot carry this one too.
    for (auto [f, list] : llvm::enumerate(axes))
      if (rule.factors[f].kind == FactorKind::Reduce && !list.empty() && fits)
        fits = kindOfPartial(op, axis) == rule.factors[f].reduce;
    if (fits)
      passed.push_back(axis);
  }
  return passed;
}

bool Resharder::overlaps(const std::vector<AxisRef> &list,
                         const AxisRef &axis) {
  return llvm::any_of(
      list, [&](const AxisRef &other) { return other.overlaps(axis, mesh); });
}

bool Resharder::passesThrough(Operation *op, const LinearGroup &group,
                              const AxisRef &axis) {
  double partialBytes = 0;
  for (auto [i, operand] : llvm::enumerate(op->getOperands())) {
    bool inGroup = llvm::is_contained(group.operands, int(i));
    if (!isa<MeshTensorType>(operand.getType())) {
      if (inGroup)
        return false;
      continue;
    }
    const Layout &layout = layoutOfValue(operand);
    if (!inGroup) {
      if (overlaps(layout.partial, axis))
        return false;
      continue;
    }
    if (isNeutralSplat(operand, group.kind))
      continue;
    if (!llvm::is_contained(layout.partial, axis) ||
        layout.partialKind != group.kind || !belongsTo(operand, op))
      return false;
    partialBytes += bytesOfValue(operand);
  }
  return bytesOfValue(op->getResult(0)) <= partialBytes || mayGrow(op);
}

bool Resharder::mayGrow(Operation *op) {
  Operation *user = op;
  while (user->getNumResults() == 1 && user->hasOneUse()) {
    user = *user->user_begin();
    if (!isa<YieldOp>(user))
      continue;
    refusedGrowth |= !allowsGrowth;
    return allowsGrowth;
  }
  return false;
}

/// Whether `a` and `b` are in different branches of one op, of which one runs.
static bool areExclusive(Operation *a, Operation *b) {
  for (Region *region = a->getParentRegion(); region;
       region = region->getParentRegion()) {
    Operation *parent = region->getParentOp();
    if (!parent->isProperAncestor(b))
      continue;
    return isa<CondOp>(parent) && !region->isAncestor(b->getParentRegion());
  }
  return false;
}

/// Whether `op` runs once at most each time that `block` does: it is there, or
/// in branches there.
static bool isInBranchesOf(Block *block, Operation *op) {
  while (op->getBlock() != block) {
    op = op->getParentOp();
    if (!isa_and_nonnull<CondOp>(op))
      return false;
  }
  return true;
}

bool Resharder::belongsTo(Value value, Operation *op) {
  return isInBranchesOf(value.getParentBlock(), op) &&
         llvm::all_of(value.getUsers(), [&](Operation *user) {
           return user == op || areExclusive(user, op) || isShadowed(user);
         });
}

ReduceKind Resharder::kindOfPartial(Operation *op, const AxisRef &axis) {
  for (Value operand : op->getOperands())
    if (isa<MeshTensorType>(operand.getType()) &&
        llvm::is_contained(layoutOfValue(operand).partial, axis))
      return layoutOfValue(operand).partialKind;
  return ReduceKind::Sum;
}

void Resharder::setResults(Operation *op, const FactorRule &rule,
                           const FactorAssignment &axes,
                           const std::vector<AxisRef> &passed) {
  for (auto [i, result] : llvm::enumerate(op->getResults()))
    result.setType(cast<MeshTensorType>(result.getType())
                       .withLayout(layoutMade(op, rule, i, axes, passed)));
}

Layout Resharder::layoutMade(Operation *op, const FactorRule &rule,
                             size_t index, const FactorAssignment &axes,
                             const std::vector<AxisRef> &passed) {
  Layout layout = layoutUnder(axes, rule.results[index], mesh);
  for (auto [f, list] : llvm::enumerate(axes))
    if (rule.factors[f].kind == FactorKind::Reduce && !list.empty()) {
      llvm::append_range(layout.partial, list);
      layout.partialKind = rule.factors[f].reduce;
    }
  for (const AxisRef &axis : passed) {
    layout.partial.push_back(axis);
    layout.partialKind = kindOfPartial(op, axis);
  }
  llvm::sort(layout.partial);
  layout.varying = varyingOfOperands(op, mesh);
  return layout;
}

Value Resharder::reshard(Value value, const Layout &wanted, Operation *user,
                         const std::string &rule) {
  auto type = cast<MeshTensorType>(value.getType()).withLayout(wanted);
  Attribute phase = phaseOf(user, value);
  bool isShared = localSizeOf(type, mesh) <=
                  localSizeOf(cast<MeshTensorType>(value.getType()), mesh);
  Value &made = cache[{value, {type, isShared ? Attribute() : phase}}];
  Operation *first = value.getParentBlock()->findAncestorOpInBlock(*user);
  if (made) {
    // Sums are visited at their last addition.
    Operation *op = made.getDefiningOp();
    if (op->getBlock() == first->getBlock() && first->isBeforeInBlock(op))
      op->moveBefore(first);
    return made;
  }
  if (isFreeInAnyLayout(value)) {
    builder.setInsertionPoint(value.getDefiningOp());
    Operation *copy = builder.clone(*value.getDefiningOp());
    copy->getResult(0).setType(type);
    created.push_back(copy);
    return made = copy->getResult(0);
  }
  // What takes more memory than the value is made where it is needed, what
  // takes less at once.
  if (isShared)
    builder.setInsertionPointAfterValue(value);
  else
    builder.setInsertionPoint(first);
  auto op = ReshardOp::create(builder, user->getLoc(), type, value,
                              explainReshard(value, wanted, rule));
  if (phase)
    op->setAttr(TesseraDialect::phaseAttrName, phase);
  created.push_back(op);
  return made = op;
}

void Resharder::resolve(ConstrainOp op) {
  Layout wanted = layoutOfValue(op.getResult()).closed();
  wanted.partial.clear();
  Value value = op.getInput();
  wanted.varying = layoutOfValue(value).varying;
  auto convert = [&](Type element) {
    builder.setInsertionPoint(op);
    auto type = cast<MeshTensorType>(value.getType());
    auto copy = ConvertOp::create(builder, op.getLoc(),
                                  type.cloneWith(std::nullopt, element), value);
    if (Attribute phase = phaseOf(op, value))
      copy->setAttr(TesseraDialect::phaseAttrName, phase);
    if (!layoutOfValue(value).partial.empty())
      copy->setAttr(roundsTermsAttrName, builder.getUnitAttr());
    value = copy;
  };
  Type own = getElementTypeOrSelf(value.getType());
  Type moved = op.getReduce().value_or(own);
  if (layoutOfValue(value).partial.empty() ||
      moved.getIntOrFloatBitWidth() >= own.getIntOrFloatBitWidth())
    moved = own;
  if (moved != own)
    convert(moved);
  if (!wanted.sameSharding(layoutOfValue(value)))
    value = reshard(value, wanted, op,
                    "constrained by the user" +
                        (describeLocation(op.getLoc()).empty()
                             ? std::string()
                             : " at " + describeLocation(op.getLoc())));
  if (moved != own)
    convert(own);
  op.replaceAllUsesWith(value);
  op.erase();
}

void Resharder::resolve(func::ReturnOp op) {
  SmallVector<Type> types(function.getFunctionType().getResults());
  SmallVector<DictionaryAttr> attributes;
  function.getAllResultAttrs(attributes);
  for (auto [i, operand] : llvm::enumerate(op.getOperands())) {
    auto wanted = dyn_cast<MeshTensorType>(types[i]);
    if (!wanted)
      continue;
    NamedAttrList list(attributes[i]);
    if (list.erase(unannotatedAttrName)) {
      types[i] = wanted =
          wanted.withLayout(layoutOfResult(operand, wanted.getLayout()));
      attributes[i] = list.getDictionary(op.getContext());
    }
    if (operand.getType() != wanted)
      op.setOperand(i, reshard(operand, wanted.getLayout(), op,
                               "result " + std::to_string(i) +
                                   " of the function is laid out so"));
  }
  function.setAllResultAttrs(attributes);
  function.setFunctionType(FunctionType::get(
      op.getContext(), function.getFunctionType().getInputs(), types));
}

Layout Resharder::layoutOfResult(Value value, const Layout &propagated) {
  Layout layout = layoutOfValue(value);
  if (layout.partial.empty())
    return layout;
  auto type = cast<MeshTensorType>(value.getType());
  auto costOf = [&](const Layout &to) {
    return planReshard(layout, to, type.getShape().vec(),
                       (type.getElementTypeBitWidth() + 7) / 8, mesh)
        .nanoseconds;
  };
  Layout reduced = layout;
  reduced.partial.clear();
  return costOf(reduced) < costOf(propagated) ? reduced : propagated;
}

namespace {
struct InsertReshardsPass : impl::InsertReshardsBase<InsertReshardsPass> {
  void runOnOperation() override {
    getOperation()->removeAttr(TesseraDialect::stageAttrName);
    for (auto function : getOperation().getOps<func::FuncOp>()) {
      FailureOr<std::optional<Mesh>> mesh = findFunctionMesh(function);
      if (failed(mesh))
        return signalPassFailure();
      if (function.isDeclaration() || !*mesh)
        continue;
      if (failed(verifyRegionsAreKnown(function, getArgument())) ||
          failed(Resharder(function, **mesh).run()))
        return signalPassFailure();
    }
  }
};

} // namespace
} // namespace tessera
