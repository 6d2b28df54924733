// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Rules.h"

#include "mlir/IR/IRMapping.h"

using namespace mlir;
using namespace tessera;
using namespace tessera::derivatives;

bool tessera::derivatives::isDifferentiable(Value value) {
  return isa<FloatType>(getElementTypeOrSelf(value.getType()));
}

void DerivativeRules::applyToTangents(Operation *op, Tangents &t) {
  IRMapping mapping;
  for (Value operand : op->getOperands())
    if (isDifferentiable(operand))
      mapping.map(operand, t.ofOrZeros(operand));
  Operation *copy = t.getLinearBuilder().clone(*op, mapping);
  for (auto [result, tangent] : llvm::zip(op->getResults(), copy->getResults()))
    t.set(result, tangent);
}

const DerivativeRules &tessera::derivatives::getDerivativeRules() {
  static const DerivativeRules rules = [] {
    DerivativeRules made;
    addElementwiseRules(made);
    addShapeRules(made);
    addReductionRules(made);
    addIndexingRules(made);
    addNeuralRules(made);
    addRowRules(made);
    addAttentionRules(made);
    addControlRules(made);
    addCallRules(made);
    return made;
  }();
  return rules;
}
