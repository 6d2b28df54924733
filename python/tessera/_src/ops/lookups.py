# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Reads and writes at computed positions: gathers, scatters, and slices of computed start."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from tessera._src.core import dtypes
from tessera._src.core.errors import ShapeError, TraceError
from tessera._src.ops import elementwise
from tessera._src.ops.shaping import reshape
from tessera._src.tracing.operands import (
    broadcast,
    broadcast_shapes,
    convert,
    emit,
    is_scalar,
    lift,
    lift_into,
    normalise_axis,
)
from tessera._src.tracing.tracer import Tracer

# -- indices -------------------------------------------------------------------------------------


def as_indices(indices: Any) -> Tracer:
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


def wrapped(indices: Any, size: int) -> Tracer:
    """Indices, where negative ones count from the end; those known while tracing must be in range."""
    if isinstance(indices, Tracer):
        value = as_indices(indices)
        return elementwise.where(elementwise.less(value, 0), elementwise.add(value, size), value)
    check_range(indices, -size, size)
    if _holds_tracers(indices):
        value = as_indices(indices)
        return elementwise.where(elementwise.less(value, 0), elementwise.add(value, size), value)
    as_indices(indices)  # Refuses what is not an integer.
    array = np.asarray(indices)
    return lift(np.where(array < 0, array + size, array).astype(
        np.int32 if size <= np.iinfo(np.int32).max else np.int64))


def _holds_tracers(indices: Any) -> bool:
    return isinstance(indices, Tracer) or (
        isinstance(indices, (list, tuple)) and any(_holds_tracers(i) for i in indices))


def check_range(indices: Any, least: int, size: int) -> None:
    """Raises where an index of the host is not in [least, size)."""
    for index in (i for i in _numbers_in(indices) if not least <= i < size):
        raise ShapeError("TS3012", f"index {index} is out of range for a dimension of size {size}",
                         choices=[f"{least} to {size - 1}"])


def check_known(indices: Any, least: int, size: int) -> None:
    """The same outside of a trace, for an array of NumPy, which is at hand there."""
    if isinstance(indices, np.ndarray) and indices.dtype.kind in "iu":
        check_range(indices, least, size)


def checked_on_host(check: Callable) -> Callable[[Callable], Callable]:
    """A function that outside of a trace, where its arguments are known, also runs `check` of them."""
    def marked(function: Callable) -> Callable:
        function.check_on_host = check  # type: ignore[attr-defined]
        return function

    return marked


def _check_along(x: Any, indices: Any, *rest: Any, axis: int | None = None) -> None:
    """Raises where an index along a dimension of x, or of the flat x, is out of range."""
    axis = rest[-1] if rest else axis
    size = math.prod(np.shape(x)) if axis is None else np.shape(x)[axis]
    check_range(indices, -size, size)


def _check_rows(table: Any, indices: Any) -> None:
    check_range(indices, 0, np.shape(table)[0])


def _numbers_in(indices: Any) -> Iterator[int]:
    """The integers on the host that indices hold; lists may hold traced values, too."""
    if isinstance(indices, (list, tuple)):
        for item in indices:
            yield from _numbers_in(item)
    elif not isinstance(indices, Tracer):
        array = np.asarray(indices)
        yield from (array.min(), array.max()) if array.size else ()


# -- gather and scatter --------------------------------------------------------------------------


def _batch_text(batch: Sequence[tuple[int, int]]) -> str:
    if not batch:
        return ""
    return f" batch {[a for a, _ in batch]} = {[b for _, b in batch]}"


def gather(source: Tracer, indices: Sequence[Tracer], dims: Sequence[int],
           batch: Sequence[tuple[int, int]] = ()) -> Tracer:
    """Slices at indices along ascending dims; the indices' dimensions stand in the place of the first.

    Args:
        batch: pairs of a dimension of the source and one of the indices, which are one in the result.
    """
    paired = {b for _, b in batch}
    new = [size for d, size in enumerate(indices[0].shape) if d not in paired]
    shape = [*source.shape[: dims[0]], *new,
             *(size for d, size in enumerate(source.shape) if d > dims[0] and d not in dims)]
    operands = [source, *indices]
    names = ", ".join(i.value for i in indices)
    types = ", ".join(o.type for o in operands)
    text = f"tessera.gather {source.value} [{names}] dims {list(dims)}{_batch_text(batch)} : ({types}) -> "
    return emit(text, shape, source.dtype, operands)


def scatter(kind: str, value: Tracer, indices: Sequence[Tracer], updates: Tracer, dims: Sequence[int],
            batch: Sequence[tuple[int, int]] = ()) -> Tracer:
    """The value combined with updates, which have the shape of what a gather reads."""
    operands = [value, *indices, updates]
    names = ", ".join(i.value for i in indices)
    types = ", ".join(o.type for o in operands)
    text = (f"tessera.scatter {kind} {value.value} [{names}] = {updates.value} dims {list(dims)}"
            f"{_batch_text(batch)} : ({types}) -> ")
    return emit(text, value.shape, value.dtype, operands)


