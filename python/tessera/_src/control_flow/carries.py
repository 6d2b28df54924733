# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Carried values of loops: they keep structure, shapes and types from one iteration to the next."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from tessera._src.control_flow.bodies import Values, fitted, place_of, takes_type
from tessera._src.core import dtypes, tree
from tessera._src.core.errors import TraceError
from tessera._src.tracing.operands import as_weak, convert, number_like
from tessera._src.tracing.program_text import current
from tessera._src.tracing.tracer import Tracer


class Promotion(Exception):
    """A carried Python number takes the type that the body gives it: the body is traced again.

    Holds for each carried value None, or the body's, whose type it takes.
    """

    def __init__(self, wanted: list[Tracer | None]):
        self.wanted = wanted


def mismatch(what: str, body: Callable, carry: Values, out: Values, path: str, got: str,
             hint: str) -> NoReturn:
    """Raises for a body whose carried values differ from those it was given."""
    at = f" at '{path}'" if path else ""
    raise TraceError(
        "TS1036", f"the body of {what} changes the carried value{at}: {got}",
        expected=f"{carry}, as carried into the body",
        got=f"{out}, from the body",
        notes=[f"the body is {place_of(body)}"], hint=hint)


def checked(what: str, body: Callable, carry: Values, out: Values) -> list[Tracer]:
    """What the body carries on, in the types it was given.

    Raises:
        TraceError: another structure, shape or type.
        Promotion: values that begin as Python numbers have types of their own in the body.
    """
    if out.structure != carry.structure:
        path = tree.first_difference(carry.structure, out.structure) or ""
        mismatch(what, body, carry, out, path, "another structure",
                 "return the carried value in the structure of its first value")
    wanted: list[Tracer | None] = [None] * len(carry.leaves)
    paths = tree.paths(carry.structure)
    for i, (path, old, new) in enumerate(zip(paths, carry.leaves, out.leaves)):
        if old.shape != new.shape:
            mismatch(what, body, carry, out, path, f"shape {old.shape} becomes {new.shape}",
                     "shapes of carried values are fixed: start with the shape that the body gives")
        is_wider = old.is_weak and new.is_weak and old.dtype != dtypes.common_weak_dtype(
            [number_like(old), number_like(new)], None)  # As f64 is, of f32.
        if old.dtype == new.dtype or takes_type(new, old.dtype) and not is_wider:
            continue
        if not takes_type(old, new.dtype):
            names = dtypes.name_of(old.dtype), dtypes.name_of(new.dtype)
            mismatch(what, body, carry, out, path, f"{names[0]} becomes {names[1]}",
                     f"convert it in the body with .astype({dtypes.public_name(old.dtype)}), or start with "
                     f"{names[1]}")
        wanted[i] = new
    if any(value is not None for value in wanted):
        raise Promotion(wanted)
    return [fitted(new, old.dtype) for old, new in zip(carry.leaves, out.leaves)]


def promoted(carry: Values, wanted: list[Tracer | None]) -> Values:
    """The first carried values in the types that the body gives them."""
    leaves = []
    for value, new in zip(carry.leaves, wanted):
        if new is not None:
            value = convert(value, new.dtype)
            value = as_weak(value) if new.is_weak else value
        leaves.append(value)
    return Values(leaves, carry.structure)


def settled(carry: Values, attempt: Callable[[Values], Any]) -> Any:
    """`attempt(carry)`, repeated while carried Python numbers take other types."""
    block = current().block
    while True:
        mark = block.mark()
        try:
            return attempt(carry)
        except Promotion as found:
            block.rewind(mark)  # What it printed, say, must not be there twice.
            # This ends: a promoted value is a tensor's, or of a wider kind of number.
            carry = promoted(carry, found.wanted)


def like_first(result: Tracer, first: Tracer) -> Tracer:
    """A final carried value, weak if it began as a number and kept its type."""
    return as_weak(result) if first.is_weak else result
