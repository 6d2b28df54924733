# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What an optimizer does with each weight of a tree: its group's options, and what is kept for it."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tessera._src.arrays.array import Array, ShapeDtypeStruct
from tessera._src.core import dtypes, tree
from tessera._src.core.errors import ConfigError, TraceError, did_you_mean
from tessera._src.functions.trace import abstract
from tessera._src.meshes.mesh import NamedSharding, split_further
from tessera._src.optim.options import check_options

_FILTERS: dict[str, Callable[[str, ShapeDtypeStruct], bool]] = {
    # A bias of several dimensions, such as that of a fused projection, is a bias.
    "matrices": lambda path, weight: len(weight.shape) >= 2 and path.rpartition(".")[2] != "bias",
    "all": lambda *_: True,
}
_LISTED = 5


def check_filter(what: str, value: Any) -> Callable[[str, ShapeDtypeStruct], bool]:
    """Which weights decay: a function, or the name of one."""
    if callable(value):
        return value
    if isinstance(value, str) and value in _FILTERS:
        return _FILTERS[value]
    raise ConfigError("TS4013", f"{what} is {value!r}",
                      choices=["'matrices'", "'all'", "a function of (path, weight)"],
                      hint=did_you_mean(value, list(_FILTERS)) if isinstance(value, str) else None)


@dataclass(frozen=True)
class Group:
    """Weights with options of their own."""

    selector: str | Callable[[str, ShapeDtypeStruct], bool]
    options: Mapping[str, Any]

    def takes(self, path: str, weight: ShapeDtypeStruct) -> bool:
        if isinstance(self.selector, str):
            return fnmatch.fnmatchcase(path, self.selector)
        return bool(self.selector(path, weight))

    def __str__(self) -> str:
        if isinstance(self.selector, str):
            return f"'{self.selector}'"
        return getattr(self.selector, "__name__", repr(self.selector))


def check_groups(groups: Any, checks: Mapping[str, Callable]) -> tuple[Group, ...]:
    """Groups as they are given to an optimizer: (pattern or function, options by name)."""
    if isinstance(groups, (str, Mapping)) or not isinstance(groups, Iterable):
        raise ConfigError("TS4013", f"groups is a {type(groups).__name__}", got=repr(groups)[:60],
                          expected="a list such as [('*.bias', dict(lr=1e-4))]")
    result = []
    for i, entry in enumerate(groups):
        if not isinstance(entry, (tuple, list)) or len(entry) != 2 or not (
                isinstance(entry[0], str) or callable(entry[0])):
            raise ConfigError("TS4013", f"groups[{i}] is no pair", got=repr(entry)[:60],
                              expected="(a pattern of paths or a function of (path, weight), options)")
        result.append(Group(entry[0], check_options(f"groups[{i}]", entry[1], checks)))
    return tuple(result)


@dataclass(frozen=True)
class Weight:
    """One weight, and how it is updated.

    Attributes:
        options: of the optimizer, those of its group in their place; one object for all weights of a kind.
        slots: names of the state's trees that have something for it.
        state_dtype: the type of that.
        has_master: whether the state has a copy of it in `compute`, of which it is the rounding.
        compute: the type in which the update is computed.
        layout: of what the state has for it; None where the weight has none.
    """

    path: str
    shape: tuple[int, ...]
    dtype: np.dtype
    options: Mapping[str, Any]
    slots: tuple[str, ...]
    state_dtype: np.dtype
    has_master: bool
    compute: np.dtype
    layout: NamedSharding | None

    @property
    def name(self) -> str:
        """In messages."""
        return f"'{self.path}'" if self.path else "the weight"


def leaves_of(what: str, value: Any) -> tuple[list[Any], list[str], tree.TreeDef]:
    """Leaves of a tree with their paths, none of which is another's."""
    leaves, structure = tree.flatten(value)
    paths = tree.paths(structure)
    if len(set(paths)) != len(paths):
        twice = next(path for i, path in enumerate(paths) if path in paths[:i])
        raise ConfigError("TS4014", f"two leaves of {what} have the path '{twice}'",
                          hint="a key with a dot in it reads like a path: rename it")
    return leaves, paths, structure


