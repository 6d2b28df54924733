// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef TESSERA_TESSERA_IR_EFFECTOPS_TD
#define TESSERA_TESSERA_IR_EFFECTOPS_TD

include "mlir/Interfaces/SideEffectInterfaces.td"
include "dialects/Tessera/IR/TesseraDialect.td"

// What programs print and check. Two accesses keep their order.
def Tessera_DebugResource : Resource<"::tessera::DebugResource">;

// Modelled as an allocation: an unused barrier is dead, two barriers are never
// merged, and none moves out of a loop.
def Tessera_BarrierOp : Op<Tessera_Dialect, "barrier",
    [DeclareOpInterfaceMethods<Tessera_DataFlowInterface>]> {
  let summary = "Returns its operands unchanged, as values that rewrites keep apart from them.";
  let description = [{
    An identity of each value that no rewrite looks through: it is not merged
    with an equal one, does not move, and no kernel computes across it. What is
    computed again from its results, such as the activations that a backward pass
    recomputes, is therefore not merged with the first computation. An operand
    and its result have one layout; a partial value stays partial.

    `tessera.recomputation`, a dictionary, says of a barrier before what a
    checkpoint computes again: the checkpoint's `policy`, the `bytes` of whole
    tensors that are kept for it, in words what is `kept`, and the `flops` that
    computing the rest again takes.

    ```mlir
    %2, %3 = tessera.barrier %0, %1 : (tensor<2x3xf32>, tensor<i32>) -> (tensor<2x3xf32>, tensor<i32>)
    ```
  }];
  let arguments = (ins Arg<Variadic<Tessera_Tensor>, "the values">:$inputs);
  let results = (outs Res<Variadic<Tessera_Tensor>, "the values", [MemAlloc]>:$results);
  let assemblyFormat = [{
    $inputs attr-dict `:` custom<Types>(type($inputs)) `->`
    custom<Types>(type($results))
  }];
  let hasVerifier = 1;
}

def Tessera_DebugPrintOp : Op<Tessera_Dialect, "debug_print",
    [MemoryEffects<[MemWrite<Tessera_DebugResource>]>,
     DeclareOpInterfaceMethods<Tessera_FactorRuleInterface, ["getFlops"]>,
     DeclareOpInterfaceMethods<Tessera_LocaliseInterface>]> {
  let summary = "Prints values where the program is.";
  let description = [{
    Writes `format` and a new line to standard output, once for all devices, each
    `{}` of it replaced by a value, in order; `{{` and `}}` are braces. Values are
    whole tensors, so that a split one is gathered. It happens as often as the
    program gets there, also where nothing uses a result. With `ordered` it
    happens after all ordered effects before it and before all behind it; without
    it, the devices may run ahead.

    ```mlir
    tessera.debug_print "step {}: loss {}" (%0, %1) ordered : tensor<i32>, tensor<2x3xf32>
    ```
  }];
  let arguments = (ins Arg<StrAttr, "the text">:$format,
                       Arg<Variadic<Tessera_Tensor>, "the value of each {}, in order">:$values,
                       Arg<UnitAttr, "in the order of the program">:$ordered);
  let assemblyFormat = "$format ` ` `(` $values `)` (`ordered` $ordered^)? attr-dict (`:` type($values)^)?";
  let hasVerifier = 1;
}

def Tessera_DebugCheckOp : Op<Tessera_Dialect, "debug_check",
    [MemoryEffects<[MemWrite<Tessera_DebugResource>]>,
     DeclareOpInterfaceMethods<Tessera_FactorRuleInterface, ["getFlops"]>,
     DeclareOpInterfaceMethods<Tessera_LocaliseInterface>]> {
  let summary = "Ends the program with an error where a predicate does not hold.";
  let description = [{
    Where an element of the predicate is false, the run fails with `message`, in
    which each `{}` is replaced by a value, as in `tessera.debug_print`. It happens as
    often as the program gets there. With `ordered` nothing ordered behind it
    happens then.

    ```mlir
    tessera.debug_check %0 "loss is {}" (%1) ordered : tensor<i1>, (tensor<f32>)
    ```
  }];
  let arguments = (ins Arg<Tessera_BoolTensor, "what must be true, every element">:$predicate,
                       Arg<StrAttr, "the text">:$message,
                       Arg<Variadic<Tessera_Tensor>, "the value of each {}, in order">:$values,
                       Arg<UnitAttr, "in the order of the program">:$ordered);
  let assemblyFormat = [{
    $predicate $message ` ` `(` $values `)` (`ordered` $ordered^)? attr-dict
    `:` type($predicate) `,` custom<Types>(type($values))
  }];
  let hasVerifier = 1;
}

#endif // TESSERA_TESSERA_IR_EFFECTOPS_TD
