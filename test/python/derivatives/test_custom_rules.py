# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What rules by hand (ts.custom_vjp, ts.custom_jvp) are given, and what they may give."""

import numpy as np
import pytest

import tessera as ts

jax = pytest.importorskip("jax", reason="JAX is the oracle")
jnp = jax.numpy

pytestmark = pytest.mark.usefixtures("jax_in_f64")

TYPES = [ts.f32, ts.f64, ts.bf16, ts.f16]


def vjp_of(m, fun, forward, backward):
    made = m.custom_vjp(fun)
    made.defvjp(lambda *args: forward(made, *args), backward)
    return made


@pytest.mark.parametrize("dtype", TYPES, ids=str)
@pytest.mark.parametrize("number", [2.0, 3, np.float64(2)], ids=repr)
def test_python_numbers_are_weak_in_rules(dtype, number):
    def of(m):
        scale = vjp_of(m, lambda x, s: x * s, lambda scale, x, s: (scale(x, s), s),
                       lambda s, g: (g * s, None))
        return m.grad(lambda x: scale(x, number).sum())

    x = np.arange(3).astype(dtype)
    got = of(ts)(x)
    assert got.dtype == dtype
    np.testing.assert_array_equal(np.asarray(got, np.float64), 3 * [number])
    if not isinstance(number, np.float64):  # It is no Python number to JAX.
        assert of(jax)(jnp.asarray(x)).dtype == dtype


@pytest.mark.parametrize("dtype", TYPES, ids=str)
def test_python_numbers_have_cotangents_of_the_tensors_beside_them(dtype):
    scale = vjp_of(ts, lambda x, s: x * s, lambda scale, x, s: (scale(x, s), (x, s)),
                   lambda kept, g: (g * kept[1], (g * kept[0]).sum()))
    x = np.arange(3).astype(dtype)
    got = ts.grad(lambda x: ts.sum(scale(x, 2.0)))(x)
    assert got.dtype == dtype
    np.testing.assert_array_equal(np.asarray(got, np.float64), [2, 2, 2])
    # A number that is differentiated by is an array.
    dx, ds = ts.grad(lambda x, s: ts.sum(scale(x, s)), (0, 1))(np.ones(3, np.float32), 2.0)
    assert (dx.tolist(), float(ds)) == ([2, 2, 2], 3)


@pytest.mark.parametrize("dtype", TYPES, ids=str)
def test_results_of_python_numbers_are_weak_in_rules(dtype):
    x = np.arange(3).astype(dtype)
    double = vjp_of(ts, lambda s: s * 2, lambda double, s: (double(s), s),
                    lambda s, g: (ts.sum(g * x * s),))
    got = ts.grad(lambda v: ts.sum(v * double(2.0)))(x)
    assert got.dtype == dtype
    np.testing.assert_array_equal(np.asarray(got, np.float64), [4, 4, 4])


@pytest.mark.parametrize("dtype", TYPES, ids=str)
def test_python_numbers_are_weak_in_rules_of_tangents(dtype):
    scale = ts.custom_jvp(lambda x, s: x * s)
    scale.defjvp(lambda primals, tangents: (scale(*primals), tangents[0] * primals[1] * 1.5))
    x = np.arange(3).astype(dtype)
    got = ts.grad(lambda x: ts.sum(scale(x, 2.0)))(x)
    assert got.dtype == dtype
    np.testing.assert_array_equal(np.asarray(got, np.float64), [3, 3, 3])


def test_none_within_a_tree_of_cotangents_stands_for_zeros():
    def of(m):
        f = vjp_of(m, lambda p, x: p["a"] * p["b"]["c"] * x * p["b"]["d"],
                   lambda f, p, x: (f(p, x), (p, x)),
                   lambda kept, g: ({"a": g * 3, "b": {"c": None, "d": g * kept[1]}}, None))
        whole = vjp_of(m, f, lambda whole, p, x: (f(p, x), x),
                       lambda x, g: ({"a": g * 3, "b": None}, g * x))

        def loss(p, x):
            return f(p, x).sum() + whole(p, x).sum()

        return m.grad(loss, (0, 1))

    x = np.arange(3.0)
    p = {"a": x + 1, "b": {"c": x + 2, "d": x + 3}}
    got, wanted = of(ts)(p, x), of(jax)(p, x)
    for a, b in zip(ts.tree.leaves(got), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))


def test_none_of_an_argument_that_has_a_none_is_no_mistake():
    f = vjp_of(ts, lambda p: p["a"] * 2, lambda f, p: (f(p), ()),
               lambda kept, g: ({"a": g * 5, "b": None},))
    got = ts.grad(lambda p: ts.sum(f(p)))({"a": np.ones(3), "b": None})
    assert got["a"].tolist() == [5, 5, 5] and got["b"] is None


@pytest.mark.parametrize("given, path", [({"a": None}, "{'a': None}"), ((None, None), "(None, None)")])
def test_none_does_not_hide_another_structure(given, path):
    f = vjp_of(ts, lambda p: p["a"] * p["b"], lambda f, p: (f(p), ()), lambda kept, g: (given,))
    with pytest.raises(ts.TraceError, match="another structure") as caught:
        ts.grad(lambda p: ts.sum(f(p)))({"a": np.ones(3), "b": np.ones(3)})
    assert f"got: {path}" in str(caught.value)


def test_rules_for_each_argument_may_be_none():
    f = ts.custom_jvp(lambda x, y: x * y)
    f.defjvps(lambda dx, value, x, y: dx * y * 7, None)
    dx, dy = ts.grad(lambda x, y: ts.sum(f(x, y)), (0, 1))(np.ones(2), np.full(2, 3.0))
    assert (dx.tolist(), dy.tolist()) == ([21, 21], [0, 0])


def test_functions_of_any_number_of_arguments_have_rules():
    f = ts.custom_vjp(lambda *xs: sum(xs))
    f.defvjp(lambda *xs: (f(*xs), ()), lambda kept, g: (g * 2, g * 3))
    dx, dy = ts.grad(lambda x, y: ts.sum(f(x, y)), (0, 1))(np.ones(2), np.ones(2))
    assert (dx.tolist(), dy.tolist()) == ([2, 2], [3, 3])
    with pytest.raises(ts.TraceError, match="defjvps"):
        g = ts.custom_jvp(lambda *xs: sum(xs))
        g.defjvps(lambda d, value, x, y: d)
        ts.grad(lambda x: ts.sum(g(x, x)))(np.ones(2))
