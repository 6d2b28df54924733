// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Tessera/IR/StepOrder.h"

#include "dialects/Tessera/IR/Tessera.h"

using namespace mlir;
using namespace tessera;

void StepOrder::number(Region &region) {
  int64_t begin = next++;
  for (Operation &op : region.getOps()) {
    int64_t opBegin = next++;
    for (Region &inner : op.getRegions())
      number(inner);
    places[&op] = {opBegin, op.getNumRegions() ? next++ : opBegin};
  }
  regions[&region] = {begin, next++};
}

int64_t StepOrder::endOf(OpOperand &use, Block *block) const {
  Operation *user = use.getOwner();
  Operation *step = block->findAncestorOpInBlock(*user);
  Place place = of(step ? step : user);
  if (step != user)
    return place.end;
  // What a loop begins with, and what selects a branch, is read first.
  auto scan = dyn_cast<ScanOp>(user);
  bool isInit = scan && use.getOperandNumber() < scan.getInits().size();
  return isInit || isa<CondOp, tessera::WhileOp>(user) ? place.begin
                                                       : place.end;
}
