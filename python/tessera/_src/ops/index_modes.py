# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What x.at[...] does at indices outside of a dimension, and at elements that are named twice."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from tessera._src.core.errors import TraceError
from tessera._src.ops import elementwise
from tessera._src.ops.indexing import expand_index, is_array, is_integer
from tessera._src.ops.lookups import as_indices, wrapped
from tessera._src.tracing.operands import broadcast_shapes, lift
from tessera._src.tracing.tracer import Tracer

_MODES = (None, "drop", "fill", "clip", "promise_in_bounds")


def in_mode(value: Tracer, index: Any, mode: str | None) -> tuple:
    """The entries of an index, such that those outside of their dimension do what the mode says.

    Reads of traced indices give zeros there, and writes drop them: "clip" moves them into the dimension.
    Known ones are refused there, except in a mode that says what they mean: in "clip" they are moved
    already, in "drop" and "fill" they count as traced.
    """
    if mode not in _MODES:
        raise TraceError("TS1010", f"mode {mode!r} of an indexed update is unknown",
                         choices=[repr(m) for m in _MODES if m])
    items = expand_index(value, index)
    if mode in (None, "promise_in_bounds"):
        return items
    result = list(items)
    for k, item, size in _indices(items, value.shape):
        known = _known(item)
        if known is None:
            at = as_indices(item)  # A list that holds traced values is traced.
            result[k] = elementwise.clip(wrapped(at, size), 0, size - 1) if mode == "clip" else at
            continue
        at = _from_front(known, size)
        if mode == "clip":
            result[k] = _as_given(item, np.clip(at, 0, size - 1))
        elif ((at < 0) | (at >= size)).any():
            # All that is outside is the first place behind the end: negative ones would count from there.
            at = np.where((at < 0) | (at >= size), size, at)
            result[k] = lift(at.astype(np.int32 if size <= np.iinfo(np.int32).max else np.int64))
    return tuple(result)


def _indices(items: tuple, shape: tuple[int, ...]) -> Iterator[tuple[int, Any, int]]:
    """The entries that are integers, or arrays of them: place, entry, and size of the dimension."""
    dims = np.cumsum([item is not None for item in items]) - 1
    for k, (item, dim) in enumerate(zip(items, dims)):
        if item is not None and (is_array(item) or is_integer(item)):
            yield k, item, shape[dim]


def _known(item: Any) -> np.ndarray | None:
    """An entry whose integers are known, as an array; None for others, and for what is no integer."""
    if isinstance(item, Tracer):
        return None
    try:
        array = np.asarray(item)
    except (TraceError, ValueError):  # A list that holds traced values, or is no array.
        return None
    return array.astype(np.int64) if array.dtype.kind in "iu" and array.size else None


def _from_front(known: np.ndarray, size: int) -> np.ndarray:
    """Indices of which negative ones counted from the end."""
    return np.where(known < 0, known + size, known)


def _as_given(item: Any, at: np.ndarray) -> Any:
    """An array for an array, and an integer for an integer: these select in ways of their own."""
    return int(at) if is_integer(item) else at


def refuse_repeated(value: Tracer, index: Any, mode: str | None, name: str) -> None:
    """Raises unless each element that an index names is known to be named once.

    Where some of the entries are traced, the others may tell the elements apart already.
    """
    entries = [(item, _known(item), size) for _, item, size in
               _indices(expand_index(value, index), value.shape)]
    shape = broadcast_shapes([as_indices(item).shape if known is None else known.shape
                              for item, known, _ in entries]) if entries else ()
    count = math.prod(shape)
    found = [(known, size) for _, known, size in entries if known is not None]
    twice = _named_twice(found, shape, mode == "clip") if found else ()
    if count <= 1 or twice is None:
        return
    if len(found) < len(entries):
        raise TraceError(
            "TS1018", f"x.at[...].{name} needs to know that no element is named twice",
            got=f"{value!r}.at[{index!r}]", hint="promise it with unique_indices=True; add, max and min "
            "combine updates of one element")
    raise TraceError(
        "TS1018", f"x.at[...].{name} changes each element once, and one is named twice: "
        f"{', '.join(map(str, twice))}", expected="distinct indices", got=f"{value!r}.at[{index!r}]",
        hint="name it once, with all that it is to be changed by; add, max and min combine updates of one "
             "element")


def _named_twice(found: list[tuple[np.ndarray, int]], shape: tuple[int, ...], clips: bool
                 ) -> tuple[int, ...] | None:
    """The first place that known indices, each of a dimension of some size, name twice; None if none is.

    Places outside of the dimensions are none, unless they are moved into them.
    """
    sizes = [size for _, size in found]
    rows = [np.broadcast_to(_from_front(known, size), shape).reshape(-1) for known, size in found]
    if clips:
        rows = [np.clip(row, 0, size - 1) for row, size in zip(rows, sizes)]
    is_inside = np.logical_and.reduce([(row >= 0) & (row < size) for row, size in zip(rows, sizes)])
    places, counts = np.unique(np.ravel_multi_index([row[is_inside] for row in rows], sizes),
                               return_counts=True)
    repeated = places[counts > 1]
    return tuple(int(i) for i in np.unravel_index(repeated[0], sizes)) if repeated.size else None
