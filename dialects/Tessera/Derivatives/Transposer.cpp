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

void Transposer::add(Value value, Value cotangent) {
  Value &sum = cotangents[value];
  if (!sum) {
    sum = cotangent;
    return;
  }
  FormulaBuilder build(builder, cotangent.getLoc(), cotangent.getType());
  sum = build.create<AddOp>(sum, cotangent);
}

Value Transposer::residual(Value value) {
  if (Value known = mapping.lookupOrNull(value))
    return known;
  Operation *op = value.getDefiningOp();
  if (!op || op->getBlock() != &block) {
    // A value from outside: of the block around, or of the whole program, which
    // stays what it is.
    return outer ? outer->residual(value) : value;
  }
  // An operand may be from a block around this one.
  for (Value operand : op->getOperands())
    mapping.map(operand, residual(operand));
  llvm::SetVector<Value> captured = capturedValues(op);
  for (Value used : captured)
    mapping.map(used, residual(used));
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
      InFlightDiagnostic error = op.emitError()
                                 << "'" << op.getName()
                                 << "' is not linear in its operands, so that "
                                    "reverse mode cannot pass it";
      error.attachNote() << "a rule for jvp must be linear in the tangents";
      return error;
    }
    Cotangents context(&op, *this);
    if (failed(rule->transpose(&op, context)))
      return failure();
  }
  return success();
}
