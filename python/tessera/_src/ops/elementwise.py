# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Elementwise functions that are not one op alone: comparisons, logic, powers, selection."""

from __future__ import annotations

from typing import Any

import numpy as np

from tessera._src.core import dtypes
from tessera._src.core.errors import TraceError
from tessera._src.ops.elementwise_forms import (
    as_float,
    as_number,
    as_whole,
    binary_op,
    named,
    unary_op,
    widened,
)
from tessera._src.ops.elementwise_functions import *  # noqa: F403 (one function for each op of the table)
from tessera._src.ops.elementwise_functions import add, maximum, minimum, multiply, sqrt, subtract
from tessera._src.tracing.named_dims import like
from tessera._src.tracing.operands import (
    as_weak,
    broadcast,
    broadcast_values,
    convert,
    emit,
    emit_simple,
    lift,
    promote_operands,
    scalar_array,
)
from tessera._src.tracing.tracer import Tracer


def without_derivative(value: Tracer) -> Tracer:
    """The value as one that has no derivative."""
    return like(emit_simple("stop_gradient", "", value, value.shape), value)


def floor(x: Any) -> Tracer:
    """Largest whole number not above x, in the type of x."""
    value = as_number(lift(x))
    return unary_op("floor", value) if dtypes.is_float(value.dtype) else value


def bitwise_not(x: Any) -> Tracer:
    """The complement, bit by bit."""
    return unary_op("not", as_whole(x, "bitwise_not"))


def as_bool(x: Any) -> Tracer:
    """Whether x is not zero."""
    return convert(lift(x), dtypes.bool_)


def logical_and(x: Any, y: Any) -> Tracer:
    """Whether x and y are both non-zero."""
    return bitwise_and(as_bool(x), as_bool(y))


def logical_or(x: Any, y: Any) -> Tracer:
    """Whether x or y is non-zero."""
    return bitwise_or(as_bool(x), as_bool(y))


def logical_not(x: Any) -> Tracer:
    """Whether x is zero."""
    return bitwise_not(as_bool(x))


def _compare(name: str, direction: str, document: str):
    def function(x: Any, y: Any) -> Tracer:
        a, b = promote_operands([x, y])
        text = f"tessera.compare {direction} {a.value}, {b.value} : {a.type}, {b.type} -> "
        return like(emit(text, a.shape, dtypes.bool_, [a, b]), a, b)

    return named(name, document, function)


equal = _compare("equal", "eq", "x == y.")
not_equal = _compare("not_equal", "ne", "x != y.")
less = _compare("less", "lt", "x < y.")
less_equal = _compare("less_equal", "le", "x <= y.")
greater = _compare("greater", "gt", "x > y.")
greater_equal = _compare("greater_equal", "ge", "x >= y.")


def isnan(x: Any) -> Tracer:
    """Whether x is not a number."""
    value = lift(x)
    return not_equal(value, value)


def where(condition: Any, x: Any, y: Any) -> Tracer:
    """x where the condition holds, else y."""
    predicate = as_bool(condition)
    a, b = promote_operands([x, y])
    shape = broadcast_values([predicate, a if a._name else b])
    is_weak = a.is_weak and b.is_weak  # A mask repeats numbers, which stay numbers.
    p, a, b = broadcast(predicate, shape), broadcast(a, shape), broadcast(b, shape)
    text = f"tessera.select {p.value}, {a.value}, {b.value} : {p.type}, {a.type}, {b.type} -> "
    result = like(emit(text, shape, a.dtype, [p, a, b]), a, b)
    return as_weak(result) if is_weak else result


def clip(x: Any, min: Any = None, max: Any = None) -> Tracer:  # noqa: A002 (NumPy's names)
    """x limited to [min, max]."""
    result = lift(x)
    result = result if min is None else maximum(result, min)
    return result if max is None else minimum(result, max)


