# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Traced functions mean what NumPy means."""

import ml_dtypes
import numpy as np
import pytest

import tessera as ts
from elementwise_table import TABLE
from evaluate import run
from references import REFERENCES, erf

pytestmark = pytest.mark.quick

RNG = np.random.default_rng(7)
X = RNG.standard_normal((2, 3, 5)).astype(np.float32)
Y = RNG.standard_normal((3, 5)).astype(np.float32)
I = RNG.integers(-9, 9, (2, 3)).astype(np.int32)
J = RNG.integers(1, 5, (2, 3)).astype(np.int32)
B = RNG.integers(0, 2, (2, 3)).astype(bool)

# Name: (traced function, NumPy function, arguments).
CASES = {
    "arithmetic broadcasts": (lambda x, y: (x + y) * y - x / 2, None, (X, Y)),
    "reflected operators": (lambda x: 1 - x + 2 * x - (3 / (x * x + 1)), None, (X,)),
    "numpy operand on the left": (lambda x: Y + x, None, (X,)),
    "integer division floors": (lambda i, j: i // j, None, (I, J)),
    "integer remainder has the divisor's sign": (lambda i, j: i % -j, None, (I, J)),
    "float remainder": (lambda x, y: x % y, None, (X, Y)),
    "true division of integers is f32": (lambda i, j: i / j, lambda i, j: (i / j).astype("f4"), (I, J)),
    "small powers": (lambda x: x**3 + x**2, None, (X,)),
    "float powers": (lambda x: abs(x) ** 1.5, None, (X,)),
    "comparison": (lambda x, y: x > y, None, (X, Y)),
    "chained logic": (lambda i, j: (i > 0) & ~(j < 3) | (i == j), None, (I, J)),
    "negation": (lambda x: -x + +x, None, (X,)),
    "where": (lambda x: ts.where(x > 0, x, 0.1 * x), lambda x: np.where(x > 0, x, np.float32(0.1) * x), (X,)),
    "exp, log, tanh": (lambda x: ts.log(ts.exp(x) + 1) * ts.tanh(x),
                       lambda x: np.log(np.exp(x) + 1) * np.tanh(x), (X,)),
    "erf": (ts.erf, lambda x: erf(x).astype("f4"), (X,)),
    "gelu": (ts.gelu, lambda x: (0.5 * x * (1 + erf(x / np.sqrt(2)))).astype("f4"), (X,)),
    "sigmoid of integers": (ts.sigmoid, lambda i: (1 / (1 + np.exp(-i.astype("f4")))), (I,)),
    "sum of an axis": (lambda x: x.sum(1), None, (X,)),
    "sum keeps dims": (lambda x: x.sum((0, -1), keepdims=True),
                       lambda x: x.sum((0, 2), keepdims=True), (X,)),
    "sum of booleans": (lambda b: b.sum(), lambda b: b.sum(dtype=np.int32), (B,)),
    "mean": (lambda x: x.mean(-1), None, (X,)),
    "variance": (lambda x: x.var(axis=1), None, (X,)),
    "max, min, prod": (lambda x: x.max(0) + x.min(0) + x.prod(0), None, (X,)),
    "any, all": (lambda b: b.any(0) ^ b.all(0), None, (B,)),
    "argmax": (lambda x: x.argmax(-1), lambda x: x.argmax(-1).astype("i4"), (X,)),
    "reshape with -1": (lambda x: x.reshape(-1, 5).reshape((3, -1)), None, (X,)),
    "transpose": (lambda x: x.transpose(1, 2, 0) + x.transpose((1, 2, 0)), None, (X,)),
    ".T": (lambda x: x.T, None, (X,)),
    "swapaxes": (lambda x: x.swapaxes(0, -1), None, (X,)),
    "integer index": (lambda x: x[1, -1], None, (X,)),
    "slices": (lambda x: x[:, 1:, ::2], None, (X,)),
    "ellipsis and None": (lambda x: x[..., None, 1:3], None, (X,)),
    "iteration": (lambda x: sum(x), None, (X,)),
    "take wraps negatives": (lambda x: ts.take(x, np.array([2, -1, 0]), axis=1),
                             lambda x: np.take(x, [2, -1, 0], axis=1), (X,)),
    "array index": (lambda y, j: y[j - 2], None, (Y, J)),
    "concatenate": (lambda x, y: ts.concatenate([x, y[None]], 0),
                    lambda x, y: np.concatenate([x, y[None]], 0), (X, Y)),
    "stack": (lambda y: ts.stack([y, 2 * y], -1), lambda y: np.stack([y, 2 * y], -1), (Y,)),
    "split": (lambda x: ts.split(x, [1, 3], -1)[1], lambda x: np.split(x, [1, 3], -1)[1], (X,)),
    "pad": (lambda y: ts.pad(y, ((1, 0), (2, 3)), constant_values=7),
            lambda y: np.pad(y, ((1, 0), (2, 3)), constant_values=7), (Y,)),
    "broadcast_to": (lambda y: ts.broadcast_to(y, (2, 3, 5)), lambda y: np.broadcast_to(y, (2, 3, 5)), (Y,)),
    "matmul": (lambda x, y: x @ y.T, None, (X, Y)),
    "matmul of vectors": (lambda y: y[0] @ y[1], None, (Y,)),
    "vector times matrix": (lambda y: y[:, 0] @ y, None, (Y,)),
    "matmul broadcasts batches": (lambda x, y: x[:, None] @ y[None, :, :, None], None, (X, Y)),
    "matmul of batches of 1": (lambda x: x[:1] @ x[:1].swapaxes(1, 2), None, (X,)),
    "einsum": (lambda x, y: ts.einsum("bsk,nk->bns", x, y), lambda x, y: np.einsum("bsk,nk->bns", x, y),
               (X, Y)),
    "einsum sums lone indices": (lambda x, y: ts.einsum("bsk,nk->b", x, y),
                                 lambda x, y: np.einsum("bsk,nk->b", x, y), (X, Y)),
    "einsum with ellipsis": (lambda x, y: ts.einsum("...k,nk", x, y), lambda x, y: np.einsum("...k,nk", x, y),
                             (X, Y)),
    "einsum of one": (lambda x: ts.einsum("abc->ca", x), lambda x: np.einsum("abc->ca", x), (X,)),
    "einsum of three": (lambda x, y: ts.einsum("bsk,nk,bn->sb", x, y, x[:, :, 0]),
                        lambda x, y: np.einsum("bsk,nk,bn->sb", x, y, x[:, :, 0]), (X, Y)),
    "cumulative": (lambda x: ts.cumsum(x, 1) + ts.cummax(x, -1, reverse=True) * ts.cumprod(x, 0),
                   lambda x: np.cumsum(x, 1)
                   + np.flip(np.maximum.accumulate(np.flip(x, -1), -1), -1) * np.cumprod(x, 0), (X,)),
    "softmax": (lambda x: ts.softmax(x, 1),
                lambda x: np.exp(x) / np.exp(x).sum(1, keepdims=True), (X,)),
    "clip": (lambda x: ts.clip(x, -0.5, 0.5), lambda x: np.clip(x, -0.5, 0.5), (X,)),
    "arange and full": (lambda x: x + ts.arange(5) - ts.full((3, 1), 2.5),
                        lambda x: x + np.arange(5, dtype="f4") - np.full((3, 1), 2.5, "f4"), (X,)),
    "iota": (lambda x: ts.iota((3, 5), 1) + 0 * x, lambda x: np.arange(5, dtype="f4") + 0 * x, (X,)),
    "infinities in constants": (lambda x: ts.where(x > 0, float("inf"), -np.inf),
                                lambda x: np.where(x > 0, np.inf, -np.inf).astype("f4"), (X,)),
    "boolean constants": (lambda b: b ^ np.array([True, False, True]), None, (B,)),
    "abs, sign, floor": (lambda x: abs(x) + ts.sign(x) + ts.floor(x),
                         lambda x: abs(x) + np.sign(x) + np.floor(x), (X,)),
    "isnan": (lambda x: ts.isnan(ts.log(x)), lambda x: np.isnan(np.log(x)), (X,)),
    "astype truncates": (lambda x: (3 * x).astype(ts.i32), lambda x: (3 * x).astype("i4"), (X,)),
}

# The functions of one op: what they are called with, by the domain of their row.
_IN_DOMAIN = {"any": X, "unit": X / 8, "bounded": X / 8, "positive": abs(X) + 1, "above one": abs(X) + 2}


def _case_of(op: str) -> tuple:
    row = TABLE[op]
    if row.types[0] != "f32":
        return getattr(ts, row.python), REFERENCES[op], (I, J)[: row.arity]
    args = tuple(_IN_DOMAIN[domain].astype(np.float32)[:: 1 - 2 * i] for i, domain in enumerate(row.domain))
    return getattr(ts, row.python), lambda *x: REFERENCES[op](*x).astype(np.float32), args


CASES |= {f"tessera.{op}": _case_of(op) for op, row in TABLE.items() if row.python}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_tracing_means_what_numpy_means(name, opt):
    traced, plain, args = CASES[name]
    lowered = ts.jit(traced).lower(*args)
    opt(lowered.program.text)
    got, want = run(lowered, *args), np.asarray((plain or traced)(*args))
    assert got.dtype == want.dtype and got.shape == want.shape
    np.testing.assert_allclose(got, want, rtol=2e-5, atol=2e-6)


def test_layer_norm_attention_and_rms_norm_are_single_ops(opt):
    def f(x, s):
        q = x.reshape(2, 3, 5, 1)
        bias = ts.zeros((3,))
        return ts.attention(q, q, q, bias) + ts.attention(q, q, q, causal=True), \
            ts.layer_norm(x, s, s, 1e-12) + ts.rms_norm(x, s)

    text = ts.jit(f).lower(X, Y[0]).as_text()
    opt(text)
    for op, count in {"attention": 2, "layer_norm": 1, "rms_norm": 1}.items():
        assert text.count(f"tessera.{op} ") == count
    assert "epsilon 1.0e-12" in text and " causal" in text


def test_every_dtype_traces(opt):
    for dtype in (ts.f64, ts.f32, ts.f16, ts.bf16, ts.i64, ts.i32):
        x = np.ones((2, 3), dtype)
        lowered = ts.jit(lambda x: (x + 1) * 2 - x).lower(x)
        opt(lowered.program.text)
        assert lowered.program.results == [((2, 3), dtype)]


@pytest.mark.parametrize(
    "a, b, want",
    [
        (ts.i32, ts.f32, ts.f32), (ts.i64, ts.bf16, ts.bf16), (ts.bf16, ts.f16, ts.f32),
        (ts.bool_, ts.i32, ts.i32), (ts.bf16, ts.f32, ts.f32), (ts.i32, ts.i64, ts.i64),
        (ts.i64, ts.f64, ts.f64),
    ],
)
def test_promotion_is_symmetric_and_as_documented(a, b, want):
    for x, y in ((a, b), (b, a)):
        lowered = ts.jit(lambda x, y: x + y).lower(np.ones(3, x), np.ones(3, y))
        assert lowered.program.results == [((3,), want)]


def test_python_scalars_are_weak():
    def kind(f, dtype):
        return ts.jit(f).lower(np.ones(3, dtype)).program.results[0][1]

    assert kind(lambda x: x * 2.5, ml_dtypes.bfloat16) == ts.bf16
    assert kind(lambda x: x * np.sqrt(2), np.float32) == ts.f32
    assert kind(lambda x: x * 2, np.int64) == ts.i64
    assert kind(lambda x: x * 2.5, np.int32) == ts.f32
    assert kind(lambda x: x + 1, np.bool_) == ts.i32


def test_ops_carry_the_users_line_and_column():
    def f(x):
        y = x + 1
        return ts.exp(y)

    text = ts.jit(f).lower(X).as_text(locations=True)
    first = f.__code__.co_firstlineno
    assert f'test_tracing.py":{first + 1}:' in text and f'test_tracing.py":{first + 2}:' in text
    assert "tessera/_src" not in text


def test_random_numbers_trace(opt):
    def f():
        a, b = ts.random.split(ts.random.key(1 << 33))
        return ts.random.normal(a, (2, 3), ts.bf16) + ts.random.uniform(b, (3,), minval=-1).astype(ts.bf16)

    lowered = ts.jit(f).lower()
    opt(lowered.program.text)
    assert lowered.program.results == [((2, 3), ts.bf16)]


def test_layouts_reach_the_program(opt):
    mesh = ts.make_mesh((2, 4), ("dp", "tp"), links={"dp": "ib"})

    @ts.jit(mesh=mesh, in_shardings=(ts.P("dp"), {"w": ts.P(None, ts.UNCONSTRAINED)}),
            out_shardings=ts.P(("dp", "tp")))
    def f(x, params):
        return ts.with_sharding_constraint(x @ params["w"], ts.P("dp", "tp"))

    text = f.lower(np.ones((8, 3), "f4"), {"w": np.ones((3, 8), "f4")}).as_text()
    opt(text)
    assert "dist.mesh @mesh <[dp = 2 : ib, tp = 4]>" in text
    for layout in ("[{dp}, {}]", "[{}, {?}]", "to <@mesh, [{dp}, {tp}]>", "[{dp, tp}, {}]"):
        assert layout in text
    assert '{tessera.name = "params.w"}' in text


def test_variadic_arguments_are_named_and_laid_out_one_by_one(opt):
    mesh = ts.make_mesh({"tp": 2})

    def f(first, *rest, scale=1.0, **named):
        return first + rest[0] + rest[1] + named["bias"] * scale

    def named_specs(in_shardings):
        lowered = ts.jit(f, mesh=mesh, in_shardings=in_shardings).lower(Y, Y, Y, bias=Y, scale=2.0)
        opt(lowered.program.text)
        return {a.name: a.spec for a in lowered.program.arguments}

    rows, columns = ts.P("tp"), ts.P(None, "tp")
    assert named_specs((rows, None, columns)) == {
        "first": rows, "rest.0": None, "rest.1": columns, "bias": None, "scale": None}
    assert named_specs({"rest": rows}) == {
        "first": None, "rest.0": rows, "rest.1": rows, "bias": None, "scale": None}
    with pytest.raises(ts.ConfigError, match="more entries"):
        named_specs((rows, None, columns, None))
    with pytest.raises(ts.ConfigError, match="(?s)fewer entries.*one for each of first, rest.0, rest.1"):
        named_specs((rows, None))


def test_in_shardings_have_an_entry_for_each_argument():
    mesh, rows = ts.make_mesh({"tp": 2}), ts.P("tp")

    def f(x, y, z=None, *, scale=1.0):
        return x + y + (0 if z is None else z) * scale

    def lower(in_shardings, *args, **kwargs):
        return ts.jit(f, mesh=mesh, in_shardings=in_shardings).lower(*args, **kwargs)

    for given, args in (((rows,), (Y, Y)), ((), (Y, Y)), ([rows, None], (Y, Y, Y))):
        with pytest.raises(ts.ConfigError, match="(?s)TS4007.*fewer entries.*give None"):
            lower(given, *args)
    with pytest.raises(ts.ConfigError, match="fewer entries"):
        lower((rows,), Y, y=Y)
    # Neither a default that is left out nor an argument that only has a name needs one.
    assert [a.spec for a in lower((rows, None), Y, Y, scale=2.0).program.arguments] == [rows, None, None]
    assert lower((rows, None, None), Y, Y) and lower({"y": rows}, Y, Y, Y)
