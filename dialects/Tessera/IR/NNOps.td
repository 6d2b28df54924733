// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef TESSERA_TESSERA_IR_NNOPS_TD
#define TESSERA_TESSERA_IR_NNOPS_TD

include "dialects/Tessera/IR/TesseraDialect.td"
include "dialects/Tessera/IR/TesseraEnums.td"

def Tessera_GeluOp : Tessera_ComputeOp<"gelu", [], [], [], ["getElementCost"]> {
  let summary = "Computes x * Phi(x) for each element x, Phi the normal distribution function.";
  let description = [{
    `none`: 0.5 x (1 + erf(x / sqrt 2)). `tanh`: 0.5 x (1 + tanh(sqrt(2/pi) (x +
    0.044715 x^3))).

    ```mlir
    %1 = tessera.gelu %0 approximation none : tensor<2x3xf32> -> tensor<2x3xf32>
    ```
  }];
  let arguments = (ins Arg<Tessera_GeluApproximationAttr, "which formula">:$approximation,
                       Arg<Tessera_FloatTensor, "x">:$input);
  let results = (outs Res<Tessera_FloatTensor, "one value per element">:$result);
  let assemblyFormat = "$input `approximation` `` $approximation attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
}

def Tessera_SoftmaxOp : Tessera_ComputeOp<"softmax", [DeclareOpInterfaceMethods<Tessera_ExpansionInterface>],
                                          ["getFlops"], [], ["getWholeElements"]> {
  let summary = "Normalises exponentials to sum 1 along a dimension.";
  let description = [{
    result = exp(x - max(x)) / sum(exp(x - max(x))), max and sum along `dim`,
    formed in f32.

    ```mlir
    %1 = tessera.softmax %0 dim 1 : tensor<2x3xf32> -> tensor<2x3xf32>
    ```
  }];
  let arguments = (ins Arg<Tessera_FloatTensor, "x">:$input,
                       Arg<I64Attr, "the dimension">:$dim);
  let results = (outs Res<Tessera_FloatTensor, "the normalised values">:$result);
  let assemblyFormat = "$input `dim` $dim attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
}

def Tessera_LayerNormOp : Tessera_ComputeOp<"layer_norm", [DeclareOpInterfaceMethods<Tessera_ExpansionInterface>],
                                          ["getFlops"], [], ["getWholeElements"]> {
  let summary = "Normalises rows to mean 0 and variance 1, then scales and shifts.";
  let description = [{
    Over the last dimension, formed in f32:
    result = (x - mean(x)) / sqrt(mean((x - mean(x))^2) + epsilon) * scale + bias.

    ```mlir
    %3 = tessera.layer_norm %0, %1, %2 epsilon 1.0e-5 : tensor<2x3xf32>, tensor<3xf32>, tensor<3xf32> -> tensor<2x3xf32>
    ```
  }];
  let arguments = (ins Arg<Tessera_FloatTensor, "x">:$input,
                       Arg<Tessera_FloatTensor, "factor per column">:$scale,
                       Arg<Tessera_FloatTensor, "summand per column">:$bias,
                       Arg<F64Attr, "added to the variance">:$epsilon);
  let results = (outs Res<Tessera_FloatTensor, "the normalised rows">:$result);
  let assemblyFormat = "$input `,` $scale `,` $bias `epsilon` $epsilon attr-dict `:` type($input) `,` type($scale) `,` type($bias) `->` type($result)";
  let hasVerifier = 1;
}

def Tessera_RmsNormOp : Tessera_ComputeOp<"rms_norm", [DeclareOpInterfaceMethods<Tessera_ExpansionInterface>],
                                          ["getFlops"], [], ["getWholeElements"]> {
  let summary = "Scales rows to root mean square 1, then by a factor per column.";
  let description = [{
    Over the last dimension, formed in f32:
    result = x / sqrt(mean(x^2) + epsilon) * scale.

    ```mlir
    %2 = tessera.rms_norm %0, %1 epsilon 1.0e-5 : tensor<2x3xf32>, tensor<3xf32> -> tensor<2x3xf32>
    ```
  }];
  let arguments = (ins Arg<Tessera_FloatTensor, "x">:$input,
                       Arg<Tessera_FloatTensor, "factor per column">:$scale,
                       Arg<F64Attr, "added to the mean square">:$epsilon);
  let results = (outs Res<Tessera_FloatTensor, "the scaled rows">:$result);
  let assemblyFormat = "$input `,` $scale `epsilon` $epsilon attr-dict `:` type($input) `,` type($scale) `->` type($result)";
  let hasVerifier = 1;
}