def plan(groups: Sequence[Group], options: Mapping[str, Any], decay_filter: Callable, weights: Any,
         kept: Callable[[Mapping[str, Any]], tuple[str, ...]], state_dtype: np.dtype | None, master: bool,
         zero: str | None) -> tuple[list[Weight], tree.TreeDef]:
    """The weights of a tree, in order, and its structure.

    Args:
        kept: names of what an optimizer keeps for a weight with these options.
        zero: an axis of the mesh that splits the state, too.
    """
    leaves, paths, structure = leaves_of("the weights", weights)
    if not leaves:
        raise ConfigError("TS4014", "the tree of weights is empty", got=tree.describe(structure))
    shared: dict[tuple[int, bool], dict[str, Any]] = {}
    decaying = [False] * len(groups)
    used = [False] * len(groups)
    result = []
    for leaf, path, stacked in zip(leaves, paths, tree.stacked_dims(structure)):
        what = f"weights.{path}" if path else "weights"
        shape, dtype = abstract(leaf, what)
        if not dtypes.is_float(dtype):
            raise TraceError("TS1050", f"weight '{path}' is of type {dtypes.name_of(dtype)}",
                             expected="a type of floats",
                             hint="what is not trained goes into another tree than the weights")
        weight = ShapeDtypeStruct(shape[stacked:], dtype)  # Of one layer: a stack of biases is no matrix.
        number = next((i for i, group in enumerate(groups) if group.takes(path, weight)), -1)
        own = groups[number].options if number >= 0 else {}
        decays = bool(own.get("decay_filter", decay_filter)(path, weight))
        if number >= 0:
            used[number] = True
            decaying[number] |= decays
        key = (number, decays)
        if key not in shared:
            shared[key] = {**options, **{n: v for n, v in own.items() if n != "decay_filter"}}
            if not decays:
                shared[key]["weight_decay"] = 0.0
        is_narrow = dtype.itemsize < 4
        state = state_dtype or (dtypes.f32 if is_narrow else dtype)
        slots = kept(shared[key])
        wide = dtypes.f64 if dtypes.f64 in (dtype, *([state] if slots else [])) else dtypes.f32
        result.append(Weight(path, shape, dtype, shared[key], slots, state, master and is_narrow, wide,
                             _layout_of(leaf, shape, stacked, zero)))
    _check_used(groups, used, decaying, paths)
    return result, structure


def _layout_of(weight: Any, shape: tuple[int, ...], stacked: int, zero: str | None) -> NamedSharding | None:
    """How the state of a weight is laid out."""
    layout = weight.sharding if isinstance(weight, (Array, ShapeDtypeStruct)) else None
    if layout is None or zero is None:
        return layout
    layout.mesh.check_axis(zero, "zero of the optimizer")
    return NamedSharding(layout.mesh, split_further(layout.spec, shape, layout.mesh, zero, stacked))


def _check_used(groups: Sequence[Group], used: Sequence[bool], decaying: Sequence[bool], paths: Sequence[str]
                ) -> None:
    """Raises for a group without weights, and for one whose decay is of no weight."""
    for i, group in enumerate(groups):
        if not used[i]:
            more = f" and {len(paths) - _LISTED} more" if len(paths) > _LISTED else ""
            raise ConfigError(
                "TS4014", f"groups[{i}], {group}, has no weights" + (
                    ": the groups before it have them" if any(group.takes(path, _ANY) for path in paths
                                                              if isinstance(group.selector, str)) else ""),
                got=f"weights {', '.join(paths[:_LISTED])}{more}",
                hint=(did_you_mean(group.selector, paths) if isinstance(group.selector, str) else None)
                or "patterns are of whole paths as ts.tree.paths has them: '*.bias' is every bias below the "
                   "top; a weight is in the first group that takes it")
        if group.options.get("weight_decay", 0.0) and not decaying[i]:
            raise ConfigError(
                "TS4014", f"groups[{i}], {group}, sets weight_decay={group.options['weight_decay']:g}, and "
                "the decay filter leaves out all its weights",
                hint="by default weights of two dimensions or more decay that are not called bias: add "
                     "decay_filter='all' to the group")


_ANY = ShapeDtypeStruct(())
