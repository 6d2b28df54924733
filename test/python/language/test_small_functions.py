# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Functions made of others, against NumPy's of the same name; and what dtypes and limits mean."""

import math

import ml_dtypes
import numpy as np
import pytest
from conftest import needs_runtime
from evaluate import results
from refusals import check

import tessera as ts

RNG = np.random.default_rng(11)
X = RNG.standard_normal((3, 5)).astype(np.float32)
Y = RNG.standard_normal((3, 5)).astype(np.float32)
V, W = X[0].copy(), Y[1, :3].copy()
I = RNG.integers(-60, 60, (3, 5)).astype(np.int32)
HOLES = np.where(X > 0.5, np.nan, X).astype(np.float32)
HOLES[0] = np.nan

FUNCTIONS = {
    "allclose": lambda n: lambda x, y: n.asarray([n.allclose(x, x + 1e-7), n.allclose(x, y)]),
    "array_equal": lambda n: lambda x, y: n.asarray([n.array_equal(x, x), n.array_equal(x, y),
                                                     n.array_equal(x, y[:2])]),
    "isclose": lambda n: lambda x, y: n.isclose(x, x + 1e-5 * y, rtol=1e-5, atol=0),
    "meshgrid": lambda n: lambda x, y: n.concatenate(n.meshgrid(x[0], y[:, 1])),
    "meshgrid ij": lambda n: lambda x, y: n.stack(n.meshgrid(x[0], y[:, 1], x[:2, 0], indexing="ij")),
    "diag of a matrix": lambda n: lambda x, y: n.concatenate([n.diag(x, k) for k in (-2, -1, 0, 1, 3)]),
    "diag of a vector": lambda n: lambda x, y: n.concatenate(
        [n.diag(x[0], k).ravel() for k in (-2, -1, 0, 1, 3)]),
    "linspace without its end": lambda n: lambda x, y: x * n.linspace(0, 2, 5, endpoint=False,
                                                                      dtype=n.float32),
    "linspace of integers": lambda n: lambda x, y: n.linspace(-3, 4, 9, dtype=n.int32),
    "diff between values": lambda n: lambda x, y: n.diff(x, prepend=y[:, :2], append=y[:, 4:]),
    "diff after a number": lambda n: lambda x, y: n.diff(x, n=2, axis=0, append=1.5, prepend=0),
    "roll by several": lambda n: lambda x, y: n.roll(x, (1, -2), (0, 1)) + n.roll(y, 2, (0, 1)),
    "roll of one by several": lambda n: lambda x, y: n.roll(x, (1, 3), 1) + n.roll(y, (1, 3)),
    "concatenate flat": lambda n: lambda x, y: n.concatenate([x, y[:1]], axis=None),
    "broadcast_arrays": lambda n: lambda x, y: n.stack(n.broadcast_arrays(x, y[:, :1], y[0])),
    "array_split": lambda n: lambda x, y: n.concatenate(
        [p * (i + 1) for i, p in enumerate(n.array_split(x, 3, axis=1))], axis=1),
    "array_split at indices": lambda n: lambda x, y: n.concatenate(n.array_split(x, [1, 2])[::-1]),
    "repeat with counts": lambda n: lambda x, y: n.repeat(x, [2, 0, 1, 3, 1], axis=1),
    "kron": lambda n: lambda x, y: n.kron(x[:2, :2], y),
    "kron of different ranks": lambda n: lambda x, y: n.kron(x[0], y[:2]) + n.kron(x[:2, 0], y[:1])[:, :1],
    "vdot": lambda n: lambda x, y: n.vdot(x, y),
    "inner": lambda n: lambda x, y: n.inner(x, y) + n.inner(x[0], 2.0)[0],
    "nansum": lambda n: lambda x, y: n.nansum(n.where(x > 0, x, n.nan), axis=1),
    "ptp": lambda n: lambda x, y: n.ptp(x, axis=0),
    "full of an array": lambda n: lambda x, y: n.full((2, 3, 5), x[0]),
    "arange of floats": lambda n: lambda x, y: n.arange(0.5, 3, 0.25, dtype=n.float32),
    "arange downwards": lambda n: lambda x, y: n.arange(5, -3, -2, dtype=n.int64) + 0 * n.arange(4),
    "einsum with sizes of 1": lambda n: lambda x, y: n.einsum("ij,ij->ij", x[:1], y) + n.einsum(
        "...j,...j->...j", x[:, :1], y) + n.einsum("ij,kj->ij", x, y[:, :1]),
    "sum of some": lambda n: lambda x, y: n.sum(x, axis=1, where=y > 0, initial=2.5) + n.sum(
        x > 0, axis=1, where=y > 0),
    "prod of some": lambda n: lambda x, y: n.prod(x, axis=0, where=y[0] > 0, initial=2),
    "max and min of some": lambda n: lambda x, y: n.max(x, axis=1, where=y > 0, initial=-3) - n.min(
        x, axis=1, where=y > 0, initial=0.25) + n.max(x, initial=7),
    "all and any of some": lambda n: lambda x, y: n.stack(
        [n.all(x > -1, axis=1, where=y > 0), n.any(x > 1, axis=1, where=y > 0)]),
    "mean of some": lambda n: lambda x, y: n.mean(x, axis=1, where=y > -9) + n.mean(x, where=y > 0),
    "median": lambda n: lambda x, y: n.median(x, axis=1) + n.median(y) + n.median(x[:, :4], axis=1),
    "median of integers": lambda n: lambda x, y: n.median(n.asarray(I), axis=(0, 1), keepdims=True),
    "median beside NaN": lambda n: lambda x, y: n.median(n.asarray(HOLES[::-1]), axis=1, keepdims=True),
    "quantile": lambda n: lambda x, y: n.quantile(x, [[0, 0.3], [1, 0.77]], axis=0),
    "percentile": lambda n: lambda x, y: n.percentile(x, 35) + n.percentile(y, 90, axis=-1, keepdims=True),
    "median of infinities": lambda n: lambda x, y: n.median(
        n.where(x < 0, n.inf, x), axis=0) + n.median(n.where(x[:, :2] < 9, n.inf, x[:, :2])),
    "isin": lambda n: lambda x, y: n.isin(n.asarray(I), [3, 7, I[0, 0], I[2, 1]]),
    "isin of many": lambda n: lambda x, y: n.isin(x, n.concatenate([x[1], n.linspace(
        -3, 3, 99, dtype=n.float32)]), invert=True),
    "isin of NaN and one": lambda n: lambda x, y: n.isin(n.asarray(HOLES), [n.nan]) | n.isin(x > 0, True),
    "nanmax and nanmin": lambda n: lambda x, y: n.nanmax(n.asarray(HOLES), axis=0) - n.nanmin(
        n.asarray(HOLES)) + n.nanmax(n.asarray(I)),
    "nanprod": lambda n: lambda x, y: n.nanprod(n.asarray(HOLES), axis=1, keepdims=True),
    "rint": lambda n: lambda x, y: n.rint(x * 10) + n.rint(n.asarray(I)),
    "cbrt": lambda n: lambda x, y: n.cbrt(x * 1e30) + n.cbrt(y * 1e-30) + n.cbrt(x),
    "degrees": lambda n: lambda x, y: n.deg2rad(x) + n.rad2deg(y) + n.deg2rad(n.asarray(I)),
    "fmax and fmin": lambda n: lambda x, y: n.fmax(n.asarray(HOLES), x) + n.fmin(y, n.asarray(HOLES)),
    "heaviside": lambda n: lambda x, y: n.heaviside(n.where(x > 1, 0, x), y),
    "logaddexp2": lambda n: lambda x, y: n.logaddexp2(200 * x, 200 * y),
    "sinc": lambda n: lambda x, y: n.sinc(n.where(x > 1, 0, x)),
    "new axes": lambda n: lambda x, y: x[:, n.newaxis] * n.pi + n.e,
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_they_mean_what_numpy_means(name):
    function = FUNCTIONS[name]
    got, want = results(function(ts), X, Y), np.asarray(function(np)(X, Y))
    assert got.shape == want.shape and got.dtype.kind == want.dtype.kind
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["cbrt", "rint", "deg2rad", "rad2deg", "isposinf", "isneginf", "sinc"])
def test_small_functions_of_special_numbers(name, dtype):
    limits = np.finfo(dtype)
    x = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, limits.tiny, -limits.tiny, 2.5, -0.3, 27, -8, 1e30],
                 dtype)
    with np.errstate(all="ignore"):
        got, want = results(getattr(ts, name), x), getattr(np, name)(x)
    np.testing.assert_allclose(got, want, rtol=8 * limits.eps, atol=limits.eps if name == "sinc" else 0)
    np.testing.assert_array_equal(np.signbit(got[:2]), np.signbit(want[:2]))


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, ml_dtypes.bfloat16])
def test_heaviside_keeps_the_type_of_its_arguments(dtype):
    x, y = np.array([-1, 0, 2, np.nan], dtype), np.array([0.5], dtype)
    got = results(ts.heaviside, x, y)
    assert got.dtype == dtype
    np.testing.assert_array_equal(got.astype(np.float64), [0, 0.5, 1, np.nan])


