# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Derivatives by hand in both modes: ts.custom_jvp."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tessera._src.control_flow import bodies
from tessera._src.core import dtypes, tree
from tessera._src.core.errors import TraceError
from tessera._src.derivatives import traced
from tessera._src.derivatives.custom import Custom, kind_of
from tessera._src.ops import creation
from tessera._src.tracing.program_text import FunctionText
from tessera._src.tracing.tracer import Tracer


class custom_jvp(Custom):  # noqa: N801 (a decorator)
    """A function whose derivative is given by a function of values and tangents.

        @ts.custom_jvp
        def log1p_exp(x):
            return ts.log(1 + ts.exp(x))

        @log1p_exp.defjvp
        def rule(primals, tangents):
            (x,), (dx,) = primals, tangents
            return log1p_exp(x), ts.sigmoid(x) * dx

    The rule must be linear in the tangents; both modes use it. Terms without tangents are refused; other ops
    that are not linear are refused in reverse mode, and computed in forward mode. The rule may call the
    function, whose derivatives of all orders are those of the rule. Arguments named by `nondiff_argnums` are
    Python values, which the rule gets first. Tangents of integers are zeros of their type. Traced values
    that the function or the rule uses from outside are refused: pass them as arguments.
    """

    what = "ts.custom_jvp"

    def __init__(self, fun: Callable, nondiff_argnums: int | Sequence[int] = (),
                 nondiff_argnames: str | Sequence[str] = ()):
        super().__init__(fun, nondiff_argnums, nondiff_argnames)
        self.rule: Callable | None = None
        self.rules: Sequence[Callable | None] | None = None  # What the rule is made of, by defjvps.

    def defjvp(self, jvp: Callable) -> Callable:
        """Sets the rule, of (primals, tangents), two tuples; it gives the value and its tangent.

        Raises:
            TraceError: it is no function, or not of these parameters.
        """
        bodies.check_callable(self.name, "the rule", jvp, [*self.static_names, "primals", "tangents"])
        self.rule, self.rules = jvp, None
        return jvp

    def defjvps(self, *rules: Callable | None) -> None:
        """Sets a rule for each argument: of (tangent, value, *arguments), giving the part of the value's
        tangent that is due to it. None for an argument that has no part in it.

        Raises:
            TraceError: rules for more or fewer arguments than there are, or not of these parameters; or
                nondiff_argnums, beside which there is one rule for all arguments.
        """
        if self.static:
            raise TraceError("TS1035", f"defjvps of {self.name} is given rules for each argument beside "
                             "nondiff_argnums", hint=f"set one rule for all with {self.name}.defjvp")
        if self.parameters is not None:
            self._check_rules(rules, self.parameters)

        def rule(primals: tuple, tangents: tuple) -> tuple:
            value = self(*primals)
            parts = [of(tangent, value, *primals) for of, tangent in zip(rules, tangents) if of is not None]
            total = parts[0] if parts else creation.zeros_like(value)
            for part in parts[1:]:
                total = total + part
            return value, total

        self.defjvp(rule)
        self.rules = rules

    def _check_rules(self, rules: Sequence[Callable | None], arguments: Sequence[str]) -> None:
        """Raises unless there is a rule, or None, for each argument."""
        if len(rules) != len(arguments):
            raise TraceError("TS1035", f"defjvps of {self.name} is given {len(rules)} "
                             f"rule{'' if len(rules) == 1 else 's'} for {len(arguments)} "
                             f"argument{'' if len(arguments) == 1 else 's'}",
                             expected=f"a rule or None for each of {', '.join(arguments)}")
        for name, rule in zip(arguments, rules):
            if rule is not None:
                bodies.check_callable(self.name, f"the rule for argument '{name}'", rule,
                                      ["tangent", "value", *arguments])

    def _check_rule(self, arguments: Sequence[str]) -> None:
        if self.rule is None:
            raise TraceError("TS1044", f"{self.name} is made by ts.custom_jvp and has no rule",
                             hint=f"set it with {self.name}.defjvp(rule)")
        if self.rules is not None:
            self._check_rules(self.rules, arguments)

    roles = ("jvp",)

    def _rules(self, of: traced.Traced, given: bodies.Values, statics: list, build: Callable
               ) -> dict[str, FunctionText]:
        count = len(given.leaves)
        floats = [leaf for leaf in given.leaves if dtypes.is_float(leaf.dtype)]

        def both(*leaves: Tracer) -> Any:
            tangents = iter(leaves[count:])
            primals = tree.unflatten(given.structure, list(leaves[:count]))
            changes = tree.unflatten(given.structure, [
                next(tangents) if dtypes.is_float(leaf.dtype) else creation.zeros(leaf.shape, leaf.dtype)
                for leaf in leaves[:count]])
            return self._checked(self.rule(*statics, primals, changes), of)

        rule = self._trace_rule(both, [*given.leaves, *floats], lambda leaves: (tuple(leaves), {}))
        self.refuse_outside(self.rule, rule.operands[count + len(floats) :])
        return {"jvp": rule.function}

    def _checked(self, result: Any, of: traced.Traced) -> list[Tracer]:
        """What a rule gives: results, then tangents of those of floats."""
        if not isinstance(result, tuple) or len(result) != 2:
            raise self.wrong("the rule", "must give a pair (value, tangent)", self.rule, None,
                             kind_of(result))
        checked = []
        for name, part in zip(("value", "tangent"), result):
            values = bodies.lifted(part, f"the {name} that the rule of {self.name} gives")
            if values.structure != of.structure:
                raise self.wrong("the rule", f"gives a {name} of another structure than the function's value",
                                 self.rule, tree.describe(of.structure), tree.describe(values.structure))
            checked += [
                self.fitted(leaf, shape, dtype, "the rule",
                            f"gives a {name} that does not fit the function's", self.rule)
                for leaf, (shape, dtype) in zip(values.leaves, of.results)
                if name == "value" or dtypes.is_float(dtype)]
        return checked
