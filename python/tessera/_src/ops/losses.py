# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What training needs beside the layers: cross entropy and dropout."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tessera._src.core import dtypes
from tessera._src.core.errors import ShapeError, TraceError
from tessera._src.ops import elementwise, reductions, rng
from tessera._src.ops.creation import zeros_like
from tessera._src.ops.lookups import as_indices, check_range, checked_on_host
from tessera._src.tracing.named_dims import dims_of, with_names
from tessera._src.tracing.operands import broadcast, convert, emit, lift, normalise_axes
from tessera._src.tracing.program_text import scalar_text
from tessera._src.tracing.tracer import Tracer

_REDUCTIONS = ("none", "mean", "sum")


def _number(value: Any, name: str, least: float, most: float) -> float:
    """A Python number in [least, most]."""
    if isinstance(value, (bool, Tracer)) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TraceError("TS1010", f"{name} is a Python number: it is known while tracing", got=repr(value))
    if not least <= value <= most or not math.isfinite(value):
        raise TraceError("TS1010", f"{name} is out of range", got=repr(value),
                         expected=f"a number from {least:g} to {most:g}" if math.isfinite(most)
                         else "a finite number")
    return float(value)


def _labels(labels: Any, logits: Tracer, ignore: int | None) -> Tracer:
    # First those that are weights of all classes: that these are no integers is not what is wrong.
    shape = getattr(labels, "shape", None)
    value = None if shape == logits.shape else as_indices(labels)
    if value is None or value.shape != logits.shape[:-1]:
        raise ShapeError("TS3018", "there is a label for each row of logits", expected=logits.shape[:-1],
                         got=shape if value is None else value.shape,
                         hint="labels are class numbers; for weights of all classes, "
                         "-(weights * ts.nn.log_softmax(x)).sum(-1)")
    _check_known(labels, logits.shape[-1], ignore)
    return value


def _check_known(labels: Any, classes: int, ignore: int | None) -> None:
    """Raises where a label of the host is no class."""
    if ignore is None or isinstance(labels, Tracer):
        check_range(labels, 0, classes)
    else:
        known = np.asarray(labels)
        if known.dtype.kind in "iu":
            check_range(known[known != ignore], 0, classes)


@checked_on_host(lambda logits, labels, *, ignore_index=None, **_: _check_known(
    labels, np.shape(logits)[-1], ignore_index))
def softmax_cross_entropy(logits: Any, labels: Any, *, label_smoothing: float = 0.0,
                          ignore_index: int | None = None, z_loss: float = 0.0,
                          reduction: str = "none") -> Tracer:
    """Cross entropy of the softmax of logits [..., V] with class numbers [...]: a loss for each row.

    With lse = log(sum(exp(logits))), the loss of a row is
    lse - (1 - label_smoothing) logits[label] - label_smoothing mean(logits) + z_loss lse^2,
    in f32, or f64 for f64. Its backward pass computes the softmax again from the logits and keeps one
    number a row. With V split over devices, these exchange a few numbers a row.

    Labels that are no class and not `ignore_index` are an error where they are known, as while tracing
    and outside of a trace, and give NaN where they are arguments of what is traced.

    Args:
        labels: i32 or i64, of the shape of logits but for its last dimension.
        label_smoothing: the part of the wanted weight, of 1, that all classes share.
        ignore_index: rows with this label, which may be no class, have loss 0 and do not count.
        z_loss: factor of lse^2, which keeps lse near 0.
        reduction: "none", "sum" of all losses, or their "mean" over the rows that are not ignored.
    """
    x = elementwise.as_float(lift(logits))
    if not x.shape or not x.shape[-1]:
        raise ShapeError("TS3018", "logits have a last dimension, of the classes", got=x.shape)
    if reduction not in _REDUCTIONS:
        raise TraceError("TS1010", f"unknown reduction {reduction!r}", choices=list(_REDUCTIONS))
    smoothing = _number(label_smoothing, "label_smoothing", 0, 1)
    factor = _number(z_loss, "z_loss", 0, math.inf)
    if ignore_index is not None and (isinstance(ignore_index, bool)
                                     or not isinstance(ignore_index, (int, np.integer))):
        raise TraceError("TS1010", "ignore_index is a Python integer", got=repr(ignore_index))
    y = _labels(labels, x, ignore_index)
    extra = ""
    if ignore_index is not None:
        if np.iinfo(y.dtype).min <= ignore_index <= np.iinfo(y.dtype).max:
            extra = f" ignore {int(ignore_index)}"
    dtype = dtypes.f64 if x.dtype == dtypes.f64 else dtypes.f32
    text = (
        f"tessera.cross_entropy {x.value}, {y.value} smoothing {scalar_text(smoothing, dtypes.f64)} "
        f"z_loss {scalar_text(factor, dtypes.f64)}{extra} : {x.type}, {y.type} -> "
    )
    losses = with_names(emit(text, y.shape, dtype, [x, y]), dims_of(x)[:-1])
    if reduction == "none":
        return losses
    total = reductions.sum(losses)
    if reduction == "sum":
        return total
    if not extra:
        return elementwise.divide(total, float(math.prod(y.shape)))
    return elementwise.divide(total, reductions.sum(convert(elementwise.not_equal(y, ignore_index), dtype)))


def dropout(x: Any, rate: float, key: Any, *, broadcast_dims: Sequence[int] = ()) -> Tracer:
    """x with each element 0 at probability `rate`, the others divided by 1 - rate.

    The choice depends on the key and the element's index alone, never on mesh or layout. A backward pass
    makes it again from the key: no mask is kept.

    Args:
        rate: a Python number in [0, 1]; 0 gives x.
        key: ts.random.key(seed), or another for each call: ts.random.fold_in(key, step).
        broadcast_dims: dimensions along which all elements share one choice.
    """
    value = elementwise.as_float(lift(x))
    rate = _number(rate, "rate", 0, 1)
    if rate == 0:
        return value
    if rate == 1:
        return zeros_like(value)
    shared = normalise_axes(tuple(broadcast_dims), value.ndim)
    shape = [1 if d in shared else size for d, size in enumerate(value.shape)]
    keep = elementwise.less(rng.uniform(key, shape), 1 - rate)
    return elementwise.where(broadcast(keep, value.shape), elementwise.divide(value, 1 - rate), 0)
