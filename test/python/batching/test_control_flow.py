# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Loops, conditionals and functions with rules of their own in a batch, and batches in them: against JAX."""

import numpy as np
import pytest

import tessera as ts
from conftest import needs_runtime
from test_vmap import JAX, TS, W, X, Y, both, close, jax, jnp

pytestmark = [needs_runtime, pytest.mark.usefixtures("jax_in_f64")]

RNG = np.random.default_rng(11)
XS, C, A = RNG.standard_normal((4, 5, 3)), RNG.standard_normal((4, 3)), RNG.standard_normal((3, 3)) * 0.5
COUNTS = np.array([3, 0, 7, 2], np.int32)
FLAGS = np.array([True, False, False, True])


def scanned(n):
    def f(c, xs, a):
        def step(carry, x):
            c, total = carry
            c = n.m.tanh(c @ a) + x
            return (c, total + 1.0), (c.sum(), total)

        return n.scan(step, (c, n.m.zeros((), c.dtype)), xs)

    return f


@pytest.mark.parametrize("axes", [(0, 0, None), (0, None, None), (None, 0, None), (None, 1, None)])
def test_scan(axes):
    given = [C if axes[0] == 0 else C[0], {0: XS, None: XS[0], 1: np.moveaxis(XS, 0, 1)}[axes[1]], A]
    both(lambda n: n.vmap(scanned(n), axes), *given)


def test_scan_that_captures():
    both(lambda n: n.vmap(lambda x: n.scan(lambda c, s: (c + x * s, c.sum()), n.m.zeros(3, x.dtype),
                                           n.m.asarray(Y))), X)


def test_nested_scans_find_what_depends_on_the_entry():
    def build(n):
        def f(x):
            def outer(carry, _):
                a, b, c = carry
                # After three turns what x gave to c has reached a.
                inner, _ = n.scan(lambda s, _: (s + b, None), a, None, length=2)
                return (inner, c, c + x), a

            zero = n.m.zeros((), x.dtype)
            return n.scan(outer, (zero, zero, zero), None, length=4)

        return f

    both(lambda n: n.vmap(build(n)), X[:, 0])


def test_vmap_in_scan():
    both(lambda n: lambda c, xs: n.scan(
        lambda c, x: (n.vmap(lambda a, b: n.m.sin(a) * b, (0, None))(c, x), c), c, xs), X, XS[0])


def test_while_with_a_shared_condition():
    both(lambda n: n.vmap(lambda x, k: n.while_loop(
        lambda s: s[0] < k, lambda s: (s[0] + 1, s[1] * x), (n.m.zeros((), n.m.int32), x)), (0, None)),
        X, COUNTS[0])


def test_while_runs_until_all_are_done():
    both(lambda n: n.vmap(lambda x, k: n.while_loop(
        lambda s: s[0] < k, lambda s: (s[0] + 1, s[1] * 1.5 + x, s[2] + 1.0),
        (n.m.zeros((), n.m.int32), x, n.m.zeros((), x.dtype)))), X, COUNTS)


def test_while_in_while():
    def build(n):
        def f(x, k):
            def body(s):
                i, y = s
                _, y = n.while_loop(lambda t: t[0] < i, lambda t: (t[0] + 1, t[1] * 1.25 + x),
                                    (n.m.zeros((), n.m.int32), y))
                return i + 1, y

            return n.while_loop(lambda s: s[0] < k, body, (n.m.zeros((), n.m.int32), x))

        return f

    both(lambda n: n.vmap(build(n)), X, COUNTS)


def test_fori_loop():
    both(lambda n: n.vmap(lambda x: n.fori(0, 4, lambda i, s: s * x + i, x)), X)
    both(lambda n: n.vmap(lambda x, k: n.fori(0, k, lambda i, s: s * x + i, x)), X, COUNTS)


def test_cond():
    def build(n):
        return lambda p, x: n.cond(p, lambda x: (n.m.sin(x), x[0]), lambda x: (x * 2, x.sum()), x)

    both(lambda n: n.vmap(build(n)), FLAGS, X)
    both(lambda n: n.vmap(build(n), (None, 0)), FLAGS[0], X)
    both(lambda n: n.vmap(build(n), (0, None)), FLAGS, X[0])
    both(lambda n: n.vmap(lambda p, x: n.cond(
        p, lambda: (x, x[0]), lambda: (n.m.zeros(3, x.dtype), x[1] * 0)), (None, 0)), FLAGS[0], X)


