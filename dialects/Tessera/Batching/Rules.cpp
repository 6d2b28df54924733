// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Rules.h"

using namespace tessera::batching;

const BatchingRules &tessera::batching::getBatchingRules() {
  static const BatchingRules rules = [] {
    BatchingRules made;
    addElementwiseRules(made);
    addShapeRules(made);
    addReductionRules(made);
    addIndexingRules(made);
    addDynamicSliceRules(made);
    addNeuralRules(made);
    addRowRules(made);
    addControlRules(made);
    addCallRules(made);
    return made;
  }();
  return rules;
}
