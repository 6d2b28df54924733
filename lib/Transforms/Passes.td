// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef TESSERA_TRANSFORMS_PASSES_TD
#define TESSERA_TRANSFORMS_PASSES_TD

include "mlir/Pass/PassBase.td"

def SimplifyCollectives : Pass<"dist-simplify-collectives", "::mlir::ModuleOp"> {
  let summary = "Rewrites collectives into fewer or cheaper ones of equal value.";
  let description = [{
    Input and output: stage `local`. Until nothing changes:

    * axes of size 1 are dropped, and with the last axis the collective;
    * equal collectives of one value become one;
    * a slice of an all-reduce along its axes becomes a reduce-scatter;
    * slicing what was gathered, or gathering what was sliced, along the same
      axes of the same dimension is the value itself;
    * the sum (maximum, minimum) of two all-reduces of that kind becomes the
      all-reduce of the sum, and an all-reduce of an all-reduce one over all axes;
    * permutations are composed.

    Only all-reduces with one use are rewritten: another use would keep both. Terms
    may be added in another order, so results agree up to rounding. The `#dist.why`
    of a new collective joins those it stands for, with its own bytes and time.
  }];
  let dependentDialects = ["::tessera::dist::DistDialect", "::tessera::TesseraDialect"];
}

#endif // TESSERA_TRANSFORMS_PASSES_TD
