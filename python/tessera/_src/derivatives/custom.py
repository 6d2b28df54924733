# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Derivative rules by hand: ts.custom_vjp, ts.custom_jvp, ts.stop_gradient."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tessera._src.control_flow import bodies
from tessera._src.core import dtypes, source, tree
from tessera._src.core.errors import ConfigError, TraceError
from tessera._src.derivatives import traced
from tessera._src.functions import eager
from tessera._src.ops import creation
from tessera._src.tracing.named_dims import like
from tessera._src.tracing.operands import convert, emit_simple, lift
from tessera._src.tracing.program_text import current, is_tracing
from tessera._src.tracing.tracer import Tracer


def stop_gradient(x: Any) -> Any:
    """A tree of values, unchanged, as values that have no derivative."""
    given = bodies.lifted(x, "the operand of ts.stop_gradient") if is_tracing() else None
    if given is None:
        return x
    return tree.unflatten(given.structure, [
        like(emit_simple("stop_gradient", "", leaf, leaf.shape), leaf) if dtypes.is_float(leaf.dtype) else leaf
        for leaf in given.leaves])


# Derivatives of this order use a rule that calls its own function; those of higher order differentiate what
# the function computes.
_MAX_DEPTH = 2


class _Custom:
    """A function with a rule of its own: what ts.custom_vjp and ts.custom_jvp have in common."""

    def __init__(self, fun: Callable, nondiff_argnums: Sequence[int] = (), nondiff_argnames: Sequence[str] = ()):
        bodies.check_callable(self.what, "the function", fun)
        functools.update_wrapper(self, fun)
        self.fun = fun
        try:
            self.signature = inspect.signature(fun)
        except (TypeError, ValueError):
            raise TraceError("TS1024", f"{fun!r} has no signature to trace") from None
        names = list(self.signature.parameters)
        numbers = [nondiff_argnums] if isinstance(nondiff_argnums, int) else list(nondiff_argnums)
        for number in numbers:
            if not -len(names) <= number < len(names):
                raise ConfigError("TS4006", f"nondiff_argnums has {number}, but {self.name} has {len(names)} "
                                  "parameters", choices=[f"{i} ({name})" for i, name in enumerate(names)])
        listed = [nondiff_argnames] if isinstance(nondiff_argnames, str) else list(nondiff_argnames)
        self.static = [i for i, name in enumerate(names)
                       if i in [n % len(names) for n in numbers] or name in listed]

    what = "ts.custom_vjp"
    # How many rules of this function are being traced, one inside the other: a rule may call its function.
    _depth = 0

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
            return eager.run(self._call, bound.args, bound.kwargs)
        return self._call(*bound.args, **bound.kwargs)

    def _call(self, *args: Any, **kwargs: Any) -> Any:
        if kwargs:
            raise TraceError("TS1025", f"{self.name} has arguments that can be given by name only",
                             got=", ".join(kwargs), hint="a function with a derivative rule takes its "
                             "arguments by position")
        if self._depth >= _MAX_DEPTH:
            return self.fun(*args)
        self._check_rule()
        statics = [args[i] for i in self.static]
        moving = tuple(value for i, value in enumerate(args) if i not in self.static)
        given = bodies.lifted(moving, f"an argument of {self.name}")
        paths = [f"{i}" for i in range(len(given.leaves))]

        def build(leaves: list) -> tuple[tuple, dict]:
            values = iter(tree.unflatten(given.structure, leaves))
            whole = iter(statics)
            return tuple(next(whole) if i in self.static else next(values) for i in range(len(args))), {}

        of = traced.trace(self.what, self.fun, given.leaves, build, paths)
        self._depth += 1
        try:
            return self._emit(of, given, statics, build)
        finally:
            self._depth -= 1

    def _check_rule(self) -> None:
        raise NotImplementedError

    def _emit(self, of: traced.Traced, given: bodies.Values, statics: list, build: Callable) -> Any:
        raise NotImplementedError


