# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Indices, updates, slices of computed start and sorts mean what NumPy (or JAX) means."""

import functools
import inspect

import numpy as np
import pytest

import tessera as ts
from evaluate import run

RNG = np.random.default_rng(11)
X = RNG.standard_normal((4, 3, 5)).astype(np.float32)
Y = RNG.integers(-9, 9, (6, 5)).astype(np.int32)
I = np.array([[3, -1, 0], [1, 1, 2]], np.int32)
J = np.array([2, 0, -3], np.int64)
K = np.array([4, -5, 1, 0], np.int32)
S = np.int32(2)
T = RNG.standard_normal(9).astype(np.float32)


def _set(x, index, values):
    result = np.array(x)
    result[index] = values
    return result


def _at(ufunc, x, index, values):
    result = np.array(x)
    ufunc.at(result, index, values)
    return result


def first(x):
    """A traced integer."""
    return x.astype(ts.i32)[0, 0, 0]


def _put(x, indices, values, axis):
    result = np.array(x)
    np.put_along_axis(result, indices, values, axis)
    return result


READS = {
    "an array of indices in the middle": (lambda x, i: x[:, i], (X, J)),
    "arrays side by side": (lambda x, i, j: x[i, j], (X, I, J)),
    "arrays of all dimensions": (lambda x, i, j: x[i, j, 1], (X, I, J)),
    "arrays that stand apart": (lambda x, i, j: x[i, :, j], (X, I, J)),
    "arrays apart behind a slice": (lambda x, i, j: x[None, i, 1:, j], (X, I, J)),
    "an integer and an array apart": (lambda x, j: x[0, :, j], (X, J)),
    "an integer and an array together": (lambda x, j: x[:, 1, j], (X, J)),
    "None between arrays": (lambda x, i, j: x[i, None, j], (X, I, J)),
    "a scalar": (lambda x, s: x[s], (X, S)),
    "a scalar in the last dimension": (lambda x, s: x[..., s], (X, S)),
    "scalars apart": (lambda x, s: x[s, :, s], (X, S)),
    "a mask of the host beside an array": (lambda x, j: x[np.array([True, False, True, True]), j], (X, J)),
    "64-bit and 32-bit indices": (lambda x, k, j: x[k[:3], j], (X.reshape(12, 5), K, J)),
}


@pytest.mark.parametrize("name", READS)
def test_reads_are_numpys(name):
    function, args = READS[name]
    got = run(ts.jit(function).lower(*args), *args)
    np.testing.assert_array_equal(got, function(*args))


@pytest.mark.parametrize("axis", [0, 1, -1, None])
def test_take_along_axis_pairs_dimensions(axis):
    indices = np.argsort(X, axis).astype(np.int32)
    text = ts.jit(lambda x, i: ts.take_along_axis(x, i, axis)).lower(X, indices)
    np.testing.assert_array_equal(run(text, X, indices), np.take_along_axis(X, indices, axis))
    assert axis is None or "reshape" not in text.program.text


@pytest.mark.parametrize(
    "shape, other", [((4, 1, 5), (1, 2, 1)), ((4, 3, 5), (4, 2, 1)), ((1, 3, 1), (4, 2, 5))])
def test_take_along_axis_broadcasts(shape, other):
    x, indices = X[: shape[0], : shape[1], : shape[2]], RNG.integers(-shape[1], shape[1], other)
    lowered = ts.jit(lambda x, i: ts.take_along_axis(x, i, 1)).lower(x, indices)
    np.testing.assert_array_equal(run(lowered, x, indices), np.take_along_axis(x, indices, 1))


