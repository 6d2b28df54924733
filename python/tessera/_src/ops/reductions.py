# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Functions that combine elements along dimensions: sums, extrema, means, softmax, running sums."""

from __future__ import annotations

import builtins
import math
from collections.abc import Sequence
from typing import Any, Union

from tessera._src.core import dtypes
from tessera._src.core.errors import ShapeError, TraceError
from tessera._src.ops import elementwise, shaping
from tessera._src.ops.creation import iota
from tessera._src.ops.derived import isclose
from tessera._src.ops.indexing import diagonal
from tessera._src.tracing.named_dims import dims_of, with_names
from tessera._src.tracing.operands import (
    convert,
    emit,
    emit_simple,
    lift,
    lift_into,
    normalise_axes,
    normalise_axis,
)
from tessera._src.tracing.tracer import Tracer

Axes = Union[int, Sequence[int], None]


def _reduce(kind: str, value: Tracer, axis: Axes, keepdims: bool) -> Tracer:
    axes = normalise_axes(axis, value.ndim)
    if axes:
        shape = [s for i, s in enumerate(value.shape) if i not in axes]
        text = f"tessera.reduce {kind} {value.value} dims {list(axes)} : {value.type} -> "
        result = emit(text, shape, value.dtype, [value])
        with_names(result, [d for i, d in enumerate(dims_of(value)) if i not in axes])
    else:
        result = value
    if keepdims:
        return shaping.reshape(result, [1 if i in axes else s for i, s in enumerate(value.shape)])
    return result


def _number(x: Any) -> Tracer:
    value = lift(x)
    return convert(value, dtypes.i32) if value.dtype == dtypes.bool_ else value


def _typed(x: Any, dtype: Any) -> Tracer:
    return lift(x) if dtype is None else convert(lift(x), dtype)


def _kept(value: Tracer, where: Any, neutral: Any) -> Tracer:
    """The value with a neutral element where it takes no part."""
    if where is None:
        return value
    return convert(elementwise.where(where, value, lift(neutral, value.dtype)), value.dtype)


def _total(kind: str, x: Any, axis: Axes, dtype: Any, keepdims: bool, initial: Any, where: Any) -> Tracer:
    neutral, join = {"sum": (0, elementwise.add), "prod": (1, elementwise.multiply)}[kind]
    value = _number(_typed(x, dtype))
    result = _reduce(kind, _kept(value, where, neutral), axis, keepdims)
    return result if initial is None else join(result, lift_into(initial, result.dtype))


def sum(x: Any, axis: Axes = None, *, dtype: Any = None, keepdims: bool = False,  # noqa: A001
        initial: Any = None, where: Any = None) -> Tracer:
    """Sum along dimensions (all by default), computed in `dtype`; of booleans in i32.

    Args:
        initial: what the sum begins with; of the type of the sum or one that it holds.
        where: elements that take part, by NumPy's rule of shapes.
    """
    return _total("sum", x, axis, dtype, keepdims, initial, where)


def prod(x: Any, axis: Axes = None, *, dtype: Any = None, keepdims: bool = False,
         initial: Any = None, where: Any = None) -> Tracer:
    """Product along dimensions (all by default), computed in `dtype`; of booleans in i32.

    Args:
        initial, where: as for ts.sum.
    """
    return _total("prod", x, axis, dtype, keepdims, initial, where)


def _extremum(kind: str, x: Any, axis: Axes, keepdims: bool, initial: Any = None,
              where: Any = None) -> Tracer:
    value = lift(x)
    if where is not None and initial is None:
        raise TraceError("TS1010", f"{kind} with where= needs initial=, the result of no elements")
    first = None if initial is None else lift_into(initial, value.dtype)
    # What takes no part is not `initial`, either: its ties are between it and the others.
    neutral = dtypes.extreme_of(value.dtype, kind == "min")
    result = convert(_reduce(kind, _number(_kept(value, where, neutral)), axis, keepdims), value.dtype)
    join = elementwise.maximum if kind == "max" else elementwise.minimum
    return result if first is None else convert(join(result, first), value.dtype)


