// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "ZeroValues.h"

#include "Rules.h"
#include "dialects/Tessera/IR/Calls.h"
#include "dialects/Tessera/IR/DataFlow.h"

#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace tessera;
using namespace tessera::derivatives;

static bool isZeroConstant(Value value) {
  DenseElementsAttr elements;
  if (!matchPattern(value, m_Constant(&elements)) || !elements.isSplat())
    return false;
  if (isa<FloatType>(elements.getElementType()))
    return elements.getSplatValue<APFloat>().isZero();
  return isa<IntegerType>(elements.getElementType()) &&
         elements.getSplatValue<APInt>().isZero();
}

/// Whether `op` gives zeros where all its operands of floats are zero: linear
/// ops, and functions that are zero at zero.
static bool keepsZeros(Operation *op) {
  const DerivativeRule *rule = getDerivativeRules().find(op);
  return (rule && rule->transpose) ||
         isa<StopGradientOp, CheckpointNameOp, AbsOp, SignOp, SqrtOp, SinOp,
             AsinOp, AtanOp, TanhOp, AsinhOp, AtanhOp, ErfOp, MaxOp, MinOp>(op);
}

bool ZeroValues::contain(Value value) {
  auto found = known.find(value);
  if (found != known.end())
    return found->second;
  // What a loop carries is zero if its first value and all that iterations make
  // of zero are. What followed from the assumption goes where that fails.
  size_t before = zeros.size();
  known[value] = true;
  zeros.push_back(value);
  std::optional<DataFlowEdge> edge = findEdgeTo(value);
  bool isZero =
      edge ? llvm::all_of(edge->sources,
                          [&](OpOperand *s) { return contain(s->get()); })
           : isZeroByOp(value);
  if (isZero)
    return true;
  for (Value assumed : llvm::drop_begin(zeros, before))
    known.erase(assumed);
  zeros.truncate(before);
  known[value] = false;
  return false;
}

bool ZeroValues::isZeroByOp(Value value) {
  if (isZeroConstant(value))
    return true;
  Operation *op = value.getDefiningOp();
  if (!op || op->getNumRegions())
    return false;
  if (isa<CallOp>(op))
    return isZeroByCall(value);
  if (isa<MulOp, ContractOp>(op))
    return contain(op->getOperand(1)) || contain(op->getOperand(0));
  if (isa<DivOp, ConvertOp>(op))
    return contain(op->getOperand(0));
  auto floats = llvm::make_filter_range(op->getOperands(), isDifferentiable);
  return keepsZeros(op) && !floats.empty() &&
         llvm::all_of(floats, [&](Value v) { return contain(v); });
}

bool ZeroValues::isZeroByCall(Value value) {
  auto call = value.getDefiningOp<CallOp>();
  auto callee = SymbolTable::lookupNearestSymbolFrom<FunctionOpInterface>(
      call, call.getCalleeAttr());
  if (!callee || callee.isExternal())
    return false;
  ZeroValues inside;
  for (auto [argument, operand] :
       llvm::zip(callee.getArguments(), call->getOperands()))
    inside.known[argument] = contain(operand);
  Operation *end = callee.getFunctionBody().front().getTerminator();
  return inside.contain(
      end->getOperand(cast<OpResult>(value).getResultNumber()));
}
