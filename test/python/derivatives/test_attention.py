# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Gradients of attention in reverse mode: what they compute, keep, skip and communicate."""

import re
from dataclasses import dataclass

import numpy as np
import pytest

import tessera as ts
from programs import kernels_of, run
from tessera._src.core import dtypes
from tessera._src.programs import native


@dataclass(frozen=True)
class Shapes:
    """Of an attention, as its op names them: H heads of queries for K of keys."""

    b: int
    s: int
    t: int
    h: int
    k: int
    d: int
    e: int
    causal: bool = False
    bias: str = ""  # Which of "bhs" it has; all of "t".

    def arrays(self, dtype=np.float32):
        """Query, key, value, cotangent, and the bias in a list."""
        rng = np.random.default_rng(self.s)
        shapes = [(self.b, self.s, self.h, self.d), (self.b, self.t, self.k, self.d),
                  (self.b, self.t, self.k, self.e), (self.b, self.s, self.h, self.e)]
        made = [rng.standard_normal(shape).astype(dtype) for shape in shapes]
        if not self.bias:
            return *made, []
        full = {"b": self.b, "h": self.h, "s": self.s}
        shape = [size if name in self.bias else 1 for name, size in full.items()]
        bias = rng.standard_normal((*shape, self.t))
        # The first query sees nothing, and some keys are seen by no query.
        bias[..., ::5] = -np.inf
        bias[:, :, 0] = -np.inf if "s" in self.bias else bias[:, :, 0]
        return *made, [bias.astype(dtype)]

    def gradients(self):
        """A function of what `arrays` gives: the result and the gradients."""
        def function(q, k, v, ct, bias):
            value, pullback = ts.vjp(lambda *x: ts.attention(*x, *bias, causal=self.causal), q, k, v)
            return value, *pullback(ct)

        return function


# Several chunks of keys and queries, with ragged ends and without.
LARGE = {
    "one chunk": Shapes(2, 5, 7, 4, 2, 3, 6),
    "chunks": Shapes(1, 256, 512, 2, 2, 8, 8),
    "ragged chunks": Shapes(2, 131, 389, 4, 2, 5, 3),
    "causal": Shapes(1, 512, 512, 2, 2, 8, 8, causal=True),
    "causal, ragged": Shapes(2, 389, 389, 2, 1, 5, 7, causal=True),
    "causal, more keys": Shapes(1, 131, 600, 2, 2, 4, 4, causal=True),
    "causal, more queries": Shapes(1, 600, 131, 2, 1, 4, 4, causal=True),
    "a bias per key": Shapes(2, 131, 389, 2, 2, 4, 4, bias="b"),
    "a bias with masked rows": Shapes(2, 131, 389, 4, 2, 4, 4, bias="hs"),
    "a causal bias": Shapes(1, 131, 131, 2, 2, 4, 4, causal=True, bias="bhs"),
    "wide heads": Shapes(1, 70, 90, 2, 1, 512, 260),
}
# On a GPU a chunk is of up to 32.
SMALL = {
    "one chunk": Shapes(2, 5, 7, 4, 2, 3, 6),
    "chunks": Shapes(1, 64, 96, 2, 2, 8, 8),
    "ragged chunks": Shapes(2, 35, 67, 4, 2, 5, 3),
    "causal, ragged": Shapes(1, 67, 67, 2, 1, 5, 7, causal=True),
    "causal, more queries": Shapes(1, 67, 35, 2, 1, 4, 4, causal=True),
    "a bias with masked rows": Shapes(2, 35, 67, 4, 2, 4, 4, bias="hs"),
    "heads of 64": Shapes(1, 40, 40, 2, 1, 64, 64, causal=True),
    "wide heads": Shapes(1, 9, 10, 1, 1, 512, 260),
}
# Sums of hundreds of terms, each rounded; a rounding of the result in 16 bits.
TOLERANCE = {"f64": 1e-12, "f32": 2e-5, "f16": 2e-3, "bf16": 1.6e-2}


def check(shapes, target, dtype=np.float32):
    *arrays, bias = shapes.arrays(dtype)
    text = ts.jit(shapes.gradients()).lower(*arrays, bias).as_text()
    assert text.count("tessera.attention_gradient") == 3
    inputs = [*arrays, *bias]
    want = [np.zeros(a.shape, dtype) for a in (arrays[3], *arrays[:3])]
    native.interpret(text, inputs, want)
    tolerance = TOLERANCE[dtypes.MLIR_NAMES[np.dtype(dtype)]]
    for got, wanted, name in zip(run(text, inputs, target), want, ["result", "query", "key", "value"]):
        got, wanted = got.astype(np.float64), wanted.astype(np.float64)
        assert np.isfinite(wanted).all()
        np.testing.assert_allclose(got, wanted, rtol=tolerance, atol=tolerance * np.abs(wanted).max(),
                                   err_msg=name)


