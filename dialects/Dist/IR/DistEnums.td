// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef TESSERA_DIST_IR_DISTENUMS_TD
#define TESSERA_DIST_IR_DISTENUMS_TD

include "mlir/IR/EnumAttr.td"
include "dialects/Dist/IR/DistDialect.td"

// The numbers are those of ::tessera::ReduceKind, which Dist.h checks.
def Dist_ReductionKind : I32EnumAttr<"ReductionKind", "How terms are combined.", [
    I32EnumAttrCase<"sum", 0>, I32EnumAttrCase<"max", 1>,
    I32EnumAttrCase<"min", 2>, I32EnumAttrCase<"prod", 3>]> {
  let cppNamespace = "::tessera::dist";
  let genSpecializedAttr = 0;
}
def Dist_ReductionKindAttr
    : EnumAttr<Dist_Dialect, Dist_ReductionKind, "reduction"> {
  let assemblyFormat = "$value";
}

#endif // TESSERA_DIST_IR_DISTENUMS_TD
