// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef TESSERA_TESSERA_DERIVATIVES_PASSES_TD
#define TESSERA_TESSERA_DERIVATIVES_PASSES_TD

include "mlir/Pass/PassBase.td"

def Differentiate : Pass<"tessera-differentiate", "::mlir::ModuleOp"> {
  let summary = "Adds the derivative of a function.";
  let description = [{
    Beside `function` (@f, say) come functions for its derivative by the arguments
    `wrt`, which are of floats:

    * `vjp`: @f.fwd computes the results and then what is kept for @f.bwd, which
      computes the cotangents of the arguments from what is kept and from the
      cotangents of the results.
    * `linearize`: @f.fwd, and @f.lin, which computes the tangents of the results
      from what is kept and from the tangents of the arguments.
    * `jvp`: @f.jvp computes results and their tangents from arguments and theirs.
    * `grad`: @f.grad, public, computes the results and then the gradient of the
      first one, a scalar, by the arguments.

    Only the results `of`, which are of floats, have tangents and cotangents: for
    others nothing is computed. The functions that are
    made are private, but for @f.grad. Values that are kept and are arguments or
    results of @f are not returned again; remarks say where each residual comes
    from.

    By Radul et al., You only linearize once: the derivative rule of an op gives
    its tangents in ops that are linear in them, and reverse mode transposes these.
    Input and output: stage `tessera`. Linear.
  }];
  let options = [
    Option<"function", "function", "std::string", "\"main\"",
      "Name of the function">,
    ListOption<"wrt", "wrt", "unsigned",
      "Numbers of its arguments; by default all that are of floats">,
    ListOption<"of", "of", "unsigned",
      "Numbers of its results that are differentiated; by default all that are of floats, "
      "and the first in mode grad">,
    Option<"mode", "mode", "std::string", "\"grad\"",
      "What is made: vjp, linearize, jvp or grad">];
  let dependentDialects = ["::tessera::TesseraDialect"];
}

#endif // TESSERA_TESSERA_DERIVATIVES_PASSES_TD
