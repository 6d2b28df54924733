# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Names that traced values have in messages: of the argument, and of dimensions by its annotation.

Ops that surely keep a dimension keep its name; other results have none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tessera._src.tracing.tracer import Tracer

Names = Sequence["str | None"]


def with_names(value: Tracer, dims: Names, name: str | None = None) -> Tracer:
    """A value that was just made, its dimensions named (None: no name)."""
    value._name, value._dims = name, tuple(dims) if any(dims) else ()
    return value


def dims_of(value: Tracer) -> Names:
    """A name or None for each dimension."""
    return value._dims or (None,) * len(value.shape)


def like(value: Tracer, *operands: Tracer) -> Tracer:
    """The new `value` with the names of operands of its shape; where they differ, with none.

    It is weak if all operands are.
    """
    first = operands[0]
    value.is_weak = first.is_weak and all([operand.is_weak for operand in operands])
    if len(operands) == 1 or not operands[1]._dims:
        value._dims = first._dims
        return value
    found = [set(names) - {None} for names in zip(*map(dims_of, operands))]
    return with_names(value, [names.pop() if len(names) == 1 else None for names in found])


def describe(value: Tracer) -> str:
    """A value in messages: "x [B=4, D=6]", "x (4, 6)" without an annotation, or "(4, 6)"."""
    shown = str(tuple(value.shape))
    if value._dims:
        pairs = zip(value._dims, value.shape)
        shown = "[" + ", ".join(f"{dim}={size}" if dim else str(size) for dim, size in pairs) + "]"
    return f"{value._name} {shown}" if value._name else shown


def size_of(value: Tracer, dim: int) -> str:
    """A dimension in messages: "'D' = 6 of x [B=4, D=6]", or "6 of (4, 6)"."""
    name = dims_of(value)[dim]
    return (f"'{name}' = " if name else "") + f"{value.shape[dim]} of {describe(value)}"
