# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Identities that say something to derivatives: ts.stop_gradient, ts.checkpoint_name."""

from __future__ import annotations

from typing import Any

from tessera._src.control_flow import bodies
from tessera._src.core import dtypes, tree
from tessera._src.core.errors import TraceError
from tessera._src.ops.elementwise import without_derivative
from tessera._src.tracing.named_dims import like
from tessera._src.tracing.operands import emit_simple
from tessera._src.tracing.program_text import is_tracing, quoted


def stop_gradient(x: Any) -> Any:
    """A tree of values, unchanged, as values that have no derivative."""
    if not is_tracing():
        bodies.check_leaves(x, "the operand of ts.stop_gradient")
        return x
    given = bodies.lifted(x, "the operand of ts.stop_gradient")
    return tree.unflatten(given.structure, [without_derivative(leaf) if dtypes.is_float(leaf.dtype) else leaf
                                            for leaf in given.leaves])


def checkpoint_name(x: Any, name: str) -> Any:
    """A tree of values, unchanged, by a name that policies of ts.checkpoint know."""
    check_name(name)
    if not is_tracing():
        bodies.check_leaves(x, "the operand of ts.checkpoint_name")
        return x
    given = bodies.lifted(x, "the operand of ts.checkpoint_name")
    return tree.unflatten(given.structure, [
        like(emit_simple("checkpoint_name", f" {quoted(name)}", leaf, leaf.shape), leaf)
        for leaf in given.leaves])


def check_name(name: Any) -> None:
    """Raises unless policies can know a value by this name."""
    if not isinstance(name, str) or not name or "," in name:
        raise TraceError("TS1047", f"{name!r} is no name of a value to keep",
                         expected="a string without commas")
