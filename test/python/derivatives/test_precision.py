# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""ts.Precision: gradients of bf16 weights are formed in f32, and summed over devices in a type of choice."""

import re
from collections import Counter

import gpt
import ml_dtypes
import numpy as np
import pytest
from conftest import needs_runtime

import tessera as ts

pytestmark = needs_runtime

BATCHES, ROWS, IN, OUT, WORDS = 64, 4, 6, 5, 7
ROUNDING = 2.0**-8  # Of a number to bf16, relative.
MESH = ts.make_mesh({"dp": 2})
RNG = np.random.default_rng(4)
X = RNG.standard_normal((BATCHES, ROWS, IN)).astype(ml_dtypes.bfloat16)
C = (RNG.standard_normal((BATCHES, ROWS, OUT)) + 1).astype(ml_dtypes.bfloat16)
W = RNG.standard_normal((IN, OUT)).astype(ml_dtypes.bfloat16)
# What the gradient is, from the rounded numbers: each device has half of the rows.
TERMS = np.einsum("ndrk,ndrm->dkm", *(v.astype(np.float64).reshape(BATCHES, 2, 2, -1) for v in (X, C)))
EXACT = TERMS.sum(0)


def loss(w, x, c):
    """Linear in w, so that no rounding but that of its gradient is seen."""
    return ((x @ w) * c).astype(ts.f32).sum()


def accumulated(policy, after=None):
    """The sum of the gradients of all microbatches, compiled."""
    def total(w, xs, cs):
        def add(carry, batch):
            gradient = ts.grad(loss, precision=policy)(w, *batch)
            return carry + gradient.astype(carry.dtype), None

        start = ts.zeros(w.shape, w.dtype if policy is None else policy.grad)
        result, _ = ts.scan(add, start, (xs, cs))
        return after.reduced(result) if after else result

    rows = ts.P(None, "dp")
    return ts.jit(total, mesh=MESH, in_shardings={"xs": rows, "cs": rows})


def moved(function, *args):
    """What all-reduces move: (type, how often)."""
    return [(row["dtype"], row["count"]) for row in function.lower(*args).collectives()]


def test_the_sum_of_microbatches_is_rounded_once():
    wide = accumulated(ts.Precision(grad=ts.f32))
    got = np.asarray(wide(W, X, C), np.float64)
    assert moved(wide, W, X, C) == [("f32", 1)]
    assert np.abs(got - EXACT).max() <= 1e-5
    # Rounded to bf16 once, it is as near as bf16 is.
    once = got.astype(ml_dtypes.bfloat16).astype(np.float64)
    assert (np.abs(once - EXACT) <= ROUNDING * np.abs(EXACT) + 1e-5).all()
    # What the policy is for: sums in bf16 are rounded 64 times.
    narrow = np.asarray(accumulated(None)(W, X, C), np.float64)
    assert np.linalg.norm(narrow - EXACT) > 4 * np.linalg.norm(once - EXACT)


def test_terms_of_devices_move_in_the_type_asked_for():
    policy = ts.Precision(grad=ts.f32, reduce=ts.bf16)
    function = accumulated(ts.Precision(grad=ts.f32), after=policy)
    got = function(W, X, C)
    assert got.dtype == ts.f32 and moved(function, W, X, C) == [("bf16", 1)]
    bound = ROUNDING * (np.abs(TERMS).sum(0) + np.abs(EXACT)) * (1 + ROUNDING) + 1e-5
    assert (np.abs(np.asarray(got, np.float64) - EXACT) <= bound).all()


@pytest.mark.parametrize("policy, dtype, moved_in", [
    (None, ts.bf16, "bf16"), (ts.Precision(grad=ts.f32), ts.f32, "f32"),
    (ts.Precision(grad=ts.f32, reduce=ts.bf16), ts.f32, "bf16"), (ts.Precision(grad=ts.f16), ts.f16, "bf16")])
def test_a_gradient_has_the_type_asked_for(policy, dtype, moved_in):
    rows = ts.P("dp")
    function = ts.jit(ts.grad(loss, precision=policy), mesh=MESH, in_shardings={"x": rows, "c": rows})
    assert function(W, X[0], C[0]).dtype == dtype
    assert moved(function, W, X[0], C[0]) == [(moved_in, 1)]


def test_one_device_rounds_nothing():
    policy = ts.Precision(grad=ts.f32, reduce=ts.bf16)
    got = ts.jit(ts.grad(loss, precision=policy))(W, X[0], C[0])
    np.testing.assert_allclose(got, X[0].astype(np.float32).T @ C[0].astype(np.float32), rtol=1e-6, atol=1e-6)


