# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Forward and reverse mode: ts.jvp, ts.linearize, ts.vjp."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tessera._src.control_flow import bodies
from tessera._src.core import dtypes, tree
from tessera._src.core.errors import TraceError
from tessera._src.derivatives import traced
from tessera._src.derivatives.traced import Derivative, Traced
from tessera._src.functions.calling import check_call, names_in_call
from tessera._src.ops import creation
from tessera._src.tracing.operands import lift, number_as_array
from tessera._src.tracing.program_text import is_tracing
from tessera._src.tracing.tracer import Tracer

_NO_FLOATS = "convert it with .astype(ts.f32), or let the function use it from outside"


def vjp(fun: Callable, *primals: Any, has_aux: bool = False) -> tuple:
    """The value of `fun(*primals)`, and the function that pulls cotangents back through it.

    That function takes a tree of cotangents like the value, and gives a tuple of cotangents, one like
    each of the primals. It may be called more than once, inside the function being traced.

    Args:
        primals: trees of arrays of floats.
        has_aux: whether `fun` gives a pair (value, aux) of which only the value is differentiated;
            then (value, pullback, aux) is returned.

    Raises:
        TraceError: a primal is not of floats, or cotangents that do not fit the value.
    """
    bodies.check_callable("ts.vjp", "the function", fun)
    check_call(fun, primals)
    if not is_tracing():
        return _outside("ts.vjp", fun, primals, has_aux)
    return traced_vjp("ts.vjp", fun, primals, has_aux)


def traced_vjp(what: str, fun: Callable, primals: tuple, has_aux: bool) -> tuple:
    """What ts.vjp gives in the program being traced, for `what`."""
    given = bodies.lifted(primals, f"the primals of {what}")
    names = tree.paths(given.structure)
    traced.check_floats(what, given.leaves, names, hint=_NO_FLOATS)
    values = pulled_back(what, fun, given.leaves, lambda leaves: (tree.unflatten(
        given.structure, leaves), {}), names, range(len(given.leaves)), has_aux)

    home = traced.Home(f"the pullback of {what}",
                       "call ts.vjp outside of traced functions for a pullback that can be kept")

    def pullback(*cotangents: Any) -> tuple:
        home.check()
        leaves = values.pull(_one_tree(what, cotangents, values.structure))
        return tree.unflatten(given.structure, leaves)

    return (values.value, pullback, values.aux) if has_aux else (values.value, pullback)


def _one_tree(what: str, cotangents: tuple, structure: tree.TreeDef) -> Any:
    """What a pullback is called with: one tree, however many values the function gives."""
    if len(cotangents) != 1:
        raise TraceError(
            "TS1041", f"the pullback of {what} takes one tree of cotangents, like the value",
            expected=tree.describe(structure),
            got=f"{len(cotangents)} arguments", hint="those of a tuple are one tuple: pullback((a, b))")
    return cotangents[0]


class Pulled:
    """The results of a function, and what its pullback needs."""

    def __init__(self, what: str, of: Traced, wanted: Sequence[int], has_aux: bool):
        self.what = what
        self.structure = _differentiated(what, of, has_aux)
        count = self.structure.count
        derivative = traced.differentiate(of, "vjp", wanted, count)
        forward, self.backward = derivative.functions
        made = traced.call(forward, of.operands)
        results, kept = of.marked(made[: len(of.results)]), made[len(of.results) :]
        whole = tree.unflatten(of.structure, results)
        self.value, self.aux = whole if has_aux else (whole, None)
        self.leaves: list[Tracer] = results[:count]
        sources = {"argument": of.operands, "result": results, "kept": kept}
        self.residuals = [sources[kind][number] for kind, number in derivative.residuals]

    def pull(self, cotangents: Any, residuals: Sequence[Tracer] | None = None) -> list[Tracer]:
        """The cotangents of the wanted arguments; `residuals` in place of those of this trace."""
        wanted = [(leaf.shape, leaf.dtype) for leaf in self.leaves]
        given = traced.fitted(f"the pullback of {self.what}", "cotangent", cotangents, wanted, self.structure)
        floats = [cotangent for cotangent in given if dtypes.is_float(cotangent.dtype)]
        return traced.call(self.backward, [*(self.residuals if residuals is None else residuals), *floats])


def _differentiated(what: str, of: Traced, has_aux: bool) -> tree.TreeDef:
    """The structure of the value, whose leaves come first among the results.

    Those of aux are not differentiated here: they have no cotangents, as a zero times a slope without
    bounds would be NaN. Derivatives around this one see how aux depends on the arguments.
    """
    whole = of.structure
    if not has_aux:
        return whole
    is_tuple = isinstance(whole.kind, type) and issubclass(whole.kind, tuple)
    if not is_tuple or len(whole.children) != 2:
        raise TraceError("TS1042", f"{what} with has_aux=True needs a function that gives a pair (value, "
                         "aux)", got=f"a tuple of {len(whole.children)}" if is_tuple
                         else tree.describe(whole))
    return whole.children[0]


def pulled_back(what: str, fun: Callable, leaves: Sequence[Tracer], build: Callable, names: Sequence[str],
                wanted: Sequence[int], has_aux: bool) -> Pulled:
    """`fun` of the leaves, in the program being traced, with its pullback to the leaves `wanted`."""
    return Pulled(what, traced.trace(what, fun, leaves, build, names), wanted, has_aux)


