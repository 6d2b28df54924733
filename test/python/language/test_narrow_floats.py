# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Functions of f16 and bf16: what is summed or scaled on the way to a result is not rounded."""

import numpy as np
import pytest

import tessera as ts
from conftest import needs_runtime

pytestmark = needs_runtime
F16 = np.float16
KEY = ts.random.key(7)


def run(function, *args):
    return np.asarray(ts.jit(function)(*args))


# Each result fits f16, a sum or a product on the way does not.
WIDE = {
    "mean": (lambda n, x: n.mean(x, axis=1), np.full((2, 300), 300, F16)),
    "mean of all": (lambda n, x: n.mean(x), np.full((70000,), 10, F16)),
    "std": (lambda n, x: n.std(x, axis=1), np.array([[300, -300, 300], [500, 0, -500]], F16)),
    "var": (lambda n, x: n.var(x), np.array([3, -3] * 40000, F16)),
    "logsumexp": (lambda n, x: n.logsumexp(x) if n is ts else np.log(np.exp(x).sum()),
                  np.full((70000,), 0.5, F16)),
    "log_softmax": (lambda n, x: ts.nn.log_softmax(x)[:3] if n is ts
                    else x[:3] - np.log(np.exp(x).sum()), np.full((70000,), 0.5, F16)),
    "cumsum": (lambda n, x: n.cumsum(x), np.array([60000, 5000, -60000, 1], F16)[[0, 2, 1, 3]]),
    "round": (lambda n, x: ts.round(x, 5) if n is ts else np.round(x, 5), np.array([1.5, -0.25], F16)),
    "exp2": (lambda n, x: n.exp2(x), np.array([14.5, -3.3, 9.7], F16)),
    "log2": (lambda n, x: n.log2(x), np.array([1000, 3, 7], F16)),
    "einsum sums alone": (lambda n, x: n.einsum("ij,k->k", x, n.asarray([[0.01, -0.02]], F16)[0]),
                          np.full((300, 2), 300, F16)),
    "floor_divide": (lambda n, x: x // F16(0.25), np.array([9999, -3001, 2049], F16)),
}


@pytest.mark.parametrize("name", WIDE)
def test_nothing_overflows_or_is_rounded_on_the_way(name):
    function, x = WIDE[name]
    got = run(lambda x: function(ts, x), x)
    assert got.dtype == F16
    want = function(np, x.astype(np.float64))
    assert np.isfinite(want).all()
    np.testing.assert_allclose(got.astype(np.float64), want, rtol=2**-11, atol=2**-24)


@pytest.mark.parametrize("dtype", [ts.f16, ts.bf16], ids=["f16", "bf16"])
def test_a_mean_is_rounded_once(dtype):
    x = np.random.default_rng(1).standard_normal((3, 5000)).astype(dtype)
    got = run(lambda x: ts.mean(x, axis=1), x)
    assert got.dtype == dtype
    want = x.astype(np.float64).mean(axis=1)
    np.testing.assert_allclose(got.astype(np.float64), want, rtol=float(ts_eps(dtype)))


def ts_eps(dtype):
    """Half a unit of the last place, and what f32 adds to it."""
    return 2.0**-11 * 1.01 if dtype == ts.f16 else 2.0**-8 * 1.01


def test_a_mean_asked_for_in_another_type_has_it():
    x = np.full((70000,), 10, F16)
    assert run(lambda x: ts.mean(x, dtype=ts.f32), x).dtype == np.float32
    assert run(lambda x: ts.mean(x, dtype=ts.f16), np.full((70000,), 3, np.int32)) == F16(3)


def test_einsum_rounds_no_product_of_a_scalar_before_the_preferred_type():
    got = run(lambda x, y: ts.einsum(",j->j", x[0], y, preferred_element_type=ts.f32),
              np.array([1.001], F16), np.array([1.001, 3.003], F16))
    want = np.float32(F16(1.001)) * np.array([1.001, 3.003], F16).astype(np.float32)
    assert got.dtype == np.float32
    np.testing.assert_array_equal(got, want)


def test_einsum_of_one_operand_gives_the_preferred_type():
    got = run(lambda x: ts.einsum("ij->i", x, preferred_element_type=ts.f32), np.full((2, 300), 300, F16))
    assert got.dtype == np.float32 and (got == 90000).all()


DTYPES = {"bf16": ts.bf16, "f16": ts.f16, "f32": ts.f32, "f64": ts.f64}


@pytest.mark.parametrize("name", DTYPES)
def test_uniform_numbers_stay_below_one(name):
    numbers = run(lambda k: ts.random.uniform(k, (1 << 18,), DTYPES[name]), KEY)
    assert numbers.dtype == DTYPES[name]
    numbers = numbers.astype(np.float64)
    assert numbers.min() >= 0 and numbers.max() < 1 and abs(numbers.mean() - 0.5) < 0.01
    digits = {"bf16": 8, "f16": 11}.get(name, 24)
    steps = np.unique(numbers * 2**digits)
    assert (steps == np.floor(steps)).all()
    # All of the few values of a narrow type are there, as often as each other.
    assert len(steps) == 2**digits if digits < 12 else len(steps) > 250000


@pytest.mark.parametrize("low, high", [(1.0, 2.0), (-3.0, 5.0), (0.0, 0.1), (-0.3, -0.1)])
@pytest.mark.parametrize("name", DTYPES)
def test_uniform_numbers_stay_below_the_end_of_their_interval(name, low, high):
    dtype = DTYPES[name]
    numbers = run(lambda k: ts.random.uniform(k, (1 << 18,), dtype, low, high), KEY)
    assert numbers.dtype == dtype and (numbers.astype(np.float64) < high).all()
    assert (numbers >= np.asarray(low).astype(dtype)).all()
    assert abs(numbers.astype(np.float64).mean() - (low + high) / 2) < 0.01 * (high - low)


@pytest.mark.parametrize("target", ["cpu", "emulated"])
@pytest.mark.parametrize("name", ["bf16", "f16"])
def test_narrow_uniform_numbers_are_those_of_the_interpreter(name, target):
    f = ts.jit(lambda k: ts.random.uniform(k, (7, 129), DTYPES[name]), device=target)
    np.testing.assert_array_equal(np.asarray(f(KEY)), np.asarray(f.lower(KEY).interpret(KEY)))


@pytest.mark.parametrize("arguments", [(ts.i32,), (ts.f32, 1.0, 1.0), (ts.f32, 2.0, 1.0)], ids=str)
def test_intervals_without_numbers_are_refused(arguments):
    with pytest.raises(ts.TraceError, match="TS1020"):
        ts.jit(lambda k: ts.random.uniform(k, (3,), *arguments)).lower(KEY)
