// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Transposer.h"

#include "Captures.h"
#include "Rules.h"

using namespace mlir;
using namespace tessera;
using namespace tessera::derivatives;

OpBuilder tessera::derivatives::atEndOf(Block &block, MLIRContext *context) {
  OpBuilder builder(context);
  builder.setInsertionPointToEnd(&block);
  return builder;
}

Value tessera::derivatives::zerosLike(FormulaBuilder &build, Value value) {
  return build.numberLike(0, value);
}

Value Cotangents::ofOrZeros(Value result) {
  Value cotangent = of(result);
  return cotangent ? cotangent : zerosLike(build, result);
}

Transposer::Transposer(OpBuilder &builder, Block &block, ArrayRef<Value> linear,
                       Transposer *outer)
    : builder(builder), block(block), outer(outer) {
  linearValues.insert(linear.begin(), linear.end());
  for (Operation &op : block.without_terminator())
    if (isLinearOp(&op))
      for (Value result : op.getResults())
        if (isDifferentiable(result))
          linearValues.insert(result);
}

bool Transposer::isLinearOp(Operation *op) const {
  auto test = [&](Value value) { return isLinear(value); };
  if (llvm::any_of(op->getOperands(), test))
    return true;
  llvm::SetVector<Value> captured = capturedValues(op);
  return llvm::any_of(captured, test);
}

/// Two cotangents that are to be laid out alike meet before they are: terms of
/// sums are then added up once for both, such as those of a weight that two
/// layers share and whose gradient each device has a part of.
static Value addConstrained(OpBuilder &builder, Value sum, Value cotangent) {
  auto first = sum.getDefiningOp<ConstrainOp>();
  auto second = cotangent.getDefiningOp<ConstrainOp>();
  if (!first || !second || first.getLayoutAttr() != second.getLayoutAttr() ||
      first.getReduceAttr() != second.getReduceAttr())
    return {};
  FormulaBuilder build(builder, cotangent.getLoc(), cotangent.getType());
  Value both = build.create<AddOp>(first.getInput(), second.getInput());
  return ConstrainOp::create(builder, first.getLoc(), cotangent.getType(), both,
                             first.getLayoutAttr(), first.getReduceAttr());
}

void Transposer::add(Value value, Value cotangent) {
  Value &sum = cotangents[value];
  if (!sum) {
    sum = cotangent;
    return;
  }
  if (Value constrained = addConstrained(builder, sum, cotangent)) {
    sum = constrained;
    return;
  }
  FormulaBuilder build(builder, cotangent.getLoc(), cotangent.getType());
  sum = build.create<AddOp>(sum, cotangent);
}

void Transposer::refuse(Operation *op, StringRef why) {
  if (outer)
    return outer->refuse(op, why);
  if (hasFailed)
    return;
  hasFailed = true;
  InFlightDiagnostic error =
      op->emitError() << "a rule for jvp is not linear in its tangents here, "
                         "so that reverse mode cannot pass it";
  if (!why.empty())
    error << ": " << why;
  error.attachNote() << "a rule for jvp must be linear in the tangents";
}

/// A value that may stand where a program is left that cannot be made.
Value Transposer::placeholder(Value like) {
  FormulaBuilder build(builder, like.getLoc(), like.getType());
  return zerosLike(build, like);
}

Value Transposer::residual(Value value) {
  if (Value known = mapping.lookupOrNull(value))
    return known;
  if (value.getParentBlock() != &block) {
    // Of the block around; of the whole program, it stays what it is.
    if (isLinear(value)) {
      refuse(current ? current : getAnchor());
      return placeholder(value);
    }
    return outer ? outer->residual(value) : value;
  }
  // The ops of the block that it is computed by, without those that have been
  // copied.
  llvm::SetVector<Operation *> needed;
  SmallVector<Value> next = {value};
  while (!next.empty()) {
    Value used = next.pop_back_val();
    if (mapping.contains(used))
      continue;
    if (used.getParentBlock() != &block) {
      mapping.map(used, residual(used));
      continue;
    }
    Operation *op = used.getDefiningOp();
    if (!op || isLinearOp(op)) {
      refuse(current ? current : getAnchor());
      mapping.map(used, placeholder(used));
      continue;
    }
    if (needed.insert(op))
      for (Value operand : usedValues(op))
        next.push_back(operand);
  }
  SmallVector<Operation *> ordered(needed.getArrayRef());
  llvm::sort(ordered,
             [](Operation *a, Operation *b) { return a->isBeforeInBlock(b); });
  for (Operation *op : ordered)
    builder.clone(*op, mapping);
  return mapping.lookup(value);
}

LogicalResult Transposer::run() {
  for (Operation &op : llvm::reverse(block.without_terminator())) {
    bool isNeeded = llvm::any_of(op.getResults(), [&](Value result) {
      return static_cast<bool>(cotangentOf(result));
    });
    if (!isNeeded || !isLinearOp(&op))
      continue;
    const DerivativeRule *rule = getDerivativeRules().find(&op);
    if (!rule || !rule->transpose) {
      refuse(&op);
      return failure();
    }
    current = &op;
    Cotangents context(&op, *this);
    if (failed(rule->transpose(&op, context)) || hasRefused())
      return failure();
  }
  return success();
}
