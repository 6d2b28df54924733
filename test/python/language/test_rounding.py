# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Compiled conversions round as IEEE 754 says: to nearest, ties to even, and once."""

from fractions import Fraction

import numpy as np
import pytest

import tessera as ts


def hard_numbers() -> np.ndarray:
    """f32 of every sign, exponent and leading fraction, at and beside halfway points."""
    high = np.arange(1 << 16, dtype=np.uint32) << 16
    low = np.array([0, 1, 0x0FFF, 0x1000, 0x1001, 0x7FFF, 0x8000, 0x8001, 0xFFFF], np.uint32)
    return (high[:, None] | low).view(np.float32)


@pytest.mark.filterwarnings("ignore:(overflow|invalid):RuntimeWarning")
@pytest.mark.parametrize("dtype", [ts.bf16, ts.f16])
def test_f32_rounds_to_narrow_floats(dtype):
    x = hard_numbers()
    got = np.asarray(ts.jit(lambda x: x.astype(dtype))(x))
    want = x.astype(dtype)
    # NaNs keep no particular payload.
    assert np.array_equal(np.isnan(got), np.isnan(want))
    known = ~np.isnan(want)
    assert np.array_equal(got.view(np.uint16)[known], want.view(np.uint16)[known])


# Bits of the fraction with the leading one; the exponents of the least normal number and of the
# largest.
FLOATS = {ts.f64: (53, -1022, 1023), ts.f32: (24, -126, 127), ts.bf16: (8, -126, 127),
          ts.f16: (11, -14, 15)}
TYPES = [*FLOATS, ts.i64, ts.i32, ts.bool_]


def rounded(value: Fraction, dtype: np.dtype) -> float:
    """The nearest float of a type; those of the narrower types are f64 as well."""
    if value == 0:
        return 0.0
    digits, least, largest = FLOATS[dtype]
    exponent = abs(value.numerator).bit_length() - value.denominator.bit_length()
    exponent -= abs(value) < Fraction(2) ** exponent
    unit = Fraction(2) ** (max(exponent, least) - digits + 1)
    result = round(value / unit) * unit
    if abs(result) >= Fraction(2) ** (largest + 1):
        return float("inf") if value > 0 else float("-inf")
    return float(result)


def converted(value, source: np.dtype, dtype: np.dtype):
    """What a conversion is to give for an exact number, an infinity or a NaN: integers saturate from
    floats and wrap from integers."""
    if dtype == ts.bool_:
        return value != 0
    if dtype in FLOATS:
        return rounded(value, dtype) if isinstance(value, Fraction) else value
    limits = np.iinfo(dtype)
    if source not in FLOATS:
        return (int(value) - limits.min) % 2**limits.bits + limits.min
    if value != value:
        return 0
    if value in (float("inf"), float("-inf")):
        return limits.max if value > 0 else limits.min
    return min(max(int(value), limits.min), limits.max)


def boundaries(dtype: np.dtype) -> np.ndarray:
    """Numbers of a type at, halfway between and beside those that other types have."""
    if dtype == ts.bool_:
        return np.array([False, True])
    numbers = {Fraction(0)}
    for exponent in [*range(-151, -125), *range(-26, 66), 126, 127, 128]:
        for digits in (8, 11, 24, 53):
            for steps in (0, 1, 2, 3, 2 ** (digits + 1) - 1):
                near = Fraction(2) ** exponent * (1 + Fraction(steps, 2**digits))
                for beside in (0, 1, -1, Fraction(2) ** (exponent - 50)):
                    numbers |= {near + beside, -near - beside}
    if dtype in FLOATS:
        values = {rounded(number, dtype) for number in numbers}
        values |= {float("inf"), float("-inf")}
        return np.array([*sorted(values), float("nan")]).astype(dtype)
    limits = np.iinfo(dtype)
    values = {int(number) for number in numbers if limits.min <= number <= limits.max}
    return np.array(sorted(values | {limits.min, limits.max}), dtype)


def exact(element: np.generic):
    value = element.item() if element.dtype != ts.bf16 else float(element)
    return Fraction(value) if np.isfinite(value) else value


@pytest.mark.parametrize("device", ["cpu", "emulated"])
@pytest.mark.parametrize("source", TYPES, ids=str)
def test_every_type_rounds_once_to_every_type(source, device):
    x = boundaries(source)
    results = ts.jit(lambda x: tuple(x.astype(to) for to in TYPES), device=device)(x)
    for to, result in zip(TYPES, results):
        got = np.asarray(result)
        want = np.array([converted(exact(element), source, to) for element in x]).astype(to)
        wrong = (got != want) & ~((got != got) & (want != want))
        assert not wrong.any(), [
            (exact(x[i]), str(to), got[i], want[i]) for i in np.flatnonzero(wrong)[:5]]
