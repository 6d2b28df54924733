// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef TESSERA_PLAN_IR_PROGRAMOPS_TD
#define TESSERA_PLAN_IR_PROGRAMOPS_TD

include "mlir/IR/BuiltinAttributeInterfaces.td"
include "mlir/IR/RegionKindInterface.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "dialects/Dist/IR/DistAttrs.td"
include "dialects/Plan/IR/PlanTypes.td"

def Plan_ProgramOp : Plan_Op<"program", [
    Symbol, IsolatedFromAbove, SingleBlock, NoTerminator,
    DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "Holds the steps of the host program.";
  let description = [{
    Buffers are defined before the steps that use them. `arena` is the number of
    bytes each device needs, once plan-assign-memory has run. Either all devices
    run the steps, or the program has stages (plan.stage) that hold them.

    ```mlir
    plan.program @main on @mesh arena 64 {
      %0 = plan.input "x" : tensor<4x3xf32> as tensor<2x3xf32> layout <@mesh, [{tp}, {} ]> -> !plan.buffer<24>
      %1 = plan.output "y" : tensor<4x3xf32> as tensor<2x3xf32> layout <@mesh, [{tp}, {} ]> -> !plan.buffer<24>
      %2 = plan.allocate at 0 -> !plan.buffer<24>
      plan.launch @kernel grid [2] (%0) to (%2) : (!plan.buffer<24>) -> !plan.buffer<24>
      plan.copy %2 to %1 : !plan.buffer<24>, !plan.buffer<24>
    }
    ```
  }];
  let arguments = (ins Arg<SymbolNameAttr, "name of the entry function">:$sym_name,
                       Arg<FlatSymbolRefAttr, "the mesh">:$mesh,
                       Arg<OptionalAttr<I64Attr>, "bytes of each device's arena">:$arena);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = [{
    $sym_name `on` $mesh (`arena` $arena^)? attr-dict-with-keyword custom<Region>($body)
  }];
  let hasRegionVerifier = 1;
}

// The program's argument or result.
class Plan_Boundary<string mnemonic> : Plan_Op<mnemonic> {
  dag tensor = (ins Arg<StrAttr, "its name">:$name,
                    Arg<TypeAttr, "whole tensor">:$global_type,
                    Arg<TypeAttr, "tensor each device holds">:$local_type,
                    Arg<Dist_LayoutAttr, "how it is cut">:$layout);
  let hasVerifier = 1;
}

def Plan_InputOp : Plan_Boundary<"input"> {
  let summary = "Gives this device's part of the next input.";
  let description = [{
    Steps may write a `donated` one, whose memory the caller has given up.

    ```mlir
    %0 = plan.input "x" : tensor<4x3xf32> as tensor<2x3xf32> layout <@mesh, [{tp}, {} ]> -> !plan.buffer<24>
    %1 = plan.input "p" donated : tensor<4x3xf32> as tensor<2x3xf32> layout <@mesh, [{tp}, {} ]> -> !plan.buffer<24>
    ```
  }];
  let arguments = !con(tensor, (ins Arg<UnitAttr, "steps may write it">:$donated));
  let results = (outs Res<Plan_BufferType, "this device's part">:$buffer);
  let assemblyFormat = "$name (`donated` $donated^)? `:` $global_type `as` $local_type `layout` $layout attr-dict `->` type($buffer)";
}

def Plan_OutputOp : Plan_Boundary<"output"> {
  let summary = "Gives the memory for this device's part of the next output.";
  let description = [{
    ```mlir
    %0 = plan.output "y" : tensor<4x3xf32> as tensor<2x3xf32> layout <@mesh, [{tp}, {} ]> -> !plan.buffer<24>
    ```
  }];
  let arguments = tensor;
  let results = (outs Res<Plan_BufferType, "this device's part">:$buffer);
  let assemblyFormat = "$name `:` $global_type `as` $local_type `layout` $layout attr-dict `->` type($buffer)";
}

def Plan_TiedOutputOp : Plan_Boundary<"tied_output"> {
  let summary = "States that the next output is what a donated input's memory holds in the end.";
  let description = [{
    The two have the same type and layout.

    ```mlir
    %0 = plan.input "p" donated : tensor<4x3xf32> as tensor<2x3xf32> layout <@mesh, [{tp}, {} ]> -> !plan.buffer<24>
    plan.tied_output "p" : tensor<4x3xf32> as tensor<2x3xf32> layout <@mesh, [{tp}, {} ]> in %0 : !plan.buffer<24>
    ```
  }];
  let arguments = !con(tensor, (ins Arg<Plan_BufferType, "of a donated plan.input">:$buffer));
  let assemblyFormat = "$name `:` $global_type `as` $local_type `layout` $layout `in` $buffer attr-dict `:` type($buffer)";
}

def Plan_ConstantOp : Plan_Op<"constant"> {
  let summary = "Gives a constant, the same on every device.";
  let description = [{
    ```mlir
    %0 = plan.constant dense<[1, 2, 3]> : tensor<3xi32> -> !plan.buffer<12>
    ```
  }];
  let arguments = (ins Arg<ElementsAttr, "the elements">:$value);
  let results = (outs Res<Plan_BufferType, "the memory">:$buffer);
  let assemblyFormat = "$value attr-dict `->` type($buffer)";
  let hasVerifier = 1;
}

def Plan_AllocateOp : Plan_Op<"allocate"> {
  let summary = "Gives a piece of the arena.";
  let description = [{
    Two pieces may overlap where no step needs both.

    ```mlir
    %0 = plan.allocate -> !plan.buffer<24>
    %1 = plan.allocate at 64 -> !plan.buffer<24>
    ```
  }];
  let arguments = (ins Arg<OptionalAttr<I64Attr>, "bytes from the arena's start; absent before plan-assign-memory">:$offset);
  let results = (outs Res<Plan_BufferType, "the memory">:$buffer);
  let assemblyFormat = "(`at` $offset^)? attr-dict `->` type($buffer)";
  let hasVerifier = 1;
}

#endif // TESSERA_PLAN_IR_PROGRAMOPS_TD
