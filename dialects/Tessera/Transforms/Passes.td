// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef TESSERA_TESSERA_TRANSFORMS_PASSES_TD
#define TESSERA_TESSERA_TRANSFORMS_PASSES_TD

include "mlir/Pass/PassBase.td"

def VerifyProgram : Pass<"tessera-verify-program", "::mlir::ModuleOp"> {
  let summary = "Checks that a module is a whole program on mesh tensors.";
  let description = [{
    Input contract: none; it is the contract of the `tessera` stage that is
    checked, and it holds up to `tessera-partition`. Every value of a function is
    a mesh tensor. Every mesh that a type or a constraint names exists, and every
    layout is well formed on it: known axes, each used at most once, sub-axes
    that divide their axis. Errors stand at the value, with a note at the mesh;
    a type is reported once per function.

    Changes nothing. One walk over the module.
  }];
  let dependentDialects = ["::tessera::TesseraDialect"];
}

#endif // TESSERA_TESSERA_TRANSFORMS_PASSES_TD