V = RNG.standard_normal((3, 5)).astype(np.float32)
UPDATES = {
    "an integer": (lambda x: x.at[1].set(7), lambda x: _set(x, 1, 7)),
    "an integer from the end": (lambda x: x.at[-1, 2].set(V[0]), lambda x: _set(x, (-1, 2), V[0])),
    "a slice": (lambda x: x.at[1:3].set(V), lambda x: _set(x, slice(1, 3), V)),
    "slices and None": (lambda x: x.at[None, 1:, :2].add(1.5),
                        lambda x: _set(x, np.s_[1:, :2], x[1:, :2] + 1.5)),
    "a slice with steps": (lambda x: x.at[::2, 1].set(V[1]), lambda x: _set(x, np.s_[::2, 1], V[1])),
    "a slice backwards": (lambda x: x.at[..., ::-1].set(V), lambda x: _set(x, np.s_[..., ::-1], V)),
    "an array": (lambda x: x.at[I].set(V), lambda x: _set(x, I, V)),
    "duplicates add": (lambda x: x.at[I].add(V), lambda x: _at(np.add, x, I, V)),
    "duplicates take the greatest": (lambda x: x.at[I].max(V), lambda x: _at(np.maximum, x, I, V)),
    "duplicates take the least": (lambda x: x.at[:, J].min(0.5),
                                  lambda x: _at(np.minimum, x, np.s_[:, J], 0.5)),
    "arrays side by side": (lambda x: x.at[I, J].add(V[:, 0, None]),
                            lambda x: _at(np.add, x, (I, J), V[:, 0, None])),
    "arrays apart": (lambda x: x.at[I, :, J].set(V[:, 0]), lambda x: _set(x, np.s_[I, :, J], V[:, 0])),
    "an array and a slice": (lambda x: x.at[J, 1:].add(V[1:]), lambda x: _at(np.add, x, np.s_[J, 1:], V[1:])),
    "an array between slices": (lambda x: x.at[1:3, J, ::2].set(V[:, :3]),
                                lambda x: _set(x, np.s_[1:3, J, ::2], V[:, :3])),
    "subtract": (lambda x: x.at[2].subtract(V), lambda x: _set(x, 2, x[2] - V)),
    "multiply": (lambda x: x.at[:, 1:].multiply(3), lambda x: _set(x, np.s_[:, 1:], x[:, 1:] * 3)),
    "divide": (lambda x: x.at[J].divide(2, unique_indices=True), lambda x: _set(x, J, x[J] / 2)),
    "apply": (lambda x: x.at[0].apply(abs), lambda x: _set(x, 0, abs(x[0]))),
    "get": (lambda x: x.at[J].get(), lambda x: x[J]),
}


@pytest.mark.parametrize("name", UPDATES)
def test_updates_are_numpys(name):
    function, expected = UPDATES[name]
    np.testing.assert_allclose(run(ts.jit(function).lower(X), X), expected(X), rtol=1e-6)


def test_updates_at_traced_indices():
    def function(x, i, s, v):
        return x.at[i, s].add(v), x.at[s].set(v), x.at[:, s, i].max(0)

    got = [run(ts.jit(lambda *a, k=k: function(*a)[k]).lower(X, J, S, V[0]), X, J, S, V[0]) for k in range(3)]
    np.testing.assert_allclose(got[0], _at(np.add, X, (J, S), V[0]), rtol=1e-6)
    np.testing.assert_array_equal(got[1], _set(X, S, V[0]))
    np.testing.assert_array_equal(got[2], _at(np.maximum, X, np.s_[:, S, J], 0))


def test_traced_indices_outside():
    far = np.array([7, 1, -9], np.int32)
    zeros = np.where([[False], [True], [False]], X[[0, 1, 0], 0], 0)
    np.testing.assert_array_equal(run(ts.jit(lambda x, i: x[i, 0]).lower(X, far), X, far), zeros)
    filled = run(ts.jit(lambda x, i: x.at[i, 0].get(fill_value=5)).lower(X, far), X, far)
    np.testing.assert_array_equal(filled, np.where([[False], [True], [False]], X[[0, 1, 0], 0], 5))
    clipped = run(ts.jit(lambda x, i: x.at[i, 0].get(mode="clip")).lower(X, far), X, far)
    np.testing.assert_array_equal(clipped, X[[3, 1, 0], 0])
    dropped = run(ts.jit(lambda x, i: x.at[i, 0].set(2)).lower(X, far), X, far)
    np.testing.assert_array_equal(dropped, _set(X, (1, 0), 2))


