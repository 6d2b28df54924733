# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Functions of one entry computed for a batch of them: ts.vmap."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tessera._src.batching.axes import describe_axis, is_axis, spread
from tessera._src.callees import traced as callees
from tessera._src.control_flow import bodies
from tessera._src.core import tree
from tessera._src.core.errors import ConfigError, ShapeError, TraceError
from tessera._src.functions import eager
from tessera._src.functions.calling import check_call
from tessera._src.ops import shaping
from tessera._src.programs import native
from tessera._src.tracing.operands import is_scalar, lift
from tessera._src.tracing.program_text import FunctionText, current, is_tracing
from tessera._src.tracing.tracer import Tracer


def vmap(fun: Callable, in_axes: Any = 0, out_axes: Any = 0, *, axis_size: int | None = None,
         spmd_axis_name: str | Sequence[str] | None = None) -> Callable:
    """A function that computes `fun` for each entry of a batch, all at once.

    The arguments have a dimension more than those of `fun`, along which the entries are, and so have the
    results. It is not a loop: a product with weights that all entries share is one product. Works in a
    traced function, and on arrays outside of one, where it is compiled and run.

        similarity = ts.vmap(ts.vmap(ts.dot, (None, 0)), (0, None))  # Of all pairs of rows.

    What `fun` prints or checks (ts.debug) is printed once, of the whole batch. A ts.while_loop whose
    condition differs from entry to entry runs until no entry goes on, and a ts.cond whose predicate differs
    computes both branches, of which each entry has the value and the derivative of its own; these may not
    print or check. Rules of ts.custom_vjp, ts.custom_jvp and ts.checkpoint are kept.

    Args:
        in_axes: the dimension of the entries in the positional arguments: an integer for all leaves (from
            the end if negative), None for arguments that all entries share, or a tuple with an entry per
            argument, each a tree of these that may stop early. Arguments by name have it in front.
        out_axes: the same for the results; None for one that does not differ from entry to entry.
        axis_size: the number of entries; needed only where no argument has them.
        spmd_axis_name: axes of the mesh. Where `fun` states the layout of a value
            (ts.with_sharding_constraint), the entries are split along them; else the compiler chooses.

    Raises:
        ConfigError: axes that do not fit the arguments or the results.
        ShapeError: arguments that have no such dimension, or different numbers of entries.
    """
    bodies.check_callable("ts.vmap", "the function", fun)
    if isinstance(in_axes, list):
        in_axes = tuple(in_axes)
    if not (in_axes is None or is_axis(in_axes) or isinstance(in_axes, tuple)):
        raise ConfigError("TS4006", f"in_axes of ts.vmap is {in_axes!r}", choices=[
            "an integer", "None", "a tuple with an entry per positional argument"])
    if axis_size is not None and (isinstance(axis_size, bool) or not isinstance(axis_size, (int, np.integer))
                                  or axis_size < 1):
        raise ConfigError("TS4006", f"axis_size of ts.vmap is {axis_size!r}",
                          expected="an integer of at least 1, or None")
    return _Batch(fun, in_axes, out_axes, axis_size, _mesh_axes(spmd_axis_name)).function()


def _mesh_axes(names: Any) -> tuple[str, ...]:
    """What spmd_axis_name names; whether the mesh has it is known where it is called."""
    listed = [] if names is None else [names] if isinstance(names, str) else names
    if not isinstance(listed, (list, tuple)) or not all([isinstance(name, str) for name in listed]):
        raise ConfigError("TS4006", f"spmd_axis_name of ts.vmap is {names!r}",
                          expected="an axis of the mesh, such as 'dp', or a tuple of them")
    return tuple(listed)


@dataclass(frozen=True)
class _Entry:
    """An argument's leaf that has the entries, or does not."""

    leaf: Any
    axis: int | None
    path: str  # In messages.


