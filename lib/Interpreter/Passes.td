// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef TESSERA_INTERPRETER_PASSES_TD
#define TESSERA_INTERPRETER_PASSES_TD

include "mlir/Pass/PassBase.td"

def Interpret : Pass<"tessera-interpret", "::mlir::ModuleOp"> {
  let summary = "Evaluates functions by the reference interpreter and prints results.";
  let description = [{
    Input: a module at stage tessera, layouts, reshards or local. Functions that
    hold mesh tensors are evaluated on logical values; others on every device of
    their mesh in lock step, padding of uneven splits being NaN or a large
    number.

    Prints to standard output, per result,
    `@function result 0: 2x3xf32 = [ [1, 2, 3], [4, 5, 6] ]`: joined to the whole
    tensor where the result has a `dist.layout`; else once where the devices
    agree, and once per device (`... on device 1 ...`) where they do not. With
    `stats`, also the collectives and the bytes that device 0 sends.

    Changes nothing. Cost: that of plain loops in double precision.
  }];
  let options = [
    Option<"function", "function", "std::string", /*default=*/"\"\"",
           "Name of the only function to evaluate; else all that are public">,
    Option<"inputs", "inputs", "std::string", /*default=*/"\"\"",
           "`random`, or `iota` (element i is i); functions with arguments are "
           "left out when empty">,
    Option<"seed", "seed", "uint64_t", /*default=*/"0",
           "Seed of random inputs">,
    Option<"stats", "stats", "bool", /*default=*/"false",
           "Print the number of collectives and the bytes sent">,
  ];
}

def CheckEquivalence : Pass<"tessera-check-equivalence", "::mlir::ModuleOp"> {
  let summary = "Checks that a pass pipeline keeps what functions compute.";
  let description = [{
    Input: as tessera-interpret, before and after the pipeline. Clones the
    module, runs `pipeline` on the clone, evaluates each public function of both
    on the same random inputs and compares the results.

    A difference is an error at the function that names the result, the element
    and both values. Floats may differ by `rtol` times the largest magnitude of
    the result; integers, NaNs and infinities must be equal.

    Changes nothing: the module stays as it was before the pipeline.
  }];
  let options = [
    Option<"pipeline", "pipeline", "std::string", /*default=*/"\"\"",
           "Passes to check, in the form builtin.module(...) or a bare list">,
    Option<"seed", "seed", "uint64_t", /*default=*/"0",
           "Seed of the first run">,
    Option<"runs", "runs", "unsigned", /*default=*/"1",
           "Number of runs, with seeds counting up">,
    Option<"rtol", "rtol", "double", /*default=*/"-1",
           "Relative tolerance; below zero it is chosen by element type">,
  ];
}

#endif // TESSERA_INTERPRETER_PASSES_TD