@checked_on_host(_check_along)
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
    return gather(source, [wrapped(indices, source.shape[dim])], [dim])


@checked_on_host(_check_rows)
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
    at = as_indices(indices)
    check_range(indices, 0, rows.shape[0])
    return gather(rows, [at], [0])


def _along_axis(x: Any, indices: Any, axis: int | None, name: str) -> tuple[Tracer, Tracer, int]:
    """A value, indices of the same rank, and the axis that they index."""
    source = lift(x)
    if axis is None:
        source, axis = reshape(source, -1), 0
    dim = normalise_axis(axis, source.ndim)
    at = wrapped(indices, source.shape[dim])
    if at.ndim != source.ndim:
        raise ShapeError("TS3012", f"{name} needs indices of the same rank as x",
                         expected=source.ndim, got=at.ndim)
    others = [1 if i == dim else size for i, size in enumerate(source.shape)]
    broadcast_shapes([tuple(others), tuple(1 if i == dim else n for i, n in enumerate(at.shape))])
    return source, at, dim


@checked_on_host(_check_along)
def take_along_axis(x: Any, indices: Any, axis: int | None) -> Tracer:
    """Elements of x at `indices` along a dimension, one index per element of the result.

    Negative indices count from the end; traced ones outside of the dimension read zeros. The other
    dimensions pair up, and may be split over devices.

    Args:
        x: any shape.
        indices: i32 or i64 of the same rank as x, which broadcast except for `axis`.
        axis: the dimension; None for the flat x.
    """
    source, at, dim = _along_axis(x, indices, axis, "take_along_axis")
    # Where x has one entry all indices read it; where the indices have one it is for all of x.
    full = [n if i == dim else max(n, m) for i, (n, m) in enumerate(zip(source.shape, at.shape))]
    source = broadcast(source, full)
    kept = [i for i, n in enumerate(at.shape) if i == dim or n == full[i]]
    at = reshape(at, [at.shape[i] for i in kept])
    batch = [(i, k) for k, i in enumerate(kept) if i != dim]
    return gather(source, [at], [dim], batch)


@checked_on_host(lambda arr, indices, values, axis: _check_along(arr, indices, axis))
def put_along_axis(arr: Any, indices: Any, values: Any, axis: int | None) -> Tracer:
    """A copy of arr with `values` at `indices` along a dimension: what take_along_axis reads.

    Of several values for one element the last one stays. Traced indices outside of the dimension are
    dropped.

    Args:
        indices: i32 or i64 of the same rank as arr, which broadcast except for `axis`.
        values: broadcast to the shape of what take_along_axis reads; of the type of arr or one that it holds.
    """
    source, at, dim = _along_axis(arr, indices, axis, "put_along_axis")
    full = [m if i == dim else n for i, (n, m) in enumerate(zip(source.shape, at.shape))]
    if any(m > n for i, (n, m) in enumerate(zip(full, at.shape)) if i != dim):
        raise ShapeError("TS3006", "put_along_axis does not broadcast what it writes to",
                         got=f"{source.shape} and indices {at.shape}")
    at = broadcast(at, full)
    updates = broadcast(lift_into(values, source.dtype), full)
    batch = [(i, i) for i in range(source.ndim) if i != dim]
    result = scatter("set", source, [at], updates, [dim], batch)
    return reshape(result, lift(arr).shape) if axis is None else result


# -- slices of computed start --------------------------------------------------------------------


def _starts(value: Tracer, starts: Sequence[Any], what: str) -> list[Tracer]:
    """One i32 per dimension; negative ones count from the end."""
    if isinstance(starts, Tracer) and starts.ndim == 1:
        starts = lift(starts)
        starts = [gather(starts, [lift(np.int32(k))], [0]) for k in range(starts.shape[0])]
    if isinstance(starts, Tracer) or is_scalar(starts):
        starts = [starts]
    starts = list(starts)
    if len(starts) != value.ndim:
        raise ShapeError("TS3012", f"{what} needs one start per dimension", expected=value.ndim,
                         got=len(starts))
    result = []
    for start, size in zip(starts, value.shape):
        if is_scalar(start) or isinstance(start, np.generic):
            number = int(as_indices(start) is not None and start)
            number = number + size if number < 0 else number
            result.append(lift(np.int32(min(max(number, 0), size))))
            continue
        at = as_indices(start)
        if at.shape:
            raise ShapeError("TS3012", f"a start of {what} is an integer without dimensions", got=at.shape,
                             hint="x[0] takes the element of an array of one")
        at = elementwise.where(elementwise.less(at, 0), elementwise.add(at, size), at)
        if at.dtype != dtypes.i32:
            at = convert(elementwise.clip(at, 0, size), dtypes.i32)
        result.append(at)
    return result


