# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""ts.grad, ts.vjp, ts.jvp and their family against JAX, in f64."""

import copy
import gc
import weakref

import numpy as np
import pytest

import tessera as ts

jax = pytest.importorskip("jax", reason="JAX is the oracle")
jnp = jax.numpy

pytestmark = pytest.mark.usefixtures("jax_in_f64")

RNG = np.random.default_rng(5)
X, W = RNG.standard_normal((2, 3)), RNG.standard_normal((3, 5))


def close(got, wanted):
    got, wanted = np.asarray(got), np.asarray(wanted)
    assert got.shape == wanted.shape and got.dtype == wanted.dtype
    assert np.linalg.norm(got - wanted) <= 1e-11 * np.linalg.norm(wanted) + 1e-300


def close_trees(got, wanted):
    for a, b in zip(ts.tree.leaves(got), jax.tree.leaves(wanted), strict=True):
        close(a, b)


def loss(m):
    return lambda w, x: m.sum(m.tanh(x @ w) ** 2 * m.exp(-(x @ w)))


def looped(m, scan):
    """A nest of loops that carry, stack and capture."""
    def f(w, xs):
        def outer(c, x):
            def inner(c, _):
                return m.tanh(c @ w), m.sum(c)

            c, s = scan(inner, c + x, None, length=3)
            return c * x, m.sum(s) * c

        c, ys = scan(outer, xs[0], xs)
        return m.sum(c) + m.sum(ys**2)

    return f


W3, XS = RNG.standard_normal((3, 3)) * 0.5, RNG.standard_normal((4, 3))


def test_grad_and_value():
    close(ts.grad(loss(ts))(W, X), jax.grad(loss(jnp))(W, X))
    got, wanted = ts.value_and_grad(loss(ts), (0, 1))(W, X), jax.value_and_grad(loss(jnp), (0, 1))(W, X)
    close_trees(got, wanted)


def test_grad_in_a_jitted_function():
    step = ts.jit(lambda w, x: w - 0.1 * ts.grad(loss(ts))(w, x))
    close(step(W, X), W - 0.1 * jax.grad(loss(jnp))(W, X))


def test_grad_by_name_and_aux():
    def with_aux(w, x):
        return ts.sum(x @ w), {"y": x @ w}

    gradients, aux = ts.grad(with_aux, has_aux=True, argnames=("x", "w"))(W, x=X)
    close(gradients["x"], np.ones((2, 5)) @ W.T)
    close(gradients["w"], X.T @ np.ones((2, 5)))
    close(aux["y"], X @ W)


def test_trees_of_arguments():
    params = {"a": W, "b": [X, RNG.standard_normal(5)]}

    def f(m):
        return lambda p: m.sum(m.sin(p["b"][0] @ p["a"] + p["b"][1]))

    close_trees(ts.grad(f(ts))(params), jax.grad(f(jnp))(params))


def test_vjp_pulls_more_than_once():
    value, pullback = ts.vjp(lambda w: ts.tanh(X @ w), W)
    wanted, back = jax.vjp(lambda w: jnp.tanh(X @ w), W)
    close(value, wanted)
    for seed in (1, 2):
        ct = np.random.default_rng(seed).standard_normal((2, 5))
        close_trees(pullback(ct), back(ct))


def test_jvp_and_linearize():
    change = RNG.standard_normal(W.shape)
    f, g = lambda w: ts.tanh(X @ w), lambda w: jnp.tanh(X @ w)
    close_trees(ts.jvp(f, (W,), (change,)), jax.jvp(g, (W,), (change,)))

    def pushed(w, dw):
        value, push = ts.linearize(f, w)
        return value, push(dw), push(2 * dw)

    value, one, two = ts.jit(pushed)(W, change)
    wanted = jax.jvp(g, (W,), (change,))
    close_trees((value, one, two), (*wanted, 2 * wanted[1]))


