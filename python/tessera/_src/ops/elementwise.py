# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Elementwise functions: arithmetic, comparisons, logic, activations, selection."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tessera._src.core import dtypes
from tessera._src.core.errors import TraceError
from tessera._src.tracing.named_dims import like
from tessera._src.tracing.operands import (
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


def _named(name: str, document: str, function: Callable) -> Callable:
    function.__name__ = function.__qualname__ = name
    function.__code__ = function.__code__.replace(co_name=name)
    function.__doc__ = document
    return function


def as_float(value: Tracer) -> Tracer:
    """A value of a floating-point type: integers and booleans become f32."""
    return value if dtypes.is_float(value.dtype) else convert(value, dtypes.f32)


def as_number(value: Tracer) -> Tracer:
    """A value that has arithmetic: booleans become i32."""
    return convert(value, dtypes.i32) if value.dtype == dtypes.bool_ else value


def lift_like(number: bool | int | float, value: Tracer) -> Tracer:
    """A number in the shape and type of a value."""
    return lift(number, value.dtype, value.shape)


def widened(value: Tracer) -> Tracer:
    """The value in what sums and quotients of its type are computed in: f32 for 16-bit floats."""
    return convert(value, dtypes.f32) if value.dtype in (dtypes.f16, dtypes.bf16) else value


def _no_bools(value: Tracer) -> Tracer:
    if value.dtype == dtypes.bool_:
        raise TraceError("TS1031", "booleans have no difference and no negative",
                         hint="use ~x or x ^ y, or convert with .astype(ts.i32)")
    return value


def unary_op(name: str, value: Tracer) -> Tracer:
    """One elementwise op of one operand."""
    open_type = value.type == value.program.type_of(value.shape, value.dtype)
    types = "" if open_type else f"({value.type}) -> "
    result = emit(f"tessera.{name} {value.value} : {types}", value.shape, value.dtype, [value])
    return like(result, value)


def binary_op(name: str, lhs: Tracer, rhs: Tracer) -> Tracer:
    """One elementwise op on operands of one shape and dtype."""
    open_type = lhs.type == rhs.type == lhs.program.type_of(lhs.shape, lhs.dtype)
    types = "" if open_type else f"({lhs.type}, {rhs.type}) -> "
    text = f"tessera.{name} {lhs.value}, {rhs.value} : {types}"
    return like(emit(text, lhs.shape, lhs.dtype, [lhs, rhs]), lhs, rhs)


def _unary(name: str, document: str, op: str | None = None, prepare: Callable = as_float):
    op = op or name

    def function(x: Any) -> Tracer:
        return unary_op(op, prepare(lift(x)))

    return _named(name, document, function)


def _binary(name: str, document: str, op: str, prepare: Callable = as_number,
            of_bools: str | None = None):
    def function(x: Any, y: Any) -> Tracer:
        a, b = promote_operands([x, y])
        if of_bools is not None and a.dtype == dtypes.bool_:
            return binary_op(of_bools, a, b)
        return binary_op(op, prepare(a), prepare(b))

    return _named(name, document, function)


exp = _unary("exp", "e to the power x.")
log = _unary("log", "Natural logarithm.")
sqrt = _unary("sqrt", "Square root.")
rsqrt = _unary("rsqrt", "1 / sqrt(x).")
tanh = _unary("tanh", "Hyperbolic tangent.")
erf = _unary("erf", "Error function.")
sin = _unary("sin", "Sine of x in radians.")
cos = _unary("cos", "Cosine of x in radians.")
sigmoid = _unary("sigmoid", "1 / (1 + exp(-x)).", "logistic")
silu = _unary("silu", "x * sigmoid(x).")
negative = _unary("negative", "-x.", "neg", _no_bools)
abs = _unary("abs", "|x|.", prepare=as_number)  # noqa: A001
sign = _unary("sign", "-1, 0 or 1 by the sign of x.", prepare=as_number)

add = _binary("add", "x + y; of booleans, x or y.", "add", of_bools="or")
subtract = _binary("subtract", "x - y.", "sub", _no_bools)
multiply = _binary("multiply", "x * y; of booleans, x and y.", "mul", of_bools="and")
divide = _binary("divide", "x / y in floating point.", "div", as_float)
maximum = _binary("maximum", "The larger of x and y, element by element; NaN wins.", "max",
                  of_bools="or")
minimum = _binary("minimum", "The smaller of x and y, element by element; NaN wins.", "min",
                  of_bools="and")


def floor(x: Any) -> Tracer:
    """Largest whole number not above x, in the type of x."""
    value = as_number(lift(x))
    return unary_op("floor", value) if dtypes.is_float(value.dtype) else value


def as_whole(x: Any, op: str) -> Tracer:
    """x, which `op` needs to be of integers or booleans."""
    value = lift(x)
    if dtypes.is_float(value.dtype):
        raise TraceError("TS1015", f"{op} works on integers and booleans",
                         got=dtypes.name_of(value.dtype), hint="compare first, such as x > 0")
    return value


def _logical(name: str, document: str, op: str):
    def function(x: Any, y: Any) -> Tracer:
        return binary_op(op, *[as_whole(v, name) for v in promote_operands([x, y])])

    return _named(name, document, function)


bitwise_and = _logical("bitwise_and", "x and y, bit by bit.", "and")
bitwise_or = _logical("bitwise_or", "x or y, bit by bit.", "or")
bitwise_xor = _logical("bitwise_xor", "x xor y, bit by bit.", "xor")


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

    return _named(name, document, function)


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
    p, a, b = broadcast(predicate, shape), broadcast(a, shape), broadcast(b, shape)
    text = f"tessera.select {p.value}, {a.value}, {b.value} : {p.type}, {a.type}, {b.type} -> "
    return like(emit(text, shape, a.dtype, [p, a, b]), a, b)


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
    zero = where(less(b, 0), lift(-0.0, a.dtype), 0.0)
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
    return convert(where(equal(b, 0), plain, low), dtype)


def _rest(a: Tracer, b: Tracer) -> tuple[Tracer, Tracer]:
    """The remainder with the sign of a, and where that is not the sign of b."""
    rest = binary_op("rem", a, b)
    return rest, logical_and(not_equal(rest, 0), not_equal(less(rest, 0), less(b, 0)))


def power(x: Any, y: Any) -> Tracer:
    """x to the power y; small static integer powers become products."""
    if isinstance(x, Tracer) and isinstance(y, (int, float)) and not isinstance(y, bool):
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
    a, b = promote_operands([x, y])
    if not dtypes.is_float(a.dtype):
        raise TraceError(
            "TS1016", "powers of integers need a static exponent of 0 to 16",
            got=f"{dtypes.name_of(a.dtype)} ** {y!r}", hint="convert with .astype(ts.f32) first",
        )
    return binary_op("pow", a, b)


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
    """max(x, 0)."""
    return maximum(x, 0)


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
