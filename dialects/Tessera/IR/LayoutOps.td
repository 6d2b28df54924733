// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef TESSERA_TESSERA_IR_LAYOUTOPS_TD
#define TESSERA_TESSERA_IR_LAYOUTOPS_TD

include "dialects/Dist/IR/DistAttrs.td"
include "dialects/Tessera/IR/TesseraTypes.td"

def Tessera_ConstrainOp : Tessera_ComputeOp<"constrain", [], ["getFlops"]> {
  let summary = "States the layout a value shall have here.";
  let description = [{
    A user's annotation. Propagation starts from it: closed dimensions are taken
    as they are, open ones (`?`) may be split further. Partition turns it into
    nothing, or into a reshard where the value arrives in another layout. The
    layout is never partial: terms come from ops alone.

    With `reduce T`, where the value arrives as terms of a sum, each device's term
    is rounded to the float type T, in which they are moved and added (there in
    f32 and rounded once); the sum has the value's own type again. A value that is
    whole is not rounded.

    ```mlir
    dist.mesh @mesh <[tp = 2]>
    func.func @f(%0: !tessera.mesh_tensor<2x3xf32, @mesh>) -> !tessera.mesh_tensor<2x3xf32, @mesh> {
      %1 = tessera.constrain %0 to <@mesh, [{tp}, {?} ]> : !tessera.mesh_tensor<2x3xf32, @mesh> -> !tessera.mesh_tensor<2x3xf32, @mesh>
      %2 = tessera.constrain %1 to <@mesh, [{?}, {?} ]> reduce bf16 : !tessera.mesh_tensor<2x3xf32, @mesh> -> !tessera.mesh_tensor<2x3xf32, @mesh>
      return %2 : !tessera.mesh_tensor<2x3xf32, @mesh>
    }
    ```
  }];
  let arguments = (ins Arg<Tessera_MeshTensorType, "the value">:$input,
                       Arg<Dist_LayoutAttr, "the layout">:$layout,
                       Arg<OptionalAttr<TypeAttr>, "the type that terms are moved in">:$reduce);
  let results = (outs Res<Tessera_MeshTensorType, "the value">:$result);
  let assemblyFormat = "$input `to` $layout (`reduce` $reduce^)? attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
  let hasFolder = 1;
}

def Tessera_ReshardOp : Tessera_Op<"reshard"> {
  let summary = "Moves a value to another layout.";
  let description = [{
    The logical value stays the same. tessera-insert-reshards puts it where
    producer and consumer disagree; a user's program may hold it where a value
    shall change its layout, as neither side's layout spreads over it (that of
    `tessera.constrain` spreads to both sides). tessera-partition turns it into
    collectives along the cheapest path. It may make a value vary along an axis,
    for which every device keeps its copy; a value that varies stays so.

    ```mlir
    dist.mesh @mesh <[tp = 2]>
    func.func @f(%0: !tessera.mesh_tensor<2x3xf32, @mesh, [{tp}, {} ]>) -> !tessera.mesh_tensor<2x3xf32, @mesh, [{}, {} ]> {
      %1 = tessera.reshard %0 : !tessera.mesh_tensor<2x3xf32, @mesh, [{tp}, {} ]> -> !tessera.mesh_tensor<2x3xf32, @mesh, [{}, {} ]>
      return %1 : !tessera.mesh_tensor<2x3xf32, @mesh, [{}, {} ]>
    }
    ```
  }];
  let arguments = (ins Arg<Tessera_MeshTensorType, "the value">:$input,
                       OptionalAttr<Dist_WhyAttr>:$why);
  let results = (outs Res<Tessera_MeshTensorType, "the value in its new layout">:$result);
  let assemblyFormat = "$input attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
  let hasFolder = 1;
}

#endif // TESSERA_TESSERA_IR_LAYOUTOPS_TD
