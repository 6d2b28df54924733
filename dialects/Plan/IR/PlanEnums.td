// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef TESSERA_PLAN_IR_PLANENUMS_TD
#define TESSERA_PLAN_IR_PLANENUMS_TD

include "mlir/IR/EnumAttr.td"

// The cases are those of include/tessera/ABI/CollectiveKinds.inc, in its order;
// PlanDialect.cpp checks that.
def Plan_CollectiveKind : I32EnumAttr<"CollectiveKind", "Which collective.", [
    I32EnumAttrCase<"all_reduce", 0>, I32EnumAttrCase<"all_gather", 1>,
    I32EnumAttrCase<"all_slice", 2>, I32EnumAttrCase<"reduce_scatter", 3>,
    I32EnumAttrCase<"all_to_all", 4>, I32EnumAttrCase<"permute", 5>]> {
  let cppNamespace = "::tessera::plan";
}

def Plan_DeviceQuery : I32EnumAttr<"DeviceQuery", "What is asked of a device.", [
    I32EnumAttrCase<"axis_index", 0>, I32EnumAttrCase<"local_offset", 1>,
    I32EnumAttrCase<"valid_extent", 2>]> {
  let cppNamespace = "::tessera::plan";
}

#endif // TESSERA_PLAN_IR_PLANENUMS_TD
