# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""x.at[...]: copies of values with some elements changed; sums by segment."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tessera._src.core import dtypes
from tessera._src.core.errors import NoAttribute, ShapeError, TraceError, did_you_mean
from tessera._src.ops import elementwise
from tessera._src.ops.creation import full, zeros
from tessera._src.ops.index_modes import in_mode, refuse_repeated
from tessera._src.ops.indexing import (
    getitem,
    is_array,
    is_integer,
    slice_bounds,
    stand_together,
    traced_slice,
)
from tessera._src.ops.lookups import as_indices, dynamic_update_slice, scatter, wrapped
from tessera._src.ops.shaping import reshape, transpose
from tessera._src.tracing.operands import broadcast, broadcast_shapes, lift, lift_into
from tessera._src.tracing.tracer import Tracer


_UPDATES_ELSEWHERE = {"sub": "subtract", "mul": "multiply", "div": "divide", "increment": "add",
                      "replace": "set"}


class IndexUpdates:
    """What x.at is: x.at[index] names elements to read or to change in a copy."""

    __slots__ = ("_value",)

    def __init__(self, value: Tracer) -> None:
        self._value = value

    def __getitem__(self, index: Any) -> "IndexUpdate":
        return IndexUpdate(self._value, index)

    def __setitem__(self, index: Any, value: Any) -> None:
        raise TraceError("TS1026", "traced values do not change", got="x.at[...] = ...",
                         hint="make a new value: x = x.at[index].set(new)")

    def __repr__(self) -> str:
        return f"{self._value!r}.at"


class IndexUpdate:
    """Elements of a value: every method gives a new value, and x stays as it is.

    Indices are those of x[index]. Those outside of a dimension are dropped by updates, and read
    `fill_value` by get, unless mode="clip" moves them to the nearest one in it; where they are known
    while tracing, they are an error unless `mode` is "drop", "fill" or "clip". Slices that begin at a
    traced index, as x.at[i : i + 4], always are moved so that they fit. Of several updates of one
    element set leaves the last, and the others combine all. multiply, divide and apply refuse them, and
    want unique_indices=True, a promise, where traced indices may name an element twice. Values have the
    type of x or one that it holds.
    """

    __slots__ = ("_value", "_index")

    def __init__(self, value: Tracer, index: Any) -> None:
        self._value, self._index = value, index

    def __repr__(self) -> str:
        return f"{self._value!r}.at[{self._index!r}]"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # Protocols that Python and others ask for.
            raise AttributeError(name)
        known = [n for n in dir(type(self)) if not n.startswith("_")]
        raise NoAttribute("TS1027", f"x.at[...] has no '{name}'", choices=known,
                          hint=did_you_mean(name, known, _UPDATES_ELSEWHERE))

    def get(self, *, mode: str | None = None, fill_value: Any = None) -> Tracer:
        """The elements, as x[index]."""
        index = in_mode(self._value, self._index, mode)
        result = getitem(self._value, index)
        if fill_value is None or mode == "clip" or not _may_miss(index):
            return result
        known = getitem(full(self._value.shape, True), index)
        return elementwise.where(known, result, lift_into(fill_value, result.dtype))

    def set(self, values: Any, *, mode: str | None = None) -> Tracer:  # noqa: A003
        """x with the elements replaced."""
        return _update("set", self, values, mode)

    def add(self, values: Any, *, mode: str | None = None) -> Tracer:
        """x with values added to the elements."""
        return _update("add", self, values, mode)

    def subtract(self, values: Any, *, mode: str | None = None) -> Tracer:
        """x with values subtracted from the elements."""
        return _update("add", self, elementwise.negative(lift_into(values, self._value.dtype)), mode)

    def max(self, values: Any, *, mode: str | None = None) -> Tracer:  # noqa: A003
        """x with the elements at least as great as values."""
        return _update("max", self, values, mode)

    def min(self, values: Any, *, mode: str | None = None) -> Tracer:  # noqa: A003
        """x with the elements at most as great as values."""
        return _update("min", self, values, mode)

    def multiply(self, values: Any, *, mode: str | None = None, unique_indices: bool = False) -> Tracer:
        """x with the elements multiplied by values."""
        return self._replace(lambda x: elementwise.multiply(x, values), "multiply", mode, unique_indices)

    def divide(self, values: Any, *, mode: str | None = None, unique_indices: bool = False) -> Tracer:
        """x with the elements divided by values."""
        return self._replace(lambda x: elementwise.divide(x, values), "divide", mode, unique_indices)

    def apply(self, function: Callable[[Tracer], Tracer], *, mode: str | None = None,
              unique_indices: bool = False) -> Tracer:
        """x with a function of single elements applied to the elements."""
        return self._replace(function, "apply", mode, unique_indices)

    def _replace(self, function: Callable[[Tracer], Tracer], name: str, mode: str | None,
                 unique_indices: bool) -> Tracer:
        if not unique_indices:
            refuse_repeated(self._value, self._index, mode, name)
        return self.set(function(self.get(mode=mode)), mode=mode)


