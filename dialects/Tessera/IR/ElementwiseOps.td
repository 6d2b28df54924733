// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef TESSERA_TESSERA_IR_ELEMENTWISEOPS_TD
#define TESSERA_TESSERA_IR_ELEMENTWISEOPS_TD

include "mlir/Interfaces/InferTypeOpInterface.td"
include "dialects/Tessera/IR/TesseraDialect.td"
include "dialects/Tessera/IR/TesseraEnums.td"

// Elements are computed one by one; operands and result have one shape. Layouts
// of operands and result may differ until reshards are inserted.
class Tessera_Unary<string mnemonic, Type type, string equation,
                     string exampleElement = "f32">
    : Tessera_ComputeOp<mnemonic, [], [], [], ["getElementCost"]> {
  let summary = "Computes " # equation # " for each element x.";
  let description = "```mlir\n%1 = tessera." # mnemonic # " %0 : tensor<2x3x" # exampleElement # ">\n```";
  let arguments = (ins Arg<type, "x">:$input);
  let results = (outs Res<type, "one value per element">:$result);
  let hasCustomAssemblyFormat = 1;
  let hasVerifier = 1;
  let hasFolder = 1;
}
class Tessera_Binary<string mnemonic, Type type, string equation,
                     string exampleElement = "f32">
    : Tessera_ComputeOp<mnemonic, [], [], [], ["getElementCost"]> {
  let summary = "Computes " # equation # " for each pair of elements x, y.";
  let description = "```mlir\n%2 = tessera." # mnemonic # " %0, %1 : tensor<2x3x" # exampleElement # ">\n```";
  let arguments = (ins Arg<type, "x">:$lhs, Arg<type, "y">:$rhs);
  let results = (outs Res<type, "one value per pair">:$result);
  let hasCustomAssemblyFormat = 1;
  let hasVerifier = 1;
  let hasFolder = 1;
}

def Tessera_NegOp : Tessera_Unary<"neg", Tessera_NumberTensor, "-x">;
def Tessera_AbsOp : Tessera_Unary<"abs", Tessera_NumberTensor, "|x|">;
def Tessera_SignOp : Tessera_Unary<"sign", Tessera_NumberTensor, "-1, 0 or 1 by the sign of x (0 for -0, NaN for NaN)">;
def Tessera_ExpOp : Tessera_Unary<"exp", Tessera_FloatTensor, "e^x">;
def Tessera_LogOp : Tessera_Unary<"log", Tessera_FloatTensor, "the natural logarithm of x">;
def Tessera_SqrtOp : Tessera_Unary<"sqrt", Tessera_FloatTensor, "the square root of x">;
def Tessera_RsqrtOp : Tessera_Unary<"rsqrt", Tessera_FloatTensor, "1 / sqrt(x)">;
def Tessera_TanhOp : Tessera_Unary<"tanh", Tessera_FloatTensor, "tanh(x)">;
def Tessera_ErfOp : Tessera_Unary<"erf", Tessera_FloatTensor, "the error function of x">;
def Tessera_LogisticOp : Tessera_Unary<"logistic", Tessera_FloatTensor, "1 / (1 + e^-x)">;
def Tessera_SiluOp : Tessera_Unary<"silu", Tessera_FloatTensor, "x / (1 + e^-x)">;
def Tessera_SinOp : Tessera_Unary<"sin", Tessera_FloatTensor, "sin(x), x in radians">;
def Tessera_CosOp : Tessera_Unary<"cos", Tessera_FloatTensor, "cos(x), x in radians">;
def Tessera_FloorOp : Tessera_Unary<"floor", Tessera_FloatTensor, "the largest integer not above x">;
def Tessera_NotOp : Tessera_Unary<"not", Tessera_IntOrBoolTensor, "the bitwise complement of x", "i1">;

