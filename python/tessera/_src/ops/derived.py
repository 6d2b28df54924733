# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Elementwise functions made of others: rounding, logarithms, tests of numbers."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import ml_dtypes

from tessera._src.core import dtypes
from tessera._src.ops.elementwise import (
    abs,
    add,
    as_bool,
    as_float,
    as_number,
    binary_op,
    bitwise_xor,
    copysign,
    cos,
    divide,
    equal,
    exp,
    floor,
    floor_divide,
    greater,
    greater_equal,
    isnan,
    less,
    less_equal,
    log,
    logical_and,
    logical_or,
    maximum,
    minimum,
    multiply,
    negative,
    remainder,
    sign,
    sin,
    sqrt,
    square,
    subtract,
    where,
    widened,
)
from tessera._src.tracing.operands import convert, emit_simple, lift, promote_operands
from tessera._src.tracing.tracer import Tracer


def ceil(x: Any) -> Tracer:
    """Smallest whole number not below x, in the type of x."""
    value = lift(x)
    return negative(floor(negative(value))) if dtypes.is_float(value.dtype) else floor(value)


def trunc(x: Any) -> Tracer:
    """x without its fraction, in the type of x."""
    value = lift(x)
    if not dtypes.is_float(value.dtype):
        return floor(value)
    return where(less(value, 0), ceil(value), floor(value))


def round(x: Any, decimals: int = 0) -> Tracer:  # noqa: A001
    """x rounded to a number of decimals, halves to the even neighbour."""
    value = lift(x)
    if decimals and not dtypes.is_float(value.dtype):
        return _round_whole(as_number(value), decimals)
    if decimals:
        scale, real = 10.0**decimals, as_float(value)
        return convert(divide(round(multiply(widened(real), scale)), scale), real.dtype)
    if not dtypes.is_float(value.dtype):
        return floor(value)
    low = floor(value)
    rest = subtract(value, low)  # Exact: it has no more digits than x.
    odd = as_bool(remainder(low, 2))
    up = where(equal(rest, 0.5), odd, greater(rest, 0.5))
    return copysign(where(up, add(low, 1), low), value)


def rint(x: Any) -> Tracer:
    """x rounded to whole numbers in floating point, halves to the even neighbour."""
    return round(as_float(lift(x)))


def positive(x: Any) -> Tracer:
    """+x, which is x."""
    return as_number(lift(x))