def Tessera_AttentionOp : Tessera_ComputeOp<"attention", [DeclareOpInterfaceMethods<Tessera_ExpansionInterface, ["isExpandable"]>],
                                           ["getFlops", "getPropagationRound"], [], ["getWholeElements"]> {
  let summary = "Averages values by the softmax of query-key products.";
  let description = [{
    Shapes: query [B,S,H,D], key [B,T,K,D], value [B,T,K,E], result [B,S,H,E];
    H = K * G, and query head h reads key head h / G (grouped-query attention).
    score[b,h,s,t] = scale * sum_d query[b,s,h,d] key[b,t,h/G,d] + bias[b,h,s,t];
    with `causal`, scores with t > s + (T - S) are -inf.
    result = softmax of the scores over t, times value. Formed in f32.
    `bias` has shape [B|1, H|1, S|1, T]. A row whose scores are all -inf gives 0.

    ```mlir
    %3 = tessera.attention %0, %1, %2 scale 0.5 : tensor<2x3x4x5xf32>, tensor<2x7x4x5xf32>, tensor<2x7x4x5xf32> -> tensor<2x3x4x5xf32>
    %5 = tessera.attention %0, %1, %2 bias %4 scale 0.5 : tensor<2x3x4x5xf32>, tensor<2x7x4x5xf32>, tensor<2x7x4x5xf32>, tensor<2x1x1x7xf32> -> tensor<2x3x4x5xf32>
    ```
  }];
  let arguments = (ins Arg<Tessera_FloatTensor, "[B,S,H,D]">:$query,
                       Arg<Tessera_FloatTensor, "[B,T,K,D]">:$key,
                       Arg<Tessera_FloatTensor, "[B,T,K,E]">:$value,
                       Arg<Optional<Tessera_FloatTensor>, "[B|1,H|1,S|1,T]">:$bias,
                       Arg<F64Attr, "factor of the products">:$scale,
                       UnitAttr:$causal);
  let results = (outs Res<Tessera_FloatTensor, "[B,S,H,E]">:$result);
  let assemblyFormat = [{
    $query `,` $key `,` $value (`bias` $bias^)? `scale` $scale (`causal` $causal^)? attr-dict
    `:` type($query) `,` type($key) `,` type($value) (`,` type($bias)^)? `->` type($result)
  }];
  let hasVerifier = 1;
}

def Tessera_AttentionLogsumexpOp : Tessera_ComputeOp<"attention_logsumexp", [],
                                                     ["getFlops", "getPropagationRound"], [], ["getWholeElements"]> {
  let summary = "Gives the logarithm of what the softmax of an attention divides by.";
  let description = [{
    With the scores of `tessera.attention` on the same operands,
    result[b,h,s] = log(sum_t exp(score[b,h,s,t])), -inf where all of them are -inf.
    In f32, or f64 for f64. One kernel computes it and the attention, where both
    are in the program.

    ```mlir
    %2 = tessera.attention_logsumexp %0, %1 scale 0.5 causal : tensor<2x3x4x5xf32>, tensor<2x7x4x5xf32> -> tensor<2x4x3xf32>
    ```
  }];
  let arguments = (ins Arg<Tessera_FloatTensor, "[B,S,H,D]">:$query,
                       Arg<Tessera_FloatTensor, "[B,T,K,D]">:$key,
                       Arg<Optional<Tessera_FloatTensor>, "[B|1,H|1,S|1,T]">:$bias,
                       Arg<F64Attr, "factor of the products">:$scale,
                       UnitAttr:$causal);
  let results = (outs Res<Tessera_FloatTensor, "[B,H,S]">:$result);
  let assemblyFormat = [{
    $query `,` $key (`bias` $bias^)? `scale` $scale (`causal` $causal^)? attr-dict
    `:` type($query) `,` type($key) (`,` type($bias)^)? `->` type($result)
  }];
  let hasVerifier = 1;
}