def test_jacobians_and_hessian():
    f, g = lambda w: ts.tanh(X @ w), lambda w: jnp.tanh(X @ w)
    close(ts.jacrev(f)(W), jax.jacrev(g)(W))
    close(ts.jacfwd(f)(W), jax.jacfwd(g)(W))
    close_trees(ts.hessian(loss(ts), (0, 1))(W, X), jax.hessian(loss(jnp), (0, 1))(W, X))


@pytest.mark.parametrize("mode", ["grad", "jvp", "grad of grad"])
def test_nested_loops(mode):
    f, g = looped(ts, ts.scan), looped(jnp, jax.lax.scan)
    if mode == "grad":
        return close_trees(ts.grad(f, (0, 1))(W3, XS), jax.grad(g, (0, 1))(W3, XS))
    if mode == "jvp":
        change = RNG.standard_normal(W3.shape)
        return close_trees(ts.jvp(lambda w: f(w, XS), (W3,), (change,)),
                           jax.jvp(lambda w: g(w, XS), (W3,), (change,)))
    return close(ts.grad(lambda w: ts.sum(ts.grad(f)(w, XS) ** 2))(W3),
                 jax.grad(lambda w: jnp.sum(jax.grad(g)(w, XS) ** 2))(W3))


@pytest.mark.parametrize("sign", [1, -1])
def test_cond(sign):
    def f(m, cond):
        return lambda x: m.sum(cond(m.sum(x) > 0, lambda: m.sin(x) * m.exp(x), lambda: x**3))

    x = sign * np.abs(X)
    close(ts.grad(f(ts, ts.cond))(x), jax.grad(f(jnp, jax.lax.cond))(x))
    close(ts.hessian(f(ts, ts.cond))(x), jax.hessian(f(jnp, jax.lax.cond))(x))


def test_while_loop_in_forward_mode_only():
    def f(m, loop):
        return lambda x: loop(lambda c: m.sum(c) < 100, lambda c: c * c + x, x)

    x = np.abs(X) + 1
    close_trees(ts.jvp(f(ts, ts.while_loop), (x,), (X,)), jax.jvp(f(jnp, jax.lax.while_loop), (x,), (X,)))
    with pytest.raises(ts.CompileError, match="reverse mode cannot pass a while loop"):
        ts.grad(lambda x: ts.sum(f(ts, ts.while_loop)(x)))(x)


def test_while_loop_in_a_linear_program():
    def f(m, loop, scan):
        def of(x):
            y = loop(lambda c: c[0] < 3, lambda c: (c[0] + 1, m.sin(c[1]) * x), (0, x))[1]
            return scan(lambda c, _: (loop(lambda c: m.sum(c * c) > 1, lambda c: c / 2, c * y), None), x,
                        None, length=2)[0]
        return of

    ours, theirs = f(ts, ts.while_loop, ts.scan), f(jnp, jax.lax.while_loop, jax.lax.scan)
    close(ts.jacfwd(ours)(X), jax.jacfwd(theirs)(X))
    close(ts.jacfwd(ts.jacfwd(ours))(X[0]), jax.jacfwd(jax.jacfwd(theirs))(X[0]))


def test_loop_of_a_linear_program_prints_once(capsys):
    def f(x):
        def body(c):
            ts.debug.print("at {}", c[0])
            return c[0] + 1, c[1] * x
        return ts.while_loop(lambda c: c[0] < 2, body, (0, x))[1]

    close(ts.jacfwd(f)(np.float64(2)), 12.0)
    assert capsys.readouterr().out == "at 0\nat 1\n"


def test_custom_vjp():
    @ts.custom_vjp
    def f(x, y):
        return x * y

    f.defvjp(lambda x, y: (f(x, y), (x, y)), lambda kept, ct: (3 * ct * kept[1], None))
    dx, dy = ts.grad(lambda x, y: ts.sum(f(x, y)), (0, 1))(X, X + 1)
    close(dx, 3 * (X + 1))
    close(dy, np.zeros_like(X))