def test_fmax_and_fmin_lose_nan():
    x, y = np.array([np.nan, 1, np.nan], np.float32), np.array([2, np.nan, np.nan], np.float32)
    for name in ("fmax", "fmin"):
        np.testing.assert_array_equal(results(getattr(ts, name), x, y), getattr(np, name)(x, y))


def test_extrema_without_numbers_are_nan():
    nan = np.full((2, 3), np.nan, np.float32)
    assert np.isnan(results(lambda x: ts.nanmax(x, 1), nan)).all()
    assert np.isnan(results(lambda x: ts.nanmin(x), nan))


def test_limits_of_types():
    assert ts.finfo(ts.f32).eps == np.finfo(np.float32).eps and ts.finfo(ts.bf16).bits == 16
    assert ts.finfo(X).max == np.finfo(np.float32).max and ts.iinfo(ts.i64).max == 2**63 - 1
    assert ts.jit(lambda x: x + ts.finfo(x.dtype).tiny).lower(X).as_text()
    with pytest.raises(ts.TraceError, match="finfo is of floating-point types"):
        ts.finfo(ts.i32)
    with pytest.raises(ts.TraceError, match="iinfo is of integer types"):
        ts.iinfo(ts.f32)


def test_shares_of_a_quantile_are_known_and_between_0_and_1():
    with pytest.raises(ts.TraceError, match="from 0 to 1"):
        ts.jit(lambda x: ts.percentile(x, 101)).lower(X)
    with pytest.raises(ts.TraceError, match="known while tracing"):
        ts.jit(lambda x: ts.quantile(x, x[0, 0])).lower(X)


