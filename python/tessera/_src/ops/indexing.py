# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""x[...] and lookups: slices, integers, integer arrays, masks of the host, diagonals."""

from __future__ import annotations

import builtins
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from tessera._src.core import dtypes
from tessera._src.core.errors import ShapeError, TraceError
from tessera._src.ops.lookups import as_indices, dynamic_slice, gather, wrapped
from tessera._src.ops.shaping import moveaxis, reshape
from tessera._src.tracing.operands import (
    NO_ELEMENTS_HINT,
    broadcast,
    broadcast_shapes,
    emit_simple,
    lift,
    normalise_axis,
)
from tessera._src.tracing.sums import known_difference, known_number
from tessera._src.tracing.tracer import Tracer

_INDEX_KINDS = ("integers", "slices", "None", "...", "integer arrays")


def slice_bounds(item: builtins.slice, size: int) -> tuple[int, int, int]:
    """Start, stop and step of a slice of a dimension."""
    _check_slice(item)
    return item.indices(size)


def _check_slice(item: builtins.slice) -> None:
    for part in (item.start, item.stop, item.step):
        if part is not None and not hasattr(part, "__index__"):
            raise TraceError("TS1010", "the bounds of a slice are integers", got=repr(part))
    if isinstance(item.step, Tracer):
        raise TraceError("TS1009", "the step of a slice is known while tracing, as sizes are",
                         got=repr(item.step), hint="look entries up: x[start + step * ts.arange(4)]")
    if item.step is not None and not item.step:
        raise ShapeError("TS3012", "a slice has step 0", got=repr(item))


