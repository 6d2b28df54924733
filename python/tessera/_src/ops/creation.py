# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Functions that make values: constants and index ranges."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tessera._src.core import dtypes
from tessera._src.core.errors import ShapeError, TraceError
from tessera._src.ops import elementwise, shaping
from tessera._src.tracing.operands import (
    array_of_numbers,
    constant,
    convert,
    emit,
    lift,
    normalise_axis,
    refuse_lossy_cast,
    scalar_array,
)
from tessera._src.tracing.tracer import Tracer


def full(shape: Any, value: Any, dtype: Any = None) -> Tracer:
    """A tensor of one value; its dtype is the value's (f32 for a Python float)."""
    sizes = shaping.as_shape(shape)
    if isinstance(value, Tracer):
        value = value if dtype is None else convert(value, dtype)
        return shaping.broadcast_to(value, sizes)
    wanted = None if dtype is None else dtypes.canonical(dtype)
    scalar = lift(value).dtype if wanted is None else wanted
    if np.ndim(value) == 0:
        return constant(scalar_array(value, scalar), sizes)
    array = np.asarray(value)
    refuse_lossy_cast(array)
    return constant(array.astype(scalar), sizes)


def zeros(shape: Any, dtype: Any = dtypes.f32) -> Tracer:
    """Zeros."""
    return full(shape, 0, dtype)


def ones(shape: Any, dtype: Any = dtypes.f32) -> Tracer:
    """Ones."""
    return full(shape, 1, dtype)


def full_like(x: Any, value: Any, dtype: Any = None) -> Tracer:
    """A value repeated to the shape and (unless given) the dtype of x."""
    source = lift(x)
    return full(source.shape, value, source.dtype if dtype is None else dtype)


def zeros_like(x: Any, dtype: Any = None) -> Tracer:
    """Zeros of the shape and dtype of x."""
    return full_like(x, 0, dtype)


def ones_like(x: Any, dtype: Any = None) -> Tracer:
    """Ones of the shape and dtype of x."""
    return full_like(x, 1, dtype)


def iota(shape: Any, axis: int = 0, dtype: Any = dtypes.i32) -> Tracer:
    """Each element is its index along a dimension."""
    sizes = shaping.as_shape(shape)
    dtype = dtypes.canonical(dtype)
    dim = normalise_axis(axis, len(sizes))
    if dtype == dtypes.bool_:
        raise TraceError("TS1017", "indices are numbers", got="bool")
    return emit(f"tessera.iota dim {dim} : ", sizes, dtype)


def arange(start: Any, stop: Any = None, step: Any = 1, dtype: Any = None) -> Tracer:
    """start, start + step, ... below stop; i32, or f32 if a bound is a float."""
    if stop is None:
        start, stop = 0, start
    for bound in (start, stop, step):
        if isinstance(bound, Tracer):
            bound.__index__()
    if step == 0:
        raise ShapeError("TS3015", "arange needs a step other than 0")
    if dtype is None:
        whole = all(isinstance(b, (int, np.integer)) for b in (start, stop, step))
        dtype = dtypes.i32 if whole else dtypes.f32
    count = max(math.ceil((stop - start) / step), 0)
    value = iota((count,), 0, dtype)
    value = value if step == 1 else elementwise.multiply(value, step)
    return value if start == 0 else elementwise.add(value, start)


def linspace(start: float, stop: float, num: int = 50, dtype: Any = dtypes.f32) -> Tracer:
    """`num` numbers in equal steps from start to stop, both included; computed in f64."""
    return constant(array_of_numbers(np.linspace(start, stop, num), dtypes.canonical(dtype)))


def tri(rows: int, columns: int | None = None, k: int = 0, dtype: Any = dtypes.f32) -> Tracer:
    """Ones at and below the k-th diagonal, zeros above."""
    shape = (rows, rows if columns is None else columns)
    below = elementwise.greater_equal(elementwise.add(iota(shape, 0), k), iota(shape, 1))
    return convert(below, dtype)


def eye(rows: int, columns: int | None = None, k: int = 0, dtype: Any = dtypes.f32) -> Tracer:
    """Ones on the k-th diagonal, zeros elsewhere."""
    shape = (rows, rows if columns is None else columns)
    return convert(elementwise.equal(elementwise.add(iota(shape, 0), k), iota(shape, 1)), dtype)


def _matrix(x: Any) -> Tracer:
    value = lift(x)
    if value.ndim < 2:
        raise ShapeError("TS3021", "a triangle needs at least two dimensions", got=value.shape)
    return value


def tril(x: Any, k: int = 0) -> Tracer:
    """x with zeros above the k-th diagonal of its last two dimensions."""
    value = _matrix(x)
    return elementwise.where(tri(*value.shape[-2:], k, dtypes.bool_), value, 0)


def triu(x: Any, k: int = 0) -> Tracer:
    """x with zeros below the k-th diagonal of its last two dimensions."""
    value = _matrix(x)
    return elementwise.where(tri(*value.shape[-2:], k - 1, dtypes.bool_), 0, value)


def one_hot(x: Any, count: int, dtype: Any = dtypes.f32) -> Tracer:
    """Rows with a one at each index: [...] of integers to [..., count]."""
    at = shaping.expand_dims(x, -1)
    wide = iota(at.shape[:-1] + (count,), at.ndim - 1)
    return convert(elementwise.equal(at, wide), dtype)
