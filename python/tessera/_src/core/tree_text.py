# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Structures of trees as text, which an artefact holds for whoever loads it."""

from __future__ import annotations

import collections
import json
import sys
from typing import Any

import numpy as np

from tessera._src.core import tree

_PLAIN = {"dict": dict, "list": list, "tuple": tuple, "OrderedDict": collections.OrderedDict}
_NAMES = {kind: name for name, kind in _PLAIN.items()}


def to_text(treedef: tree.TreeDef) -> str:
    """A structure as JSON: "*" is a leaf, null is None, all else [kind, keys, children].

    Named tuples and dataclasses are named by module and class, which is no part of the text. The empty
    text stands for a structure with keys that JSON cannot hold, such as an enum's, or with nodes of
    other registered classes.
    """
    try:
        return json.dumps(_encode(treedef), separators=(",", ":"))
    except _Unwritable:
        return ""


class _Unwritable(Exception):
    """A key of a dictionary, or a node, has no text."""


def _encode(treedef: tree.TreeDef) -> Any:
    if treedef.kind is tree.LEAF.kind:
        return "*"
    if treedef.kind is type(None):
        return None
    kind = treedef.kind
    if isinstance(treedef.keys, tree.NodeKeys):
        raise _Unwritable
    children = [_encode(child) for child in treedef.children]
    if kind is list or kind is tuple:
        return [_NAMES[kind], None, children]
    if kind not in _NAMES:
        # Such as a defaultdict: what else it holds is no part of a tree.
        name = "dict" if issubclass(kind, dict) else f"{kind.__module__}:{kind.__qualname__}"
    else:
        name = _NAMES[kind]
    return [name, [_encode_key(key) for key in treedef.keys], children]


def _encode_key(key: Any) -> Any:
    """JSON for a key of a dictionary; tuples and bytes are tagged lists."""
    if isinstance(key, np.generic):
        key = key.item()
    if key is None or isinstance(key, (str, int, float)):
        return key
    if isinstance(key, bytes):
        return ["bytes", key.hex()]
    if isinstance(key, tuple):
        return ["tuple", [_encode_key(part) for part in key]]
    raise _Unwritable


def _decode_key(value: Any) -> Any:
    if not isinstance(value, list):
        return value
    kind, content = value
    return bytes.fromhex(content) if kind == "bytes" else tuple([_decode_key(part) for part in content])


def from_text(text: str) -> tree.TreeDef | None:
    """The structure that a text says; None for the empty text, or one that says none.

    A class that this process has under its name, with the same fields, is used; else a named tuple of
    the same name stands for it.
    """
    try:
        return _decode(json.loads(text)) if text else None
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def _decode(value: Any) -> tree.TreeDef:
    if value == "*":
        return tree.LEAF
    if value is None:
        return tree.TreeDef(type(None))
    name, keys, children = value
    if not isinstance(name, str):
        raise TypeError("a kind that is not named")
    parts = tuple([_decode(child) for child in children])
    keys = tuple(range(len(parts)) if keys is None else [_decode_key(key) for key in keys])
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
