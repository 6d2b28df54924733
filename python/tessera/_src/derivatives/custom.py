# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What functions with derivative rules by hand have in common."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tessera._src.control_flow import bodies
from tessera._src.core import dtypes, source, tree
from tessera._src.core.errors import ConfigError, TraceError, did_you_mean
from tessera._src.derivatives import recursion, traced
from tessera._src.functions import eager
from tessera._src.functions.calling import positions_of_parameters
from tessera._src.tracing.operands import convert, lift
from tessera._src.tracing.program_text import FunctionText, current, is_tracing
from tessera._src.tracing.tracer import Tracer


class Custom:
    """A function with a rule of its own: what ts.custom_vjp and ts.custom_jvp have in common."""

    def __init__(self, fun: Callable, nondiff_argnums: int | Sequence[int] = (),
                 nondiff_argnames: str | Sequence[str] = ()):
        bodies.check_callable(self.what, "the function", fun)
        functools.update_wrapper(self, fun)
        self.fun = fun
        try:
            self.signature = inspect.signature(fun)
        except (TypeError, ValueError):
            raise TraceError("TS1024", f"{fun!r} has no signature to trace") from None
        names = list(self.signature.parameters)
        numbers = positions_of_parameters("nondiff_argnums", fun, nondiff_argnums)
        for number in numbers:
            if not -len(names) <= number < len(names):
                raise ConfigError("TS4006", f"nondiff_argnums has {number}, but {self.name} has {len(names)} "
                                  "parameters", choices=[f"{i} ({name})" for i, name in enumerate(names)])
        listed = [nondiff_argnames] if isinstance(nondiff_argnames, str) else list(nondiff_argnames)
        for name in listed:
            if name not in names:
                raise ConfigError("TS4006", f"nondiff_argnames names '{name}', which is not a parameter of "
                                  f"{self.name}", choices=names, hint=did_you_mean(name, names))
        self.static = [i for i, name in enumerate(names)
                       if i in [n % len(names) for n in numbers] or name in listed]
        self.static_names = [names[i] for i in self.static]
        # What rules are called with; None where only a call says how many arguments there are.
        kinds = [parameter.kind for parameter in self.signature.parameters.values()]
        self.parameters = None if inspect.Parameter.VAR_POSITIONAL in kinds else [
            name for name, kind in zip(names, kinds)
            if kind in (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)]

    what = ""  # The decorator, in messages.
    roles: tuple[str, ...] = ()  # What the functions of the rule are to the call.

    @property
    def name(self) -> str:
        """The function's name in messages."""
        return getattr(self.fun, "__name__", type(self.fun).__name__)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        try:
            bound = self.signature.bind(*args, **kwargs)
        except TypeError as error:
            raise TraceError("TS1025", f"{self.name} cannot be called so: {error}") from None
        bound.apply_defaults()
        if not is_tracing():
            return eager.run(self._call, bound.args, bound.kwargs, self.fun)
        return self._call(*bound.args, **bound.kwargs)

    def _call(self, *args: Any, **kwargs: Any) -> Any:
        if kwargs:
            raise TraceError("TS1025", f"{self.name} has arguments that can be given by name only",
                             got=", ".join(kwargs), hint="a function with a derivative rule takes its "
                             "arguments by position")
        self._check_rule([f"argument {i}" for i in range(len(args))] if self.parameters is None
                         else self.parameters)
        statics = [args[i] for i in self.static]
        moving = tuple(value for i, value in enumerate(args) if i not in self.static)
        given = bodies.lifted(moving, f"an argument of {self.name}")
        paths = [f"{i}" for i in range(len(given.leaves))]

        def build(leaves: list) -> tuple[tuple, dict]:
            values = iter(tree.unflatten(given.structure, leaves))
            whole = iter(statics)
            return tuple(next(whole) if i in self.static else next(values) for i in range(len(args))), {}

        of = traced.trace(self.what, self.fun, given.leaves, build, paths, embeds=True, rewrites=False)
        self.refuse_outside(self.fun, of.operands[len(given.leaves) :])
        rules = recursion.rules_of(self, of, given, statics, lambda: self._rules(of, given, statics, build))
        return tree.unflatten(of.structure, of.marked(traced.call(of.function, of.operands, rules)))

    def _check_rule(self, arguments: Sequence[str]) -> None:
        """Raises where there is no rule, or none for a call with these arguments."""
        raise NotImplementedError

    def _rules(self, of: traced.Traced, given: bodies.Values, statics: list, build: Callable
               ) -> dict[str, FunctionText]:
        """The functions of the rule, traced, by what they are to the call."""
        raise NotImplementedError

    def _trace_rule(self, rule: Callable, leaves: Sequence[Tracer], build: Callable) -> traced.Traced:
        """A function of the rule, traced."""
        @functools.wraps(rule)
        def inside(*args: Any) -> Any:
            recursion.enter(current())
            return rule(*args)

        return traced.trace(self.what, inside, leaves, build, embeds=True, rewrites=False)

    def wrong(self, role: str, what: str, function: Callable, expected: str | None, got: str,
              hint: str | None = None) -> TraceError:
        """An error about what one of the user's functions gives.

        Args:
            role: what that function is: "the rule".
        """
        return TraceError("TS1045", f"{role} of {self.name} {what}", expected=expected, got=got,
                          notes=[defined(function)], hint=hint)

    def refuse_outside(self, where: Callable, values: Sequence[Tracer]) -> None:
        """Raises if a function uses values from outside: the rule gives them no derivative."""
        if values:
            raise TraceError(
                "TS1046", f"{self.name}, which has a derivative rule, uses traced values from outside",
                got=", ".join(map(repr, values[:4])), notes=[defined(where)],
                hint="pass them as arguments, also arrays of the host above 1 MiB; values fixed when tracing "
                "can be in nondiff_argnums")

    def fitted(self, value: Tracer, shape: tuple[int, ...], dtype: np.dtype, role: str, what: str,
               function: Callable) -> Tracer:
        """A value that a user's function gives in place of one of this shape and type."""
        if value.is_weak:
            value = convert(value, dtype)
        if (value.shape, value.dtype) != (shape, dtype):
            raise self.wrong(role, what, function, described(shape, dtype),
                             described(value.shape, value.dtype))
        return lift(value)


def described(shape: tuple[int, ...], dtype: np.dtype) -> str:
    """A type in messages: "f32[2, 3]"."""
    return f"{dtypes.name_of(dtype)}{list(shape)}"


def defined(function: Callable) -> str:
    """A note on where a function is."""
    place = source.function_location(function)
    where = f" at {source.shown_paths(f'{place.file}:{place.line}')}" if place else ""
    return f"it is {getattr(function, '__name__', type(function).__name__)}{where}"


def kind_of(value: Any) -> str:
    """What a value is that should have been a tuple."""
    return f"a tuple of {len(value)}" if isinstance(value, tuple) else f"a {type(value).__name__}"
