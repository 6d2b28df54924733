// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef TESSERA_PLAN_TRANSFORMS_PASSES_TD
#define TESSERA_PLAN_TRANSFORMS_PASSES_TD

include "mlir/Pass/PassBase.td"

def AssignMemory : Pass<"plan-assign-memory", "::tessera::plan::ProgramOp"> {
  let summary = "Gives every piece of the arena its offset.";
  let description = [{
    Input: a plan.program. A piece lives from the first step that uses it to the
    last, through all of a loop that it is used in and defined outside of; pieces
    that never live at once may share memory. Sets `offset` of every
    plan.allocate and `arena` of the program; steps and their order stay. Each
    plan.stage has an arena of its own, and the program's is the largest of them.
    Quadratic in the number of pieces.
  }];
}

#endif // TESSERA_PLAN_TRANSFORMS_PASSES_TD
