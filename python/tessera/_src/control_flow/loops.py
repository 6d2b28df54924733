# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Loops: scan over sequences, a fixed number of times, while a condition holds."""

from __future__ import annotations

import builtins
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tessera._src.control_flow import bodies, carries
from tessera._src.control_flow.bodies import Values
from tessera._src.core import dtypes, tree
from tessera._src.core.errors import ConfigError, ShapeError, TraceError
from tessera._src.ops import elementwise, shaping
from tessera._src.tracing.operands import NO_ELEMENTS_HINT, constant, convert, lift, promote_operands
from tessera._src.tracing.program_text import Block, current, is_tracing
from tessera._src.tracing.tracer import Tracer

_NONE = Values([], tree.flatten(None)[1])
# A step gives, from the iteration's number, carried values and slices, the next carried values and
# the iteration's results.
Step = Callable[[Tracer, list[Tracer], list[Tracer]], tuple[Values, Values]]


def scan(f: Callable, init: Any, xs: Any = None, length: int | None = None, reverse: bool = False,
         unroll: int | bool = 1) -> tuple[Any, Any]:
    """Runs `carry, y = f(carry, x)` for each slice x of xs: the last carry, and the ys stacked.

    One copy of `f` is compiled, however many slices there are. `f` may use values from outside. A
    program of stacked layers (see ts.tree.stack) compiles in the time of one layer:

        def layer(x, weights):
            return ts.gelu(x @ weights["up"]) @ weights["down"], None

        x, _ = ts.scan(layer, x, ts.tree.stack(layers))

    Args:
        init: a tree of arrays and numbers; what f gives as carry has its structure, shapes and types.
            A Python number takes the type that f gives it.
        xs: a tree of arrays with one leading dimension, over which the loop runs, or None.
        length: the number of iterations, where xs is None; otherwise it must agree with xs.
        reverse: from the last slice to the first; the ys have the order of xs.
        unroll: how many iterations one turn of the loop runs; True for all, without a loop.

    Raises:
        TraceError: the carry changes its structure, a shape or a type.
        ShapeError: leading dimensions of xs that differ from each other or from length.
    """
    bodies.check_callable("ts.scan", "the body", f, ("carry", "x"))
    if not is_tracing():
        return bodies.compiled(lambda init, xs: scan(f, init, xs, length, reverse, unroll), f, (init, xs))
    carry, sequences = bodies.lifted(init, "the carry of ts.scan"), bodies.lifted(xs, "xs of ts.scan")
    count = _length(sequences, length)

    def step(index: Tracer, carried: list[Tracer], slices: list[Tracer]) -> tuple[Values, Values]:
        result = f(tree.unflatten(carry.structure, carried), tree.unflatten(sequences.structure, slices))
        if not isinstance(result, tuple) or len(result) != 2:
            raise TraceError(
                "TS1037", "the body of ts.scan must return a pair (carry, y)",
                got=f"a tuple of {len(result)}" if isinstance(result, tuple)
                else f"a {type(result).__name__}", notes=[f"the body is {bodies.place_of(f)}"],
                hint="return carry, None where there is nothing to stack")
        return (bodies.lifted(result[0], "the carry that the body of ts.scan gives"),
                bodies.lifted(result[1], "y of the body of ts.scan"))

    return _run("ts.scan", f, step, carry, sequences.leaves, count, bool(reverse), _turns(unroll, count))


def fori_loop(lower: Any, upper: Any, body_fun: Callable, init_val: Any, *,
              unroll: int | bool = 1) -> Any:
    """Runs `carry = body_fun(i, carry)` for i from lower to below upper: the last carry.

    With bounds that are Python numbers it is a loop of fixed length, as ts.scan is; with traced
    bounds, a ts.while_loop. In both, `i` is an i32 (i64 if the bounds need it).

    Args:
        init_val: a tree of arrays and numbers, as for ts.scan.
        unroll: as for ts.scan; for bounds that are Python numbers.
    """
    bodies.check_callable("ts.fori_loop", "the body", body_fun, ("i", "carry"))
    if not is_tracing():
        return bodies.compiled(
            lambda lower, upper, init_val: fori_loop(lower, upper, body_fun, init_val, unroll=unroll),
            body_fun, (lower, upper, init_val))
    bounds = [_bound(bound, name) for bound, name in ((lower, "lower"), (upper, "upper"))]
    if any(isinstance(bound, Tracer) for bound in bounds):
        if unroll not in (1, None):
            raise ConfigError("TS4011", "ts.fori_loop with traced bounds does not unroll", got=unroll,
                              hint="leave unroll out, or pass Python integers as bounds")
        return _while_below(bounds, body_fun, init_val)
    first, count = bounds[0], builtins.max(bounds[1] - bounds[0], 0)
    if not dtypes.fits(count, dtypes.i32):
        return _while_below([constant(np.int64(bound)) for bound in bounds], body_fun, init_val)
    carry = bodies.lifted(init_val, "the carry of ts.fori_loop")
    is_wide = not all(dtypes.fits(bound, dtypes.i32) for bound in bounds)

    def step(index: Tracer, carried: list[Tracer], _: list[Tracer]) -> tuple[Values, Values]:
        index = convert(index, dtypes.i64) if is_wide else index
        index = elementwise.add(index, first) if first else index
        result = body_fun(index, tree.unflatten(carry.structure, carried))
        return bodies.lifted(result, "the carry that the body of ts.fori_loop gives"), _NONE

    return _run("ts.fori_loop", body_fun, step, carry, [], count, False, _turns(unroll, count))[0]