def max(x: Any, axis: Axes = None, *, keepdims: bool = False, initial: Any = None,  # noqa: A001
        where: Any = None) -> Tracer:
    """Largest element along dimensions (all by default); NaN wins.

    Args:
        initial: what the result is at least; needed with `where`.
        where: elements that take part, by NumPy's rule of shapes.
    """
    return _extremum("max", x, axis, keepdims, initial, where)


def min(x: Any, axis: Axes = None, *, keepdims: bool = False, initial: Any = None,  # noqa: A001
        where: Any = None) -> Tracer:
    """Smallest element along dimensions (all by default); NaN wins.

    Args:
        initial: what the result is at most; needed with `where`.
        where: elements that take part, by NumPy's rule of shapes.
    """
    return _extremum("min", x, axis, keepdims, initial, where)


def mean(x: Any, axis: Axes = None, *, dtype: Any = None, keepdims: bool = False,
         where: Any = None) -> Tracer:
    """Arithmetic mean along dimensions (all by default), in `dtype`; of integers in f32.

    In an integer `dtype`, the sum in it divided by the count, without its fraction.

    Args:
        where: elements that take part, by NumPy's rule of shapes.
    """
    value = _typed(x, dtype)
    if where is not None:
        if dtypes.is_int(value.dtype):
            value = elementwise.as_float(value)
        wide = elementwise.widened(elementwise.as_float(value))
        taken = shaping.broadcast_to(elementwise.as_bool(where), value.shape)
        total = sum(wide, axis, keepdims=keepdims, where=taken)
        count = sum(convert(taken, wide.dtype), axis, keepdims=keepdims)
        return convert(elementwise.divide(total, count), value.dtype if dtype is None else dtype)
    count = math.prod(value.shape[a] for a in normalise_axes(axis, value.ndim))
    if dtype is not None and dtypes.is_int(value.dtype):
        total = _reduce("sum", value, axis, keepdims)
        return elementwise.binary_op("div", total, lift(count, total.dtype, total.shape))
    value = elementwise.as_float(value)
    total = _reduce("sum", elementwise.widened(value), axis, keepdims)
    return convert(elementwise.divide(total, float(count)), value.dtype)


def var(x: Any, axis: Axes = None, *, keepdims: bool = False, ddof: int = 0) -> Tracer:
    """Variance along dimensions (all by default): the divisor is the count less ddof, or 0."""
    value = elementwise.as_float(lift(x))
    return convert(_wide_var(value, axis, keepdims, ddof), value.dtype)


def _wide_var(x: Tracer, axis: Axes, keepdims: bool, ddof: int) -> Tracer:
    value = elementwise.widened(x)
    axes = normalise_axes(axis, value.ndim)
    count = math.prod(value.shape[a] for a in axes)
    off = elementwise.square(elementwise.subtract(value, mean(value, axes, keepdims=True)))
    return elementwise.divide(_reduce("sum", off, axes, keepdims), float(builtins.max(count - ddof, 0)))


def std(x: Any, axis: Axes = None, *, keepdims: bool = False, ddof: int = 0) -> Tracer:
    """Standard deviation along dimensions (all by default)."""
    value = elementwise.as_float(lift(x))
    return convert(elementwise.sqrt(_wide_var(value, axis, keepdims, ddof)), value.dtype)


def nansum(x: Any, axis: Axes = None, *, dtype: Any = None, keepdims: bool = False) -> Tracer:
    """Sum along dimensions (all by default), in which NaN counts as 0."""
    value = _typed(x, dtype)
    value = elementwise.where(elementwise.isnan(value), 0, value) if dtypes.is_float(value.dtype) else value
    return sum(value, axis, keepdims=keepdims)


def nanmean(x: Any, axis: Axes = None, *, keepdims: bool = False) -> Tracer:
    """Arithmetic mean of the numbers along dimensions (all by default) without NaN; NaN where none is."""
    value = elementwise.as_float(lift(x))
    wide = elementwise.widened(value)
    count = sum(convert(elementwise.logical_not(elementwise.isnan(value)), wide.dtype), axis,
                keepdims=keepdims)
    return convert(elementwise.divide(nansum(wide, axis, keepdims=keepdims), count), value.dtype)


