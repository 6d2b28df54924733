# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Derivative rules that call their own function, or functions whose rules call it again.

The call of a function within its own rule, of arguments alike, has the rule that is being traced: it names
a function without a body, which the rule becomes when it is there. So rules are traced once, calls have them
at every order, and differentiation alone unrolls what is recursive.

Where arguments differ from one call to the next, such as a static order that each rule counts up, rules are
traced as deep as the differentiations around the call go, and a call below refuses to be differentiated.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tessera._src.callees import traced as callees
from tessera._src.control_flow import bodies
from tessera._src.core import dtypes, static_values
from tessera._src.derivatives import traced
from tessera._src.tracing.program_text import FunctionText, ProgramText, current, innermost, quoted

if TYPE_CHECKING:
    from tessera._src.derivatives.custom import Custom

_state = threading.local()
# Derivatives of so many orders may be taken of what a call computes after it has been traced, where its rule
# calls it with other arguments each time: by ts.grad(loss, weights).
_MIN_DEPTH = 2
# A rule that differentiates its own function with other arguments each time never ends.
_MAX_DEPTH = 32
_PLACE = re.compile(r' loc\((?:"(?:[^"\\]|\\.)*":\d+:\d+|unknown)\)')


@dataclass
class _Rule:
    """A rule that is being traced."""

    code: Any  # What the function runs: one that a rule makes anew is the same function.
    key: tuple
    missing: dict[str, FunctionText]  # By role, functions without a body in place of the rule's.
    max_depth: int
    around: int  # How many differentiations were around it.
    programs: list[ProgramText] = field(default_factory=list)  # Where it is traced.
    is_called: bool = False  # Whether what is missing is called.


def _rules() -> list[_Rule]:
    """The rules that this thread is tracing, one inside the other."""
    return _state.__dict__.setdefault("rules", [])


def enter(program: ProgramText) -> None:
    """Says that the innermost rule is traced in a program."""
    _rules()[-1].programs.append(program)


def rules_of(of: Custom, function: traced.Traced, given: bodies.Values, statics: list,
             trace: Callable[[], dict[str, FunctionText]]) -> str:
    """How a call is differentiated, as the op's text says it; the program being traced has the functions.

    Args:
        function: what is called, traced for this call.
        trace: traces the functions of the rule, by role.
    """
    rules = _rules()
    key = (of, _without_places(function.function), given.structure,
           *[(leaf.is_weak, leaf._dims) for leaf in given.leaves], *map(_static_key, statics))
    known = next((rule for rule in reversed(rules) if rule.key == key and _is_part_of(rule)), None)
    if known is not None:
        known.is_called = True
        return _clause(known.missing)
    code = getattr(of.fun, "__code__", of.fun)
    outer = [rule for rule in rules if rule.code == code]
    around = _differentiations()
    max_depth = outer[0].max_depth if outer else max(_MIN_DEPTH, around)
    if outer and all(rule.key != key for rule in outer):
        # Rules that differentiate other functions, or this one of less, follow it further each time.
        max_depth = min(max_depth + around - outer[0].around, _MAX_DEPTH)
    if len(outer) >= max_depth:
        return " refuse " + quoted(
            f"the rule of {of.name} calls it, or a function that calls it, with other arguments each time "
            f"(static values, shapes or types), or to differentiate it, and was traced for derivatives up to "
            f"order {max_depth}; nest functions, as in ts.grad(ts.grad(f)), for which it is traced as deep "
            f"as they go, or give it arguments that stay alike")
    rule = _Rule(code, key, _missing(of, function, given, sum(rule.key[1] == key[1] for rule in rules)),
                 outer[0].max_depth if outer else max_depth, around)
    rules.append(rule)
    try:
        made = trace()
    finally:
        rules.pop()
    return _clause(_closed(rule, made))


def _clause(functions: dict[str, FunctionText]) -> str:
    for function in functions.values():
        current().add_function(function)
    return "".join(f" {role} @{function.name}" for role, function in functions.items())


def _is_part_of(rule: _Rule) -> bool:
    """Whether what is traced now becomes part of a rule before the compiler is given it."""
    program = innermost()
    while program is not None and not any(program is place for place in rule.programs):
        if program.is_rewritten:
            return False
        program = program.parent
    return program is not None


def _differentiations() -> int:
    """How many functions are being traced, one inside the other, to be differentiated."""
    count, program = 0, innermost()
    while program is not None:
        count, program = count + program.is_differentiated, program.parent
    return count


def _without_places(function: FunctionText) -> str:
    """What a function computes, wherever it is called."""
    return _PLACE.sub("", function.text.replace(f"@{function.name}(", "@f(", 1))


def _static_key(value: Any) -> Any:
    try:
        hash(value)
    except TypeError:
        return id(value)  # It lives as long as the call.
    return static_values.key_of(value)


def _missing(of: Custom, function: traced.Traced, given: bodies.Values, number: int
             ) -> dict[str, FunctionText]:
    """Functions without a body that have the types of a rule without residuals."""
    arguments = function.function.arguments
    results = function.function.results
    moving = tuple(text for text, leaf in zip(arguments, given.leaves) if dtypes.is_float(leaf.dtype))
    tangents = tuple(text for text, (_, dtype) in zip(results, function.results) if dtypes.is_float(dtype))
    types = {"jvp": ((*arguments, *moving), (*results, *tangents)), "fwd": (arguments, results),
             "bwd": (tangents, moving)}

    def declared(role: str) -> FunctionText:
        # No other name has a number there (callees.named).
        name = f"{role}.{number}.{function.function.name}"
        taken, given = types[role]
        text = f"  func.func private @{name}({', '.join(taken)}) -> ({', '.join(given)})\n"
        return FunctionText(name, text, taken, given)

    return {role: declared(role) for role in of.roles}


def _closed(rule: _Rule, made: dict[str, FunctionText]) -> dict[str, FunctionText]:
    """The functions of a rule, which call themselves where they called what was missing."""
    if not rule.is_called:
        return made
    known: dict[str, FunctionText] = {}
    for function in made.values():
        known |= callees.with_callees(function)
    # Their names are digests of their texts, and name what is missing.
    suffix = "." + callees.digest(" ".join(function.name for function in made.values()))
    filled = {rule.missing[role].name: function.name for role, function in made.items()}
    found = callees.rewritten(known, {}, suffix, {name: instead for name, instead in filled.items()
                                                  if name in known})
    return {role: found.get(function.name, function) for role, function in made.items()}
