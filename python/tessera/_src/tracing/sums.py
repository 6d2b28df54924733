# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Traced integers as sums, which tell where two of them differ by a number that is known.

A scalar integer made by +, - and multiplication by known numbers remembers which multiples of other
values, by their names in the program, and which number add up to it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tessera._src.core import dtypes

if TYPE_CHECKING:
    from tessera._src.tracing.tracer import Tracer

Sum = tuple[dict[str, int], int]
# Longer sums are values of their own, so that a chain of n additions does not take n * n steps.
_MAX_TERMS = 8


def sum_of(value: Tracer) -> Sum:
    """The terms of a scalar integer: itself, if it was not made as a sum."""
    return value._sum or ({value.value: 1}, 0)


def known_number(value: Tracer) -> int | None:
    """The number that a scalar integer is, if it is one whatever the program computes."""
    terms, number = sum_of(value)
    return None if terms else number


def known_difference(a: Tracer | int, b: Tracer | int) -> int | None:
    """a - b, if it is known while tracing. Wrapping around does not count."""
    total = _add(*[({}, v) if isinstance(v, int) else sum_of(v) for v in (a, b)], -1)
    return total[1] if total and not total[0] else None


def remember(result: Tracer, op: str, *operands: Tracer) -> Tracer:
    """A result that was just made by an op, with the sum that it is."""
    if not result.shape and op in _RULES and dtypes.is_int(result.dtype):
        result._sum = _RULES[op](*map(sum_of, operands))
    return result


def _add(a: Sum, b: Sum, factor: int = 1) -> Sum | None:
    terms = dict(a[0])
    for name, count in b[0].items():
        terms[name] = terms.get(name, 0) + factor * count
    terms = {name: count for name, count in terms.items() if count}
    return (terms, a[1] + factor * b[1]) if len(terms) <= _MAX_TERMS else None


def _multiply(a: Sum, b: Sum) -> Sum | None:
    if a[0] and b[0]:
        return None
    factor, other = (b[1], a) if a[0] else (a[1], b)
    return _add(({}, 0), other, factor)


_RULES = {
    "add": _add,
    "sub": lambda a, b: _add(a, b, -1),
    "mul": _multiply,
    "neg": lambda a: _add(({}, 0), a, -1),
}
