# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Functions that move elements: reshape, transpose, splitting, joining, repeating, padding."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tessera._src.core import dtypes
from tessera._src.core.errors import ShapeError, TraceError
from tessera._src.tracing.named_dims import describe, dims_of, with_names
from tessera._src.tracing.operands import (
    broadcast,
    broadcast_values,
    common_dtype,
    convert,
    emit_simple,
    join,
    lift,
    normalise_axes,
    normalise_axis,
    number_into,
)
from tessera._src.tracing.program_text import scalar_text
from tessera._src.tracing.tracer import Tracer


def as_shape(shape: Any, least: int | None = 0) -> tuple[int, ...]:
    """Sizes from one integer or a sequence of them, or an error; none is below `least`."""
    if isinstance(shape, Tracer):
        shape.__index__()
    sizes = (shape,) if isinstance(shape, (int, np.integer)) else tuple(shape)
    for size in sizes:
        if isinstance(size, Tracer):
            size.__index__()
        if isinstance(size, bool) or not isinstance(size, (int, np.integer)):
            raise TraceError("TS1010", "a shape holds integers", got=repr(shape))
        if least is not None and size < least:
            raise ShapeError("TS3022", "a size or a count is negative", got=repr(shape))
    return tuple(int(size) for size in sizes)


def reshape(x: Any, *shape: Any) -> Tracer:
    """The elements in row-major order under another shape; one size may be -1."""
    value = lift(x)
    sizes = as_shape(shape[0] if len(shape) == 1 else shape, least=None)
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
    result = emit_simple("transpose", f" {order}", value, [value.shape[a] for a in order])
    is_reversed = value._name and order == list(range(value.ndim))[::-1]
    return with_names(result, [dims_of(value)[a] for a in order],
                      f"{value._name}.T" if is_reversed else None)


def swapaxes(x: Any, first: int, second: int) -> Tracer:
    """Two dimensions exchanged."""
    value = lift(x)
    order = list(range(value.ndim))
    i, j = normalise_axis(first, value.ndim), normalise_axis(second, value.ndim)
    order[i], order[j] = j, i
    return transpose(value, order)


def expand_dims(x: Any, axis: int | Sequence[int]) -> Tracer:
    """New dimensions of size 1, at these positions of the result."""
    value = lift(x)
    listed = [axis] if isinstance(axis, (int, np.integer)) else list(axis)
    at = normalise_axes(listed, value.ndim + len(listed))
    old = iter(value.shape)
    return reshape(value, [1 if i in at else next(old) for i in range(value.ndim + len(listed))])


def moveaxis(x: Any, source: int | Sequence[int], destination: int | Sequence[int]) -> Tracer:
    """Dimensions moved to other positions; the others keep their order."""
    value = lift(x)
    pairs = []
    for listed in (source, destination):
        listed = [listed] if isinstance(listed, (int, np.integer)) else list(listed)
        pairs.append([normalise_axis(a, value.ndim) for a in listed])
    if len(pairs[0]) != len(pairs[1]) or any(len(set(p)) != len(p) for p in pairs):
        raise ShapeError("TS3008", f"moveaxis from {tuple(pairs[0])} to {tuple(pairs[1])}",
                         expected="one distinct position per dimension")
    order = [i for i in range(value.ndim) if i not in pairs[0]]
    for to, at in sorted(zip(pairs[1], pairs[0])):
        order.insert(to, at)
    return transpose(value, order)


def ravel(x: Any) -> Tracer:
    """The elements in row-major order, in one dimension."""
    return reshape(x, -1)


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
    return broadcast(lift(x), as_shape(shape))


def concatenate(values: Sequence[Any], axis: int | None = 0) -> Tracer:
    """Values joined along an existing dimension, in their promoted dtype; flattened if axis is None."""
    items = [lift(v) for v in values]
    if axis is None:
        items, axis = [ravel(item) for item in items], 0
    if not items:
        raise ShapeError("TS3009", "concatenate needs at least one value")
    rank = items[0].ndim
    dim = normalise_axis(axis, rank)
    dtype = common_dtype(items)
    for item in items:
        if item.ndim != rank or any(
            a != b for i, (a, b) in enumerate(zip(item.shape, items[0].shape)) if i != dim
        ):
            raise ShapeError(
                "TS3009",
                f"shapes do not join along dimension {dim}: "
                + ", ".join(map(describe, items)),
                expected=f"equal sizes in all dimensions but {dim}",
            )
    return join([convert(item, dtype) for item in items], dim)


def stack(values: Sequence[Any], axis: int = 0) -> Tracer:
    """Values of one shape joined along a new dimension."""
    items = [lift(v) for v in values]
    if any(item.is_weak for item in items):
        dtype = common_dtype(items)
        items = [convert(item, dtype) for item in items]
    if any(item.shape != items[0].shape for item in items):
        raise ShapeError("TS3009", "stack needs values of one shape",
                         got=", ".join(map(describe, items)))
    return concatenate([expand_dims(item, axis) for item in items], axis)


