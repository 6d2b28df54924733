// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef TESSERA_TESSERA_IR_ELEMENTWISEOPS_TD
#define TESSERA_TESSERA_IR_ELEMENTWISEOPS_TD

include "dialects/Tessera/IR/TesseraDialect.td"
include "dialects/Tessera/IR/TesseraEnums.td"

// Elements are computed one by one; operands and result have one shape. Layouts
// of operands and result may differ until reshards are inserted.
//
// The definitions of the ops of classes Tessera_Unary and Tessera_Binary are a
// table, from which tools/dev/elementwise_table.py makes what else has a row
// per op: the list of ops for C++ (ElementwiseTable.inc), the Python functions
// (python/tessera/_src/ops/elementwise_functions.py), the lit test of all of
// them and the table that the Python tests and the fuzzer read.
class Tessera_ElementwiseRow<string mnemonic, Type type, string equationOfElements> {
  string op = mnemonic;
  Type elementTypes = type;
  string equation = equationOfElements;
  // Instructions per element, roughly, as vectors of f32 on a CPU.
  int cost = 1;
  // Groups of operands that may be partial together, as in
  // FactorRule::linear, and with which kind of reduction.
  list<list<int>> linear = [];
  string linearKind = "Sum";
  // Whether that holds of floats alone; division of integers rounds.
  bit isLinearForFloatsOnly = 0;
  // Its function in Python, none where empty, other names of that, and a
  // sentence that ends with a full stop.
  string python = mnemonic;
  list<string> aliases = [];
  string document = "";
  // What the Python function makes of its operands first: a function of
  // python/tessera/_src/ops/elementwise.py.
  string prepare = "as_float";
  // Mnemonic of the op that the Python function is of booleans.
  string ofBooleans = "";
  // The same function on NumPy arrays: np, math, and the functions of
  // test/python/references.py.
  string reference = "np." # mnemonic;
  // Where the fuzzers use it, one for each operand: any, positive (above 0.75),
  // unit (in [-3/4, 3/4]), bounded (in [-1, 1]), above one (above 1.75),
  // positive and small (0.75 to 1.75), three (the number 3).
  list<string> domain = ["any", "any"];
  // Whether all machines give the same bits.
  bit isExact = 0;
  // Whether it jumps where operands change a little.
  bit jumps = 0;
}

class Tessera_Unary<string mnemonic, Type type, string equationOfElements,
                    string exampleElement = "f32">
    : Tessera_ComputeOp<mnemonic, [], [], [], ["getElementCost"]>,
      Tessera_ElementwiseRow<mnemonic, type, equationOfElements> {
  let summary = "Computes " # equationOfElements # " for each element x.";
  let description = "```mlir\n%1 = tessera." # mnemonic # " %0 : tensor<2x3x" # exampleElement # ">\n```";
  let arguments = (ins Arg<type, "x">:$input);
  let results = (outs Res<type, "one value per element">:$result);
  let hasCustomAssemblyFormat = 1;
  let hasVerifier = 1;
  let hasFolder = 1;
}
class Tessera_Binary<string mnemonic, Type type, string equationOfElements,
                     string exampleElement = "f32">
    : Tessera_ComputeOp<mnemonic, [], [], [], ["getElementCost"]>,
      Tessera_ElementwiseRow<mnemonic, type, equationOfElements> {
  let summary = "Computes " # equationOfElements # " for each pair of elements x, y.";
  let description = "```mlir\n%2 = tessera." # mnemonic # " %0, %1 : tensor<2x3x" # exampleElement # ">\n```";
  let arguments = (ins Arg<type, "x">:$lhs, Arg<type, "y">:$rhs);
  let results = (outs Res<type, "one value per pair">:$result);
  let hasCustomAssemblyFormat = 1;
  let hasVerifier = 1;
  let hasFolder = 1;
}

// Arithmetic of one element.

