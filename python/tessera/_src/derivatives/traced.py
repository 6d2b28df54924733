# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Functions traced to be differentiated, and the functions that the compiler makes of them."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tessera._src.callees import traced as callees
from tessera._src.callees.traced import Traced, call, trace
from tessera._src.control_flow.bodies import Values, lifted
from tessera._src.core import dtypes, tree
from tessera._src.core.errors import TraceError
from tessera._src.programs import native
from tessera._src.tracing.operands import convert
from tessera._src.tracing.program_text import FunctionText, current, innermost
from tessera._src.tracing.tracer import Tracer

__all__ = ["Derivative", "Home", "Traced", "call", "check_floats", "differentiate", "fitted", "trace"]


@dataclass(frozen=True)
class Derivative:
    """What the compiler made of a traced function."""

    functions: tuple[FunctionText, ...]
    residuals: tuple[tuple[str, int], ...]  # Where the second function's first arguments are from.


def differentiate(traced: Traced, mode: str, wanted: Sequence[int], count: int) -> Derivative:
    """The derivative by the arguments numbered `wanted` of the first `count` results, those of floats.

    The other results have neither tangents nor cotangents; see tesseraDifferentiate for the modes.
    """
    results = tuple(i for i, (_, dtype) in enumerate(traced.results[:count]) if dtypes.is_float(dtype))
    return _differentiate(traced.function, traced.mesh, mode, tuple(wanted), results)


@functools.lru_cache(maxsize=256)
def _differentiate(function: FunctionText, mesh: str, mode: str, wanted: tuple[int, ...],
                   results: tuple[int, ...]) -> Derivative:
    known = callees.with_callees(function)
    prefix = f"{function.name}.{callees.digest(repr((mode, wanted, results)))}"
    text = callees.module_text(known.values(), mesh)
    texts, report = native.differentiate(text, function.name, mode, prefix, wanted, results)
    functions = callees.described(texts, report, known)
    return Derivative(tuple(functions), tuple((kind, i) for kind, i in report.get("residuals", [])))


class Home:
    """Where values are traced that a function given to the user needs: it can be called there alone."""

    def __init__(self, what: str, hint: str):
        self.what, self.hint = what, hint
        self.program = current()
        self.block = self.program.block

    def check(self) -> None:
        """Raises outside of it."""
        program = innermost()
        if program is None or not self.block.is_open or not (
                program is self.program or program.is_inside(self.program)):
            raise TraceError("TS1011", f"{self.what} is called outside of the traced function that made it",
                             expected="calls inside of that function, which return what it gives",
                             hint=self.hint)


def check_floats(what: str, leaves: Sequence[Tracer], names: Sequence[str], role: str = "by argument",
                 hint: str = "convert it with .astype(ts.f32), or choose other arguments with argnums"
                 ) -> None:
    """Raises for a value that has no derivatives."""
    for leaf, name in zip(leaves, names):
        if not dtypes.is_float(leaf.dtype):
            named = f"{role} '{name}'" if name else role
            raise TraceError(
                "TS1040", f"{what} cannot differentiate {named}, which is "
                f"{dtypes.name_of(leaf.dtype)}{list(leaf.shape)}", expected="elements of a float type",
                hint=hint)


def fitted(what: str, role: str, given: Any, wanted: Sequence[tuple[tuple[int, ...], np.dtype]],
           structure: tree.TreeDef) -> list[Tracer]:
    """A tree of tangents or cotangents as values of the shapes and types of what they belong to."""
    values: Values = lifted(given, f"the {role} given to {what}")
    if values.structure != structure:
        raise TraceError("TS1041", f"the {role} given to {what} has another structure than the values",
                         expected=tree.describe(structure), got=tree.describe(values.structure))
    result = []
    for leaf, path, (shape, dtype) in zip(values.leaves, tree.paths(structure), wanted):
        where = f" at '{path}'" if path else ""
        if leaf.is_weak and dtypes.is_float(dtype):
            leaf = convert(leaf, dtype)
        if leaf.shape != shape or leaf.dtype != dtype:
            raise TraceError(
                "TS1041", f"the {role} given to {what}{where} does not fit the value",
                expected=f"{dtypes.name_of(dtype)}{list(shape)}",
                got=f"{dtypes.name_of(leaf.dtype)}{list(leaf.shape)}")
        result.append(leaf)
    return result