def _without_nan(x: Any, neutral: float) -> Tracer:
    value = lift(x)
    if not dtypes.is_float(value.dtype):
        return value
    return elementwise.where(elementwise.isnan(value), neutral, value)


def nanprod(x: Any, axis: Axes = None, *, keepdims: bool = False) -> Tracer:
    """Product along dimensions (all by default), in which NaN counts as 1."""
    return prod(_without_nan(x, 1.0), axis, keepdims=keepdims)


def nanmax(x: Any, axis: Axes = None, *, keepdims: bool = False) -> Tracer:
    """Largest number along dimensions (all by default); NaN where none is."""
    return _nan_extremum(max, x, axis, keepdims, -math.inf)


def nanmin(x: Any, axis: Axes = None, *, keepdims: bool = False) -> Tracer:
    """Smallest number along dimensions (all by default); NaN where none is."""
    return _nan_extremum(min, x, axis, keepdims, math.inf)


def _nan_extremum(extremum: Any, x: Any, axis: Axes, keepdims: bool, neutral: float) -> Tracer:
    value = lift(x)
    result = extremum(_without_nan(value, neutral), axis, keepdims=keepdims)
    if not dtypes.is_float(value.dtype):
        return result
    return elementwise.where(all(elementwise.isnan(value), axis, keepdims=keepdims), math.nan, result)


def allclose(x: Any, y: Any, rtol: float = 1e-5, atol: float = 1e-8) -> Tracer:
    """Whether all pairs of elements are close, as isclose says."""
    return all(isclose(x, y, rtol, atol))


def array_equal(x: Any, y: Any) -> Tracer:
    """Whether two arrays have one shape and equal elements."""
    a, b = lift(x), lift(y)
    return all(elementwise.equal(a, b)) if a.shape == b.shape else lift(False)


def ptp(x: Any, axis: Axes = None, *, keepdims: bool = False) -> Tracer:
    """The largest less the smallest element along dimensions (all by default)."""
    return elementwise.subtract(max(x, axis, keepdims=keepdims), min(x, axis, keepdims=keepdims))


def count_nonzero(x: Any, axis: Axes = None, *, keepdims: bool = False) -> Tracer:
    """How many elements along dimensions (all by default) are not zero, as i32."""
    return sum(elementwise.as_bool(x), axis, keepdims=keepdims)


def all(x: Any, axis: Axes = None, *, keepdims: bool = False, where: Any = None) -> Tracer:  # noqa: A001
    """Whether every element is non-zero, of those `where` takes if it is given."""
    return min(_kept(elementwise.as_bool(x), where, True), axis, keepdims=keepdims)


def any(x: Any, axis: Axes = None, *, keepdims: bool = False, where: Any = None) -> Tracer:  # noqa: A001
    """Whether some element is non-zero, of those `where` takes if it is given."""
    return max(_kept(elementwise.as_bool(x), where, False), axis, keepdims=keepdims)


def _index_of(extremum: Any, x: Any, axis: int | None, keepdims: bool) -> Tracer:
    value = _number(x)
    if axis is None:
        found = _index_of(extremum, shaping.ravel(value), 0, False)
        return shaping.reshape(found, (1,) * value.ndim) if keepdims else found
    dim = normalise_axis(axis, value.ndim)
    top = extremum(value, dim, keepdims=True)
    # NaN, which wins, is not equal to itself.
    is_top = elementwise.logical_or(elementwise.equal(value, top), elementwise.isnan(value))
    return min(elementwise.where(is_top, iota(value.shape, dim), value.shape[dim]), dim, keepdims=keepdims)


def argmax(x: Any, axis: int | None = None, *, keepdims: bool = False) -> Tracer:
    """Index (i32) of the first largest element along a dimension, or of the flattened x."""
    return _index_of(max, x, axis, keepdims)


