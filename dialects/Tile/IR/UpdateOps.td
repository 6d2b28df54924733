// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef TESSERA_TILE_IR_UPDATEOPS_TD
#define TESSERA_TILE_IR_UPDATEOPS_TD

include "dialects/Tile/IR/TileDialect.td"
include "dialects/Tile/IR/TileEnums.td"

def Tile_ScatterOp : Tile_Op<"scatter", [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "Combines rows into memory at computed indices, one after the other.";
  let description = [{
    Memory of rank r is indexed along its dimension 0: for i = 0, 1, ... in turn,
    memory[indices[i], offsets[0] + j, ...] becomes itself `kind` rows[i, j...],
    rounded to the element type. `set` takes the row as it is; `add`, `max` and
    `min` combine (integers are signed), `umax` and `umin` compare unsigned
    integers. An index outside [0, n) is not written, nor are elements outside
    the bounds of the other dimensions. The memory is an output that begins as a
    copy of an input, and no other block touches the same elements.

    ```mlir
    tile.kernel @sum_rows grid [1] inputs 3 initial [0] {
    ^bb0(%before: memref<7x5xf32>, %at: memref<3xi32>, %rows: memref<3x5xf32>, %m: memref<7x5xf32>):
      %c0 = arith.constant 0 : index
      %0 = tile.load %at[%c0] : memref<3xi32> -> tensor<3xi32>
      %1 = tile.load %rows[%c0, %c0] : memref<3x5xf32> -> tensor<3x5xf32>
      tile.scatter add %1, %m[%0][%c0] : tensor<3x5xf32>, memref<7x5xf32>, tensor<3xi32>
    }
    ```
  }];
  let arguments = (ins Arg<Tile_ScatterKind, "how elements are combined">:$kind,
                       Arg<Tile_NumberTile, "the rows; rank of the memref">:$rows,
                       Arg<Tile_Memory, "what is updated">:$memory,
                       Arg<Tile_IndexTile, "row numbers, rank 1">:$indices,
                       Arg<Variadic<Index>, "first element of the other dimensions">:$offsets);
  let assemblyFormat = [{
    $kind $rows `,` $memory `[` $indices `]` `[` $offsets `]` attr-dict
    `:` type($rows) `,` type($memory) `,` type($indices)
  }];
  let hasVerifier = 1;
}

def Tile_ArgsortOp : Tile_Op<"argsort", [
    MemoryEffects<[MemRead, MemWrite]>,
    TypesMatchWith<"the scratch memories of keys have one type", "keys0", "keys1", "$_self">,
    TypesMatchWith<"the scratch memories of indices have one type", "order0", "order1", "$_self">]> {
  let summary = "Writes the permutation that sorts one row of keys.";
  let description = [{
    The keys are unsigned numbers along `dim` of a tile whose other dimensions
    have size 1. memory[offsets] becomes the indices of the keys in ascending
    order, equal keys in the order in which they stand. Only the bits from
    `low_bit` to `high_bit`, exclusive, of two keys differ.
    Row `row` of the four scratch outputs is overwritten.

    ```mlir
    tile.kernel @sort grid [2] inputs 1 {
    ^bb0(%x: memref<2x7xi32>, %y: memref<2x7xi32>, %k0: memref<2x7xi32>, %k1: memref<2x7xi32>, %i0: memref<2x7xi32>, %i1: memref<2x7xi32>):
      %c0 = arith.constant 0 : index
      %i = tile.program_id 0
      %0 = tile.load %x[%i, %c0] : memref<2x7xi32> -> tensor<1x7xi32>
      tile.argsort %0, %y[%i, %c0] dim 1 bits 0 to 32 scratch(%k0, %k1, %i0, %i1)[%i] : tensor<1x7xi32>, memref<2x7xi32>, memref<2x7xi32>, memref<2x7xi32>
    }
    ```
  }];
  let arguments = (ins Arg<Tile_IndexTile, "the keys; rank of the memref">:$keys,
                       Arg<Tile_Memory, "where the indices go, of i32">:$memory,
                       Arg<Variadic<Index>, "index of the first element, per dimension">:$offsets,
                       Arg<I64Attr, "the dimension">:$dim,
                       Arg<I64Attr, "the lowest bit in which keys differ">:$low_bit,
                       Arg<I64Attr, "the end of the bits in which keys differ">:$high_bit,
                       Arg<Tile_Memory, "scratch [rows, keys]">:$keys0,
                       Arg<Tile_Memory, "scratch [rows, keys]">:$keys1,
                       Arg<Tile_Memory, "scratch [rows, keys] of i32">:$order0,
                       Arg<Tile_Memory, "scratch [rows, keys] of i32">:$order1,
                       Arg<Index, "the row of the scratch memories">:$row);
  let assemblyFormat = [{
    $keys `,` $memory `[` $offsets `]` `dim` $dim `bits` $low_bit `to` $high_bit
    `scratch` `(` $keys0 `,` $keys1 `,` $order0 `,` $order1 `)` `[` $row `]` attr-dict
    `:` type($keys) `,` type($memory) `,` type($keys0) `,` type($order0)
  }];
  let hasVerifier = 1;
}

#endif // TESSERA_TILE_IR_UPDATEOPS_TD