def test_what_numpy_has_no_name_for():
    got = results(lambda x, y: ts.vecdot(x, y), X, Y)
    np.testing.assert_allclose(got, (X * Y).sum(1), rtol=1e-5)
    got = results(lambda x, y: ts.vecdot(x, y[:, :1], axis=0), X, Y)
    np.testing.assert_allclose(got, (X * Y[:, :1]).sum(0), rtol=1e-5)
    np.testing.assert_array_equal(np.stack(results(lambda x: ts.unstack(x, 1), X)), X.T)
    np.testing.assert_array_equal(results(lambda i: ts.one_hot(i, 4), np.array([3, 0])), np.eye(4)[[3, 0]])
    got = results(lambda x: ts.nanmean(x, 1), HOLES)
    assert np.isnan(got[0]) and np.allclose(got[1:], np.nanmean(HOLES[1:], 1), rtol=1e-5)


def test_softmax_over_several_dimensions_and_over_some_elements():
    whole = np.exp(X) / np.exp(X).sum()
    np.testing.assert_allclose(results(lambda x: ts.softmax(x, (0, 1)), X), whole, rtol=1e-5)
    kept = X > -0.5
    some = np.where(kept, np.exp(X), 0)
    np.testing.assert_allclose(results(lambda x: ts.softmax(x, where=kept), X),
                               some / some.sum(-1, keepdims=True), rtol=1e-5)
    got = results(lambda x: ts.nn.log_softmax(x, (0, 1)), X)
    np.testing.assert_allclose(got, np.log(whole), rtol=1e-5)
    big = np.array([[1e6, 1e6, 1e6 + 1]], np.float32)
    np.testing.assert_allclose(results(ts.nn.log_softmax, big), [[-1.55144, -1.55144, -0.55144]], rtol=1e-5)


def test_integers_round_to_tens_and_stay_integers():
    for decimals in (2, 0, -1, -2, -20):
        got = results(lambda x: ts.round(x, decimals), I)
        assert got.dtype == np.int32
        np.testing.assert_array_equal(got, np.round(I, decimals) if decimals > -20 else I * 0)