def Tessera_NegOp : Tessera_Unary<"neg", Tessera_NumberTensor, "-x"> {
  let linear = [[0]];
  let python = "negative";
  let document = "-x.";
  let prepare = "no_bools";
  let reference = "np.negative";
  let isExact = 1;
}
def Tessera_AbsOp : Tessera_Unary<"abs", Tessera_NumberTensor, "|x|"> {
  let aliases = ["absolute"];
  let document = "|x|.";
  let prepare = "as_number";
  let isExact = 1;
}
def Tessera_SignOp : Tessera_Unary<"sign", Tessera_NumberTensor, "-1, 0 or 1 by the sign of x (0 for -0, NaN for NaN)"> {
  let cost = 3;
  let document = "-1, 0 or 1 by the sign of x.";
  let prepare = "as_number";
  let isExact = 1;
  let jumps = 1;
}
def Tessera_FloorOp : Tessera_Unary<"floor", Tessera_FloatTensor, "the largest integer not above x"> {
  let python = "";
  let isExact = 1;
  let jumps = 1;
}
def Tessera_NotOp : Tessera_Unary<"not", Tessera_IntOrBoolTensor, "the bitwise complement of x", "i1"> {
  let python = "";
  let reference = "np.invert";
  let isExact = 1;
}

// Powers, exponentials and logarithms.

def Tessera_SqrtOp : Tessera_Unary<"sqrt", Tessera_FloatTensor, "the square root of x"> {
  let cost = 8;
  let document = "Square root.";
  let domain = ["positive"];
}
def Tessera_RsqrtOp : Tessera_Unary<"rsqrt", Tessera_FloatTensor, "1 / sqrt(x)"> {
  let cost = 8;
  let document = "1 / sqrt(x).";
  let reference = "lambda x: 1 / np.sqrt(x)";
  let domain = ["positive"];
}
def Tessera_ExpOp : Tessera_Unary<"exp", Tessera_FloatTensor, "e^x"> {
  let cost = 16;
  let document = "e to the power x.";
  let domain = ["bounded"];
}
def Tessera_Exp2Op : Tessera_Unary<"exp2", Tessera_FloatTensor, "2^x"> {
  let cost = 16;
  let document = "2 to the power x.";
  let domain = ["bounded"];
}
def Tessera_LogOp : Tessera_Unary<"log", Tessera_FloatTensor, "the natural logarithm of x"> {
  let cost = 16;
  let document = "Natural logarithm.";
  let domain = ["positive"];
}
def Tessera_Log2Op : Tessera_Unary<"log2", Tessera_FloatTensor, "the logarithm of x to base 2"> {
  let cost = 18;
  let document = "Logarithm to base 2.";
  let domain = ["positive"];
}
def Tessera_Log10Op : Tessera_Unary<"log10", Tessera_FloatTensor, "the logarithm of x to base 10"> {
  let cost = 18;
  let document = "Logarithm to base 10.";
  let domain = ["positive"];
}
def Tessera_LogisticOp : Tessera_Unary<"logistic", Tessera_FloatTensor, "1 / (1 + e^-x)"> {
  let cost = 16;
  let python = "sigmoid";
  let document = "1 / (1 + exp(-x)).";
  let reference = "logistic";
}
def Tessera_SiluOp : Tessera_Unary<"silu", Tessera_FloatTensor, "x / (1 + e^-x)"> {
  let cost = 16;
  let document = "x * sigmoid(x).";
  let reference = "lambda x: x * logistic(x)";
}

// Functions of angles, their inverses, and the hyperbolic ones.