def test_switch_clamps():
    def build(n):
        return lambda k, x: n.switch(k, [lambda x: x, lambda x: x * 2, lambda x: n.m.exp(x)], x)

    both(lambda n: n.vmap(build(n)), np.array([-4, 1, 2, 9], np.int32), X)


def test_vmap_in_cond_and_in_while():
    both(lambda n: lambda p, x: n.cond(p, lambda x: n.vmap(lambda r: r * r.sum())(x), lambda x: x, x),
         FLAGS[0], X)
    both(lambda n: lambda x: n.while_loop(lambda s: s[0] < 3, lambda s: (
        s[0] + 1, n.vmap(lambda r: n.m.tanh(r @ n.m.asarray(A)))(s[1])), (n.m.zeros((), n.m.int32), x)), X)


def test_gradients_of_loops():
    def total(n):
        return lambda c, xs, a: n.m.sum(scanned(n)(c, xs, a)[0][0])

    both(lambda n: n.vmap(n.grad(total(n), (0, 1, 2)), (0, 0, None)), C, XS, A)
    both(lambda n: n.grad(lambda a: n.m.sum(n.vmap(total(n), (0, 0, None))(
        n.m.asarray(C), n.m.asarray(XS), a))), A)
    both(lambda n: n.grad(lambda x: n.m.sum(n.vmap(lambda p, r: n.cond(
        p, n.m.sin, lambda r: r * r, r))(n.m.asarray(FLAGS), x))), X)


@pytest.mark.parametrize("operands", ["given", "captured"])
def test_branches_not_taken_have_no_gradient(operands):
    """Singular in entries that do not take them, and in what entries share if none does."""
    rows = np.array([[-1.0, 1.0, 0.0], [2.0, 1.0, 3.0], [0.0, 3.0, -2.0]])
    table = np.array([0.5, -0.25, 0.0])

    def one(n, k, r, w):
        branches = [lambda r, w: n.m.sum(n.m.sqrt(r) * w),
                    lambda r, w: n.m.sum(1 / r) + n.m.sum(r @ n.m.asarray(A) * w),
                    lambda r, w: n.m.sum(1 / w) * r[0] + n.m.sum(n.m.sqrt(w)), lambda r, w: r[1] * w[0]]
        if operands == "given":
            return n.switch(k, branches, r, w)
        return n.switch(k, [lambda branch=branch: branch(r, w) for branch in branches])

    def total(n, kinds):
        return lambda rows, w: n.m.sum(n.vmap(lambda k, r: one(n, k, r, w))(n.m.asarray(kinds), rows))

    for kinds in ([3, 1, 3], [1, 0, 3], [5, 0, 3], [3, 3, 3]):
        kinds = np.array(kinds, np.int32)
        safe = np.where((kinds == 0)[:, None], np.abs(rows) + 1, rows)
        safe = np.where((kinds == 1)[:, None] & (rows == 0), 1.0, safe)
        both(lambda n: n.grad(total(n, kinds), (0, 1)), safe, table)

    def flagged(n):
        def row(p, r):
            return n.scan(lambda c, s: (n.cond(p, lambda: n.m.sqrt(s) * c, lambda: s + c), s),
                          n.m.ones((), r.dtype), r)[0]

        return lambda x: n.m.sum(n.vmap(row)(n.m.asarray(FLAGS), x))

    both(lambda n: n.grad(flagged(n)), np.where(FLAGS[:, None], np.abs(X) + 1, -np.abs(X)))


def test_a_weight_that_entries_share_is_not_repeated():
    """In a branch that not all take: neither in the products nor in their gradients."""
    def total(w, x, flags):
        return ts.sum(ts.vmap(lambda x, p: ts.cond(p, lambda: ts.tanh(ts.sqrt(x) @ w), lambda: x))(x, flags))

    x, w = np.ones((16, 8), np.float32), np.full((8, 8), 0.1, np.float32)
    lowered = ts.jit(ts.grad(total)).lower(w, x, np.ones(16, bool))
    text = lowered.as_text("local")
    assert "x8x8xf32" not in text and text.count("= tessera.contract") == 2
    x[::2] *= -1
    gradient = np.asarray(ts.grad(total)(w, x, x[:, 0] > 0))
    np.testing.assert_allclose(gradient, np.full((8, 8), 8 * (1 - np.tanh(0.8) ** 2)), rtol=1e-5)

    def until_it_is_small(n):
        """Entries that do not take the branch end as they would."""
        def one(x, p):
            return n.cond(p, lambda: n.while_loop(lambda s: n.m.sum(s @ n.m.asarray(A)) < 5.0,
                                                  lambda s: s + n.m.abs(x), x), lambda: x)

        return n.vmap(one)

    both(until_it_is_small, np.abs(X) * np.sign(A.sum(1)), FLAGS)


