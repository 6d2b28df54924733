// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef TESSERA_TILE_IR_KERNELOPS_TD
#define TESSERA_TILE_IR_KERNELOPS_TD

include "mlir/IR/BuiltinAttributeInterfaces.td"
include "mlir/IR/RegionKindInterface.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "dialects/Tile/IR/TileDialect.td"

def Tile_KernelOp : Tile_Op<"kernel", [Symbol, IsolatedFromAbove,
                                       SingleBlockImplicitTerminator<"ReturnOp">]> {
  let summary = "The program of one block of a grid.";
  let description = [{
    The block arguments are memrefs, row-major and contiguous: `inputs` that
    are read, then the outputs; some block writes each element of an output. Blocks
    run in any order and do not communicate: no block writes an input or reads
    an output. `memref.reinterpret_cast` of static shape gives another view of
    an argument, inside its bounds. Constant tiles are splats.

    An output may share the memory of an input where `getAliasablePairs`
    (KernelAnalysis.h) says so: the last stores of a kernel that write one box
    compute an element of each result before they store any.
    An output may begin as a copy of an input: `initial` has the number of that
    input for each output, or -1. Then blocks write only what changes. The
    kernel does not read such an input by itself, so that the output may take
    its memory; where it cannot, the input is copied before the launch.

    ```mlir
    tile.kernel @double grid [2] inputs 1 {
    ^bb0(%x: memref<2x5xf32>, %y: memref<2x5xf32>):
      %c0 = arith.constant 0 : index
      %i = tile.program_id 0
      %0 = tile.load %x[%i, %c0] : memref<2x5xf32> -> tensor<1x5xf32>
      %1 = arith.addf %0, %0 : tensor<1x5xf32>
      tile.store %1, %y[%i, %c0] : tensor<1x5xf32>, memref<2x5xf32>
    }
    ```
  }];
  let arguments = (ins
    Arg<SymbolNameAttr, "the kernel's name">:$sym_name,
    Arg<DenseI64ArrayAttr, "blocks per grid dimension, 1 to 3 of them; the first varies fastest">:$grid,
    Arg<I64Attr, "how many leading arguments are only read">:$num_inputs,
    Arg<OptionalAttr<DenseI64ArrayAttr>, "the input that each output begins as a copy of, or -1">:$initial);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = [{
    $sym_name `grid` $grid `inputs` $num_inputs (`initial` $initial^)?
    attr-dict-with-keyword custom<KernelBody>($body)
  }];
  let hasVerifier = 1;
  let hasRegionVerifier = 1;
  let extraClassDeclaration = [{
    mlir::Block &getBlock() { return getBody().front(); }
    int64_t getNumBlocks() {
      int64_t count = 1;
      for (int64_t size : getGrid())
        count *= size;
      return count;
    }
    /// The input that output `output` begins as a copy of, if there is one.
    std::optional<unsigned> getInitialInput(unsigned output) {
      if (!getInitial() || (*getInitial())[output] < 0)
        return std::nullopt;
      return static_cast<unsigned>((*getInitial())[output]);
    }
  }];
}

def Tile_ReturnOp : Tile_Op<"return", [Pure, Terminator, HasParent<"KernelOp">]> {
  let summary = "Ends a kernel.";
  let description = [{
    A kernel's text form may leave it out.

    ```mlir
    tile.kernel @nothing grid [1] inputs 0 {
      tile.return
    }
    ```
  }];
  let assemblyFormat = "attr-dict";
}

def Tile_LaunchOp : Tile_Op<"launch", [Pure, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "Runs every block of a kernel.";
  let description = [{
    Host side, on whole local tensors: operands are the kernel's inputs, results
    its outputs. Types match the kernel's memrefs, with i1 for i8 where the
    tensor is boolean; a memref may regroup the dimensions of its tensor, having
    the same number of elements.

    ```mlir
    tile.kernel @copy grid [1] inputs 1 {
    ^bb0(%x: memref<5xf32>, %y: memref<5xf32>):
      %c0 = arith.constant 0 : index
      %0 = tile.load %x[%c0] : memref<5xf32> -> tensor<5xf32>
      tile.store %0, %y[%c0] : tensor<5xf32>, memref<5xf32>
    }
    func.func @main(%0: tensor<5xf32>) -> tensor<5xf32> {
      %1 = tile.launch @copy(%0) : (tensor<5xf32>) -> tensor<5xf32>
      return %1 : tensor<5xf32>
    }
    ```
  }];
  let arguments = (ins Arg<FlatSymbolRefAttr, "the kernel">:$kernel,
                       Arg<Variadic<AnyStaticShapeTensor>, "inputs">:$inputs);
  let results = (outs Res<Variadic<AnyStaticShapeTensor>, "outputs">:$outputs);
  let assemblyFormat = "$kernel `(` $inputs `)` attr-dict `:` functional-type($inputs, $outputs)";
}

