# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""ts.vmap against jax.vmap and against a loop, in f64."""

import numpy as np
import pytest

import tessera as ts
from conftest import needs_runtime

jax = pytest.importorskip("jax", reason="JAX is the oracle")
jnp, lax = jax.numpy, jax.lax

pytestmark = [needs_runtime, pytest.mark.usefixtures("jax_in_f64")]

RNG = np.random.default_rng(7)
V, N, K = 4, 3, 5
X, Y, W = RNG.standard_normal((V, N)), RNG.standard_normal((V, N)), RNG.standard_normal((N, K))
WV, M = RNG.standard_normal((V, N, K)), RNG.standard_normal((V, N, N))
I, S = RNG.integers(0, N, (V, 2)).astype(np.int32), RNG.integers(-2, N + 2, V).astype(np.int32)
B = RNG.standard_normal((V, 6, 4))


def close(got, wanted, tolerance=1e-12):
    mine, theirs = ts.tree.leaves(got), jax.tree.leaves(wanted)
    assert len(mine) == len(theirs)
    for a, b in zip(mine, theirs):
        a, b = np.asarray(a), np.asarray(b)
        assert a.shape == b.shape and a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


class Names:
    """What functions of both libraries are called: `m` is for NumPy's names, the rest for JAX's."""

    def __init__(self, m, of, lax, nn):
        self.m, self.vmap, self.grad, self.jvp = m, of.vmap, of.grad, of.jvp
        self.scan, self.cond, self.while_loop, self.fori = lax.scan, lax.cond, lax.while_loop, lax.fori_loop
        self.switch, self.nn, self.lax, self.of = lax.switch, nn, lax, of


TS, JAX = Names(ts, ts, ts, ts.nn), Names(jnp, jax, lax, jax.nn)


def both(build, *args, **options):
    """A function made for each library, on the same arguments."""
    close(build(TS)(*args), build(JAX)(*args), **options)