def test_custom_jvp():
    @ts.custom_jvp
    def f(x):
        return ts.log(1 + ts.exp(x))

    @f.defjvp
    def rule(primals, tangents):
        (x,), (dx,) = primals, tangents
        return f(x), ts.sigmoid(x) * dx

    close(ts.grad(lambda x: ts.sum(f(x)))(X), 1 / (1 + np.exp(-X)))
    close(ts.jvp(f, (X,), (X,))[1], X / (1 + np.exp(-X)))
    s = 1 / (1 + np.exp(-X))
    close(ts.grad(lambda x: ts.sum(ts.grad(lambda x: ts.sum(f(x)))(x)))(X), s * (1 - s))


def test_stop_gradient():
    close(ts.grad(lambda x: ts.sum(x * ts.stop_gradient(x)))(X), X)


@pytest.mark.parametrize("policy", ["nothing", "dots", "dots_with_no_batch_dims", "everything",
                                    ts.checkpoint_policies.save_only_these_names("hidden")])
def test_checkpoint_changes_no_bit(policy):
    def layer(x, w):
        return ts.tanh(ts.checkpoint_name(ts.gelu(x @ w), "hidden") @ w.T)

    def net(layer):
        def f(x, w):
            for _ in range(3):
                x = layer(x, w)
            return ts.sum(x**2)

        return f

    plain = ts.grad(net(layer), (0, 1))(X, W)
    again = ts.grad(net(ts.checkpoint(layer, policy=policy)), (0, 1))(X, W)
    for a, b in zip(plain, again):
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))


def test_products_with_batch_dims_are_computed_again():
    def f(x, w):
        h = x @ w  # With weights; the next one is of each entry of a batch.
        return ts.sum(ts.sin(ts.sin(ts.einsum("bij,bkj->bik", h, h))))

    def products(policy):
        x, w = np.ones((2, 3, 5), np.float32), np.ones((5, 7), np.float32)
        lowered = ts.jit(ts.value_and_grad(ts.checkpoint(f, policy=policy), (0, 1))).lower(x, w)
        return lowered.as_text("local").count("= tessera.contract")

    plain = ts.checkpoint_policies.dots_with_no_batch_dims_saveable
    assert products("dots") + 1 == products(plain) == products("nothing") - 1


def test_values_from_outside():
    def f(m, grad):
        def g(x):
            return m.sum(x * grad(lambda y: m.sum(m.sin(y) * x))(x))

        return grad(g)

    close(f(ts, ts.grad)(X), f(jnp, jax.grad)(X))


def test_gradient_of_a_value():
    def step(w, x):
        hidden = ts.tanh(x @ w)
        kept = ts.scan(lambda c, _: (c * hidden, None), hidden, None, length=2)[0]
        value = ts.sum(kept * hidden)
        return value, ts.grad(value, {"w": w, "hidden": hidden, "kept": kept})

    value, found = ts.jit(step)(W, X)

    def of(w):
        hidden = jnp.tanh(X @ w)
        return jnp.sum(hidden**4)

    close(value, of(W))
    # Each counts as if it were the only one: what follows it, also by way of the others.
    hidden = np.tanh(X @ W)
    close(found["w"], jax.grad(of)(W))
    close(found["kept"], hidden)
    close(found["hidden"], 4 * hidden**3)


def test_gradients_of_values_by_dependent_ones():
    def step(w):
        h = ts.sin(w)
        loss = ts.sum(h * h)
        first = ts.grad(loss, {"w": w, "again": w, "h": h, "loss": loss})
        halves = ts.split(w * 3, 2, axis=0)
        return first, ts.grad(loss + ts.sum(halves[0] * halves[1] ** 2), [w, *halves])

    first, (dw, a, b) = ts.jit(step)(X)
    slope = 2 * np.sin(X) * np.cos(X)
    close_trees(first, {"w": slope, "again": slope, "h": 2 * np.sin(X), "loss": np.float64(1)})
    close(a, 9 * X[1:] ** 2)
    close(b, 18 * X[:1] * X[1:])
    close(dw, slope + 3 * np.concatenate([a, b]))


