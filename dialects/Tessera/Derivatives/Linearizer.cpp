// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Linearizer.h"

#include "Captures.h"
#include "Checkpoints.h"
#include "Rules.h"
#include "dialects/Tessera/IR/Calls.h"
#include "dialects/Tessera/IR/Dependents.h"
#include "dialects/Tessera/IR/OpFormulas.h"

using namespace mlir;
using namespace tessera;
using namespace tessera::derivatives;

//===----------------------------------------------------------------------===//
// Tangents of one op
//===----------------------------------------------------------------------===//

/// A type on the mesh of the op's values.
static Type modelOf(Operation *op) {
  if (op->getNumResults())
    return op->getResult(0).getType();
  return op->getOperand(0).getType();
}

Tangents::Tangents(Operation *op, Linearizer &linearizer)
    : linearizer(linearizer), primalBuilder(op->getContext()),
      linearBuilder(op->getContext()), linearBuilderUsed(&primalBuilder),
      primal(primalBuilder, op->getLoc(), modelOf(op)),
      linear(linearizer.getForm() == Form::Together ? primalBuilder
                                                    : linearBuilder,
             op->getLoc(), modelOf(op)) {
  primalBuilder.setInsertionPointAfter(op);
  if (linearizer.getForm() == Form::Together)
    return;
  linearBuilderUsed = &linearBuilder;
  linearBuilder.setInsertionPointToEnd(linearizer.getLinearBlock());
}

Value Tangents::ofOrZeros(Value operand) {
  Value tangent = of(operand);
  return tangent ? tangent : zerosLike(linear, operand);
}

Value Tangents::sum(Value x, Value y) {
  if (!x || !y)
    return x ? x : y;
  return linear.create<AddOp>(x, y);
}

//===----------------------------------------------------------------------===//
// Blocks
//===----------------------------------------------------------------------===//

Value Linearizer::tangentOf(Value value) const {
  auto found = tangents.find(value);
  if (found != tangents.end())
    return found->second;
  return outer ? outer->tangentOf(value) : Value();
}

/// Whether a tangent enters the op, through an operand or what a region of it
/// captures.
bool Linearizer::hasActiveOperand(Operation *op) const {
  auto isActive = [&](Value value) {
    return static_cast<bool>(tangentOf(value));
  };
  if (llvm::any_of(op->getOperands(), isActive))
    return true;
  llvm::SetVector<Value> captured = capturedValues(op);
  return llvm::any_of(captured, isActive);
}

LogicalResult Linearizer::runOp(Operation *op) {
  if (llvm::none_of(op->getResults(), isDifferentiable) ||
      !hasActiveOperand(op))
    return success();
  const DerivativeRule *rule = getDerivativeRules().find(op);
  if (!rule)
    return op->emitError() << "'" << op->getName()
                           << "' has no derivative rule";
  if (!rule->refusal.empty()) {
    InFlightDiagnostic error = op->emitError() << "'" << op->getName()
                                               << "' cannot be differentiated";
    error.attachNote() << rule->refusal;
    return error;
  }
  if (!rule->jvp)
    return success();
  Tangents context(op, *this);
  return rule->jvp(op, context);
}

LogicalResult Linearizer::runFormula(Operation *op) {
  Operation *next = op->getNextNode();
  OpBuilder builder(op->getContext());
  builder.setInsertionPointAfter(op);
  Value result = writeFormula(op, builder, /*isForDerivatives=*/true);
  assert(result && "the op has no formula");
  SmallVector<Operation *> made;
  for (Operation *each = op->getNextNode(); each != next;
       each = each->getNextNode())
    made.push_back(each);
  for (Operation *each : made)
    if (failed(runOp(each)))
      return failure();
  setTangent(op->getResult(0), tangentOf(result));
  return success();
}

LogicalResult Linearizer::run(Block &primal) {
  return run(primal, primal.getTerminator()->getOperands());
}

LogicalResult Linearizer::run(Block &primal, ValueRange results) {
  llvm::DenseSet<Value> needed(results.begin(), results.end());
  SmallVector<Operation *> ops;
  for (Operation &op : llvm::reverse(primal.without_terminator())) {
    if (llvm::none_of(op.getResults(),
                      [&](Value v) { return needed.contains(v); }))
      continue;
    ops.push_back(&op);
    for (Value used : usedValues(&op))
      needed.insert(used);
  }
  std::reverse(ops.begin(), ops.end());
  return runOps(primal, ops);
}

/// What a rule writes that has to be differentiated in place of the op, such as
/// the formula of a norm, it differentiates itself.
LogicalResult Linearizer::runOps(Block &primal, ArrayRef<Operation *> ops) {
  for (Operation *op : ops) {
    Operation *before = op->getPrevNode(), *next = op->getNextNode();
    Attribute region = op->getAttr(checkpointAttrName);
    Operation *lastLinear =
        linear && !linear->empty() ? &linear->back() : nullptr;
    // The user's rule says what is kept.
    bool isCall = isa<CallOp>(op);
    if (failed(runOp(op)))
      return failure();
    if (form == Form::Together)
      continue;
    Operation *made = before ? before->getNextNode() : &primal.front();
    for (; made != next; made = made->getNextNode()) {
      // What a rule adds belongs to the checkpoint of its op.
      if (region)
        made->setAttr(checkpointAttrName, region);
      if (made != op && !isCall)
        made->setAttr(derivedAttrName, UnitAttr::get(made->getContext()));
    }
    // What it needs on tangents is kept for that checkpoint.
    if (region && !linear->empty())
      for (Operation *added = lastLinear ? lastLinear->getNextNode()
                                         : &linear->front();
           added; added = added->getNextNode())
        added->setAttr(checkpointAttrName, region);
  }
  return success();
}

//===----------------------------------------------------------------------===//
// Activity
//===----------------------------------------------------------------------===//

llvm::DenseSet<Value>
tessera::derivatives::findActiveValues(Operation *op,
                                       llvm::DenseSet<Value> seeds) {
  auto canDepend = [](Operation *inner, Value value) {
    const DerivativeRule *rule = getDerivativeRules().find(inner);
    bool isFlat = rule && !rule->jvp && rule->refusal.empty();
    return !isFlat && isDifferentiable(value);
  };
  return findDependents(op, std::move(seeds), Dependence::Data, canDepend);
}