def jvp(fun: Callable, primals: Sequence[Any], tangents: Sequence[Any], has_aux: bool = False) -> tuple:
    """The value of `fun(*primals)`, and how it changes when the primals change by `tangents`.

    Args:
        primals, tangents: tuples or lists of trees of floats, alike in structure, shapes and types.
        has_aux: whether `fun` gives a pair (value, aux); then (value, tangent, aux) is returned.

    Raises:
        TraceError: a primal is not of floats, or tangents that do not fit the primals.
    """
    bodies.check_callable("ts.jvp", "the function", fun)
    for name, given in (("primals", primals), ("tangents", tangents)):
        if not isinstance(given, (tuple, list)):
            raise TraceError("TS1041", f"{name} of ts.jvp is a {type(given).__name__}",
                             expected="a tuple or list with an entry per argument of the function",
                             hint="write ts.jvp(f, (x,), (dx,))")
    check_call(fun, primals)
    if not is_tracing():
        return bodies.compiled(lambda primals, tangents: jvp(fun, primals, tangents, has_aux), fun,
                               (_arrays(tuple(primals)), tuple(tangents)))
    of, given = _traced("ts.jvp", fun, tuple(primals))
    structure = _differentiated("ts.jvp", of, has_aux)
    changes = traced.fitted("ts.jvp", "tangent", tuple(tangents),
                            [(leaf.shape, leaf.dtype) for leaf in given.leaves], given.structure)
    function, = traced.differentiate(of, "jvp", range(len(given.leaves)), structure.count).functions
    made = traced.call(function, [*of.operands, *changes])
    count = len(of.results)
    whole = tree.unflatten(of.structure, of.marked(made[:count]))
    change = _tangents(structure, made[:count], made[count:])
    return (whole[0], change, whole[1]) if has_aux else (whole, change)


def linearize(fun: Callable, *primals: Any, has_aux: bool = False) -> tuple:
    """The value of `fun(*primals)`, and the linear function of tangents that ts.jvp computes there.

    That function takes a tangent for each of the primals and may be called more than once; `fun` is
    computed once. It is called in the trace of a function under ts.jit, as ts.linearize itself is: the values
    that both share are those of one program. Outside, ts.jvp computes the same.

    Args:
        has_aux: whether `fun` gives a pair (value, aux); then (value, function, aux) is returned.
    """
    bodies.check_callable("ts.linearize", "the function", fun)
    check_call(fun, primals)
    if not is_tracing():
        raise TraceError("TS1007", "ts.linearize works on traced values only",
                         hint="call it inside a function decorated with ts.jit; ts.jvp works outside as well")
    return traced_linearize("ts.linearize", fun, primals, has_aux)


def traced_linearize(what: str, fun: Callable, primals: tuple, has_aux: bool) -> tuple:
    """What ts.linearize gives in the program being traced, for `what`."""
    of, given = _traced(what, fun, primals)
    structure = _differentiated(what, of, has_aux)
    derivative = traced.differentiate(of, "linearize", range(len(given.leaves)), structure.count)
    forward, linear = derivative.functions
    made = traced.call(forward, of.operands)
    count = len(of.results)
    sources = {"argument": of.operands, "result": made[:count], "kept": made[count:]}
    residuals = [sources[kind][number] for kind, number in derivative.residuals]

    home = traced.Home(f"the linear function of {what}",
                       "outside of traced functions, ts.jvp computes the same")

    def pushed(*tangents: Any) -> Any:
        home.check()
        changes = traced.fitted(f"the function of {what}", "tangent", tangents,
                                [(leaf.shape, leaf.dtype) for leaf in given.leaves], given.structure)
        return _tangents(structure, made[:count], traced.call(linear, [*residuals, *changes]))

    whole = tree.unflatten(of.structure, of.marked(made[:count]))
    return (whole[0], pushed, whole[1]) if has_aux else (whole, pushed)


def _traced(what: str, fun: Callable, primals: tuple) -> tuple[Traced, bodies.Values]:
    given = bodies.lifted(primals, f"the primals of {what}")
    names = tree.paths(given.structure)
    traced.check_floats(what, given.leaves, names, hint=_NO_FLOATS)
    of = traced.trace(what, fun, given.leaves,
                      lambda leaves: (tree.unflatten(given.structure, leaves), {}), names)
    return of, given


def _tangents(structure: tree.TreeDef, results: list[Tracer], tangents: list[Tracer]) -> Any:
    """The tangents of the first results as a tree; integers have zeros of their type."""
    each = iter(tangents)
    return tree.unflatten(structure, [next(each) if dtypes.is_float(r.dtype)
                                      else creation.zeros(r.shape, r.dtype)
                                      for r in results[: structure.count]])


def _arrays(value: Any) -> Any:
    """A tree whose Python numbers are arrays, so that they are arguments of what is compiled."""
    return tree.map(number_as_array, value)


def _outside(what: str, fun: Callable, primals: tuple, has_aux: bool) -> tuple:
    """ts.vjp on arrays: the residuals are arrays, too."""
    static: dict[str, Any] = {}

    def forward(*primals: Any) -> tuple:
        given = bodies.lifted(primals, f"the primals of {what}")
        names = tree.paths(given.structure)
        traced.check_floats(what, given.leaves, names, hint=_NO_FLOATS)
        values = pulled_back(what, fun, given.leaves, lambda leaves: (tree.unflatten(
            given.structure, leaves), {}), names, range(len(given.leaves)), has_aux)
        static.update(values=values, structure=given.structure)
        return values.value, values.aux, values.residuals

    value, aux, residuals = bodies.compiled(forward, fun, _arrays(primals), names_in_call(fun, primals))
    values: Pulled = static["values"]

    def backward(residuals: Any, cotangents: Any) -> tuple:
        leaves = values.pull(cotangents, [lift(residual) for residual in residuals])
        return tree.unflatten(static["structure"], leaves)

    def pullback(*cotangents: Any) -> tuple:
        given = _one_tree(what, cotangents, values.structure)
        return bodies.compiled(backward, fun, (residuals, given))

    return (value, pullback, aux) if has_aux else (value, pullback)