def hstack(values: Sequence[Any]) -> Tracer:
    """Values joined along their second dimension, or the only one."""
    items = [lift(v) for v in values]
    return concatenate(items, 0 if items and items[0].ndim == 1 else 1)


def vstack(values: Sequence[Any]) -> Tracer:
    """Values joined along their first dimension; vectors become rows."""
    items = [lift(v) for v in values]
    return concatenate([expand_dims(i, 0) if i.ndim == 1 else i for i in items], 0)


def tile(x: Any, counts: int | Sequence[int]) -> Tracer:
    """x repeated as a whole, a number of times along each of the last dimensions."""
    value, times = lift(x), as_shape(counts)
    rank = max(value.ndim, len(times))
    times = (1,) * (rank - len(times)) + times
    value = reshape(value, (1,) * (rank - value.ndim) + value.shape)
    spread = broadcast(reshape(value, [s for size in value.shape for s in (1, size)]),
                       [s for pair in zip(times, value.shape) for s in pair])
    return reshape(spread, [n * size for n, size in zip(times, value.shape)])


def roll(x: Any, shift: int | Sequence[int], axis: int | Sequence[int] | None = None) -> Tracer:
    """Elements moved by `shift` along a dimension (of the flat x by default), around its end.

    Of several dimensions, each by the shift at its place, or all by the same.
    """
    value = lift(x)
    if axis is None:
        return reshape(roll(ravel(value), sum(as_shape(shift, least=None)), 0), value.shape)
    if isinstance(shift, (tuple, list)) or isinstance(axis, (tuple, list)):
        shifts = as_shape(shift, least=None)
        axes = list(axis) if isinstance(axis, (tuple, list)) else [axis]
        if 1 not in (len(shifts), len(axes)) and len(shifts) != len(axes):
            raise ShapeError("TS3008", f"roll has {len(shifts)} shifts for {len(axes)} dimensions")
        count = max(len(shifts), len(axes))
        for one, dim in zip(shifts * count if len(shifts) == 1 else shifts,
                            axes * count if len(axes) == 1 else axes):
            value = roll(value, one, dim)
        return value
    dim = normalise_axis(axis, value.ndim)
    (shift,) = as_shape(shift, least=None)
    shift %= value.shape[dim]
    if not shift:
        return value
    return concatenate([*split(value, [value.shape[dim] - shift], dim)[::-1]], dim)


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


def array_split(x: Any, parts: int | Sequence[int], axis: int = 0) -> list[Tracer]:
    """Parts along a dimension whose sizes differ by at most 1, or parts ending at the given indices."""
    value = lift(x)
    if not isinstance(parts, (int, np.integer)):
        return split(value, parts, axis)
    dim = normalise_axis(axis, value.ndim)
    size = value.shape[dim]
    if isinstance(parts, bool) or not 1 <= parts <= size:
        raise ShapeError("TS3010", f"dimension {dim} of size {size} does not split into {parts} parts",
                         choices=[f"1 to {size}"])
    more, least = size % parts, size // parts
    return split(value, [least * i + min(i, more) for i in range(1, parts)], dim)


def unstack(x: Any, axis: int = 0) -> list[Tracer]:
    """The slices along a dimension, without that dimension; the inverse of `stack`."""
    value = lift(x)
    dim = normalise_axis(axis, value.ndim)
    return [value[(slice(None),) * dim + (i,)] for i in range(value.shape[dim])]


def broadcast_arrays(*values: Any) -> list[Tracer]:
    """Values repeated to their common shape by NumPy's rule."""
    items = [lift(v) for v in values]
    shape = broadcast_values(items)
    return [broadcast(item, shape) for item in items]


def _padding(value: Any, dtype: np.dtype) -> np.ndarray:
    """The value to pad a tensor of this dtype with, which holds it."""
    if isinstance(value, (Tracer, list, tuple)) or np.ndim(value) != 0:
        raise TraceError("TS1029", "padding is one number, known while tracing", got=repr(value)[:80],
                         hint="pad with zeros, and choose with ts.where")
    return number_into(value, dtype)


def pad(x: Any, widths: Any, mode: str = "constant", *, constant_values: Any = 0) -> Tracer:
    """x surrounded by a value; widths: (low, high) for every dimension, or for all of them.

    The value is a number that the type of x holds: no fraction for integers.
    """
    source = lift(x)
    if mode != "constant":
        raise TraceError("TS1029", f"pad mode {mode!r} is not supported", choices=["'constant'"],
                         hint="pad's third argument is the mode, constant_values the value")
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
    element = scalar_text(_padding(constant_values, source.dtype), source.dtype)
    if source.dtype != dtypes.bool_:
        element += f" : {dtypes.MLIR_NAMES[source.dtype]}"
    return emit_simple("pad", f" low {low} high {high} value {element}", source, shape)
