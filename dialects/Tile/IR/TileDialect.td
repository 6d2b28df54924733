// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef TESSERA_TILE_IR_TILEDIALECT_TD
#define TESSERA_TILE_IR_TILEDIALECT_TD

include "mlir/IR/OpBase.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Tile_Dialect : Dialect {
  let name = "tile";
  let cppNamespace = "::tessera::tile";
  let summary = "Kernels: one program per block, on tiles of tensors in memory.";
  let description = [{
    A `tile.kernel` is the program of one block of a grid. Its arguments are
    memrefs of static shape (the tensors in global memory); what it computes on
    are builtin tensors of static shape (tiles), with arith and math ops for the
    elementwise part and scf for loops. There are no layouts, threads, address
    spaces or barriers here: those belong to the targets.
    Booleans are stored as i8 (0 or 1).

    A `math.exp` of f32 with the unit attribute `tile.non_positive` has arguments
    that are not above 0 but for rounding, as the weights of a softmax have: those
    above count as 0, and it takes fewer instructions.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::memref::MemRefDialect",
                           "::mlir::scf::SCFDialect", "::mlir::math::MathDialect"];
  let hasConstantMaterializer = 1;
  let useDefaultAttributePrinterParser = 1;
  let hasOperationAttrVerify = 1;
}

class Tile_Op<string mnemonic, list<Trait> traits = []>
    : Op<Tile_Dialect, mnemonic, traits>;

// A tile. Scalars are tiles of one element, so that every tile has a dimension.
class Tile_TileOf<string pred, string desc> : Type<And<[
    CPred<"::tessera::tile::isTileType($_self)">,
    CPred<"[](::mlir::Type t) { return " # pred # "; }(::mlir::getElementTypeOrSelf($_self))">]>,
    "statically shaped tensor of rank 1 or more with elements of " # desc,
    "::mlir::RankedTensorType">;
def Tile_Tile : Tile_TileOf<"true", "f64, f32, bf16, f16, i1, i8, i32 or i64">;
def Tile_NumberTile : Tile_TileOf<"!t.isInteger(1)", "f64, f32, bf16, f16, i8, i32 or i64">;
def Tile_IndexTile : Tile_TileOf<"t.isInteger(32) || t.isInteger(64)", "i32 or i64">;

// A kernel's argument, or a view of it.
def Tile_Memory : Type<
    CPred<"::tessera::tile::isMemoryType($_self)">,
    "statically shaped memref of rank 1 or more with elements of f64, f32, bf16, f16, i8, i32 or i64",
    "::mlir::MemRefType">;

#endif // TESSERA_TILE_IR_TILEDIALECT_TD
