// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Derivatives of identities, and of calls that have rules of their own. Calls
// without one are replaced by their callees before (Differentiate.cpp).
#include "Residuals.h"
#include "RuleChecks.h"
#include "Rules.h"
#include "Widening.h"
#include "dialects/Tessera/IR/Calls.h"
#include "dialects/Tessera/IR/Dependents.h"
#include "dialects/Tessera/IR/Effects.h"

using namespace mlir;
using namespace tessera;
using namespace tessera::derivatives;

/// The operands that have tangents, and the tangents, zeros where they are
/// null.
static SmallVector<Value> tangentsOf(ValueRange operands, Tangents &t) {
  SmallVector<Value> result;
  for (Value operand : operands)
    if (isDifferentiable(operand))
      result.push_back(t.ofOrZeros(operand));
  return result;
}

/// Whether `op` or its regions use one of `values`.
static bool usesAny(Operation *op, const llvm::DenseSet<Value> &values) {
  WalkResult result = op->walk([&](Operation *inner) {
    return llvm::any_of(inner->getOperands(),
                        [&](Value v) { return values.contains(v); })
               ? WalkResult::interrupt()
               : WalkResult::advance();
  });
  return result.wasInterrupted();
}

/// The first `count` of `results`, which `made` has computed, as values that
/// nothing else is: a tangent of one that is an operand as well, or twice a
/// result, would be that of the other.
static SmallVector<Value> ownResults(CallOp call, ArrayRef<Value> results,
                                     ArrayRef<Operation *> made) {
  llvm::SmallPtrSet<Operation *, 16> inside(made.begin(), made.end());
  llvm::DenseSet<Value> seen;
  OpBuilder builder(call);
  SmallVector<Value> own;
  for (Value result : results.take_front(call->getNumResults())) {
    bool isOwn =
        inside.contains(result.getDefiningOp()) && seen.insert(result).second;
    own.push_back(isOwn ? result
                        : CheckpointNameOp::create(builder, call.getLoc(),
                                                   result.getType(), result,
                                                   builder.getStringAttr("")));
  }
  return own;
}

/// The ops between `before`, null for the block's beginning, and `end`.
static SmallVector<Operation *> opsBetween(Operation *before, Operation *end) {
  SmallVector<Operation *> ops;
  for (Operation *op = before ? before->getNextNode()
                              : &end->getBlock()->front();
       op != end; op = op->getNextNode())
    ops.push_back(op);
  return ops;
}

/// Moves the ops among `made` that depend on tangents into the linear program;
/// an error where one of them gives values as well.
static LogicalResult separate(CallOp call, ArrayRef<Operation *> made,
                              ArrayRef<Value> tangents, ArrayRef<Value> values,
                              OpBuilder &linearBuilder) {
  llvm::DenseSet<Value> linear(tangents.begin(), tangents.end());
  SmallVector<Operation *> moved;
  for (Operation *op : made)
    if (usesAny(op, linear)) {
      linear.insert(op->result_begin(), op->result_end());
      moved.push_back(op);
    }
  for (Value value : values)
    if (linear.contains(value)) {
      InFlightDiagnostic error =
          call.emitError() << "the rule for jvp computes a value and tangents "
                              "by one op, so that reverse mode cannot "
                              "separate them";
      if (Operation *op = value.getDefiningOp())
        error.attachNote(op->getLoc()) << "it is this op";
      error.attachNote() << "compute the value by ops of its own, without the "
                            "tangents";
      return error;
    }
  for (Operation *op : moved)
    op->moveBefore(linearBuilder.getInsertionBlock(),
                   linearBuilder.getInsertionPoint());
  return success();
}

/// Makes all that `rule` does with tangents ops of its own. Where reverse mode
/// transposes these, they are no function's any more that has a rule.
static LogicalResult inlineOnTangents(CallOp call, FunctionOpInterface rule,
                                      Tangents &t) {
  bool isTogether = t.getLinearizer().getForm() == Form::Together;
  auto canDepend = [](Operation *, Value value) {
    return isDifferentiable(value);
  };
  while (true) {
    if (failed(
            inlineCalls(rule, [](CallOp inner) { return !inner.hasRule(); })))
      return failure();
    if (isTogether)
      return success();
    auto tangents = rule.getFunctionBody().front().getArguments().drop_front(
        call.getOperands().size());
    llvm::DenseSet<Value> linear = findDependents(
        rule, llvm::DenseSet<Value>(tangents.begin(), tangents.end()),
        Dependence::Data, canDepend);
    auto isOnTangents = [&](CallOp inner) { return usesAny(inner, linear); };
    bool isDone = true;
    rule->walk([&](CallOp inner) { isDone &= !isOnTangents(inner); });
    if (isDone)
      return success();
    if (failed(inlineCalls(rule, isOnTangents)))
      return failure();
  }
}

