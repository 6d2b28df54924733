// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef TESSERA_TILE_IR_COMPUTEOPS_TD
#define TESSERA_TILE_IR_COMPUTEOPS_TD

include "dialects/Tile/IR/TileDialect.td"
include "dialects/Tile/IR/TileEnums.td"

def Tile_DotOp : Tile_Op<"dot", [Pure, AllTypesMatch<["acc", "result"]>]> {
  let summary = "Adds a matrix product to an accumulator.";
  let description = [{
    result[m,n] = acc[m,n] + sum_k lhs[m,k] rhs[k,n]. Factors have one element
    type. Those of bf16 and f16 are multiplied and added in f32, the element type
    of the accumulator; others are added in their own type. The order of the
    sum is the target's choice.

    Of the result, or of lhs, a triangle may be all that counts (`lower`: the
    elements [i, j] with j <= i + diagonal; `upper`: those with i <= j +
    diagonal). Outside it the result may be anything; lhs is zero there, or its
    row or column of NaN. A target may leave out what comes of those elements,
    so that how far a NaN spreads is its choice.

    ```mlir
    %3 = tile.dot %0, %1, %2 : tensor<4x3xf32>, tensor<3x5xf32> -> tensor<4x5xf32>
    %4 = tile.dot %0, %1, %2 result lower at %d : tensor<4x3xf32>, tensor<3x5xf32> -> tensor<4x5xf32>
    %5 = tile.dot %0, %1, %2 lhs upper at %d : tensor<4x3xf32>, tensor<3x5xf32> -> tensor<4x5xf32>
    ```
  }];
  let arguments = (ins Arg<Tile_NumberTile, "[m,k]">:$lhs,
                       Arg<Tile_NumberTile, "[k,n]">:$rhs,
                       Arg<Tile_NumberTile, "[m,n]">:$acc,
                       Arg<Optional<Index>, "of the triangle">:$diagonal,
                       Arg<OptionalAttr<Tile_Triangle>, "what of the result counts">:$resultTriangle,
                       Arg<OptionalAttr<Tile_Triangle>, "what of lhs is not zero">:$lhsTriangle);
  let results = (outs Res<Tile_NumberTile, "[m,n]">:$result);
  let assemblyFormat = [{
    $lhs `,` $rhs `,` $acc (`result` $resultTriangle^)? (`lhs` $lhsTriangle^)?
    (`at` $diagonal^)? attr-dict `:` type($lhs) `,` type($rhs) `->` type($result)
  }];
  let builders = [
    OpBuilder<(ins "::mlir::Value":$lhs, "::mlir::Value":$rhs, "::mlir::Value":$acc), [{
      build($_builder, $_state, acc.getType(), lhs, rhs, acc, ::mlir::Value(),
            TriangleAttr(), TriangleAttr());
    }]>];
  let hasVerifier = 1;
}

def Tile_ReduceOp : Tile_Op<"reduce", [Pure]> {
  let summary = "Combines the elements along a dimension, which becomes size 1.";
  let description = [{
    `kind` is sum, max, min or prod, in the element type of the input: what is
    narrower than f32 is widened before. max and min of floats are NaN where an
    element is; those of integers are signed. The order is the target's choice.

    With `numbers` max and min of floats need not find a NaN: where an element is
    one, they may be any number. That is for a kernel whose result is NaN anyway,
    and costs a CPU one instruction instead of three.

    ```mlir
    %1 = tile.reduce sum %0 dim 1 : tensor<4x5xf32> -> tensor<4x1xf32>
    %2 = tile.reduce max %0 dim 1 numbers : tensor<4x5xf32> -> tensor<4x1xf32>
    ```
  }];
  let arguments = (ins Arg<Tile_ReductionKind, "how elements are combined">:$kind,
                       Arg<Tile_NumberTile, "the elements">:$input,
                       Arg<I64Attr, "the dimension">:$dim,
                       Arg<UnitAttr, "whether a NaN need not be found">:$numbers);
  let results = (outs Res<Tile_NumberTile, "the combined values">:$result);
  let assemblyFormat = "$kind $input `dim` $dim (`numbers` $numbers^)? attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
  let hasFolder = 1;
}