# Name: function of the library's names, arguments, in_axes.
FUNCTIONS = {
    "elementwise": (lambda n: lambda x, y: n.m.sin(x) * y + 2, (X, Y), 0),
    "shared": (lambda n: lambda x, w: n.m.tanh(x @ w), (X, W), (0, None)),
    "shared first": (lambda n: lambda w, x: x @ w, (W, X), (None, 0)),
    "product": (lambda n: lambda x, w: x @ w, (X, WV), 0),
    "outer": (lambda n: lambda x, y: x[:, None] * y[None, :], (X, Y), 0),
    "last axis": (lambda n: lambda x, y: x * n.m.cumsum(y), (X.T, Y), (-1, 0)),
    "middle axis": (lambda n: lambda w: w.sum(axis=0) + w[1], (WV,), 1),
    "where": (lambda n: lambda x, y: n.m.where(x > 0, y, 1.0), (X, Y), (0, 0)),
    "softmax": (lambda n: lambda x: n.nn.softmax(x, -1), (WV,), 0),
    "sorted": (lambda n: lambda x: n.m.sort(x), (X,), 0),
    "argmax": (lambda n: lambda x: n.m.argmax(x).astype(n.m.int32), (X,), 0),
    "take": (lambda n: lambda x, i: x[i], (X, I), 0),
    "take shared": (lambda n: lambda x, i: n.m.asarray(x)[i], (W, I), (None, 0)),
    "take alike": (lambda n: lambda x, i: x[i], (X, I[0]), (0, None)),
    "concatenate": (lambda n: lambda x, y: n.m.concatenate([x, y, n.m.ones(2, n.m.float64)]), (X, Y), 0),
    "pad": (lambda n: lambda x: n.m.pad(x, (1, 2)), (X,), 0),
    "reshape": (lambda n: lambda w: n.m.reshape(w.T, (-1,))[::2], (WV,), 0),
    "einsum": (lambda n: lambda w, v: n.m.einsum("nk,mk->nm", w, v), (WV, W), (0, None)),
    "trace-like": (lambda n: lambda a: n.m.sum(n.m.where(n.m.eye(N) > 0, a, 0.0)), (M,), 0),
    "constant": (lambda n: lambda x: n.m.ones(2, n.m.float64), (X,), 0),
    "dtype": (lambda n: lambda x: (x > 0).astype(x.dtype).sum(), (X,), 0),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions(name):
    build, args, axes = FUNCTIONS[name]
    both(lambda n: n.vmap(build(n), axes), *args)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_on_a_mesh(name):
    build, args, axes = FUNCTIONS[name]
    mesh = ts.make_mesh({"dp": 2, "tp": 2})
    each = axes if isinstance(axes, tuple) else (axes,) * len(args)

    def split(*given):
        given = [a if axis is None else ts.with_sharding_constraint(a, ts.P(*[
            "dp" if i == axis % a.ndim else None for i in range(a.ndim)])) for a, axis in zip(given, each)]
        return ts.vmap(build(TS), axes)(*given)

    close(ts.jit(split, mesh=mesh)(*args), jax.vmap(build(JAX), axes)(*args))


@pytest.mark.quick
def test_a_loop_says_the_same():
    got = ts.vmap(lambda x, w: ts.exp(x) @ w)(X, WV)
    np.testing.assert_allclose(np.asarray(got), np.stack([np.exp(x) @ w for x, w in zip(X, WV)]), rtol=1e-12)


def test_trees_of_axes():
    tree = {"a": X, "b": (W, Y.T)}

    def f(p, s):
        return {"y": p["a"] @ p["b"][0] * s, "z": [p["b"][1], s]}

    both(lambda n: n.vmap(f, ({"a": 0, "b": (None, 1)}, None)), tree, np.array(2.5))
    both(lambda n: n.vmap(f, ({"a": 0, "b": (None, -1)}, None), {"y": 1, "z": [0, None]}), tree,
         np.array(2.5))
    both(lambda n: n.vmap(lambda p: p["a"], ({"a": 0, "b": None},)), tree)


def test_out_axes():
    both(lambda n: n.vmap(lambda x: (x, x[0]), 0, (1, 0)), X)
    both(lambda n: n.vmap(lambda w: (w, w.T), 0, -1), WV)
    both(lambda n: n.vmap(lambda w: w, 2, 1), WV)
    both(lambda n: n.vmap(lambda x, y: (x, y * 2), (0, None), (0, None)), X, W)


def test_shared_arguments_stay_python_values():
    both(lambda n: n.vmap(lambda x, k: n.m.reshape(x, (k, -1)).sum(0), (0, None)), WV[:, :, :4], 2)


def test_arguments_by_name_and_axis_size():
    both(lambda n: n.vmap(lambda x, y=1.0: x + y), X, )
    close(ts.vmap(lambda x, y: x + y)(X, y=Y), X + Y)
    both(lambda n: n.vmap(lambda x: x * 2, None, axis_size=3), X)
    both(lambda n: n.vmap(lambda: n.m.ones(2, n.m.float64), axis_size=3))


def test_nested():
    both(lambda n: n.vmap(n.vmap(lambda x, y: (x * y).sum(), (None, 0)), (0, None)), X, Y)
    both(lambda n: n.vmap(n.vmap(lambda x, w: x @ w, (0, None)), (None, 0)), X, WV)
    both(lambda n: n.vmap(lambda x: n.vmap(lambda y: n.m.sin(x) @ y, 1, 0)(n.m.asarray(W) * x[0])), X)


def test_values_from_outside():
    def build(n):
        def f(x, w):
            return n.vmap(lambda r: n.m.tanh(r @ w) + n.m.sum(x))(x)

        return f

    close(ts.jit(build(TS))(X, W), build(JAX)(X, W))


def test_gradients():
    def build(n):
        return lambda w, x: n.m.sum(n.m.tanh(x @ w) ** 2)

    both(lambda n: n.vmap(n.grad(build(n)), (None, 0)), W, X)
    both(lambda n: n.vmap(n.grad(build(n), 1), (0, 0)), WV, X)
    both(lambda n: n.grad(lambda w: n.m.sum(n.vmap(lambda x: n.m.tanh(x @ w))(n.m.asarray(X)) ** 2)), W)
    both(lambda n: n.grad(lambda w: n.m.sum(n.vmap(n.grad(build(n)), (None, 0))(w, n.m.asarray(X)) ** 2)), W)
    both(lambda n: lambda w, d: n.jvp(n.vmap(lambda v: n.m.sin(v) @ n.m.asarray(W)), (w,), (d,)), X, Y)


def test_dynamic_slices():
    at = np.array([-3, 0, 2, 9], np.int32)
    one = np.int32(1)
    for axes in ((0, None), (0, 0), (None, 0)):
        both(lambda n: n.vmap(lambda a, i: n.lax.dynamic_slice(a, (i, one), (2, 2)), axes),
             B[0] if axes[0] is None else B, at[2] if axes[1] is None else at)
    both(lambda n: n.vmap(lambda a, i, j: n.lax.dynamic_slice(a, (i, j), (2, 3)), (0, 0, None)), B, at, at[1])
    both(lambda n: n.vmap(lambda a, i, j: n.lax.dynamic_slice(a, (i, j), (6, 3)), (0, 0, 0)), B, at, at)
    both(lambda n: n.vmap(lambda a, i, j: n.lax.dynamic_slice(a, (i, j), (6, 3)), (None, 0, 0)), B[0], at, at)
    update = RNG.standard_normal((V, 2, 3))
    for axes in ((0, 0, 0, 0), (None, 0, 0, 0), (0, None, 0, None), (None, 0, None, None), (0, 0, None, 0)):
        given = [a if axis == 0 else a[1] for a, axis in zip((B, update, at, at), axes)]
        both(lambda n: n.vmap(lambda a, u, i, j: n.lax.dynamic_update_slice(a, u, (i, j)), axes), *given)


def test_updates():
    both(lambda n: n.vmap(lambda x, i, y: x.at[i].add(y[:2])), X, I, Y)
    both(lambda n: n.vmap(lambda x, i, y: n.m.asarray(x).at[i].max(y[:2]), (None, 0, 0)), X[0], I, Y)
    both(lambda n: n.vmap(lambda w, i, y: w.at[:, i].add(y), (0, 0, None)), WV, I, W[:, :2])
    both(lambda n: n.vmap(lambda w, y: w.at[:, 1].set(y), (0, 0)), WV, X)


def test_random_numbers_are_those_of_each_key():
    keys = np.arange(2 * V, dtype=np.int32).reshape(V, 2)
    got = np.asarray(ts.vmap(lambda k: ts.random.normal(k, (3, 5)))(keys))
    for k, key in enumerate(keys):
        np.testing.assert_array_equal(got[k], np.asarray(ts.random.normal(key, (3, 5))))


Q, KEYS, VALUES = (RNG.standard_normal((V, 2, 5, 4, 3)), RNG.standard_normal((V, 2, 6, 2, 3)),
                   RNG.standard_normal((V, 2, 6, 2, 3)))


@pytest.mark.parametrize("axes", [(0, 0, 0), (0, None, None), (None, 0, None), (None, None, 0)])
@pytest.mark.parametrize("causal", [False, True])
def test_attention(axes, causal):
    given = [a if axis == 0 else a[1] for a, axis in zip((Q, KEYS, VALUES), axes)]

    def attend(q, k, v):
        return ts.nn.attention(q, k, v, causal=causal)

    got = np.asarray(ts.vmap(attend, axes)(*given))
    for i in range(V):
        wanted = attend(*[a[i] if axis == 0 else a for a, axis in zip(given, axes)])
        np.testing.assert_allclose(got[i], np.asarray(wanted), rtol=1e-12, atol=1e-13)


def test_entries_are_split_where_layouts_are_stated():
    mesh = ts.make_mesh({"dp": 2, "tp": 2})

    def f(x, w):
        return ts.vmap(lambda r: ts.with_sharding_constraint(ts.tanh(r @ w), ts.P("tp")),
                       spmd_axis_name="dp")(x)

    w = RNG.standard_normal((N, 6))
    jitted = ts.jit(f, mesh=mesh)
    assert "{dp}, {tp}" in jitted.lower(X, w).as_text("tessera")
    close(jitted(X, w), np.tanh(X @ w))


def test_jitted_functions_inside_and_outside():
    inner = ts.jit(lambda x, w: ts.tanh(x @ w))
    close(ts.vmap(inner, (0, None))(X, W), np.tanh(X @ W))
    close(ts.jit(ts.vmap(lambda x, w: ts.tanh(x @ w), (0, None)))(X, W), np.tanh(X @ W))
    annotated = ts.jit(ts.vmap(_of_one_row))
    close(annotated(X), 2 * X)


def _of_one_row(x: ts.MeshTensor["N"]):
    return 2 * x


def test_prints_and_checks_are_of_the_whole_batch(capfd):
    def f(x):
        ts.debug.print("x {}", x)
        ts.debug.check(x < 10, "large")
        return x + 1

    np.testing.assert_array_equal(np.asarray(ts.vmap(f)(np.array([1.0, 2.0]))), [2, 3])
    assert capfd.readouterr().out.count("x ") == 1