def remainder(x: Any, y: Any) -> Tracer:
    """x modulo y with the sign of y, as Python's %."""
    a, b = (as_number(v) for v in promote_operands([x, y]))
    rest, off = _rest(a, b)
    whole = where(off, add(rest, b), rest)
    if not dtypes.is_float(a.dtype):
        return whole
    # Zeros have the sign of y, and all that derivative by x that other remainders have.
    zero = where(less(b, 0), negative(abs(negative(rest))), abs(rest))
    return where(equal(rest, 0), zero, whole)


def floor_divide(x: Any, y: Any) -> Tracer:
    """The largest integer not above the exact quotient of x and y: (x - x % y) / y."""
    a, b = (as_number(v) for v in promote_operands([x, y]))
    if not dtypes.is_float(a.dtype):
        _, off = _rest(a, b)
        quotient = binary_op("div", a, b)
        return where(off, subtract(quotient, 1), quotient)
    dtype, a, b = a.dtype, widened(a), widened(b)
    # As NumPy's npy_floor_divide: x / y may have been rounded up to an integer.
    rest, off = _rest(a, b)
    whole = binary_op("div", subtract(a, rest), b)
    whole = where(off, subtract(whole, 1), whole)
    low = floor(whole)
    low = where(greater(subtract(whole, low), 0.5), add(low, 1), low)
    plain = binary_op("div", a, b)
    low = where(equal(whole, 0), multiply(plain, 0), low)  # Zero with the quotient's sign.
    # Where the divisor is 0, the quotient would have the derivatives of a division.
    return convert(without_derivative(where(equal(b, 0), plain, low)), dtype)


def _rest(a: Tracer, b: Tracer) -> tuple[Tracer, Tracer]:
    """The remainder with the sign of a, and where that is not the sign of b."""
    rest = binary_op("rem", a, b)
    return rest, logical_and(not_equal(rest, 0), not_equal(less(rest, 0), less(b, 0)))


def power(x: Any, y: Any) -> Tracer:
    """x to the power y; small static integer powers become products, and powers of integers wrap."""
    if isinstance(x, Tracer) and isinstance(y, (int, float)) and not isinstance(y, bool):
        x = lift(x)
        if y == 0.5 and dtypes.is_float(x.dtype):
            return sqrt(x)
        if y == 0 and (isinstance(y, int) or dtypes.is_float(x.dtype)):
            return broadcast(lift(1, as_number(x).dtype), x.shape)
        fits = isinstance(y, int) or dtypes.is_float(x.dtype)
        if fits and np.isfinite(y) and y == int(y) and 1 <= y <= 16:
            return _integer_power(x, int(y))
        if isinstance(y, int) and y < 0 and not dtypes.is_float(x.dtype):
            raise TraceError("TS1016", "an integer to a negative power is not an integer",
                             hint="convert with .astype(ts.f32) first")
    return binary_op("pow", *(as_number(v) for v in promote_operands([x, y])))


def _integer_power(x: Tracer, exponent: int) -> Tracer:
    result, base = None, as_number(x)
    while exponent:
        if exponent & 1:
            result = base if result is None else binary_op("mul", result, base)
        exponent >>= 1
        base = binary_op("mul", base, base) if exponent else base
    return result


def square(x: Any) -> Tracer:
    """x * x."""
    return power(lift(x), 2)


def relu(x: Any) -> Tracer:
    """x where it is positive, else 0; with derivative 0 at 0."""
    value = as_number(lift(x))
    return where(less_equal(value, 0), 0, value)


def gelu(x: Any, approximate: bool = False) -> Tracer:
    """x * Phi(x), Phi the normal distribution function; `approximate` uses the tanh formula."""
    value = as_float(lift(x))
    kind = "tanh" if approximate else "none"
    return emit_simple("gelu", f" approximation {kind}", value, value.shape)


def astype(x: Any, dtype: Any) -> Tracer:
    """x in another element type: floats round, float to integer truncates, bool is x != 0."""
    if not isinstance(x, Tracer) and np.ndim(x) == 0:
        return lift(scalar_array(x, dtypes.canonical(dtype)))
    return convert(lift(x), dtype)
