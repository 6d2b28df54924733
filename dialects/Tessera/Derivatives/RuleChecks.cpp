// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "RuleChecks.h"

#include "Captures.h"
#include "Rules.h"
#include "ZeroValues.h"
#include "dialects/Tessera/IR/DataFlow.h"
#include "dialects/Tessera/IR/Dependents.h"

using namespace mlir;
using namespace tessera;
using namespace tessera::derivatives;

/// The name that the user gave the function.
static StringRef nameOf(CallOp call) {
  StringRef name = call.getCallee().split('.').first;
  return name == "_lambda_" ? "<lambda>" : name;
}

/// The operands that what an op gives is put together of.
static SmallVector<Value> termsOf(Operation *op) {
  if (isa<AddOp, SubOp, ConcatenateOp>(op))
    return SmallVector<Value>(op->getOperands());
  if (auto select = dyn_cast<SelectOp>(op))
    return {select.getOnTrue(), select.getOnFalse()};
  if (auto update = dyn_cast<DynamicUpdateSliceOp>(op))
    return {update.getInput(), update.getUpdate()};
  if (auto scatter = dyn_cast<ScatterOp>(op))
    return {scatter.getInput(), scatter.getUpdates()};
  return {};
}

namespace {
/// Follows the tangents through the ops of a rule.
class LinearityCheck {
public:
  LinearityCheck(CallOp call, ArrayRef<Value> tangents, bool forTransposing)
      : call(call), linear(tangents.begin(), tangents.end()),
        forTransposing(forTransposing) {}

  LogicalResult run(ArrayRef<Value> results);

private:
  bool isLinear(Value value) const { return linear.contains(value); }
  bool usesLinear(Operation *op) const;
  LogicalResult checkOp(Operation *op);
  LogicalResult checkFactors(Operation *op) const;
  LogicalResult checkFlow(Operation *op);
  LogicalResult checkTerm(Value term, Operation *op);
  LogicalResult refuse(Operation *op, const Twine &what) const;

  CallOp call;
  llvm::DenseSet<Value> linear;
  ZeroValues zeros;
  bool forTransposing;
};
} // namespace

LogicalResult LinearityCheck::refuse(Operation *op, const Twine &what) const {
  InFlightDiagnostic error = op->emitError()
                             << "the rule of '" << nameOf(call)
                             << "' is not linear in its tangents: " << what;
  error.attachNote(op->getLoc())
      << "a rule for jvp gives sums of tangents, each times values that do not "
         "depend on tangents";
  return error;
}

bool LinearityCheck::usesLinear(Operation *op) const {
  auto test = [&](Value value) { return isLinear(value); };
  return llvm::any_of(op->getOperands(), test) ||
         llvm::any_of(capturedValues(op), test);
}

LogicalResult LinearityCheck::checkTerm(Value term, Operation *op) {
  if (isLinear(term) || zeros.contain(term))
    return success();
  return refuse(op, "a term that does not depend on tangents is part of what "
                    "it gives for them");
}

/// An op on tangents and values.
LogicalResult LinearityCheck::checkFactors(Operation *op) const {
  if (isa<MulOp, ContractOp>(op) && isLinear(op->getOperand(0)) &&
      isLinear(op->getOperand(1)))
    return refuse(op, "it multiplies what depends on tangents by the like");
  if (auto divide = dyn_cast<DivOp>(op))
    if (isLinear(divide.getRhs()))
      return refuse(op, "it divides by what depends on tangents");
  auto reduce = dyn_cast<ReduceOp>(op);
  auto cumulative = dyn_cast<CumulativeOp>(op);
  auto scatter = dyn_cast<ScatterOp>(op);
  const DerivativeRule *rule = getDerivativeRules().find(op);
  if ((reduce && reduce.getKind() != dist::ReductionKind::sum) ||
      (cumulative && cumulative.getKind() != dist::ReductionKind::sum) ||
      (scatter && scatter.getKind() != ScatterKind::set &&
       scatter.getKind() != ScatterKind::add) ||
      ((!rule || !rule->transpose) && !op->getNumRegions() && !isa<CallOp>(op)))
    return refuse(op, "this is no linear function of them");
  return success();
}

/// What reaches a value by some ways depends on tangents, or is zero, by all.
LogicalResult LinearityCheck::checkFlow(Operation *op) {
  auto flow = dyn_cast<DataFlowInterface>(op);
  if (!flow)
    return success();
  for (const DataFlowEdge &edge : flow.getDataFlowEdges()) {
    if (edge.kind == DataFlowEdge::Kind::Identity ||
        llvm::none_of(edge.sources, [&](OpOperand *source) {
          return isLinear(source->get());
        }))
      continue;
    for (OpOperand *source : edge.sources)
      if (failed(checkTerm(source->get(), op)))
        return failure();
  }
  return success();
}

LogicalResult LinearityCheck::checkOp(Operation *op) {
  if (!usesLinear(op) || op->hasTrait<OpTrait::IsTerminator>())
    return success();
  SmallVector<Value> terms = termsOf(op);
  if (llvm::any_of(terms, [&](Value value) { return isLinear(value); }))
    for (Value term : terms)
      if (failed(checkTerm(term, op)))
        return failure();
  if (failed(checkFlow(op)))
    return failure();
  return forTransposing ? checkFactors(op) : success();
}

LogicalResult LinearityCheck::run(ArrayRef<Value> results) {
  if (results.empty())
    return success();
  // What the results are computed by.
  Value first = results.front();
  Block *block = first.getParentBlock();
  llvm::DenseSet<Operation *> needed;
  SmallVector<Value> next(results);
  while (!next.empty()) {
    Operation *op = next.pop_back_val().getDefiningOp();
    if (!op || !needed.insert(op).second)
      continue;
    llvm::append_range(next, op->getOperands());
    llvm::append_range(next, capturedValues(op));
  }
  auto canDepend = [](Operation *, Value value) {
    return isDifferentiable(value);
  };
  for (Operation &op : block->without_terminator()) {
    if (!needed.contains(&op) || !usesLinear(&op))
      continue;
    linear =
        findDependents(&op, std::move(linear), Dependence::Data, canDepend);
    WalkResult result = op.walk<WalkOrder::PreOrder>(
        [&](Operation *inner) -> WalkResult { return checkOp(inner); });
    if (result.wasInterrupted())
      return failure();
  }
  for (Value result : results)
    if (failed(checkTerm(result, result.getDefiningOp() ? result.getDefiningOp()
                                                        : call.getOperation())))
      return failure();
  return success();
}

LogicalResult tessera::derivatives::checkLinear(CallOp call,
                                                ArrayRef<Value> results,
                                                ArrayRef<Value> tangents,
                                                bool forTransposing) {
  return LinearityCheck(call, tangents, forTransposing).run(results);
}
