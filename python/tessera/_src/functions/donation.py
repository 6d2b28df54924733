# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Donated arguments: which result takes the memory of which."""

from __future__ import annotations

import collections
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from tessera._src.core import dtypes

if TYPE_CHECKING:
    from tessera._src.functions.trace import Argument


@dataclass(frozen=True)
class Ties:
    """For donated arguments, by number, the result each is tied to; and those without a result."""

    results: dict[int, int] = field(default_factory=dict)
    unused: tuple[str, ...] = ()


def tie(arguments: Sequence[Argument], paths: Sequence[str],
        results: Sequence[tuple[tuple[int, ...], np.dtype]]) -> Ties:
    """Ties each donated argument to a result of its shape and type.

    A tree is tied to a result, or to a part of one, that has its structure; what is left to the result
    at the same place ('params.w' and '0.w'), then to the first that is left, in order.

    Args:
        paths: of the results, "0.w" and so on.
    """
    donated = [i for i, argument in enumerate(arguments) if argument.is_donated]
    kinds = {i: (arguments[i].shape, arguments[i].dtype) for i in donated}
    free = set(range(len(results)))
    ties: dict[int, int] = {}
    _tie_trees(arguments, kinds, paths, results, free, ties)
    for of_argument, of_result in _PLACES:
        left: dict[tuple, collections.deque[int]] = {}
        for k in sorted(free):
            left.setdefault((of_result(paths[k]), results[k]), collections.deque()).append(k)
        for i in donated:
            wanted = of_argument(arguments[i].name)
            found = left.get((wanted, kinds[i])) if i not in ties and wanted is not None else None
            if found:
                ties[i] = found.popleft()
                free.remove(ties[i])
    unused = tuple(f"'{arguments[i].name}' ({dtypes.name_of(arguments[i].dtype)}{list(arguments[i].shape)})"
                   for i in donated if i not in ties)
    return Ties(ties, unused)


def _tie_trees(arguments: Sequence[Argument], kinds: dict[int, tuple], paths: Sequence[str],
               results: Sequence[tuple], free: set[int], ties: dict[int, int]) -> None:
    """Ties arguments that are trees to a result, or a part of it, with the same leaves at the same places."""
    parts: dict[str, list[tuple[int, str]]] = {"": list(enumerate(paths))}
    for k, path in enumerate(paths):
        top, _, inner = path.partition(".")
        parts.setdefault(top, []).append((k, inner))
    trees: dict[str, list[int]] = {}
    for i in kinds:
        if arguments[i].name != arguments[i].root:
            trees.setdefault(arguments[i].root, []).append(i)
    for root, leaves in trees.items():
        mine = [(arguments[i].name[len(root) + 1 :], kinds[i]) for i in leaves]
        names = ["", *([root] if root in parts else []), *parts]
        for part in (parts[name] for name in names):
            if len(part) == len(mine) and all(k in free for k, _ in part) and mine == [
                    (inner, results[k]) for k, inner in part]:
                ties.update(zip(leaves, (k for k, _ in part)))
                free.difference_update(k for k, _ in part)
                break


def _whole(path: str) -> str:
    return path


def _inner(path: str) -> str | None:
    """A path without its first part; None if that is all."""
    return path.partition(".")[2] or None


# What of an argument's path equals what of a result's, the surest first; in the end, anything does.
_PLACES = ((_whole, _whole), (_whole, _inner), (_inner, _inner), (_inner, _whole),
           (lambda _: "", lambda _: ""))


def explain(ties: Ties, report: dict) -> list[str]:
    """What is said of donations whose memory no result takes over; as lines.

    Args:
        report: of the compiler, at the stage `plan` or later.
    """
    lines = [f"donated argument {name}: no result is left of its shape and type, so that its memory is "
             "not reused" for name in ties.unused]
    return lines + [f"donated argument '{tie['argument']}': {tie['reason']}"
                    for tie in report.get("ties", []) if not tie["inPlace"]]
