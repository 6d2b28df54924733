// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef TESSERA_TILE_IR_TILEATTRS_TD
#define TESSERA_TILE_IR_TILEATTRS_TD

include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"
include "dialects/Tile/IR/TileDialect.td"
include "dialects/Tile/IR/TileEnums.td"

def Tile_TargetAttr : AttrDef<Tile_Dialect, "Target"> {
  let mnemonic = "target";
  let summary = "What the kernels of a module are made for.";
  let description = [{
    `#tile.target<cpu, vectorBits = 256>`, `#tile.target<cuda, chip = "sm_90a">`. It is
    the module attribute `tile.target`, which every pass that makes or lowers
    kernels reads: block sizes, vector widths and limits follow from it. A module
    without one is for a CPU with vectors of 512 bits, whatever its model.

    `chip` is the model of a CPU as LLVM calls it, or a GPU of
    include/tessera/Analysis/GpuChips.h; `vectorBits`, of a CPU, is 128, 256 or
    512. Errors: another chip or width.

    ```mlir
    module attributes {tile.target = #tile.target<cuda, chip = "sm_90a">} {}
    ```
  }];
  let parameters = (ins
    EnumParameter<Tile_TargetKind>:$kind,
    StringRefParameter<"model of the CPU or GPU; empty for any", "\"\"">:$chip,
    DefaultValuedParameter<"int64_t", "0", "of a CPU; 0 for any">:$vectorBits);
  let assemblyFormat = "`<` $kind (`,` struct($chip, $vectorBits)^)? `>`";
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    static constexpr ::llvm::StringLiteral attrName = "tile.target";
    /// That of the module around `op`, or null.
    static TargetAttr of(::mlir::Operation *op);
    bool isGPU() const { return getKind() == TargetKind::cuda; }
    /// Of a GPU: bytes of shared memory that a block may have, on the chip or,
    /// where none is named, on every one.
    int64_t getSharedBytes() const;
    /// Of a CPU: f32 elements of a vector register.
    int64_t getLanes() const {
      return (getVectorBits() ? getVectorBits() : 512) / 32;
    }
    /// Vectors side by side in a panel of a packed right factor, of which a
    /// product on a CPU multiplies whole rows.
    static constexpr int64_t vectorsOfPanel = 2;
  }];
}

#endif // TESSERA_TILE_IR_TILEATTRS_TD
