# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""How elementwise ops are traced: conversion of their operands, and functions that are a single op."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tessera._src.core import dtypes
from tessera._src.core.errors import TraceError
from tessera._src.tracing.named_dims import like
from tessera._src.tracing.operands import convert, emit, lift, promote_operands
from tessera._src.tracing.sums import remember
from tessera._src.tracing.tracer import Tracer


def named(name: str, document: str, function: Callable) -> Callable:
    """The function under the name and with the docstring of a public one."""
    function.__name__ = function.__qualname__ = name
    function.__code__ = function.__code__.replace(co_name=name)
    function.__doc__ = document
    return function


# What becomes of an operand of the function `name`.


def as_float(value: Tracer, name: str = "") -> Tracer:
    """A value of a floating-point type: integers and booleans become f32."""
    return value if dtypes.is_float(value.dtype) else convert(value, dtypes.f32)


def as_number(value: Tracer, name: str = "") -> Tracer:
    """A value that has arithmetic: booleans become i32."""
    return convert(value, dtypes.i32) if value.dtype == dtypes.bool_ else value


def widened(value: Tracer) -> Tracer:
    """The value in the type in which sums and quotients are computed: f32 for 16-bit floats."""
    return convert(value, dtypes.f32) if value.dtype in (dtypes.f16, dtypes.bf16) else value


def no_bools(value: Tracer, name: str = "") -> Tracer:
    """A value of a type that has subtraction, so not booleans."""
    if value.dtype == dtypes.bool_:
        raise TraceError("TS1031", "subtraction and negation are not defined for booleans",
                         hint="use ~x or x ^ y, or convert with .astype(ts.i32)")
    return value


def as_whole(x: Any, name: str) -> Tracer:
    """x, after checking that its elements are integers or booleans, as `name` requires."""
    value = lift(x)
    if dtypes.is_float(value.dtype):
        raise TraceError("TS1015", f"{name} works on integers and booleans",
                         got=dtypes.name_of(value.dtype), hint="compare first, such as x > 0")
    return value


def as_shiftable(x: Any, name: str) -> Tracer:
    """x as integers, as `name` requires; booleans become i32."""
    value = lift(x)
    if dtypes.is_float(value.dtype):
        raise TraceError("TS1030", f"{name} needs integers",
                         got=dtypes.name_of(value.dtype),
                         hint="multiply by a power of two, or convert with .astype(ts.i32)")
    return as_number(value)


def unary_op(name: str, value: Tracer) -> Tracer:
    """One elementwise op of one operand."""
    open_type = value.type == value.program.type_of(value.shape, value.dtype)
    types = "" if open_type else f"({value.type}) -> "
    result = emit(f"tessera.{name} {value.value} : {types}", value.shape, value.dtype, [value])
    return remember(like(result, value), name, value)


def binary_op(name: str, lhs: Tracer, rhs: Tracer) -> Tracer:
    """One elementwise op on operands of one shape and dtype."""
    open_type = lhs.type == rhs.type == lhs.program.type_of(lhs.shape, lhs.dtype)
    types = "" if open_type else f"({lhs.type}, {rhs.type}) -> "
    text = f"tessera.{name} {lhs.value}, {rhs.value} : {types}"
    result = like(emit(text, lhs.shape, lhs.dtype, [lhs, rhs]), lhs, rhs)
    return remember(result, name, lhs, rhs)


def unary(name: str, op: str, document: str, prepare: Callable) -> Callable:
    """The function `name` that is one op."""

    def function(x: Any) -> Tracer:
        return unary_op(op, prepare(lift(x), name))

    return named(name, document, function)


def binary(name: str, op: str, document: str, prepare: Callable,
           of_booleans: str | None = None) -> Callable:
    """The function `name` of two operands, promoted to one type, that is one op."""

    def function(x: Any, y: Any) -> Tracer:
        a, b = promote_operands([x, y])
        if of_booleans is not None and a.dtype == dtypes.bool_:
            return binary_op(of_booleans, a, b)
        return binary_op(op, prepare(a, name), prepare(b, name))

    return named(name, document, function)