/// What `rule` gives as tangents is linear in those that it is given.
static LogicalResult checkRule(CallOp call, FunctionOpInterface rule,
                               Tangents &t) {
  Block &body = rule.getFunctionBody().front();
  SmallVector<Value> tangents(
      body.getArguments().drop_front(call.getOperands().size()));
  SmallVector<Value> results(
      body.getTerminator()->getOperands().drop_front(call->getNumResults()));
  return checkLinear(call, results, tangents,
                     t.getLinearizer().isForTransposing());
}

/// A function of a call's rule. It has no body while the rule is being traced.
static FailureOr<FunctionOpInterface> findRule(CallOp call,
                                               FlatSymbolRefAttr name) {
  auto rule =
      SymbolTable::lookupNearestSymbolFrom<FunctionOpInterface>(call, name);
  if (rule && !rule.isExternal())
    return rule;
  InFlightDiagnostic error = call.emitError()
                             << "this call is part of the derivative rule of "
                                "its own function, and is differentiated there";
  error.attachNote() << "a rule cannot use its own derivative: compute what it "
                        "gives by other functions";
  return error;
}

/// By the user's function of values and tangents: ops on tangents become part
/// of the linear program.
static LogicalResult differentiateByJvp(CallOp call, Tangents &t) {
  FailureOr<FunctionOpInterface> rule = findRule(call, call.getJvpAttr());
  size_t count = call->getNumResults();
  if (failed(rule) || failed(inlineOnTangents(call, *rule, t)) ||
      failed(checkRule(call, *rule, t)))
    return failure();
  SmallVector<Value> tangents = tangentsOf(call.getOperands(), t);
  SmallVector<Value> arguments(call.getOperands());
  llvm::append_range(arguments, tangents);
  // Zeros that stand for tangents are behind the call in form Together.
  bool isTogether = t.getLinearizer().getForm() == Form::Together;
  OpBuilder builder(call);
  if (isTogether)
    builder = t.getPrimalBuilder();
  Operation *before = isTogether ? builder.getInsertionPoint()->getPrevNode()
                                 : call->getPrevNode();
  Operation *end =
      isTogether ? &*builder.getInsertionPoint() : call.getOperation();
  SmallVector<Value> results = cloneBody(*rule, arguments, builder);
  SmallVector<Operation *> made = opsBetween(before, end);
  if (!isTogether && failed(separate(call, made, tangents,
                                     ArrayRef<Value>(results).take_front(count),
                                     t.getLinearBuilder())))
    return failure();
  SmallVector<Value> own = ownResults(call, results, made);
  if (isTogether)
    for (auto [value, result] : llvm::zip(own, results))
      if (value != result)
        value.getDefiningOp()->moveBefore(end);
  unsigned next = count;
  for (unsigned i = 0; i < count; ++i) {
    call->getResult(i).replaceAllUsesWith(own[i]);
    if (isDifferentiable(own[i]))
      t.set(own[i], results[next++]);
  }
  call->erase();
  return success();
}

/// By the user's pair of functions: the call becomes the one that keeps
/// residuals, and tessera.custom_tangent stands for the tangents.
static LogicalResult differentiateByPair(CallOp call, Tangents &t) {
  FailureOr<FunctionOpInterface> forward = findRule(call, call.getFwdAttr());
  if (failed(forward))
    return failure();
  OpBuilder builder(call);
  Operation *before = call->getPrevNode();
  SmallVector<Value> results = cloneBody(*forward, call.getOperands(), builder);
  size_t count = call->getNumResults();
  SmallVector<Value> own = ownResults(call, results, opsBetween(before, call));
  SmallVector<Type> types;
  for (Value result : call.getResults())
    if (isDifferentiable(result))
      types.push_back(t.linear.typeOf(shapeOf(result),
                                      getElementTypeOrSelf(result.getType())));
  auto stand = CustomTangentOp::create(
      t.getLinearBuilder(), call.getLoc(), types, call.getBwdAttr(),
      ArrayRef<Value>(results).drop_front(count),
      tangentsOf(call.getOperands(), t));
  unsigned next = 0;
  for (unsigned i = 0; i < count; ++i) {
    call->getResult(i).replaceAllUsesWith(own[i]);
    if (isDifferentiable(own[i]))
      t.set(own[i], stand.getResult(next++));
  }
  call->erase();
  return success();
}

/// @bwd(residuals, cotangents) gives a cotangent for each operand that has a
/// tangent.
static LogicalResult transposeCustom(CustomTangentOp op, Cotangents &c) {
  FailureOr<FunctionOpInterface> rule =
      findCallee(op, op.getBwdAttr(), c.getTransposer().getAnchor());
  if (failed(rule))
    return failure();
  SmallVector<Value> arguments;
  for (Value residual : op.getResiduals())
    arguments.push_back(c.residual(residual));
  for (Value result : op.getResults())
    arguments.push_back(c.ofOrZeros(result));
  if (rule->getNumArguments() != arguments.size() ||
      rule->getNumResults() != op.getTangents().size())
    return op.emitOpError()
           << "has a rule @" << op.getBwd() << " of " << rule->getNumArguments()
           << " arguments and " << rule->getNumResults()
           << " results; expected " << arguments.size()
           << " (residuals and cotangents) and " << op.getTangents().size();
  OpBuilder &builder = c.getTransposer().getBuilder();
  Block::iterator end = builder.getInsertionPoint();
  Operation *before =
      end == builder.getInsertionBlock()->begin() ? nullptr : &*std::prev(end);
  SmallVector<Value> results = cloneBody(*rule, arguments, builder);
  Block::iterator first = before ? std::next(before->getIterator())
                                 : builder.getInsertionBlock()->begin();
  for (Operation &made : llvm::make_range(first, end))
    made.walk([](Operation *inside) {
      inside->setAttr(byHandAttrName, UnitAttr::get(inside->getContext()));
    });
  for (auto [tangent, cotangent] : llvm::zip(op.getTangents(), results))
    c.add(tangent, cotangent);
  return success();
}

