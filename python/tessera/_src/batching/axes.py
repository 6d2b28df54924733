# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Trees of axes: where arguments and results of a batch have its entries."""

from __future__ import annotations

from typing import Any

import numpy as np

from tessera._src.core import tree
from tessera._src.core.errors import ConfigError


def is_axis(value: Any) -> bool:
    """Whether a value names a dimension."""
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def describe_axis(axis: int) -> str:
    """A dimension in messages."""
    return f"dimension {axis}"


def spread(option: str, axes: Any, structure: tree.TreeDef, whole: str) -> list[int | None]:
    """An axis or None per leaf of `structure`, from a tree that may stop early.

    Args:
        option: "in_axes", in messages.
        whole: what has the structure, in messages.
    """
    return _spread(axes, structure, "", lambda path, problem, **more: ConfigError(
        "TS4006", f"{option} of ts.vmap{f' at {path!r}' if path else ''} {problem}",
        hint=f"{option} is an integer, None, or a tree of them with the structure of {whole}, which may stop "
             "early", **more))


def _spread(axes: Any, structure: tree.TreeDef, path: str, error: Any) -> list[int | None]:
    if axes is None:
        return [None] * structure.count
    if is_axis(axes):
        return [int(axes)] * structure.count
    given, node = tree.flatten(axes, lambda entry: entry is not axes)
    if node is tree.LEAF:
        raise error(path, f"is {axes!r}")
    are_alike = node.kind is structure.kind or {node.kind, structure.kind} == {list, tuple}
    if not are_alike or node.keys != structure.keys:
        raise error(path, "has another structure than the value", expected=tree.describe(structure),
                    got=repr(axes)[:80])
    entries = iter(given)
    result: list[int | None] = []
    for key, entry, child in zip(node.keys, node.children, structure.children):
        value = next(entries) if entry is tree.LEAF else None
        result += _spread(value, child, f"{path}.{key}" if path else str(key), error)
    return result