def Tile_ScanOp : Tile_Op<"scan", [Pure, AllTypesMatch<["input", "result"]>, AllTypesMatch<["carry", "next"]>]> {
  let summary = "Combines the elements up to each one along a dimension.";
  let description = [{
    For `dim` 1, result[i, j] = carry[i, 0] + input[i, 0] + ... + input[i, j], and
    next[i, 0] = result[i, last]: the carry of a tile that continues the row.
    `exclusive` leaves input[i, j] out of result[i, j], not of `next`. `reverse`
    begins at the last element. Kinds and element types are those of
    `tile.reduce`; the order is the target's choice.

    ```mlir
    %2:2 = tile.scan sum %0 dim 1 carry %1 : tensor<4x5xf32>, tensor<4x1xf32>
    ```
  }];
  let arguments = (ins Arg<Tile_ReductionKind, "how elements are combined">:$kind,
                       Arg<Tile_NumberTile, "the elements">:$input,
                       Arg<Tile_NumberTile, "what came before them">:$carry,
                       Arg<I64Attr, "the dimension">:$dim,
                       Arg<UnitAttr, "whether each element is left out of its own result">:$exclusive,
                       Arg<UnitAttr, "whether to begin at the last element">:$reverse);
  let results = (outs Res<Tile_NumberTile, "what is combined up to each element">:$result,
                      Res<Tile_NumberTile, "what is combined of all">:$next);
  let assemblyFormat = [{
    $kind $input `dim` $dim (`exclusive` $exclusive^)? (`reverse` $reverse^)?
    `carry` $carry attr-dict `:` type($input) `,` type($carry)
  }];
  let hasVerifier = 1;
}

def Tile_BroadcastOp : Tile_Op<"broadcast", [Pure]> {
  let summary = "Repeats a tile along its dimensions of size 1.";
  let description = [{
    result[i, j] = input[i, 0] where dimension 1 of the input has size 1. Ranks
    are equal: `tile.reshape` adds dimensions of size 1.

    ```mlir
    %1 = tile.broadcast %0 : tensor<4x1xf32> -> tensor<4x5xf32>
    ```
  }];
  let arguments = (ins Arg<Tile_Tile, "the tile">:$input);
  let results = (outs Res<Tile_Tile, "same rank">:$result);
  let assemblyFormat = "$input attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
  let hasFolder = 1;
}

def Tile_ReshapeOp : Tile_Op<"reshape", [Pure]> {
  let summary = "Gives the elements, in row-major order, another shape.";
  let description = [{
    Nothing moves where only dimensions of size 1 come and go; other shapes may
    cost a division per element.

    ```mlir
    %1 = tile.reshape %0 : tensor<1x4x5xf32> -> tensor<4x5xf32>
    ```
  }];
  let arguments = (ins Arg<Tile_Tile, "the tile">:$input);
  let results = (outs Res<Tile_Tile, "the same elements">:$result);
  let assemblyFormat = "$input attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
  let hasFolder = 1;
}

def Tile_TransOp : Tile_Op<"trans", [Pure]> {
  let summary = "Permutes the dimensions of a tile.";
  let description = [{
    result[i0, i1, ...] = input[j0, j1, ...] with j[permutation[d]] = i[d].

    ```mlir
    %1 = tile.trans %0 [1, 0] : tensor<4x5xf32> -> tensor<5x4xf32>
    ```
  }];
  let arguments = (ins Arg<Tile_Tile, "the tile">:$input,
                       Arg<DenseI64ArrayAttr, "source dimension of each result dimension">:$permutation);
  let results = (outs Res<Tile_Tile, "the permuted tile">:$result);
  let assemblyFormat = "$input $permutation attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
  let hasFolder = 1;
}

def Tile_IotaOp : Tile_Op<"iota", [Pure]> {
  let summary = "Gives each element its index along a dimension.";
  let description = [{
    result[i, j] = j for `dim` 1, counted from 0 in every tile; what the block's
    place adds comes by `tile.splat` and `arith.addi`.

    ```mlir
    %0 = tile.iota dim 1 : tensor<4x5xi32>
    ```
  }];
  let arguments = (ins Arg<I64Attr, "the dimension">:$dim);
  let results = (outs Res<Tile_IndexTile, "the indices">:$result);
  let assemblyFormat = "`dim` $dim attr-dict `:` type($result)";
  let hasVerifier = 1;
  let hasFolder = 1;
}

def Tile_SplatOp : Tile_Op<"splat", [Pure]> {
  let summary = "Fills a tile with a scalar.";
  let description = [{
    Brings a scalar of the kernel (a block's offset, say) to tiles.

    ```mlir
    %1 = tile.splat %0 : f32 -> tensor<4x5xf32>
    ```
  }];
  let arguments = (ins Arg<AnyTypeOf<[AnyFloat, AnySignlessInteger]>, "the scalar">:$input);
  let results = (outs Res<Tile_Tile, "the filled tile">:$result);
  let assemblyFormat = "$input attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
  let hasFolder = 1;
}

def Tile_ExtractOp : Tile_Op<"extract", [Pure]> {
  let summary = "Gives the element of a tile of one element as a scalar.";
  let description = [{
    Brings a computed index to the offsets of memory: the start of a slice, say.

    ```mlir
    %1 = tile.extract %0 : tensor<1xi32> -> i32
    ```
  }];
  let arguments = (ins Arg<Tile_Tile, "a tile of one element">:$input);
  let results = (outs Res<AnyTypeOf<[AnyFloat, AnySignlessInteger]>, "its element">:$result);
  let assemblyFormat = "$input attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
  let hasFolder = 1;
}

#endif // TESSERA_TILE_IR_COMPUTEOPS_TD
