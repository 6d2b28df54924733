# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Compiled sorts against NumPy's: short rows are sorted by insertion, long ones by their digits."""

import ml_dtypes
import numpy as np
import pytest

import tessera as ts
from conftest import needs_runtime

RNG = np.random.default_rng(3)


def _keys(dtype: type, shape: tuple[int, ...]) -> np.ndarray:
    if np.dtype(dtype).kind in "iu":
        info = np.iinfo(dtype)
        wide = RNG.integers(info.min, info.max, shape, dtype, endpoint=True)
        return np.where(RNG.random(shape) < 0.5, wide, wide % 7)
    values = RNG.standard_normal(shape) * 10.0 ** RNG.integers(-3, 4, shape)
    values[RNG.random(shape) < 0.1] = 0
    values[RNG.random(shape) < 0.1] *= -1
    return values.astype(dtype)


@needs_runtime
@pytest.mark.parametrize("dtype", [np.float32, ml_dtypes.bfloat16, np.float16, np.float64, np.int32,
                                   np.int64])
@pytest.mark.parametrize("length", [1, 31, 32, 33, 1000])
def test_sorts_are_numpys(dtype, length):
    x = _keys(dtype, (length, 3))
    order = np.argsort(x.astype(np.float64) if dtype not in (np.int32, np.int64) else x, 0, kind="stable")
    np.testing.assert_array_equal(ts.jit(lambda x: ts.argsort(x, 0))(x), order)
    got = np.asarray(ts.jit(lambda x: ts.sort(x, 0))(x))
    np.testing.assert_array_equal(got, np.take_along_axis(x, order, 0))


@needs_runtime
def test_a_million_elements():
    x = _keys(np.float32, (1_000_000,))
    np.testing.assert_array_equal(ts.jit(ts.sort)(x), np.sort(x))


@needs_runtime
@pytest.mark.parametrize("devices", [1, 2, 4])
def test_top_k_of_split_rows(devices):
    mesh = ts.make_mesh((devices,), ("dp",))
    x = _keys(np.float32, (5, 200))
    jitted = ts.jit(lambda x: ts.top_k(x, 9), mesh=mesh, in_shardings=(ts.P("dp"),))
    values, indices = map(np.asarray, jitted(x))
    order = np.argsort(-x, 1, kind="stable")[:, :9]
    np.testing.assert_array_equal(indices, order)
    np.testing.assert_array_equal(values, np.take_along_axis(x, order, 1))