def while_loop(cond_fun: Callable, body_fun: Callable, init_val: Any) -> Any:
    """Runs `carry = body_fun(carry)` while `cond_fun(carry)` holds: the last carry.

    Nothing bounds the number of iterations. Where it is known before, ts.fori_loop and ts.scan say so,
    which the cost model and derivatives need.

    Args:
        cond_fun: gives a scalar boolean.
        init_val: a tree of arrays and numbers, as for ts.scan.
    """
    bodies.check_callable("ts.while_loop", "the condition", cond_fun, ("carry",))
    bodies.check_callable("ts.while_loop", "the body", body_fun, ("carry",))
    if not is_tracing():
        return bodies.compiled(lambda init_val: while_loop(cond_fun, body_fun, init_val), body_fun,
                               (init_val,))
    carry = bodies.lifted(init_val, "the carry of ts.while_loop")

    def condition(_: list[Tracer], carried: list[Tracer]) -> Any:
        return cond_fun(tree.unflatten(carry.structure, carried))

    def step(_: list[Tracer], carried: list[Tracer]) -> Values:
        return bodies.lifted(body_fun(tree.unflatten(carry.structure, carried)),
                             "the carry that the body of ts.while_loop gives")

    return _while("ts.while_loop", cond_fun, body_fun, condition, step, carry)


def map(f: Callable, xs: Any) -> Any:  # noqa: A001
    """`f` of each slice of xs along its leading dimension, one after the other: results stacked.

    A ts.scan without a carry. xs is a tree of arrays, and so is the result.
    """
    bodies.check_callable("ts.map", "the body", f, ("x",))
    if not is_tracing():
        return bodies.compiled(lambda xs: map(f, xs), f, (xs,))
    sequences = bodies.lifted(xs, "xs of ts.map")
    count = _length(sequences, None, "ts.map")

    def step(index: Tracer, carried: list[Tracer], slices: list[Tracer]) -> tuple[Values, Values]:
        return _NONE, bodies.lifted(f(tree.unflatten(sequences.structure, slices)),
                                    "the result of the body of ts.map")

    return _run("ts.map", f, step, _NONE, sequences.leaves, count, False, 1)[1]


def _length(sequences: Values, length: Any, what: str = "ts.scan") -> int:
    """The number of iterations, on which all sequences agree."""
    if length is not None:
        if isinstance(length, Tracer):
            length.__index__()
        if isinstance(length, bool) or not isinstance(length, (int, np.integer)) or length < 0:
            raise ShapeError("TS3024", f"length of {what} is {length!r}",
                             expected="an integer of at least 0")
    paths = ["xs" + (f".{path}" if path else "") for path in tree.paths(sequences.structure)]
    for value, path in zip(sequences.leaves, paths):
        if not value.shape:
            raise ShapeError("TS3024", f"{path} of {what} has no leading dimension to run over",
                             got=str(sequences), hint=_no_sequence_hint(sequences.structure))
    sizes = [value.shape[0] for value in sequences.leaves]
    if len({*sizes} | ({length} - {None})) > 1:
        given = "" if length is None else f" and length={length}"
        raise ShapeError(
            "TS3024", f"sequences of {what} have different lengths",
            expected="one leading size" + (f", length={length}" if length is not None else ""),
            got=", ".join(f"{path}: {size}" for path, size in zip(paths, sizes)) + given)
    if not sizes and length is None:
        raise ShapeError("TS3024", f"{what} has neither sequences nor a length",
                         hint="pass xs, or length=" if what == "ts.scan" else "pass xs")
    return int(sizes[0] if sizes else length)