@pytest.mark.parametrize("name", LARGE)
def test_cpu_runs_equal_the_interpreter(name):
    check(LARGE[name], "cpu")


@pytest.mark.parametrize("name", SMALL)
def test_emulated_runs_equal_the_interpreter(name):
    check(SMALL[name], "emulated")


@pytest.mark.parametrize("target", ["cpu", "emulated"])
@pytest.mark.parametrize("dtype", [ts.bf16, ts.f16])
def test_narrow_types_are_summed_in_f32(dtype, target):
    check(SMALL["causal, ragged"], target, np.dtype(dtype))


def test_f64_is_summed_in_f64():
    check(LARGE["causal, ragged"], "cpu", np.float64)


@pytest.mark.parametrize("size", [64, 128, 192, 256, 512])
@pytest.mark.parametrize("dtype", [ts.f32, ts.bf16])
def test_heads_whose_tiles_fill_shared_memory(dtype, size):
    check(Shapes(1, 35, 67, 2, 1, size, size, causal=True), "emulated", np.dtype(dtype))


@pytest.mark.parametrize("size, chip", [(64, "sm_80"), (64, "sm_90a"), (64, "sm_100a"), (128, "sm_80"),
                                        (512, "sm_90a")])
def test_cubins_keep_their_sums_in_registers(size, chip):
    """Heads of 128 spill 28 bytes a thread: addresses, not sums, which are hundreds of bytes."""
    for dtype in (ts.f32, ts.bf16):
        shapes = Shapes(1, 35, 67, 2, 1, size, size, causal=True)
        text = ts.jit(shapes.gradients()).lower(*shapes.arrays(np.dtype(dtype))).as_text()
        spilt = [kernel["spillBytes"] for kernel in kernels_of(text, chip) if "attention" in kernel["name"]]
        assert len(spilt) == 3 and max(spilt) <= (32 if size == 128 else 0)


@pytest.mark.parametrize("keys", [1, 300])
@pytest.mark.parametrize("size", [64, 80])
def test_both_passes_compute_the_same_scores(keys, size):
    """Large ones, of which the weights would not add up to 1 if a factor were scaled in one pass alone."""
    rng = np.random.default_rng(size)
    q, k = (30 * rng.standard_normal((1, n, 2, size), dtype=np.float32) for n in (64, keys))
    v = np.ones((1, keys, 2, size), np.float32)
    value, pullback = ts.vjp(ts.attention, q, k, v)
    dq, _, dv = (np.asarray(gradient) for gradient in pullback(np.ones(value.shape, np.float32)))
    np.testing.assert_allclose(np.asarray(dv).sum(1), 64, rtol=3e-5)  # Of a logarithm near 1,000, rounded.
    if keys == 1:
        assert not dq.any() and (dv == 64).all()


def test_some_gradients_of_the_three():
    shapes = SMALL["ragged chunks"]
    q, k, v, ct, _ = shapes.arrays()
    _, *wanted = ts.jit(shapes.gradients())(q, k, v, ct, [])
    for i in range(3):
        def of_one(x, i=i):
            given = [q, k, v]
            given[i] = x
            return ts.sum(ts.attention(*given) * ct)

        got = ts.jit(ts.grad(of_one))((q, k, v)[i])
        np.testing.assert_array_equal(np.asarray(got), np.asarray(wanted[i]))


def host_shapes(text):
    """Shapes of the tensors of a program at stage kernels that are in memory."""
    functions = text[text.index("func.func") :]
    found = re.findall(r"tensor<((?:\d+x)*\d+)x\w", functions)
    return {tuple(int(n) for n in sizes.split("x")) for sizes in found}


@pytest.mark.parametrize("remat", [False, True])
def test_no_scores_are_kept(remat):
    """2 x 256 tokens of 4 heads have 2 MiB of scores; the program holds nothing of that size."""
    q, k, v, _, _ = Shapes(2, 256, 256, 4, 4, 8, 8).arrays()
    scores = 2 * 4 * 256 * 256

    def loss(q, k, v):
        def mix(*x):
            return ts.attention(*x, causal=True)

        return ts.sum((ts.checkpoint(mix) if remat else mix)(q, k, v) ** 2)

    lowered = ts.jit(ts.value_and_grad(loss, argnums=(0, 1, 2))).lower(q, k, v)
    largest = max(np.prod(shape) for shape in host_shapes(lowered.as_text("kernels")))
    assert largest == q.size
    assert lowered.compile().report["arenaBytes"] < 4 * scores / 2


