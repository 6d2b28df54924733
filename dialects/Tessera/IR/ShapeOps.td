// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef TESSERA_TESSERA_IR_SHAPEOPS_TD
#define TESSERA_TESSERA_IR_SHAPEOPS_TD

include "mlir/IR/BuiltinAttributeInterfaces.td"
include "dialects/Tessera/IR/TesseraDialect.td"

def Tessera_ReshapeOp : Tessera_ComputeOp<"reshape", [], ["getFlops"]> {
  let summary = "Gives the elements, in row-major order, another shape.";
  let description = [{
    ```mlir
    %1 = tessera.reshape %0 : tensor<2x3x5xf32> -> tensor<6x5xf32>
    ```
  }];
  let arguments = (ins Arg<Tessera_Tensor, "the value">:$input);
  let results = (outs Res<Tessera_Tensor, "the same elements">:$result);
  let assemblyFormat = "$input attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
  let hasFolder = 1;
}

def Tessera_TransposeOp : Tessera_ComputeOp<"transpose", [], ["getFlops"]> {
  let summary = "Permutes the dimensions.";
  let description = [{
    Dimension i of the result is dimension `permutation[i]` of the input.

    ```mlir
    %1 = tessera.transpose %0 [0, 2, 1] : tensor<2x3x5xf32> -> tensor<2x5x3xf32>
    ```
  }];
  let arguments = (ins Arg<Tessera_Tensor, "the value">:$input,
                       Arg<DenseI64ArrayAttr, "source dimension of each result dimension">:$permutation);
  let results = (outs Res<Tessera_Tensor, "the permuted value">:$result);
  let assemblyFormat = "$input $permutation attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
  let hasFolder = 1;
}

def Tessera_BroadcastOp : Tessera_ComputeOp<"broadcast", [], ["getFlops", "getPropagationRound"],
                                           [], ["isCheapToClone"]> {
  let summary = "Repeats a value along new dimensions and dimensions of size 1.";
  let description = [{
    Dimension i of the input becomes dimension `dims[i]` of the result; it has
    that dimension's size, or 1 and is repeated. `dims` ascends.

    ```mlir
    %1 = tessera.broadcast %0 dims [1] : tensor<3xf32> -> tensor<2x3x5xf32>
    ```
  }];
  let arguments = (ins Arg<Tessera_Tensor, "the value">:$input,
                       Arg<DenseI64ArrayAttr, "result dimension of each input dimension">:$dims);
  let results = (outs Res<Tessera_Tensor, "the repeated value">:$result);
  let assemblyFormat = "$input `dims` $dims attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
  let hasFolder = 1;
}

def Tessera_SliceOp : Tessera_ComputeOp<"slice", [], ["getFlops"], ["localiseResults"]> {
  let summary = "Takes a strided box of the elements.";
  let description = [{
    Along dimension d: elements starts[d], starts[d] + strides[d], ... below
    limits[d].

    ```mlir
    %1 = tessera.slice %0 [0, 1] to [2, 5] by [1, 2] : tensor<2x7xf32> -> tensor<2x2xf32>
    ```
  }];
  let arguments = (ins Arg<Tessera_Tensor, "the value">:$input,
                       Arg<DenseI64ArrayAttr, "first index per dimension">:$starts,
                       Arg<DenseI64ArrayAttr, "end index per dimension, exclusive">:$limits,
                       Arg<DenseI64ArrayAttr, "step per dimension, at least 1">:$strides);
  let results = (outs Res<Tessera_Tensor, "the box">:$result);
  let assemblyFormat = "$input $starts `to` $limits `by` $strides attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
  let hasFolder = 1;
}

def Tessera_ConcatenateOp : Tessera_ComputeOp<"concatenate", [], ["getFlops"]> {
  let summary = "Joins values along a dimension.";
  let description = [{
    ```mlir
    %2 = tessera.concatenate %0, %1 dim 1 : (tensor<2x3xf32>, tensor<2x5xf32>) -> tensor<2x8xf32>
    ```
  }];
  let arguments = (ins Arg<Variadic<Tessera_Tensor>, "at least one value">:$inputs,
                       Arg<I64Attr, "the dimension">:$dim);
  let results = (outs Res<Tessera_Tensor, "the joined value">:$result);
  let assemblyFormat = "$inputs `dim` $dim attr-dict `:` functional-type($inputs, $result)";
  let hasVerifier = 1;
  let hasFolder = 1;
}

def Tessera_PadOp : Tessera_ComputeOp<"pad", [], ["getFlops"]> {
  let summary = "Surrounds a value with copies of one element.";
  let description = [{
    ```mlir
    %1 = tessera.pad %0 low [0, 1] high [0, 2] value 0.0 : f32 : tensor<2x3xf32> -> tensor<2x6xf32>
    ```
  }];
  let arguments = (ins Arg<Tessera_Tensor, "the value">:$input,
                       Arg<DenseI64ArrayAttr, "elements before, per dimension, not negative">:$low,
                       Arg<DenseI64ArrayAttr, "elements after, per dimension, not negative">:$high,
                       Arg<TypedAttrInterface, "the element, of the input's element type">:$value);
  let results = (outs Res<Tessera_Tensor, "the padded value">:$result);
  let assemblyFormat = "$input `low` $low `high` $high `value` $value attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
  let hasFolder = 1;
}

#endif // TESSERA_TESSERA_IR_SHAPEOPS_TD