def _no_sequence_hint(structure: tree.TreeDef) -> str:
    """What to do about a scalar that is to be run over."""
    if structure.kind in (list, tuple) and all(child is tree.LEAF for child in structure.children):
        kind = structure.kind.__name__
        return (f"a {kind} is a tree, whose entries are run over side by side; one sequence is an array: "
                "np.array(xs), or ts.stack(xs) of traced values")
    return "use values that do not change directly in the body"


def _turns(unroll: Any, count: int) -> int:
    """How many iterations one turn of the loop runs."""
    if unroll is True:
        return builtins.max(count, 1)
    if isinstance(unroll, bool) and not unroll:
        return 1
    if not isinstance(unroll, (int, np.integer)) or unroll < 1:
        raise ConfigError("TS4011", "unroll must be a number of iterations", got=repr(unroll),
                          expected="an integer of at least 1, or True for all")
    return builtins.max(builtins.min(int(unroll), count), 1)


def _bound(bound: Any, name: str) -> int | Tracer:
    """A bound of a loop: an integer, or a traced one."""
    if isinstance(bound, Tracer):
        if bound.shape or not dtypes.is_int(bound.dtype):
            raise TraceError("TS1038", f"the {name} bound of ts.fori_loop is {bound!r}",
                             expected="a scalar integer")
        return lift(bound)
    try:
        if isinstance(bound, (bool, np.bool_)):
            raise TypeError
        return operator.index(bound)
    except TypeError:
        raise TraceError("TS1038", f"the {name} bound of ts.fori_loop is {bound!r}",
                         expected="a scalar integer") from None


def _run(what: str, body: Callable, step: Step, carry: Values, sequences: list[Tracer], count: int,
         reverse: bool, turns: int) -> tuple[Any, Any]:
    """The loop of `count` steps, `turns` of them in each iteration of what is emitted."""
    def attempt(carry: Values) -> tuple[list[Tracer], list[Tracer], tree.TreeDef]:
        loops, rest = divmod(count, turns)
        if turns == 1 or loops > 1:
            whole = loops * turns
            begin = count - whole if reverse else 0
            parts = [_rows(value, begin, begin + whole) for value in sequences]
            carried, stacked, structure = _loop(what, body, step, carry, parts, loops, reverse, turns, begin)
        else:  # The loop would run once.
            carried, stacked, structure, rest, begin, whole = carry.leaves, None, None, count, 0, 0
        if rest:
            numbers = range(begin) if reverse and whole else range(whole, count)
            numbers = reversed(numbers) if reverse else numbers
            found: dict[int, list[Tracer]] = {}
            for i in numbers:
                carried, found[i], structure = _inline(what, body, step, carry, carried, sequences, i)
            rows = [shaping.stack([found[i][k] for i in sorted(found)]) for k in range(structure.count)]
            if stacked is None:
                stacked = rows
            else:
                pairs = zip(rows, stacked) if reverse else zip(stacked, rows)
                stacked = [shaping.concatenate(pair) for pair in pairs]
        carried = [carries.like_first(new, old) for new, old in zip(carried, carry.leaves)]
        return carried, stacked, structure

    carried, stacked, structure = carries.settled(carry, attempt)
    return tree.unflatten(carry.structure, carried), tree.unflatten(structure, stacked)


def _rows(value: Tracer, begin: int, end: int) -> Tracer:
    return value if (begin, end) == (0, value.shape[0]) else value[begin:end]


def _inline(what: str, body: Callable, step: Step, carry: Values, carried: list[Tracer],
            sequences: Sequence[Tracer], i: int) -> tuple[list[Tracer], list[Tracer], tree.TreeDef]:
    """One step without a loop: carried values and results, and the structure of these."""
    now = Values([carries.like_first(value, first) for value, first in zip(carried, carry.leaves)],
                 carry.structure)
    out, results = step(constant(np.int32(i)), now.leaves, [value[i] for value in sequences])
    return carries.checked(what, body, carry, out), results.leaves, results.structure


