// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef TESSERA_PLAN_IR_STEPOPS_TD
#define TESSERA_PLAN_IR_STEPOPS_TD

include "mlir/IR/BuiltinAttributeInterfaces.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "dialects/Dist/IR/DistAttrs.td"
include "dialects/Plan/IR/PlanEnums.td"
include "dialects/Plan/IR/PlanInterfaces.td"
include "dialects/Plan/IR/PlanTypes.td"

// A step that is complete at a plan.await where it has a token.
class Plan_AsyncStep<string mnemonic, list<Trait> traits = []>
    : Plan_Op<mnemonic, traits # [Plan_AsyncStepInterface]> {
  dag async = (ins Arg<OptionalAttr<ConfinedAttr<I32Attr, [IntPositive]>>, "what plan.await names">:$token,
                   Arg<OptionalAttr<ConfinedAttr<I32Attr, [IntNonNegative, IntMaxValue<63>]>>, "steps with tokens keep their order in it">:$stream);
}

def Plan_LaunchOp : Plan_AsyncStep<"launch", [AttrSizedOperandSegments]> {
  let summary = "Runs every block of a kernel.";
  let description = [{
    ```mlir
    plan.launch @kernel grid [2, 3] (%0, %1) to (%2) : (!plan.buffer<24>, !plan.buffer<8>) -> !plan.buffer<24>
    ```
  }];
  let arguments = !con((ins Arg<FlatSymbolRefAttr, "the kernel">:$kernel,
                       Arg<DenseI64ArrayAttr, "blocks per dimension, 1 to 3 of them">:$grid,
                       Arg<Variadic<Plan_BufferType>, "read", [MemRead]>:$inputs,
                       Arg<Variadic<Plan_BufferType>, "written", [MemWrite]>:$outputs), async);
  let assemblyFormat = [{
    $kernel `grid` $grid `(` $inputs `)` `to` `(` $outputs `)` attr-dict
    `:` functional-type($inputs, $outputs)
  }];
  let hasVerifier = 1;
}

def Plan_CopyOp : Plan_AsyncStep<"copy"> {
  let summary = "Copies a buffer.";
  let description = [{
    ```mlir
    plan.copy %0 to %1 : !plan.buffer<24>, !plan.buffer<24>
    ```
  }];
  let arguments = !con((ins Arg<Plan_BufferType, "read", [MemRead]>:$input,
                       Arg<Plan_BufferType, "written, of the same size", [MemWrite]>:$output), async);
  let builders = [
    OpBuilder<(ins "::mlir::Value":$input, "::mlir::Value":$output), [{
      build($_builder, $_state, input, output, /*token=*/nullptr, /*stream=*/nullptr);
    }]>
  ];
  let assemblyFormat = "$input `to` $output attr-dict `:` type($input) `,` type($output)";
  let hasVerifier = 1;
}

def Plan_FillOp : Plan_Op<"fill"> {
  let summary = "Fills a buffer with copies of one element.";
  let description = [{
    ```mlir
    plan.fill %0 with 1.0 : f32 : !plan.buffer<24>
    ```
  }];
  let arguments = (ins Arg<Plan_BufferType, "written", [MemWrite]>:$output,
                       Arg<TypedAttrInterface, "the element">:$value);
  let assemblyFormat = "$output `with` $value attr-dict `:` type($output)";
  let hasVerifier = 1;
}

def Plan_DeviceValueOp : Plan_Op<"device_value"> {
  let summary = "Writes a number that depends on the device alone.";
  let description = [{
    As dist.axis_index, dist.local_offset and dist.valid_extent; one i32.

    ```mlir
    plan.device_value valid_extent {tp} of 7 to %0 : !plan.buffer<4>
    ```
  }];
  let arguments = (ins Arg<Plan_DeviceQuery, "what is asked">:$query,
                       Arg<Dist_AxesAttr, "axes, major to minor">:$axes,
                       Arg<I64Attr, "logical size; 0 for axis_index">:$size,
                       Arg<Plan_BufferType, "written", [MemWrite]>:$output);
  let assemblyFormat = "$query $axes `of` $size `to` $output attr-dict `:` type($output)";
  let hasVerifier = 1;
}

