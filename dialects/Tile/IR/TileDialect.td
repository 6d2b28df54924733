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
    Booleans lie in memory as i8 (0 or 1).
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::memref::MemRefDialect",
                           "::mlir::scf::SCFDialect", "::mlir::math::MathDialect"];
}

class Tile_Op<string mnemonic, list<Trait> traits = []>
    : Op<Tile_Dialect, mnemonic, traits>;

// A tile: any statically shaped builtin tensor of numbers.
def Tile_Tile : StaticShapeTensorOf<[AnyFloat, AnySignlessInteger]>;
def Tile_Memory : StaticShapeMemRefOf<[AnyFloat, AnySignlessInteger]>;

#endif // TESSERA_TILE_IR_TILEDIALECT_TD