class _Batch:
    """What one call of ts.vmap asks for."""

    def __init__(self, fun: Callable, in_axes: Any, out_axes: Any, axis_size: int | None,
                 names: tuple[str, ...]):
        self.fun, self.in_axes, self.out_axes = fun, in_axes, out_axes
        self.axis_size, self.names = axis_size, names

    def function(self) -> Callable:
        """The function that the user calls."""
        def batched(*args: Any, **kwargs: Any) -> Any:
            check_call(self.fun, args, kwargs)
            if is_tracing():
                return self.traced(*args, **kwargs)
            return eager.run(self.traced, args, kwargs, self.fun)

        functools.update_wrapper(batched, self.fun)
        # Annotations are about one entry.
        batched.__annotations__ = {}
        try:
            signature = inspect.signature(self.fun)
        except (TypeError, ValueError):
            return batched
        batched.__signature__ = signature.replace(  # type: ignore[attr-defined]
            parameters=[p.replace(annotation=p.empty) for p in signature.parameters.values()],
            return_annotation=inspect.Signature.empty)
        return batched

    def traced(self, *args: Any, **kwargs: Any) -> Any:
        """The results for all entries in the program being traced."""
        for name in self.names:
            current().mesh.check_axis(name, "spmd_axis_name of ts.vmap")
        structure = tree.flatten((args, kwargs))[1]
        entries = self._entries(args, kwargs)
        size = self._size(entries)
        batched = [i for i, entry in enumerate(entries) if entry.axis is not None]
        leaves = [_in_front(entries[i]) for i in batched]

        def build(given: list) -> tuple[tuple, dict]:
            whole = [entry.leaf for entry in entries]
            for i, leaf in zip(batched, given):
                whole[i] = leaf
            return tree.unflatten(structure, whole)

        of = callees.trace("ts.vmap", self.fun, leaves, build, [entries[i].path for i in batched], lead=1,
                           derives=False)
        function, depends = _vectorize(of.function, of.mesh, size, len(leaves), self.names)
        results = callees.call(function, of.operands)
        return self._placed(of, results, depends, size)

    def _entries(self, args: tuple, kwargs: dict) -> list[_Entry]:
        """The leaves of the arguments, with their axes."""
        leaves, structure = tree.flatten(args)
        if isinstance(self.in_axes, tuple) and len(self.in_axes) != len(args):
            raise ConfigError("TS4006", f"in_axes of ts.vmap has {len(self.in_axes)} entries, but "
                              f"{_name(self.fun)} is called with {len(args)} positional arguments",
                              got=repr(self.in_axes)[:80], hint="give an entry per positional argument; "
                              "arguments by name have the entries in front")
        axes = spread("in_axes", self.in_axes, structure, "the arguments")
        named, names = tree.flatten(kwargs)
        paths = [_argument(self.fun, path) for path in tree.paths(structure)]
        return [*[_Entry(*each) for each in zip(leaves, axes, paths)],
                *[_Entry(leaf, 0, path) for leaf, path in zip(named, tree.paths(names))]]

    def _size(self, entries: list[_Entry]) -> int:
        sizes: dict[str, int] = {}
        for entry in entries:
            if entry.axis is None:
                continue
            is_array = isinstance(entry.leaf, Tracer) or hasattr(entry.leaf, "__array__")
            if is_scalar(entry.leaf) or not is_array:
                raise TraceError("TS1023", f"argument '{entry.path}' of ts.vmap is a "
                                 f"{type(entry.leaf).__name__}, not an array with entries along "
                                 f"{describe_axis(entry.axis)}",
                                 hint="give it None in in_axes where all entries share it")
            shape = np.shape(entry.leaf) if not isinstance(entry.leaf, Tracer) else entry.leaf.shape
            if not -len(shape) <= entry.axis < len(shape):
                raise ShapeError("TS3025", f"in_axes of ts.vmap gives argument '{entry.path}' axis "
                                 f"{entry.axis}, which it does not have", got=f"shape {tuple(shape)}",
                                 expected=_range(len(shape)))
            sizes[entry.path] = int(shape[entry.axis])
        found = {*sizes.values()} | ({self.axis_size} - {None})
        if len(found) > 1:
            given = "" if self.axis_size is None else f" and axis_size={self.axis_size}"
            raise ShapeError("TS3025", "arguments of ts.vmap have different numbers of entries",
                             got=", ".join(f"{path}: {size}" for path, size in sizes.items()) + given,
                             hint="in_axes says which dimension the entries are along, None for an argument "
                                  "that they share")
        if not found:
            raise ConfigError("TS4006", "ts.vmap has no argument with entries, and no axis_size",
                              got=f"in_axes={self.in_axes!r}",
                              hint="give an argument an axis in in_axes, or say how many results there are "
                                   "with axis_size")
        return int(found.pop())

    def _placed(self, of: callees.Traced, results: list[Tracer], depends: Sequence[bool], size: int) -> Any:
        axes = spread("out_axes", self.out_axes, of.structure, "the results")
        placed = []
        for result, axis, has_entries, path in zip(results, axes, depends, tree.paths(of.structure)):
            where = f"result '{path}'" if path else "the result"
            if axis is None:
                if has_entries:
                    raise ConfigError("TS4006", f"out_axes of ts.vmap is None for {where}, which differs "
                                      "from entry to entry",
                                      got=f"entries of shape {tuple(result.shape[1:])}",
                                      hint="give it an axis, such as 0; or make one value of all entries "
                                           "behind ts.vmap")
                placed.append(result)
                continue
            rank = result.ndim if has_entries else result.ndim + 1
            if not -rank <= axis < rank:
                raise ShapeError("TS3025", f"out_axes of ts.vmap gives {where} axis {axis}, which it does "
                                 "not have", got=f"results of {rank} dimensions with that of the entries",
                                 expected=_range(rank))
            if not has_entries:
                result = shaping.broadcast_to(result, (size, *result.shape))
            placed.append(result if axis % rank == 0 else shaping.moveaxis(result, 0, axis))
        return tree.unflatten(of.structure, of.marked(placed))


def _in_front(entry: _Entry) -> Tracer:
    """An argument with its entries along the first dimension."""
    value = lift(entry.leaf)
    assert entry.axis is not None
    return value if entry.axis % value.ndim == 0 else shaping.moveaxis(value, entry.axis, 0)


@functools.lru_cache(maxsize=256)
def _vectorize(function: FunctionText, mesh: str, size: int, batched: int, names: tuple[str, ...]
               ) -> tuple[FunctionText, tuple[bool, ...]]:
    """The function with the entries in its first `batched` arguments, and which results have them."""
    known = callees.with_callees(function)
    prefix = f"{function.name}.{callees.digest(repr((size, batched, names)))}"
    texts, report = native.vectorize(callees.module_text(known.values(), mesh), function.name, prefix, size,
                                     range(batched), names)
    return callees.described(texts, report, known)[0], tuple(report["batched"])


def _range(rank: int) -> str:
    return f"an axis in [{-rank}, {rank - 1}]" if rank else "None: a scalar has no dimensions"


def _name(fun: Callable) -> str:
    return getattr(fun, "__name__", type(fun).__name__)


def _argument(fun: Callable, path: str) -> str:
    """A leaf's path among the positional arguments, with the parameter's name."""
    number, dot, rest = path.partition(".")
    try:
        names = list(inspect.signature(fun).parameters.values())
    except (TypeError, ValueError):
        return path
    at = int(number)
    if at >= len(names) or any(p.kind == p.VAR_POSITIONAL for p in names[: at + 1]):
        return path
    return names[at].name + dot + rest
