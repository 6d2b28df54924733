# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Gradients of functions with a scalar result: ts.grad, ts.value_and_grad."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tessera._src.control_flow import bodies
from tessera._src.core import dtypes, tree
from tessera._src.core.errors import ConfigError, TraceError, did_you_mean
from tessera._src.derivatives import modes, traced
from tessera._src.derivatives.precision import Precision, widen
from tessera._src.derivatives.value_form import gradient_of
from tessera._src.functions import eager
from tessera._src.functions.calling import check_call
from tessera._src.ops import creation
from tessera._src.tracing.operands import convert, is_scalar, number_as_array
from tessera._src.tracing.program_text import is_tracing
from tessera._src.tracing.tracer import Tracer


def value_and_grad(fun: Callable, argnums: int | Sequence[int] | None = None, has_aux: bool = False, *,
                   argnames: str | Sequence[str] | None = None,
                   precision: Precision | None = None) -> Callable:
    """A function of the arguments of `fun` that gives its value and its gradient, a pair.

    `fun` gives a scalar of floats. The gradient by an argument is a tree like it; the result's second
    part is the gradient by one argument where `argnums` is an integer, else a tuple. Works in a traced
    function, and on arrays outside of one, where it is compiled and run.

        loss, gradients = ts.value_and_grad(loss_of)(weights, batch)

    Args:
        argnums: positions of the arguments to differentiate by; by default 0.
        has_aux: whether `fun` gives a pair (value, aux), where aux is any tree that is not
            differentiated here; then the result's first part is such a pair. Derivatives around this one
            see how aux depends on the arguments.
        argnames: names of arguments to differentiate by, in place of `argnums`; the gradient is a
            dictionary, or the gradient itself for one name that is no list.
        precision: the types in which gradients are formed, and summed over devices.

    Raises:
        TraceError: the value is not a scalar of floats, or an argument is not of floats.
        ConfigError: argnums or argnames that are no arguments, or both.
    """
    return _Gradient("ts.value_and_grad", fun, argnums, argnames, has_aux, with_value=True,
                     precision=precision).function()


def grad(fun: Callable | Tracer, argnums: Any = None, has_aux: bool = False, *,
         argnames: str | Sequence[str] | None = None, precision: Precision | None = None) -> Any:
    """As ts.value_and_grad, but the function gives the gradient alone, or with has_aux (gradient, aux).

    ts.grad(loss, weights), with a traced scalar and a tree of values that it was computed from, is the
    gradient itself, without further options. As in torch, a value that it was not computed from is an
    error; one that it depends on in steps without derivative, as ts.stop_gradient, has zeros.
    """
    if isinstance(fun, Tracer):
        options = {"has_aux": has_aux or None, "argnames": argnames, "precision": precision}
        for name, value in options.items():
            if value is not None:
                raise ConfigError("TS4006", f"ts.grad(loss, weights) has no option {name}",
                                  got=f"{name}={value!r}",
                                  hint=f"give ts.grad a function: ts.grad(loss_of, {name}=...)(weights)")
        return gradient_of(fun, argnums)
    return _Gradient("ts.grad", fun, argnums, argnames, has_aux, with_value=False,
                     precision=precision).function()


