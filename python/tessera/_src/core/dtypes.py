# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Element types: NumPy dtypes under Tessera's names, and the promotion rules.

Rules (`promote`): bool < i32 < i64 < f16, bf16 < f32 < f64; an integer meeting a float takes the
float's type; f16 with bf16 gives f32. Python scalars are weak: they take the tensor's type, unless
that would lose their kind (a float with an integer tensor gives f32, a number with a bool tensor
i32 or f32); out of that type's range they are an error. A float64 of NumPy is weak, too, beside a tensor
of floats, as `x / np.sqrt(d)` is written for x of any type; where no tensor of floats says a type it is
f64: alone, beside Python numbers and beside integers. f64 never arises by promotion of narrower floats:
mixing them is an error.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import ml_dtypes
import numpy as np

from tessera._src.core.errors import TraceError

f64 = float64 = np.dtype(np.float64)
f32 = float32 = np.dtype(np.float32)
f16 = float16 = np.dtype(np.float16)
bf16 = bfloat16 = np.dtype(ml_dtypes.bfloat16)
i64 = int64 = np.dtype(np.int64)
i32 = int32 = np.dtype(np.int32)
bool_ = np.dtype(np.bool_)

# Spelling of each type in MLIR, which is also its name in messages.
MLIR_NAMES: dict[np.dtype, str] = {
    f64: "f64", f32: "f32", f16: "f16", bf16: "bf16", i64: "i64", i32: "i32", bool_: "i1",
}
BY_NAME: dict[str, np.dtype] = {name: dtype for dtype, name in MLIR_NAMES.items()}
FLOATS = frozenset({f64, f32, f16, bf16})
INTS = frozenset({i64, i32})
_RANK = {bool_: 0, i32: 1, i64: 2, f16: 3, bf16: 3, f32: 4, f64: 5}


def name_of(dtype: np.dtype) -> str:
    """The short name, as in messages: "f32", "bool"."""
    return "bool" if dtype == bool_ else MLIR_NAMES.get(dtype, str(dtype))


def public_name(dtype: np.dtype) -> str:
    """How a user writes it: "ts.f32", "ts.bool_"."""
    return "ts.bool_" if dtype == bool_ else f"ts.{name_of(dtype)}"


def canonical(dtype: Any, what: str = "") -> np.dtype:
    """The supported dtype for `dtype` (a dtype, type or name); messages call it that of `what`."""
    try:
        result = BY_NAME.get(dtype) if isinstance(dtype, str) else None
        result = result if result is not None else np.dtype(dtype)
    except TypeError:
        result = None
    if result not in MLIR_NAMES:
        kind = "" if result is None else result.kind
        hint = f"convert it first, such as with x.astype(np.{'float32' if kind == 'f' else 'int32'})"
        if kind == "c":
            hint = "pass x.real and x.imag as two arrays"
        elif not what:
            hint = None
        raise TraceError(
            "TS1001",
            f"element type {dtype!s}{f' of {what}' if what else ''} is not supported",
            choices=[name_of(d) for d in MLIR_NAMES],
            hint=hint,
        )
    return result


def is_float(dtype: np.dtype) -> bool:
    """Whether this is a floating-point type."""
    return dtype in FLOATS


def is_int(dtype: np.dtype) -> bool:
    """Whether this is an integer type; bool is none."""
    return dtype in INTS


def fits(value: bool | int | float, dtype: np.dtype) -> bool:
    """Whether a Python number is in the range of a type; infinities and NaN are in that of floats."""
    if dtype == bool_:
        return True
    if is_int(dtype):
        return bool(np.iinfo(dtype).min <= value <= np.iinfo(dtype).max)
    try:
        wide = float(value)
    except OverflowError:
        return False
    with np.errstate(over="ignore"):
        return not np.isfinite(wide) or bool(np.isfinite(np.float64(wide).astype(dtype)))


def extreme_of(dtype: np.dtype, greatest: bool) -> bool | int | float:
    """The least or the greatest element that a type has."""
    if is_float(dtype):
        return np.inf if greatest else -np.inf
    if dtype == bool_:
        return greatest
    limits = np.iinfo(dtype)
    return int(limits.max if greatest else limits.min)


def promote(a: np.dtype, b: np.dtype) -> np.dtype:
    """The type two strong operands are computed in."""
    if a == b:
        return a
    if {a, b} <= FLOATS and f64 in (a, b):
        raise TraceError(
            "TS1002",
            f"operands of types {name_of(a)} and {name_of(b)} do not mix: f64 is never made silently",
            hint=f"convert one, with .astype(ts.f64) or .astype({public_name(a if b == f64 else b)}); NumPy "
                 "makes f64 by default: np.ones(3, np.float32); i * 0.1 of a traced integer i is f32: "
                 "i.astype(ts.f64) * 0.1",
        )
    if {a, b} == {f16, bf16}:
        return f32
    return a if _RANK[a] > _RANK[b] else b


def weak_dtype(scalar: bool | int | float, other: np.dtype | None) -> np.dtype:
    """The type a Python number or float64 of NumPy takes beside a tensor of type `other` (None: alone)."""
    if isinstance(scalar, bool):
        return other if other is not None else bool_
    if isinstance(scalar, int):
        return i32 if other is None or other == bool_ else other
    alone = f64 if isinstance(scalar, np.float64) else f32
    return other if other is not None and is_float(other) else alone


def common_weak_dtype(scalars: Iterable[bool | int | float], other: np.dtype | None) -> np.dtype | None:
    """The type that several such scalars take together beside a tensor of type `other` (None: alone)."""
    # Those that are f64 first: they are it beside others of them, too.
    for scalar in sorted(scalars, key=lambda scalar: not isinstance(scalar, np.float64)):
        other = weak_dtype(scalar, other)
    return other
