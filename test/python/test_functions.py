# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Compiled functions of one element against NumPy in double precision, over their whole range."""

import numpy as np
import pytest

import tessera as ts

DEVICES = ["cpu", "emulated"]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", ["sin", "cos"])
def test_angles_of_many_turns_are_exact_to_the_last_bits(name, device):
    rng = np.random.default_rng(5)
    x = np.concatenate([rng.uniform(-1, 1, 1000), rng.uniform(-1e5, 1e5, 3000), np.arange(-50, 50),
                        np.pi / 4 * np.arange(-50, 50)]).astype(np.float32)
    got = np.asarray(ts.jit(getattr(ts, name), device=device)(x))
    want = getattr(np, name)(x.astype(np.float64))
    assert np.abs(got - want).max() < 2e-7


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", ["sin", "cos"])
def test_infinite_angles_are_not_numbers(name, device):
    x = np.array([np.inf, -np.inf, np.nan], np.float32)
    assert np.isnan(np.asarray(ts.jit(getattr(ts, name), device=device)(x))).all()


@pytest.mark.parametrize("shape", [(3, 2, 2, 1), (3, 2, 5, 7), (2, 40, 13, 33), (3, 500, 13, 100)])
def test_products_summed_over_two_indices(shape):
    a, b, c, d = shape
    rng = np.random.default_rng(6)
    x = rng.standard_normal((a, b, c), dtype=np.float32)
    y = rng.standard_normal((a, b, d), dtype=np.float32)
    got = np.asarray(ts.jit(lambda x, y: ts.einsum("abc,abd->cd", x, y))(x, y))
    want = np.einsum("abc,abd->cd", x.astype(np.float64), y)
    assert np.abs(got - want).max() < 1e-6 * a * b
