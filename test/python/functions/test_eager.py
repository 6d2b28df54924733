# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Functions of traced values outside of a trace: compiled by themselves, once for each kind of call."""

import inspect

import numpy as np
import pytest
from conftest import needs_runtime

import tessera as ts
from tessera._src.functions import eager

X = np.arange(6, dtype=np.float32).reshape(2, 3)


@needs_runtime
@pytest.mark.quick
def test_they_give_arrays():
    cases = [(ts.exp(X), np.exp(X)), (ts.zeros((2, 3)), np.zeros((2, 3))),
             (ts.arange(1, 7, 2), np.arange(1, 7, 2)), (ts.where(X > 2, X, 0), np.where(X > 2, X, 0)),
             (ts.concatenate([X, ts.ones((1, 3))]), np.concatenate([X, np.ones((1, 3))])),
             (ts.einsum("ij,kj->ik", X, X), X @ X.T), (ts.clip(X, max=2), np.clip(X, None, 2)),
             (ts.nn.relu(X - 2), np.maximum(X - 2, 0)), (ts.add(1, 2), 3),
             (ts.eye(3, dtype=ts.i32), np.eye(3)), (ts.max(ts.array(X), axis=1), X.max(1))]
    for got, want in cases:
        assert isinstance(got, ts.Array)
        np.testing.assert_allclose(got, want, rtol=1e-5)
    parts = ts.split(X, 3, axis=1)
    assert isinstance(parts, list) and parts[2].shape == (2, 1)
    key = ts.random.key(3)
    np.testing.assert_array_equal(ts.random.normal(key, (4,)), ts.jit(lambda: ts.random.normal(key, (4,)))())


@needs_runtime
def test_a_kind_of_call_is_traced_once():
    ts.exp(X)
    count = len(eager._kept)
    for value in (X + 1, X, X - 1):
        ts.exp(value)
    assert len(eager._kept) == count
    ts.clip(X, 0, 1), ts.clip(X, 0, 2), ts.clip(X + 1, 0, 2)
    assert len(eager._kept) == count + 2
    # 1, 1.0 and True are different programs.
    assert {ts.full((2,), v).dtype for v in (1, 1.0, True)} == {ts.i32, ts.f32, ts.bool_}


@needs_runtime
def test_numbers_of_numpy_may_be_sizes_and_options():
    """Outside of a trace nothing is traced to the caller."""
    one, half = np.int64(1), np.float32(0.5)
    cases = [(ts.sum(X, axis=one), X.sum(1)), (ts.reshape(X, (np.int32(3), 2)), X.reshape(3, 2)),
             (ts.pad(X, one, constant_values=half), np.pad(X, 1, constant_values=0.5)),
             (ts.nn.one_hot(np.array([0, 2]), np.array([0, 2]).max() + 1), np.eye(3)[[0, 2]]),
             (ts.nn.dropout(X, np.float32(0), ts.random.key(0)), X),
             (ts.nn.softmax_cross_entropy(X, [0, 1], label_smoothing=np.float32(1), ignore_index=one)[1], 0),
             (ts.linspace(np.float32(0), one, np.int64(3)), [0, 0.5, 1])]
    for got, want in cases:
        np.testing.assert_allclose(got, want)
    with pytest.raises(ts.ShapeError, match="axis 2 is out of range"):
        ts.sum(X, axis=np.int64(2))
    # Where they are values, they are arguments still.
    ts.multiply(X, half)
    count = len(eager._kept)
    for value in (2, 3, 4):
        np.testing.assert_array_equal(ts.multiply(X, np.float32(value)), X * value)
    assert len(eager._kept) == count


@needs_runtime
@pytest.mark.parametrize("call", [
    lambda: ts.nn.softmax_cross_entropy(X, np.array([0, 9])),
    lambda: ts.nn.softmax_cross_entropy(X, ts.array([0, 9]), reduction="mean"),
    lambda: ts.nn.softmax_cross_entropy(X, labels=[9, -1], ignore_index=-1),
    lambda: ts.take(X, np.array([0, 9])), lambda: ts.take(X, np.array([9]), axis=0),
    lambda: ts.take(X, [9], 1), lambda: ts.nn.embedding(X, np.array([9])),
    lambda: ts.take_along_axis(X, np.array([[0, 9]]), axis=1),
    lambda: ts.take_along_axis(X, np.array([[0, 9]]), 1),
    lambda: ts.put_along_axis(X, np.array([[9]]), 0.0, 1),
    lambda: ts.put_along_axis(X, np.array([[9]]), 0.0, axis=1),
])
def test_indices_are_known_outside_of_a_trace(call):
    with pytest.raises(ts.ShapeError, match="index 9 is out of range"):
        call()


@needs_runtime
def test_indices_that_are_known_and_in_range():
    labels = np.array([0, -100])
    assert np.isfinite(ts.nn.softmax_cross_entropy(X, labels, ignore_index=-100, reduction="mean"))
    assert np.isnan(ts.jit(ts.nn.softmax_cross_entropy)(X, labels)[1])
    np.testing.assert_array_equal(ts.take(X, np.array([-1, 5])), [5, 5])
    np.testing.assert_array_equal(ts.take(X, np.array([-1]), -1), X[:, -1:])
    np.testing.assert_array_equal(ts.take_along_axis(X, np.array([-6]), None), [0])


@needs_runtime
def test_the_mesh_is_that_of_the_arrays_or_the_current_one():
    mesh = ts.make_mesh({"tp": 2})
    x = ts.device_put(np.ones((4, 3), np.float32), ts.NamedSharding(mesh, ts.P("tp")))
    np.testing.assert_array_equal(ts.exp(x) * 0, np.zeros((4, 3)))
    one = ts.exp(np.zeros((4, 3), np.float32))  # On a mesh of its own, of one device.
    np.testing.assert_array_equal(ts.add(one, x), np.full((4, 3), 2))
    with mesh:
        y = ts.with_sharding_constraint(ts.ones((4, 2)), ts.P(None, "tp"))
    np.testing.assert_array_equal(y, np.ones((4, 2)))


def test_they_look_as_they_did():
    assert ts.exp.__name__ == "exp" and ts.exp.__doc__ == "e to the power x."
    assert list(inspect.signature(ts.softmax).parameters) == ["x", "axis", "where"]
    assert ts.nn.softmax is ts.softmax
    text = ts.jit(lambda x: ts.exp(x)).lower(X).as_text()
    assert text.count("tessera.exp") == 1
