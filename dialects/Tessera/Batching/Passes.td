// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef TESSERA_TESSERA_BATCHING_PASSES_TD
#define TESSERA_TESSERA_BATCHING_PASSES_TD

include "mlir/Pass/PassBase.td"

def Vectorize : Pass<"tessera-vectorize", "::mlir::ModuleOp"> {
  let summary = "Adds a function that computes another one for each entry of a batch.";
  let description = [{
    Beside `function` (@f, say) comes @f.batched: of its arguments, those that
    `batched` names have the batch, of `size` entries, as a first dimension, and
    so have all its results.

    Each op has a rule that computes all entries at once; the batch is always the
    first dimension. What is the same for all entries is computed once. Ops that
    have batch dimensions of their own use these: contract, gather, scatter, rng,
    attention. A dynamic_slice whose start differs from entry to entry becomes a
    gather, a dynamic_update_slice a scatter. A while loop whose condition
    differs runs until no entry goes on, a cond whose selector differs computes
    all branches; prints and checks in these are refused. Elsewhere prints and
    checks are about the whole batch at once.

    Calls that say how they are differentiated stay, and their functions are
    batched; other calls are replaced by their callees. A layout that
    `tessera.constrain` states leaves the batch open, or splits it along `axes`.

    Input and output: stage `tessera`. Linear, but for loops in loops, which are
    looked through once for each.
  }];
  let options = [
    Option<"function", "function", "std::string", "\"main\"",
      "Name of the function">,
    Option<"size", "size", "int64_t", "1", "Entries of the batch">,
    ListOption<"batched", "batched", "unsigned",
      "Numbers of its arguments that have the batch; by default all">,
    ListOption<"axes", "axes", "std::string",
      "Mesh axes that split the batch where a layout is stated">];
  let dependentDialects = ["::tessera::TesseraDialect"];
}

#endif // TESSERA_TESSERA_BATCHING_PASSES_TD
