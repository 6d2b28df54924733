# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Jacobians and Hessians: ts.jacrev, ts.jacfwd, ts.hessian."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tessera._src.batching.vmap import vmap
from tessera._src.control_flow import bodies
from tessera._src.core import tree
from tessera._src.core.errors import ConfigError
from tessera._src.derivatives import modes, traced
from tessera._src.derivatives.gradients import parameter_name, path_in, positions, refuse_repeated
from tessera._src.functions import eager
from tessera._src.functions.calling import check_call
from tessera._src.ops import creation, shaping
from tessera._src.tracing.operands import number_as_array
from tessera._src.tracing.program_text import is_tracing
from tessera._src.tracing.tracer import Tracer


def jacrev(fun: Callable, argnums: int | Sequence[int] = 0, has_aux: bool = False) -> Callable:
    """A function of the arguments of `fun` that gives its Jacobian, by reverse mode, all rows at once.

    For a value of shape v and an argument of shape a it has shape (*v, *a); for trees it is a tree like
    the value of trees like the argument. The pullback is computed for a batch (ts.vmap) with an entry per
    element of the value.

    Args:
        argnums: positions of the arguments to differentiate by; a tuple gives a tuple.
        has_aux: whether `fun` gives a pair (value, aux); then (Jacobian, aux) is returned.
    """
    return _Jacobian("ts.jacrev", fun, argnums, has_aux, _by_rows).function()


def jacfwd(fun: Callable, argnums: int | Sequence[int] = 0, has_aux: bool = False) -> Callable:
    """As ts.jacrev, by forward mode: for a batch with a tangent per element of the arguments."""
    return _Jacobian("ts.jacfwd", fun, argnums, has_aux, _by_columns).function()


def hessian(fun: Callable, argnums: int | Sequence[int] = 0, has_aux: bool = False) -> Callable:
    """A function that gives the second derivatives of `fun`: ts.jacfwd of ts.jacrev."""
    first = _Jacobian("ts.hessian", fun, argnums, has_aux, _by_rows).function()
    return _Jacobian("ts.hessian", first, argnums, has_aux, _by_columns).function()


class _Jacobian:
    def __init__(self, what: str, fun: Callable, argnums: Any, has_aux: bool, rows: Callable):
        bodies.check_callable(what, "the function", fun)
        self.what, self.fun, self.has_aux, self.rows = what, fun, has_aux, rows
        self.is_single = isinstance(argnums, (int, np.integer))
        self.argnums = positions(what, argnums)

    def function(self) -> Callable:
        """The function that the user calls."""
        def jacobian(*args: Any, **kwargs: Any) -> Any:
            for number in self.argnums:
                if not -len(args) <= number < len(args):
                    raise ConfigError("TS4006", f"argnums of {self.what} has {number}, but the function is "
                                      f"called with {len(args)} positional arguments")
            refuse_repeated(self.what, self.argnums, len(args))
            check_call(self.fun, args, kwargs)
            if is_tracing():
                return self.traced(*args, **kwargs)
            wanted = {number % len(args) for number in self.argnums}
            return eager.run(self.traced, tuple(
                tree.map(number_as_array, value) if i in wanted else value
                for i, value in enumerate(args)), kwargs, self.fun)

        functools.update_wrapper(jacobian, self.fun)
        jacobian.__annotations__ = {name: kind for name, kind in getattr(
            self.fun, "__annotations__", {}).items() if name != "return"}
        return jacobian

    def traced(self, *args: Any, **kwargs: Any) -> Any:
        """The Jacobian in the program being traced."""
        numbers = [number % len(args) for number in self.argnums]
        given = bodies.lifted(tuple(args[number] for number in numbers), f"an argument of {self.what}")
        names = [parameter_name(self.fun, number) for number in numbers]
        traced.check_floats(self.what, given.leaves,
                            [path_in(names, path) for path in tree.paths(given.structure)])

        def of(*values: Any) -> Any:
            positional = list(args)
            for number, value in zip(numbers, values):
                positional[number] = value
            return self.fun(*positional, **kwargs)

        result, aux = self.rows(self.what, of, given, self.has_aux, self.is_single)
        return (result, aux) if self.has_aux else result


def _units(leaf: Tracer) -> Tracer:
    """For each element, one there and zeros elsewhere."""
    return shaping.reshape(creation.eye(leaf.size, dtype=leaf.dtype), (leaf.size, *leaf.shape))


def _by_rows(what: str, of: Callable, given: bodies.Values, has_aux: bool, is_single: bool) -> tuple:
    arguments = given.tree
    made = modes.traced_vjp(what, of, arguments, has_aux)
    value, pullback, aux = made if has_aux else (*made, None)
    leaves, structure = tree.flatten(value)
    traced.check_floats(what, leaves, tree.paths(structure), "the result",
                        hint="convert it with .astype(ts.f32), or return it beside with has_aux=True")

    def rows_of(leaf: Tracer, place: int) -> Any:
        def row(unit: Tracer) -> Any:
            cotangents = [unit if i == place else creation.zeros(other.shape, other.dtype)
                          for i, other in enumerate(leaves)]
            return pullback(tree.unflatten(structure, cotangents))

        stacked = vmap(row)(_units(leaf))
        shaped = tree.map(lambda rows: shaping.reshape(rows, (*leaf.shape, *rows.shape[1:])), stacked)
        return shaped[0] if is_single else shaped

    return tree.unflatten(structure, [rows_of(leaf, i) for i, leaf in enumerate(leaves)]), aux


def _by_columns(what: str, of: Callable, given: bodies.Values, has_aux: bool, is_single: bool) -> tuple:
    arguments = given.tree
    made = modes.traced_linearize(what, of, arguments, has_aux)
    value, pushed, aux = made if has_aux else (*made, None)
    leaves, structure = tree.flatten(value)
    columns: list[list[Tracer]] = []  # For each leaf of the arguments, the part of each leaf of the value.
    for place, leaf in enumerate(given.leaves):
        def column(unit: Tracer, place: int = place) -> Any:
            tangents = [unit if i == place else creation.zeros(other.shape, other.dtype)
                        for i, other in enumerate(given.leaves)]
            return tree.flatten(pushed(*tree.unflatten(given.structure, tangents)))[0]

        # The elements of the arguments are the last dimension of each part.
        stacked = vmap(column, out_axes=-1)(_units(leaf))
        columns.append([shaping.reshape(part, (*part.shape[:-1], *leaf.shape))
                        for part in stacked])

    def of_leaf(i: int) -> Any:
        parts = tree.unflatten(given.structure, [column[i] for column in columns])
        return parts[0] if is_single else parts

    return tree.unflatten(structure, [of_leaf(i) for i in range(len(leaves))]), aux
