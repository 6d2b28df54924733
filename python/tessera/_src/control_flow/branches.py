# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Conditionals: one of several functions runs."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tessera._src.control_flow import bodies
from tessera._src.control_flow.bodies import Values
from tessera._src.core import dtypes, tree
from tessera._src.core.errors import TraceError
from tessera._src.functions.calling import names_in_call
from tessera._src.ops import elementwise
from tessera._src.tracing.operands import as_weak, convert, lift, number_like
from tessera._src.tracing.program_text import current, is_tracing
from tessera._src.tracing.tracer import Tracer


def cond(pred: Any, true_fun: Callable, false_fun: Callable, *operands: Any) -> Any:
    """`true_fun(*operands)` where pred holds, else `false_fun(*operands)`; only that one runs.

    Both are compiled, except where pred is a Python boolean or an array with elements: then the other
    one is not even traced. They may use values from outside, and give results of one structure, with
    equal shapes and types. ts.where chooses element by element.

    Args:
        pred: a scalar boolean or number (true unless 0).
    """
    given = [f"operand {i}" for i in range(len(operands))]
    bodies.check_callable("ts.cond", "true_fun", true_fun, given)
    bodies.check_callable("ts.cond", "false_fun", false_fun, given)
    if not isinstance(pred, Tracer):
        chosen = true_fun if _is_true(pred) else false_fun
        return _call("ts.cond", chosen, operands)
    if pred.shape:
        raise TraceError("TS1039", "the predicate of ts.cond has dimensions", got=repr(pred),
                         expected="a scalar boolean",
                         hint="ts.all and ts.any make one of many; ts.where chooses element by element")
    selector = elementwise.as_bool(pred)
    return _choose("ts.cond", selector, [false_fun, true_fun], ["false_fun", "true_fun"], operands)


def switch(index: Any, branches: Sequence[Callable], *operands: Any) -> Any:
    """One of several functions of the operands, the one at `index`; only that one runs.

    An index below 0 means the first of the branches, one past the end the last.

    As ts.cond: all are compiled, unless the index is a Python integer; results fit together.

    Args:
        index: a scalar integer.
    """
    if not isinstance(branches, (list, tuple)) or not branches:
        raise TraceError("TS1035", "ts.switch needs branches", got=repr(branches)[:80],
                         expected="a sequence of at least one function")
    for i, branch in enumerate(branches):
        bodies.check_callable("ts.switch", f"branch {i}", branch,
                              [f"operand {k}" for k in range(len(operands))])
    last = len(branches) - 1
    if not isinstance(index, Tracer):
        return _call("ts.switch", branches[min(max(_whole(index), 0), last)], operands)
    if index.shape or not dtypes.is_int(index.dtype):
        raise TraceError("TS1039", "the index of ts.switch must be a scalar integer",
                         got=repr(index), hint="ts.cond chooses by a boolean")
    if not last:
        return _call("ts.switch", branches[0], operands)
    index = lift(index)
    index = index if index.dtype == dtypes.i32 else convert(elementwise.clip(index, 0, last), dtypes.i32)
    names = [f"branch {i}" for i in range(len(branches))]
    return _choose("ts.switch", index, list(branches), names, operands)


def _is_true(pred: Any) -> bool:
    """The truth of a predicate that has exactly one element."""
    if not isinstance(pred, (bool, int, float, np.generic)) and not hasattr(pred, "__array__"):
        raise TraceError("TS1039", f"the predicate of ts.cond is a {type(pred).__name__}",
                         expected="a scalar boolean")
    if np.ndim(pred):
        raise TraceError("TS1039", "the predicate of ts.cond has dimensions", got=f"shape {np.shape(pred)}",
                         expected="a scalar boolean")
    return bool(pred)


def _whole(index: Any) -> int:
    try:
        if isinstance(index, (bool, np.bool_)):
            raise TypeError
        return operator.index(index)
    except TypeError:
        raise TraceError("TS1039", "the index of ts.switch must be a scalar integer",
                         got=repr(index)[:80]) from None


def _call(what: str, function: Callable, operands: tuple) -> Any:
    """The one function that runs, without a choice."""
    if not is_tracing():
        return bodies.compiled(lambda *given: _call(what, function, given), function, operands,
                               names_in_call(function, operands))
    given = bodies.lifted(operands, f"an operand of {what}").tree
    return bodies.lifted(function(*given), f"the result of {what}").tree


def _choose(what: str, selector: Tracer, functions: list[Callable], names: list[str],
            operands: tuple) -> Any:
    """A cond op: the branches in the order of the selector."""
    program = current()
    given = bodies.lifted(operands, f"an operand of {what}").tree
    blocks, results = [], []
    for function, name in zip(functions, names):
        with program.nested(bodies.title_of(f"{name} of {what}")) as block:
            results.append(bodies.lifted(function(*given), f"the result of {name} of {what}"))
        blocks.append(block)
    wanted = _common(what, functions, names, results)
    for block, result in zip(blocks, results):
        with program.resumed(block):
            bodies.end_block(program, block,
                             [bodies.fitted(v, dtype) for v, dtype in zip(result.leaves, wanted)])
    text = f"tessera.cond {selector.value} : {selector.type} -> "
    regions = [(", " if i else "", block) for i, block in enumerate(blocks)]
    shapes = [value.shape for value in results[0].leaves]
    values = bodies.emit_control(text, regions, list(zip(shapes, wanted)), [selector])
    weak = [all(leaves) for leaves in zip(*[[v.is_weak for v in r.leaves] for r in results])]
    return tree.unflatten(results[0].structure, [as_weak(v) if w else v for v, w in zip(values, weak)])


def _common(what: str, functions: list[Callable], names: list[str], results: list[Values]
            ) -> list[np.dtype]:
    """The types of the results, on which the branches agree; Python numbers take the others' type."""
    first = results[0]
    for i, other in enumerate(results[1:], 1):
        if other.structure != first.structure:
            _differ(what, functions, names, results, i, "structures",
                    tree.first_difference(first.structure, other.structure) or "")
    wanted = []
    for k, path in enumerate(tree.paths(first.structure)):
        leaves = [result.leaves[k] for result in results]
        strong = [leaf.dtype for leaf in leaves if not leaf.is_weak]
        dtype = strong[0] if strong else dtypes.common_weak_dtype(map(number_like, leaves), None)
        wanted.append(dtype)
        for i, leaf in enumerate(leaves):
            if leaf.shape != leaves[0].shape:
                _differ(what, functions, names, results, i, "shapes", path)
            if leaf.dtype != dtype and not bodies.takes_type(leaf, dtype):
                at = next(j for j, v in enumerate(leaves) if v.dtype == dtype)
                _differ(what, functions, names, results, i if i else at, "types", path)
    return wanted


def _differ(what: str, functions: list[Callable], names: list[str], results: list[Values], i: int,
            how: str, path: str) -> None:
    at = f" at '{path}'" if path else ""
    raise TraceError(
        "TS1040", f"branches of {what} return results of different {how}{at}",
        expected=f"{results[0]}, as from {names[0]}", got=f"{results[i]}, from {names[i]}",
        notes=[f"{names[j]} is {bodies.place_of(functions[j])}" for j in (0, i)],
        hint="give results of one structure, with equal shapes and types, from all branches")