def _may_miss(items: Any) -> bool:
    return any(isinstance(item, (Tracer, list)) for item in items)


def _update(kind: str, at: IndexUpdate, values: Any, mode: str | None) -> Tracer:
    value = lift(at._value)
    if kind in ("add",) and value.dtype == dtypes.bool_:
        raise TraceError("TS1017", "truth values cannot be added", got=dtypes.name_of(value.dtype),
                         hint="use .max for `or`, or .astype(ts.i32)")
    items = in_mode(value, at._index, mode)
    new = lift_into(values, value.dtype)
    if any(map(is_array, items)):
        return _scatter(kind, value, items, new)
    if any(isinstance(i, slice) and i.step not in (None, 1) for i in items):
        return _scatter(kind, value, items, new)
    return _update_box(kind, value, items, new)


_COMBINE = {"set": lambda old, new: new, "add": elementwise.add, "max": elementwise.maximum,
            "min": elementwise.minimum}


def _fit(new: Tracer, shape: Sequence[int]) -> Tracer:
    try:
        return broadcast(new, shape)
    except ShapeError:
        raise ShapeError("TS3006", f"an update of shape {new.shape} does not broadcast to the elements "
                         f"that are updated, of shape {tuple(shape)}") from None


def _update_box(kind: str, value: Tracer, items: tuple, new: Tracer) -> Tracer:
    """An update of integers and slices without steps: of a box at a known place."""
    old = getitem(value, items)
    new = _COMBINE[kind](old, _fit(new, old.shape))
    starts, sizes = [], []
    for item, size in zip((i for i in items if i is not None), value.shape):
        traced = traced_slice(item, size)
        if traced:
            start, count, _ = traced
        elif isinstance(item, slice):
            start, stop, _ = slice_bounds(item, size)
            count = max(stop - start, 0)
        else:
            start, count = int(item) % size, 1
        starts.append(start)
        sizes.append(count)
    return dynamic_update_slice(value, reshape(new, sizes), starts)


def _entries(item: slice, size: int) -> Any:
    """The indices that a slice names."""
    traced = traced_slice(item, size)
    if traced is None:
        slice_bounds(item, size)  # Refuses what is not an integer.
        return np.arange(size, dtype=np.int32)[item]
    start, count, step = traced
    last = (count - 1) * step
    first = elementwise.clip(wrapped(start, size), 0, size - 1 - last)
    return elementwise.add(first, lift(np.arange(0, last + 1, step, dtype=np.int32)))


