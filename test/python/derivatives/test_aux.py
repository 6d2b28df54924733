# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""aux of has_aux=True: no derivative where it is given, and all of its own in derivatives around that."""

import numpy as np
import pytest
from test_modes import close, close_trees, jax, jnp

import tessera as ts

pytestmark = pytest.mark.usefixtures("jax_in_f64")

W = np.array([1.0, 2.0, -0.5])
V = np.array([0.3, -1.0, 2.0])


def f(m):
    """Value and aux, each by its own powers."""
    return lambda w: (m.sum(w**2 * m.cos(w)), {"cube": w**3, "sum": m.sum(m.sin(w))})


def total(m, tree):
    leaves = ts.tree.leaves(tree) if m is ts else jax.tree.leaves(tree)
    return sum(m.sum(m.sin(leaf)) for leaf in leaves)


def of_grad(m, lib):
    return lambda w: total(m, lib.grad(f(m), has_aux=True)(w))


def of_value_and_grad(m, lib):
    return lambda w: total(m, lib.value_and_grad(f(m), has_aux=True)(w))


def of_vjp(m, lib):
    def outer(w):
        value, pull, aux = lib.vjp(f(m), w, has_aux=True)
        return total(m, [value, pull(m.sin(value)), aux])
    return outer


def of_jvp(m, lib):
    return lambda w: total(m, lib.jvp(f(m), (w,), (m.sin(w),), has_aux=True))


def of_linearize(m, lib):
    def outer(w):
        value, pushed, aux = lib.linearize(f(m), w, has_aux=True)
        return total(m, [value, pushed(m.sin(w)), pushed(m.cos(w)), aux])
    return outer


def of_jacrev(m, lib):
    return lambda w: total(m, lib.jacrev(lambda w: (m.sin(w) * m.sum(w), f(m)(w)), has_aux=True)(w))


def of_jacfwd(m, lib):
    return lambda w: total(m, lib.jacfwd(lambda w: (m.sin(w) * m.sum(w), f(m)(w)), has_aux=True)(w))


def of_hessian(m, lib):
    return lambda w: total(m, lib.hessian(f(m), has_aux=True)(w))


INNER = [of_grad, of_value_and_grad, of_vjp, of_jvp, of_linearize, of_jacrev, of_jacfwd, of_hessian]


def compare(inner, given=W):
    """Reverse mode, forward mode and second derivatives around it."""
    for mode in ("grad", "jacfwd", "hessian"):
        got = ts.jit(getattr(ts, mode)(inner(ts, ts)))(given)
        close_trees(got, getattr(jax, mode)(inner(jnp, jax))(given))
    ours = ts.jit(lambda w: ts.jvp(inner(ts, ts), (w,), (ts.cos(w),)))(given)
    close_trees(ours, jax.jvp(inner(jnp, jax), (given,), (jnp.cos(given),)))


@pytest.mark.parametrize("inner", INNER)
def test_aux_has_derivatives_around(inner):
    compare(inner)


def test_the_example():
    def outer(w):
        g, aux = ts.grad(lambda w: (ts.sum(w**2), ts.sum(w**3)), has_aux=True)(w)
        return ts.sum(g) + aux

    close(ts.grad(outer)(np.array([1.0, 2.0])), np.array([5.0, 14.0]))


def test_aux_of_inner_gradients():
    def inner(m, lib):
        def once(w):
            gradient, aux = lib.grad(f(m), has_aux=True)(w)
            return m.sum(gradient * w), (gradient, aux, w)

        return lambda w: total(m, lib.grad(once, has_aux=True)(w))

    compare(inner)


def test_aux_that_are_inputs_results_and_integers():
    def inner(m, lib):
        def once(w, v):
            value = m.sum(w * v)
            return value, (w, v, value, value, m.argmax(w), np.arange(3), 2.0, None)

        def outer(w):
            gradient, (*floats, index, numbers, two, none) = lib.grad(once, has_aux=True)(w, w * V)
            assert none is None
            return total(m, [gradient, *floats]) * two + m.sum(w * (index + numbers))

        return outer

    compare(inner)


