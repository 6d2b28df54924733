// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef TESSERA_TESSERA_TRANSFORMS_PASSES_TD
#define TESSERA_TESSERA_TRANSFORMS_PASSES_TD

include "mlir/Pass/PassBase.td"

def VerifyProgram : Pass<"tessera-verify-program", "::mlir::ModuleOp"> {
  let summary = "Checks that a module is a whole program on mesh tensors.";
  let description = [{
    Input contract: none; it is the contract of the `tessera` stage that is
    checked, and it holds up to `tessera-partition`. Every value of a function is
    a mesh tensor with at least one element. Every mesh that a type or a
    constraint names exists, and every layout is well formed on it: known axes,
    each used at most once, sub-axes that divide their axis. Varying axes are
    stated: a result varies along what the operands do, the ends of a data-flow
    edge agree, and predicates do not vary. Errors are at the value, with a note
    at the mesh; a type is reported once per function.

    Changes nothing. One walk over the module.
  }];
  let dependentDialects = ["::tessera::TesseraDialect"];
}

def InlineCalls : Pass<"tessera-inline-calls", "::mlir::ModuleOp"> {
  let summary = "Replaces calls by what they compute.";
  let description = [{
    Every `tessera.call` of a public function becomes the ops of its callee,
    which keep their locations, whatever rule or policy it has for derivatives;
    private functions that nothing uses then are erased.
    `tessera.stop_gradient` and `tessera.checkpoint_name` become their operands.
    A `tessera.custom_tangent` is an error: forward mode was used where only
    reverse mode is known.

    Input and output: stage `tessera`. Linear in the size of the result.
  }];
  let dependentDialects = ["::tessera::TesseraDialect"];
}

def InlineFunctions : Pass<"tessera-inline-functions", "::mlir::ModuleOp"> {
  let summary = "Inlines functions, simplifies, and erases unused symbols.";
  let description = [{
    As `inline,canonicalize,cse,symbol-dce`. Of a module of one function, as most
    are whose `tessera.call`s are inlined, the first and the last have nothing to
    do, and are left out: they take longer than the other two.

    Input and output: stage `tessera`. Linear in the size of the result.
  }];
}

def DecomposeOps : Pass<"tessera-decompose-ops"> {
  let summary = "Writes composite ops as formulas of simpler ones.";
  let description = [{
    attention and the ops of its gradients, cross_entropy, gelu, layer_norm,
    logsumexp, norm_tangent, rms_norm, silu and softmax become contractions,
    reductions and elementwise ops that compute the same, in f32 and rounded once
    (f64 in f64). For a target or a layout that has no kernel for the whole op,
    and as their definition in simpler terms: tests compare both.

    Input: stage `tessera`, before propagation, since new mesh tensors have open
    layouts; or stage `local`. No other op changes. Sizes are given in elements
    of f32; one of f64 counts as two. Linear.
  }];
  let options = [
    ListOption<"ops", "ops", "std::string",
      "Names of the ops to write out, all of them by default">,
    Option<"rowsAbove", "rows-above", "int64_t", "0",
      "Write out softmax and norms over more elements than this; 0: all">,
    Option<"headsAbove", "heads-above", "int64_t", "0",
      "Write out attention and its gradients with larger heads than this; 0: all">,
    Option<"onlyMarked", "only-marked", "bool", "false",
      "Write out only ops that have the attribute tessera.expand">];
  let dependentDialects = ["::tessera::TesseraDialect"];
}

def ChooseExpansions : Pass<"tessera-choose-expansions", "::mlir::ModuleOp"> {
  let summary = "Writes out ops whose parts communicate less than the whole op.";
  let description = [{
    softmax, log-sum-exp, cross entropy, the norms, their derivatives and attention
    need some of their dimensions whole. Where the
    layouts would split such a dimension, the operand is gathered, or the op is
    written out (tessera-decompose-ops): its reductions then leave partial maxima
    and sums, which are far smaller. A cumulative op gets the attribute `by_parts`
    instead: each device scans its part, and they exchange one value each. The
    layouts are those that propagation gives a copy of the program; both ways are
    priced by the reshards that tessera-insert-reshards places, exchanges, and the
    planner's plans for them, and the op is written out where that is cheaper; what
    the parts of several ops have in common is computed once. An op that makes one
    value of each row, as logsumexp, is written out at any price, since nothing is
    ever gathered for a reduction. What
    is written out can carry splits further, so this is repeated until nothing
    changes, four times at most.

    Input and output: stage `tessera`. The locations of what is written out say so,
    and the reasons of its collectives tell both prices. Costs one propagation for
    each repetition, and nothing for programs without such ops.
  }];
  let options = [
    Option<"always", "always", "bool", "false",
      "Write out every op whose operands would be gathered, whatever the prices; for tests">];
  let dependentDialects = ["::tessera::TesseraDialect", "::tessera::dist::DistDialect"];
}

