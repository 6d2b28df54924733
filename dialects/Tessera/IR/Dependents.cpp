// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Tessera/IR/Dependents.h"

#include "dialects/Tessera/IR/Tessera.h"

using namespace mlir;
using namespace tessera;

llvm::DenseSet<Value> tessera::findDependents(
    Operation *op, llvm::DenseSet<Value> values, Dependence dependence,
    llvm::function_ref<bool(Operation *, Value)> canDepend) {
  bool changed = true;
  auto isAny = [&](auto operands, auto valueOf) {
    return llvm::any_of(operands, [&](auto &&operand) {
      return values.contains(valueOf(operand));
    });
  };
  auto fromUse = [](OpOperand *use) { return use->get(); };
  auto spread = [&](Operation *inner) {
    auto mark = [&](Value value) {
      if (canDepend(inner, value))
        changed |= values.insert(value).second;
    };
    auto flow = dyn_cast<DataFlowInterface>(inner);
    if (!flow) {
      if (isAny(inner->getOperands(), [](Value value) { return value; }))
        llvm::for_each(inner->getResults(), mark);
      return;
    }
    // What decides about control decides about all that comes out.
    bool isChosen = dependence == Dependence::Control &&
                    isAny(flow.getControlOperands(), fromUse);
    for (const DataFlowEdge &edge : flow.getDataFlowEdges())
      if (isChosen || isAny(edge.sources, fromUse))
        llvm::for_each(edge.targets, mark);
  };
  while (changed) {
    changed = false;
    op->walk<WalkOrder::PreOrder>(spread);
  }
  return values;
}
