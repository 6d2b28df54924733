# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Compiled functions of one element against NumPy in double precision, over their whole range."""

import numpy as np
import pytest

import tessera as ts

DEVICES = ["cpu", "emulated"]


def _angles() -> np.ndarray:
    """f32 of all magnitudes, and those where little is left after whole quarter turns."""
    rng = np.random.default_rng(5)
    bits = rng.integers(0, 0x7F800000, 6000, np.uint32) | rng.integers(0, 2, 6000, np.uint32) << 31
    # 16367173 * 2^72 is the f32 that is nearest to a multiple of pi / 2.
    named = [99999, 100000, 100001, 2e8, 1e9, 3e38, 3.4028235e38, 16367173 * 2.0**72]
    return np.concatenate([
        rng.uniform(-1, 1, 1000), rng.uniform(-1e5, 1e5, 3000), rng.uniform(-1e9, 1e9, 3000),
        np.arange(-50, 50), np.pi / 4 * np.arange(-50, 50), np.pi / 2 * 2.0 ** np.arange(120),
        bits.view(np.float32), named]).astype(np.float32)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", ["sin", "cos"])
def test_angles_are_exact_to_the_last_bits(name, device):
    x = _angles()
    got = np.asarray(ts.jit(getattr(ts, name), device=device)(x))
    want = getattr(np, name)(x.astype(np.float64))
    assert np.abs(got - want).max() < 2e-7


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", ["sin", "cos"])
@pytest.mark.parametrize("dtype,ulp", [(ts.f16, 2.0**-11), (ts.bf16, 2.0**-8)])
def test_every_narrow_angle_is_rounded_once(dtype, ulp, name, device):
    x = np.arange(1 << 16, dtype=np.uint16).view(dtype)
    x = x[np.isfinite(x.astype(np.float32))]
    got = np.asarray(ts.jit(getattr(ts, name), device=device)(x)).astype(np.float64)
    want = getattr(np, name)(x.astype(np.float64))
    assert np.abs(got - want).max() <= ulp / 2 + 2e-7


@pytest.mark.parametrize("name", ["sin", "cos"])
def test_angles_in_double_precision(name):
    x = _angles().astype(np.float64)
    got = np.asarray(ts.jit(getattr(ts, name), device="cpu")(x))
    assert np.abs(got - getattr(np, name)(x)).max() < 1e-15


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", ["sin", "cos"])
def test_infinite_angles_are_not_numbers(name, device):
    x = np.array([np.inf, -np.inf, np.nan], np.float32)
    assert np.isnan(np.asarray(ts.jit(getattr(ts, name), device=device)(x))).all()


@pytest.mark.parametrize("device", DEVICES)
def test_logarithms_of_the_smallest_numbers(device):
    bits = np.unique(np.geomspace(1, 0x01000000, 500).astype(np.uint32))
    x = np.concatenate([bits.view(np.float32), [1.5, 3e38]]).astype(np.float32)
    got = np.asarray(ts.jit(ts.log, device=device)(x))
    np.testing.assert_allclose(got, np.log(x.astype(np.float64)), rtol=3e-7)


@pytest.mark.filterwarnings("ignore:(divide|invalid):RuntimeWarning")
@pytest.mark.parametrize("device", DEVICES)
def test_logarithms_of_what_has_none(device):
    x = np.array([0.0, -0.0, -1e-45, -1, -np.inf, np.inf, np.nan], np.float32)
    np.testing.assert_array_equal(np.asarray(ts.jit(ts.log, device=device)(x)), np.log(x))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", [ts.f32, ts.f16, ts.bf16])
def test_the_sign_of_a_zero_has_no_sign(dtype, device):
    x = np.array([-0.0, 0.0, -2, 3, -np.inf, 1e-7, np.nan]).astype(dtype)
    f = ts.jit(ts.sign, device=device)
    for got in (np.asarray(f(x)), np.asarray(f.lower(x).interpret(x))):
        want = np.sign(x.astype(np.float32))
        np.testing.assert_array_equal(got.astype(np.float32), want)
        np.testing.assert_array_equal(np.signbit(got.astype(np.float32)[:-1]), np.signbit(want[:-1]))


@pytest.mark.parametrize("shape", [(3, 2, 2, 1), (3, 2, 5, 7), (2, 40, 13, 33), (3, 500, 13, 100)])
def test_products_summed_over_two_indices(shape):
    a, b, c, d = shape
    rng = np.random.default_rng(6)
    x = rng.standard_normal((a, b, c), dtype=np.float32)
    y = rng.standard_normal((a, b, d), dtype=np.float32)
    got = np.asarray(ts.jit(lambda x, y: ts.einsum("abc,abd->cd", x, y))(x, y))
    want = np.einsum("abc,abd->cd", x.astype(np.float64), y)
    assert np.abs(got - want).max() < 1e-6 * a * b
