// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// How an op is split: by the bytes and the price of what it takes and gives
// (docs/decisions/0022-layouts-of-a-step.md).
#include "Resharder.h"

#include "llvm/Support/SaveAndRestore.h"

#include <limits>

using namespace mlir;
using namespace tessera;

Attribute tessera::phaseOf(Operation *user, Value value) {
  for (Operation *op = user; op; op = op->getParentOp())
    if (Attribute phase = op->getAttr(TesseraDialect::phaseAttrName))
      return phase;
  Operation *producer = value.getDefiningOp();
  return producer ? producer->getAttr(TesseraDialect::phaseAttrName)
                  : Attribute();
}

int64_t tessera::localSizeOf(MeshTensorType type, const Mesh &mesh) {
  int64_t size = 1;
  for (int64_t extent :
       type.getLayout().localShape(type.getShape().vec(), mesh))
    size *= extent;
  return size;
}

/// How the operands and results of an op are laid out, each with its bytes;
/// `rule` must outlive it.
static std::vector<FactorVote> votesOf(Operation *op, const FactorRule &rule) {
  std::vector<FactorVote> votes;
  auto vote = [&](Value value, const TensorFactors &dims) {
    if (isa<MeshTensorType>(value.getType()) && !isFreeInAnyLayout(value))
      votes.push_back({&dims, &layoutOfValue(value), bytesOfValue(value)});
  };
  for (auto [value, dims] : llvm::zip(op->getOperands(), rule.operands))
    vote(value, dims);
  for (auto [value, dims] : llvm::zip(op->getResults(), rule.results))
    vote(value, dims);
  return votes;
}

/// Into how many parts the work of an op is cut.
static int64_t countParts(const FactorAssignment &axes, const Mesh &mesh) {
  int64_t parts = 1;
  for (const std::vector<AxisRef> &list : axes)
    for (const AxisRef &axis : list)
      parts *= axis.sizeOn(mesh);
  return parts;
}

FactorAssignment Resharder::assignByBytes(Operation *op,
                                          const FactorRule &rule) {
  return assignFactors(rule, votesOf(op, rule), mesh,
                       varyingOfOperands(op, mesh));
}

/// Axes along which operands of an op are partial.
static std::vector<AxisRef> partialOfOperands(Operation *op) {
  std::vector<AxisRef> axes;
  for (Value operand : op->getOperands())
    if (const Layout *layout = layoutOf(operand.getType()))
      llvm::append_range(axes, layout->partial);
  return axes;
}

/// Whether an op takes about as long as reading and writing its values, so that
/// it matters little into how many parts it is cut.
static bool isCheap(Operation *op) {
  double elements = 0;
  auto count = [&](Value value) {
    if (auto type = dyn_cast<MeshTensorType>(value.getType()))
      elements += static_cast<double>(type.getNumElements());
  };
  llvm::for_each(op->getOperands(), count);
  llvm::for_each(op->getResults(), count);
  return cast<FactorRuleInterface>(op).getFlops() <= 4 * elements;
}

FactorAssignment Resharder::assign(Operation *op, const FactorRule &rule,
                                   bool sharesReshards) {
  FactorAssignment best = assignByBytes(op, rule);
  double price = priceOf(op, rule, best, sharesReshards);
  if (price == 0)
    return best;
  std::vector<AxisRef> varying = varyingOfOperands(op, mesh);
  std::vector<FactorVote> votes = votesOf(op, rule);
  auto consider = [&](const FactorAssignment &axes, bool isCutLess) {
    if (axes == best ||
        (!isCutLess && countParts(axes, mesh) < countParts(best, mesh)) ||
        gathersMore(op, rule, axes, best, sharesReshards))
      return;
    double other = priceOf(op, rule, axes, sharesReshards);
    if (other < price) {
      best = axes;
      price = other;
    }
  };
  // An operand or result at a time decides first.
  for (size_t i = 0; i < votes.size(); ++i) {
    std::vector<FactorVote> others = votes;
    others[i].bytes = std::numeric_limits<double>::infinity();
    consider(assignFactors(rule, others, mesh, varying), false);
  }
  // Terms of sums pass through, and the result is added up instead.
  std::vector<AxisRef> partial = partialOfOperands(op);
  if (!partial.empty() && isCheap(op)) {
    llvm::append_range(partial, varying);
    consider(assignFactors(rule, votes, mesh, partial), true);
  }
  return best;
}