# What jax.numpy says of known indices outside of a dimension, by mode.
FAR, NEAR, COLUMN = np.array([9, 1, -2, -9]), np.array([9, 8, -1, 0]), np.array([2, -1, 5, 0])
MODES = {
    "drop set": lambda x: x.at[FAR].set(0.0, mode="drop"),
    "drop add": lambda x: x.at[FAR, COLUMN].add(x[:, 0], mode="drop"),
    "drop max": lambda x: x.at[:, COLUMN].max(0.5, mode="drop"),
    "drop apart": lambda x: x[:, None].at[FAR, :, COLUMN].set(2.0, mode="drop"),
    "drop beside steps": lambda x: x.at[::2, np.array([0, 7])].add(1.0, mode="drop"),
    "drop an integer": lambda x: x.at[9].set(1.0, mode="drop"),
    "drop a negative integer": lambda x: x.at[-9, 1].set(1.0, mode="drop"),
    "drop none": lambda x: x.at[-4, 1].set(1.0, mode="drop"),
    "drop multiply": lambda x, **unique: x.at[NEAR].multiply(2.0, mode="drop", **unique),
    "clip add": lambda x: x.at[FAR].add(x * 2, mode="clip"),
    "clip an integer": lambda x: x.at[9].add(1.0, mode="clip"),
    "clip a negative integer": lambda x, **unique: x.at[-9].multiply(3.0, mode="clip", **unique),
    "clip min": lambda x: x.at[np.array([7, -7]), 0].min(0.0, mode="clip"),
    "get fill": lambda x: x.at[FAR].get(mode="fill", fill_value=0.0),
    "get fill of two": lambda x: x.at[FAR, COLUMN].get(mode="fill", fill_value=7.0),
    "get fill of an integer": lambda x: x.at[9].get(mode="fill", fill_value=7.0),
    "get fill of none": lambda x: x.at[-1].get(mode="fill", fill_value=7.0),
    "get clip": lambda x: x.at[FAR, COLUMN].get(mode="clip"),
    "get clip beside None": lambda x: x.at[None, FAR, None, 9].get(mode="clip"),
    "get clip beside a slice": lambda x: x.at[1:, COLUMN].get(mode="clip"),
    "multiply": lambda x, **unique: x.at[np.array([0, -1])].multiply(x[:2], **unique),
    "divide": lambda x, **unique: x.at[np.array([[0], [1]]), np.array([0, -1])].divide(2.0, **unique),
}


@pytest.mark.parametrize("name", MODES)
def test_known_indices_outside_do_what_the_mode_says(name):
    jax = pytest.importorskip("jax")
    f, x = MODES[name], X[:, :, 0]
    takes_promise = "unique" in inspect.signature(f).parameters  # Which JAX wants, to differentiate.
    g = functools.partial(f, unique_indices=True) if takes_promise else f
    np.testing.assert_allclose(ts.jit(lambda x: f(x))(x), g(jax.numpy.asarray(x)), rtol=1e-6)
    wanted = jax.grad(lambda x: jax.numpy.sum(g(x) ** 2))(jax.numpy.asarray(x))
    np.testing.assert_allclose(ts.grad(lambda x: ts.sum(f(x) ** 2))(x), wanted, rtol=1e-5)


def test_known_lists_and_masks_have_modes():
    x, b = X[:, :, 0], X[:, :, 0] > 0
    got = ts.jit(lambda x: x.at[[7, -7]].set(0.0, mode="clip"))(x)
    np.testing.assert_array_equal(got, _set(x, [0, 3], 0))
    got = ts.jit(lambda b: (b.at[9].get(mode="fill", fill_value=True), b.at[9].set(True, mode="clip")))(b)
    np.testing.assert_array_equal(got[0], [True] * 3)
    np.testing.assert_array_equal(got[1], _set(b, 3, True))
    mixed = ts.jit(lambda x, i: x.at[[i, 9]].add(1.0, mode="drop"))(x, np.int32(1))
    np.testing.assert_array_equal(mixed, _at(np.add, x, [1], 1))


