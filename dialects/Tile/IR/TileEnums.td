// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef TESSERA_TILE_IR_TILEENUMS_TD
#define TESSERA_TILE_IR_TILEENUMS_TD

include "mlir/IR/EnumAttr.td"

def Tile_ReductionKind : I32EnumAttr<"ReductionKind", "How elements are combined.", [
    I32EnumAttrCase<"sum", 0>, I32EnumAttrCase<"max", 1>,
    I32EnumAttrCase<"min", 2>, I32EnumAttrCase<"prod", 3>]> {
  let cppNamespace = "::tessera::tile";
}

def Tile_Triangle : I32EnumAttr<"Triangle", "Which elements [i, j] of a matrix count: lower, where j <= i + diagonal; upper, where i <= j + diagonal.", [
    I32EnumAttrCase<"lower", 0>, I32EnumAttrCase<"upper", 1>]> {
  let cppNamespace = "::tessera::tile";
}

def Tile_TargetKind : I32EnumAttr<"TargetKind", "What kernels run on.", [
    I32EnumAttrCase<"cpu", 0>, I32EnumAttrCase<"cuda", 1>]> {
  let cppNamespace = "::tessera::tile";
}

def Tile_ScatterKind : I32EnumAttr<"ScatterKind", "How a row is combined with what it is written to.", [
    I32EnumAttrCase<"set", 0>, I32EnumAttrCase<"add", 1>,
    I32EnumAttrCase<"max", 2>, I32EnumAttrCase<"min", 3>,
    I32EnumAttrCase<"umax", 4>, I32EnumAttrCase<"umin", 5>]> {
  let cppNamespace = "::tessera::tile";
}

#endif // TESSERA_TILE_IR_TILEENUMS_TD
