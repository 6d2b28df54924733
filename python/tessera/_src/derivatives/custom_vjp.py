# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Reverse mode by hand: ts.custom_vjp."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tessera._src.control_flow import bodies
from tessera._src.core import dtypes, tree
from tessera._src.core.errors import TraceError
from tessera._src.derivatives import traced
from tessera._src.derivatives.custom import Custom, described, kind_of
from tessera._src.ops import creation
from tessera._src.tracing.operands import as_weak, convert
from tessera._src.tracing.program_text import FunctionText
from tessera._src.tracing.tracer import Tracer

_FORWARD, _BACKWARD = "the forward function", "the backward function"  # In messages.


class custom_vjp(Custom):  # noqa: N801 (a decorator)
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
    residuals. Python numbers stay numbers in both: beside tensors they take their type. Forward mode is
    refused, and so are traced values that one of the functions uses from outside: pass them as arguments.
    Both may call the function, whose derivatives of all orders are those of the rule.
    An argument of integers has no cotangent. None in place of a cotangent, or of a part of one that is a
    tree, stands for zeros.
    """

    what = "ts.custom_vjp"

    def __init__(self, fun: Callable, nondiff_argnums: int | Sequence[int] = (),
                 nondiff_argnames: str | Sequence[str] = ()):
        super().__init__(fun, nondiff_argnums, nondiff_argnames)
        self.forward: Callable | None = None
        self.backward: Callable | None = None

    def defvjp(self, fwd: Callable, bwd: Callable) -> None:
        """Sets the rule.

        Args:
            fwd: of the function's arguments; gives (value, residuals).
            bwd: of residuals and a cotangent like the value; gives a tuple with a cotangent for each
                argument that is not in nondiff_argnums.

        Raises:
            TraceError: one of them is no function, or not of these parameters.
        """
        bodies.check_callable(self.name, _FORWARD, fwd, self.parameters)
        bodies.check_callable(self.name, _BACKWARD, bwd, [*self.static_names, "residuals", "cotangent"])
        self.forward, self.backward = fwd, bwd

    def _check_rule(self, arguments: Sequence[str]) -> None:
        if self.forward is None or self.backward is None:
            raise TraceError("TS1044", f"{self.name} is made by ts.custom_vjp and has no rule",
                             hint=f"set it with {self.name}.defvjp(forward, backward)")
        bodies.check_callable(self.name, _FORWARD, self.forward, arguments)

    roles = ("fwd", "bwd")

    def _rules(self, of: traced.Traced, given: bodies.Values, statics: list, build: Callable
               ) -> dict[str, FunctionText]:
        pair, residuals = self._forward(of, given, build)
        back = self._backward(of, given, statics, pair, residuals)
        return {"fwd": pair.function, "bwd": back.function}

    def _forward(self, of: traced.Traced, given: bodies.Values, build: Callable
                 ) -> tuple[traced.Traced, tree.TreeDef]:
        """The forward function, traced, and the structure of its residuals."""
        def forward(*args: Any) -> Any:
            pair = self.forward(*args)
            if not isinstance(pair, tuple) or len(pair) != 2:
                raise self.wrong(_FORWARD, "must give a pair (value, residuals)", self.forward, None,
                                 kind_of(pair))
            return pair

        pair = self._trace_rule(forward, given.leaves, build)
        value, residuals = pair.structure.children
        if value != of.structure or pair.results[: value.count] != of.results:
            raise self.wrong(
                _FORWARD, "gives another value than the function", self.forward,
                tree.describe(of.structure, [described(*result) for result in of.results]),
                tree.describe(value, [described(*result) for result in pair.results[: value.count]]))
        self.refuse_outside(self.forward, pair.operands[len(given.leaves) :])
        return pair, residuals

    def _backward(self, of: traced.Traced, given: bodies.Values, statics: list, pair: traced.Traced,
                  residuals: tree.TreeDef) -> traced.Traced:
        kept = pair.results[len(of.results) :]
        floats = [i for i, (_, dtype) in enumerate(of.results) if dtypes.is_float(dtype)]
        types = [*kept, *[of.results[i] for i in floats]]
        examples = [creation.zeros(shape, dtype) for shape, dtype in types]
        weak = [*pair.weak[len(of.results) :], *[of.weak[i] for i in floats]]
        examples = [as_weak(value) if is_weak else value for value, is_weak in zip(examples, weak)]

        def backward(*leaves: Tracer) -> list[Tracer]:
            cotangents = iter(leaves[len(kept) :])
            whole = [next(cotangents) if dtypes.is_float(dtype) else creation.zeros(shape, dtype)
                     for shape, dtype in of.results]
            result = self.backward(*statics, tree.unflatten(residuals, list(leaves[: len(kept)])),
                                   tree.unflatten(of.structure, whole))
            return self._cotangents(result, given)

        back = self._trace_rule(backward, examples, lambda leaves: (tuple(leaves), {}))
        self.refuse_outside(self.backward, back.operands[len(examples) :])
        return back

    def _cotangents(self, result: Any, given: bodies.Values) -> list[Tracer]:
        """What the backward function gives, as one value for each argument of floats."""
        arguments = tree.unflatten(given.structure, given.leaves)
        if not isinstance(result, tuple) or len(result) != len(arguments):
            raise self.wrong(_BACKWARD, "must give a tuple with a cotangent for each argument", self.backward,
                             f"a tuple of {len(arguments)}", kind_of(result),
                             "a tuple of one is written (x,)")
        cotangents = []
        for i, (cotangent, argument) in enumerate(zip(result, arguments)):
            leaves, structure = tree.flatten(argument)
            values = bodies.lifted(cotangent, f"cotangent {i} of the backward function of {self.name}")
            places = _places(values.structure, structure)
            if places is None:
                raise self.wrong(_BACKWARD, f"gives cotangent {i} of another structure than the argument",
                                 self.backward, tree.describe(structure), tree.describe(values.structure))
            parts = iter(values.leaves)
            for leaf, is_given in zip(leaves, places):
                part = next(parts) if is_given else None
                if dtypes.is_float(leaf.dtype):
                    cotangents.append(creation.zeros(leaf.shape, leaf.dtype) if part is None
                                      else self._cotangent(part, leaf, i))
        return cotangents

    def _cotangent(self, value: Tracer, leaf: Tracer, i: int) -> Tracer:
        """A cotangent that the backward function gives for a leaf of argument `i`."""
        if leaf.is_weak and dtypes.is_float(value.dtype):
            value = convert(value, leaf.dtype)  # The number was of the type of the tensors beside it.
        return self.fitted(value, leaf.shape, leaf.dtype, _BACKWARD,
                           f"gives cotangent {i} that does not fit the argument", self.backward)


def _places(given: tree.TreeDef, structure: tree.TreeDef) -> list[bool] | None:
    """For each leaf of `structure`, whether a tree that may have None in place of parts has it too.

    None if it is of another structure.
    """
    if given == structure:
        return [True] * structure.count
    if given.kind is type(None):
        return [False] * structure.count
    if given.kind is not structure.kind or given.keys != structure.keys:
        return None
    places: list[bool] = []
    for child, whole in zip(given.children, structure.children):
        found = _places(child, whole)
        if found is None:
            return None
        places += found
    return places
