// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef TESSERA_PLAN_IR_STAGEOPS_TD
#define TESSERA_PLAN_IR_STAGEOPS_TD

include "mlir/IR/SymbolInterfaces.td"
include "dialects/Dist/IR/DistAttrs.td"
include "dialects/Plan/IR/PlanTypes.td"

def Plan_StageOp : Plan_Op<"stage", [HasParent<"ProgramOp">, SingleBlock, NoTerminator]> {
  let summary = "Holds the steps of those devices that have some coordinates.";
  let description = [{
    A plan.program has its steps in itself, and then all devices run them, or in
    stages, of which each device runs exactly one: all stages name the same axes
    of the mesh, and each combination of coordinates belongs to one stage. What
    is outside of the stages, inputs, outputs and constants, is of all devices.

    A collective whose group, or a permute whose sender and receiver, are
    devices of several stages is *joint*, and so is a plan.loop with a joint step
    inside. All stages have the same joint steps in the same order, each with
    buffers of its own: here the permute by which the second stage gets what the
    first one has computed, and the sum that takes the result to the first one.
    Joint steps are not inside plan.while or plan.if. All other steps, also other
    collectives, are those of the stage's devices alone.

    Every stage writes each plan.output of which its devices hold a part. An
    output that one stage computes is sent to the others, or has a dimension
    that is split along the stages.

    `arena` is the number of bytes that the stage's devices need, once
    plan-assign-memory has run.

    ```mlir
    dist.mesh @mesh <[pp = 2]>
    plan.program @main on @mesh arena 64 {
      %x = plan.input "x" : tensor<6xf32> as tensor<6xf32> layout <@mesh, [{} ]> -> !plan.buffer<24>
      %y = plan.output "y" : tensor<6xf32> as tensor<6xf32> layout <@mesh, [{} ]> -> !plan.buffer<24>
      plan.stage @first where {pp = 0} arena 64 {
        %0 = plan.allocate at 0 -> !plan.buffer<24>
        plan.launch @before grid [1] (%x) to (%0) : (!plan.buffer<24>) -> !plan.buffer<24>
        plan.collective permute %0 to %y over {pp} {targets = array<i64: 1, 0>} : tensor<6xf32> -> tensor<6xf32>, !plan.buffer<24>, !plan.buffer<24>
        plan.fill %0 with 0.0 : f32 : !plan.buffer<24>
        plan.collective all_reduce %0 to %y over {pp} {reduction = #dist<reduction sum>} : tensor<6xf32> -> tensor<6xf32>, !plan.buffer<24>, !plan.buffer<24>
      }
      plan.stage @second where {pp = 1} arena 64 {
        %0 = plan.allocate at 0 -> !plan.buffer<24>
        plan.collective permute %x to %0 over {pp} {targets = array<i64: 1, 0>} : tensor<6xf32> -> tensor<6xf32>, !plan.buffer<24>, !plan.buffer<24>
        plan.launch @behind grid [1] (%0) to (%y) : (!plan.buffer<24>) -> !plan.buffer<24>
        plan.collective all_reduce %y to %y over {pp} {reduction = #dist<reduction sum>} : tensor<6xf32> -> tensor<6xf32>, !plan.buffer<24>, !plan.buffer<24>
      }
    }
    ```
  }];
  let arguments = (ins Arg<SymbolNameAttr, "its name, for messages">:$name,
                       Arg<Dist_AxesAttr, "whole axes of the mesh">:$axes,
                       Arg<DenseI64ArrayAttr, "the coordinate along each of them">:$coordinates,
                       Arg<OptionalAttr<I64Attr>, "bytes of the arena of each of its devices">:$arena);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = [{
    $name `where` custom<Coordinates>($axes, $coordinates) (`arena` $arena^)?
    attr-dict-with-keyword custom<Region>($body)
  }];
  let hasVerifier = 1;
}

#endif // TESSERA_PLAN_IR_STAGEOPS_TD
