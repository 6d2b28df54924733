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

def Tessera_CumulativeOp : Tessera_ComputeOp<"cumulative", [DeclareOpInterfaceMethods<Tessera_ExpansionInterface, ["isExpandable", "expandInPlace", "getExchange"]>], ["getPropagationRound"], ["localiseOperands"], ["getElementCost"]> {
  let summary = "Combines the elements up to each one along a dimension.";
  let description = [{
    result[i, j] = input[i, 0] + ... + input[i, j] for `sum` along dimension 1.
    `exclusive` leaves input[i, j] out: the first element is then the neutral one,
    0, 1, the least or the greatest value of the type. `reverse` combines from
    the last element down to each one. Sums and products of bf16 and f16 are
    formed in f32 and rounded once. max and min are NaN from the first NaN on.
    The dimension is whole on every device. With `by_parts` it may be split: each
    device scans its part, the devices exchange what their parts come to, one
    value of each in f32 where bf16 and f16 are, and each combines the values of
    the parts before its own into its scan. tessera-choose-expansions adds it
    where that moves less.

    ```mlir
    %1 = tessera.cumulative sum %0 dim 1 : tensor<2x3xf32> -> tensor<2x3xf32>
    %2 = tessera.cumulative max %0 dim 0 exclusive reverse : tensor<2x3xf32> -> tensor<2x3xf32>
    ```
  }];
  let arguments = (ins Arg<Dist_ReductionKindAttr, "how elements are combined">:$kind,
                       Arg<Tessera_NumberTensor, "the elements">:$input,
                       Arg<I64Attr, "the dimension">:$dim,
                       Arg<UnitAttr, "whether each element is left out of its own result">:$exclusive,
                       Arg<UnitAttr, "whether to begin at the last element">:$reverse,
                       Arg<UnitAttr, "whether the dimension may be split">:$by_parts);
  let results = (outs Res<Tessera_NumberTensor, "as the input">:$result);
  let assemblyFormat = [{
    `` $kind $input `dim` $dim (`exclusive` $exclusive^)? (`reverse` $reverse^)? (`by_parts` $by_parts^)?
    attr-dict `:` type($input) `->` type($result)
  }];
  let hasVerifier = 1;
  let hasFolder = 1;
}

#endif // TESSERA_TESSERA_IR_REDUCTIONOPS_TD
