# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Functions that make values: constants and index ranges."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tessera._src.core import dtypes
from tessera._src.core.errors import ShapeError, TraceError
from tessera._src.ops import elementwise, shaping
from tessera._src.ops.indexing import diagonal
from tessera._src.tracing.operands import (
    array_of_numbers,
    check_fits,
    constant,
    convert,
    emit,
    lift,
    lift_into,
    normalise_axis,
    number_into,
    scalar_array,
)
from tessera._src.tracing.tracer import Tracer


def full(shape: Any, value: Any, dtype: Any = None) -> Tracer:
    """A tensor of one value, or of an array repeated; its dtype is the value's.

    That of a Python float is f32, and of a float64 of NumPy f64.
    """
    sizes = shaping.as_shape(shape)
    if isinstance(value, Tracer):
        value = lift(value) if dtype is None else convert(lift(value), dtype)
        return shaping.broadcast_to(value, sizes)
    wanted = None if dtype is None else dtypes.canonical(dtype)
    scalar = lift(value).dtype if wanted is None else wanted
    if np.ndim(value) == 0:
        return constant(scalar_array(value, scalar), sizes)
    return shaping.broadcast_to(constant(array_of_numbers(np.asarray(value), scalar)), sizes)


def zeros(shape: Any, dtype: Any = dtypes.f32) -> Tracer:
    """Zeros."""
    return full(shape, 0, dtype)


def ones(shape: Any, dtype: Any = dtypes.f32) -> Tracer:
    """Ones."""
    return full(shape, 1, dtype)


def full_like(x: Any, value: Any, dtype: Any = None) -> Tracer:
    """A value repeated to the shape and (unless given) the dtype of x, which then holds it."""
    source = lift(x)
    if dtype is not None:
        return full(source.shape, value, dtype)
    if isinstance(value, (Tracer, list, tuple)) or np.ndim(value) != 0:
        return shaping.broadcast_to(lift_into(value, source.dtype), source.shape)
    return constant(number_into(value, source.dtype), source.shape)


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


def _known(value: Any, what: str) -> int | float:
    """A number of Python or NumPy, known while tracing and finite."""
    if isinstance(value, Tracer):
        value.__index__()
    number = value.item() if isinstance(value, (np.generic, np.ndarray)) and np.ndim(value) == 0 else value
    if isinstance(number, bool) or not isinstance(number, (int, float)):
        raise TraceError("TS1010", f"{what} must be a number", got=repr(value)[:80])
    if isinstance(number, float) and not math.isfinite(number):
        raise TraceError("TS1010", f"{what} is not finite", got=number)
    return number


