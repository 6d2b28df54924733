// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef TESSERA_PIPELINES_PASSES_TD
#define TESSERA_PIPELINES_PASSES_TD

include "mlir/Pass/PassBase.td"

def VerifyStage : Pass<"tessera-verify-stage", "::mlir::ModuleOp"> {
  let summary = "Checks that a module is of a stage.";
  let description = [{
    Input contract: none; ops are verified first, as between the passes of
    `tessera-opt`. Then it is the contract of `stage` that is checked, as
    docs/architecture.md states it: for `layouts` that every layout is closed and
    well formed, for `reshards` that every op agrees with its factor rule, for
    `local` that no mesh tensor is left and boundaries have their parts' types,
    for `kernels` that only kernels compute, for `plan` that launches fit their
    kernels and the arena's live pieces are disjoint, for `llvm` and `nvvm` that no
    op of another dialect is left.

    Every pipeline between stages ends with it, and `tessera-compile` with it: a
    violation is an internal error that names the stage and the op. The module
    then says which stage it has reached, in the attribute `tessera.stage`, from
    which compiling goes on when its text is read again. Two walks over the module;
    `tessera-compile` verifies ops here alone, `tessera-opt` after every pass.
  }];
  let options = [
    Option<"stage", "stage", "std::string", /*default=*/"",
           "Name of the stage, as in --emit=">];
}

#endif // TESSERA_PIPELINES_PASSES_TD