def traced_slice(item: Any, size: int) -> tuple[Any, int, int] | None:
    """Start, number of entries and step of a slice with traced bounds; None for other entries.

    Its size is known where its bounds differ by a number that is, as in x[i : i + 4].
    """
    if not isinstance(item, slice) or not any(isinstance(b, Tracer) for b in (item.start, item.stop)):
        return None
    _check_slice(item)
    step = 1 if item.step is None else operator.index(item.step)
    if step < 0:
        raise TraceError("TS1009", "a slice with traced bounds has a positive step", got=step,
                         hint="turn the entries round with ts.flip(x[i : i + 4], axis)")
    bounds = [_bound(item.start, 0), _bound(item.stop, size)]
    length = known_difference(bounds[1], bounds[0])
    if length is None:
        raise TraceError(
            "TS1009", "the bounds of a slice are known while tracing, or differ by a number that is",
            expected="one start in both, as in x[i : i + 4]: these are 4 entries wherever they begin",
            got=f"{item.start!r} to {item.stop!r}",
            hint="ts.dynamic_slice_in_dim(x, start, size, axis) begins at a traced index")
    if length < 1:
        raise ShapeError("TS3020", f"a slice of {length} entries would be a zero-size tensor",
                         hint=NO_ELEMENTS_HINT)
    count = -(-length // step)
    if (count - 1) * step >= size:
        raise ShapeError("TS3012", f"a slice of {length} entries does not fit a dimension of size {size}",
                         hint="x[i : i + n] has n entries wherever it begins, so at most all of them")
    return bounds[0], count, step


def _bound(part: Any, default: int) -> Any:
    """A bound of a slice: a number if it is known, else a traced scalar."""
    if not isinstance(part, Tracer):
        return default if part is None else operator.index(part)
    at = as_indices(part)
    if at.shape:
        raise ShapeError("TS3012", "a bound of a slice is an integer without dimensions", got=at.shape,
                         hint="x[0] takes the element of an array of one")
    number = known_number(at)
    return at if number is None else number


def _cut_traced_slices(value: Tracer, items: tuple) -> tuple[Tracer, tuple]:
    """The value cut by the slices of traced bounds, and the entries that are left to do."""
    sizes = iter(value.shape)
    found = [None if item is None else traced_slice(item, next(sizes)) for item in items]
    if not any(found):
        return value, items
    boxes = [box for box, item in zip(found, items) if item is not None]
    value = dynamic_slice(value, [box[0] if box else 0 for box in boxes],
                          [(box[1] - 1) * box[2] + 1 if box else n for box, n in zip(boxes, value.shape)])
    return value, tuple(slice(None, None, box[2]) if box else item for box, item in zip(found, items))


def is_array(item: Any) -> bool:
    """Whether an entry of an index is an array, traced or of the host."""
    return isinstance(item, (Tracer, np.ndarray, list)) or (
        hasattr(item, "__array__") and not isinstance(item, np.generic)
    )


def _is_mask(item: Any) -> bool:
    """Whether an item is a boolean array on the host, which selects a known number of elements."""
    if isinstance(item, list):
        return bool(item) and all(isinstance(i, (bool, np.bool_)) for i in item)
    return isinstance(item, np.ndarray) and item.dtype == np.bool_ and item.ndim > 0


def _without_masks(items: tuple, shape: tuple[int, ...]) -> tuple:
    """Masks on the host as the indices of the elements that they select."""
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


def expand_index(value: Tracer, index: Any) -> tuple:
    """The entries of an index: one per dimension, arrays for masks, and None."""
    items = index if isinstance(index, tuple) else (index,)
    used = sum(np.ndim(i) if _is_mask(i) else 1 for i in items if i is not None and i is not Ellipsis)
    dots = [k for k, i in enumerate(items) if i is Ellipsis]
    if len(dots) > 1:
        raise TraceError("TS1018", "an index has more than one '...'")
    if used > value.ndim:
        raise ShapeError("TS3012", f"{used} indices for {value.ndim} dimensions", got=repr(index))
    at = dots[0] if dots else len(items)
    rest = (slice(None),) * (value.ndim - used)
    return _without_masks(items[:at] + rest + items[at + 1 :], value.shape)


def is_integer(item: Any) -> bool:
    """Whether an entry of an index is an integer of the host."""
    return isinstance(item, (int, np.integer)) and not isinstance(item, bool)


def stand_together(items: tuple) -> bool:
    """Whether arrays and integers are neighbours, so that what they select stays in their place."""
    fixed = [k for k, i in enumerate(items) if is_array(i) or is_integer(i)]
    return fixed == list(range(fixed[0], fixed[-1] + 1))


def getitem(value: Tracer, index: Any) -> Tracer:
    """x[index] by NumPy's rules: integers, slices, None, Ellipsis, integer arrays.

    Boolean masks are arrays of the host: how many elements they select must be known. So must be
    integers that are checked: those in traced arrays read zeros where they are out of range.

    A slice may begin at a traced integer if its size is known, as in x[i : i + 4]: its bounds are the
    same value but for a number. Where NumPy's slice has that size, it is the same; else it is that of
    ts.dynamic_slice: a negative start counts from the end, and then is clamped so that the slice fits.
    Near the end, where NumPy's slice is shorter or empty, x[i : i + 4] is the last four entries.
    """
    value = lift(value)  # Outside of the trace that made it, the error names the value.
    value, items = _cut_traced_slices(value, expand_index(value, index))
    arrays = [k for k, i in enumerate(items) if is_array(i)]
    if not arrays:
        return _basic(value, items)
    value = _basic(value, tuple(slice(None) if k in arrays else i for k, i in enumerate(items)))
    dims = [k - sum(map(is_integer, items[:k])) for k in arrays]
    indices = [wrapped(items[k], value.shape[dim]) for k, dim in zip(arrays, dims)]
    shape = broadcast_shapes([i.shape for i in indices])
    result = gather(value, [broadcast(i, shape) for i in indices], dims)
    if stand_together(items):
        return result
    # NumPy puts the dimensions of index arrays that stand apart first.
    return moveaxis(result, range(dims[0], dims[0] + len(shape)), range(len(shape)))


def _small(number: int) -> np.generic:
    return np.int32(number) if number <= np.iinfo(np.int32).max else np.int64(number)


def _basic(value: Tracer, items: tuple) -> Tracer:
    """Integers, slices and None, together one entry for every dimension."""
    starts, limits, steps, shape, backwards = [], [], [], [], []
    points: dict[int, int] = {}  # By dimension.
    dim = 0
    for item in items:
        if item is None:
            shape.append(1)
            continue
        size = value.shape[dim]
        if isinstance(item, slice):
            start, stop, step = slice_bounds(item, size)
            count = len(range(start, stop, step))
            if step < 0:  # The same elements forwards, and turned round afterwards.
                backwards.append(len(shape))
                start, step = start + (count - 1) * step, -step
            starts.append(start if count else 0), steps.append(step)
            limits.append(starts[-1] + (count - 1) * step + 1 if count else 0)
            shape.append(count)
        elif is_integer(item):
            if not -size <= item < size:
                raise ShapeError("TS3012", f"index {item} is out of range for dimension {dim} of "
                                 f"size {size}", choices=[f"{-size} to {size - 1}"])
            at = int(item) % size
            if value.dtype == dtypes.bool_:
                starts.append(at), limits.append(at + 1), steps.append(1)
            else:
                # A lookup: of a dimension that is split, only the device that has the entry reads it.
                points[dim] = at
                starts.append(0), limits.append(size), steps.append(1)
        else:
            raise TraceError("TS1018", f"cannot index with {item!r}", choices=_INDEX_KINDS)
        dim += 1
    cut = [-((a - b) // s) for a, b, s in zip(starts, limits, steps)]
    if tuple(cut) != value.shape or any(starts):
        value = emit_simple("slice", f" {starts} to {limits} by {steps}", value, cut)
    if points:
        value = gather(value, [lift(_small(at)) for at in points.values()], list(points))
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
            value = gather(value, [lift(np.arange(value.shape[dim], dtype=np.int32)[::-1])], [dim])
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
