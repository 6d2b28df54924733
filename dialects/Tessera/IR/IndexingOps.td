// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef TESSERA_TESSERA_IR_INDEXINGOPS_TD
#define TESSERA_TESSERA_IR_INDEXINGOPS_TD

include "dialects/Tessera/IR/TesseraDialect.td"

def Tessera_GatherOp : Tessera_ComputeOp<"gather", [], ["getFlops", "getPropagationRound"],
                                        ["localiseOperands"]> {
  let summary = "Takes slices along one dimension at computed indices (embedding lookup).";
  let description = [{
    result[a..., i..., b...] = source[a..., indices[i...], b...], the index
    standing at dimension `dim`. An index outside [0, n) reads zeros, which is
    what makes a source that is split along `dim` a sum of partial lookups.

    ```mlir
    %2 = tessera.gather %0 [%1] dim 0 : tensor<7x5xf32>, tensor<2x3xi32> -> tensor<2x3x5xf32>
    ```
  }];
  let arguments = (ins Arg<Tessera_Tensor, "what is read">:$source,
                       Arg<Tessera_IntTensor, "where to read">:$indices,
                       Arg<I64Attr, "the indexed dimension">:$dim);
  let results = (outs Res<Tessera_Tensor, "the slices">:$result);
  let assemblyFormat = "$source `[` $indices `]` `dim` $dim attr-dict `:` type($source) `,` type($indices) `->` type($result)";
  let hasVerifier = 1;
}

#endif // TESSERA_TESSERA_IR_INDEXINGOPS_TD
