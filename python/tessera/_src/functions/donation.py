# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Donated arguments: which result takes the memory of which."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
    free = dict.fromkeys(range(len(results)))
    ties: dict[int, int] = {}

    def take(i: int, fits: Callable[[str], bool]) -> None:
        kind = (arguments[i].shape, arguments[i].dtype)
        found = next((k for k in free if results[k] == kind and fits(paths[k])), None)
        if found is not None:
            del free[found]
            ties[i] = found

    for root in dict.fromkeys(arguments[i].root for i in donated if arguments[i].name != arguments[i].root):
        leaves = [i for i in donated if arguments[i].root == root]
        kinds = [(arguments[i].name[len(root) + 1 :], (arguments[i].shape, arguments[i].dtype))
                 for i in leaves]
        tops = [path.partition(".")[0] for path in paths]
        for top in dict.fromkeys(["", *[top for top in tops if top == root], *tops]):
            inside = {k: path[len(top) + bool(top) :] for k, path in enumerate(paths)
                      if not top or tops[k] == top}
            if [(path, results[k]) for k, path in inside.items()] == kinds and inside.keys() <= free.keys():
                ties.update(zip(leaves, inside))
                for k in inside:
                    del free[k]
                break
    for of_argument, of_result in _PLACES:
        for i in donated:
            wanted = of_argument(arguments[i].name)
            if i not in ties and wanted is not None:
                take(i, lambda path: of_result(path) == wanted)
    unused = tuple(f"'{arguments[i].name}' ({dtypes.name_of(arguments[i].dtype)}{list(arguments[i].shape)})"
                   for i in donated if i not in ties)
    return Ties(ties, unused)


def _whole(path: str) -> str:
    return path


def _inner(path: str) -> str | None:
    """A path without its first part; None if that is all."""
    return path.partition(".")[2] or None


# What of an argument's path equals what of a result's, the surest first; in the end, anything does.
_PLACES = ((_whole, _whole), (_whole, _inner), (_inner, _inner), (_inner, _whole),
           (lambda _: "", lambda _: ""))


def explain(ties: Ties) -> list[str]:
    """What is said of donations without effect; as lines."""
    return [f"donated argument {name}: no result is left of its shape and type, so that its memory is "
            "not reused" for name in ties.unused]
