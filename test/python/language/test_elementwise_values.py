# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Every elementwise function at its special values, and over its whole domain, against NumPy.

The special values of a type are zeros, denormal and normal numbers, one and its neighbours, what lies
just below and above overflow, infinities and NaN. A result must be NaN, infinite or a zero of the same
sign where NumPy's is, and else lie within so many units in the last place of the exact result.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import ml_dtypes
import numpy as np
import pytest

import tessera as ts
from conftest import needs_runtime
from elementwise_table import TABLE
from references import REFERENCES

BF16 = np.dtype(ml_dtypes.bfloat16)
TYPES = {"f32": np.dtype(np.float32), "f64": np.dtype(np.float64), "f16": np.dtype(np.float16), "bf16": BF16}


@dataclass(frozen=True)
class Row:
    """A function: what it means in f64, and how many units in the last place f32 and f64 may be off."""

    reference: Callable
    ulps: float = 3
    arity: int = 1
    # Where terms cancel, units are those of the largest term, and the sign of a zero is open.
    term: Callable | None = None


def _sign_of_zero_is_open(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Of max(-0, 0), min(0, -0) and nextafter(-0, 0): NumPy's differ from type to type."""
    return np.zeros_like(x)


def _denormal_factor(x: np.ndarray) -> np.ndarray:
    """Of x / (1 + e^-x): below -87 the second factor is denormal in f32, and units are |x| times its own."""
    return np.where(x < -87, 2.0**-119, 0)


def _round_half_even(x: np.ndarray) -> np.ndarray:
    return np.rint(x)


def _floor_divide(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.floor_divide(x, y)


# Functions of one op, by the name in Python; where more than 3 units are allowed, or none.
OF_ONE_OP = {row.python: Row(REFERENCES[op], 0 if row.exact else 3, row.arity)
             for op, row in TABLE.items() if row.python and "f32" in row.types}
OF_ONE_OP |= {
    "divide": Row(np.divide, 0.5, 2), "add": Row(np.add, 0.5, 2), "subtract": Row(np.subtract, 0.5, 2),
    "multiply": Row(np.multiply, 0.5, 2), "sqrt": Row(np.sqrt, 0.5),
    "exp": Row(np.exp, 5), "tanh": Row(np.tanh, 6), "erf": Row(REFERENCES["erf"], 5),
    "silu": Row(REFERENCES["silu"], 4, 1, _denormal_factor),
    "maximum": Row(np.maximum, 0, 2, _sign_of_zero_is_open),
    "minimum": Row(np.minimum, 0, 2, _sign_of_zero_is_open),
    "nextafter": Row(REFERENCES["nextafter"], 0, 2, _sign_of_zero_is_open),
}
# Functions that are made of several.
DERIVED = {
    "floor": Row(np.floor, 0), "ceil": Row(np.ceil, 0), "trunc": Row(np.trunc, 0),
    "round": Row(_round_half_even, 0), "reciprocal": Row(np.reciprocal, 0.5), "square": Row(np.square, 0.5),
    "log1p": Row(np.log1p, 4), "expm1": Row(np.expm1, 5), "sinh": Row(np.sinh, 6), "cosh": Row(np.cosh, 6),
    "tan": Row(np.tan, 4), "hypot": Row(np.hypot, 3, 2), "fmod": Row(np.fmod, 0, 2),
    "logaddexp": Row(np.logaddexp, 6, 2, np.maximum),
    "remainder": Row(np.remainder, 0.5, 2), "floor_divide": Row(_floor_divide, 1, 2),
    "power": Row(np.power, 8, 2),
}
FUNCTIONS = OF_ONE_OP | DERIVED
UNARY = {name: row for name, row in FUNCTIONS.items() if row.arity == 1}
BINARY = {name: row for name, row in FUNCTIONS.items() if row.arity == 2}


def special_values(dtype: np.dtype) -> np.ndarray:
    """The numbers at which functions of the type go wrong, if anywhere."""
    limits = ml_dtypes.finfo(dtype)
    largest, tiny, least = (float(v) for v in (limits.max, limits.tiny, limits.smallest_subnormal))
    eps = float(limits.eps)
    edges = [np.log(largest), np.log2(largest), np.log(tiny), np.log(least), np.log2(tiny), np.log2(least)]
    values = [0, least, 3 * least, tiny, tiny * 1.5, eps / 4, eps, 1e-3, 0.3, 0.5, 0.7, 1 - eps, 1, 1 + eps,
              1.5, 2, 2.5, 3, 7, 10, 20.5, 100, largest / 2, largest, np.inf, np.nan, np.sqrt(largest)]
    values += [edge * (1 + d) for edge in edges for d in (-2 * eps, 0, 2 * eps, 0.001)]
    values = np.array(values, np.float64)
    with np.errstate(over="ignore"):
        return np.concatenate([values, -values]).astype(dtype)


def units_off(got: np.ndarray, want: np.ndarray, term: np.ndarray | None = None) -> np.ndarray:
    """How many units in the last place of `got`'s type it is off the exact `want`; infinite where one is
    NaN, infinite or a zero of a sign, and the other is not."""
    dtype = got.dtype
    limits = ml_dtypes.finfo(dtype)
    with np.errstate(all="ignore"):
        rounded = want.astype(dtype).astype(np.float64)
        value = got.astype(np.float64)
        size = np.abs(rounded) if term is None else np.fmax(np.abs(rounded), np.abs(term))
        exponent = np.floor(np.log2(np.clip(size, float(limits.tiny), float(limits.max))))
        spacing = np.ldexp(float(limits.eps), exponent.astype(int))
        off = np.abs(value - np.where(np.isfinite(rounded), want, rounded)) / spacing
    same = (np.isnan(value) & np.isnan(rounded)) | (value == rounded)
    wrong_zero = (value == 0) & (rounded == 0) & (np.signbit(value) != np.signbit(rounded))
    wrong_zero &= term is None
    finite = np.isfinite(value) & np.isfinite(rounded)
    # Beside the largest number, rounding up is overflow.
    almost = np.isinf(value) & (np.abs(rounded) >= float(limits.max) * (1 - 4 * float(limits.eps)))
    almost |= np.isinf(rounded) & (np.abs(value) >= float(limits.max) * (1 - 4 * float(limits.eps)))
    off = np.where(same, np.where(finite, np.minimum(off, 1), 0), np.where(finite, off, np.inf))
    return np.where(wrong_zero, np.inf, np.where(almost & ~same, 1, off))


def check(names: dict[str, Row], operands: list[np.ndarray], target: str) -> None:
    """All functions of `names` on the operands, compiled as one program."""
    functions = [getattr(ts, name) for name in names]
    compiled = ts.jit(lambda *x: tuple(f(*x) for f in functions), device=target)
    results = [np.asarray(result) for result in compiled(*operands)]
    wide = [x.astype(np.float64) for x in operands]
    failures = []
    for (name, row), got in zip(names.items(), results):
        assert got.dtype == operands[0].dtype
        native = name == "nextafter"
        with np.errstate(all="ignore"):
            want = np.asarray(row.reference(*(operands if native else wide))).astype(np.float64)
        narrow = got.dtype.itemsize == 2
        # GPUs have powers as 2^(y log2 x), whose rounded exponent has up to 150 units.
        ulps = 150 if name == "power" and target != "cpu" else row.ulps
        allowed = 0.501 if ulps <= 0.5 else 1 if narrow else ulps
        with np.errstate(all="ignore"):
            off = units_off(got, want, None if row.term is None else row.term(*wide))
        worst = int(np.argmax(off))
        if off[worst] > allowed:
            at = ", ".join(repr(x[worst]) for x in operands)
            failures.append(f"{name}({at}) = {got[worst]!r}, not {want[worst]!r}: "
                            f"{off[worst]:.2f} units off, {int((off > allowed).sum())} such")
    assert not failures, "\n".join(failures)


def targets_of(element: str) -> list[str]:
    # GPUs have no functions of f64.
    return ["cpu"] if element == "f64" else ["cpu", "emulated"]


EVERY = [(element, target) for element in TYPES for target in targets_of(element)]


@needs_runtime
@pytest.mark.parametrize("element, target", EVERY)
def test_functions_of_special_values(element, target):
    check(UNARY, [special_values(TYPES[element])], target)


@needs_runtime
@pytest.mark.parametrize("element, target", EVERY)
def test_functions_of_pairs_of_special_values(element, target):
    values = special_values(TYPES[element])
    x, y = (np.ascontiguousarray(v.ravel()) for v in np.meshgrid(values, values))
    check(BINARY, [x, y], target)


@needs_runtime
@pytest.mark.parametrize("target", ["cpu", "emulated"])
def test_functions_over_their_whole_domain(target):
    rng = np.random.default_rng(3)
    count = 100_000 if target == "cpu" else 2_000
    bits = rng.integers(0, 2**32, count, np.uint32).view(np.float32)
    dense = (rng.standard_normal(count) * 10).astype(np.float32)
    near = rng.uniform(-1, 1, count).astype(np.float32)
    check(UNARY, [np.concatenate([bits, dense, near])], target)


@needs_runtime
def test_functions_of_doubles_over_their_whole_domain():
    rng = np.random.default_rng(4)
    dense, near = rng.standard_normal(20_000) * 50, rng.uniform(-1, 1, 20_000)
    check(UNARY, [np.concatenate([dense, near, rng.uniform(-750, 1030, 20_000)])], "cpu")


@needs_runtime
@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_shifts_and_powers_of_integers(dtype):
    rng = np.random.default_rng(5)
    bounds = np.iinfo(dtype)
    x = np.concatenate([[bounds.min, bounds.max, -1, 0, 1, 2, -3], rng.integers(-99, 99, 50)]).astype(dtype)
    y = np.array([0, 1, 2, 3, 31, 32, 63, 64, 100, -1, -7, bounds.max, bounds.min], dtype)
    x, y = (np.ascontiguousarray(v.ravel()) for v in np.meshgrid(x, y))
    defined = (x != 0) | (y >= 0)
    x, y = x[defined], y[defined]
    left, right, power = ts.jit(lambda x, y: (x << y, x >> y, x**y))(x, y)
    np.testing.assert_array_equal(left, np.left_shift(x, y))
    np.testing.assert_array_equal(right, np.right_shift(x, y))
    np.testing.assert_array_equal(power, REFERENCES["pow"](x, y))


@needs_runtime
def test_integers_and_booleans_have_signs_and_keep_their_type():
    i = np.array([-7, 0, 5], np.int32)
    got = ts.jit(lambda i: (ts.signbit(i), ts.round(i), ts.floor(i), 3 << ts.abs(i), ts.copysign(i, -1.0)))(i)
    for result, want in zip(got, (i < 0, i, i, 3 << abs(i), np.float32([-7, -0.0, -5]))):
        np.testing.assert_array_equal(result, want)
        assert np.asarray(result).dtype == want.dtype
    f = np.float32([-0.0, 0.0, -np.nan, np.inf])
    np.testing.assert_array_equal(ts.jit(ts.signbit)(f), np.signbit(f))


def test_atan2_of_constant_zeros():
    signs = [(y, x) for y in (0.0, -0.0) for x in (0.0, -0.0)]
    for dtype in (ts.f16, ts.f32, ts.f64):
        got = ts.jit(lambda: [ts.atan2(ts.full((3,), y, dtype), ts.full((3,), x, dtype)) for y, x in signs])()
        for (y, x), value in zip(signs, got):
            want = np.full(3, math.atan2(y, x)).astype(np.asarray(value).dtype)
            assert np.asarray(value).tobytes() == want.tobytes()