def Plan_CollectiveOp : Plan_AsyncStep<"collective"> {
  let summary = "Communicates between devices.";
  let description = [{
    As the op of the dist dialect with the same name, on buffers that hold the
    given local tensors. `reduction` belongs to all_reduce and reduce_scatter,
    `dim` to all kinds but all_reduce and permute, `concat_dim` to all_to_all,
    and either `to` or `targets` to permute.

    ```mlir
    plan.collective all_gather %0 to %1 over {tp} {dim = 1 : i64} : tensor<2x3xf32> -> tensor<2x6xf32>, !plan.buffer<24>, !plan.buffer<48>
    ```
  }];
  let arguments = !con((ins Arg<Plan_CollectiveKind, "which">:$kind,
                       Arg<Plan_BufferType, "read", [MemRead]>:$input,
                       Arg<Plan_BufferType, "written", [MemWrite]>:$output,
                       Arg<Dist_AxesAttr, "axes of the group">:$axes,
                       Arg<TypeAttr, "tensor in `input`">:$input_type,
                       Arg<TypeAttr, "tensor in `output`">:$output_type,
                       Arg<OptionalAttr<Dist_ReductionKindAttr>, "how terms are combined">:$reduction,
                       Arg<OptionalAttr<I64Attr>, "dimension joined or cut">:$dim,
                       Arg<OptionalAttr<I64Attr>, "dimension that all_to_all joins">:$concat_dim,
                       Arg<OptionalAttr<Dist_AxesAttr>, "axes of permute in the order of the receivers">:$to,
                       Arg<OptionalAttr<DenseI64ArrayAttr>, "receivers of permute">:$targets,
                       OptionalAttr<Dist_WhyAttr>:$why), async);
  let assemblyFormat = [{
    $kind $input `to` $output `over` $axes attr-dict
    `:` $input_type `->` $output_type `,` type($input) `,` type($output)
  }];
  let hasVerifier = 1;
}

def Plan_AwaitOp : Plan_Op<"await", [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "Waits for the step with a token.";
  let description = [{
    Behind it, what that step reads may be written, and what it writes may be
    used. The step stands before it in the same block.

    ```mlir
    plan.program @overlapped on @mesh {
      %0 = plan.allocate -> !plan.buffer<24>
      %1 = plan.allocate -> !plan.buffer<24>
      plan.collective all_reduce %0 to %1 over {tp} {reduction = #dist<reduction sum>, stream = 1 : i32, token = 7 : i32} : tensor<2x3xf32> -> tensor<2x3xf32>, !plan.buffer<24>, !plan.buffer<24>
      plan.await 7
    }
    ```
  }];
  let arguments = (ins Arg<ConfinedAttr<I32Attr, [IntPositive]>, "of the step">:$token);
  let assemblyFormat = "$token attr-dict";
  let hasVerifier = 1;
}

def Plan_PrintOp : Plan_Op<"print", [MemoryEffects<[MemWrite]>]> {
  let summary = "Prints values.";
  let description = [{
    As tessera.debug_print, on buffers that hold whole tensors of the given types
    on every device that runs the step; the first of them prints for all.

    ```mlir
    plan.print "loss {}" (%0) of [tensor<2x3xf32>] : !plan.buffer<24>
    ```
  }];
  let arguments = (ins Arg<StrAttr, "the text">:$format,
                       Arg<Variadic<Plan_BufferType>, "what stands for each {}", [MemRead]>:$values,
                       Arg<TypeArrayAttr, "tensors in `values`">:$types,
                       Arg<UnitAttr, "in the order of the program">:$ordered);
  let assemblyFormat = [{
    $format ` ` `(` $values `)` (`ordered` $ordered^)? `of` $types attr-dict (`:` type($values)^)?
  }];
  let hasVerifier = 1;
}

def Plan_CheckOp : Plan_Op<"check", [MemoryEffects<[MemWrite]>]> {
  let summary = "Ends the run with an error where a predicate does not hold.";
  let description = [{
    As tessera.debug_check. The first of the types is that of the predicate, whose
    elements are bytes.

    ```mlir
    plan.check %0 "loss is {}" (%1) of [tensor<i1>, tensor<f32>] : !plan.buffer<1>, !plan.buffer<4>
    ```
  }];
  let arguments = (ins Arg<Plan_BufferType, "what must be true, every element", [MemRead]>:$predicate,
                       Arg<StrAttr, "the text">:$message,
                       Arg<Variadic<Plan_BufferType>, "what stands for each {}", [MemRead]>:$values,
                       Arg<TypeArrayAttr, "tensors in `predicate` and `values`">:$types,
                       Arg<UnitAttr, "in the order of the program">:$ordered);
  let assemblyFormat = [{
    $predicate $message ` ` `(` $values `)` (`ordered` $ordered^)? `of` $types attr-dict
    `:` type($predicate) (`,` type($values)^)?
  }];
  let hasVerifier = 1;
}

#endif // TESSERA_PLAN_IR_STEPOPS_TD