def Tessera_AddOp : Tessera_Binary<"add", Tessera_NumberTensor, "x + y">;
def Tessera_SubOp : Tessera_Binary<"sub", Tessera_NumberTensor, "x - y">;
def Tessera_MulOp : Tessera_Binary<"mul", Tessera_NumberTensor, "x * y">;
def Tessera_DivOp : Tessera_Binary<"div", Tessera_NumberTensor, "x / y (rounded to zero for integers; unspecified for y = 0)">;
def Tessera_RemOp : Tessera_Binary<"rem", Tessera_NumberTensor, "the remainder of x / y, with the sign of x (unspecified for integers and y = 0)">;
def Tessera_PowOp : Tessera_Binary<"pow", Tessera_FloatTensor, "x^y">;
def Tessera_MaxOp : Tessera_Binary<"max", Tessera_NumberTensor, "the larger of x and y (NaN if either is)">;
def Tessera_MinOp : Tessera_Binary<"min", Tessera_NumberTensor, "the smaller of x and y (NaN if either is)">;
def Tessera_AndOp : Tessera_Binary<"and", Tessera_IntOrBoolTensor, "x and y, bit by bit", "i1">;
def Tessera_OrOp : Tessera_Binary<"or", Tessera_IntOrBoolTensor, "x or y, bit by bit", "i1">;
def Tessera_XorOp : Tessera_Binary<"xor", Tessera_IntOrBoolTensor, "x xor y, bit by bit", "i1">;

def Tessera_CompareOp : Tessera_ComputeOp<"compare"> {
  let summary = "Compares pairs of elements.";
  let description = [{
    Comparisons with NaN are false, but `ne`, which is true.

    ```mlir
    %2 = tessera.compare lt %0, %1 : tensor<2x3xf32>, tensor<2x3xf32> -> tensor<2x3xi1>
    ```
  }];
  let arguments = (ins Arg<Tessera_CompareDirectionAttr, "which comparison">:$direction,
                       Arg<Tessera_Tensor, "left side">:$lhs,
                       Arg<Tessera_Tensor, "right side">:$rhs);
  let results = (outs Res<Tessera_BoolTensor, "whether it holds">:$result);
  let assemblyFormat = "`` $direction $lhs `,` $rhs attr-dict `:` type($lhs) `,` type($rhs) `->` type($result)";
  let hasVerifier = 1;
  let hasFolder = 1;
}

def Tessera_SelectOp : Tessera_ComputeOp<"select"> {
  let summary = "Picks elements from one of two tensors by a predicate.";
  let description = [{
    ```mlir
    %3 = tessera.select %0, %1, %2 : tensor<2x3xi1>, tensor<2x3xf32>, tensor<2x3xf32> -> tensor<2x3xf32>
    ```
  }];
  let arguments = (ins Arg<Tessera_BoolTensor, "where to take `on_true`">:$predicate,
                       Arg<Tessera_Tensor, "taken where true">:$on_true,
                       Arg<Tessera_Tensor, "taken where false">:$on_false);
  let results = (outs Res<Tessera_Tensor, "the picked elements">:$result);
  let assemblyFormat = [{
    $predicate `,` $on_true `,` $on_false attr-dict
    `:` type($predicate) `,` type($on_true) `,` type($on_false) `->` type($result)
  }];
  let hasVerifier = 1;
  let hasFolder = 1;
}

def Tessera_ConvertOp : Tessera_ComputeOp<"convert"> {
  let summary = "Converts elements to another element type.";
  let description = [{
    Float to narrower float rounds to nearest even; float to integer truncates
    towards zero and saturates (NaN gives 0); number to i1 is `x != 0`; i1 to
    number is 0 or 1; integer to narrower integer wraps.

    ```mlir
    %1 = tessera.convert %0 : tensor<2x3xf32> -> tensor<2x3xbf16>
    ```
  }];
  let arguments = (ins Arg<Tessera_Tensor, "the value">:$input);
  let results = (outs Res<Tessera_Tensor, "the converted value">:$result);
  let assemblyFormat = "$input attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
  let hasFolder = 1;
}

#endif // TESSERA_TESSERA_IR_ELEMENTWISEOPS_TD