def test_on_a_mesh():
    mesh = ts.make_mesh({"dp": 2, "tp": 2})

    def split(c, xs, a, k):
        c = ts.with_sharding_constraint(c, ts.P("dp", None))
        return (ts.vmap(scanned(TS), (0, 0, None))(c, xs, a), ts.vmap(lambda x, k: ts.while_loop(
            lambda s: s[0] < k, lambda s: (s[0] + 1, s[1] * 1.5), (ts.zeros((), ts.i32), x)))(c, k))

    wanted = (jax.vmap(scanned(JAX), (0, 0, None))(C, XS, A), jax.vmap(lambda x, k: jax.lax.while_loop(
        lambda s: s[0] < k, lambda s: (s[0] + 1, s[1] * 1.5), (jnp.zeros((), jnp.int32), x)))(C, COUNTS))
    close(ts.jit(split, mesh=mesh)(C, XS, A, COUNTS), wanted)


def clipped(n):
    """The identity, whose cotangent is clipped; its rule for w is wrong by a factor, so that one sees it."""
    @n.of.custom_vjp
    def f(x, w):
        return n.m.sin(x) * w.sum()

    f.defvjp(lambda x, w: (f(x, w), (x, w)),
             lambda kept, ct: (n.m.clip(ct, -0.1, 0.1) * kept[0], 7 * ct.sum() * n.m.cos(kept[1])))
    return f


@pytest.mark.parametrize("axes", [(0, None), (0, 0), (None, 0)])
def test_custom_vjp_keeps_its_rule(axes):
    x, w = (X if axes[0] == 0 else X[0]), (Y if axes[1] == 0 else Y[0])
    both(lambda n: n.grad(lambda x, w: n.m.sum(n.vmap(clipped(n), axes)(x, w) ** 2), (0, 1)), x, w)
    both(lambda n: n.vmap(n.grad(lambda x, w: n.m.sum(clipped(n)(x, w) ** 2), (0, 1)), axes), x, w)
    both(lambda n: n.vmap(clipped(n), axes), x, w)


def doubled(n):
    @n.of.custom_jvp
    def f(x, w):
        return x * w.sum()

    @f.defjvp
    def rule(primals, tangents):
        (x, w), (dx, dw) = primals, tangents
        return f(x, w), 5 * dx * n.m.cos(w).sum() + 3 * x * dw.sum()

    return f


@pytest.mark.parametrize("axes", [(0, None), (0, 0), (None, 0)])
def test_custom_jvp_keeps_its_rule(axes):
    x, w = (X if axes[0] == 0 else X[0]), (Y if axes[1] == 0 else Y[0])
    both(lambda n: n.grad(lambda x, w: n.m.sum(n.vmap(doubled(n), axes)(x, w) ** 2), (0, 1)), x, w)
    both(lambda n: lambda x, w: n.jvp(n.vmap(doubled(n), axes), (x, w), (x * 2, w * 3)), x, w)


def test_checkpoints_stay():
    def build(n):
        layer = n.of.checkpoint(lambda x, w: n.m.tanh(n.m.tanh(x @ w) @ w.T))
        return lambda w: n.m.sum(n.vmap(layer, (0, None))(n.m.asarray(X), w) ** 2)

    both(lambda n: n.grad(build(n)), W)
    text = ts.jit(lambda w: ts.vmap(ts.checkpoint(lambda x: ts.tanh(x @ w)))(X)).lower(W).as_text("tessera")
    assert 'checkpoint "nothing"' in text


def test_forward_mode_of_while_loops():
    def build(n):
        return lambda x, k: n.while_loop(lambda s: s[0] < k, lambda s: (s[0] + 1, n.m.sin(s[1]) * x),
                                         (n.m.zeros((), n.m.int32), x))[1]

    both(lambda n: lambda x, d: n.jvp(lambda x: n.vmap(build(n))(x, n.m.asarray(COUNTS)), (x,), (d,)), X, Y)
    both(lambda n: n.vmap(lambda x, d, k: n.jvp(lambda x: build(n)(x, k), (x,), (d,))), X, Y, COUNTS)


def test_jacobians():
    both(lambda n: n.vmap(n.of.jacrev(lambda v: n.m.sin(v) * v[0])), X)
    both(lambda n: n.vmap(n.of.hessian(lambda v: n.m.sum(n.m.sin(v) * v[0]))), X)
    both(lambda n: n.of.jacfwd(n.vmap(lambda v: n.m.sin(v) * v[0])), X)