def argmin(x: Any, axis: int | None = None, *, keepdims: bool = False) -> Tracer:
    """Index (i32) of the first smallest element along a dimension, or of the flattened x."""
    return _index_of(min, x, axis, keepdims)


def logsumexp(x: Any, axis: Axes = None, *, keepdims: bool = False) -> Tracer:
    """log(sum(exp(x))) along dimensions (all by default), without overflow."""
    value = elementwise.as_float(lift(x))
    axes = normalise_axes(axis, value.ndim)
    if len(axes) != 1:
        return convert(_wide_logsumexp(value, axes, keepdims), value.dtype)
    shape = [size for i, size in enumerate(value.shape) if i not in axes]
    wide = dtypes.f64 if value.dtype == dtypes.f64 else dtypes.f32
    text = f"tessera.logsumexp {value.value} dim {axes[0]} : {value.type} -> "
    result = convert(emit(text, shape, wide, [value]), value.dtype)
    if keepdims:
        return shaping.reshape(result, [1 if i in axes else size for i, size in enumerate(value.shape)])
    with_names(result, [d for i, d in enumerate(dims_of(value)) if i not in axes])
    return result


def _shifted(value: Tracer, axes: Axes) -> tuple[Tracer, Tracer, Tracer]:
    """The value less its largest element, the logarithm of the sum of its exponentials, that element."""
    top = max(value, axes, keepdims=True)
    finite = elementwise.less(elementwise.abs(top), math.inf)
    # The result does not depend on it but for rounding.
    top = elementwise.without_derivative(elementwise.where(finite, top, 0.0))
    value = elementwise.subtract(value, top)
    return value, elementwise.log(sum(elementwise.exp(value), axes, keepdims=True)), top


def _wide_logsumexp(x: Tracer, axis: Axes, keepdims: bool) -> Tracer:
    value = elementwise.widened(x)
    axes = normalise_axes(axis, value.ndim)
    _, total, top = _shifted(value, axes)
    result = elementwise.add(total, top)
    return result if keepdims else shaping.squeeze(result, axes) if axes else result


