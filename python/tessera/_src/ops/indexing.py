# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""x[...] and lookups: slices, integers, integer arrays, masks of the host, diagonals."""

from __future__ import annotations

import builtins
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from tessera._src.core import dtypes
from tessera._src.core.errors import ShapeError, TraceError
from tessera._src.ops import elementwise
from tessera._src.ops.shaping import moveaxis, reshape
from tessera._src.tracing.operands import (
    broadcast,
    broadcast_shapes,
    convert,
    emit,
    emit_simple,
    lift,
    normalise_axis,
)
from tessera._src.tracing.tracer import Tracer

_INDEX_KINDS = ("integers", "slices", "None", "...", "integer arrays")


def _gather(source: Tracer, indices: Tracer, dim: int) -> Tracer:
    shape = source.shape[:dim] + indices.shape + source.shape[dim + 1 :]
    text = (
        f"tessera.gather {source.value}[{indices.value}] dim {dim} : "
        f"{source.type}, {indices.type} -> "
    )
    return emit(text, shape, source.dtype, [source, indices])


def _as_indices(indices: Any) -> Tracer:
    """Indices as integers; arrays of the host may have any integer type, as they are in range."""
    if isinstance(indices, (np.ndarray, np.generic)) and indices.dtype.kind in "iu" and (
            indices.dtype not in dtypes.INTS):
        indices = indices.astype(np.int64)
    value = lift(indices)
    if not dtypes.is_int(value.dtype):
        raise TraceError(
            "TS1017", "indices are integers", got=dtypes.name_of(value.dtype),
            hint="a boolean mask has a shape that depends on data: use ts.where(mask, x, 0)"
            if value.dtype == dtypes.bool_ else "convert them with .astype(ts.i32)",
        )
    return value


def _wrapped(indices: Any, size: int) -> Tracer:
    """Indices of which negative ones count from the end; those known now must be in range."""
    if not isinstance(indices, Tracer):
        _check_range(indices, -size, size)
    value = _as_indices(indices)
    below = elementwise.less(value, 0)
    return elementwise.where(below, elementwise.add(value, size), value)


def _check_range(indices: Any, least: int, size: int) -> None:
    for index in (i for i in _numbers_in(indices) if not least <= i < size):
        raise ShapeError("TS3012", f"index {index} is out of range for a dimension of size {size}",
                         choices=[f"{least} to {size - 1}"])


def _numbers_in(indices: Any) -> Iterator[int]:
    """The integers on the host that indices hold; lists may hold traced values, too."""
    if isinstance(indices, (list, tuple)):
        for item in indices:
            yield from _numbers_in(item)
    elif not isinstance(indices, Tracer):
        array = np.asarray(indices)
        yield from (array.min(), array.max()) if array.size else ()


def take(x: Any, indices: Any, axis: int | None = None) -> Tracer:
    """Slices of x at `indices` along a dimension, or elements of the flattened x.

    Negative indices count from the end. Indices outside of the dimension are an error where they are
    known, as on the host, and read zeros where they are traced.

    Args:
        x: [..., n, ...], n being the size of dimension `axis`.
        indices: i32 or i64 of any shape, which takes the place of that dimension.
    """
    source = lift(x)
    if axis is None:
        source, axis = reshape(source, -1), 0
    dim = normalise_axis(axis, source.ndim)
    return _gather(source, _wrapped(indices, source.shape[dim]), dim)


def take_along_axis(x: Any, indices: Any, axis: int) -> Tracer:
    """Elements of x at `indices` along a dimension, one index per element of the result.

    Args:
        x: any shape.
        indices: i32 or i64 of as many dimensions, which broadcast except for `axis`.
    """
    source = lift(x)
    dim = normalise_axis(axis, source.ndim)
    at = _wrapped(indices, source.shape[dim])
    if at.ndim != source.ndim:
        raise ShapeError("TS3012", "take_along_axis needs indices of as many dimensions as x",
                         expected=source.ndim, got=at.ndim)
    others = [1 if i == dim else size for i, size in enumerate(source.shape)]
    full = broadcast_shapes([tuple(others), at.shape])
    indices = [np.arange(size).reshape([-1 if i == k else 1 for k in range(source.ndim)])
               for i, size in enumerate(source.shape)]
    indices[dim] = at
    return _at_points(source, [broadcast(lift(i), full) for i in indices], 0)