def Tessera_SinOp : Tessera_Unary<"sin", Tessera_FloatTensor, "sin(x), x in radians"> {
  let cost = 24;
  let document = "Sine of x in radians.";
}
def Tessera_CosOp : Tessera_Unary<"cos", Tessera_FloatTensor, "cos(x), x in radians"> {
  let cost = 24;
  let document = "Cosine of x in radians.";
}
def Tessera_AsinOp : Tessera_Unary<"asin", Tessera_FloatTensor, "the angle in [-pi/2, pi/2] whose sine is x (NaN outside of [-1, 1])"> {
  let cost = 30;
  let aliases = ["arcsin"];
  let document = "Angle in [-pi/2, pi/2] whose sine is x; NaN outside of [-1, 1].";
  let reference = "np.arcsin";
  let domain = ["unit"];
}
def Tessera_AcosOp : Tessera_Unary<"acos", Tessera_FloatTensor, "the angle in [0, pi] whose cosine is x (NaN outside of [-1, 1])"> {
  let cost = 30;
  let aliases = ["arccos"];
  let document = "Angle in [0, pi] whose cosine is x; NaN outside of [-1, 1].";
  let reference = "np.arccos";
  let domain = ["unit"];
}
def Tessera_AtanOp : Tessera_Unary<"atan", Tessera_FloatTensor, "the angle in [-pi/2, pi/2] whose tangent is x"> {
  let cost = 30;
  let aliases = ["arctan"];
  let document = "Angle in [-pi/2, pi/2] whose tangent is x.";
  let reference = "np.arctan";
}
def Tessera_TanhOp : Tessera_Unary<"tanh", Tessera_FloatTensor, "tanh(x)"> {
  let cost = 24;
  let document = "Hyperbolic tangent.";
}
def Tessera_AsinhOp : Tessera_Unary<"asinh", Tessera_FloatTensor, "the number whose hyperbolic sine is x"> {
  let cost = 50;
  let aliases = ["arcsinh"];
  let document = "Inverse of the hyperbolic sine.";
  let reference = "np.arcsinh";
}
def Tessera_AcoshOp : Tessera_Unary<"acosh", Tessera_FloatTensor, "the number >= 0 whose hyperbolic cosine is x (NaN below 1)"> {
  let cost = 50;
  let aliases = ["arccosh"];
  let document = "Inverse of the hyperbolic cosine, not negative; NaN below 1.";
  let reference = "np.arccosh";
  let domain = ["above one"];
}
def Tessera_AtanhOp : Tessera_Unary<"atanh", Tessera_FloatTensor, "the number whose hyperbolic tangent is x (NaN outside of [-1, 1])"> {
  let cost = 40;
  let aliases = ["arctanh"];
  let document = "Inverse of the hyperbolic tangent; NaN outside of [-1, 1].";
  let reference = "np.arctanh";
  let domain = ["unit"];
}

// The error function.

def Tessera_ErfOp : Tessera_Unary<"erf", Tessera_FloatTensor, "the error function of x"> {
  let cost = 24;
  let document = "Error function.";
  let reference = "erf";
}
def Tessera_ErfinvOp : Tessera_Unary<"erfinv", Tessera_FloatTensor, "the number whose error function is x (NaN outside of [-1, 1])"> {
  let cost = 50;
  let document = "Inverse of the error function; NaN outside of [-1, 1].";
  let reference = "erfinv";
  let domain = ["unit"];
}

// Arithmetic of two elements.

