# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Pytrees: nested dicts, lists, tuples, NamedTuples, registered dataclasses and registered classes of leaves.

Dictionaries flatten in the order of their sorted keys, so that equal contents give equal programs;
an OrderedDict in its own order, which is part of its structure.
None is an empty tree.
"""

from __future__ import annotations

import collections
import dataclasses
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

from tessera._src.core.errors import TraceError, did_you_mean

T = TypeVar("T", bound=type)
_DATACLASSES: dict[type, tuple[str, ...]] = {}
_NODES: dict[type, tuple[Callable, Callable]] = {}
# Types seen at leaves: a call of a compiled function flattens its arguments, so leaves must be cheap.
_LEAF_TYPES: set[type] = set()


class NodeKeys(tuple):
    """The keys of a node of a registered class, with what else the node is made of, which has no leaves."""

    static: Any

    def __new__(cls, keys: Iterable, static: Any) -> NodeKeys:
        made = super().__new__(cls, keys)
        made.static = static
        return made

    def __eq__(self, other: object) -> bool:
        return isinstance(other, NodeKeys) and tuple.__eq__(self, other) and self.static == other.static

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash((tuple(self), self.static))


class TreeDef:
    """The structure of a tree; hashable, comparable."""

    __slots__ = ("kind", "form", "keys", "children", "count", "_hash")

    def __init__(self, kind: Any, keys: tuple = (), children: tuple[TreeDef, ...] = ()):
        self.kind, self.keys, self.children = kind, keys, children
        # Which of the kinds of nodes that dispatch/Tree.c knows.
        self.form = 0 if kind is _LEAF else _FORMS.get(kind, 5)
        self.count = 1 if kind is _LEAF else sum(c.count for c in children)
        self._hash = hash((kind, keys, children))

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return self is other or (
            isinstance(other, TreeDef)
            and self._hash == other._hash
            and (self.kind, self.keys, self.children) == (other.kind, other.keys, other.children)
        )

    def __repr__(self) -> str:
        return f"TreeDef({unflatten(self, ['*'] * self.count)!r})"


_LEAF = object()
_FORMS = {type(None): 1, dict: 2, list: 3, tuple: 4}
LEAF = TreeDef(_LEAF)
_NONE = TreeDef(type(None))


def register_dataclass(cls: T) -> T:
    """Makes a dataclass a tree of its fields (usable as a decorator)."""
    if not dataclasses.is_dataclass(cls):
        raise TraceError("TS1003", f"{cls.__name__} is not a dataclass")
    _LEAF_TYPES.discard(cls)
    _DATACLASSES[cls] = tuple(f.name for f in dataclasses.fields(cls) if f.init)
    return cls


def register_node(cls: type, flatten: Callable[[Any], tuple[Sequence[str], Sequence, Any]],
                  unflatten: Callable[[Any, dict[str, Any]], Any]) -> None:
    """Makes the instances of a class trees.

    Args:
        flatten: gives an instance's children's names, the children, and what else it is made of, which
            must be hashable and comparable: it is part of the structure, and what is compiled for one is
            not used for another.
        unflatten: makes an instance of what else it is made of, and of a dictionary of its children.
    """
    _LEAF_TYPES.discard(cls)
    _NODES[cls] = (flatten, unflatten)


def fields_of(kind: type) -> tuple | None:
    """The keys of a node that is a named tuple or a registered dataclass; None for other kinds."""
    return _DATACLASSES.get(kind, getattr(kind, "_fields", None) if issubclass(kind, tuple) else None)


def _children(tree: Any) -> tuple[Any, tuple, list] | None:
    """Kind, keys and children of an inner node; None for a leaf."""
    kind = type(tree)
    if isinstance(tree, collections.OrderedDict):
        return kind, tuple(tree), list(tree.values())
    if kind is dict or isinstance(tree, dict):
        try:
            keys = tuple(sorted(tree))
        except TypeError:
            raise TraceError(
                "TS1004", f"keys of a dictionary do not sort: {list(tree)!r}",
                hint="use keys of one type, such as strings",
            ) from None
        return kind, keys, [tree[k] for k in keys]
    if kind is list or kind is tuple:
        return kind, tuple(range(len(tree))), tree
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return kind, tree._fields, list(tree)
    if kind in _DATACLASSES:
        keys = _DATACLASSES[kind]
        return kind, keys, [getattr(tree, k) for k in keys]
    if kind in _NODES:
        names, children, static = _NODES[kind][0](tree)
        return kind, NodeKeys(names, static), list(children)
    _LEAF_TYPES.add(kind)
    return None


def flatten(
    tree: Any, is_leaf: Callable[[Any], bool] | None = None
) -> tuple[list[Any], TreeDef]:
    """Leaves, and the structure that `unflatten` needs."""
    leaves: list[Any] = []
    return leaves, _flatten(tree, leaves, is_leaf)


def _flatten(tree: Any, leaves: list, is_leaf) -> TreeDef:
    if is_leaf is None and type(tree) in _LEAF_TYPES:
        leaves.append(tree)
        return LEAF
    if tree is None:
        return _NONE
    node = None if is_leaf is not None and is_leaf(tree) else _children(tree)
    if node is None:
        leaves.append(tree)
        return LEAF
    kind, keys, children = node
    return TreeDef(kind, keys, tuple([_flatten(c, leaves, is_leaf) for c in children]))


def leaves(tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> list[Any]:
    """The leaves of a tree, in order."""
    return flatten(tree, is_leaf)[0]


def unflatten(treedef: TreeDef, leaves: list[Any]) -> Any:
    """The tree of this structure with these leaves."""
    iterator = iter(leaves)
    result = _unflatten(treedef, iterator)
    if next(iterator, _LEAF) is not _LEAF:
        raise ValueError(f"structure has {treedef.count} leaves, got {len(leaves)}")
    return result


def _unflatten(treedef: TreeDef, leaves) -> Any:
    kind = treedef.kind
    if kind is _LEAF:
        try:
            return next(leaves)
        except StopIteration:
            raise ValueError("too few leaves for the structure") from None
    if kind is type(None):
        return None
    return build_node(treedef, [_unflatten(c, leaves) for c in treedef.children])


def build_node(treedef: TreeDef, children: list[Any]) -> Any:
    """An inner node of a tree from its children."""
    kind = treedef.kind
    if kind is list or kind is tuple:
        return kind(children)
    if kind in _DATACLASSES:
        return kind(**dict(zip(treedef.keys, children)))
    if kind in _NODES:
        return _NODES[kind][1](treedef.keys.static, dict(zip(treedef.keys, children)))
    if issubclass(kind, tuple):
        return kind(*children)
    if issubclass(kind, collections.defaultdict):
        return kind(None, zip(treedef.keys, children))
    return kind(dict(zip(treedef.keys, children)))


def paths(treedef: TreeDef, prefix: str = "") -> list[str]:
    """A readable path per leaf: "params.layer.0.weight"."""
    if treedef.kind is _LEAF:
        return [prefix]
    result = []
    for key, child in zip(treedef.keys, treedef.children):
        result += paths(child, f"{prefix}.{key}" if prefix else str(key))
    return result


def stacked_dims(treedef: TreeDef, outer: int = 0) -> list[int]:
    """For each leaf, how many leading dimensions are of stacks of layers around it, and none of its own.

    A class that stacks its leaves says by `stacked_dims` along how many dimensions.
    """
    if treedef.kind is _LEAF:
        return [outer]
    outer += getattr(treedef.kind, "stacked_dims", 0)
    return [count for child in treedef.children for count in stacked_dims(child, outer)]


def describe(treedef: TreeDef, leaves: Iterable[str] | None = None) -> str:
    """A structure in words for messages: "{'a': array, 'b': (array, None)}"; long ones are cut.

    Args:
        leaves: what stands for each leaf, instead of "array".
    """
    return _describe(treedef, itertools.repeat("array") if leaves is None else iter(leaves))


def _describe(treedef: TreeDef, leaves: Iterator[str]) -> str:
    if treedef.kind is _LEAF:
        return next(leaves)
    if treedef.kind is type(None):
        return "None"
    parts = [_describe(child, leaves) for child in treedef.children]
    if treedef.kind is list or treedef.kind is tuple:
        form = "[{}]" if treedef.kind is list else "({},)" if len(parts) == 1 else "({})"
    elif issubclass(treedef.kind, dict):
        parts = [f"{key!r}: {part}" for key, part in zip(treedef.keys, parts)]
        form = "{{{}}}"
    else:
        parts = [f"{key}={part}" for key, part in zip(treedef.keys, parts)]
        form = treedef.kind.__name__ + "({})"
    if len(parts) > _DESCRIBED:
        parts[_DESCRIBED:] = [f"... ({len(parts)} in all)"]
    return form.format(", ".join(parts))


_DESCRIBED = 8


def first_difference(one: TreeDef, other: TreeDef, prefix: str = "") -> str | None:
    """The path of the first place where two structures differ; None if they are equal."""
    if one == other:
        return None
    if one.kind is not other.kind or one.keys != other.keys:
        return prefix
    for key, a, b in zip(one.keys, one.children, other.children):
        found = first_difference(a, b, f"{prefix}.{key}" if prefix else str(key))
        if found is not None:
            return found
    return prefix


def describe_call(treedef: TreeDef) -> str:
    """The structure of (positional arguments, named ones), as the call is written."""
    positional, named = treedef.children
    parts = [describe(child) for child in positional.children]
    parts += [f"{key}={describe(child)}" for key, child in zip(named.keys, named.children)]
    return f"({', '.join(parts)})"


def map(function: Callable, tree: Any, *rest: Any) -> Any:  # noqa: A001
    """`function` applied leaf by leaf; the trees have one structure."""
    leaves, treedef = flatten(tree)
    others = []
    for other in rest:
        flat, structure = flatten(other)
        if structure != treedef:
            raise TraceError("TS1005", "trees differ in structure", expected=describe(treedef),
                             got=describe(structure))
        others.append(flat)
    return unflatten(treedef, [function(*group) for group in zip(leaves, *others)])


def broadcast_prefix(prefix: Any, treedef: TreeDef, is_leaf: Callable[[Any], bool]) -> list[Any]:
    """A value per leaf of `treedef` from a tree that may stop early: a leaf stands for a subtree.

    Dictionaries may leave keys out; what they leave out is None.
    """
    if prefix is None or is_leaf(prefix):
        return [prefix] * treedef.count
    node = _children(prefix)
    if treedef.kind is _LEAF or node is None:
        raise TraceError("TS1005", f"expected a prefix of {describe(treedef)}, got {prefix!r}")
    given = dict(zip(node[1], node[2]))
    unknown = [key for key in given if key not in treedef.keys]
    if node[0] in (list, tuple) and len(given) != len(treedef.keys):
        raise TraceError("TS1005", f"expected {len(treedef.keys)} entries for {describe(treedef)}, "
                         f"got {len(given)}")
    if unknown and issubclass(node[0], dict) and all(isinstance(key, str) for key in treedef.keys):
        more = f" and {len(unknown) - 1} more" if len(unknown) > 1 else ""
        raise TraceError("TS1005", f"it names '{unknown[0]}'{more}, which does not exist",
                         hint=did_you_mean(unknown[0], treedef.keys))
    if unknown or (not issubclass(node[0], dict) and len(given) != len(treedef.keys)):
        raise TraceError("TS1005", f"expected a prefix of {describe(treedef)}, got {unknown or list(given)}")
    result = []
    for key, child in zip(treedef.keys, treedef.children):
        result += broadcast_prefix(given.get(key), child, is_leaf)
    return result