def embedding(table: Any, indices: Any) -> Tracer:
    """Rows of `table` at `indices`, which are not negative.

    Indices outside of the table are an error where they are known, as on the host, and read zeros
    where they are traced.

    Args:
        table: [n, ...]. With its first dimension split over devices, each looks up its own rows.
        indices: i32 or i64 of any shape, which takes the place of the first dimension.
    """
    rows = lift(table)
    if not rows.shape:
        raise ShapeError("TS3012", "an embedding's table has at least one dimension", got=rows.shape)
    _check_range(indices, 0, rows.shape[0])
    return _gather(rows, _as_indices(indices), 0)


def _at_points(source: Tracer, indices: Sequence[Any], dim: int) -> Tracer:
    """Elements at points given by an index array per dimension from `dim` on."""
    if len(indices) == 1:
        return take(source, indices[0], dim)
    sizes = source.shape[dim : dim + len(indices)]
    if math.prod(sizes) > np.iinfo(np.int32).max:
        raise ShapeError("TS3012", f"{len(indices)} index arrays into dimensions of sizes {sizes}",
                         expected="a product of at most 2**31 - 1")
    values = [_wrapped(i, size) for i, size in zip(indices, sizes)]
    shape = broadcast_shapes([v.shape for v in values])
    inside = None
    for value, size in zip(values, sizes):  # In the indices' own type: i32 has other numbers for some.
        value = broadcast(value, shape)
        fits = elementwise.logical_and(elementwise.greater_equal(value, 0), elementwise.less(value, size))
        inside = fits if inside is None else elementwise.logical_and(inside, fits)
    values = [broadcast(convert(value, dtypes.i32), shape) for value in values]
    point = values[0]
    for value, size in zip(values[1:], sizes[1:]):
        point = elementwise.add(elementwise.multiply(point, size), value)
    flat = reshape(source, source.shape[:dim] + (math.prod(sizes),) + source.shape[dim + len(sizes) :])
    # One index out of its range must not name an element of the next row.
    return _gather(flat, elementwise.where(inside, point, -1), dim)


def _slice_bounds(item: builtins.slice, size: int) -> tuple[int, int, int]:
    for part in (item.start, item.stop, item.step):
        if isinstance(part, Tracer):
            part.__index__()
        if part is not None and not hasattr(part, "__index__"):
            raise TraceError("TS1010", "the bounds of a slice are integers", got=repr(part))
    if item.step is not None and not item.step:
        raise ShapeError("TS3012", "a slice has step 0", got=repr(item))
    return item.indices(size)


def _is_array(item: Any) -> bool:
    return isinstance(item, (Tracer, np.ndarray, list)) or (
        hasattr(item, "__array__") and not isinstance(item, np.generic)
    )


def _is_mask(item: Any) -> bool:
    """Whether an item is a boolean array on the host, which selects a known number of elements."""
    if isinstance(item, list):
        return bool(item) and all(isinstance(i, (bool, np.bool_)) for i in item)
    return isinstance(item, np.ndarray) and item.dtype == np.bool_ and item.ndim > 0


def _without_masks(items: tuple, shape: tuple[int, ...]) -> tuple:
    """Masks on the host as the indices of what they select."""
    result, dim = [], 0
    for item in items:
        if _is_mask(item):
            mask = np.asarray(item)
            if mask.shape != shape[dim : dim + mask.ndim]:
                raise ShapeError("TS3012", f"a mask of shape {mask.shape} does not fit the dimensions "
                                 "it indexes", expected=shape[dim : dim + mask.ndim])
            result += [i.astype(np.int32) for i in np.nonzero(mask)]
            dim += mask.ndim
        else:
            result.append(item)
            dim += item is not None
    return tuple(result)