def arange(start: Any, stop: Any = None, step: Any = 1, dtype: Any = None) -> Tracer:
    """start, start + step, ... below stop; in `dtype`, or else i32, or f32 if a bound is a float.

    With a float64 of NumPy among the bounds it is f64. An integer dtype takes whole numbers, and a dtype
    all numbers of the range.
    """
    if stop is None:
        start, stop = 0, start
    has_wide = any(isinstance(v, (np.generic, np.ndarray)) and v.dtype == dtypes.f64
                   for v in (start, stop, step))
    start, stop, step = (_known(v, f"{name} of ts.arange")
                         for v, name in ((start, "start"), (stop, "stop"), (step, "step")))
    if step == 0:
        raise ShapeError("TS3015", "arange needs a step other than 0")
    if dtype is None:
        floats = dtypes.f64 if has_wide else dtypes.f32
        wanted = dtypes.i32 if isinstance(start + stop + step, int) else floats
    else:
        wanted = dtypes.canonical(dtype)
    if dtypes.is_int(wanted):
        if not all(float(bound).is_integer() for bound in (start, stop, step) if isinstance(bound, float)):
            raise TraceError("TS1017", f"ts.arange of {dtypes.name_of(wanted)} needs integer bounds",
                             got=f"start={start}, stop={stop}, step={step}",
                             hint="use a dtype of floats, and round with .astype afterwards")
        start, stop, step = int(start), int(stop), int(step)
        count = max(-((start - stop) // step), 0)
    else:
        count = max(math.ceil((stop - start) / step), 0)
    for number in (start, start + (count - 1) * step) if count else ():
        check_fits(number, wanted, ", a number of ts.arange,")
    if count == 1:
        return full((1,), start, wanted)
    wide = dtypes.f32 if wanted in (dtypes.f16, dtypes.bf16) else wanted
    value = iota((count,), 0, wide)
    value = value if step == 1 else elementwise.multiply(value, step)
    return convert(value if start == 0 else elementwise.add(value, start), wanted)


def linspace(start: float, stop: float, num: int = 50, endpoint: bool = True, *,
             dtype: Any = dtypes.f32) -> Tracer:
    """`num` numbers in equal steps from start to stop; computed in f64, rounded down in integer types.

    Args:
        endpoint: whether stop is the last of them.
    """
    if not isinstance(endpoint, (bool, np.bool_)):
        raise TraceError("TS1010", "endpoint of ts.linspace must be a boolean", got=repr(endpoint),
                         hint="the dtype is given by name: dtype=ts.f64")
    start, stop = _known(start, "start of ts.linspace"), _known(stop, "stop of ts.linspace")
    (num,) = shaping.as_shape(num)
    numbers, wanted = np.linspace(start, stop, num, endpoint), dtypes.canonical(dtype)
    numbers = np.floor(numbers) if dtypes.is_int(wanted) else numbers
    return constant(array_of_numbers(numbers, wanted))


def tri(rows: int, columns: int | None = None, k: int = 0, dtype: Any = dtypes.f32) -> Tracer:
    """Ones at and below the k-th diagonal, zeros above."""
    shape = (rows, rows if columns is None else columns)
    below = elementwise.greater_equal(elementwise.add(iota(shape, 0), k), iota(shape, 1))
    return convert(below, dtype)


def eye(rows: int, columns: int | None = None, k: int = 0, dtype: Any = dtypes.f32) -> Tracer:
    """Ones on the k-th diagonal, zeros elsewhere."""
    shape = (rows, rows if columns is None else columns)
    return convert(elementwise.equal(elementwise.add(iota(shape, 0), k), iota(shape, 1)), dtype)


def diag(x: Any, k: int = 0) -> Tracer:
    """The k-th diagonal of a matrix, or the matrix that has a vector as its k-th diagonal."""
    value = lift(x)
    if value.ndim == 2:
        return diagonal(value, k)
    if value.ndim != 1:
        raise ShapeError("TS3021", "diag takes a vector or a matrix", got=value.shape)
    (k,) = shaping.as_shape(k, least=None)
    size = value.shape[0] + abs(k)
    padded = shaping.pad(value, [(max(k, 0), max(-k, 0))])
    return elementwise.where(eye(size, k=k, dtype=dtypes.bool_), padded, 0)


def meshgrid(*values: Any, indexing: str = "xy") -> list[Tracer]:
    """Vectors repeated over the grid that they span, one array of coordinates for each.

    Args:
        indexing: "ij" for dimensions in the order of the vectors, "xy" for the first two exchanged.
    """
    if indexing not in ("xy", "ij"):
        raise TraceError("TS1029", f"meshgrid does not know indexing={indexing!r}", choices=["'xy'", "'ij'"])
    items = [lift(v) for v in values]
    for item in items:
        if item.ndim > 1:
            raise ShapeError("TS3021", "meshgrid takes vectors", got=item.shape)
    order = list(range(len(items)))
    if indexing == "xy" and len(items) > 1:
        order[:2] = [1, 0]
    shape = [items[i].size for i in order]
    return [shaping.broadcast_to(shaping.reshape(item, [item.size if k == i else 1 for k in order]), shape)
            for i, item in enumerate(items)]


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