bool Resharder::gathersMore(Operation *op, const FactorRule &rule,
                            const FactorAssignment &axes,
                            const FactorAssignment &others,
                            bool sharesReshards) {
  for (auto [i, operand] : llvm::enumerate(op->getOperands())) {
    auto type = dyn_cast<MeshTensorType>(operand.getType());
    if (!type || isFreeInAnyLayout(operand))
      continue;
    auto sizeUnder = [&](const FactorAssignment &choice) {
      return localSizeOf(
          type.withLayout(layoutUnder(choice, rule.operands[i], mesh)), mesh);
    };
    Layout wanted = layoutUnder(axes, rule.operands[i], mesh);
    wanted.varying = type.getLayout().varying;
    if (sizeUnder(axes) >
            std::max(localSizeOf(type, mesh), sizeUnder(others)) &&
        !(sharesReshards && isMadeAnyway(operand, wanted, op)))
      return true;
  }
  return false;
}

double Resharder::priceOf(Operation *op, const FactorRule &rule,
                          const FactorAssignment &axes, bool sharesReshards) {
  // Of a choice that is not made, nothing is refused.
  llvm::SaveAndRestore refused(refusedGrowth);
  std::vector<AxisRef> passed = passedPartials(op, rule, axes);
  double price = 0;
  for (auto [i, operand] : llvm::enumerate(op->getOperands())) {
    auto from = dyn_cast<MeshTensorType>(operand.getType());
    if (!from || isFreeInAnyLayout(operand))
      continue;
    Layout wanted = layoutOfOperand(op, rule, i, axes, passed);
    if (!wanted.sameSharding(from.getLayout()) &&
        !(sharesReshards && isMadeAnyway(operand, wanted, op)))
      price += priceOf(from, from.withLayout(wanted));
  }
  for (auto [i, result] : llvm::enumerate(op->getResults())) {
    auto to = dyn_cast<MeshTensorType>(result.getType());
    if (!to)
      continue;
    Layout made = layoutMade(op, rule, i, axes, passed);
    Layout wanted = layoutForUser(result);
    wanted.varying = made.varying;
    if (!made.sameSharding(wanted) && wanted.partial.empty())
      price += priceOf(to.withLayout(made), to.withLayout(wanted));
  }
  return price;
}

Layout Resharder::layoutForUser(Value result) {
  Layout propagated = layoutOfValue(result);
  bool isSplit = llvm::any_of(
      propagated.dims, [](const DimLayout &dim) { return !dim.axes.empty(); });
  if (isSplit || !result.hasOneUse())
    return propagated;
  OpOperand &use = *result.use_begin();
  auto ruled = dyn_cast<FactorRuleInterface>(use.getOwner());
  if (!ruled)
    return propagated;
  FactorRule rule = ruled.getFactorRule();
  return layoutUnder(assignByBytes(use.getOwner(), rule),
                     rule.operands[use.getOperandNumber()], mesh);
}

/// Of a value with more users, not all are asked what they would do: the time
/// would grow with the square of their number.
static constexpr size_t maxUsersAsked = 16;

bool Resharder::isMadeAnyway(Value value, const Layout &wanted, Operation *op) {
  auto type = cast<MeshTensorType>(value.getType()).withLayout(wanted);
  Attribute phase = phaseOf(op, value);
  if (cache.lookup({value, {type, phase}}) ||
      cache.lookup({value, {type, Attribute()}}))
    return true;
  size_t asked = 0;
  return llvm::any_of(value.getUsers(), [&](Operation *user) {
    if (++asked > maxUsersAsked || user == op ||
        user->getBlock() != op->getBlock() || phaseOf(user, value) != phase)
      return false;
    auto ruled = dyn_cast<FactorRuleInterface>(user);
    if (!ruled)
      return false;
    FactorRule rule = ruled.getFactorRule();
    FactorAssignment axes = assign(user, rule, false);
    return llvm::any_of(
        llvm::enumerate(user->getOperands()), [&](const auto &operand) {
          return operand.value() == value &&
                 layoutUnder(axes, rule.operands[operand.index()], mesh).dims ==
                     wanted.dims;
        });
  });
}
