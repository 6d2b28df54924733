// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef TESSERA_TESSERA_IR_INDEXINGOPS_TD
#define TESSERA_TESSERA_IR_INDEXINGOPS_TD

include "dialects/Tessera/IR/TesseraDialect.td"
include "dialects/Tessera/IR/TesseraEnums.td"

def Tessera_GatherOp : Tessera_ComputeOp<"gather", [], ["getFlops", "getPropagationRound"],
                                        ["localiseOperands"]> {
  let summary = "Takes slices at computed indices (embedding lookup).";
  let description = [{
    result[a..., i..., b...] = source[a..., indices[i...], b...]: `dims` ascend
    and name the indexed dimensions, one tensor of indices each, all of one
    shape. The dimensions of the indices stand where the first indexed dimension
    was, the other indexed dimensions are gone. An index outside [0, n) reads
    zeros. So the lookup in a source that is split along an indexed dimension is a
    sum of partial lookups.

    ```mlir
    %2 = tessera.gather %0 [%1] dims [0] : (tensor<7x5xf32>, tensor<2x3xi32>) -> tensor<2x3x5xf32>
    %4 = tessera.gather %0 [%3, %3] dims [0, 1] : (tensor<7x5xf32>, tensor<4xi32>, tensor<4xi32>) -> tensor<4xf32>
    ```

    Batch dimensions pair a dimension of the source with one of the indices, of
    the same size: index and slice belong to the same entry of it, and the result
    has it once, where the source has it. Both may be split alike. With
    `batch [0] = [0]`, result[k, i, b] = source[k, indices[k, i], b]:

    ```mlir
    %2 = tessera.gather %0 [%1] dims [1] batch [0] = [0] : (tensor<2x7x5xf32>, tensor<2x3xi32>) -> tensor<2x3x5xf32>
    ```
  }];
  let arguments = (ins Arg<Tessera_Tensor, "what is read">:$source,
                       Arg<Variadic<Tessera_IntTensor>, "where to read, per indexed dimension">:$indices,
                       Arg<DenseI64ArrayAttr, "the indexed dimensions, ascending">:$dims,
                       Arg<DefaultValuedOptionalAttr<DenseI64ArrayAttr, "{}">, "batch dimensions of the source">:$source_batch,
                       Arg<DefaultValuedOptionalAttr<DenseI64ArrayAttr, "{}">, "the dimensions of the indices that they pair with">:$indices_batch);
  let results = (outs Res<Tessera_Tensor, "the slices">:$result);
  let assemblyFormat = [{
    $source `[` $indices `]` `dims` $dims (`batch` $source_batch^ `=` $indices_batch)?
    attr-dict `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// How dimensions of source, indices and result correspond.
    ::tessera::IndexedDims getIndexedDims();
  }];
}

def Tessera_ScatterOp : Tessera_ComputeOp<"scatter", [], ["getFlops", "getPropagationRound"],
                                         ["localiseOperands"]> {
  let summary = "Combines slices into a value at computed indices.";
  let description = [{
    The result is the input, in which for each element of the updates, one after
    the other in row-major order,
    result[a..., indices[i...], b...] = result[...] kind updates[a..., i..., b...]
    with `kind` one of set, add, max and min. So of updates of one element the
    last one is what `set` leaves, on every device and mesh, and each sum is
    rounded to the element type. An index outside [0, n) is not written.
    Dimensions, indices and batch dimensions are those of `tessera.gather`, whose
    result has the shape of the updates.

    An indexed dimension may be split: each device updates what it holds. Where
    the updates are split along the indices, `set` gathers them, and the others
    give a partial result. If the input is not used afterwards only the updated
    elements are written.

    ```mlir
    %3 = tessera.scatter add %0 [%1] = %2 dims [0] : (tensor<7x5xf32>, tensor<3xi32>, tensor<3x5xf32>) -> tensor<7x5xf32>
    ```
  }];
  let arguments = (ins Arg<Tessera_ScatterKindAttr, "how elements are combined">:$kind,
                       Arg<Tessera_Tensor, "the value before">:$input,
                       Arg<Variadic<Tessera_IntTensor>, "where to write, per indexed dimension">:$indices,
                       Arg<Tessera_Tensor, "the slices">:$updates,
                       Arg<DenseI64ArrayAttr, "the indexed dimensions, ascending">:$dims,
                       Arg<DefaultValuedOptionalAttr<DenseI64ArrayAttr, "{}">, "batch dimensions of the input">:$input_batch,
                       Arg<DefaultValuedOptionalAttr<DenseI64ArrayAttr, "{}">, "the dimensions of the indices that they pair with">:$indices_batch);
  let results = (outs Res<Tessera_Tensor, "the value after">:$result);
  let assemblyFormat = [{
    `` $kind $input `[` $indices `]` `=` $updates `dims` $dims (`batch` $input_batch^ `=` $indices_batch)?
    attr-dict `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// How dimensions of input, indices and updates correspond.
    ::tessera::IndexedDims getIndexedDims();
  }];
}

def Tessera_ArgsortOp : Tessera_ComputeOp<"argsort", [], ["getFlops"]> {
  let summary = "Gives the permutation that sorts the elements along a dimension.";
  let description = [{
    Along `dim`, input[result[0]], input[result[1]], ... ascend, or descend with
    the attribute `descending`. Equal elements keep their order in both cases
    (the sort is stable). NaN are greater than all numbers and equal to each
    other, -0.0 equals 0.0, false is less than true. `tessera.gather` with batch
    dimensions applies the permutation, to this value or to others. The dimension
    must be whole on each device, others may be split.

    ```mlir
    %1 = tessera.argsort %0 dim 1 descending : tensor<2x7xf32> -> tensor<2x7xi32>
    ```
  }];
  let arguments = (ins Arg<Tessera_Tensor, "the keys">:$input,
                       Arg<I64Attr, "the dimension">:$dim,
                       Arg<UnitAttr, "greatest first">:$descending);
  let results = (outs Res<Tessera_IntTensor, "indices along the dimension, i32">:$result);
  let assemblyFormat = "$input `dim` $dim (`descending` $descending^)? attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
}

#endif // TESSERA_TESSERA_IR_INDEXINGOPS_TD