def test_causal_work_is_half():
    def flops(causal):
        shapes = Shapes(2, 256, 256, 4, 4, 8, 8, causal)
        return ts.jit(shapes.gradients()).lower(*shapes.arrays()).cost()["flops"]

    # The triangle has the diagonal, and the rest of the program is not causal.
    assert 0.5 < flops(True) / flops(False) < 0.53


def test_gradients_of_a_batch_of_entries():
    rng = np.random.default_rng(3)
    q, k = (rng.standard_normal((3, 2, n, 4, 5)).astype(np.float32) for n in (7, 9))

    def gradients(q, k):
        return ts.grad(lambda q, k: ts.sum(ts.attention(q, k[:, :, :2], k[:, :, :2], causal=True) ** 2),
                       argnums=(0, 1))(q, k)

    batched = ts.jit(ts.vmap(gradients))
    assert "tessera.attention_gradient" in batched.lower(q, k).as_text()
    for got, *wanted in zip(batched(q, k), *(ts.jit(gradients)(*entry) for entry in zip(q, k))):
        np.testing.assert_allclose(np.asarray(got), np.stack(wanted), rtol=1e-5, atol=1e-5)


def test_forward_modes_do_not_pay():
    q = np.ones((1, 5, 2, 3), np.float32)

    def mix(q):
        return ts.attention(q, q, q)

    for function in (lambda q: ts.jvp(mix, (q,), (q,)), lambda q: ts.linearize(mix, q)[1](q)):
        assert "attention_" not in ts.jit(function).lower(q).as_text()


def test_the_gradient_of_a_bias_is_a_formula():
    q = np.ones((1, 5, 2, 3), np.float32)
    bias = np.ones((1, 2, 5, 5), np.float32)
    text = ts.jit(ts.grad(lambda b: ts.sum(ts.attention(q, q, q, b)))).lower(bias).as_text()
    assert "attention_" not in text


SPLITS = {
    "heads": (ts.P(None, None, "tp", None), 0),
    "batch": (ts.P("tp", None, None, None), 0),
    # Gradients of keys and values are sums over the queries.
    "queries": (ts.P(None, "tp", None, None), 2),
}


@pytest.mark.parametrize("base, gap", [(1, 17), (100, 8), (128, 7)])
def test_second_derivatives_where_a_weight_is_nearly_one(base, gap):
    """Rounding puts the larger of two scores at their logsumexp: the weight stays differentiable there."""
    def mixed(attention):
        def first(q, k, v):
            return ts.grad(lambda v: attention(q, k, v).sum())(v)[0, 0, 0, 0]

        return ts.jit(lambda q, k, v: ts.grad(first)(q, k, v))

    def formula(q, k, v):
        weights = ts.softmax(ts.einsum("bshd,bthd->bhst", q, k), axis=-1)
        return ts.einsum("bhst,bthd->bshd", weights, v)

    q, k, v = [[[[base, 1]]]], [[[[base, 0]], [[base, -gap]]]], [[[[1, 2]], [[3, 4]]]]
    inputs = [np.array(x, np.float32) for x in (q, k, v)]
    got = mixed(lambda *x: ts.attention(*x, scale=1.0))(*inputs)
    want = mixed(formula)(*[x.astype(np.float64) for x in inputs])
    # The logsumexp's own rounding is what scores of base squared leave.
    np.testing.assert_allclose(np.asarray(got)[..., 1], np.asarray(want)[..., 1], rtol=2e-3)


@pytest.mark.parametrize("split", SPLITS)
def test_split_over_a_mesh(split):
    spec, sums = SPLITS[split]
    # Uneven: 7 queries and 3 entries on 2 devices.
    shapes = Shapes(3, 7, 5, 4, 4, 3, 6)
    q, k, v, ct, _ = shapes.arrays()
    other = ts.P() if split == "queries" else spec

    def gradients(q, k, v, ct):
        return shapes.gradients()(q, k, v, ct, [])

    compiled = ts.jit(gradients, mesh=ts.make_mesh({"tp": 2}), in_shardings=(spec, other, other, spec),
                      out_shardings=(spec, spec, other, other))
    lowered = compiled.lower(q, k, v, ct)
    assert [row["kind"] for row in lowered.collectives()] == ["all_reduce"] * sums
    wanted = ts.jit(gradients)(q, k, v, ct)
    for got, want in zip(compiled(q, k, v, ct), wanted):
        np.testing.assert_allclose(np.asarray(got), np.asarray(want), rtol=2e-5, atol=2e-5)