def test_distinct_indices_need_no_promise():
    x, twice = X[:, :, 0], X[:, :, 0].copy()
    twice[1, :2] *= 2
    # The known entries tell the elements apart, whatever the traced ones are.
    for i in (np.int32(1), np.int32([1]), np.int32([1, 1])):
        got = ts.jit(lambda x, i: x.at[i, np.array([0, 1])].multiply(2.0))(x, i)
        np.testing.assert_array_equal(got, twice)
    got = ts.jit(lambda x: x.at[np.array([True, False, True, False])].apply(ts.negative))(x)
    np.testing.assert_array_equal(got, x * [[-1], [1], [-1], [1]])


def test_put_along_axis():
    indices = np.array([[[0, 1, 2, 1, 0]]] * 4)
    lowered = ts.jit(lambda x, i: ts.put_along_axis(x, i, 7, 1)).lower(X, indices)
    np.testing.assert_array_equal(run(lowered, X, indices), _put(X, indices, 7, 1))


STARTS = [(0, 0), (1, 2), (9, 9), (-1, -2), (-9, 1)]


@pytest.mark.parametrize("starts", STARTS)
def test_slices_of_computed_start(starts):
    first = [min(max(s + n if s < 0 else s, 0), n - k) for s, n, k in zip(starts, Y.shape, (2, 3))]
    box = tuple(slice(s, s + k) for s, k in zip(first, (2, 3)))
    i, j = np.int32(starts[0]), np.int64(starts[1])
    lowered = ts.jit(lambda y, i, j: ts.dynamic_slice(y, (i, j), (2, 3))).lower(Y, i, j)
    np.testing.assert_array_equal(run(lowered, Y, i, j), Y[box])
    fixed = ts.jit(lambda y: ts.dynamic_slice(y, starts, (2, 3))).lower(Y)
    np.testing.assert_array_equal(run(fixed, Y), Y[box])
    lowered = ts.jit(lambda y, i, j: ts.dynamic_update_slice(y, y[:2, :3] + 1, (i, j))).lower(Y, i, j)
    np.testing.assert_array_equal(run(lowered, Y, i, j), _set(Y, box, Y[:2, :3] + 1))


def test_slices_of_one_dimension():
    s = np.int32(3)

    def function(y, s):
        column = ts.dynamic_index_in_dim(y, s, 1, keepdims=False)
        y = ts.dynamic_update_slice_in_dim(y, y[:1] * 2, s - 1, 0)
        return ts.dynamic_update_index_in_dim(y, column, s - 1, 1)

    expected = _set(_set(Y, 2, Y[0] * 2), np.s_[:, 2], Y[:, 3])
    np.testing.assert_array_equal(run(ts.jit(function).lower(Y, s), Y, s), expected)


def test_segments():
    ids = np.array([2, 0, 2, 5, 1, 2], np.int32)
    got = run(ts.jit(lambda y, i: ts.segment_sum(y, i, 3)).lower(Y, ids), Y, ids)
    np.testing.assert_array_equal(got, np.stack([Y[ids == k].sum(0) for k in range(3)]))
    got = run(ts.jit(lambda y, i: ts.segment_max(y, i, 3)).lower(Y, ids), Y, ids)
    np.testing.assert_array_equal(got, np.stack([Y[ids == k].max(0) for k in range(3)]))
    got = run(ts.jit(lambda i: ts.bincount(i, length=7)).lower(ids), ids)
    np.testing.assert_array_equal(got, np.bincount(ids, minlength=7))
    got = run(ts.jit(lambda w: ts.bincount(ids, weights=w)).lower(T[:6]), T[:6])
    np.testing.assert_allclose(got, np.bincount(ids, weights=T[:6]), rtol=1e-6)


SORTED = np.array([3, np.nan, -0.0, 0.0, -np.inf, 3, 1, np.inf, np.nan], np.float32)