class _Gradient:
    """What one call of ts.grad or ts.value_and_grad asks for."""

    def __init__(self, what: str, fun: Callable, argnums: Any, argnames: Any, has_aux: bool,
                 with_value: bool, precision: Precision | None):
        bodies.check_callable(what, "the function", fun)
        if precision is not None and not isinstance(precision, Precision):
            raise ConfigError("TS4006", f"precision of {what} is {precision!r}",
                              expected="a ts.Precision, such as ts.Precision(grad=ts.f32)")
        if argnums is not None and argnames is not None:
            raise ConfigError("TS4006", f"{what} has both argnums and argnames",
                              got=f"argnums={argnums!r}, argnames={argnames!r}",
                              hint="select all of them by position, or all by name")
        argnums = 0 if argnums is None else argnums
        self.precision = precision or Precision()
        self.what, self.fun, self.has_aux, self.with_value = what, fun, has_aux, with_value
        self.is_named = argnames is not None
        self.is_single = isinstance(argnames if self.is_named else argnums, (int, str, np.integer))
        self.argnums = () if self.is_named else positions(what, argnums)
        self.argnames = self._names(argnames) if self.is_named else ()

    def _names(self, argnames: Any) -> tuple[str, ...]:
        listed = [argnames] if self.is_single else argnames
        if not isinstance(listed, (list, tuple)) or not listed or any(not isinstance(n, str) for n in listed):
            raise ConfigError("TS4006", f"argnames of {self.what} is {argnames!r}",
                              expected="a name, or a tuple of names such as ('weights', 'bias')")
        if len(set(listed)) != len(listed):
            raise ConfigError("TS4006", f"argnames of {self.what} is {argnames!r}, with a name twice",
                              expected="different names")
        return tuple(listed)

    def function(self) -> Callable:
        """The function that the user calls."""
        def gradient(*args: Any, **kwargs: Any) -> Any:
            args, kwargs = self._bound(args, kwargs)
            if is_tracing():
                return self.traced(args, kwargs)
            return eager.run(self.traced_call, *self._concrete(args, kwargs), self.fun)

        functools.update_wrapper(gradient, self.fun)
        # The annotation of the value is not that of the gradient.
        gradient.__annotations__ = {name: kind for name, kind in getattr(
            self.fun, "__annotations__", {}).items() if name != "return"}
        return gradient

    def traced_call(self, *args: Any, **kwargs: Any) -> Any:
        """What is compiled outside of a trace."""
        return self.traced(args, kwargs)

    def _bound(self, args: tuple, kwargs: dict) -> tuple[tuple, dict]:
        """Arguments, those differentiated by position among the positional ones."""
        count = len(args)
        for number in self.argnums:
            if not -count <= number < count:
                raise ConfigError(
                    "TS4006", f"argnums of {self.what} has {number}, but {_name(self.fun)} is called with "
                    f"{count} positional arguments", got=f"named: {', '.join(kwargs)}" if kwargs else None,
                    hint="pass the argument by position, or select it with argnames"
                    + ("; static arguments of ts.jit are passed by name, and have no derivative"
                       if kwargs else ""))
        refuse_repeated(self.what, self.argnums, count)
        check_call(self.fun, args, kwargs)
        if not self.argnames:
            return args, kwargs
        try:
            parameters = inspect.signature(self.fun)
            bound = parameters.bind(*args, **kwargs)
        except (TypeError, ValueError) as error:
            raise TraceError("TS1025", f"{_name(self.fun)} cannot be called so: {error}") from None
        for name in self.argnames:
            if name not in bound.arguments and name not in kwargs:
                raise ConfigError("TS4006", f"argnames of {self.what} names '{name}', which is no argument "
                                  "of this call", choices=list(parameters.parameters),
                                  hint=did_you_mean(name, list(parameters.parameters)))
        names = list(parameters.parameters)
        given = list(parameters.parameters.values())[: len(args)]
        first = next((i for i, parameter in enumerate(given) if parameter.name in self.argnames
                      and parameter.kind != parameter.KEYWORD_ONLY), len(args))
        for parameter in given[first:]:
            if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.VAR_POSITIONAL):
                raise ConfigError(
                    "TS4006", f"argnames of {self.what} passes arguments by name from '{given[first].name}' "
                    f"on, and {_name(self.fun)} takes '{parameter.name}' by position only",
                    hint=f"select it with argnums={first}")
        rest = dict(zip(names[first : len(args)], args[first:]))
        return args[:first], {**rest, **kwargs}

    def _concrete(self, args: tuple, kwargs: dict) -> tuple[tuple, dict]:
        """Arguments whose numbers are arrays where they are differentiated by."""
        wanted = {number % len(args) for number in self.argnums}
        return (tuple(tree.map(number_as_array, value) if i in wanted else value
                      for i, value in enumerate(args)),
                {name: tree.map(number_as_array, value) if name in self.argnames else value
                 for name, value in kwargs.items()})

    def traced(self, args: tuple, kwargs: dict) -> Any:
        """Value and gradient in the program being traced."""
        numbers = [number % len(args) for number in self.argnums]
        wanted = [args[number] for number in numbers] + [kwargs[name] for name in self.argnames]
        names = [parameter_name(self.fun, number) for number in numbers] + list(self.argnames)
        for value, name in zip(wanted, names):
            _check_leaves(self.what, value, name)
        given = bodies.lifted(tuple(wanted), f"an argument of {self.what}")
        paths = [path_in(names, path) for path in tree.paths(given.structure)]
        traced.check_floats(self.what, given.leaves, paths)

        def build(leaves: list) -> tuple[tuple, dict]:
            leaves = [convert(leaf, own.dtype) for leaf, own in zip(leaves, given.leaves)]
            values = tree.unflatten(given.structure, leaves)
            positional, named = list(args), dict(kwargs)
            for number, value in zip(numbers, values):
                positional[number] = value
            named.update(zip(self.argnames, values[len(numbers) :]))
            return tuple(positional), named

        values = modes.pulled_back(self.what, self.fun, widen(given.leaves, self.precision), build, paths,
                                   range(len(given.leaves)), self.has_aux)
        self._check_scalar(values)
        one = creation.ones((), values.leaves[0].dtype)
        leaves = [convert(leaf, self.precision.type_of(own.dtype)) for leaf, own in zip(
            values.pull(tree.unflatten(values.structure, [one])), given.leaves)]
        gradients = self.precision.reduced(tree.unflatten(given.structure, leaves))
        gradient: Any = gradients
        if self.is_single:
            gradient = gradients[0]
        elif self.is_named:
            gradient = dict(zip(self.argnames, gradients))
        if not self.with_value:
            return (gradient, values.aux) if self.has_aux else gradient
        return ((values.value, values.aux) if self.has_aux else values.value), gradient

    def _check_scalar(self, values: modes.Pulled) -> None:
        leaves = values.leaves
        is_one = values.structure == tree.LEAF
        if is_one and not leaves[0].shape and dtypes.is_float(leaves[0].dtype):
            return
        got = (f"{dtypes.name_of(leaves[0].dtype)}{list(leaves[0].shape)}" if is_one
               else tree.describe(values.structure))
        raise TraceError(
            "TS1043", f"{self.what} differentiates functions with one scalar result of floats", got=got,
            notes=[f"the function is {bodies.place_of(inspect.unwrap(self.fun))}"],
            hint="sum or average it, such as x.sum(); has_aux=True lets the function return more; "
                 "ts.vjp and ts.jacrev take results of any shape")


