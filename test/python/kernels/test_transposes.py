# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Transpositions: squares that are turned in registers, their ragged ends, and what is computed with them."""

import ml_dtypes
import numpy as np
import pytest

import tessera as ts
from conftest import needs_runtime

pytestmark = needs_runtime
RNG = np.random.default_rng(9)

CASES = [
    ((128, 64), (1, 0)), ((130, 67), (1, 0)), ((1, 70), (1, 0)), ((70, 1), (1, 0)), ((3, 1000), (1, 0)),
    ((1000, 3), (1, 0)), ((17, 16), (1, 0)), ((1, 1), (1, 0)), ((5, 33, 18), (0, 2, 1)),
    ((5, 33, 18), (2, 1, 0)), ((5, 33, 18), (2, 0, 1)), ((5, 33, 18), (1, 0, 2)),
    ((2, 37, 3, 20), (0, 2, 1, 3)), ((2, 37, 3, 20), (0, 2, 3, 1)), ((2, 37, 3, 20), (3, 2, 1, 0)),
    ((100, 2, 100), (2, 1, 0)),
]


@pytest.mark.parametrize("shape, order", CASES, ids=str)
def test_every_element_goes_to_its_place(shape, order):
    x = RNG.standard_normal(shape, dtype=np.float32)
    np.testing.assert_array_equal(ts.jit(lambda x: ts.transpose(x, order))(x), x.transpose(order))


@pytest.mark.parametrize("dtype", [np.float64, np.float16, ml_dtypes.bfloat16, np.int32, np.int64,
                                   np.bool_], ids=lambda dtype: np.dtype(dtype).name)
def test_element_types(dtype):
    x = RNG.integers(0, 2 if dtype is np.bool_ else 100, (130, 67)).astype(dtype)
    np.testing.assert_array_equal(np.asarray(ts.jit(lambda x: x.T)(x)), x.T)


@pytest.mark.parametrize("rows", [64, 67])
def test_values_computed_with_transposes(rows):
    x, y, b = (RNG.standard_normal(shape, dtype=np.float32) for shape in ((rows, 70), (70, rows), (rows,)))
    step = ts.jit(lambda x, y, b: (ts.tanh(x).T * y + b, x.T - y))
    for result, expected in zip(step(x, y, b), (np.tanh(x).T * y + b, x.T - y)):
        np.testing.assert_allclose(result, expected, atol=1e-6)


def test_a_symmetric_sum_reads_a_value_both_ways():
    x = RNG.standard_normal((67, 67), dtype=np.float32)
    np.testing.assert_array_equal(ts.jit(lambda x: x + x.T)(x), x + x.T)


def test_a_donated_argument_is_read_before_it_is_overwritten():
    x, y = (RNG.standard_normal(shape, dtype=np.float32) for shape in ((67, 130), (130, 67)))
    step = ts.jit(lambda x, y: x * 2 + y.T, donate_argnums=0)
    np.testing.assert_allclose(step(ts.device_put(x), y), x * 2 + y.T, rtol=1e-6)
