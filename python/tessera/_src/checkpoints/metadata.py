# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What a user saves beside the tensors, such as a data loader's state, as JSON that gives it back exactly.

JSON has no tuples, bytes, infinities, and only strings as keys: these are objects of one key that begins
with "$". All else that JSON would change is refused.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tessera._src.core.errors import CheckpointError

_TAGS = ("$tuple", "$bytes", "$float", "$dict")


def encode(value: Any, path: str = "metadata") -> Any:
    """JSON for a value.

    Raises:
        CheckpointError: it holds something that would not come back as it was (TS6008).
    """
    kind = type(value)
    if value is None or kind in (bool, int, str):
        return value
    if kind is float:
        return value if math.isfinite(value) else {"$float": repr(value)}
    if kind is list:
        return [encode(item, f"{path}[{i}]") for i, item in enumerate(value)]
    if kind is tuple:
        return {"$tuple": [encode(item, f"{path}[{i}]") for i, item in enumerate(value)]}
    if kind is bytes:
        return {"$bytes": value.hex()}
    if kind is dict:
        items = [(key, encode(item, f"{path}[{key!r}]")) for key, item in value.items()]
        if all(type(key) is str and not key.startswith("$") for key in value):
            return dict(items)
        return {"$dict": [[encode(key, f"a key of {path}"), item] for key, item in items]}
    hint = "save arrays as part of the tree, and other objects by what makes them again"
    if isinstance(value, np.generic):
        hint = "use .item() of NumPy's numbers"
    raise CheckpointError("TS6008", f"{path} is a {kind.__name__}, which would not come back as it is",
                          choices=["dict", "list", "tuple", "str", "bytes", "int", "float", "bool", "None"],
                          hint=hint)


def decode(value: Any) -> Any:
    """The value that `encode` made this of; ValueError for what it never makes."""
    if isinstance(value, list):
        return [decode(item) for item in value]
    if not isinstance(value, dict):
        return value
    if len(value) != 1 or next(iter(value)) not in _TAGS:
        return {key: decode(item) for key, item in value.items()}
    (tag, content), = value.items()
    if tag == "$tuple":
        return tuple([decode(item) for item in content])
    if tag == "$bytes":
        return bytes.fromhex(content)
    if tag == "$float":
        return float(content)
    return {decode(key): decode(item) for key, item in content}