def _check_leaves(what: str, value: Any, name: str) -> None:
    """Raises if an argument has leaves that no derivative is by."""
    leaves, structure = tree.flatten(value)
    for leaf, path in zip(leaves, tree.paths(structure)):
        if not (isinstance(leaf, Tracer) or hasattr(leaf, "__array__") or is_scalar(leaf)):
            raise TraceError(
                "TS1040",
                f"{what} cannot differentiate by argument '{name}{'.' if path else ''}{path}', which is a "
                f"{type(leaf).__name__}", expected="an array of floats, or a tree of them",
                hint="choose other arguments with argnums")


def _name(fun: Callable) -> str:
    return getattr(fun, "__name__", type(fun).__name__)


def parameter_name(fun: Callable, number: int) -> str:
    """The name of a positional parameter."""
    try:
        names = list(inspect.signature(fun).parameters)
    except (TypeError, ValueError):
        return str(number)
    return names[number] if number < len(names) else str(number)


def positions(what: str, argnums: Any) -> tuple[int, ...]:
    """The positions of arguments that an option names, one or several."""
    listed = [argnums] if isinstance(argnums, (int, np.integer)) else argnums
    if not isinstance(listed, (list, tuple, range)) or not listed or any(
            isinstance(n, bool) or not isinstance(n, (int, np.integer)) for n in listed):
        raise ConfigError("TS4006", f"argnums of {what} is {argnums!r}",
                          expected="a position, or a tuple of positions such as (0, 2)")
    return tuple(int(n) for n in listed)


def refuse_repeated(what: str, argnums: Sequence[int], count: int) -> None:
    """Raises where two of the positions are the same argument of a call with `count` of them."""
    if len({number % count for number in argnums}) != len(argnums):
        raise ConfigError("TS4006", f"argnums of {what} is {tuple(argnums)}, which has an argument twice",
                          expected="different positions",
                          got=f"a call with {count} positional argument{'' if count == 1 else 's'}")


def path_in(names: list[str], path: str) -> str:
    """A leaf's path with the name of its argument."""
    number, dot, rest = path.partition(".")
    return names[int(number)] + dot + rest