def test_dtypes_are_those_that_were_asked_for():
    cases = {
        "arange": lambda t: ts.arange(0, 6, 2, dtype=t), "linspace": lambda t: ts.linspace(0, 6, 3, dtype=t),
        "full": lambda t: ts.full((2,), 3, t), "zeros": lambda t: ts.zeros((2,), t),
        "ones_like": lambda t: ts.ones_like(X, t), "eye": lambda t: ts.eye(2, dtype=t),
        "tri": lambda t: ts.tri(2, dtype=t), "iota": lambda t: ts.iota((2,), 0, t),
        "one_hot": lambda t: ts.one_hot(np.array([1]), 2, t), "array": lambda t: ts.array([1, 2], t),
        "asarray": lambda t: ts.asarray([1, 2], t), "mean": lambda t: ts.mean(np.array([1, 2, 6]), dtype=t),
        "sum": lambda t: ts.sum(X, dtype=t), "prod": lambda t: ts.prod(np.array([2, 3]), dtype=t),
        "cumsum": lambda t: ts.cumsum(np.array([2, 3]), dtype=t), "nansum": lambda t: ts.nansum(X, dtype=t),
    }
    for name, function in cases.items():
        for dtype in (ts.f64, ts.f32, ts.f16, ts.bf16, ts.i64, ts.i32):
            assert results(lambda: function(dtype)).dtype == dtype, (name, dtype)
    for x in (np.array([1, 2, 6]), np.array([-1, -2, -5]), np.array([2**31 - 1, 2**31 - 1])):
        for dtype in (np.int32, np.int64):
            if dtype == np.int64 or abs(x.sum()) < 2**31:
                assert results(lambda: ts.mean(x, dtype=dtype)) == np.mean(x, dtype=dtype)


@pytest.mark.parametrize("function, code, fragments", [
    (lambda: ts.arange(0, 3, 0.5, dtype=ts.i32), "TS1017", ["i32 needs integer bounds", "step=0.5"]),
    (lambda: ts.arange(2**31 - 2, 2**31 + 2), "TS1013", ["2147483649", "ts.arange", "dtype=ts.i64"]),
    (lambda: ts.arange(-(2**31) - 1, 0, 2**30), "TS1013", ["-2147483649"]),
    (lambda: ts.arange(0, 80000, 1e4, dtype=ts.f16), "TS1013", ["70000", "f16"]),
    (lambda: ts.arange(0, math.inf), "TS1010", ["stop of ts.arange is not finite"]),
    (lambda: ts.arange(math.nan), "TS1010", ["stop of ts.arange is not finite"]),
    (lambda: ts.arange("3"), "TS1010", ["must be a number"]),
    (lambda: ts.arange(0, 5, 0), "TS3015", ["step other than 0"]),
    (lambda: ts.linspace(0, math.inf, 3), "TS1010", ["stop of ts.linspace is not finite"]),
    (lambda: ts.linspace(0, 1, 3, ts.f64), "TS1010", ["endpoint", "dtype=ts.f64"]),
    (lambda: ts.full((2,), np.array([2**40]), ts.i32), "TS1013", ["1099511627776 does not fit i32"]),
    (lambda: ts.random.normal(ts.random.key(0), (2,), ts.i32), "TS1020", ["normal random numbers need"]),
    (lambda: ts.array_split(X, 9), "TS3010", ["size 3 does not split into 9 parts"]),
    (lambda: ts.meshgrid(X), "TS3021", ["meshgrid takes vectors"]),
    (lambda: ts.repeat(X, [1, 2]), "TS3022", ["2 counts for 15 slices"]),
    (lambda: ts.roll(X, (1, 2, 3), (0, 1)), "TS3008", ["3 shifts for 2"]),
    (lambda: ts.vecdot(X, Y[:, :2]), "TS3013", ["vectors of one size"]),
    (lambda: ts.mean(X, dtype="complex64"), "TS1001", ["complex64"]),
    (lambda: ts.einsum("...j,...j->...", X, Y[:2]), "TS3014", ["a dimension of '...' is 3 of"]),
    (lambda: ts.max(X, where=X > 0), "TS1010", ["max with where= needs initial="]),
    (lambda: ts.einsum("ij,ij->", X, Y[:2]), "TS3014", ["index 'i' is 3 of"]),
    (lambda: ts.with_sharding_constraint({"w": X}, {"v": ts.P()}), "TS4007", ["it names 'v'"]),
])
def test_what_is_refused(function, code, fragments):
    with pytest.raises(ts.TesseraError) as caught:
        ts.jit(function).lower()
    check(caught, code, *fragments)


