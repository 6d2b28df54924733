// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef TESSERA_TESSERA_IR_CALLOPS_TD
#define TESSERA_TESSERA_IR_CALLOPS_TD

include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "dialects/Tessera/IR/TesseraDialect.td"

// Calls, and what differentiation is told of values. tessera-inline-calls, the
// first pass of a compilation, leaves none of them.

def Tessera_CallOp : Op<Tessera_Dialect, "call",
    [DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "Computes what a function of the module does.";
  let description = [{
    The callee's arguments and results have the shapes and element types of the
    operands and results; layouts may differ. Functions do not call themselves.
    A function of a rule (`jvp`, `fwd`, `bwd`) may call the function with that same
    rule: only differentiation follows it, once per order.

    Attributes say how the call is differentiated, where not by the rules of the
    ops in the callee:

    * `jvp = @g`: g(arguments..., tangents of the arguments...) gives the results
      and their tangents. Arguments of integers have no tangent.
    * `fwd = @g, bwd = @h`: g(arguments...) gives the results and then residuals,
      h(residuals..., cotangents of the results...) the cotangents of the
      arguments. Only reverse mode is possible.
    * `refuse = "why"`: it is not differentiated; an error says why.
    * `checkpoint = "nothing"`: the backward pass computes the callee's values
      again from the arguments instead of keeping them. The policy says what is
      kept all the same: "nothing", "dots" (results of contractions),
      "dots_with_no_batch_dims" (of those without an index that both factors and
      the result have), "names:a,b" (values that `tessera.checkpoint_name` calls so), "everything"
      (as without `checkpoint`), "except:a,b" (everything but values that
      `tessera.checkpoint_name` calls so, and what only states their layout or
      gives them in another type or shape), or "budget:<bytes>": of whole tensors as many
      bytes, so that the least work is done again. The call's arguments count,
      and its results where its own derivative needs them; what is alive anyway
      does not: arguments of the function that is differentiated, and in a loop's
      body its index, slices of sequences and values from outside.

    ```mlir
    func.func private @twice(%x: tensor<2x3xf32>) -> tensor<2x3xf32> {
      %y = tessera.add %x, %x : tensor<2x3xf32>
      return %y : tensor<2x3xf32>
    }
    func.func @f(%0: tensor<2x3xf32>) -> tensor<2x3xf32> {
      %1 = tessera.call @twice(%0) checkpoint "nothing" : (tensor<2x3xf32>) -> (tensor<2x3xf32>)
      return %1 : tensor<2x3xf32>
    }
    ```
  }];
  let arguments = (ins Arg<FlatSymbolRefAttr, "the function">:$callee,
                       Arg<Variadic<Tessera_Tensor>, "its arguments">:$operands,
                       Arg<OptionalAttr<FlatSymbolRefAttr>, "function of values and tangents">:$jvp,
                       Arg<OptionalAttr<FlatSymbolRefAttr>, "function of results and residuals">:$fwd,
                       Arg<OptionalAttr<FlatSymbolRefAttr>, "function of residuals and cotangents">:$bwd,
                       Arg<OptionalAttr<StrAttr>, "why it is not differentiated">:$refuse,
                       Arg<OptionalAttr<StrAttr>, "what the backward pass keeps">:$checkpoint);
  let results = (outs Res<Variadic<Tessera_Tensor>, "its results">:$results);
  let assemblyFormat = [{
    $callee `(` $operands `)` (`jvp` $jvp^)? (`fwd` $fwd^)? (`bwd` $bwd^)?
    (`refuse` $refuse^)? (`checkpoint` $checkpoint^)? attr-dict
    `:` custom<Types>(type($operands)) `->` custom<Types>(type($results))
  }];
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// Whether it says itself how it is differentiated.
    bool hasRule() { return getJvp() || getBwd() || getRefuse(); }
  }];
}

def Tessera_StopGradientOp : Tessera_Op<"stop_gradient"> {
  let summary = "Returns its operand unchanged, as a value that has no derivative.";
  let description = [{
    ```mlir
    %1 = tessera.stop_gradient %0 : tensor<2x3xf32> -> tensor<2x3xf32>
    ```
  }];
  let arguments = (ins Arg<Tessera_Tensor, "the value">:$input);
  let results = (outs Res<Tessera_Tensor, "the value">:$result);
  let assemblyFormat = "$input attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
}

def Tessera_CheckpointNameOp : Tessera_Op<"checkpoint_name"> {
  let summary = "Returns its operand unchanged, as a value that policies of recomputation know by name.";
  let description = [{
    ```mlir
    %1 = tessera.checkpoint_name %0 "scores" : tensor<2x3xf32> -> tensor<2x3xf32>
    ```
  }];
  let arguments = (ins Arg<Tessera_Tensor, "the value">:$input,
                       Arg<StrAttr, "its name">:$name);
  let results = (outs Res<Tessera_Tensor, "the value">:$result);
  let assemblyFormat = "$input $name attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
}

def Tessera_CustomTangentOp : Op<Tessera_Dialect, "custom_tangent",
    [Pure, AttrSizedOperandSegments, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "Stands for the tangents of a call whose derivative is known in reverse mode only.";
  let description = [{
    Linear in the tangents; the transposed map is the function `bwd` of the
    residuals and the cotangents of the results. Differentiation makes it of a
    `tessera.call` with `bwd`, and transposes it; what is left of it cannot be
    computed.

    ```mlir
    func.func private @bwd(%x: tensor<2x3xf32>, %dy: tensor<2x3xf32>) -> tensor<2x3xf32> {
      %dx = tessera.mul %x, %dy : tensor<2x3xf32>
      return %dx : tensor<2x3xf32>
    }
    func.func @f(%0: tensor<2x3xf32>, %1: tensor<2x3xf32>) -> tensor<2x3xf32> {
      %2 = tessera.custom_tangent @bwd(%0) of (%1) : (tensor<2x3xf32>) of (tensor<2x3xf32>) -> (tensor<2x3xf32>)
      return %2 : tensor<2x3xf32>
    }
    ```
  }];
  let arguments = (ins Arg<FlatSymbolRefAttr, "function of residuals and cotangents">:$bwd,
                       Arg<Variadic<Tessera_Tensor>, "values it needs">:$residuals,
                       Arg<Variadic<Tessera_FloatTensor>, "tangents of the arguments">:$tangents);
  let results = (outs Res<Variadic<Tessera_FloatTensor>, "tangents of the results">:$results);
  let assemblyFormat = [{
    $bwd `(` $residuals `)` `of` ` ` `(` $tangents `)` attr-dict
    `:` custom<Types>(type($residuals)) `of` custom<Types>(type($tangents))
    `->` custom<Types>(type($results))
  }];
}

#endif // TESSERA_TESSERA_IR_CALLOPS_TD