def Tile_ProgramIdOp : Tile_Op<"program_id", [Pure]> {
  let summary = "Gives this block's index along a grid dimension.";
  let description = [{
    ```mlir
    tile.kernel @fill grid [3, 2] inputs 0 {
    ^bb0(%y: memref<2x3xi32>):
      %j = tile.program_id 0
      %i = tile.program_id 1
      %0 = arith.constant dense<1> : tensor<1x1xi32>
      tile.store %0, %y[%i, %j] : tensor<1x1xi32>, memref<2x3xi32>
    }
    ```
  }];
  let arguments = (ins Arg<I64Attr, "grid dimension">:$dim);
  let results = (outs Res<Index, "0 to grid[dim] - 1">:$result);
  let assemblyFormat = "$dim attr-dict";
  let hasVerifier = 1;
  let hasFolder = 1;
}

def Tile_LoadOp : Tile_Op<"load", [MemoryEffects<[MemRead]>]> {
  let summary = "Reads a box of memory.";
  let description = [{
    result[i, j] = memory[offsets[0] + i, offsets[1] + j]; elements outside the
    memref's bounds (before 0 or past the end) are not read and give `pad`, or
    zero without one.

    ```mlir
    %0 = tile.load %m[%i, %j] : memref<7x5xf32> -> tensor<4x5xf32>
    %1 = tile.load %m[%i, %j] pad 0xFF800000 : f32 : memref<7x5xf32> -> tensor<4x5xf32>
    ```
  }];
  let arguments = (ins Arg<Tile_Memory, "where to read">:$memory,
                       Arg<Variadic<Index>, "index of the first element, per dimension">:$offsets,
                       Arg<OptionalAttr<TypedAttrInterface>, "value outside the bounds">:$pad);
  let results = (outs Res<Tile_Tile, "the elements; rank of the memref">:$result);
  let assemblyFormat = "$memory `[` $offsets `]` (`pad` $pad^)? attr-dict `:` type($memory) `->` type($result)";
  let hasVerifier = 1;
  let hasCanonicalizer = 1;
}

def Tile_StoreOp : Tile_Op<"store", [MemoryEffects<[MemWrite]>]> {
  let summary = "Writes a box of memory.";
  let description = [{
    Elements that would fall outside the memref's bounds are not written.

    ```mlir
    tile.store %0, %m[%i, %j] : tensor<4x5xf32>, memref<7x5xf32>
    ```
  }];
  let arguments = (ins Arg<Tile_Tile, "the elements; rank of the memref">:$value,
                       Arg<Tile_Memory, "where to write">:$memory,
                       Arg<Variadic<Index>, "index of the first element, per dimension">:$offsets);
  let assemblyFormat = "$value `,` $memory `[` $offsets `]` attr-dict `:` type($value) `,` type($memory)";
  let hasVerifier = 1;
}

def Tile_GatherOp : Tile_Op<"gather", [MemoryEffects<[MemRead]>]> {
  let summary = "Reads rows of memory at computed indices.";
  let description = [{
    Source of rank r is indexed along its dimension 0:
    result[i, j...] = memory[indices[i], offsets[0] + j, ...]; an index outside
    [0, n), and elements outside the bounds of the other dimensions, give 0.

    ```mlir
    %1 = tile.gather %m[%0][%j] : memref<7x5xf32>, tensor<3xi32> -> tensor<3x5xf32>
    ```
  }];
  let arguments = (ins Arg<Tile_Memory, "where to read">:$memory,
                       Arg<Tile_IndexTile, "row numbers, rank 1">:$indices,
                       Arg<Variadic<Index>, "first element of the other dimensions">:$offsets);
  let results = (outs Res<Tile_Tile, "the rows">:$result);
  let assemblyFormat = "$memory `[` $indices `]` `[` $offsets `]` attr-dict `:` type($memory) `,` type($indices) `->` type($result)";
  let hasVerifier = 1;
}

#endif // TESSERA_TILE_IR_KERNELOPS_TD