def test_types_are_known_without_a_trace():
    assert ts.result_type(X, ts.i64) == ts.f32 and ts.result_type(ts.i32, 1.5) == ts.f32
    assert ts.result_type(ts.bf16, ts.f16) == ts.f32 and ts.result_type(1, True) == ts.i32
    assert ts.result_type(ts.array([1, 2]), 7) == ts.i32
    assert ts.can_cast(ts.i32, ts.f32) and not ts.can_cast(ts.f32, ts.i32)
    assert ts.can_cast(ts.f32, ts.f64) and not ts.can_cast(ts.f64, ts.f32)
    assert ts.can_cast(X, ts.f32) and ts.can_cast(ts.bool_, ts.bf16)
    assert ts.isdtype(ts.bf16, "real floating") and ts.isdtype(ts.i32, ("bool", "integral"))
    assert ts.isdtype(ts.f32, ts.f32) and not ts.isdtype(ts.bool_, "numeric")
    assert (ts.pi, ts.inf, ts.newaxis) == (math.pi, math.inf, None) and math.isnan(ts.nan)


def test_a_tree_is_laid_out_at_once():
    def function(x):
        return ts.with_sharding_constraint({"a": x, "b": (x, x)}, {"a": ts.P("tp"), "b": ts.P(None, "tp")})

    text = ts.jit(function, mesh=ts.make_mesh({"tp": 2})).lower(X).as_text()
    assert text.count("to <@mesh, [{tp}, {}]>") == 1 and text.count("to <@mesh, [{}, {tp}]>") == 2


def test_python_numbers_as_arguments_take_the_type_of_tensors():
    x = X.astype(ts.bf16)
    assert results(lambda x, lr: x - lr * 2 * x, x, 0.5).dtype == ts.bf16
    assert results(lambda x, n: x + n, np.arange(3, dtype=np.int64), 2).dtype == np.int64
    assert results(lambda x, lr: x - lr * x, x, np.float32(0.5)).dtype == np.float32
    assert results(lambda lr: lr * 2, 0.5).dtype == np.float32
    assert results(lambda b, n: b + n, np.array([True]), 2).dtype == np.int32


def test_shapes_of_results_are_known_without_compiling():
    got = ts.eval_shape(lambda x, p: {"r": x @ p["w"], "n": p["w"].sum().astype(ts.i32)}, X,
                        {"w": ts.ShapeDtypeStruct((5, 2))})
    assert got == {"r": ts.ShapeDtypeStruct((3, 2)), "n": ts.ShapeDtypeStruct((), ts.i32)}
    assert ts.eval_shape(fun=lambda x: x, x=X) == ts.ShapeDtypeStruct(X.shape)


LIMITS = [2**31 - 1, 2**31, 2**32, 2**32 + 1, -(2**32), 2**63 - 1, -(2**63), -(2**31) - 1]


@needs_runtime
@pytest.mark.parametrize("index", LIMITS)
def test_a_traced_index_past_32_bits_reads_zero(index):
    at = np.array([index])
    looked_up = ts.jit(lambda x, i: (x[i], x[i, i], x[0, i], ts.take(x, i, 1),
                                     ts.take_along_axis(x, i[:, None], 1), ts.nn.embedding(x, i)))
    for value in looked_up(X + 10, at):
        assert not np.asarray(value).any(), index


@pytest.mark.parametrize("kind", ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8"])
def test_indices_on_the_host_may_be_of_any_integer_type(kind):
    at = np.array([2, 0], kind)
    np.testing.assert_array_equal(results(lambda x: x[at], X), X[at])
    np.testing.assert_array_equal(results(lambda x: x[at, at], X), X[at, at])
    np.testing.assert_array_equal(results(lambda x: ts.nn.embedding(x, at), X), X[at])
    big = np.array([np.iinfo(kind).max], kind)
    for function in (lambda x: x[big], lambda x: ts.take_along_axis(x, big[:, None], 0)):
        with pytest.raises(ts.ShapeError, match=f"index {big[0]} is out of range"):
            ts.jit(function).lower(X)


@needs_runtime
def test_keys_of_numbers_past_32_bits():
    key = ts.random.key(7)
    wide, narrow = (ts.jit(lambda n: ts.random.fold_in(key, n)) for _ in range(2))
    numbers = [0, 1, -1, 2**31 - 1, -(2**31), 2**31, 2**32, 2**32 + 1, -(2**32), 2**63 - 1, -(2**63)]
    keys = [tuple(np.asarray(wide(np.int64(n))).tolist()) for n in numbers]
    assert len(set(keys)) == len(numbers)
    for n, words in zip(numbers[:5], keys):
        assert tuple(np.asarray(narrow(np.int32(n))).tolist()) == words
