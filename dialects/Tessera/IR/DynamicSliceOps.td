// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef TESSERA_TESSERA_IR_DYNAMICSLICEOPS_TD
#define TESSERA_TESSERA_IR_DYNAMICSLICEOPS_TD

include "dialects/Tessera/IR/TesseraDialect.td"

// Where a slice of computed position begins: one per dimension.
def Tessera_Start : Type<And<[
    Tessera_TensorOf<"t.isSignlessInteger(32)", "i32">.predicate,
    CPred<"::llvm::cast<::mlir::ShapedType>($_self).getShape().empty()">]>,
    "mesh tensor or tensor of one i32, without dimensions", "::mlir::Type">;

def Tessera_DynamicSliceOp : Tessera_ComputeOp<"dynamic_slice", [], ["getFlops"]> {
  let summary = "Takes a box of fixed size that begins at a computed index.";
  let description = [{
    result[i, j] = input[s + i, t + j], where the starts s and t are clamped to
    [0, n - k], so that the box of k elements is within the n elements of its
    dimension. The sizes of the box are those of the result. A dimension that is
    taken whole may be split; the others must be whole on each device.

    ```mlir
    %3 = tessera.dynamic_slice %0 [%1, %2] : (tensor<7x5xf32>, tensor<i32>, tensor<i32>) -> tensor<1x5xf32>
    ```
  }];
  let arguments = (ins Arg<Tessera_Tensor, "the value">:$input,
                       Arg<Variadic<Tessera_Start>, "first index per dimension">:$starts);
  let results = (outs Res<Tessera_Tensor, "the box">:$result);
  let assemblyFormat = "$input `[` $starts `]` attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
  let hasFolder = 1;
  let hasCanonicalizer = 1;
}

def Tessera_DynamicUpdateSliceOp : Tessera_ComputeOp<"dynamic_update_slice", [], ["getFlops"]> {
  let summary = "Replaces a box that begins at a computed index.";
  let description = [{
    result[s + i, t + j] = update[i, j], and input everywhere else; the starts s
    and t are clamped to [0, n - k], as those of `tessera.dynamic_slice`. A
    dimension that is replaced whole may be split; the others must be whole on
    each device. Where the input is not used afterwards, only the box is written.

    ```mlir
    %4 = tessera.dynamic_update_slice %0 [%1, %2] = %3 : (tensor<7x5xf32>, tensor<i32>, tensor<i32>, tensor<1x5xf32>) -> tensor<7x5xf32>
    ```
  }];
  let arguments = (ins Arg<Tessera_Tensor, "the value">:$input,
                       Arg<Variadic<Tessera_Start>, "first index per dimension">:$starts,
                       Arg<Tessera_Tensor, "what stands in the box">:$update);
  let results = (outs Res<Tessera_Tensor, "the value with the box replaced">:$result);
  let assemblyFormat = "$input `[` $starts `]` `=` $update attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
  let hasFolder = 1;
}

#endif // TESSERA_TESSERA_IR_DYNAMICSLICEOPS_TD
