# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Questions about element types, answered without a trace."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np

from tessera._src.core import dtypes
from tessera._src.core.errors import TraceError
from tessera._src.tracing.operands import is_scalar

_KINDS = {"bool": "b", "signed integer": "i", "integral": "i", "real floating": "f",
          "numeric": "if"}


def _type(value: Any) -> np.dtype:
    dtype = getattr(value, "dtype", None)
    return dtypes.canonical(value if not isinstance(dtype, np.dtype) else dtype)


def result_type(*values: Any) -> np.dtype:
    """The element type in which arrays, types and numbers are computed together."""
    strong = [_type(value) for value in values if not is_scalar(value)]
    if not values:
        raise TraceError("TS1001", "result_type needs at least one array, type or number")
    common = strong[0] if strong else None
    for dtype in strong[1:]:
        common = dtypes.promote(common, dtype)
    return dtypes.common_weak_dtype(filter(is_scalar, values), common)


def can_cast(source: Any, to: Any) -> bool:
    """Whether promotion takes an array or a type to another type: f32 to f64 is only done by .astype."""
    a, b = _type(source), dtypes.canonical(to)
    try:
        return dtypes.promote(a, b) == b
    except TraceError:  # f64 is not made silently, but holds every other float.
        return b == dtypes.f64


def finfo(dtype: Any) -> Any:
    """The limits of a floating-point type, or of an array's: bits, eps, max, min, smallest_normal."""
    wanted = _type(dtype)
    if not dtypes.is_float(wanted):
        raise TraceError("TS1001", "ts.finfo is of floating-point types", got=dtypes.name_of(wanted),
                         hint="ts.iinfo is of integers" if dtypes.is_int(wanted) else None)
    return ml_dtypes.finfo(wanted)


def iinfo(dtype: Any) -> np.iinfo:
    """The limits of an integer type, or of an array's: bits, max, min."""
    wanted = _type(dtype)
    if not dtypes.is_int(wanted):
        raise TraceError("TS1001", "ts.iinfo is of integer types", got=dtypes.name_of(wanted),
                         hint="ts.finfo is of floating-point types" if dtypes.is_float(wanted) else None)
    return np.iinfo(wanted)


def isdtype(dtype: Any, kind: Any) -> bool:
    """Whether a type is of a kind: "bool", "signed integer", "integral", "real floating", "numeric".

    The kind may be a type, too, or a tuple of kinds.
    """
    if isinstance(kind, tuple):
        return any(isdtype(dtype, one) for one in kind)
    wanted = dtypes.canonical(dtype)
    if isinstance(kind, str) and kind in _KINDS:
        mine = "f" if dtypes.is_float(wanted) else "i" if dtypes.is_int(wanted) else "b"
        return mine in _KINDS[kind]
    if kind in ("unsigned integer", "complex floating"):
        return False
    return wanted == dtypes.canonical(kind)
