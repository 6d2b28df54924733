// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef TESSERA_DIST_IR_DISTATTRS_TD
#define TESSERA_DIST_IR_DISTATTRS_TD

include "dialects/Dist/IR/DistDialect.td"
include "dialects/Dist/IR/DistEnums.td"

// A parameter that is a plain struct of lib/Analysis, compared by value.
class Dist_PlainParameter<string type, string desc>
    : AttrParameter<type, desc, "const " # type # " &">;

def Dist_MeshAttr : Dist_Attr<"Mesh", "mesh"> {
  let summary = "Axes of a mesh, with their sizes and link classes.";
  let description = [{
    `<[dp = 2 : ib, tp = 4]>`. The link class is one of `shm` (the default),
    `nvlink`, `pcie` and `ib`. Devices are numbered row-major, last axis fastest.
  }];
  let parameters = (ins Dist_PlainParameter<"::tessera::Mesh", "the axes; its name is empty">:$value);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
}

def Dist_AxesAttr : Dist_Attr<"Axes", "axes"> {
  let summary = "An ordered list of axes and sub-axes, major to minor.";
  let description = [{
    `{dp, tp:(1)2}`: the whole axis `dp`, then the sub-axis of `tp` with 2
    devices whose stride is the axis size divided by (1)*2.
  }];
  let parameters = (ins Dist_PlainParameter<"std::vector<::tessera::AxisRef>", "">:$value);
  let hasCustomAssemblyFormat = 1;
}

def Dist_LayoutAttr : Dist_Attr<"Layout", "layout"> {
  let summary = "How a logical tensor is distributed over a mesh.";
  let description = [{
    `<@mesh, [{dp}, {?}, {tp, ?}p1], partial = sum{x}, reduced = {y},
    varying = {z}>`: one list of axes per dimension, major to minor; `?` leaves
    the dimension open to propagation; `pN` is the round in which a user's
    annotation takes part. A tensor uses each axis at most once: a dimension is
    split along it, or the value has one of these states along it:

    * `partial`: each device holds a term still to be combined;
    * `reduced`: the value is replicated and its cotangent is partial. Only
      differentiation uses it: results of ops do not have the state, and
      entering or leaving it communicates nothing;
    * `varying`: each device has a value of its own, unrelated to the others.
      The result of an op varies along the axes along which an operand does, and
      its type says so. No layout without the axis can be made of the value.
  }];
  let parameters = (ins Dist_PlainParameter<"::tessera::Layout", "">:$value);
  let hasCustomAssemblyFormat = 1;
}

def Dist_WhyAttr : Dist_Attr<"Why", "why"> {
  let summary = "Why a collective is there.";
  let description = [{
    Carried by every collective through all passes.
    `rule`: the rule that asked for it, one sentence naming producer and consumer.
    `origins`: chain of reasons back to a user's annotation, nearest first.
    `bytes`: bytes each device sends. `estimatedNs`: modelled time, nanoseconds.
    `alternatives`: other plans and what they would have cost.
  }];
  let parameters = (ins "::mlir::StringAttr":$rule,
                        "::mlir::ArrayAttr":$origins,
                        "int64_t":$bytes,
                        "int64_t":$estimatedNs,
                        "::mlir::ArrayAttr":$alternatives);
  let assemblyFormat = "`<` struct(params) `>`";
}

#endif // TESSERA_DIST_IR_DISTATTRS_TD
