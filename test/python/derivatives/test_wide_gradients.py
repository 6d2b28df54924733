# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""ts.Precision(grad=): gradients are formed in the type asked for, by whatever they come.

Losses are linear in the weights and cotangents exact in the narrow type, so that the only roundings are
those of forming the gradient; JAX in f64 is the reference.
"""

import numpy as np
import pytest
from test_modes import jax, jnp

import tessera as ts

pytestmark = pytest.mark.usefixtures("jax_in_f64")

N, ROWS, IN, OUT = 6, 4, 5, 3
RNG = np.random.default_rng(6)
X, C = RNG.standard_normal((N, ROWS, IN)), RNG.standard_normal((N, ROWS, OUT))
W, SQUARE = RNG.standard_normal((IN, OUT)), RNG.standard_normal((IN, IN))
STACKED = RNG.standard_normal((N, IN, OUT))
SCALE = np.array([0.8125, -1.625, 2.375])  # Exact in all types.
TABLE = RNG.standard_normal((7, OUT))
IDS = np.array([1, 1, 2, 6, 1, 2, 1, 1] * 3).reshape(N, ROWS)

TYPES = [(ts.bf16, ts.f32), (ts.f16, ts.f32), (ts.bf16, ts.f64), (ts.f16, ts.f64), (ts.f32, ts.f64)]
BOUND = {ts.f32: 2e-6, ts.f64: 1e-14}


def scan(m):
    return ts.scan if m is ts else jax.lax.scan


def cond(m):
    return ts.cond if m is ts else jax.lax.cond


def wide_sum(m, value):
    return m.sum(value.astype(ts.f32 if m is ts and value.dtype != ts.f64 else "float64"))


def term(m, w, x, c):
    return wide_sum(m, (x @ w) * c)


def product(m, w, x, c):
    return term(m, w, x[0], c[0])


def batched(m, w, x, c):
    return wide_sum(m, m.einsum("nrk,km->nrm", x, w) * c)


def several_uses(m, w, x, c):
    return sum(term(m, w, x[i], c[i]) for i in range(N))


def moved(m, w, x, c):
    """Elements that go other ways before they meet."""
    both = m.concatenate([w.T[:, ::2].T, m.pad(w, ((1, 0), (0, 0)))[:-1], m.flip(w, 0)])
    return term(m, m.reshape(both, (-1, OUT))[2 : 2 + IN], x[0], c[0])


def scaled(m, w, x, c):
    return term(m, w * SCALE.astype(w.dtype), x[1], c[1])


def elementwise(m, w, x, c):
    """Broadcast, multiplied, divided by a power of two, selected."""
    return wide_sum(m, m.where(c > 0, w * c, w / 4) * c)


def bias(m, w, x, c):
    return wide_sum(m, (c + w) * c)


def table(m, w, x, c):
    return wide_sum(m, w[IDS] * c)


def sliced(m, w, x, c):
    if m is ts:
        def step(total, i):
            return total + term(m, ts.dynamic_slice(w, (i, 0, 0), (1, IN, OUT))[0], x[0], c[0]), None
    else:
        def step(total, i):
            return total + term(m, jax.lax.dynamic_slice(w, (i, 0, 0), (1, IN, OUT))[0], x[0], c[0]), None
    return scan(m)(step, 0 * wide_sum(m, w), np.arange(N) // 2)[0]


def microbatches(m, w, x, c):
    """In a loop, and in one in that, and once more after it."""
    def step(total, batch):
        def inner(total, _):
            return total + term(m, w, *batch), None

        total = scan(m)(inner, total, None, length=3)[0]
        return total + term(m, w, *batch), None

    return scan(m)(step, 0 * wide_sum(m, c), (x, c))[0] + product(m, w, x, c)


def stacked(m, w, x, c):
    return scan(m)(lambda total, one: (total + term(m, *one), None), 0 * wide_sum(m, c), (w, x, c))[0]


def carried(m, w, x, c):
    def step(carry, batch):
        w, total = carry
        return (w, total + term(m, w, *batch)), None

    return scan(m)(step, (w, 0 * wide_sum(m, c)), (x, c))[0][1]


def branches(m, w, x, c):
    def step(total, batch):
        x, c = batch
        one = cond(m)(c[0, 0] > 0, lambda: term(m, w, x, c), lambda: term(m, -w, x, c))
        return total + one, None

    return scan(m)(step, 0 * wide_sum(m, c), (x, c))[0]


def several_uses_in_loops(m, w, x, c):
    """In their bodies the cotangents of uses meet, as those of joined weights of queries and keys."""
    def step(total, batch):
        x, c = batch
        joined = m.concatenate([w, m.flip(w, 0)], 1)
        one = cond(m)(c[0, 0] > 0, lambda: term(m, w + m.flip(w, 1), x, c), lambda: term(m, w, x, c))
        return total + one + wide_sum(m, (x @ joined) * m.concatenate([c, c], 1)), None

    return scan(m)(step, 0 * wide_sum(m, c), (x, c))[0]


def checkpointed(m, w, x, c):
    return ts.checkpoint(lambda w: several_uses(m, w, x, c))(w) if m is ts else several_uses(m, w, x, c)


def constrained(m, w, x, c):
    if m is ts:
        w = ts.with_sharding_constraint(w, ts.P(None, None))
    return several_uses(m, w, x, c)


CASES = [(f, W) for f in (product, batched, several_uses, moved, scaled, microbatches, carried, branches,
                          checkpointed, constrained, several_uses_in_loops)]
CASES += [(elementwise, SCALE), (bias, SCALE), (table, TABLE), (sliced, STACKED[: N // 2]),
          (stacked, STACKED)]


def check(f, w, narrow, wide, used=None, **options):
    """Weights of `narrow` whose gradients are of `wide`, used in the type `used`."""
    used = used or narrow
    w, x, c = w.astype(narrow), X.astype(used), C.astype(used)
    policy = None if wide == narrow else ts.Precision(grad=wide)
    gradient = ts.jit(ts.grad(lambda w, x, c: f(ts, w if used == narrow else w.astype(used), x, c),
                              precision=policy), **options)
    got = gradient(w, x, c)
    assert got.dtype == wide
    rounded = w.astype(used).astype(np.float64)
    exact = np.asarray(jax.grad(lambda w: f(jnp, w, x.astype(np.float64), c.astype(np.float64)))(rounded))
    assert np.linalg.norm(np.asarray(got, np.float64) - exact) <= BOUND[wide] * np.linalg.norm(exact)


@pytest.mark.parametrize("narrow, wide", TYPES, ids=str)
@pytest.mark.parametrize("f, w", CASES, ids=[f.__name__ for f, _ in CASES])
def test_gradients_are_formed_in_the_type_asked_for(f, w, narrow, wide):
    check(f, w, narrow, wide)


@pytest.mark.parametrize("narrow, used, wide", [
    (ts.f32, ts.bf16, ts.f32), (ts.f32, ts.bf16, ts.f64), (ts.f32, ts.f16, ts.f64), (ts.f64, ts.f32, ts.f64)],
    ids=str)
@pytest.mark.parametrize("f, w", CASES, ids=[f.__name__ for f, _ in CASES])
def test_weights_that_the_program_converts(f, w, narrow, used, wide):
    check(f, w, narrow, wide, used)


@pytest.mark.parametrize("f", [product, microbatches, constrained])
def test_on_a_mesh(f):
    check(f, W, ts.bf16, ts.f64, mesh=ts.make_mesh({"tp": 2}), in_shardings={"w": ts.P(None, "tp")})


def test_weights_that_are_moved_before_they_are_converted():
    w = np.float32(W.T)
    x, c = X[0].astype(ts.bf16), C[0].astype(ts.bf16)
    got = ts.grad(lambda w: term(ts, w.T[:, :].reshape(IN, OUT).astype(ts.bf16), x, c))(w)
    exact = (x.astype(np.float64).T @ c.astype(np.float64)).T
    assert np.abs(np.asarray(got, np.float64) - exact).max() <= 1e-5


@pytest.mark.parametrize("narrow, used", [(ts.f32, ts.bf16), (ts.f64, ts.f32)], ids=str)
def test_weights_that_a_loop_converts(narrow, used):
    def f(m, w, x, c):
        convert = (lambda w: w.astype(used)) if m is ts else (lambda w: w)
        return scan(m)(lambda total, batch: (total + term(m, convert(w), *batch), None), 0 * wide_sum(m, c),
                       (x, c))[0]

    x, c = X.astype(used), C.astype(used)
    got = np.asarray(ts.grad(lambda w: f(ts, w, x, c))(W.astype(narrow)))
    exact = np.einsum("nrk,nrm->km", x.astype(np.float64), c.astype(np.float64))
    assert got.dtype == narrow
    assert np.linalg.norm(got - exact) <= BOUND[narrow] * np.linalg.norm(exact)


def test_a_cotangent_that_others_use_stays_narrow():
    """It is that of a narrow weight as well, which a loop adds up."""
    x, c = X.astype(ts.bf16), C.astype(ts.bf16)

    def f(w, v):
        def step(total, batch):
            return total + term(ts, both, *batch), None

        both = w.astype(ts.bf16) + v
        return ts.scan(step, ts.zeros((), ts.f32), (x, c))[0]

    wide, narrow = ts.grad(f, (0, 1))(W.astype(np.float32), W.astype(ts.bf16))
    assert (wide.dtype, narrow.dtype) == (ts.f32, ts.bf16)
    np.testing.assert_array_equal(np.asarray(wide), np.asarray(narrow).astype(np.float32))


def test_roundings_of_rules_by_hand_are_meant():
    @ts.custom_vjp
    def low_part(w, x):
        return ts.sum(w * x)

    low = X[0, 0].astype(np.float32) - X[0, 0].astype(np.float32).astype(ts.bf16).astype(np.float32)
    low_part.defvjp(lambda w, x: (low_part(w, x), (w, x)),
                    lambda r, ct: ((r[1] - r[1].astype(ts.bf16).astype(ts.f32)) * ct, r[0] * ct))
    w, x = W[:, 0].astype(np.float32), X[0, 0].astype(np.float32)
    for precision in (None, ts.Precision(grad=ts.f64)):
        np.testing.assert_array_equal(np.asarray(ts.grad(low_part, precision=precision)(w, x)), low)

    @ts.custom_vjp
    def quantised(w):
        return w

    quantised.defvjp(lambda w: (w, None), lambda r, ct: (ct.astype(ts.bf16).astype(ts.f32),))
    for precision in (None, ts.Precision(grad=ts.f64)):
        got = np.asarray(ts.grad(lambda w: ts.sum(quantised(w) * x), precision=precision)(w))
        np.testing.assert_array_equal(got, x.astype(ts.bf16).astype(got.dtype))


def test_sums_of_very_many_terms():
    """More than a recursion over them has stack for (8 MiB: 35,000)."""
    uses = 40_000

    def loss(w):
        value = w
        for _ in range(uses):
            value = value + w
        return ts.sum(value.astype(ts.f32))

    got = ts.grad(loss, precision=ts.Precision(grad=ts.f32))(np.ones(3, ts.bf16))
    np.testing.assert_array_equal(np.asarray(got), np.full(3, uses + 1, np.float32))


def test_the_example():
    x = np.random.default_rng(0).standard_normal((5, 7)).astype(ts.bf16)
    w = np.random.default_rng(1).standard_normal((7, 3)).astype(ts.bf16)
    for wide in (ts.f32, ts.f64):
        g = np.asarray(ts.grad(lambda w: ts.sum(ts.tanh(x @ w).astype(ts.f32)),
                               precision=ts.Precision(grad=wide))(w))
        assert g.dtype == wide and (g.astype(ts.bf16).astype(g.dtype) != g).any()