def Tessera_AddOp : Tessera_Binary<"add", Tessera_NumberTensor, "x + y"> {
  let linear = [[0, 1]];
  let document = "x + y; of booleans, x or y.";
  let prepare = "as_number";
  let ofBooleans = "or";
}
def Tessera_SubOp : Tessera_Binary<"sub", Tessera_NumberTensor, "x - y"> {
  let linear = [[0, 1]];
  let python = "subtract";
  let document = "x - y.";
  let prepare = "no_bools";
  let reference = "np.subtract";
}
def Tessera_MulOp : Tessera_Binary<"mul", Tessera_NumberTensor, "x * y"> {
  let linear = [[0], [1]];
  let python = "multiply";
  let document = "x * y; of booleans, x and y.";
  let prepare = "as_number";
  let ofBooleans = "and";
  let reference = "np.multiply";
}
def Tessera_DivOp : Tessera_Binary<"div", Tessera_NumberTensor, "x / y (rounded to zero for integers; unspecified for y = 0)"> {
  let cost = 8;
  let linear = [[0]];
  let isLinearForFloatsOnly = 1;
  let python = "divide";
  let aliases = ["true_divide"];
  let document = "x / y in floating point.";
  let reference = "divide";
  let domain = ["any", "positive"];
}
def Tessera_RemOp : Tessera_Binary<"rem", Tessera_NumberTensor, "the remainder of x / y, with the sign of x (unspecified for integers and y = 0)"> {
  let cost = 8;
  let python = "";
  let reference = "np.fmod";
  let domain = ["any", "three"];
  let isExact = 1;
  let jumps = 1;
}
def Tessera_PowOp : Tessera_Binary<"pow", Tessera_NumberTensor, "x^y (integers wrap; with y < 0 they are rounded to zero, and unspecified for x = 0)"> {
  let cost = 40;
  let python = "";
  let reference = "power";
  let domain = ["positive and small", "bounded"];
}
def Tessera_MaxOp : Tessera_Binary<"max", Tessera_NumberTensor, "the larger of x and y (NaN if either is)"> {
  let linear = [[0, 1]];
  let linearKind = "Max";
  let python = "maximum";
  let document = "The larger of x and y, element by element; NaN wins.";
  let prepare = "as_number";
  let ofBooleans = "or";
  let reference = "np.maximum";
  let isExact = 1;
}
def Tessera_MinOp : Tessera_Binary<"min", Tessera_NumberTensor, "the smaller of x and y (NaN if either is)"> {
  let linear = [[0, 1]];
  let linearKind = "Min";
  let python = "minimum";
  let document = "The smaller of x and y, element by element; NaN wins.";
  let prepare = "as_number";
  let ofBooleans = "and";
  let reference = "np.minimum";
  let isExact = 1;
}
def Tessera_Atan2Op : Tessera_Binary<"atan2", Tessera_FloatTensor, "the angle in [-pi, pi] of the point (y, x), whose first coordinate is y"> {
  let cost = 40;
  let aliases = ["arctan2"];
  let document = "Angle in [-pi, pi] of the point whose coordinates are (y, x), by the signs of both.";
  let reference = "np.arctan2";
  let jumps = 1;
}
def Tessera_CopysignOp : Tessera_Binary<"copysign", Tessera_FloatTensor, "|x| with the sign of y, be that a zero or NaN"> {
  let document = "|x| with the sign of y.";
  let isExact = 1;
  let jumps = 1;
}
def Tessera_NextafterOp : Tessera_Binary<"nextafter", Tessera_FloatTensor, "the number next to x in the direction of y (y where they are equal)"> {
  let cost = 10;
  let document = "The number of its type that is next to x in the direction of y.";
  let reference = "nextafter";
  let isExact = 1;
  let jumps = 1;
}

// Bits.

def Tessera_AndOp : Tessera_Binary<"and", Tessera_IntOrBoolTensor, "x and y, bit by bit", "i1"> {
  let python = "bitwise_and";
  let document = "x and y, bit by bit.";
  let prepare = "as_whole";
  let reference = "np.bitwise_and";
  let isExact = 1;
}
def Tessera_OrOp : Tessera_Binary<"or", Tessera_IntOrBoolTensor, "x or y, bit by bit", "i1"> {
  let python = "bitwise_or";
  let document = "x or y, bit by bit.";
  let prepare = "as_whole";
  let reference = "np.bitwise_or";
  let isExact = 1;
}
def Tessera_XorOp : Tessera_Binary<"xor", Tessera_IntOrBoolTensor, "x xor y, bit by bit", "i1"> {
  let python = "bitwise_xor";
  let document = "x xor y, bit by bit.";
  let prepare = "as_whole";
  let reference = "np.bitwise_xor";
  let isExact = 1;
}
def Tessera_ShiftLeftOp : Tessera_Binary<"shift_left", Tessera_IntTensor, "x shifted left by y bits (0 unless 0 <= y < width)", "i32"> {
  let cost = 3;
  let python = "bitwise_left_shift";
  let aliases = ["left_shift"];
  let document = "x * 2**y by shifting bits; 0 where y is negative or not below the width.";
  let prepare = "as_shiftable";
  let reference = "np.left_shift";
  let isExact = 1;
}
def Tessera_ShiftRightOp : Tessera_Binary<"shift_right", Tessera_IntTensor, "x shifted right by y bits, filled with its sign, or with 0 for ui32 (all bits unless 0 <= y < width)", "i32"> {
  let cost = 3;
  let python = "bitwise_right_shift";
  let aliases = ["right_shift"];
  let document = "x // 2**y by shifting bits; 0 or -1 where y is negative or not below the width.";
  let prepare = "as_shiftable";
  let reference = "np.right_shift";
  let isExact = 1;
}

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
