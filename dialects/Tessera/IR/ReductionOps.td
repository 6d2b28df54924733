// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef TESSERA_TESSERA_IR_REDUCTIONOPS_TD
#define TESSERA_TESSERA_IR_REDUCTIONOPS_TD

include "dialects/Dist/IR/DistEnums.td"
include "dialects/Tessera/IR/TesseraDialect.td"

def Tessera_ReduceOp : Tessera_ComputeOp<"reduce", [], ["getFlops", "getPropagationRound"]> {
  let summary = "Combines the elements along some dimensions.";
  let description = [{
    The reduced dimensions are dropped. Sums and products of bf16 and f16 are
    formed in f32 and rounded once. Over an empty extent: 0, -inf, +inf, 1.

    ```mlir
    %1 = tessera.reduce sum %0 dims [1] : tensor<2x3x5xf32> -> tensor<2x5xf32>
    ```
  }];
  let arguments = (ins Arg<Dist_ReductionKindAttr, "how elements are combined">:$kind,
                       Arg<Tessera_NumberTensor, "the elements">:$input,
                       Arg<DenseI64ArrayAttr, "reduced dimensions, ascending">:$dims);
  let results = (outs Res<Tessera_NumberTensor, "the combined values">:$result);
  let assemblyFormat = "`` $kind $input `dims` $dims attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
  let hasFolder = 1;
}

#endif // TESSERA_TESSERA_IR_REDUCTIONOPS_TD
