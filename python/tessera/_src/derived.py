# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Elementwise functions made of others: rounding, logarithms, tests of numbers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tessera._src import dtypes
from tessera._src.elementwise import (
    _as_float,
    _truth,
    abs,
    add,
    bitwise_xor,
    divide,
    equal,
    exp,
    floor,
    greater,
    less,
    log,
    logical_and,
    maximum,
    multiply,
    negative,
    remainder,
    sign,
    sqrt,
    square,
    subtract,
    where,
)
from tessera._src.tracer import Tracer, lift, promote_operands


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
    """x rounded to so many decimals, halves to the even neighbour."""
    value = lift(x)
    if decimals:
        scale = 10.0**decimals
        return divide(round(multiply(_as_float(value), scale)), scale)
    if not dtypes.is_float(value.dtype):
        return floor(value)
    low = floor(value)
    rest = subtract(value, low)  # Exact: it has no more digits than x.
    odd = not_zero(remainder(low, 2))
    up = where(equal(rest, 0.5), odd, greater(rest, 0.5))
    return where(up, add(low, 1), low)


def not_zero(x: Any) -> Tracer:
    """Whether x is not zero."""
    return _truth(x)


def isfinite(x: Any) -> Tracer:
    """Whether x is a number and not infinite."""
    return less(abs(_as_float(lift(x))), math.inf)


def isinf(x: Any) -> Tracer:
    """Whether x is infinite."""
    return equal(abs(_as_float(lift(x))), math.inf)


def logical_xor(x: Any, y: Any) -> Tracer:
    """Whether one of x and y is non-zero."""
    return bitwise_xor(_truth(x), _truth(y))


def reciprocal(x: Any) -> Tracer:
    """1 / x in floating point."""
    return divide(1.0, x)


def log2(x: Any) -> Tracer:
    """Logarithm to base 2."""
    return multiply(log(x), 1 / math.log(2))


def exp2(x: Any) -> Tracer:
    """2 to the power x."""
    return exp(multiply(_as_float(lift(x)), math.log(2)))


def log1p(x: Any) -> Tracer:
    """log(1 + x), accurate where x is near 0."""
    value = _as_float(lift(x))
    up = add(value, 1.0)
    # Kahan: the rounding of 1 + x cancels in log(u) / (u - 1).
    scaled = multiply(log(up), divide(value, subtract(up, 1.0)))
    return where(equal(up, 1.0), value, where(equal(up, math.inf), up, scaled))


def expm1(x: Any) -> Tracer:
    """exp(x) - 1, accurate where x is near 0."""
    value = _as_float(lift(x))
    up = exp(value)
    near = multiply(subtract(up, 1.0), divide(value, log(up)))  # Kahan, as in log1p.
    near = where(equal(up, 1.0), value, near)
    return where(less(abs(value), 0.5), near, subtract(up, 1.0))


def logaddexp(x: Any, y: Any) -> Tracer:
    """log(exp(x) + exp(y)) without overflow."""
    a, b = (_as_float(v) for v in promote_operands([x, y]))
    top = maximum(a, b)
    off = negative(abs(subtract(a, b)))
    # Equal infinities have no difference.
    return where(logical_and(equal(a, b), isinf(a)), a, add(top, log1p(exp(off))))


def softplus(x: Any) -> Tracer:
    """log(1 + exp(x)) without overflow."""
    return logaddexp(x, 0.0)


def sinh(x: Any) -> Tracer:
    """Hyperbolic sine."""
    value = _as_float(lift(x))
    grown = expm1(abs(value))
    fading = where(equal(grown, math.inf), 1.0, divide(grown, add(grown, 1.0)))
    return multiply(multiply(add(grown, fading), 0.5), sign(value))


def cosh(x: Any) -> Tracer:
    """Hyperbolic cosine."""
    grown = exp(x)
    return multiply(add(grown, reciprocal(grown)), 0.5)


def tan(x: Any) -> Tracer:
    """Tangent of x in radians."""
    from tessera._src.elementwise import cos, sin

    return divide(sin(x), cos(x))


def hypot(x: Any, y: Any) -> Tracer:
    """sqrt(x*x + y*y) without overflow."""
    a, b = (abs(_as_float(v)) for v in promote_operands([x, y]))
    top = maximum(a, b)
    scale = where(logical_and(greater(top, 0), isfinite(top)), top, 1.0)
    return multiply(sqrt(add(square(divide(a, scale)), square(divide(b, scale)))), scale)


def fmod(x: Any, y: Any) -> Tracer:
    """x modulo y with the sign of x, as C's fmod."""
    from tessera._src.elementwise import _as_number, binary_op

    return binary_op("rem", *[_as_number(v) for v in promote_operands([x, y])])


def shifted(x: Any, count: Any, left: bool) -> Tracer:
    """x << count or x >> count for a static count."""
    from tessera._src.elementwise import _whole, floor_divide
    from tessera._src.errors import TraceError

    value = _whole(x, "a shift")
    if isinstance(count, bool) or not isinstance(count, (int, np.integer)) or not 0 <= count < 31:
        raise TraceError("TS1030", "shifts are by static integers of 0 to 30", got=repr(count),
                         hint="multiply or floor-divide by powers of two")
    return multiply(value, 1 << int(count)) if left else floor_divide(value, 1 << int(count))