class custom_vjp(_Custom):  # noqa: N801 (a decorator)
    """A function whose derivative in reverse mode is given by a pair of functions.

        @ts.custom_vjp
        def clipped(x):
            return x

        def forward(x):            # the arguments of the function
            return clipped(x), ()  # its value, and residuals: any tree of values

        def backward(residuals, cotangent):
            return (ts.clip(cotangent, -1, 1),)  # a cotangent per argument

        clipped.defvjp(forward, backward)

    Arguments named by `nondiff_argnums` are Python values; the backward function gets them first, before
    residuals. Values that the function uses from outside have no derivative through it. Forward mode is
    refused. An argument of integers, or one whose cotangent is None, gets none.
    """

    what = "ts.custom_vjp"

    def __init__(self, fun: Callable, nondiff_argnums: Sequence[int] = (), nondiff_argnames: Sequence[str] = ()):
        super().__init__(fun, nondiff_argnums, nondiff_argnames)
        self.forward: Callable | None = None
        self.backward: Callable | None = None

    def defvjp(self, fwd: Callable, bwd: Callable) -> None:
        """Sets the rule.

        Args:
            fwd: of the function's arguments; gives (value, residuals).
            bwd: of residuals and a cotangent like the value; gives a tuple with a cotangent for each
                argument that is not in nondiff_argnums.
        """
        bodies.check_callable("defvjp", "the forward function", fwd)
        bodies.check_callable("defvjp", "the backward function", bwd)
        self.forward, self.backward = fwd, bwd

    def _check_rule(self) -> None:
        if self.forward is None or self.backward is None:
            raise TraceError("TS1044", f"{self.name} is made by ts.custom_vjp and has no rule",
                             hint=f"set it with {self.name}.defvjp(forward, backward)")

    def _emit(self, of: traced.Traced, given: bodies.Values, statics: list, build: Callable) -> Any:
        count = len(of.results)

        def forward(*args: Any) -> Any:
            pair = self.forward(*args)
            if not isinstance(pair, tuple) or len(pair) != 2:
                raise TraceError("TS1045", f"the forward function of {self.name} must give a pair (value, "
                                 "residuals)", got=f"a tuple of {len(pair)}" if isinstance(pair, tuple)
                                 else f"a {type(pair).__name__}", notes=[_defined(self.forward)])
            return pair

        pair = traced.trace(self.what, forward, given.leaves, build)
        value, residuals = _children(pair.structure)
        if value != of.structure or pair.results[:count] != of.results:
            raise TraceError("TS1045", f"the forward function of {self.name} gives another value than the "
                             "function", expected=_described(of.structure, of.results),
                             got=_described(value, pair.results[: value.count]),
                             notes=[_defined(self.forward)])
        outside = [value for value in pair.operands[len(given.leaves) :]]
        if outside:
            self._refuse_outside(self.forward, outside)
        back = self._trace_backward(of, given, statics, pair, residuals)
        rules = f" fwd @{pair.function.name} bwd @{back.function.name}"
        # Values from outside are arguments of the call; as the rule knows nothing of them, they must not
        # be there.
        if len(of.operands) > len(given.leaves):
            self._refuse_outside(self.fun, of.operands[len(given.leaves) :])
        current().add_function(pair.function)
        current().add_function(back.function)
        return tree.unflatten(of.structure, traced.call(of.function, of.operands, rules))

    def _refuse_outside(self, where: Callable, values: Sequence[Tracer]) -> None:
        raise TraceError("TS1046", f"{self.name}, which has a derivative rule, uses traced values from outside",
                         got=", ".join(map(repr, values[:4])), notes=[_defined(where)],
                         hint="pass them as arguments; values fixed when tracing can be in nondiff_argnums")

    def _trace_backward(self, of: traced.Traced, given: bodies.Values, statics: list, pair: traced.Traced,
                        residuals: tree.TreeDef) -> traced.Traced:
        count = len(of.results)
        kept = pair.results[count:]
        floats = [(shape, dtype) for shape, dtype in of.results if dtypes.is_float(dtype)]
        examples = [creation.zeros(shape, dtype) for shape, dtype in [*kept, *floats]]

        def backward(*leaves: Tracer) -> list[Tracer]:
            cotangents = iter(leaves[len(kept) :])
            whole = [next(cotangents) if dtypes.is_float(dtype) else creation.zeros(shape, dtype)
                     for shape, dtype in of.results]
            result = self.backward(*statics, tree.unflatten(residuals, list(leaves[: len(kept)])),
                                   tree.unflatten(of.structure, whole))
            return self._cotangents(result, given)

        back = traced.trace(self.what, backward, examples, lambda leaves: (tuple(leaves), {}))
        if len(back.operands) > len(examples):
            self._refuse_outside(self.backward, back.operands[len(examples) :])
        return back

    def _cotangents(self, result: Any, given: bodies.Values) -> list[Tracer]:
        """What the backward function gives, as one value for each argument of floats."""
        arguments = tree.unflatten(given.structure, given.leaves)
        if not isinstance(result, tuple) or len(result) != len(arguments):
            raise TraceError(
                "TS1045", f"the backward function of {self.name} must give a tuple with a cotangent for each "
                "argument", expected=f"a tuple of {len(arguments)}",
                got=f"a tuple of {len(result)}" if isinstance(result, tuple) else f"a {type(result).__name__}",
                notes=[_defined(self.backward)], hint="a tuple of one is written (x,)")
        cotangents = []
        for i, (cotangent, argument) in enumerate(zip(result, arguments)):
            leaves, structure = tree.flatten(argument)
            if cotangent is None:
                cotangents += [creation.zeros(leaf.shape, leaf.dtype) for leaf in leaves
                               if dtypes.is_float(leaf.dtype)]
                continue
            values = bodies.lifted(cotangent, f"cotangent {i} that the backward function of {self.name} gives")
            if values.structure != structure:
                raise TraceError("TS1045", f"cotangent {i} that the backward function of {self.name} gives has "
                                 "another structure than the argument", expected=tree.describe(structure),
                                 got=tree.describe(values.structure), notes=[_defined(self.backward)])
            for leaf, value in zip(leaves, values.leaves):
                if not dtypes.is_float(leaf.dtype):
                    continue
                if value.is_weak:
                    value = convert(value, leaf.dtype)
                if (value.shape, value.dtype) != (leaf.shape, leaf.dtype):
                    raise TraceError(
                        "TS1045", f"cotangent {i} that the backward function of {self.name} gives does not fit "
                        "the argument", expected=f"{dtypes.name_of(leaf.dtype)}{list(leaf.shape)}",
                        got=f"{dtypes.name_of(value.dtype)}{list(value.shape)}",
                        notes=[_defined(self.backward)])
                cotangents.append(value)
        return cotangents