def test_sorts():
    for x in (X, Y, SORTED, Y > 0):
        for axis in range(x.ndim):
            got = run(ts.jit(lambda x: ts.sort(x, axis)).lower(x), x)
            np.testing.assert_array_equal(got, np.sort(x, axis))
            np.testing.assert_array_equal(run(ts.jit(lambda x: ts.argsort(x, axis)).lower(x), x),
                                          np.argsort(x, axis, kind="stable"))
    np.testing.assert_array_equal(run(ts.jit(lambda x: ts.sort(x, None)).lower(X), X), np.sort(X, None))
    down = run(ts.jit(lambda y: y.argsort(descending=True)).lower(Y), Y)
    np.testing.assert_array_equal(down, np.argsort(-Y, kind="stable"))


def test_top_k():
    values = run(ts.jit(lambda y: ts.top_k(y, 3)[0]).lower(Y), Y)
    indices = run(ts.jit(lambda y: ts.top_k(y, 3)[1]).lower(Y), Y)
    np.testing.assert_array_equal(indices, np.argsort(-Y, kind="stable")[:, :3])
    np.testing.assert_array_equal(values, np.take_along_axis(Y, indices, 1))
    with pytest.raises(ts.ShapeError, match="top_k takes 6 of 5"):
        ts.jit(lambda y: ts.top_k(y, 6)).lower(Y)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("length", [1, 2, 7, 8, 9])
def test_searchsorted(side, length):
    a = np.sort(np.r_[T, T[:3]])[:length]
    v = np.r_[a, T, np.nan, -np.inf, np.inf].astype(np.float32).reshape(-1, 1)
    got = run(ts.jit(lambda a, v: ts.searchsorted(a, v, side)).lower(a, v), a, v)
    np.testing.assert_array_equal(got, np.searchsorted(a, v, side))


def test_repeat_with_counts_and_unstack():
    counts = [2, 0, 3, 1]
    np.testing.assert_array_equal(run(ts.jit(lambda x: ts.repeat(x, counts, 0)).lower(X), X),
                                  np.repeat(X, counts, 0))
    traced = np.array(counts, np.int32)
    got = run(ts.jit(lambda x, c: ts.repeat(x, c, 0, total_repeat_length=6)).lower(X, traced), X, traced)
    np.testing.assert_array_equal(got, np.repeat(X, counts, 0))
    np.testing.assert_array_equal(run(ts.jit(lambda x: ts.unstack(x, 1)[2]).lower(X), X), X[:, 2])


# Slices of a traced start i, and how much more than i they must have room for.
MOVING = {
    "from i on": lambda x, i: x[i : i + 2],
    "behind i": lambda x, i: x[i + 1 : 3 + i],
    "before a bound": lambda x, i: x[i + 2 - 1 : i - 1 + 3],
    "at multiples": lambda x, i: x[2 * i - i : 4 - 2 + i * 1],
    "less the same": lambda x, i: x[-(-i) : i + np.int64(2)],
    "with a step": lambda x, i: x[i : i + 3 : 2],
    "of a later dimension": lambda x, i: x[..., 1, i : i + 3],
    "beside None and slices": lambda x, i: x[i : i + 2, None, ::2],
    "beside arrays": lambda x, i: x[i : i + 2, np.array([2, 0]), np.array([1, 1])],
    "beside a traced integer": lambda x, i: x[i : i + 2, i],
    "of two dimensions": lambda x, i: x[i : i + 2, :, i : i + 3],
}


@pytest.mark.parametrize("name", MOVING)
@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_slices_of_traced_start_and_known_size(name, dtype):
    function = MOVING[name]
    lowered = ts.jit(function).lower(X, dtype(0))
    for i in (0, 1):
        np.testing.assert_array_equal(run(lowered, X, dtype(i)), function(X, i))


def test_slices_of_traced_start_are_moved_to_fit():
    lowered = ts.jit(lambda x, i: x[i : i + 3]).lower(X, np.int32(0))
    for i, first in ((1, 1), (2, 1), (3, 1), (100, 1), (-1, 1), (-4, 0), (-100, 0)):
        np.testing.assert_array_equal(run(lowered, X, np.int32(i)), X[first : first + 3])


AT_MOVING = {
    "rows": lambda x, i: x.at[i : i + 2].set(-1),
    "a box": lambda x, i: x.at[i : i + 2, 1, i + 1 : i + 3].add(X[:2, 0, :2]),
    "a step": lambda x, i: x.at[i : i + 3 : 2].multiply(2),
    "beside an array": lambda x, i: x.at[i : i + 2, np.array([0, 2])].set(7),
    "beside a traced array": lambda x, i: x.at[:, i + np.array([0, 1]), i : i + 2].max(11),
}