def test_values_of_integers_beside_aux():
    def inner(w):
        (value, count), change, aux = ts.jvp(lambda w: ((ts.sum(w**2), ts.argmax(w)), w**3), (w,), (w,),
                                             has_aux=True)
        assert change[1].dtype == count.dtype
        return value + ts.sum(change[0]) + ts.sum(aux)

    close(ts.grad(inner)(W), 2 * W + 4 * W + 3 * W**2)


def test_slopes_without_bounds():
    """Of aux by what is differentiated there; by what is around that it has finite ones."""
    def inner(m, lib):
        def once(v, w):
            return m.sum(v * v * w + m.sin(v) * w**2), m.sqrt(v) + w**3

        return lambda w: total(m, lib.grad(once, has_aux=True)(np.zeros(3), w))

    compare(inner)


@pytest.mark.parametrize("policy", ["nothing", "dots", "everything"])
def test_aux_of_checkpoints_and_loops(policy):
    def inner(m, lib):
        def step(carry, x):
            carry = m.sin(carry * x)
            return carry, carry**2

        def once(w):
            if m is ts:
                again = ts.checkpoint(lambda w: ts.scan(step, w, w), policy=policy)
            else:
                again = jax.checkpoint(lambda w: jax.lax.scan(step, w, w))
            last, all_of_them = again(w)
            return m.sum(last), (all_of_them, last)

        return lambda w: total(m, lib.grad(once, has_aux=True)(w))

    compare(inner)


def test_aux_in_a_loop():
    def inner(m, lib):
        scan = ts.scan if m is ts else jax.lax.scan

        def step(w, x):
            gradient, aux = lib.grad(lambda w: (m.sum(m.sin(w) * x), m.sum(w**2) * x), has_aux=True)(w)
            return w - 0.1 * gradient, aux

        return lambda w: total(m, scan(step, w, V))

    compare(inner)


def test_aux_on_a_mesh():
    a, b = np.random.default_rng(0).standard_normal((2, 4, 4))

    def inner(m, lib):
        def once(w):
            hidden = m.tanh(a @ w)
            return m.sum(hidden @ w), (hidden, m.sum(w @ b, axis=0))

        return lambda w: total(m, lib.value_and_grad(once, has_aux=True)(w))

    for mode in ("grad", "hessian"):
        got = ts.jit(getattr(ts, mode)(inner(ts, ts)), mesh=ts.make_mesh({"tp": 2}),
                     in_shardings={"w": ts.P(None, "tp")})(b)
        close(got, getattr(jax, mode)(inner(jnp, jax))(b))


def test_rules_of_the_user_for_aux():
    """The rule counts in derivatives around; where aux is given, it is not even asked."""
    @ts.custom_vjp
    def g(x):
        return ts.sin(x)

    g.defvjp(lambda x: (ts.sin(x), x), lambda x, ct: (10 * ct * x,))

    def outer(w):
        gradient, aux = ts.grad(lambda w: (ts.sum(w**2), g(w)), has_aux=True)(w)
        return ts.sum(gradient) + ts.sum(aux)

    close(ts.grad(outer)(W), 2 + 10 * W)
    assert ts.jvp(lambda w: (ts.sum(w), g(w)), (W,), (W,), has_aux=True)[1] == W.sum()


    # Forward mode does not ask for it either, nor in a loop: nothing needs aux.
    def step(w, _):
        return ts.grad(lambda w: (ts.sum(w**3), g(w)), has_aux=True)(w)[0], None

    close(ts.jvp(lambda w: ts.scan(step, w, None, length=2)[0], (W,), (W,))[1], 4 * 27 * W**4)


def test_nothing_is_computed_for_aux():
    """Nor are there ops that only a derivative of aux would need."""
    def once(w):
        return ts.sum(w), ts.sin(w)

    for function in (*[mode(once, has_aux=True) for mode in (ts.grad, ts.jacfwd, ts.jacrev)],
                     lambda w: ts.jvp(once, (w,), (w,), has_aux=True)):
        assert "tessera.cos" not in ts.jit(function).lower(W).as_text()
