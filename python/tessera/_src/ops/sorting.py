# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Sorts, the greatest elements, places in sorted values, and repeated slices."""

from __future__ import annotations

from typing import Any

import numpy as np

from tessera._src.core import dtypes
from tessera._src.core.errors import ShapeError, TraceError
from tessera._src.ops import elementwise
from tessera._src.ops.lookups import gather, take, take_along_axis
from tessera._src.ops.reductions import cumsum
from tessera._src.ops.shaping import as_shape, ravel, reshape
from tessera._src.tracing.operands import broadcast, convert, emit_simple, lift, lift_as, normalise_axis
from tessera._src.tracing.tracer import Tracer


def argsort(x: Any, axis: int | None = -1, *, stable: bool = True, descending: bool = False) -> Tracer:
    """The indices, i32, that sort x along a dimension.

    NaN count as greater than all numbers.

    Args:
        axis: the dimension; None for the flat x.
        stable: whether equal elements keep their order. They do in any case.
        descending: greatest first.
    """
    value = lift(x)
    if axis is None:
        value, axis = ravel(value), 0
    dim = normalise_axis(axis, value.ndim)
    return emit_simple("argsort", f" dim {dim}{' descending' if descending else ''}", value, value.shape,
                       dtypes.i32)


def sort(x: Any, axis: int | None = -1, *, stable: bool = True, descending: bool = False) -> Tracer:
    """The elements of x along a dimension in ascending order; NaN come last.

    Args:
        axis: the dimension; None for the flat x.
        stable: whether equal elements keep their order. They do in any case.
        descending: greatest first, beginning with NaN.
    """
    value = lift(x)
    if axis is None:
        value, axis = ravel(value), 0
    return take_along_axis(value, argsort(value, axis, stable=stable, descending=descending), axis)


def top_k(x: Any, k: int, *, axis: int = -1) -> tuple[Tracer, Tracer]:
    """The k greatest elements along a dimension, greatest first, and their indices.

    Of equal elements the first come first; NaN are greater than all numbers.
    """
    value = lift(x)
    dim = normalise_axis(axis, value.ndim)
    if isinstance(k, Tracer) or not isinstance(k, (int, np.integer)) or isinstance(k, bool):
        raise TraceError("TS1010", "k of top_k must be a Python integer: it is a size", got=repr(k))
    if not 1 <= k <= value.shape[dim]:
        raise ShapeError("TS3012", f"top_k takes {k} of {value.shape[dim]} elements",
                         choices=[f"1 to {value.shape[dim]}"])
    order = argsort(value, dim, descending=True)
    index = tuple(slice(k) if d == dim else slice(None) for d in range(value.ndim))
    indices = order[index]
    return take_along_axis(value, indices, dim), indices


def _comes_before(x: Tracer, y: Tracer) -> Tracer:
    """x < y, where NaN are greater than all numbers."""
    less = elementwise.less(x, y)
    if not dtypes.is_float(x.dtype):
        return less
    only = elementwise.logical_and(elementwise.isnan(y), elementwise.logical_not(elementwise.isnan(x)))
    return elementwise.logical_or(less, only)


def searchsorted(a: Any, v: Any, side: str = "left", sorter: Any = None) -> Tracer:
    """Where the elements of v would be inserted into a, which is sorted, i32.

    Args:
        a: [n], ascending.
        v: any shape.
        side: "left" of equal elements, or "right" of them.
        sorter: the indices that sort a, where it is not sorted.
    """
    if side not in ("left", "right"):
        raise TraceError("TS1010", f"side {side!r} of searchsorted is unknown", choices=["left", "right"])
    keys, values = lift(a), lift(v)
    if keys.ndim != 1:
        raise ShapeError("TS3012", "searchsorted looks into a value of one dimension", got=keys.shape)
    if sorter is not None:
        keys = take(keys, sorter, 0)
    shape, length = values.shape, keys.shape[0]
    dtype = dtypes.promote(keys.dtype, values.dtype)
    keys, values = convert(keys, dtype), reshape(convert(values, dtype), -1)
    # The number of keys that come before: its binary digits from the highest on.
    found = lift(np.zeros(values.shape, np.int32))
    step = 1 << (length.bit_length() - 1)
    while step:
        probe = elementwise.add(found, step)
        key = gather(keys, [elementwise.subtract(probe, 1)], [0])
        before = _comes_before(key, values) if side == "left" else elementwise.logical_not(
            _comes_before(values, key))
        inside = elementwise.less_equal(probe, length)
        found = elementwise.where(elementwise.logical_and(inside, before), probe, found)
        step //= 2
    return reshape(found, shape)


def repeat(x: Any, count: Any, axis: int | None = None, *, total_repeat_length: int | None = None) -> Tracer:
    """Each slice along a dimension repeated a number of times; elements of the flat x without axis.

    Args:
        count: an integer, or one per slice.
        axis: the dimension; None for the flat x.
        total_repeat_length: the size of the result along the dimension, needed where counts are traced.
            Where it is larger than their sum, the last slice fills the rest.
    """
    value = lift(x)
    if axis is None:
        value, axis = ravel(value), 0
    dim = normalise_axis(axis, value.ndim)
    size = value.shape[dim]
    if isinstance(count, Tracer):
        if total_repeat_length is None:
            raise TraceError("TS1010", "the size of the result depends on traced counts",
                             hint="give its size with total_repeat_length=")
        counts = broadcast(lift_as(count, dtypes.i32), (size,))
        ends = cumsum(counts, 0)
        at = searchsorted(ends, np.arange(as_shape(total_repeat_length)[0], dtype=np.int32), "right")
        return take(value, elementwise.minimum(at, size - 1), dim)
    if np.ndim(count) == 0:
        (times,) = as_shape(count)
        head, tail = value.shape[:dim], value.shape[dim + 1 :]
        spread = broadcast(reshape(value, head + (size, 1) + tail), head + (size, times) + tail)
        return reshape(spread, head + (size * times,) + tail)
    counts = as_shape(count.tolist() if isinstance(count, np.ndarray) else count)
    if len(counts) not in (1, size):
        raise ShapeError("TS3022", f"repeat has {len(counts)} counts for {size} slices")
    return take(value, np.repeat(np.arange(size, dtype=np.int32), counts), dim)