def _sizes(sizes: Any) -> list[int]:
    """The sizes of a slice, which are known while tracing."""
    listed = list(sizes) if isinstance(sizes, (list, tuple, np.ndarray)) else [sizes]
    for size in listed:
        if isinstance(size, (bool, Tracer)) or not hasattr(size, "__index__"):
            raise TraceError("TS1010", "the sizes of a slice are Python integers: its shape is known while "
                             "tracing", got=repr(size), expected="one size per dimension, as in (2, 4)")
    return [operator.index(size) for size in listed]


def dynamic_slice(operand: Any, start_indices: Sequence[Any], slice_sizes: Sequence[int]) -> Tracer:
    """A box of fixed size that begins at computed indices; so is x[i : i + 4] with a traced i.

    Negative starts count from the end; then starts are clamped so that the box fits: one too near the end
    reads the last entries, where a slice of NumPy would be shorter.

    Args:
        start_indices: an integer, traced or not, per dimension.
        slice_sizes: the size of the box per dimension.
    """
    value = lift(operand)
    sizes = _sizes(slice_sizes)
    if len(sizes) != value.ndim or any(not 0 < k <= n for k, n in zip(sizes, value.shape)):
        raise ShapeError("TS3012", f"a slice of sizes {tuple(sizes)} does not fit a value of shape "
                         f"{value.shape}", expected="one size per dimension, of at least 1")
    starts = _starts(value, start_indices, "dynamic_slice")
    operands = [value, *starts]
    names, types = ", ".join(s.value for s in starts), ", ".join(o.type for o in operands)
    return emit(f"tessera.dynamic_slice {value.value} [{names}] : ({types}) -> ", sizes, value.dtype,
                operands)


def dynamic_update_slice(operand: Any, update: Any, start_indices: Sequence[Any]) -> Tracer:
    """A copy of operand with `update` in the box that begins at computed indices.

    Negative starts count from the end; then starts are clamped so that the box fits. Where operand is
    not used afterwards (or is donated) only the box is written.

    Args:
        update: of the same rank as operand, no dimension larger, and of its type or one that it holds.
        start_indices: an integer, traced or not, per dimension.
    """
    value = lift(operand)
    box = lift_into(update, value.dtype)
    if box.ndim != value.ndim or any(k > n for k, n in zip(box.shape, value.shape)):
        raise ShapeError("TS3012", f"an update of shape {box.shape} does not fit a value of shape "
                         f"{value.shape}", expected="the same rank, no dimension larger")
    starts = _starts(value, start_indices, "dynamic_update_slice")
    operands = [value, *starts, box]
    names, types = ", ".join(s.value for s in starts), ", ".join(o.type for o in operands)
    text = f"tessera.dynamic_update_slice {value.value} [{names}] = {box.value} : ({types}) -> "
    return emit(text, value.shape, value.dtype, operands)


def _starts_at(value: Tracer, start: Any, dim: int) -> list[Any]:
    return [start if d == dim else 0 for d in range(value.ndim)]


def dynamic_slice_in_dim(operand: Any, start_index: Any, slice_size: int, axis: int = 0) -> Tracer:
    """`slice_size` entries of a dimension from a computed index on; see dynamic_slice."""
    value = lift(operand)
    dim = normalise_axis(axis, value.ndim)
    sizes = [slice_size if d == dim else n for d, n in enumerate(value.shape)]
    return dynamic_slice(value, _starts_at(value, start_index, dim), sizes)


def dynamic_index_in_dim(operand: Any, index: Any, axis: int = 0, keepdims: bool = True) -> Tracer:
    """The entry of a dimension at a computed index, which is clamped; see dynamic_slice."""
    value = lift(operand)
    dim = normalise_axis(axis, value.ndim)
    entry = dynamic_slice_in_dim(value, index, 1, dim)
    return entry if keepdims else reshape(entry, value.shape[:dim] + value.shape[dim + 1 :])


def dynamic_update_slice_in_dim(operand: Any, update: Any, start_index: Any, axis: int) -> Tracer:
    """A copy of operand with `update` in a dimension from a computed index on."""
    value = lift(operand)
    dim = normalise_axis(axis, value.ndim)
    return dynamic_update_slice(value, update, _starts_at(value, start_index, dim))


def dynamic_update_index_in_dim(operand: Any, update: Any, index: Any, axis: int) -> Tracer:
    """A copy of operand with `update` as the entry of a dimension at a computed index."""
    value = lift(operand)
    dim = normalise_axis(axis, value.ndim)
    box = lift_into(update, value.dtype)
    if box.ndim == value.ndim - 1:
        box = reshape(box, box.shape[:dim] + (1,) + box.shape[dim:])
    return dynamic_update_slice_in_dim(value, box, index, dim)
