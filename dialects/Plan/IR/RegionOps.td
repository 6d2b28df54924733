// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef TESSERA_PLAN_IR_REGIONOPS_TD
#define TESSERA_PLAN_IR_REGIONOPS_TD

include "dialects/Plan/IR/PlanTypes.td"

// A step that runs other steps. Buffers that are defined outside may be used
// inside; those that are defined inside hold nothing from one run to the next.
class Plan_Region<string mnemonic, list<Trait> traits = []>
    : Plan_Op<mnemonic, traits # [SingleBlock, NoTerminator]>;

def Plan_LoopOp : Plan_Region<"loop", [AttrSizedOperandSegments]> {
  let summary = "Runs its steps a fixed number of times.";
  let description = [{
    In iteration i of n, `index` holds i, as one i32. A region argument is a
    window: entry i of the buffer in `bases` at the same place, which holds n of
    them in a row, so that slices of a sequence are read, and entries of a
    stacked result are written, where they are. A `reverse` loop counts from
    n - 1 down to 0.

    A carried value is read in `current` and written to `next`, whose memory is
    exchanged behind each iteration. Behind the loop it is in the memory that it
    was written to last: that of `current` if n is even, of `next` if n is odd.
    A value that is updated in place is not listed.

    ```mlir
    plan.program @powers on @mesh {
      %x = plan.allocate -> !plan.buffer<24>
      %xs = plan.allocate -> !plan.buffer<120>
      %y = plan.allocate -> !plan.buffer<24>
      %i = plan.allocate -> !plan.buffer<4>
      plan.loop 5 reverse index %i : !plan.buffer<4> over (%xs : !plan.buffer<120>) carry (%x : !plan.buffer<24>) to (%y : !plan.buffer<24>) {
      ^bb0(%entry: !plan.buffer<24>):
        plan.launch @multiply grid [1] (%x, %entry) to (%y) : (!plan.buffer<24>, !plan.buffer<24>) -> !plan.buffer<24>
      }
    }
    ```
  }];
  let arguments = (ins Arg<I64Attr, "iterations, 0 or more">:$count,
                       Arg<UnitAttr, "counts down">:$reverse,
                       Arg<Optional<Plan_BufferType>, "one i32, written by each iteration">:$index,
                       Arg<Variadic<Plan_BufferType>, "what the windows move over">:$bases,
                       Arg<Variadic<Plan_BufferType>, "carried values as they are read">:$current,
                       Arg<Variadic<Plan_BufferType>, "carried values as they are written">:$next);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = [{
    $count (`reverse` $reverse^)? (`index` $index^ `:` type($index))?
    `over` `(` ($bases^ `:` type($bases))? `)`
    `carry` `(` ($current^ `:` type($current))? `)`
    `to` `(` ($next^ `:` type($next))? `)` attr-dict-with-keyword
    custom<Region>($body)
  }];
  let hasVerifier = 1;
}

def Plan_WhileOp : Plan_Region<"while", [AttrSizedOperandSegments]> {
  let summary = "Runs its steps as long as a predicate is set.";
  let description = [{
    Runs `condition`, which writes `predicate`, an i1 that is the same on all
    devices. While it is 1, runs `body` and then `condition` again. Carried
    values are as in plan.loop, but in the end they are in the memory of
    `current`, by a copy where the number of iterations was odd.

    ```mlir
    plan.program @search on @mesh {
      %x = plan.allocate -> !plan.buffer<24>
      %y = plan.allocate -> !plan.buffer<24>
      %p = plan.allocate -> !plan.buffer<1>
      plan.while %p : !plan.buffer<1> carry (%x : !plan.buffer<24>) to (%y : !plan.buffer<24>) {
        plan.launch @far grid [1] (%x) to (%p) : (!plan.buffer<24>) -> !plan.buffer<1>
      } do {
        plan.launch @step grid [1] (%x) to (%y) : (!plan.buffer<24>) -> !plan.buffer<24>
      }
    }
    ```
  }];
  let arguments = (ins Arg<Plan_BufferType, "one i1">:$predicate,
                       Arg<Variadic<Plan_BufferType>, "carried values as they are read">:$current,
                       Arg<Variadic<Plan_BufferType>, "carried values as they are written">:$next);
  let regions = (region SizedRegion<1>:$condition, SizedRegion<1>:$body);
  let assemblyFormat = [{
    $predicate `:` type($predicate)
    `carry` `(` ($current^ `:` type($current))? `)`
    `to` `(` ($next^ `:` type($next))? `)` attr-dict-with-keyword
    custom<Region>($condition) `do` custom<Region>($body)
  }];
  let hasVerifier = 1;
}

def Plan_IfOp : Plan_Region<"if"> {
  let summary = "Runs the steps of one branch.";
  let description = [{
    `selector` is the same on all devices: an i1, which selects the first of two
    branches if it is 0, or an i32, which is clamped to the branches there are.

    ```mlir
    plan.program @choose on @mesh {
      %s = plan.allocate -> !plan.buffer<1>
      %x = plan.allocate -> !plan.buffer<24>
      %y = plan.allocate -> !plan.buffer<24>
      plan.if %s : !plan.buffer<1> {
        plan.copy %x to %y : !plan.buffer<24>, !plan.buffer<24>
      }, {
        plan.launch @step grid [1] (%x) to (%y) : (!plan.buffer<24>) -> !plan.buffer<24>
      }
    }
    ```
  }];
  let arguments = (ins Arg<Plan_BufferType, "one i1 or i32">:$selector);
  let regions = (region VariadicRegion<SizedRegion<1>>:$branches);
  let assemblyFormat = "$selector `:` type($selector) attr-dict-with-keyword custom<Regions>($branches)";
  let hasVerifier = 1;
}

#endif // TESSERA_PLAN_IR_REGIONOPS_TD
