# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Dimensions that 32 bits do not count, and rows that no kernel's block holds whole."""

import numpy as np
import pytest

import tessera as ts
from conftest import needs_runtime

FAR = 2**32 + 15
DEVICES = ["cpu", "emulated"]


@needs_runtime
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", [ts.i64, ts.f64])
def test_indices_past_32_bits_are_right(dtype, device):
    got = np.asarray(ts.jit(lambda: ts.arange(FAR, dtype=dtype)[FAR - 3:], device=device)())
    want = np.arange(FAR - 3, FAR).astype(dtype)
    np.testing.assert_array_equal(got, want)


@needs_runtime
@pytest.mark.parametrize("device", DEVICES)
def test_padding_ends_past_32_bits(device):
    x = np.array([5.0, 7.0], np.float32)

    def f(x):
        ones = ts.broadcast_to(ts.ones((1,)), (FAR,))
        return ts.concatenate([ones, x])[FAR - 2:]

    np.testing.assert_array_equal(np.asarray(ts.jit(f, device=device)(x)), [1, 1, 5, 7])


@needs_runtime
def test_a_sum_of_more_than_32_bits_of_elements_takes_all():
    f = ts.jit(lambda x: ts.sum(ts.broadcast_to(x, (FAR,))))
    assert np.asarray(f(np.array([1], np.int64))) == FAR


ROW = 2**20 + 3
ONES = np.ones(ROW, np.float32)


def _softmax(x):
    e = np.exp(x - x.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def _rms_norm(x):
    return x / np.sqrt((x * x).mean(1, keepdims=True) + 1e-5)


def _layer_norm(x):
    return _rms_norm(x - x.mean(1, keepdims=True))


@needs_runtime
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("op,reference", [
    (lambda x: ts.softmax(x), _softmax),
    (lambda x: ts.transpose(ts.softmax(ts.transpose(x), axis=0)), _softmax),
    (lambda x: ts.layer_norm(x, ONES, 0 * ONES, 1e-5), _layer_norm),
    (lambda x: ts.rms_norm(x, ONES, 1e-5), _rms_norm)], ids=["rows", "columns", "layer", "rms"])
def test_rows_that_no_block_holds_are_computed_in_parts(op, reference, device):
    x = np.random.default_rng(4).standard_normal((2, ROW), np.float32)
    want = reference(x.astype(np.float64))
    np.testing.assert_allclose(np.asarray(ts.jit(op, device=device)(x)), want,
                               rtol=2e-4, atol=1e-6 * want.max())


@needs_runtime
@pytest.mark.parametrize("device", DEVICES)
def test_heads_that_no_block_holds_are_computed_in_parts(device):
    rng = np.random.default_rng(5)
    q, k, v = (rng.standard_normal((n, 20_000), np.float32) for n in (3, 5, 5))
    f = ts.jit(lambda *x: ts.attention(*(ts.reshape(t, (1, t.shape[0], 1, -1)) for t in x)),
               device=device)
    scores = q.astype(np.float64) @ k.T / np.sqrt(20_000)
    np.testing.assert_allclose(np.asarray(f(q, k, v))[0, :, 0], _softmax(scores) @ v,
                               rtol=1e-3, atol=1e-4)


@needs_runtime
@pytest.mark.parametrize("size", [512, 600, 1024])
def test_heads_of_f64_take_twice_the_memory(size):
    q, k, v = np.random.default_rng(6).standard_normal((3, 1, 129, 1, size))
    scores = q[0, :, 0] @ k[0, :, 0].T / np.sqrt(size)
    got = ts.jit(ts.attention)(q, k, v)
    # Weighted values of both signs cancel, so that errors are those of the largest.
    np.testing.assert_allclose(np.asarray(got)[0, :, 0], _softmax(scores) @ v[0, :, 0],
                               rtol=1e-12, atol=1e-13)