def getitem(value: Tracer, index: Any) -> Tracer:
    """x[index] by NumPy's rules: integers, slices, None, Ellipsis, adjacent integer arrays.

    Boolean masks are arrays of the host: how many elements they select must be known. So must be
    integers that are checked: those in traced arrays read zeros where they are out of range.
    """
    items = index if isinstance(index, tuple) else (index,)
    used = sum(np.ndim(i) if _is_mask(i) else 1 for i in items if i is not None and i is not Ellipsis)
    dots = [k for k, i in enumerate(items) if i is Ellipsis]
    if len(dots) > 1:
        raise TraceError("TS1018", "an index has more than one '...'")
    if used > value.ndim:
        raise ShapeError("TS3012", f"{used} indices for {value.ndim} dimensions", got=repr(index))
    at = dots[0] if dots else len(items)
    rest = (slice(None),) * (value.ndim - used)
    items = items[:at] + rest + items[at + 1 :]
    items = _without_masks(items, value.shape)
    arrays = [k for k, i in enumerate(items) if _is_array(i)]
    if not arrays:
        return _basic(value, items)
    first, last = arrays[0], arrays[-1]
    integers = [k for k, i in enumerate(items) if isinstance(i, (int, np.integer))]
    fixed = sorted(arrays + integers)
    if fixed != list(range(fixed[0], fixed[-1] + 1)) or any(first < k < last for k in integers):
        raise TraceError(
            "TS1018", "index arrays and integers stand apart", got=repr(index),
            hint="index in two steps, or use ts.take(x, indices, axis)",
        )
    value = _basic(value, tuple(slice(None) if k in arrays else i for k, i in enumerate(items)))
    dim = first - sum(1 for k in integers if k < first)
    return _at_points(value, [items[k] for k in arrays], dim)


def _basic(value: Tracer, items: tuple) -> Tracer:
    """Integers, slices and None, together one entry for every dimension."""
    starts, limits, steps, shape, backwards = [], [], [], [], []
    dim = 0
    for item in items:
        if item is None:
            shape.append(1)
            continue
        size = value.shape[dim]
        if isinstance(item, slice):
            start, stop, step = _slice_bounds(item, size)
            count = len(range(start, stop, step))
            if step < 0:  # The same elements forwards, and turned round afterwards.
                backwards.append(len(shape))
                start, step = start + (count - 1) * step, -step
            starts.append(start if count else 0), steps.append(step)
            limits.append(starts[-1] + (count - 1) * step + 1 if count else 0)
            shape.append(count)
        elif isinstance(item, (int, np.integer)) and not isinstance(item, bool):
            if not -size <= item < size:
                raise ShapeError("TS3012", f"index {item} is out of range for dimension {dim} of "
                                 f"size {size}", choices=[f"{-size} to {size - 1}"])
            at = int(item) % size
            starts.append(at), limits.append(at + 1), steps.append(1)
        else:
            raise TraceError("TS1018", f"cannot index with {item!r}", choices=_INDEX_KINDS)
        dim += 1
    cut = [-((a - b) // s) for a, b, s in zip(starts, limits, steps)]
    if tuple(cut) != value.shape or any(starts):
        value = emit_simple("slice", f" {starts} to {limits} by {steps}", value, cut)
    value = reshape(value, shape)
    for turned in backwards:
        value = flip(value, turned)
    return value


def flip(x: Any, axis: int | Sequence[int] | None = None) -> Tracer:
    """The elements in reverse order along dimensions (all by default)."""
    value = lift(x)
    axes = range(value.ndim) if axis is None else [axis] if isinstance(axis, int) else axis
    for dim in {normalise_axis(a, value.ndim) for a in axes}:
        if value.shape[dim] > 1:
            value = _gather(value, lift(np.arange(value.shape[dim], dtype=np.int32)[::-1]), dim)
    return value


def diagonal(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tracer:
    """The elements of equal indices in two dimensions, as the last dimension.

    Args:
        offset: how far right of the main diagonal; below it if negative.
    """
    value = lift(x)
    rows, columns = normalise_axis(axis1, value.ndim), normalise_axis(axis2, value.ndim)
    if rows == columns:
        raise ShapeError("TS3008", "a diagonal is of two different dimensions", got=(axis1, axis2))
    value = moveaxis(value, (rows, columns), (-2, -1))
    height, width = value.shape[-2:]
    count = builtins.min(height, width - offset) if offset >= 0 else builtins.min(height + offset, width)
    if count < 1:
        raise ShapeError("TS3020", f"the diagonal at offset {offset} of {height}x{width} has no elements",
                         choices=[f"{1 - height} to {width - 1}"])
    first = offset if offset >= 0 else -offset * width
    flat = reshape(value, value.shape[:-2] + (height * width,))
    return flat[..., first : first + (count - 1) * (width + 1) + 1 : width + 1]
