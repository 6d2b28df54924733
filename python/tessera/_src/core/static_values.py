# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Keys of static arguments: values that are equal in Python may mean different programs."""

from __future__ import annotations

import dataclasses
import struct
from typing import Any

import numpy as np


def key_of(value: Any) -> Any:
    """A key that tells apart 1, 1.0 and True, 0.0 and -0.0, also inside of tuples and dataclasses.

    It stands in for the value in dictionaries: as hashable, and equal where types and bits are.
    """
    kind = type(value)
    if kind is tuple or isinstance(value, tuple):
        return kind, tuple([key_of(item) for item in value])
    if isinstance(value, frozenset):
        return kind, frozenset([key_of(item) for item in value])
    if kind is float or isinstance(value, float):
        return kind, struct.pack("<d", value)
    if isinstance(value, complex):
        return kind, struct.pack("<2d", value.real, value.imag)
    if isinstance(value, np.generic):
        return kind, value.dtype, value.tobytes()
    if dataclasses.is_dataclass(kind) and kind.__eq__ is not object.__eq__:
        fields = [getattr(value, f.name) for f in dataclasses.fields(kind) if f.compare]
        return kind, value, tuple([key_of(field) for field in fields])
    # A field may be without a hash where its dataclass has one of its own, which then decides.
    return kind, value if kind.__hash__ is not None else None