def test_all_kinds_of_weights_have_gradients_of_f32():
    """A product, a bias, a table that is looked up more than once, a sum of two uses."""
    ids = np.array([[1, 1, 1, 2], [1, 2, 2, 3]], np.int32)

    def f(w, ids):
        x = ts.nn.embedding(w["table"], ids)
        y = x @ w["matrix"] + w["bias"]
        return (y @ w["matrix"].T).astype(ts.f32).sum() + y.astype(ts.f32).sum()

    w = {"table": RNG.standard_normal((WORDS, IN)), "matrix": RNG.standard_normal((IN, OUT)),
         "bias": RNG.standard_normal(OUT)}
    narrow = {name: value.astype(ml_dtypes.bfloat16) for name, value in w.items()}
    gradient = ts.jit(ts.grad(f, precision=ts.Precision(grad=ts.f32)))
    got = gradient(narrow, ids)
    assert {leaf.dtype for leaf in got.values()} == {ts.f32}
    # Nothing that becomes part of a gradient is of bf16 before it is f32.
    text = gradient.lower(narrow, ids).as_text("local")
    for shape in ("6x5", "7x6", "5"):
        assert not re.search(rf"convert .* : tensor<{shape}xbf16> -> tensor<{shape}xf32>", text), text


def test_weights_of_loops_have_gradients_formed_in_f32():
    """One that is a slice in each iteration, and one that all iterations use."""
    def f(w, xs, cs):
        def step(total, slices):
            u, x, c = slices
            return total + loss(u, x, c) + loss(w["shared"], x, c), None

        return ts.scan(step, ts.zeros((), ts.f32), (w["stacked"], xs, cs))[0]

    stacked = np.repeat(W[None], BATCHES, 0)
    got = ts.jit(ts.grad(f, precision=ts.Precision(grad=ts.f32)))({"shared": W, "stacked": stacked}, X, C)
    each = np.einsum("nrk,nrm->nkm", X.astype(np.float64), C.astype(np.float64))
    assert np.abs(np.asarray(got["stacked"], np.float64) - each).max() <= 1e-5
    assert np.abs(np.asarray(got["shared"], np.float64) - EXACT).max() <= 1e-4


def test_weights_of_f32_that_a_program_converts_have_gradients_formed_in_f32():
    wide = W.astype(np.float32)
    gradient = ts.jit(ts.grad(lambda w, x, c: loss(w.astype(ts.bf16), x, c)))
    got = np.asarray(gradient(wide, X[0], C[0]), np.float64)
    exact = X[0].astype(np.float64).T @ C[0].astype(np.float64)
    assert np.abs(got - exact).max() <= 1e-5


@pytest.mark.parametrize("options", [{"grad": ts.i32}, {"reduce": ts.bool_}])
def test_types_of_gradients_are_floats(options):
    with pytest.raises(ts.ConfigError, match="ts.Precision is (i32|bool)"):
        ts.Precision(**options)


@pytest.mark.parametrize("options", [{"grad": "f7"}, {"reduce": ts.i32}])
def test_a_mistake_in_a_precision_is_shown_at_the_call(options):
    with pytest.raises(ts.TesseraError) as caught:
        ts.Precision(**options)
    assert caught.value.location.file == __file__
    assert "<string>" not in str(caught.value) and "ts.Precision(**options)" in str(caught.value)


def test_precisions_are_values():
    assert ts.Precision(ts.f32, reduce="bf16") == ts.Precision(grad="f32", reduce=ts.bf16)
    assert len({ts.Precision(), ts.Precision(None), ts.Precision(ts.f32)}) == 2
    assert ts.Precision().grad is ts.Precision().reduce is None


def test_precision_is_a_policy():
    with pytest.raises(ts.ConfigError, match="precision of ts.grad is"):
        ts.grad(loss, precision=ts.f32)


def test_a_gpt_of_bf16_moves_activations_in_bf16_and_gradients_in_f32():
    weights = ts.tree.map(lambda w: w.astype(ml_dtypes.bfloat16), gpt.weights(np.float32))
    function = ts.jit(ts.value_and_grad(gpt.loss, precision=ts.Precision(grad=ts.f32)),
                      mesh=ts.make_mesh({"dp": 2, "tp": 2}), in_shardings={
                          "params": {"layers": [gpt.SPECS] * gpt.LAYERS}, "tokens": ts.P("dp")})
    rows = function.lower(weights, gpt.batches(1)[0]).collectives()
    assert Counter((row["axes"], row["dtype"]) for row in rows if row["shape"]) == {
        ("tp", "bf16"): 4 * gpt.LAYERS, ("dp", "f32"): len(ts.tree.leaves(weights))}
