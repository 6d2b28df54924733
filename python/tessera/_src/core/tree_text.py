# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Structures of trees as text, which an artefact holds for whoever loads it."""

from __future__ import annotations

import collections
import json
import sys
from typing import Any

from tessera._src.core import tree

_PLAIN = {"dict": dict, "list": list, "tuple": tuple, "OrderedDict": collections.OrderedDict}
_NAMES = {kind: name for name, kind in _PLAIN.items()}


def to_text(treedef: tree.TreeDef) -> str:
    """A structure as JSON: "*" is a leaf, null is None, all else [kind, keys, children].

    Named tuples and dataclasses are named by module and class, which is no part of the text.
    """
    return json.dumps(_encode(treedef), separators=(",", ":"))


def _encode(treedef: tree.TreeDef) -> Any:
    if treedef.kind is tree.LEAF.kind:
        return "*"
    if treedef.kind is type(None):
        return None
    kind = treedef.kind
    children = [_encode(child) for child in treedef.children]
    if kind is list or kind is tuple:
        return [_NAMES[kind], None, children]
    if kind not in _NAMES:
        # Such as a defaultdict: what else it holds is no part of a tree.
        name = "dict" if issubclass(kind, dict) else f"{kind.__module__}:{kind.__qualname__}"
    else:
        name = _NAMES[kind]
    return [name, [key if isinstance(key, (str, int, float)) else repr(key) for key in treedef.keys],
            children]


def from_text(text: str) -> tree.TreeDef | None:
    """The structure that a text says; None for the empty text, or one that says none.

    A class that this process has under its name, with the same fields, is used; else a named tuple of
    the same name stands for it.
    """
    try:
        return _decode(json.loads(text)) if text else None
    except (ValueError, TypeError, KeyError):
        return None


def _decode(value: Any) -> tree.TreeDef:
    if value == "*":
        return tree.LEAF
    if value is None:
        return tree.TreeDef(type(None))
    name, keys, children = value
    parts = tuple([_decode(child) for child in children])
    keys = tuple(range(len(parts)) if keys is None else keys)
    if len(keys) != len(parts):
        raise ValueError("keys without children")
    return tree.TreeDef(_PLAIN.get(name) or _class_of(name, keys), keys, parts)


def _class_of(name: str, fields: tuple) -> type:
    module, _, path = name.partition(":")
    found: Any = sys.modules.get(module)
    for part in path.split("."):
        found = getattr(found, part, None)
    if isinstance(found, type) and tree.fields_of(found) == fields:
        return found
    return collections.namedtuple(path.rpartition(".")[2], fields, rename=True)
