// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Derivatives of identities, and of calls that have rules of their own. Calls
// without one are replaced by their callees before (Differentiate.cpp).
#include "Residuals.h"
#include "Rules.h"
#include "dialects/Tessera/IR/Calls.h"
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

/// Whether an op among `made` or in its regions mixes values with tangents so
/// that neither block can have it whole.
static bool dependsOn(Operation *op, const llvm::DenseSet<Value> &values) {
  WalkResult result = op->walk([&](Operation *inner) {
    return llvm::any_of(inner->getOperands(),
                        [&](Value v) { return values.contains(v); })
               ? WalkResult::interrupt()
               : WalkResult::advance();
  });
  return result.wasInterrupted();
}

/// By the user's function of values and tangents: ops on tangents become part
/// of the linear program.
static LogicalResult differentiateByJvp(CallOp call, Tangents &t) {
  FailureOr<FunctionOpInterface> rule = findCallee(call, call.getJvpAttr());
  if (failed(rule))
    return failure();
  SmallVector<Value> tangents = tangentsOf(call.getOperands(), t);
  SmallVector<Value> arguments(call.getOperands());
  llvm::append_range(arguments, tangents);
  if (arguments.size() != rule->getNumArguments())
    return call.emitOpError()
           << "has a rule @" << *call.getJvp() << " of "
           << rule->getNumArguments() << " arguments; expected "
           << arguments.size() << ", its operands and their tangents";
  Operation *before = call->getPrevNode();
  OpBuilder builder(call);
  SmallVector<Value> results = cloneBody(*rule, arguments, builder);
  // Calls on tangents have to be seen through.
  auto isPlain = [&](CallOp inner) {
    return inner != call && !inner.getJvp() && !inner.getBwd();
  };
  Operation *function = call->getParentOfType<FunctionOpInterface>();
  if (function && failed(inlineCalls(function, isPlain)))
    return failure();
  if (t.getLinearizer().getForm() == Form::Apart) {
    llvm::DenseSet<Value> linear(tangents.begin(), tangents.end());
    Operation *op = before ? before->getNextNode() : &call->getBlock()->front();
    while (op != call) {
      Operation *next = op->getNextNode();
      if (dependsOn(op, linear)) {
        linear.insert(op->result_begin(), op->result_end());
        op->moveBefore(t.getLinearBuilder().getInsertionBlock(),
                       t.getLinearBuilder().getInsertionPoint());
      }
      op = next;
    }
  }
  size_t count = call->getNumResults();
  unsigned next = count;
  for (unsigned i = 0; i < count; ++i)
    call->getResult(i).replaceAllUsesWith(results[i]);
  for (unsigned i = 0; i < count; ++i)
    if (isDifferentiable(results[i]))
      t.set(results[i], results[next++]);
  call->erase();
  return success();
}

/// By the user's pair of functions: the call becomes the one that keeps
/// residuals, and tessera.custom_tangent stands for the tangents.
static LogicalResult differentiateByPair(CallOp call, Tangents &t) {
  FailureOr<FunctionOpInterface> forward = findCallee(call, call.getFwdAttr());
  if (failed(forward))
    return failure();
  OpBuilder builder(call);
  SmallVector<Value> results = cloneBody(*forward, call.getOperands(), builder);
  size_t count = call->getNumResults();
  if (results.size() < count)
    return call.emitOpError()
           << "has a rule @" << *call.getFwd() << " of " << results.size()
           << " results; expected at least " << count
           << ", those of the call and then residuals";
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
    call->getResult(i).replaceAllUsesWith(results[i]);
    if (isDifferentiable(results[i]))
      t.set(results[i], stand.getResult(next++));
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
  SmallVector<Value> results =
      cloneBody(*rule, arguments, c.getTransposer().getBuilder());
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

void tessera::derivatives::addCallRules(DerivativeRules &rules) {
  // Prints and checks are of values, not of tangents.
  rules.none<StopGradientOp, DebugPrintOp, DebugCheckOp>();
  rules.jvp<CheckpointNameOp>(
      [](CheckpointNameOp op, Tangents &t) { t.set(op, t.of(op.getInput())); });
  // A layout that a user states holds for the cotangent as well.
  rules.jvp<ConstrainOp>([](ConstrainOp op, Tangents &t) {
    t.set(op,
          ConstrainOp::create(t.getLinearBuilder(), op.getLoc(), op.getType(),
                              t.of(op.getInput()), op.getLayoutAttr()));
  });
  rules.transpose<ConstrainOp>([](ConstrainOp op, Cotangents &c) {
    c.add(op.getInput(),
          ConstrainOp::create(c.getTransposer().getBuilder(), op.getLoc(),
                              op.getType(), c.of(op), op.getLayoutAttr()));
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
  rules.jvp<CallOp>([](CallOp call, Tangents &t) {
    return call.getJvp() ? differentiateByJvp(call, t)
                         : differentiateByPair(call, t);
  });
  rules.refuse<CustomTangentOp>(
      "its function has rules for reverse mode (fwd and bwd), which give "
      "first derivatives; write bwd so that it can be differentiated, and "
      "differentiate what it computes");
  rules.transpose<CustomTangentOp>(transposeCustom);
}