def test_gradient_of_a_value_repeats_no_effects(capfd):
    def layer(x):
        ts.debug.print("here")
        return ts.sin(x)

    def step(w):
        return ts.grad(ts.sum(ts.checkpoint(layer)(w)), w)

    close(ts.jit(step)(X), np.cos(X))
    assert capfd.readouterr().out.count("here") == 1


def test_values_from_outside_are_indexed():
    def f(m):
        return lambda x, i: m.sum(x[i[0]] * x[i[:, 1]])

    close(ts.grad(f(ts))(X, np.array([[0, 1], [1, 0]], np.int32)),
          jax.grad(f(jnp))(X, np.array([[0, 1], [1, 0]], np.int32)))


def test_logarithms_of_sums_of_exponentials():
    x = X.copy()
    x[0, 0] = x[0, 1] = 2.5  # Ties of the largest element, by which the value is shifted.
    x[1, 2] = -np.inf
    for f in (lambda m, nn: lambda x: m.sum(nn.logsumexp(x, -1) ** 2),
              lambda m, nn: lambda x: m.sum(nn.log_softmax(x)[:, :2] * X[:, :2])):
        close(ts.grad(f(ts, ts.nn))(x), jax.grad(f(jnp, jax.nn))(x))
        close(ts.hessian(f(ts, ts.nn))(x), jax.hessian(f(jnp, jax.nn))(x))


def test_aux_has_no_derivative():
    def f(m):
        return lambda w: (m.sum(w * w), m.sqrt(w))

    zeros = np.zeros(3)
    for mode in ("grad", "jacrev", "jacfwd"):
        got = getattr(ts, mode)(f(ts), has_aux=True)(zeros)
        close_trees(got, getattr(jax, mode)(f(jnp), has_aux=True)(zeros))
    close(ts.vjp(f(ts), zeros, has_aux=True)[1](1.0)[0], zeros)
    close(ts.jvp(f(ts), (zeros,), (zeros + 1,), has_aux=True)[1], np.float64(0))

    # No op is there to differentiate aux.
    text = ts.jit(ts.grad(lambda w: (ts.sum(w), ts.sin(w)), has_aux=True)).lower(zeros).as_text()
    assert "tessera.cos" not in text


def _custom(f):
    made = ts.custom_jvp(f)
    made.defjvp(lambda primals, tangents: (f(*primals), f(*tangents)))
    return made


@pytest.mark.parametrize("transform", ["grad", "value_and_grad", "jacrev", "jacfwd", "checkpoint", "vmap",
                                       "custom"])
def test_what_a_function_reads_from_outside_may_change(transform):
    factor = [1.0]
    made = (_custom if transform == "custom" else getattr(ts, transform))(lambda x: ts.sum(x * factor[0]))
    x = np.ones((2, 3))
    first = [np.asarray(leaf) for leaf in ts.tree.leaves(made(x))]
    factor[0] = 2.0
    for a, b in zip(first, ts.tree.leaves(made(x)), strict=True):
        close(b, 2 * a)


def test_functions_are_not_kept():
    class Big:
        pass

    big = Big()
    here = weakref.ref(big)
    ts.grad(lambda x, big=big: ts.sum(x))(X)
    del big
    gc.collect()
    assert here() is None


def test_copies_of_traced_values_are_these():
    def of(x):
        state = copy.deepcopy({"x": x, "y": [x * 2, 3.0]})
        other = copy.copy(x)
        assert state["x"] is x and other is x
        return ts.sum(state["x"] * state["y"][0] * state["y"][1] * other)

    x = np.arange(3.0)
    np.testing.assert_array_equal(ts.grad(of)(x), 18 * x**2)


def test_gradient_of_a_value_by_what_a_loop_captures():
    """The scan depends on what its body alone uses."""
    def step(x):
        inner = ts.sin(x)
        kept = ts.scan(lambda c, _: (c * inner, None), x, None, length=2)[0]
        return ts.grad(ts.sum(kept * inner), {"inner": inner, "kept": kept})

    found = ts.jit(step)(X)
    np.testing.assert_allclose(found["kept"], np.sin(X))
    np.testing.assert_allclose(found["inner"], 3 * X * np.sin(X) ** 2)
