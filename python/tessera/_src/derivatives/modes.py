# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Forward and reverse mode: ts.jvp, ts.linearize, ts.vjp."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from tessera._src.control_flow import bodies
from tessera._src.core import dtypes, tree
from tessera._src.core.errors import TraceError
from tessera._src.derivatives import traced
from tessera._src.derivatives.traced import Derivative, Traced
from tessera._src.functions.calling import check_call, names_in_call
from tessera._src.ops import creation
from tessera._src.ops.elementwise import without_derivative
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

    def pullback(*cotangents: Any) -> tuple:
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

    def __init__(self, what: str, of: Traced, derivative: Derivative, has_aux: bool):
        self.what, self.of, self.derivative = what, of, derivative
        forward, self.backward = derivative.functions
        made = traced.call(forward, of.operands)
        count = len(of.results)
        results, kept = of.marked(made[:count]), made[count:]
        whole = tree.unflatten(of.structure, results)
        self.value, self.aux = (_pair(what, whole) if has_aux else (whole, None))
        leaves, self.structure = tree.flatten(self.value)
        self.leaves: list[Tracer] = leaves
        self.results = results
        sources = {"argument": of.operands, "result": results, "kept": kept}
        self.residuals = [sources[kind][number] for kind, number in derivative.residuals]

    def pull(self, cotangents: Any) -> list[Tracer]:
        """The cotangents of the wanted arguments."""
        wanted = [(leaf.shape, leaf.dtype) for leaf in self.leaves]
        given = traced.fitted(f"the pullback of {self.what}", "cotangent", cotangents, wanted, self.structure)
        # Of results that are not part of the value the cotangent is zero.
        mine = {id(leaf): cotangent for leaf, cotangent in zip(self.leaves, given)}
        operands = [*self.residuals]
        for result in self.results:
            if dtypes.is_float(result.dtype):
                zeros = mine.get(id(result))
                operands.append(creation.zeros(result.shape, result.dtype) if zeros is None else zeros)
        return traced.call(self.backward, operands)


def _pair(what: str, value: Any) -> tuple:
    if not isinstance(value, tuple) or len(value) != 2:
        raise TraceError("TS1042", f"{what} with has_aux=True needs a function that gives a pair (value, "
                         "aux)", got=f"a tuple of {len(value)}" if isinstance(value, tuple)
                         else f"a {type(value).__name__}")
    return value


def _constant_aux(what: str, fun: Callable, has_aux: bool) -> Callable:
    """The function, whose aux has no derivative: zeros times a slope without bounds would be NaN."""
    if not has_aux:
        return fun

    @functools.wraps(fun)
    def of(*args: Any, **kwargs: Any) -> tuple:
        value, aux = _pair(what, fun(*args, **kwargs))
        given = bodies.lifted(aux, f"aux of the function that {what} is given")
        leaves = [without_derivative(leaf) if dtypes.is_float(leaf.dtype) else leaf for leaf in given.leaves]
        return value, tree.unflatten(given.structure, leaves)

    return of


def pulled_back(what: str, fun: Callable, leaves: Sequence[Tracer], build: Callable, names: Sequence[str],
                wanted: Sequence[int], has_aux: bool) -> Pulled:
    """`fun` of the leaves, in the program being traced, with its pullback to the leaves `wanted`."""
    of = traced.trace(what, _constant_aux(what, fun, has_aux), leaves, build, names)
    return Pulled(what, of, traced.differentiate(of, "vjp", wanted), has_aux)


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
    of, given = _traced("ts.jvp", fun, tuple(primals), has_aux)
    changes = traced.fitted("ts.jvp", "tangent", tuple(tangents),
                            [(leaf.shape, leaf.dtype) for leaf in given.leaves], given.structure)
    function, = traced.differentiate(of, "jvp", range(len(given.leaves))).functions
    made = traced.call(function, [*of.operands, *changes])
    return _with_tangents("ts.jvp", of, of.marked(made[: len(of.results)]), made[len(of.results) :], has_aux)


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
    of, given = _traced(what, fun, primals, has_aux)
    derivative = traced.differentiate(of, "linearize", range(len(given.leaves)))
    forward, linear = derivative.functions
    made = traced.call(forward, of.operands)
    count = len(of.results)
    sources = {"argument": of.operands, "result": made[:count], "kept": made[count:]}
    residuals = [sources[kind][number] for kind, number in derivative.residuals]

    def pushed(*tangents: Any) -> Any:
        changes = traced.fitted(f"the function of {what}", "tangent", tangents,
                                [(leaf.shape, leaf.dtype) for leaf in given.leaves], given.structure)
        results = traced.call(linear, [*residuals, *changes])
        return _with_tangents(what, of, made[:count], results, has_aux)[1]

    value = tree.unflatten(of.structure, of.marked(made[:count]))
    if not has_aux:
        return value, pushed
    value, aux = _pair(what, value)
    return value, pushed, aux


def _traced(what: str, fun: Callable, primals: tuple, has_aux: bool) -> tuple[Traced, bodies.Values]:
    given = bodies.lifted(primals, f"the primals of {what}")
    names = tree.paths(given.structure)
    traced.check_floats(what, given.leaves, names, hint=_NO_FLOATS)
    of = traced.trace(what, _constant_aux(what, fun, has_aux), given.leaves,
                      lambda leaves: (tree.unflatten(given.structure, leaves), {}), names)
    return of, given


def _with_tangents(what: str, of: Traced, results: list[Tracer], tangents: list[Tracer], has_aux: bool
                   ) -> tuple:
    """Results and their tangents as trees; integers have zeros of their type."""
    each = iter(tangents)
    changes = [next(each) if dtypes.is_float(r.dtype) else creation.zeros(r.shape, r.dtype) for r in results]
    value, change = tree.unflatten(of.structure, results), tree.unflatten(of.structure, changes)
    if not has_aux:
        return value, change
    value, aux = _pair(what, value)
    return value, change[0], aux


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
    results = [(leaf.shape, leaf.dtype) for leaf in values.results]
    at = [next((i for i, leaf in enumerate(values.leaves) if leaf is result), None)
          for result in values.results]
    wanted = [(leaf.shape, leaf.dtype) for leaf in values.leaves]

    def backward(residuals: Any, cotangents: Any) -> tuple:
        given = traced.fitted(f"the pullback of {what}", "cotangent", cotangents, wanted, values.structure)
        operands = [lift(residual) for residual in residuals]
        for (shape, dtype), place in zip(results, at):
            if dtypes.is_float(dtype):
                operands.append(creation.zeros(shape, dtype) if place is None else given[place])
        return tree.unflatten(static["structure"], traced.call(values.backward, operands))

    def pullback(*cotangents: Any) -> tuple:
        given = _one_tree(what, cotangents, values.structure)
        return bodies.compiled(backward, fun, (residuals, given))

    return (value, pullback, aux) if has_aux else (value, pullback)
