# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Functions that move elements: reshape, transpose, slicing, joining, padding, lookup."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tessera._src import dtypes, elementwise
from tessera._src.errors import ShapeError, TraceError
from tessera._src.tracer import (
    Tracer,
    broadcast,
    convert,
    emit,
    emit_simple,
    lift,
    normalise_axes,
    normalise_axis,
)


def _as_shape(shape: Any) -> tuple[int, ...]:
    sizes = (shape,) if isinstance(shape, (int, np.integer)) else tuple(shape)
    for size in sizes:
        if isinstance(size, Tracer):
            size.__index__()
        if isinstance(size, bool) or not isinstance(size, (int, np.integer)):
            raise TraceError("TS1010", "a shape holds integers", got=repr(shape))
    return tuple(int(size) for size in sizes)


def reshape(x: Any, *shape: Any) -> Tracer:
    """The elements in row-major order under another shape; one size may be -1."""
    value = lift(x)
    sizes = _as_shape(shape[0] if len(shape) == 1 else shape)
    unknown = [i for i, size in enumerate(sizes) if size < 0]
    known = math.prod(size for size in sizes if size >= 0)
    if len(unknown) == 1 and sizes[unknown[0]] == -1 and known and value.size % known == 0:
        sizes = tuple(value.size // known if size < 0 else size for size in sizes)
    elif unknown or known != value.size:
        raise ShapeError(
            "TS3007",
            f"shape {value.shape} of {value.size} elements does not reshape to {sizes}",
            expected=f"sizes whose product is {value.size}; one of them may be -1",
            got=f"a product of {known}",
        )
    return value if sizes == value.shape else emit_simple("reshape", "", value, sizes)


def transpose(x: Any, axes: Sequence[int] | None = None) -> Tracer:
    """Dimensions in another order; reversed if no order is given."""
    value = lift(x)
    order = list(range(value.ndim))[::-1] if axes is None else list(axes)
    if sorted(normalise_axes(order, value.ndim)) != list(range(value.ndim)):
        raise ShapeError("TS3008", f"{tuple(order)} is not an order of {value.ndim} dimensions")
    order = [normalise_axis(a, value.ndim) for a in order]
    if order == sorted(order):
        return value
    return emit_simple("transpose", f" {order}", value, [value.shape[a] for a in order])


def swapaxes(x: Any, first: int, second: int) -> Tracer:
    """Two dimensions exchanged."""
    value = lift(x)
    order = list(range(value.ndim))
    i, j = normalise_axis(first, value.ndim), normalise_axis(second, value.ndim)
    order[i], order[j] = j, i
    return transpose(value, order)


def expand_dims(x: Any, axis: int) -> Tracer:
    """A new dimension of size 1."""
    value = lift(x)
    at = normalise_axis(axis, value.ndim + 1)
    return reshape(value, value.shape[:at] + (1,) + value.shape[at:])


def squeeze(x: Any, axis: int | Sequence[int] | None = None) -> Tracer:
    """Without dimensions of size 1: all of them, or those named."""
    value = lift(x)
    if axis is None:
        drop = {i for i, size in enumerate(value.shape) if size == 1}
    else:
        drop = set(normalise_axes(axis, value.ndim))
    for i in drop:
        if value.shape[i] != 1:
            raise ShapeError("TS3007", f"dimension {i} of shape {value.shape} is not 1")
    return reshape(value, [size for i, size in enumerate(value.shape) if i not in drop])


def broadcast_to(x: Any, shape: Any) -> Tracer:
    """x repeated to `shape` by NumPy's rule."""
    return broadcast(lift(x), _as_shape(shape))


def concatenate(values: Sequence[Any], axis: int = 0) -> Tracer:
    """Values joined along an existing dimension, in their promoted dtype."""
    items = [lift(v) for v in values]
    if not items:
        raise ShapeError("TS3009", "concatenate needs at least one value")
    rank = items[0].ndim
    dim = normalise_axis(axis, rank)
    dtype = items[0].dtype
    for item in items:
        dtype = dtypes.promote(dtype, item.dtype)
        if item.ndim != rank or any(
            a != b for i, (a, b) in enumerate(zip(item.shape, items[0].shape)) if i != dim
        ):
            raise ShapeError(
                "TS3009",
                f"shapes do not join along dimension {dim}: "
                + ", ".join(str(i.shape) for i in items),
                expected=f"equal sizes in all dimensions but {dim}",
            )
    items = [convert(item, dtype) for item in items]
    shape = list(items[0].shape)
    shape[dim] = sum(item.shape[dim] for item in items)
    if len(items) == 1:
        return items[0]
    operands = ", ".join(item.value for item in items)
    types = ", ".join(item.type for item in items)
    return emit(f"tessera.concatenate {operands} dim {dim} : ({types}) -> ", shape, dtype, items)


def stack(values: Sequence[Any], axis: int = 0) -> Tracer:
    """Values of one shape joined along a new dimension."""
    items = [lift(v) for v in values]
    if any(item.shape != items[0].shape for item in items):
        raise ShapeError("TS3009", "stack needs values of one shape",
                         got=", ".join(str(i.shape) for i in items))
    return concatenate([expand_dims(item, axis) for item in items], axis)


def split(x: Any, parts: int | Sequence[int], axis: int = 0) -> list[Tracer]:
    """Equal parts, or parts ending at the given indices, along a dimension."""
    value = lift(x)
    dim = normalise_axis(axis, value.ndim)
    size = value.shape[dim]
    if isinstance(parts, int):
        if parts < 1 or size % parts:
            raise ShapeError(
                "TS3010", f"dimension {dim} of size {size} does not split into {parts} equal parts",
                choices=[d for d in range(1, size + 1) if size % d == 0][:16],
            )
        cuts = [size // parts * i for i in range(1, parts)]
    else:
        cuts = [int(c) for c in parts]
    bounds = [0, *cuts, size]
    return [
        value[(slice(None),) * dim + (slice(a, b),)] for a, b in zip(bounds[:-1], bounds[1:])
    ]


def pad(x: Any, widths: Any, value: Any = 0) -> Tracer:
    """x surrounded by `value`; widths: (low, high) for every dimension, or for all of them."""
    source = lift(x)
    array = np.asarray(widths)
    try:
        pairs = np.broadcast_to(array, (source.ndim, 2))
    except ValueError:
        raise ShapeError("TS3011", f"pad widths {widths!r} do not fit {source.ndim} dimensions",
                         expected="one (low, high) per dimension") from None
    if (pairs < 0).any():
        raise ShapeError("TS3011", "pad widths are negative", got=widths, hint="slice instead")
    if not pairs.any():
        return source
    low, high = [int(p) for p in pairs[:, 0]], [int(p) for p in pairs[:, 1]]
    shape = [size + a + b for size, a, b in zip(source.shape, low, high)]
    from tessera._src.graph import scalar_text

    element = scalar_text(value, source.dtype)
    if source.dtype != dtypes.bool_:
        element += f" : {dtypes.MLIR_NAMES[source.dtype]}"
    return emit_simple("pad", f" low {low} high {high} value {element}", source, shape)


def _gather(source: Tracer, indices: Tracer, dim: int) -> Tracer:
    shape = source.shape[:dim] + indices.shape + source.shape[dim + 1 :]
    text = (
        f"tessera.gather {source.value}[{indices.value}] dim {dim} : "
        f"{source.type}, {indices.type} -> "
    )
    return emit(text, shape, source.dtype, [source, indices])


def _as_indices(indices: Any) -> Tracer:
    value = lift(indices)
    if not dtypes.is_int(value.dtype):
        raise TraceError(
            "TS1017", "indices are integers", got=dtypes.name_of(value.dtype),
            hint="a boolean mask has a shape that depends on data: use ts.where(mask, x, 0)",
        )
    return value


def take(x: Any, indices: Any, axis: int = 0) -> Tracer:
    """Slices of x at `indices` along a dimension; negative ones count from the end.

    Indices outside of the dimension read zeros.
    """
    source, where_ = lift(x), _as_indices(indices)
    dim = normalise_axis(axis, source.ndim)
    wrapped = elementwise.where(
        elementwise.less(where_, 0), elementwise.add(where_, source.shape[dim]), where_
    )
    return _gather(source, wrapped, dim)


def embedding(table: Any, indices: Any) -> Tracer:
    """Rows of `table` at `indices`, which are not negative; outside of the table reads zeros."""
    return _gather(lift(table), _as_indices(indices), 0)


def _slice_bounds(item: slice, size: int) -> tuple[int, int, int]:
    for part in (item.start, item.stop, item.step):
        if isinstance(part, Tracer):
            part.__index__()
    start, stop, step = item.indices(size)
    if step < 1:
        raise TraceError("TS1018", "slices go forwards only", got=f"step {step}")
    return start, max(stop, start), step


def getitem(value: Tracer, index: Any) -> Tracer:
    """x[index]: integers, slices, None, Ellipsis, or one integer array."""
    if isinstance(index, (Tracer, np.ndarray, list)):
        return take(value, index)
    items = index if isinstance(index, tuple) else (index,)
    if any(isinstance(i, (Tracer, np.ndarray, list)) for i in items):
        raise TraceError("TS1018", "an array index stands alone",
                         hint="use ts.take(x, indices, axis)")
    used = sum(1 for i in items if i is not None and i is not Ellipsis)
    if sum(1 for i in items if i is Ellipsis) > 1:
        raise TraceError("TS1018", "an index has more than one '...'")
    if used > value.ndim:
        raise ShapeError("TS3012", f"{used} indices for {value.ndim} dimensions", got=repr(index))
    if Ellipsis not in items:
        items = items + (Ellipsis,)
    starts, limits, steps, shape = [], [], [], []
    dim = 0
    for item in items:
        if item is None:
            shape.append(1)
        elif item is Ellipsis:
            for _ in range(value.ndim - used):
                size = value.shape[dim]
                starts.append(0), limits.append(size), steps.append(1), shape.append(size)
                dim += 1
        elif isinstance(item, slice):
            start, stop, step = _slice_bounds(item, value.shape[dim])
            starts.append(start), limits.append(stop), steps.append(step)
            shape.append(-((start - stop) // step))
            dim += 1
        elif isinstance(item, (int, np.integer)) and not isinstance(item, bool):
            at = normalise_axis(item, value.shape[dim], f"index into dimension {dim}:")
            starts.append(at), limits.append(at + 1), steps.append(1)
            dim += 1
        else:
            raise TraceError(
                "TS1018", f"cannot index with {item!r}",
                choices=["integers", "slices", "None", "...", "one integer array"],
            )
    cut = [-((a - b) // s) for a, b, s in zip(starts, limits, steps)]
    if tuple(cut) != value.shape or any(starts):
        value = emit_simple("slice", f" {starts} to {limits} by {steps}", value, cut)
    return reshape(value, shape)
