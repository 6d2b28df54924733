// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef TESSERA_TESSERA_IR_CONTROLOPS_TD
#define TESSERA_TESSERA_IR_CONTROLOPS_TD

include "mlir/Interfaces/ControlFlowInterfaces.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "dialects/Tessera/IR/TesseraDialect.td"

// Ops with regions. A region uses values from outside directly (captures).
// After partitioning, the same ops hold builtin tensors of local shape. What
// decides about control, a predicate or a selector, is whole on every device,
// so that all devices take the same path.
class Tessera_ControlOp<string mnemonic, list<Trait> traits, list<string> own>
    : Op<Tessera_Dialect, mnemonic, !listconcat(
        [SingleBlock, RecursiveMemoryEffects,
         DeclareOpInterfaceMethods<Tessera_DataFlowInterface, own>], traits)> {
  let hasRegionVerifier = 1;
}

def Tessera_ScanOp : Tessera_ControlOp<"scan",
    [AttrSizedOperandSegments, RecursivelySpeculatable],
    ["getControlValues", "getTripCount"]> {
  let summary = "Runs a body a fixed number of times over carried values and sequences.";
  let description = [{
    For i = 0, ..., length - 1, or with `reverse` i = length - 1, ..., 0:

    ```
    carried, y[i] = body(i, carried, sequences[i])
    ```

    The block's arguments are i, an i32 scalar, then one per carried value, then
    one slice per sequence (the sequence without its leading dimension, whose
    size is `length`). It yields the next carried values, then one value per
    stacked result. Results are the last carried values, then the stacked
    results, with `length` as leading dimension. There may be no sequences, no
    stacked results, or no carried values. With length 0 the results are the
    initial values; there is no stacked result then, as tensors have elements.

    ```mlir
    func.func @sums(%init: tensor<3xf32>, %xs: tensor<5x3xf32>) -> tensor<5x3xf32> {
      %sum, %sums = tessera.scan (%init) over (%xs) length 5 : (tensor<3xf32>) over (tensor<5x3xf32>) -> (tensor<3xf32>, tensor<5x3xf32>) {
      ^bb0(%i: tensor<i32>, %carried: tensor<3xf32>, %x: tensor<3xf32>):
        %next = tessera.add %carried, %x : tensor<3xf32>
        tessera.yield %next, %next : tensor<3xf32>, tensor<3xf32>
      }
      return %sums : tensor<5x3xf32>
    }
    ```
  }];
  let arguments = (ins Arg<Variadic<Tessera_Tensor>, "first carried values">:$inits,
                       Arg<Variadic<Tessera_Tensor>, "what iteration i has slice i of">:$sequences,
                       Arg<I64Attr, "number of iterations">:$length,
                       Arg<UnitAttr, "from the last slice to the first">:$reverse);
  let results = (outs Res<Variadic<Tessera_Tensor>, "last carried values, then stacked results">:$results);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = [{
    ` ` `(` $inits `)` `over` ` ` `(` $sequences `)` `length` $length
    (`reverse` $reverse^)? attr-dict `:` custom<Types>(type($inits))
    `over` custom<Types>(type($sequences)) `->` custom<Types>(type($results))
    custom<Region>($body)
  }];
  let extraClassDeclaration = [{
    ::mlir::Block &getBlock() { return getBody().front(); }
    ::mlir::Operation *getYield() { return getBlock().getTerminator(); }
    unsigned getNumCarried() { return getInits().size(); }
    unsigned getNumStacked() { return getNumResults() - getNumCarried(); }
    /// The iteration's index into the sequences.
    ::mlir::BlockArgument getIndex() { return getBlock().getArgument(0); }
    ::mlir::BlockArgument getCarried(unsigned i) {
      return getBlock().getArgument(1 + i);
    }
    ::mlir::BlockArgument getSlice(unsigned i) {
      return getBlock().getArgument(1 + getNumCarried() + i);
    }
  }];
}