def _round_whole(value: Tracer, decimals: int) -> Tracer:
    """Integers rounded to tens, hundreds and so on, halves to the even multiple."""
    unit = 10 ** -decimals if decimals < 0 else 1
    if unit == 1:
        return value
    if not dtypes.fits(2 * unit, value.dtype):
        return multiply(value, 0)
    low, rest = floor_divide(value, unit), remainder(value, unit)
    up = where(equal(rest, unit // 2), as_bool(remainder(low, 2)), greater(rest, unit // 2))
    return multiply(where(up, add(low, 1), low), unit)


def isfinite(x: Any) -> Tracer:
    """Whether x is a number and not infinite."""
    return less(abs(as_float(lift(x))), math.inf)


def isinf(x: Any) -> Tracer:
    """Whether x is infinite."""
    return equal(abs(as_float(lift(x))), math.inf)


def isposinf(x: Any) -> Tracer:
    """Whether x is infinity."""
    return equal(as_float(lift(x)), math.inf)


def isneginf(x: Any) -> Tracer:
    """Whether x is minus infinity."""
    return equal(as_float(lift(x)), -math.inf)


def isclose(x: Any, y: Any, rtol: float = 1e-5, atol: float = 1e-8) -> Tracer:
    """Whether |x - y| <= atol + rtol * |y|; infinities are close to themselves, NaN to nothing."""
    a, b = (widened(as_float(v)) for v in promote_operands([x, y]))
    near = less_equal(abs(subtract(a, b)), add(multiply(abs(b), rtol), atol))
    return logical_or(equal(a, b), logical_and(near, isfinite(b)))


def nan_to_num(x: Any, nan: float = 0.0, posinf: float | None = None,
               neginf: float | None = None) -> Tracer:
    """x with NaN, infinity and minus infinity replaced; the latter by the largest numbers."""
    value = lift(x)
    if not dtypes.is_float(value.dtype):
        return value
    largest = float(ml_dtypes.finfo(value.dtype).max)
    value = where(isnan(value), nan, value)
    value = where(equal(value, math.inf), largest if posinf is None else posinf, value)
    return where(equal(value, -math.inf), -largest if neginf is None else neginf, value)


def leaky_relu(x: Any, slope: float = 0.01) -> Tracer:
    """x where it is positive, else slope * x."""
    value = as_float(lift(x))
    return where(greater_equal(value, 0), value, multiply(value, slope))


def elu(x: Any, alpha: float = 1.0) -> Tracer:
    """x where it is positive, else alpha * (exp(x) - 1)."""
    value = as_float(lift(x))
    below = where(greater(value, 0), 0.0, value)
    return where(greater(value, 0), value, multiply(expm1(below), alpha))


def logical_xor(x: Any, y: Any) -> Tracer:
    """Whether one of x and y is non-zero."""
    return bitwise_xor(as_bool(x), as_bool(y))


def reciprocal(x: Any) -> Tracer:
    """1 / x in floating point."""
    return divide(1.0, x)


def fmax(x: Any, y: Any) -> Tracer:
    """The larger of x and y, element by element; NaN only where both are."""
    a, b = (as_number(v) for v in promote_operands([x, y]))
    return where(isnan(a), b, where(isnan(b), a, maximum(a, b)))


def fmin(x: Any, y: Any) -> Tracer:
    """The smaller of x and y, element by element; NaN only where both are."""
    a, b = (as_number(v) for v in promote_operands([x, y]))
    return where(isnan(a), b, where(isnan(b), a, minimum(a, b)))


def heaviside(x: Any, y: Any) -> Tracer:
    """0 where x is negative, 1 where it is positive, y where it is 0, NaN where it is NaN."""
    a, b = (as_float(v) for v in promote_operands([x, y]))
    # One number at a time beside a tensor: two numbers alone would be of f32.
    return where(less(a, 0), 0.0, where(equal(a, 0), b, where(isnan(a), a, 1.0)))


def signbit(x: Any) -> Tracer:
    """Whether the sign bit of x is set, also of a zero and of NaN."""
    value = as_number(lift(x))
    return less(copysign(1.0, value) if dtypes.is_float(value.dtype) else value, 0)


def _in_wide(function: Callable) -> Callable:
    """The function computed in f32 where operands are of 16 bits, and rounded once."""

    @functools.wraps(function)
    def computed(*operands: Any) -> Tracer:
        values = [as_float(value) for value in promote_operands(list(operands))]
        return convert(function(*[widened(value) for value in values]), values[0].dtype)

    computed.__code__ = computed.__code__.replace(co_name=function.__name__)
    return computed


_TINY = 1e-30  # Of f32, and no less than what makes it infinite as a divisor.


def _corrected(value: Tracer, lost: Tracer) -> Tracer:
    """value + lost, where `lost` mends rounding and has no derivative; a zero has the sign of `lost`."""
    lost = emit_simple("stop_gradient", "", lost, lost.shape)
    return negative(subtract(negative(value), lost))


def _flipped(x: Tracer) -> tuple[Tracer, Tracer]:
    """Whether x is below zero, and its absolute value, whose derivative at 0 is that on the right."""
    below = less(x, 0)
    return below, where(below, negative(x), x)


@_in_wide
def log1p(x: Any) -> Tracer:
    """log(1 + x), accurate where x is near 0."""
    up = add(x, 1.0)
    # What the rounding of 1 + x lost; the largest and least x have lost nothing that counts.
    lost = divide(subtract(x, subtract(up, 1.0)), maximum(up, _TINY))
    return _corrected(log(up), where(equal(up, math.inf), 0.0, lost))


@_in_wide
def expm1(x: Any) -> Tracer:
    """exp(x) - 1, accurate where x is near 0."""
    up = exp(x)
    # What the rounding of exp(x) lost; of a larger x, the logarithm is no closer to x than that.
    lost = multiply(subtract(x, log(up)), up)
    return _corrected(subtract(up, 1.0), where(less(abs(x), 0.5), lost, 0.0))


@_in_wide
def logaddexp(x: Any, y: Any) -> Tracer:
    """log(exp(x) + exp(y)) without overflow."""
    # Neither |x - y| nor max(x, y), whose second derivatives are wrong where x = y.
    first = greater_equal(x, y)
    high, low = where(first, x, y), where(first, y, x)
    # Equal infinities have no difference.
    off = where(logical_and(equal(x, y), isinf(x)), 0.0, subtract(low, high))
    return add(high, log1p(exp(off)))


@_in_wide
def logaddexp2(x: Any, y: Any) -> Tracer:
    """log2(2**x + 2**y) without overflow."""
    return multiply(logaddexp(multiply(x, math.log(2)), multiply(y, math.log(2))), 1 / math.log(2))


@_in_wide
def cbrt(x: Any) -> Tracer:
    """The real cube root; its derivative at 0 is infinite."""
    below, size = _flipped(x)
    is_plain = logical_and(greater(size, 0), isfinite(size))
    a = where(is_plain, size, 1.0)
    root = exp(multiply(log(a), 1 / 3))
    # A step by Newton's method takes back the error of the logarithm.
    root = subtract(root, divide(subtract(root, divide(divide(a, root), root)), 3.0))
    # Zeros, infinities and NaN are their own roots, of any degree: the derivatives of the square root are
    # those of the cube root there, infinity and 0.
    root = where(is_plain, root, sqrt(abs(where(is_plain, 1.0, size))))
    return _corrected(where(below, negative(root), root), where(equal(x, 0), x, 0.0))


@_in_wide
def deg2rad(x: Any) -> Tracer:
    """Degrees in radians."""
    return multiply(x, math.pi / 180)


@_in_wide
def rad2deg(x: Any) -> Tracer:
    """Radians in degrees."""
    return multiply(x, 180 / math.pi)


@_in_wide
def sinc(x: Any) -> Tracer:
    """sin(pi * x) / (pi * x), which is 1 at 0."""
    angle = multiply(x, math.pi)
    # The derivatives of the quotient cancel near 0. Those of the series do not; each of its terms counts
    # in the second derivative of an f64, or the first ones alone in that of an f32.
    is_small = less(abs(angle), 1.0)
    square_of = square(where(is_small, angle, 0.0))
    last = 10 if x.dtype == dtypes.f64 else 6
    series = multiply(square_of, _term_of_sinc(last))
    for k in range(last - 1, 0, -1):
        series = multiply(square_of, add(series, _term_of_sinc(k)))
    far = where(is_small, 1.0, angle)
    return where(is_small, add(series, 1.0), divide(sin(far), far))


def _term_of_sinc(k: int) -> float:
    """The coefficient of angle**(2 * k) in the series of sin(angle) / angle."""
    return (-1.0)**k / math.factorial(2 * k + 1)


def softplus(x: Any) -> Tracer:
    """log(1 + exp(x)) without overflow."""
    return logaddexp(x, 0.0)


def _half_of_exponential(a: Tracer) -> Tracer:
    """exp(a) / 2 without overflow where that does not; 1 / exp(a) is nothing beside it above 20."""
    root = exp(multiply(a, 0.5))
    return multiply(multiply(root, 0.5), root)


def _at_most_20(a: Tracer) -> Tracer:
    """The lesser of a and 20, with all of its derivative at 20: `minimum` would share it."""
    return where(greater(a, 20.0), 20.0, a)


@_in_wide
def sinh(x: Any) -> Tracer:
    """Hyperbolic sine."""
    below, a = _flipped(x)
    grown = expm1(_at_most_20(a))
    small = multiply(add(grown, divide(grown, add(grown, 1.0))), 0.5)
    result = where(greater(a, 20.0), _half_of_exponential(a), small)
    return where(below, negative(result), result)


@_in_wide
def cosh(x: Any) -> Tracer:
    """Hyperbolic cosine."""
    _, a = _flipped(x)
    # 1 + (exp(a) - 1)**2 / (2 * exp(a)), of which no derivative cancels near 0.
    grown = expm1(_at_most_20(a))
    small = add(multiply(multiply(grown, divide(grown, add(grown, 1.0))), 0.5), 1.0)
    return where(greater(a, 20.0), _half_of_exponential(a), small)


@_in_wide
def tan(x: Any) -> Tracer:
    """Tangent of x in radians."""
    return divide(sin(x), cos(x))


@_in_wide
def hypot(x: Any, y: Any) -> Tracer:
    """sqrt(x*x + y*y) without overflow; infinity where either is infinite, even beside NaN."""
    a, b = abs(x), abs(y)
    top = maximum(a, b)
    scale = where(logical_and(greater(top, 0), isfinite(top)), top, 1.0)
    # It cancels, from derivatives as well.
    scale = emit_simple("stop_gradient", "", scale, scale.shape)
    total = add(square(divide(x, scale)), square(divide(y, scale)))
    # At 0 the derivatives are those of the larger side, and none is infinite.
    is_zero = equal(top, 0)
    result = where(is_zero, top, multiply(sqrt(where(is_zero, 1.0, total)), scale))
    return where(logical_or(isinf(a), isinf(b)), math.inf, result)


def fmod(x: Any, y: Any) -> Tracer:
    """x modulo y with the sign of x, as C's fmod."""
    return binary_op("rem", *[as_number(v) for v in promote_operands([x, y])])