def Tessera_AttentionGradientOp : Tessera_ComputeOp<"attention_gradient", [],
                                                    ["getFlops", "getPropagationRound"], ["localiseOperands"], ["getWholeElements"]> {
  let summary = "Gives the gradient of an attention by one of query, key and value.";
  let description = [{
    The weights of `tessera.attention` on the same operands are computed again from
    its scores and `logsumexp`, and never stored:
    weight[b,h,s,t] = exp(min(score[b,h,s,t] - logsumexp[b,h,s], 0)), 0 where
    `logsumexp` is -inf: rounding alone puts a score above its row's `logsumexp`, and
    a weight is at most 1.
    change[b,h,s,t] = scale weight[b,h,s,t] (sum_e cotangent[b,s,h,e] value[b,t,h/G,e]
    - mean[b,h,s]), where `mean` is sum_e cotangent[b,s,h,e] attention[b,s,h,e]. Then

    * `of query`: result[b,s,h,d] = sum_t change[b,h,s,t] key[b,t,h/G,d];
    * `of key`: result[b,t,k,d] = sum over s and the heads h of group k of
      change[b,h,s,t] query[b,s,h,d];
    * `of value`: result[b,t,k,e] = the same sum of weight[b,h,s,t] cotangent[b,s,h,e].

    In f32, or f64 for f64. Linear in `mean` and `cotangent` together. One kernel
    computes the three gradients on the same operands.

    ```mlir
    %6 = tessera.attention_gradient of key %0, %1, %2, %3, %4, %5 scale 0.5 : tensor<2x3x4x5xf32>, tensor<2x7x4x5xf32>, tensor<2x7x4x6xf32>, tensor<2x4x3xf32>, tensor<2x4x3xf32>, tensor<2x3x4x6xf32> -> tensor<2x7x4x5xf32>
    ```
  }];
  let arguments = (ins Arg<Tessera_AttentionOperandAttr, "which gradient">:$of,
                       Arg<Tessera_FloatTensor, "[B,S,H,D]">:$query,
                       Arg<Tessera_FloatTensor, "[B,T,K,D]">:$key,
                       Arg<Tessera_FloatTensor, "[B,T,K,E]">:$value,
                       Arg<Tessera_FloatTensor, "[B,H,S]">:$logsumexp,
                       Arg<Tessera_FloatTensor, "[B,H,S]">:$mean,
                       Arg<Tessera_FloatTensor, "[B,S,H,E], of the attention">:$cotangent,
                       Arg<Optional<Tessera_FloatTensor>, "[B|1,H|1,S|1,T]">:$bias,
                       Arg<F64Attr, "factor of the products">:$scale,
                       UnitAttr:$causal);
  let results = (outs Res<Tessera_FloatTensor, "like the operand">:$result);
  let assemblyFormat = [{
    `of` `` $of $query `,` $key `,` $value `,` $logsumexp `,` $mean `,` $cotangent
    (`bias` $bias^)? `scale` $scale (`causal` $causal^)? attr-dict
    `:` type($query) `,` type($key) `,` type($value) `,` type($logsumexp) `,` type($mean) `,` type($cotangent)
    (`,` type($bias)^)? `->` type($result)
  }];
  let hasVerifier = 1;
}

def Tessera_AttentionTangentOp : Op<Tessera_Dialect, "attention_tangent", [Pure, AttrSizedOperandSegments]> {
  let summary = "Stands for the tangent of an attention where only its transpose is computed.";
  let description = [{
    Linear in the tangents of query, key and value; one that is missing is zero.
    `output` is the attention's result and `logsumexp` that of its scores. Reverse
    mode makes it of a `tessera.attention`, and transposes it to
    `tessera.attention_gradient`; it is never computed itself.

    ```mlir
    %6 = tessera.attention_tangent %0, %1, %2, %3, %4 query %5 scale 0.5 : (tensor<2x3x4x5xf32>, tensor<2x7x4x5xf32>, tensor<2x7x4x6xf32>, tensor<2x3x4x6xf32>, tensor<2x4x3xf32>, tensor<2x3x4x5xf32>) -> tensor<2x3x4x6xf32>
    ```
  }];
  let arguments = (ins Arg<Tessera_FloatTensor, "[B,S,H,D]">:$query,
                       Arg<Tessera_FloatTensor, "[B,T,K,D]">:$key,
                       Arg<Tessera_FloatTensor, "[B,T,K,E]">:$value,
                       Arg<Tessera_FloatTensor, "[B,S,H,E]">:$output,
                       Arg<Tessera_FloatTensor, "[B,H,S]">:$logsumexp,
                       Arg<Optional<Tessera_FloatTensor>, "[B|1,H|1,S|1,T]">:$bias,
                       Arg<Optional<Tessera_FloatTensor>, "tangent of the query">:$query_tangent,
                       Arg<Optional<Tessera_FloatTensor>, "tangent of the key">:$key_tangent,
                       Arg<Optional<Tessera_FloatTensor>, "tangent of the value">:$value_tangent,
                       Arg<F64Attr, "factor of the products">:$scale,
                       UnitAttr:$causal);
  let results = (outs Res<Tessera_FloatTensor, "[B,S,H,E]">:$result);
  let assemblyFormat = [{
    $query `,` $key `,` $value `,` $output `,` $logsumexp (`bias` $bias^)?
    (`query` $query_tangent^)? (`key` $key_tangent^)? (`value` $value_tangent^)?
    `scale` $scale (`causal` $causal^)? attr-dict `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

#endif // TESSERA_TESSERA_IR_NNOPS_TD