def _scatter(kind: str, value: Tracer, items: tuple, new: Tracer) -> Tracer:
    """An update at index arrays. Slices of some entries become arrays of their own dimension."""
    # What x[items] has along its dimensions: the k-th one of the arrays' own, an entry of items, or
    # a new one (None).
    arrays = [wrapped(i, n) for i, n in zip((i for i in items if i is not None), value.shape)
              if is_array(i) or is_integer(i)]
    own = broadcast_shapes([a.shape for a in arrays])
    first = next(k for k, i in enumerate(items) if is_array(i) or is_integer(i)) if arrays else 0
    inner = [("own", k) for k in range(len(own))]
    labels: list[tuple[str, int]] = []
    together = bool(arrays) and stand_together(items)
    if arrays and not together:
        labels += inner
    dim, sizes = 0, dict(zip(inner, own))
    indices: dict[int, Any] = {}
    ranges: list[tuple[int, Any]] = []
    for k, item in enumerate(items):
        if together and k == first:
            labels += inner
        if item is None:
            labels.append(("new", k))
            sizes["new", k] = 1
            continue
        size = value.shape[dim]
        if isinstance(item, slice):
            entries: Any = _entries(item, size)
            labels.append(("dim", dim))
            sizes["dim", dim] = len(entries)
            if len(entries) != size or item.step not in (None, 1):
                ranges.append((dim, entries))
        elif is_array(item) or is_integer(item):
            indices[dim] = wrapped(item, size)
        else:
            raise TraceError("TS1018", f"cannot index with {item!r}")
        dim += 1
    new = _fit(new, [sizes[label] for label in labels])
    # Index dimensions: the arrays' own, then one per slice.
    position = inner + [("dim", d) for d, _ in ranges]
    shape = [sizes[label] for label in position]
    for k, (d, entries) in enumerate(ranges):
        at = len(own) + k
        indices[d] = reshape(entries, [-1 if p == at else 1 for p in range(at, len(shape))])
    dims = sorted(indices)
    listed = []
    for d in dims:
        array = indices[d]
        if d not in {r for r, _ in ranges} and ranges:
            array = reshape(array, (*array.shape, *[1] * len(ranges)))
        listed.append(broadcast(array, shape))
    kept = [label for label in labels if label[0] != "new"]
    new = reshape(new, [sizes[label] for label in kept])
    wanted: list[tuple[str, int]] = []
    for d in range(value.ndim):
        if d == dims[0]:
            wanted += position
        if d not in indices:
            wanted.append(("dim", d))
    new = transpose(new, [kept.index(label) for label in wanted])
    return scatter(kind, value, listed, new, dims)


# -- segments ------------------------------------------------------------------------------------


def _count(number: Any, name: str) -> int:
    if isinstance(number, Tracer) or not isinstance(number, (int, np.integer)) or number < 1:
        raise TraceError("TS1010", f"{name} must be a Python integer of at least 1: it is a size",
                         got=repr(number))
    return int(number)


def _segments(kind: str, data: Any, ids: Any, count: int, neutral: Any) -> Tracer:
    values, at = lift(data), as_indices(ids)
    if not at.shape or values.shape[: at.ndim] != at.shape:
        raise ShapeError("TS3012", "segment_ids has one entry per entry of the first dimensions of data",
                         expected=values.shape, got=at.shape)
    size = math.prod(at.shape)
    rest = values.shape[at.ndim :]
    start = full((count, *rest), neutral, values.dtype)
    return scatter(kind, start, [reshape(at, (size,))], reshape(values, (size, *rest)), [0])


def segment_sum(data: Any, segment_ids: Any, num_segments: int) -> Tracer:
    """Sums of the entries of data that have one id.

    Ids outside of [0, num_segments) are dropped.

    Args:
        data: [n, ...].
        segment_ids: i32 or i64 [n], in any order.
        num_segments: the number of sums, known while tracing.
    """
    return _segments("add", data, segment_ids, _count(num_segments, "num_segments"), 0)


def segment_max(data: Any, segment_ids: Any, num_segments: int) -> Tracer:
    """The greatest entry of data for each id; the least number of the type where there is none."""
    values = lift(data)
    return _segments("max", values, segment_ids, _count(num_segments, "num_segments"),
                     dtypes.extreme_of(values.dtype, False))


def segment_min(data: Any, segment_ids: Any, num_segments: int) -> Tracer:
    """The least entry of data for each id; the greatest number of the type where there is none."""
    values = lift(data)
    return _segments("min", values, segment_ids, _count(num_segments, "num_segments"),
                     dtypes.extreme_of(values.dtype, True))


def bincount(x: Any, weights: Any = None, minlength: int = 0, *, length: int | None = None) -> Tracer:
    """How often each of 0, 1, 2, ... is in x, or the sum of its weights.

    Args:
        x: integers; those outside of [0, length) are dropped.
        minlength: the least length of the result, if x is known while tracing.
        length: the length of the result; needed where x is traced.
    """
    if length is None and not isinstance(x, Tracer):
        length = max(int(np.max(x, initial=-1)) + 1, minlength)
    if length is None:
        raise TraceError("TS1010", "the length of a bincount depends on the elements of x, which are "
                         "not known while tracing",
                         hint="give length=, the number of bins")
    at = reshape(as_indices(x), -1)
    values = full(at.shape, 1, dtypes.i32) if weights is None else reshape(lift(weights), -1)
    return _segments("add", values, at, _count(length, "length"), 0)