def Tessera_WhileOp : Tessera_ControlOp<"while",
    [], ["getControlOperands", "getTripCount"]> {
  let summary = "Runs a body as long as a condition on the carried values holds.";
  let description = [{
    ```
    while condition(carried): carried = body(carried)
    ```

    Both regions have one argument per carried value. The first yields the
    predicate, an i1 scalar, the second the next carried values. The results are
    the carried values for which the predicate is false. The number of
    iterations is not bounded.

    ```mlir
    func.func @square(%first: tensor<i32>, %limit: tensor<i32>) -> tensor<i32> {
      %last = tessera.while (%first) : (tensor<i32>) -> (tensor<i32>) cond {
      ^bb0(%n: tensor<i32>):
        %p = tessera.compare lt %n, %limit : tensor<i32>, tensor<i32> -> tensor<i1>
        tessera.yield %p : tensor<i1>
      } do {
      ^bb0(%n: tensor<i32>):
        %next = tessera.mul %n, %n : tensor<i32>
        tessera.yield %next : tensor<i32>
      }
      return %last : tensor<i32>
    }
    ```
  }];
  let arguments = (ins Arg<Variadic<Tessera_Tensor>, "first carried values">:$inits);
  let results = (outs Res<Variadic<Tessera_Tensor>, "last carried values">:$results);
  let regions = (region SizedRegion<1>:$condition, SizedRegion<1>:$body);
  let assemblyFormat = [{
    ` ` `(` $inits `)` attr-dict `:` custom<Types>(type($inits)) `->`
    custom<Types>(type($results)) `cond` custom<Region>($condition)
    `do` custom<Region>($body)
  }];
  let extraClassDeclaration = [{
    ::mlir::Operation *getConditionYield() {
      return getCondition().front().getTerminator();
    }
    ::mlir::Operation *getBodyYield() {
      return getBody().front().getTerminator();
    }
  }];
}

def Tessera_CondOp : Tessera_ControlOp<"cond", [RecursivelySpeculatable],
    ["getControlOperands"]> {
  let summary = "Runs the one branch that a selector picks.";
  let description = [{
    Branch k runs where the selector, a scalar, is k: false is 0 and true 1, and
    there are two branches; an i32 is clamped to the branches that exist.
    Branches have no arguments and yield the results.

    ```mlir
    %1 = tessera.cond %selector : tensor<i1> -> (tensor<2x3xf32>) {
      tessera.yield %0 : tensor<2x3xf32>
    }, {
      %double = tessera.add %0, %0 : tensor<2x3xf32>
      tessera.yield %double : tensor<2x3xf32>
    }
    ```
  }];
  let arguments = (ins Arg<Tessera_Tensor, "which branch runs: an i1 or i32 scalar">:$selector);
  let results = (outs Res<Variadic<Tessera_Tensor>, "what the branch yields">:$results);
  let regions = (region VariadicRegion<SizedRegion<1>>:$branches);
  let assemblyFormat = [{
    $selector attr-dict `:` type($selector) `->`
    custom<Types>(type($results)) custom<Regions>($branches)
  }];
}

def Tessera_YieldOp : Tessera_Op<"yield",
    [Terminator, ReturnLike, ParentOneOf<["ScanOp", "WhileOp", "CondOp"]>]> {
  let summary = "Ends a region of a control flow op and gives it its values.";
  let description = [{
    What the values mean is said at the op around the region.

    ```mlir
    %1 = tessera.cond %selector : tensor<i1> -> (tensor<3xf32>) {
      tessera.yield %0 : tensor<3xf32>
    }, {
      %2 = tessera.neg %0 : tensor<3xf32>
      tessera.yield %2 : tensor<3xf32>
    }
    ```
  }];
  let arguments = (ins Arg<Variadic<Tessera_Tensor>, "values of the region">:$values);
  let assemblyFormat = "($values^ `:` type($values))? attr-dict";
}

#endif // TESSERA_TESSERA_IR_CONTROLOPS_TD
