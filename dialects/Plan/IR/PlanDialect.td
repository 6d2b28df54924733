// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef TESSERA_PLAN_IR_PLANDIALECT_TD
#define TESSERA_PLAN_IR_PLANDIALECT_TD

include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/OpBase.td"

def Plan_Dialect : Dialect {
  let name = "plan";
  let cppNamespace = "::tessera::plan";
  let summary = "The host program: buffers, launches, collectives.";
  let description = [{
    A `plan.program` is a list of steps that every device of a mesh executes in
    order, or one such list for each stage of a pipeline; loops and conditionals
    are steps that hold others. There are no
    tensors, only buffers of so many bytes: the inputs, the outputs, constants,
    and pieces of one arena per device, whose offsets plan-assign-memory gives.
    lib/Target/Plan writes it into an artefact.
  }];
  let dependentDialects = ["::tessera::dist::DistDialect"];
  let useDefaultTypePrinterParser = 1;
}

class Plan_Op<string mnemonic, list<Trait> traits = []>
    : Op<Plan_Dialect, mnemonic, traits>;

#endif // TESSERA_PLAN_IR_PLANDIALECT_TD
