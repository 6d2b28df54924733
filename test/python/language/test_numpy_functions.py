# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The same expression on traced values with ts.* and on arrays with np.*, on meshes of devices.

Types follow NumPy 2 except that nothing becomes 64 bits wide by itself.
"""

import numpy as np
import pytest

import tessera as ts
from conftest import needs_runtime

RNG = np.random.default_rng(5)
X = RNG.standard_normal((2, 3, 5)).astype(np.float32)
Y = RNG.standard_normal((2, 3, 5)).astype(np.float32) + np.float32(0.1)
I = RNG.integers(-9, 9, (2, 3, 5)).astype(np.int32)
J = RNG.integers(1, 5, (2, 3, 5)).astype(np.int32)
B, C = X > 0, Y > 0
SPECIAL = np.array([[np.nan, np.inf, -np.inf, 0.0, -0.0], [0.5, 1.5, 2.5, -0.5, -1.5],
                    [1e-7, -1e-7, 80.0, -80.0, 3.49999]], np.float32)
M = np.ones((5, 4), np.float32) * np.float32(0.5)
LEFT = RNG.standard_normal((2, 4, 3)).astype(np.float32)
ROWS, COLUMNS = np.array([1, 0, -1]), np.array([2, 1, 0])


def updated(x):
    x += 1
    x *= 2
    return x


FLOATS = {
    # Operators.
    "x // y": lambda n, x, y: x // y,
    "x ** -2": lambda n, x, y: y**-2,
    "x ** 0": lambda n, x, y: x**0,
    "abs(x) ** -0.5": lambda n, x, y: abs(x) ** -0.5,
    "2.0 ** x": lambda n, x, y: 2.0**x,
    "abs(x) ** y": lambda n, x, y: abs(x) ** y,
    "divmod": lambda n, x, y: divmod(x, y)[1] + divmod(x, y)[0],
    "augmented assignment": lambda n, x, y: updated(x + 0),
    "comparisons combine": lambda n, x, y: (x < y) | (x >= 0) & (y != 1) ^ (x == x),
    "round()": lambda n, x, y: round(x, 1) if n is ts else np.round(x, 1),
    "sum() of traced values": lambda n, x, y: sum([x, y]),
    "unpacking": lambda n, x, y: (lambda a, b: a - b)(*x),
    "np array on the left": lambda n, x, y: LEFT @ x,
    "np scalar": lambda n, x, y: np.float32(2) * x,
    "tan": lambda n, x, y: n.tan(x),
    # Indexing.
    "x[-1]": lambda n, x, y: x[-1],
    "x[..., 1]": lambda n, x, y: x[..., 1],
    "x[..., None]": lambda n, x, y: x[..., None],
    "x[:, None, 1:]": lambda n, x, y: x[:, None, 1:],
    "x[:, :, ::2]": lambda n, x, y: x[:, :, ::2],
    "x[:, :, -2:]": lambda n, x, y: x[:, :, -2:],
    "x[:, ::-1]": lambda n, x, y: x[:, ::-1],
    "x[:, :, 4:0:-2]": lambda n, x, y: x[:, :, 4:0:-2],
    "x[np.int64(1)]": lambda n, x, y: x[np.int64(1)],
    "x[array]": lambda n, x, y: x[ROWS],
    "x[list]": lambda n, x, y: x[[1, 0]],
    "x[:, array]": lambda n, x, y: x[:, COLUMNS],
    "x[..., array]": lambda n, x, y: x[..., np.array([[4, 0], [1, -1]])],
    "x[0, array]": lambda n, x, y: x[0, COLUMNS],
    "x[array, array]": lambda n, x, y: x[ROWS, COLUMNS],
    "x[:, array, array]": lambda n, x, y: x[:, COLUMNS, ROWS],
    "x[array[:, None], array]": lambda n, x, y: x[ROWS[:2, None], COLUMNS],
    "take": lambda n, x, y: n.take(x, COLUMNS, axis=1),
    "take of the flat array": lambda n, x, y: n.take(x, np.array([[7, -1]])),
    "take_along_axis": lambda n, x, y: n.take_along_axis(x, n.argmax(x, axis=2, keepdims=True), 2),
    "x[mask]": lambda n, x, y: x[:, np.array([True, False, True])],
    "x[mask, :2]": lambda n, x, y: x[[True, False], 1:, :2],
    "x[mask of two dimensions]": lambda n, x, y: x[0, np.eye(3, 5) > 0],
    "diagonal": lambda n, x, y: x.diagonal(),
    "diagonal below": lambda n, x, y: n.diagonal(x, -1, 1, 2),
    "diagonal above": lambda n, x, y: n.diagonal(x, 2, 1, -1),
    # Reductions.
    "trace": lambda n, x, y: x.trace(offset=1, axis1=1, axis2=2),
    "cumsum": lambda n, x, y: x.cumsum(),
    "cumsum(axis)": lambda n, x, y: n.cumsum(x, axis=2) + x.cumsum(1) + n.cumsum(x, 0),
    "diff": lambda n, x, y: n.diff(x),
    "diff(n, axis)": lambda n, x, y: n.diff(x, n=2, axis=1),
    "sum(axis=(0, 2))": lambda n, x, y: x.sum(axis=(0, 2)),
    "sum(dtype)": lambda n, x, y: x.sum(0, dtype="float64"),
    "mean(keepdims)": lambda n, x, y: x.mean(-1, keepdims=True),
    "std": lambda n, x, y: x.std(-1),
    "std(ddof)": lambda n, x, y: n.std(x, axis=0, ddof=1),
    "var(ddof)": lambda n, x, y: n.var(x, axis=0, ddof=5),
    "argmax": lambda n, x, y: x.argmax(),
    "argmin": lambda n, x, y: x.argmin(-1),
    "count_nonzero": lambda n, x, y: n.count_nonzero(x > 0, axis=1),
    "all and any": lambda n, x, y: (x > -9).all() & (x > 0).any(1),
    # Shapes.
    "ravel": lambda n, x, y: x.ravel() + n.ravel(y) + x.flatten(),
    "einsum with a repeated index": lambda n, x, y: n.einsum("abb->ab", x[:, :, :3]),
    "einsum of a trace": lambda n, x, y: n.einsum("aba,c->bc", x[:, :, :2], y[0, 0]),
    "a list of values": lambda n, x, y: x + [y[0, 0, 0], y[0, 0, 1], 1.0, 2.0, y[1, 2, 4]],
    "mT": lambda n, x, y: x.mT,
    "moveaxis": lambda n, x, y: n.moveaxis(x, (0, 1), (-1, 0)),
    "expand_dims": lambda n, x, y: n.expand_dims(x, (0, 2)),
    "flip": lambda n, x, y: n.flip(x, 1) + n.flip(y),
    "roll": lambda n, x, y: n.roll(x, -1, axis=1) + n.roll(y, 4),
    "repeat": lambda n, x, y: n.repeat(x, 2, axis=1),
    "tile": lambda n, x, y: n.tile(x, (2, 1, 3)),
    "concatenate": lambda n, x, y: n.concatenate([x, y], axis=-1),
    "stack": lambda n, x, y: n.stack([x, y], axis=1),
    "hstack and vstack": lambda n, x, y: n.hstack([x, y]).sum() + n.vstack([x[0], y[1]]),
    "array of traced values": lambda n, x, y: n.array([x[0, 0, 0], 1.0, y[0, 0, 0]], dtype="float32"),
    "pad": lambda n, x, y: n.pad(x, ((0, 0), (1, 2), (0, 1)), constant_values=3.0),
    "tril and triu": lambda n, x, y: n.tril(x, -1) + n.triu(y, 1),
    "eye": lambda n, x, y: x @ n.eye(5, 4, 1, dtype="float32"),
    "linspace": lambda n, x, y: x * n.linspace(0, 1, 5, dtype="float32"),
    # Products.
    "dot": lambda n, x, y: n.dot(x, M) + x.dot(M),
    "outer": lambda n, x, y: n.outer(x[0, 0], y[0, 1]),
    "tensordot": lambda n, x, y: n.tensordot(x, y, axes=([0, 1], [0, 1])),
    "vectors": lambda n, x, y: x[0, 0] @ y[0, 0] + x[0, 0] @ M,
}
# 0 * x is -0.0 where x is negative, and x + -0.0 is x for every x.
assert X[0, 0, 0] < 0
SPECIALS = ("ceil", "trunc", "round", "isfinite", "isinf", "log1p", "expm1", "log2", "exp2", "sinh",
            "cosh", "reciprocal", "absolute", "sign", "exp", "tanh", "sqrt", "nan_to_num", "cumsum")
FLOATS |= {f"{name} of special values":
           (lambda n, x, y, f=name: getattr(n, f)(SPECIAL[:, None] + 0 * x[0, 0, 0]))
           for name in SPECIALS}
FLOATS |= {f"{name} of special pairs": (
    lambda n, x, y, f=name: getattr(n, f)(SPECIAL + 0 * x[0, 0, 0], SPECIAL[::-1].copy()))
    for name in ("logaddexp", "hypot", "fmod", "maximum", "logical_xor")}
INTEGERS = {
    "x ** 0": lambda n, x, y: x**0,
    "x << 2": lambda n, x, y: x << 2,
    "x >> 1": lambda n, x, y: x >> 1,
    "~x": lambda n, x, y: ~x,
    "x & y | 1": lambda n, x, y: x & y | 1,
    "x // -y": lambda n, x, y: x // -y + x % -y,
    "floor": lambda n, x, y: n.floor(x) + n.ceil(x) + n.round(x),
    "clip": lambda n, x, y: n.clip(x, 0, 3) + x.clip(max=2),
    "x + True": lambda n, x, y: x + True,
    "x < 2.5": lambda n, x, y: x < 2.5,
    "prod": lambda n, x, y: y.prod(1),
}
BOOLEANS = {
    "x + y": lambda n, x, y: x + y,
    "x * y": lambda n, x, y: x * y,
    "~x": lambda n, x, y: ~x,
    "max": lambda n, x, y: x.max(1) ^ y.min(1),
    "maximum": lambda n, x, y: n.maximum(x, y) ^ n.minimum(x, y),
    "sum": lambda n, x, y: x.sum(1),
    "mean": lambda n, x, y: x.mean(),
    "where": lambda n, x, y: n.where(x, y, False),
    "1 - x": lambda n, x, y: 1 - x,
}
CASES = {f"{kind}: {name}": (function, args)
         for kind, table, args in (("f32", FLOATS, (X, Y)), ("i32", INTEGERS, (I, J)),
                                   ("bool", BOOLEANS, (B, C)))
         for name, function in table.items()}
NARROW = {np.dtype(np.int64): np.dtype(np.int32), np.dtype(np.float64): np.dtype(np.float32)}
MESH = ts.make_mesh({"a": 2, "b": 2})


@needs_runtime
@pytest.mark.parametrize("specs", [None, (ts.P("a", "b"), ts.P(None, "a", "b"))], ids=["whole", "split"])
@pytest.mark.parametrize("name", CASES)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_expressions_mean_what_numpy_means(name, specs):
    function, args = CASES[name]
    want = np.asarray(function(np, *args))
    compiled = ts.jit(lambda x, y: function(ts, x, y), mesh=MESH, in_shardings=specs)
    got = np.asarray(compiled(*args))
    wide = name.endswith("sum(dtype)")
    assert got.dtype == (want.dtype if wide else NARROW.get(want.dtype, want.dtype))
    assert got.shape == want.shape
    np.testing.assert_allclose(got, want, rtol=3e-5, atol=3e-6)


# Reads of split dimensions: of each element one device adds the value, and the others what changes nothing.
LOOKUPS = {
    "x[1]": lambda n, x: x[1],
    "x[-1, :, 2]": lambda n, x: x[-1, :, 2],
    "x[1, 0, 4]": lambda n, x: x[1, 0, 4],
    "x[array]": lambda n, x: x[np.array([1, 0, -1])],
    "x[:, array, array]": lambda n, x: x[:, COLUMNS, np.array([4, 4, 0])],
    "x[:, :, ::-1]": lambda n, x: x[:, :, ::-1],
    "take": lambda n, x: n.take(x, np.array([[4, 3, 0]]), axis=2),
    "take_along_axis": lambda n, x: n.take_along_axis(
        x, n.argmax(n.where(x == 0, n.arange(5, dtype="float32"), -1), axis=2, keepdims=True), 2),
    "sort": lambda n, x: n.sort(-abs(x), axis=1),
    "x[mask]": lambda n, x: x[:, :, np.array([True, False, False, False, True])],
    "roll": lambda n, x: n.roll(x, 1, axis=2),
    "a slice": lambda n, x: x[1:, :, 3:],
}


@needs_runtime
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("specs", [ts.P("a", "b"), ts.P(None, "a", "b"), ts.P(("a", "b")),
                                   ts.P(None, None, ("a", "b"))], ids=str)
@pytest.mark.parametrize("name", LOOKUPS)
def test_lookups_in_split_dimensions_keep_every_bit(name, specs, dtype):
    x = np.stack([SPECIAL, -SPECIAL[::-1]]).astype(dtype)
    want = LOOKUPS[name](np, x)
    got = np.asarray(ts.jit(lambda x: LOOKUPS[name](ts, x), mesh=MESH, in_shardings=(specs,))(x))
    np.testing.assert_array_equal(got, want)
    numbers = ~np.isnan(want)
    np.testing.assert_array_equal(np.signbit(got)[numbers], np.signbit(want)[numbers])


SCANS = {
    "cumsum": (lambda x: ts.cumsum(x, 0), lambda x: np.cumsum(x, 0)),
    "cumprod": (lambda x: ts.cumprod(x, 0), lambda x: np.cumprod(x, 0)),
    "cummax": (lambda x: ts.cummax(x, 0), lambda x: np.maximum.accumulate(x, 0)),
    "cummin from the end": (lambda x: ts.cummin(x, 0, reverse=True),
                            lambda x: np.minimum.accumulate(x[::-1], 0)[::-1]),
    "cumsum from the end": (lambda x: ts.cumsum(x, 0, reverse=True), lambda x: np.cumsum(x[::-1], 0)[::-1]),
}


@needs_runtime
@pytest.mark.parametrize("devices", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("dtype", ["float32", "int32", "int64"])
@pytest.mark.parametrize("name", SCANS)
def test_scans_along_a_split_dimension_exchange_a_value_per_device(name, dtype, devices):
    # 17 on 4 devices: chunks of 5, the last of 2; on 8: chunks of 3, the last two of 2 and 0.
    traced, plain = SCANS[name]
    # No zeros, which would make all products behind them zero.
    x = np.random.default_rng(3).choice([-2, -1, 1, 2], (17, 2)).astype(dtype)
    f = ts.jit(traced, mesh=ts.make_mesh({"tp": devices}), in_shardings=(ts.P("tp"),))
    np.testing.assert_array_equal(f(x), plain(x))
    moved = [(row["kind"], tuple(row["shape"])) for row in f.lower(x).collectives()]
    assert moved == ([] if devices == 1 else [("all_gather", (1, 2))]), moved


@needs_runtime
def test_scans_of_parts_spread_not_a_number():
    x = RNG.standard_normal((11, 3)).astype(np.float32)
    x[4, 1], x[7, 0] = np.nan, np.inf
    for name, (traced, plain) in SCANS.items():
        f = ts.jit(traced, mesh=ts.make_mesh({"tp": 3}), in_shardings=(ts.P("tp"),))
        np.testing.assert_allclose(f(x), plain(x), rtol=1e-5, atol=1e-6, err_msg=name)


@needs_runtime
def test_updates_of_split_positions_keep_the_sign_of_zeros():
    x, at = np.full((4, 3), -0.0, np.float32), np.array([3, 0, 3], np.int32)

    def f(x, at, updates):
        return x.at[at].add(updates)

    split = ts.jit(f, mesh=MESH, in_shardings=(None, ts.P("a"), ts.P("a")))
    got = np.asarray(split(x, at, np.full((3, 3), -0.0, np.float32)))
    assert np.signbit(got).all()


@needs_runtime
def test_lookups_outside_of_a_split_dimension_read_zero():
    x = np.full((5, 3), -1.0, np.float32)
    f = ts.jit(lambda x, at: ts.take(x, at, axis=0), mesh=MESH, in_shardings=(ts.P(("a", "b")), None))
    got = np.asarray(f(x, np.array([7, -9, 4], np.int32)))
    np.testing.assert_array_equal(got, [[0] * 3, [0] * 3, [-1] * 3])
    assert not np.signbit(got[:2]).any()


@needs_runtime
def test_numpy_ufuncs_work_on_traced_values():
    f = ts.jit(lambda x: np.exp(x) + np.maximum(x, 0) + np.add(1, x))
    np.testing.assert_allclose(f(X), np.exp(X) + np.maximum(X, 0) + 1 + X, rtol=1e-5)


@needs_runtime
def test_log_softmax_and_logsumexp_do_not_overflow():
    x = np.array([[1000.0, 999.0, -np.inf], [-np.inf, -np.inf, -np.inf]], np.float32)
    total, logs = ts.jit(lambda x: (ts.logsumexp(x, 1), ts.nn.log_softmax(x[:1])))(x)
    np.testing.assert_allclose(total, [1000.3133, -np.inf], rtol=1e-6)
    np.testing.assert_allclose(logs, [[-0.3132617, -1.3132617, -np.inf]], rtol=1e-3)


@needs_runtime
def test_cross_entropy_from_an_index_per_row():
    labels = np.array([1, 0, 4], np.int32)

    @ts.jit(mesh=ts.make_mesh({"tp": 2}), in_shardings=(ts.P(None, "tp"), None))
    def loss(logits, labels):
        return -ts.nn.log_softmax(logits)[ts.arange(3), labels].mean()

    logits = X[0]
    logs = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    np.testing.assert_allclose(loss(logits, labels), -logs[np.arange(3), labels].mean(), rtol=1e-5)


@needs_runtime
def test_an_index_outside_of_one_dimension_reads_zero():
    f = ts.jit(lambda x, i, j: x[i, j])
    got = f(X[0], np.array([0, 2, 3], np.int32), np.array([5, -6, 0], np.int32))
    np.testing.assert_array_equal(got, [0, 0, 0])


@needs_runtime
def test_one_hot_rows():
    f = ts.jit(lambda i: ts.nn.one_hot(i, 4))
    np.testing.assert_array_equal(f(np.array([[3], [0]])), np.eye(4, dtype="f4")[[[3], [0]]])


DIVIDENDS = [1.0, 6.0, -1.0, 1.0, -6.0, 6.0, -0.0, 0.0, 7.5, -7.5, 0.3, 1e30, 5.0, 1.0, -1.0, 0.0,
             np.inf, -np.inf, np.nan, 2.0, 6.0, -6.0]
DIVISORS = [0.1, 0.1, np.inf, -np.inf, 3.0, -3.0, 2.0, -2.0, 2.5, 2.5, 0.1, 7.0, np.nan, 0.0, 0.0, 0.0,
            2.0, 2.0, 2.0, np.inf, -0.1, 0.1]


@needs_runtime
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("dtype", ["f16", "f32", "f64"])
def test_floats_are_divided_as_numpy_divides_them_signs_of_zeros_included(dtype):
    x, y = (np.array(v).astype(dtype.replace("f", "float")) for v in (DIVIDENDS, DIVISORS))
    whole, rest, by_operator = ts.jit(lambda x, y: (*divmod(x, y), x // y))(x, y)
    for got, want in zip((whole, rest, by_operator), (*np.divmod(x, y), x // y)):
        got, is_number = np.asarray(got), ~np.isnan(want)
        np.testing.assert_array_equal(got, want)
        assert (np.signbit(got) == np.signbit(want))[is_number].all()


@needs_runtime
def test_quotient_and_remainder_give_the_dividend():
    x = (RNG.standard_normal(5000) * 100).astype(np.float32)
    y = RNG.choice(np.array([0.1, -0.1, 0.7, 3.0, -1e-3], np.float32), 5000)
    whole, rest = (np.asarray(r, np.float64) for r in ts.jit(lambda x, y: divmod(x, y))(x, y))
    assert (np.abs(rest) < np.abs(y)).all() and ((rest == 0) | (np.signbit(rest) == np.signbit(y))).all()
    np.testing.assert_allclose(whole * y + rest, x, rtol=1e-6, atol=1e-7)
