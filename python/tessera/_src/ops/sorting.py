# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Sorts, the greatest elements, places in sorted values, and repeated slices."""

from __future__ import annotations

from typing import Any

import numpy as np

from tessera._src.core import dtypes
from tessera._src.core.errors import ShapeError, TraceError
from tessera._src.ops import derived, elementwise, reductions
from tessera._src.ops.lookups import gather, take, take_along_axis
from tessera._src.ops.reductions import Axes, cumsum
from tessera._src.ops.shaping import as_shape, ravel, reshape, transpose
from tessera._src.tracing.operands import (
    broadcast,
    convert,
    emit_simple,
    is_scalar,
    lift,
    lift_as,
    normalise_axes,
    normalise_axis,
)
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


def quantile(x: Any, q: Any, axis: Axes = None, *, keepdims: bool = False) -> Tracer:
    """Values below which a share q of the elements along dimensions (all by default) lies.

    Between two elements of the sorted x on a straight line, in floating point; NaN where x has one.

    Args:
        q: in [0, 1], known while tracing: a number, or an array whose dimensions come first.
    """
    if isinstance(q, Tracer):
        raise TraceError("TS1010", "the shares of a quantile are known while tracing", got=repr(q),
                         hint="write them as numbers, or make the argument static with static_argnums")
    shares = np.asarray(q, np.float64)
    if not ((shares >= 0) & (shares <= 1)).all():
        raise TraceError("TS1010", "the shares of a quantile are from 0 to 1", got=repr(q))
    value = elementwise.as_float(lift(x))
    axes = normalise_axes(axis, value.ndim)
    kept = [1 if d in axes else n for d, n in enumerate(value.shape)]
    rest = [d for d in range(value.ndim) if d not in axes]
    rows = transpose(elementwise.widened(value), (*axes, *rest))
    rows = sort(reshape(rows, (-1, *rows.shape[len(axes) :])), 0)
    place = shares * (rows.shape[0] - 1)
    low = np.floor(place).astype(np.int32)
    weight = (place - low).astype(rows.dtype).reshape(shares.shape + (1,) * len(rest))
    below, above = take(rows, low, 0), take(rows, np.minimum(low + 1, rows.shape[0] - 1), 0)
    # below + weight * (above - below) overflows, and is NaN of equal infinities. Of other ties it is exact,
    # and both elements have their share of the derivative.
    tied = elementwise.add(below, elementwise.multiply(elementwise.subtract(above, below), weight))
    tied = elementwise.where(derived.isinf(below), below, tied)
    mixed = elementwise.add(elementwise.multiply(below, 1 - weight), elementwise.multiply(above, weight))
    between = elementwise.where(elementwise.equal(below, above), tied, mixed)
    exact = elementwise.where(weight == 0, below, between)
    last = rows[-1:]  # NaN are sorted last.
    result = elementwise.where(elementwise.isnan(last), last, reshape(exact, (-1, *rows.shape[1:])))
    shape = kept if keepdims else [value.shape[d] for d in rest]
    return convert(reshape(result, (*shares.shape, *shape)), value.dtype)


def percentile(x: Any, q: Any, axis: Axes = None, *, keepdims: bool = False) -> Tracer:
    """quantile for q in percent."""
    share = q if isinstance(q, Tracer) else np.asarray(q, np.float64) / 100
    return quantile(x, share, axis, keepdims=keepdims)


def median(x: Any, axis: Axes = None, *, keepdims: bool = False) -> Tracer:
    """The middle of the sorted elements along dimensions (all by default), or the mean of the two there.

    In floating point; NaN where x has one.
    """
    return quantile(x, 0.5, axis, keepdims=keepdims)


# Up to this many values each element is compared with all of them.
_FEW_VALUES = 64


def isin(x: Any, values: Any, *, invert: bool = False) -> Tracer:
    """Whether each element of x is one of `values`; NaN is none.

    Args:
        invert: whether it is not.
    """
    known = None if is_scalar(values) else lift(values)
    a = lift(x, None if known is None else known.dtype)
    b = ravel(lift(values, a.dtype) if known is None else known)
    dtype = dtypes.promote(dtypes.promote(a.dtype, b.dtype), dtypes.i32)
    a, b = convert(a, dtype), convert(b, dtype)
    if b.size <= _FEW_VALUES:
        found = reductions.any(elementwise.equal(reshape(a, (*a.shape, 1)), b), -1)
    else:
        b = sort(b)
        at = elementwise.minimum(searchsorted(b, a), b.size - 1)
        found = elementwise.equal(take(b, at, 0), a)
    return elementwise.logical_not(found) if invert else found


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
