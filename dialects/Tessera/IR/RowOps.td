// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// What losses and the derivatives of norms compute of whole rows.
#ifndef TESSERA_TESSERA_IR_ROWOPS_TD
#define TESSERA_TESSERA_IR_ROWOPS_TD

include "dialects/Tessera/IR/TesseraDialect.td"

def Tessera_LogsumexpOp : Tessera_ComputeOp<"logsumexp", [DeclareOpInterfaceMethods<Tessera_ExpansionInterface>],
                                            ["getFlops", "getPropagationRound"]> {
  let summary = "Takes the logarithm of the sum of exponentials along a dimension.";
  let description = [{
    result = log(sum(exp(x))) along `dim`, which is dropped, without overflow:
    with s the largest element, or 0 where that is infinite or NaN, it is
    s + log(sum(exp(x - s))). Formed in f32, which is the result's element type;
    in f64 for f64.

    C1: `dim` is a dimension of the input.

    ```mlir
    %1 = tessera.logsumexp %0 dim 1 : tensor<2x3xf32> -> tensor<2xf32>
    ```
  }];
  let arguments = (ins Arg<Tessera_FloatTensor, "x">:$input,
                       Arg<I64Attr, "the dimension">:$dim);
  let results = (outs Res<Tessera_FloatTensor, "one value a row, f32 or f64">:$result);
  let assemblyFormat = "$input `dim` $dim attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
}

def Tessera_CrossEntropyOp : Tessera_ComputeOp<"cross_entropy", [DeclareOpInterfaceMethods<Tessera_ExpansionInterface>],
                                               ["getFlops", "getPropagationRound"]> {
  let summary = "Compares the softmax of rows of logits with a label a row.";
  let description = [{
    Logits x [..., V], labels [...]. With s the `smoothing`, the wanted weight of
    class j is w[j] = (1 - s) [j = label] + s / V, and with
    lse = log(sum_j exp(x[j])) the result of a row is
    lse - sum_j w[j] x[j] + z_loss lse^2.
    A row whose label is `ignore` gives 0; another one whose label is outside of
    [0, V) gives NaN; neither depends on its logits. Formed in f32, which is the
    result's element type; in f64 for f64. As in `logsumexp`, the largest logit is
    subtracted first, so that no digits are lost where logits are large.

    C1: there is a class at least; C2: 0 <= `smoothing` <= 1; C3: `z_loss` is
    finite; C4: `ignore` is a number of the labels' type.

    ```mlir
    %2 = tessera.cross_entropy %0, %1 smoothing 0.1 z_loss 0.0 : tensor<2x3x5xf32>, tensor<2x3xi32> -> tensor<2x3xf32>
    %3 = tessera.cross_entropy %0, %1 smoothing 0.0 z_loss 1.0e-4 ignore -100 : tensor<2x3x5xf32>, tensor<2x3xi32> -> tensor<2x3xf32>
    ```
  }];
  let arguments = (ins Arg<Tessera_FloatTensor, "x, [..., V]">:$logits,
                       Arg<Tessera_IntTensor, "the right class of each row">:$labels,
                       Arg<F64Attr, "the part of 1 that all classes share">:$smoothing,
                       Arg<F64Attr, "factor of the squared log-sum-exp">:$z_loss,
                       OptionalAttr<I64Attr>:$ignore);
  let results = (outs Res<Tessera_FloatTensor, "one value a row, f32 or f64">:$result);
  let assemblyFormat = [{
    $logits `,` $labels `smoothing` $smoothing `z_loss` $z_loss (`ignore` $ignore^)? attr-dict
    `:` type($logits) `,` type($labels) `->` type($result)
  }];
  let hasVerifier = 1;
}

def Tessera_NormTangentOp : Tessera_ComputeOp<"norm_tangent", [DeclareOpInterfaceMethods<Tessera_ExpansionInterface>],
                                              ["getFlops"], [], ["getWholeElements"]> {
  let summary = "Changes normalised rows as a change of the rows does.";
  let description = [{
    Over the last dimension, formed in f32: with c = x - mean(x) where `centred`,
    else c = x, r = 1 / sqrt(mean(c^2) + epsilon) and n = c r,
    result = r (d - n mean(n d)), and less r mean(d) where `centred`.
    This is the derivative of n along d. The map of d is its own transposed map,
    so that it serves forward and reverse mode.

    C1: d, x and the result have one shape, of rank 1 or more. C2: x has the
    element type of d, which is the result's, or one of 16 bits where d is f32.

    ```mlir
    %2 = tessera.norm_tangent %0 at %1 epsilon 1.0e-5 centred : tensor<2x3xf32>, tensor<2x3xbf16> -> tensor<2x3xf32>
    %3 = tessera.norm_tangent %0 at %1 epsilon 1.0e-5 : tensor<2x3xf32>, tensor<2x3xbf16> -> tensor<2x3xf32>
    ```
  }];
  let arguments = (ins Arg<Tessera_FloatTensor, "d, the change of the rows">:$change,
                       Arg<Tessera_FloatTensor, "x, the rows">:$input,
                       Arg<F64Attr, "added to the variance">:$epsilon,
                       UnitAttr:$centred);
  let results = (outs Res<Tessera_FloatTensor, "the change of the normalised rows">:$result);
  let assemblyFormat = [{
    $change `at` $input `epsilon` $epsilon (`centred` $centred^)? attr-dict
    `:` type($change) `,` type($input) `->` type($result)
  }];
  let hasVerifier = 1;
}

#endif // TESSERA_TESSERA_IR_ROWOPS_TD