def _loop(what: str, body: Callable, step: Step, carry: Values, sequences: list[Tracer], count: int,
          reverse: bool, turns: int, begin: int) -> tuple[list[Tracer], list[Tracer], tree.TreeDef]:
    """A scan op of `count` iterations of `turns` steps each; the first step has number `begin`."""
    program = current()
    if turns > 1:
        sequences = [shaping.reshape(value, (count, turns, *value.shape[1:])) for value in sequences]
    with program.nested(bodies.title_of(f"the body of {what}")) as block:
        index = bodies.add_argument(program, block, (), dtypes.i32)
        carried = [carries.like_first(bodies.add_argument(program, block, v.shape, v.dtype), v)
                   for v in carry.leaves]
        slices = [bodies.add_argument(program, block, v.shape[1:], v.dtype) for v in sequences]
        if turns == 1:
            number = elementwise.add(index, begin) if begin else index
            out, results = step(number, carried, slices)
            carried = carries.checked(what, body, carry, out)
            stacked, structure = results.leaves, results.structure
        else:
            first = elementwise.add(elementwise.multiply(index, turns), begin)
            found: dict[int, list[Tracer]] = {}
            for k in reversed(range(turns)) if reverse else range(turns):
                now = [carries.like_first(value, v) for value, v in zip(carried, carry.leaves)]
                out, results = step(elementwise.add(first, k), now, [value[k] for value in slices])
                carried, found[k] = carries.checked(what, body, carry, out), results.leaves
                structure = results.structure
            stacked = [shaping.stack([found[k][i] for k in range(turns)]) for i in range(structure.count)]
        bodies.end_block(program, block, [*carried, *stacked])
    if stacked and not count:
        raise ShapeError("TS3020", f"{what} of length 0 would stack results of size 0", got="length 0",
                         expected="a length of at least 1", hint=NO_ELEMENTS_HINT)
    names, types = bodies.joined(carry.leaves)
    over, over_types = bodies.joined(sequences)
    direction = " reverse" if reverse else ""
    results = bodies.emit_control(
        f"tessera.scan ({names}) over ({over}) length {count}{direction} : ({types}) over ({over_types}) -> ",
        [("", block)],
        [(v.shape, v.dtype) for v in carry.leaves] + [((count, *v.shape), v.dtype) for v in stacked],
        [*carry.leaves, *sequences])
    last, rows = results[: len(carried)], results[len(carried) :]
    if turns > 1:
        rows = [shaping.reshape(row, (count * turns, *row.shape[2:])) for row in rows]
    return last, rows, structure


def _while_below(bounds: Sequence[int | Tracer], body: Callable, init: Any) -> Any:
    """The loop from a traced bound to another."""
    lower, upper = promote_operands(bounds)
    carry = bodies.lifted(init, "the carry of ts.fori_loop")

    def condition(counter: list[Tracer], carried: list[Tracer]) -> Tracer:
        return elementwise.less(counter[0], upper)

    def step(counter: list[Tracer], carried: list[Tracer]) -> Values:
        return bodies.lifted(body(counter[0], tree.unflatten(carry.structure, carried)),
                             "the carry that the body of ts.fori_loop gives")

    return _while("ts.fori_loop", body, body, condition, step, carry, [lower])


def _while(what: str, cond_fun: Callable, body_fun: Callable, condition: Callable, step: Callable,
           carry: Values, counter: Sequence[Tracer] = ()) -> Any:
    """A while op. Its carried values begin with those of `counter`, which each iteration adds 1 to."""
    program = current()

    def arguments(block: Block, carry: Values) -> tuple[list[Tracer], list[Tracer]]:
        first = [*counter, *carry.leaves]
        made = [carries.like_first(bodies.add_argument(program, block, v.shape, v.dtype), v) for v in first]
        return made[: len(counter)], made[len(counter) :]

    def attempt(carry: Values) -> list[Tracer]:
        with program.nested(bodies.title_of(f"the condition of {what}")) as test:
            holds = condition(*arguments(test, carry))
            bodies.end_block(program, test, [_predicate(what, cond_fun, holds)])
        with program.nested(bodies.title_of(f"the body of {what}")) as block:
            count, carried = arguments(block, carry)
            after = carries.checked(what, body_fun, carry, step(count, carried))
            bodies.end_block(program, block, [*[elementwise.add(c, 1) for c in count], *after])
        first = [*counter, *carry.leaves]
        names, types = bodies.joined(first)
        results = bodies.emit_control(f"tessera.while ({names}) : ({types}) -> ",
                                      [("cond ", test), (" do ", block)],
                                      [(v.shape, v.dtype) for v in first], first)
        return [carries.like_first(new, old) for new, old in zip(results, first)][len(counter) :]

    return tree.unflatten(carry.structure, carries.settled(carry, attempt))


def _predicate(what: str, cond_fun: Callable, value: Any) -> Tracer:
    """What a condition gives: a scalar boolean."""
    given = bodies.lifted(value, f"what the condition of {what} gives")
    if given.structure != tree.LEAF or given.leaves[0].shape or given.leaves[0].dtype != dtypes.bool_:
        raise TraceError("TS1039", f"the condition of {what} must return a scalar boolean", expected="bool[]",
                         got=str(given), notes=[f"the condition is {bodies.place_of(cond_fun)}"],
                         hint="compare, such as carry > 0; ts.all and ts.any make one of many")
    return given.leaves[0]