//===----------------------------------------------------------------------===//
// Identities
//===----------------------------------------------------------------------===//

static void differentiateBarrier(BarrierOp op, Tangents &t) {
  SmallVector<Value> tangents;
  SmallVector<Type> types;
  for (Value input : op.getInputs())
    if (Value tangent = t.of(input)) {
      tangents.push_back(tangent);
      types.push_back(tangent.getType());
    }
  auto barrier =
      BarrierOp::create(t.getLinearBuilder(), op.getLoc(), types, tangents);
  unsigned next = 0;
  for (auto [input, result] : llvm::zip(op.getInputs(), op.getResults()))
    if (t.of(input))
      t.set(result, barrier.getResult(next++));
}

static void transposeBarrier(BarrierOp op, Cotangents &c) {
  SmallVector<Value> cotangents;
  SmallVector<Type> types;
  for (Value result : op.getResults())
    if (Value ct = c.of(result)) {
      cotangents.push_back(ct);
      types.push_back(ct.getType());
    }
  auto barrier = BarrierOp::create(c.getTransposer().getBuilder(), op.getLoc(),
                                   types, cotangents);
  unsigned next = 0;
  for (auto [input, result] : llvm::zip(op.getInputs(), op.getResults()))
    if (c.of(result))
      c.add(input, barrier.getResult(next++));
}

/// What the layout of a value says of its cotangent: how it is split. Where the
/// value is whole, its cotangent may be terms of a sum, which a closed
/// dimension would have every device add up in full: the transpose of a gather
/// is to scatter the sum.
static dist::LayoutAttr layoutOfCotangent(ConstrainOp op) {
  Layout layout = op.getLayout().getValue();
  for (DimLayout &dim : layout.dims)
    dim.open |= dim.axes.empty();
  return dist::LayoutAttr::get(op.getContext(), layout);
}

void tessera::derivatives::addCallRules(DerivativeRules &rules) {
  // Prints and checks are of values, not of tangents.
  rules.none<StopGradientOp, DebugPrintOp, DebugCheckOp>();
  rules.jvp<CheckpointNameOp>(
      [](CheckpointNameOp op, Tangents &t) { t.set(op, t.of(op.getInput())); });
  // The splits that a user states hold for the cotangent as well.
  rules.jvp<ConstrainOp>([](ConstrainOp op, Tangents &t) {
    t.set(op, ConstrainOp::create(t.getLinearBuilder(), op.getLoc(),
                                  op.getType(), t.of(op.getInput()),
                                  op.getLayoutAttr(), op.getReduceAttr()));
  });
  rules.transpose<ConstrainOp>([](ConstrainOp op, Cotangents &c) {
    c.add(op.getInput(),
          ConstrainOp::create(c.getTransposer().getBuilder(), op.getLoc(),
                              op.getType(), c.of(op), layoutOfCotangent(op),
                              op.getReduceAttr()));
  });
  rules.jvp<ReshardOp>([](ReshardOp op, Tangents &t) {
    t.set(op, ReshardOp::create(t.getLinearBuilder(), op.getLoc(), op.getType(),
                                t.of(op.getInput()), op.getWhyAttr()));
  });
  // The cotangent may have any layout on its way back.
  rules.transpose<ReshardOp>(
      [](ReshardOp op, Cotangents &c) { c.add(op.getInput(), c.of(op)); });
  rules.jvp<BarrierOp>(differentiateBarrier);
  rules.transpose<BarrierOp>(transposeBarrier);
  rules.jvp<CallOp>([](CallOp call, Tangents &t) -> LogicalResult {
    if (std::optional<StringRef> why = call.getRefuse()) {
      InFlightDiagnostic error = call.emitError()
                                 << "the derivative of this call is of too "
                                    "high an order";
      error.attachNote() << *why;
      return error;
    }
    return call.getJvp() ? differentiateByJvp(call, t)
                         : differentiateByPair(call, t);
  });
  rules.refuse<CustomTangentOp>(
      "its function has rules for reverse mode (fwd and bwd), which give "
      "first derivatives; write bwd so that it can be differentiated, and "
      "differentiate what it computes");
  rules.transpose<CustomTangentOp>(transposeCustom);
}