@pytest.mark.parametrize("name", AT_MOVING)
def test_updates_of_slices_of_traced_start(name):
    function = AT_MOVING[name]
    lowered = ts.jit(function).lower(X, np.int32(0))
    known = ts.jit(function, static_argnums=1)
    for i in (0, 1):
        np.testing.assert_array_equal(run(lowered, X, np.int32(i)), run(known.lower(X, i), X))
    last = run(lowered, X, np.int32(50))
    assert not np.array_equal(last, X) or name == "beside a traced array"


def test_slices_of_traced_start_in_a_loop():
    def windows(x):
        return ts.fori_loop(
            0, 3, lambda i, total: total + x[i : i + 2].sum() * x.at[i : i + 2].get()[0, 0, 0],
            np.float32(0))

    expected = sum(X[i : i + 2].sum() * X[i, 0, 0] for i in range(3))
    np.testing.assert_allclose(run(ts.jit(windows).lower(X), X), expected, rtol=1e-6)


REFUSED = {
    "an index out of range": (lambda x: x.at[7].set(0), "index 7 is out of range"),
    "an index array out of range": (lambda x: x.at[np.array([0, 4])].set(0), "index 4 is out of range"),
    "an update that does not fit": (lambda x: x.at[0].set(np.zeros(4, np.float32)), "does not broadcast"),
    "a traced bound of a slice": (lambda x: x[first(x) :], "bounds of a slice"),
    "bounds that differ by an unknown number": (lambda x: x[first(x) : 2 * first(x)], "one start in both"),
    "a moving slice that is too large": (lambda x: x[first(x) : first(x) + 5], "5 entries does not fit"),
    "an empty moving slice": (lambda x: x.at[first(x) : first(x)].set(0), "0 entries would be"),
    "a moving slice backwards": (lambda x: x[first(x) + 2 : first(x) : -1], "positive step"),
    "a traced step": (lambda x: x[:: first(x)], "step of a slice is known"),
    "a bound of several numbers": (lambda x: x[ts.arange(2) : ts.arange(2) + 1], "without dimensions"),
    "products at arrays": (lambda x: x.at[np.array([0, 0])].multiply(2), "is named twice: 0"),
    "products from both ends": (lambda x: x.at[np.array([1, -3]), 2].divide(2), "is named twice: 1, 2"),
    "products that are moved": (lambda x: x.at[np.array([3, 9])].apply(ts.sin, mode="clip"), "twice: 3"),
    "products at traced arrays": (lambda x: x.at[ts.arange(2) * first(x)].multiply(2),
                                  "unique_indices=True"),
    "products at fractions": (lambda x: x.at[np.array([0.5, 1.5])].multiply(2), "indices are integers"),
    "indices that are promised": (lambda x: x.at[np.array([0, 4])].set(0, mode="promise_in_bounds"),
                                  "index 4 is out of range"),
    "an unknown mode": (lambda x: x.at[0].set(0, mode="wrap"), "mode 'wrap'"),
    "an assignment": (lambda x: x.__setitem__(0, 1), "do not change"),
    "starts for other dimensions": (lambda x: ts.dynamic_slice(x, (0,), (1, 1, 1)), "one start per"),
    "a box that is too large": (lambda x: ts.dynamic_slice(x, (0, 0, 0), (5, 1, 1)), "does not fit"),
    "counts that are traced": (lambda x: ts.repeat(x, x.astype(ts.i32)[:, 0, 0], 0), "total_repeat_length"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_mistakes_are_explained(name):
    function, words = REFUSED[name]
    with pytest.raises(ts.TesseraError, match=words):
        ts.jit(function).lower(X)


# Ways to write values into elements of a tensor.
WRITERS = {
    "dynamic_update_slice": lambda x, u: ts.dynamic_update_slice(x, ts.reshape(u, (1,)), (0,)),
    "dynamic_update_slice_in_dim": lambda x, u: ts.dynamic_update_slice_in_dim(x, ts.reshape(u, (1,)), 1, 0),
    "dynamic_update_index_in_dim": lambda x, u: ts.dynamic_update_index_in_dim(x, u, 1, 0),
    "put_along_axis": lambda x, u: ts.put_along_axis(x, np.array([0]), u, 0),
    "set": lambda x, u: x.at[0].set(u), "add": lambda x, u: x.at[0].add(u),
    "subtract": lambda x, u: x.at[0].subtract(u), "max": lambda x, u: x.at[np.array([0, 1])].max(u),
    "min": lambda x, u: x.at[1:].min(u), "apply": lambda x, u: x.at[0].apply(lambda _: u),
    "multiply": lambda x, u: x.at[0].multiply(u),
}


@pytest.mark.parametrize("into, values, choice", [
    ("i32", "f64", "f64"), ("i32", "i64", "i64"), ("i32", "f32", "f32"), ("f16", "f32", "f32"),
    ("bf16", "f16", "f32")])
@pytest.mark.parametrize("name", WRITERS)
def test_values_of_a_wider_type_are_not_cast_silently(name, into, values, choice):
    with pytest.raises(ts.TraceError) as caught:
        ts.jit(WRITERS[name]).lower(np.ones(3, getattr(ts, into)), np.ones((), getattr(ts, values)))
    said = str(caught.value)
    assert caught.value.code == "TS1002" and f"do not fit elements of type {into}" in said
    assert f".astype(ts.{into})" in said and f".astype(ts.{choice})" in said


@pytest.mark.parametrize("name", WRITERS)
def test_f64_is_not_made_and_not_rounded_silently(name):
    for into, values in ((ts.f32, ts.f64), (ts.f64, ts.f32)):
        with pytest.raises(ts.TraceError, match="TS1002.*f64 is never made silently"):
            ts.jit(WRITERS[name]).lower(np.ones(3, into), np.ones((), values))


@pytest.mark.parametrize("into, values", [(ts.i64, ts.i32), (ts.f32, ts.bf16), (ts.bf16, ts.i64),
                                          (ts.f64, ts.i32), (ts.i32, ts.bool_)], ids=str)
@pytest.mark.parametrize("name", WRITERS)
def test_values_of_a_narrower_type_widen(name, into, values):
    x, u = np.full(3, 3, into), np.ones((), values)
    got, same = [run(ts.jit(WRITERS[name]).lower(x, v), x, v) for v in (u, u.astype(into))]
    assert got.dtype == into
    np.testing.assert_array_equal(got, same)


@pytest.mark.parametrize("into, values, said", [
    (ts.i32, 1.7, "1.7 does not fit i32: it is no whole number"), (ts.i32, [0.5], "0.5 does not fit i32"),
    (ts.i32, np.float64(1.7), "1.7 does not fit i32"), (ts.i32, np.nan, "nan does not fit i32"),
    (ts.i32, 2**40, "does not fit i32"), (ts.f16, 1e5, "does not fit f16"),
    (ts.f32, 1e300, "does not fit f32")])
def test_numbers_that_are_written_fit(into, values, said):
    for write in (lambda x: x.at[:1].set(values), lambda x: ts.put_along_axis(x, np.array([0]), values, 0)):
        with pytest.raises(ts.TraceError, match=said):
            ts.jit(write).lower(np.ones(3, into))


def test_whole_numbers_and_weak_ones_are_written():
    x = np.zeros(3, np.int32)
    lowered = ts.jit(lambda x: x.at[0].set(2.0).at[1].set(True).at[2:].set([7])).lower(x)
    np.testing.assert_array_equal(run(lowered, x), [2, 1, 7])
    half = np.zeros(2, np.float16)
    assert ts.jit(lambda x, s: x.at[0].set(s)).lower(half, 0.5).program.results == [((2,), ts.f16)]
    with pytest.raises(ts.TraceError, match="values of type f32 do not fit elements of type i32"):
        ts.jit(lambda x, s: x.at[0].set(s)).lower(x, 0.5)