class custom_jvp(_Custom):  # noqa: N801 (a decorator)
    """A function whose derivative is given by a function of values and tangents.

        @ts.custom_jvp
        def log1p_exp(x):
            return ts.log(1 + ts.exp(x))

        @log1p_exp.defjvp
        def rule(primals, tangents):
            (x,), (dx,) = primals, tangents
            return log1p_exp(x), ts.sigmoid(x) * dx

    The rule must be linear in the tangents; both modes use it. Arguments named by `nondiff_argnums` are
    Python values, which the rule gets first. Tangents of integers are zeros of their type.
    """

    what = "ts.custom_jvp"

    def __init__(self, fun: Callable, nondiff_argnums: Sequence[int] = (), nondiff_argnames: Sequence[str] = ()):
        super().__init__(fun, nondiff_argnums, nondiff_argnames)
        self.rule: Callable | None = None

    def defjvp(self, jvp: Callable) -> Callable:
        """Sets the rule, of (primals, tangents), two tuples; it gives the value and its tangent."""
        bodies.check_callable("defjvp", "the rule", jvp)
        self.rule = jvp
        return jvp

    def defjvps(self, *rules: Callable | None) -> None:
        """Sets a rule for each argument: of (tangent, value, *arguments), giving the part of the value's
        tangent that is due to it. None for an argument that has no part in it."""
        def rule(primals: tuple, tangents: tuple) -> tuple:
            value = self(*primals)
            parts = [of(tangent, value, *primals) for of, tangent in zip(rules, tangents) if of is not None]
            total = parts[0] if parts else creation.zeros_like(value)
            for part in parts[1:]:
                total = total + part
            return value, total

        self.defjvp(rule)

    def _check_rule(self) -> None:
        if self.rule is None:
            raise TraceError("TS1044", f"{self.name} is made by ts.custom_jvp and has no rule",
                             hint=f"set it with {self.name}.defjvp(rule)")

    def _emit(self, of: traced.Traced, given: bodies.Values, statics: list, build: Callable) -> Any:
        if len(of.operands) > len(given.leaves):
            raise TraceError(
                "TS1046", f"{self.name}, which has a derivative rule, uses traced values from outside",
                got=", ".join(map(repr, of.operands[len(given.leaves) :][:4])), notes=[_defined(self.fun)],
                hint="pass them as arguments; values fixed when tracing can be in nondiff_argnums")
        count = len(given.leaves)
        floats = [leaf for leaf in given.leaves if dtypes.is_float(leaf.dtype)]

        def both(*leaves: Tracer) -> Any:
            tangents = iter(leaves[count:])
            primals = tree.unflatten(given.structure, list(leaves[:count]))
            changes = tree.unflatten(given.structure, [
                next(tangents) if dtypes.is_float(leaf.dtype) else creation.zeros(leaf.shape, leaf.dtype)
                for leaf in leaves[:count]])
            return self._checked(self.rule(*statics, primals, changes), of)

        rule = traced.trace(self.what, both, [*given.leaves, *floats], lambda leaves: (tuple(leaves), {}))
        if len(rule.operands) > count + len(floats):
            raise TraceError("TS1046", f"the rule of {self.name} uses traced values from outside",
                             notes=[_defined(self.rule)], hint="pass them as arguments of the function")
        current().add_function(rule.function)
        return tree.unflatten(of.structure, traced.call(of.function, of.operands, f" jvp @{rule.function.name}"))

    def _checked(self, result: Any, of: traced.Traced) -> list[Tracer]:
        """What a rule gives: results, then tangents of those of floats."""
        if not isinstance(result, tuple) or len(result) != 2:
            raise TraceError("TS1045", f"the rule of {self.name} must give a pair (value, tangent)",
                             got=f"a {type(result).__name__}", notes=[_defined(self.rule)])
        out = []
        for role, part in zip(("value", "tangent"), result):
            values = bodies.lifted(part, f"the {role} that the rule of {self.name} gives")
            if values.structure != of.structure:
                raise TraceError("TS1045", f"the {role} that the rule of {self.name} gives has another structure "
                                 "than the value of the function", expected=tree.describe(of.structure),
                                 got=tree.describe(values.structure), notes=[_defined(self.rule)])
            for leaf, (shape, dtype) in zip(values.leaves, of.results):
                if leaf.is_weak:
                    leaf = convert(leaf, dtype)
                if role == "tangent" and not dtypes.is_float(dtype):
                    continue
                if (leaf.shape, leaf.dtype) != (shape, dtype):
                    raise TraceError("TS1045", f"the {role} that the rule of {self.name} gives does not fit the "
                                     "function", expected=f"{dtypes.name_of(dtype)}{list(shape)}",
                                     got=f"{dtypes.name_of(leaf.dtype)}{list(leaf.shape)}",
                                     notes=[_defined(self.rule)])
                out.append(lift(leaf))
        return out


def _children(structure: tree.TreeDef) -> list[tree.TreeDef]:
    """The structures of the entries of a tuple."""
    return list(structure.children)


def _described(structure: tree.TreeDef, results: Sequence[tuple[tuple[int, ...], np.dtype]]) -> str:
    return tree.describe(structure, [f"{dtypes.name_of(dtype)}{list(shape)}" for shape, dtype in results])


def _defined(function: Callable) -> str:
    place = source.function_location(function)
    where = f" at {source.shown_paths(f'{place.file}:{place.line}')}" if place else ""
    return f"it is {getattr(function, '__name__', type(function).__name__)}{where}"