def PropagateLayouts : Pass<"tessera-propagate-layouts", "::mlir::ModuleOp"> {
  let summary = "Spreads annotated layouts over the whole program.";
  let description = [{
    Input: stage `tessera`; the values of a function are on one mesh. Starts from
    the layouts of arguments and of `tessera.constrain` and extends open dimensions by the ops' factor rules: user
    priorities first, one-to-one ops before products and reductions before
    broadcasts, and where two tensors disagree the larger one decides. Each use
    of a constant or iota counts as a value of its own, so that it does not couple
    the layouts of its users.

    Output: stage `layouts`: every dimension closed, function types updated. An
    axis that was carried over leaves, on the value's op or argument, a chain of
    reasons in `tessera.origins`: a dictionary from axis to strings, nearest
    first, the last one naming the user's annotation. Results of the function that
    no user annotated get the attribute `tessera.unannotated`.

    The ends of a data-flow edge (a carried value of a loop, a result of branches,
    an argument and the result tied to it by `tessera.tied`) are one value, so a
    layout spreads between them; the leading dimension of a sequence stays as it is.

    Never removes or moves an annotated axis. Linear in ops times rounds.
  }];
  let dependentDialects = ["::tessera::TesseraDialect"];
}

def InsertReshards : Pass<"tessera-insert-reshards", "::mlir::ModuleOp"> {
  let summary = "Makes every op consistent with its factor rule by reshards.";
  let description = [{
    Input: stage `layouts`. Output: stage `reshards`. For each op in turn the axes
    of each factor are chosen: those that most bytes of its operands and results
    already have, each axis for one factor, none for a factor that must be whole.
    Operands that differ are resharded, once per value and layout; what takes more
    memory resharded, once per phase (`tessera.phase`) too. A split Reduce
    factor leaves the result partial; a partial value stays so through ops that
    are linear in it while it has one use, or one in each branch of a conditional,
    and is reduced where it is needed whole. Constants and iota are rematerialised
    in the required layout. Results of functions arrive in the layout of the
    function's type; those with `tessera.unannotated` in that of what computes them,
    and the function's type follows. In a sum of more than two terms, terms with the
    same partial axes are added first.

    All ends of a data-flow edge get one layout; predicates and selectors are whole.
    A carried value that starts as neutral elements may stay partial from iteration
    to iteration and is reduced once behind the loop, if trials of the body show that
    it yields just that, and terms of more than neutral elements. Terms become
    larger on the way to what a loop carries, as the first product of (a b) c may
    be smaller than the second, where all iterations together communicate less so.
    The leading dimension of a sequence is whole. A reshard of a value that a loop
    captures stands where the value is defined, so outside. `tessera.constrain`
    becomes nothing or a reshard, with `reduce T` between conversions of the terms to
    T (`tessera.rounds_terms`) and of the sum back.

    Each reshard says why in `#dist.why`.
  }];
  let dependentDialects = ["::tessera::TesseraDialect", "::tessera::dist::DistDialect"];
}

def Partition : Pass<"tessera-partition", "::mlir::ModuleOp"> {
  let summary = "Turns the program on logical tensors into the program of one device.";
  let description = [{
    Input: stage `reshards`. Output: stage `local`: mesh tensors become builtin
    tensors of local shape and each `tessera.reshard` the cheapest sequence of
    collectives (shortest path over layouts, include/tessera/Analysis/ReshardPlanner.h), with
    its modelled bytes and time. Arguments and results of functions get
    `dist.layout` and `dist.global_type`.

    Padding of uneven splits has unspecified contents; where an op would let it
    reach a valid element (a reduction or contraction over an unevenly split dimension, a
    lookup in an unevenly split table) it is masked first. Splits of iota and
    random numbers get logical offsets; constants that are not splat are cut.
  }];
  let dependentDialects = ["::tessera::TesseraDialect", "::tessera::dist::DistDialect"];
}

def HoistInvariants : Pass<"tessera-hoist-invariants", "::mlir::ModuleOp"> {
  let summary = "Moves computations that do not depend on the iteration out of loops.";
  let description = [{
    Input and output: stage `local`. Collectives, products and other ops of
    `tessera.scan` and `tessera.while` that do not depend on the iteration
    move before the loop, inner loops first. They run then even if the loop does
    not: all ops are pure.

    Stays inside: constants, iota, broadcasts and what is computed from these and
    from the device's place in the mesh alone (masks of padding). Kernels
    rematerialise them at no cost; before the loop they would be tensors in memory.
    Branches of `tessera.cond` keep what they have. Linear in ops and uses.
  }];
  let dependentDialects = ["::tessera::TesseraDialect", "::tessera::dist::DistDialect"];
}

#endif // TESSERA_TESSERA_TRANSFORMS_PASSES_TD
