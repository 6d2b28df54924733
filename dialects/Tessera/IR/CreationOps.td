// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef TESSERA_TESSERA_IR_CREATIONOPS_TD
#define TESSERA_TESSERA_IR_CREATIONOPS_TD

include "mlir/IR/BuiltinAttributeInterfaces.td"
include "dialects/Tessera/IR/TesseraDialect.td"
include "dialects/Tessera/IR/TesseraEnums.td"

def Tessera_ConstantOp : Tessera_ComputeOp<"constant", [ConstantLike], ["getFlops"],
                                          ["localiseResults"], ["isCheapToClone"]> {
  let summary = "Gives a constant.";
  let description = [{
    After partitioning a constant is splat: one that is not and is split is cut
    by `dist.all_slice` from the whole.

    ```mlir
    %0 = tessera.constant dense<1.0> : tensor<2x3xf32> : tensor<2x3xf32>
    ```
  }];
  let arguments = (ins Arg<ElementsAttr, "the elements, in logical shape">:$value);
  let results = (outs Res<Tessera_Tensor, "the value">:$result);
  let assemblyFormat = "$value attr-dict `:` type($result)";
  let hasVerifier = 1;
  let hasFolder = 1;
}

def Tessera_IotaOp : Tessera_ComputeOp<"iota", [], ["getFlops"], ["localiseResults"], ["isCheapToClone"]> {
  let summary = "Gives each element its index along a dimension.";
  let description = [{
    On a device that holds a part of the logical tensor, `offset` is the logical
    index of the local value's first element along `dim`.

    ```mlir
    %0 = tessera.iota dim 1 : tensor<2x3xi32>
    ```
  }];
  let arguments = (ins Arg<I64Attr, "the dimension">:$dim,
                       Arg<Optional<0DTensorOf<[I32]>>, "index of the first element; absent before partitioning">:$offset);
  let results = (outs Res<Tessera_NumberTensor, "the indices">:$result);
  let assemblyFormat = "`dim` $dim (`offset` $offset^ `:` type($offset))? attr-dict `:` type($result)";
  let hasVerifier = 1;
  let hasFolder = 1;
}

def Tessera_RngOp : Tessera_ComputeOp<"rng", [], [], ["localiseResults"], ["getElementCost"]> {
  let summary = "Gives random numbers that depend on the key and the logical index alone.";
  let description = [{
    Element i (row-major index into `global_shape`) is a function of the two
    words of `key` (their low 32 bits) and i, by Philox4x32-10 with counter
    (i / 4 mod 2^32, i / 2^34, 0, 0): the word i % 4. So the numbers are the same
    for every layout and mesh.
    uniform: the top bits of the word, (w >> (32 - b)) * 2^-b with b = 8 for
    bf16, 11 for f16, else 24: in [0, 1) without rounding; normal: Box-Muller on
    the pairs of words (0,1) and (2,3): with u = (w >> 8) * 2^-24,
    r = sqrt(-2 ln(1 - u_a)) and t = 2 pi u_b the numbers are r cos t and
    r sin t; bits: the word itself (element type ui32 or i32).
    `offsets` are the logical indices of the local value's first element, one per
    dimension; absent before partitioning.
    Keys may come in a batch, of shape [b..., 2]: the leading dimensions of the
    result are those of the batch, and each key gives the numbers of the other
    dimensions as it would by itself, i being the index into these.
    Source: Salmon et al., Parallel random numbers: as easy as 1, 2, 3, SC 2011.

    ```mlir
    %1 = tessera.rng uniform %0 [2, 3] : tensor<2xi32> -> tensor<2x3xf32>
    %3 = tessera.rng normal %2 [5, 3] : tensor<5x2xi32> -> tensor<5x3xf32>
    ```
  }];
  let arguments = (ins Arg<Tessera_RngDistributionAttr, "what the numbers follow">:$distribution,
                       Arg<Tessera_IntTensor, "two words, or a batch of these">:$key,
                       Arg<DenseI64ArrayAttr, "logical shape, with the batch">:$global_shape,
                       Arg<Variadic<0DTensorOf<[I32]>>, "logical index of the first element per dimension">:$offsets);
  let results = (outs Res<Tessera_NumberTensor, "the numbers">:$result);
  let assemblyFormat = "`` $distribution $key $global_shape (`offsets` $offsets^ `:` type($offsets))? attr-dict `:` type($key) `->` type($result)";
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// Leading dimensions of the result that number keys.
    int64_t getBatchRank();
  }];
}

#endif // TESSERA_TESSERA_IR_CREATIONOPS_TD
