// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef TESSERA_TESSERA_IR_CONTRACTIONOPS_TD
#define TESSERA_TESSERA_IR_CONTRACTIONOPS_TD

include "dialects/Tessera/IR/TesseraDialect.td"

def Tessera_ContractOp : Tessera_ComputeOp<"contract", [], ["getFlops", "getPropagationRound"]> {
  let summary = "Sums products over shared indices of two tensors.";
  let description = [{
    `spec` names the dimensions by letters: `"bsk,kn->bsn"`. Letters absent from
    the result are summed over. Products of bf16 and f16 are accumulated in f32
    and rounded once to the result's element type, which is that of the operands
    or, for these two, f32.

    C1: each letter occurs once in an operand; C2: each letter of the result
    occurs in an operand; C3: equal letters have equal sizes; C4: a letter that
    occurs in one operand only also occurs in the result.

    ```mlir
    %2 = tessera.contract %0, %1 "bsk,kn->bsn" : tensor<2x3x5xf32>, tensor<5x7xf32> -> tensor<2x3x7xf32>
    ```
  }];
  let arguments = (ins Arg<Tessera_NumberTensor, "left factor">:$lhs,
                       Arg<Tessera_NumberTensor, "right factor">:$rhs,
                       Arg<StrAttr, "einsum specification">:$spec);
  let results = (outs Res<Tessera_NumberTensor, "the sums">:$result);
  let assemblyFormat = "$lhs `,` $rhs $spec attr-dict `:` type($lhs) `,` type($rhs) `->` type($result)";
  let hasVerifier = 1;
  let hasCanonicalizer = 1;
  let extraClassDeclaration = [{
    /// The three index strings of the specification.
    struct Indices { std::string lhs, rhs, out; };
    Indices getIndices();
  }];
}

#endif // TESSERA_TESSERA_IR_CONTRACTIONOPS_TD