def trace(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tracer:
    """Sum of the diagonal of two dimensions; of booleans in i32."""
    return sum(diagonal(x, offset, axis1, axis2), -1)


def _cumulative(kind: str, x: Any, axis: int | None, dtype: Any, reverse: bool) -> Tracer:
    value = _number(_typed(x, dtype))
    if axis is None:
        value, axis = shaping.ravel(value), 0
    dim = normalise_axis(axis, value.ndim)
    direction = " reverse" if reverse else ""
    text = f"tessera.cumulative {kind} {value.value} dim {dim}{direction} : {value.type} -> "
    result = emit(text, value.shape, value.dtype, [value])
    with_names(result, dims_of(value))
    return result


def cumsum(x: Any, axis: int | None = None, *, dtype: Any = None, reverse: bool = False) -> Tracer:
    """Sums of the elements up to each one along a dimension, or of the flattened x; in `dtype`.

    Booleans are summed in i32.

    Args:
        reverse: sum from the last element down to each one.
    """
    return _cumulative("sum", x, axis, dtype, reverse)


def cumprod(x: Any, axis: int | None = None, *, dtype: Any = None, reverse: bool = False) -> Tracer:
    """Products of the elements up to each one along a dimension, or of the flattened x; in `dtype`.

    Args:
        reverse: multiply from the last element down to each one.
    """
    return _cumulative("prod", x, axis, dtype, reverse)


def cummax(x: Any, axis: int | None = None, *, reverse: bool = False) -> Tracer:
    """Largest of the elements up to each one along a dimension, or of the flattened x; NaN wins.

    Args:
        reverse: begin at the last element.
    """
    value = lift(x)
    return convert(_cumulative("max", value, axis, None, reverse), value.dtype)


def cummin(x: Any, axis: int | None = None, *, reverse: bool = False) -> Tracer:
    """Smallest of the elements up to each one along a dimension, or of the flattened x; NaN wins.

    Args:
        reverse: begin at the last element.
    """
    value = lift(x)
    return convert(_cumulative("min", value, axis, None, reverse), value.dtype)


def _with_initial(kind: str, initial: int, x: Any, axis: int | None, dtype: Any, include: bool) -> Tracer:
    value = lift(x)
    if axis is None and value.ndim != 1:
        raise ShapeError("TS3021", f"cumulative_{kind} needs an axis for {value.ndim} dimensions",
                         got=value.shape, expected="an axis, or an array of one dimension",
                         hint="pass axis=0")
    result = _cumulative(kind, value, 0 if axis is None else axis, dtype, False)
    if not include:
        return result
    dim = normalise_axis(0 if axis is None else axis, value.ndim)
    first = [1 if i == dim else size for i, size in enumerate(value.shape)]
    return shaping.concatenate([shaping.broadcast_to(lift(initial, result.dtype), first), result], dim)


def cumulative_sum(x: Any, *, axis: int | None = None, dtype: Any = None,
                   include_initial: bool = False) -> Tracer:
    """Sums of the elements up to each one along a dimension, as the array API standard has it.

    Args:
        axis: the dimension; an array of one dimension may leave it out.
        include_initial: put the sum of no elements, 0, before the others.
    """
    return _with_initial("sum", 0, x, axis, dtype, include_initial)


def cumulative_prod(x: Any, *, axis: int | None = None, dtype: Any = None,
                    include_initial: bool = False) -> Tracer:
    """Products of the elements up to each one along a dimension, as the array API standard has it.

    Args:
        axis: the dimension; an array of one dimension may leave it out.
        include_initial: put the product of no elements, 1, before the others.
    """
    return _with_initial("prod", 1, x, axis, dtype, include_initial)


def diff(x: Any, n: int = 1, axis: int = -1, prepend: Any = None, append: Any = None) -> Tracer:
    """Differences of neighbours along a dimension, n times over.

    Args:
        prepend, append: what goes before and after x first; a number for a slice of it.
    """
    value = lift(x)
    dim = normalise_axis(axis, value.ndim)
    slice_shape = value.shape[:dim] + (1,) + value.shape[dim + 1 :]
    ends = []
    for end in (prepend, append):
        if end is not None:
            end = lift(end, value.dtype)
            end = [end if end.ndim else shaping.broadcast_to(end, slice_shape)]
        ends.append(end or [])
    if prepend is not None or append is not None:
        value = shaping.concatenate([*ends[0], value, *ends[1]], dim)
    before = (slice(None),) * dim
    for _ in range(n):
        value = elementwise.subtract(value[(*before, slice(1, None))], value[(*before, slice(None, -1))])
    return value


def softmax(x: Any, axis: Axes = -1, *, where: Any = None) -> Tracer:
    """Exponentials normalised to sum 1 along a dimension, or over several together.

    Args:
        where: elements that take part, by NumPy's rule of shapes; 0 comes of the others.
    """
    value = elementwise.as_float(lift(x))
    kept = None if where is None else elementwise.as_bool(where)
    if kept is not None:
        value = elementwise.where(kept, value, -math.inf)
    axes = normalise_axes(axis, value.ndim)
    if len(axes) == 1:
        result = emit_simple("softmax", f" dim {axes[0]}", value, value.shape)
    else:
        wide = elementwise.widened(value)
        top = elementwise.without_derivative(max(wide, axes, keepdims=True))
        raised = elementwise.exp(elementwise.subtract(wide, top))
        result = convert(elementwise.divide(raised, sum(raised, axes, keepdims=True)), value.dtype)
    return result if kept is None else elementwise.where(kept, result, 0)


def log_softmax(x: Any, axis: Axes = -1) -> Tracer:
    """log(softmax(x)) along dimensions, accurate where softmax is near 0."""
    value = elementwise.as_float(lift(x))
    # Shifted first: beside a large element, the sum of both has no digits left for the logarithm.
    wide, total, _ = _shifted(elementwise.widened(value), normalise_axes(axis, value.ndim))
    return convert(elementwise.subtract(wide, total), value.dtype)
