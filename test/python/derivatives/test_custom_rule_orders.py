# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Derivative rules that call their own function: right at every order, as in JAX."""

import numpy as np
import pytest

import tessera as ts

jax = pytest.importorskip("jax", reason="JAX is the oracle")

pytestmark = pytest.mark.usefixtures("jax_in_f64")

X = np.float64(0.7)
ORDERS = range(1, 6)


def repeated(m, f, order, modes=("reverse",)):
    """The derivative of an order, by modes in turn, the innermost first."""
    for i in range(order):
        f = m.grad(f) if modes[i % len(modes)] == "reverse" else forward(m, f)
    return f


def forward(m, f):
    return lambda x: m.jvp(f, (x,), (m.numpy.ones_like(x),))[1]


def by_jvp(m, fun, rule, **options):
    f = m.custom_jvp(fun, **options)
    f.defjvp(lambda *args: rule(f, *args))
    return f


def by_vjp(m, fun, fwd, bwd, **options):
    f = m.custom_vjp(fun, **options)
    f.defvjp(lambda *args: fwd(f, *args), lambda *args: bwd(f, *args))
    return f


def rounded(m):
    return by_jvp(m, lambda x: m.numpy.round(x), lambda f, p, t: (f(*p), f(*p) * t[0]))


def doubled(m):
    return by_jvp(m, lambda x: 2 * x, lambda f, p, t: (f(*p), f(*p) * t[0]))


def of_three_calls(m):
    def rule(f, p, t):
        value = f(*p)
        return value, f(p[0]) * value * f(p[0] * p[0]) * t[0]

    return by_jvp(m, lambda x: x + 1, rule)


def doubled_by_vjp(m):
    return by_vjp(m, lambda x: 2 * x, lambda f, x: (f(x), f(x)), lambda f, r, g: (r * g,))


def called_backward(m):
    return by_vjp(m, lambda x: 2 * x, lambda f, x: (f(x), x), lambda f, r, g: (f(r) * f(g) + f(r * g),))


def pair(m):
    """Two functions whose rules call each other, and themselves."""
    a = m.custom_jvp(lambda x: m.numpy.sin(x))
    b = m.custom_jvp(lambda x: 3 * x)
    a.defjvp(lambda p, t: (a(*p), b(*p) * t[0]))
    b.defjvp(lambda p, t: (b(*p), (b(*p) - 2 * a(*p)) * t[0]))
    return lambda x: a(x) * b(x)


def mixed_pair(m):
    a = m.custom_vjp(lambda x: m.numpy.sin(x))
    b = m.custom_jvp(lambda x: 3 * x)
    a.defvjp(lambda x: (a(x), (a(x), b(x))), lambda r, g: (r[0] * r[1] * g,))
    b.defjvp(lambda p, t: (b(*p), (b(*p) - 2 * a(*p)) * t[0]))
    return lambda x: a(x) + b(x)


def closed_twice(m):
    """Rules alike but for what they close over, and a function between them."""
    def made(factor):
        f = m.custom_jvp(lambda x: 2 * x)
        g = m.custom_jvp(lambda x: 3 * x)
        g.defjvp(lambda p, t: (g(*p), f(*p) * t[0]))
        f.defjvp(lambda p, t: (f(*p), factor * g(*p) * t[0]))
        return f

    one, two = made(1.0), made(2.0)
    return lambda x: one(x) * two(x)


def counted(m):
    """A static order, which each rule counts up."""
    f = m.custom_jvp(lambda n, x: (n + 1) * m.numpy.round(x + n), nondiff_argnums=(0,))
    f.defjvp(lambda n, p, t: (f(n, *p), f(n + 1, *p) * t[0]))
    return lambda x: f(0, x)


def made_anew(m):
    def of(n):
        f = m.custom_jvp(lambda x: n * m.numpy.round(x + n))
        f.defjvp(lambda p, t: (f(*p), of(n + 1)(*p) * t[0]))
        return f

    return of(1)


def with_static(m):
    f = m.custom_vjp(lambda x, n: n * x, nondiff_argnums=(1,))
    f.defvjp(lambda x, n: (f(x, n), f(x, n)), lambda n, r, g: (n * r * g,))
    return lambda x: f(x, 2) * f(x, 3)


def loop(m, body, x, length):
    if m is Tessera:
        return ts.scan(lambda c, _: (body(c), None), x, None, length=length)[0]
    for _ in range(length):  # A scan of JAX loses rules from the second order on.
        x = body(x)
    return x


def in_scan(m):
    f, g = doubled(m), doubled_by_vjp(m)
    return lambda x: loop(m, lambda c: g(f(c)) / 3, x, 3)


def in_scan_in_forward_mode(m):
    f = doubled(m)
    return lambda x: loop(m, lambda c: f(c) / 3, x, 3)


def scan_in_rule(m):
    def rule(f, p, t):
        return f(*p), loop(m, lambda c: f(c) / 3, p[0], 2) * t[0]

    return by_jvp(m, lambda x: 2 * x, rule)


def in_vmap(m):
    f, g = doubled(m), doubled_by_vjp(m)
    return lambda x: m.numpy.sum(m.vmap(lambda a, b: f(a) * g(a) * f(b) * g(b), (0, None))(
        x * np.arange(1.0, 4), x))


def vmap_in_rule(m):
    return by_jvp(m, lambda x: 2 * x, lambda f, p, t: (f(*p), m.vmap(f)(p[0][None])[0] * t[0]))


def with_checkpoint(m):
    f = by_jvp(m, lambda x: 2 * x, lambda f, p, t: (f(*p), m.checkpoint(f)(*p) * t[0]))
    g = doubled_by_vjp(m)
    return m.checkpoint(lambda x: m.numpy.sin(f(x)) * g(x))


def on_tangents(m):
    return by_jvp(m, lambda x: 2 * x, lambda f, p, t: (f(*p), f(t[0]) * f(*p)))


class Tessera:
    """Names as in JAX."""

    class numpy:  # noqa: N801
        round, sin, sum, ones_like = ts.round, ts.sin, ts.sum, ts.ones_like

    grad, jvp, vmap, checkpoint = ts.grad, ts.jvp, ts.vmap, ts.checkpoint
    custom_jvp, custom_vjp = ts.custom_jvp, ts.custom_vjp


FORWARD = [rounded, doubled, of_three_calls, pair, closed_twice, counted, made_anew, in_scan_in_forward_mode,
           scan_in_rule, vmap_in_rule]
REVERSE = [*FORWARD, in_scan, doubled_by_vjp, called_backward, mixed_pair, with_static, in_vmap,
           with_checkpoint, on_tangents]


@pytest.mark.parametrize("of", REVERSE)
def test_reverse_mode(of):
    for order in ORDERS:
        wanted = repeated(jax, of(jax), order)(X)
        np.testing.assert_allclose(repeated(Tessera, of(Tessera), order)(X), wanted, rtol=1e-12,
                                   err_msg=f"order {order}")


@pytest.mark.parametrize("modes", [("forward",), ("reverse", "forward"), ("forward", "reverse")],
                         ids=" ".join)
@pytest.mark.parametrize("of", FORWARD)
def test_forward_mode(of, modes):
    for order in ORDERS:
        wanted = repeated(jax, of(jax), order, modes)(X)
        np.testing.assert_allclose(repeated(Tessera, of(Tessera), order, modes)(X), wanted, rtol=1e-12,
                                   err_msg=f"order {order}")


@pytest.mark.parametrize("of", [doubled, pair])
def test_jacobians(of):
    x = np.array([0.3, 0.7])
    f, g = of(Tessera), of(jax)
    np.testing.assert_allclose(ts.jacfwd(ts.hessian(lambda x: ts.sum(f(x))))(x),
                               jax.jacfwd(jax.hessian(lambda x: g(x).sum()))(x), rtol=1e-12)
    np.testing.assert_allclose(ts.jacrev(ts.jacrev(ts.jacrev(f)))(x),
                               jax.jacrev(jax.jacrev(jax.jacrev(g)))(x), rtol=1e-12)


@pytest.mark.parametrize("of", [rounded, pair, doubled_by_vjp, mixed_pair, in_scan])
def test_values_differentiated_afterwards(of):
    """Nothing says how often when the call is traced."""
    f, g = of(Tessera), of(jax)

    @ts.jit
    def derivatives(x):
        values = [f(x)]
        for _ in ORDERS:
            values.append(ts.grad(values[-1], x))
        return values[1:]

    wanted = [repeated(jax, g, order)(X) for order in ORDERS]
    np.testing.assert_allclose(derivatives(X), wanted, rtol=1e-12)


def test_a_pullback_kept_outside_is_differentiated():
    f, g = called_backward(Tessera), called_backward(jax)
    pullback, wanted = ts.vjp(f, X)[1], jax.vjp(g, X)[1]
    for order in ORDERS:
        np.testing.assert_allclose(repeated(Tessera, lambda ct: pullback(ct)[0], order)(X),
                                   repeated(jax, lambda ct: wanted(ct)[0], order)(X), rtol=1e-12)


def test_a_rule_is_traced_once():
    traced = {"function": 0, "rule": 0}

    def fun(x):
        traced["function"] += 1
        return 2 * x

    def rule(p, t):
        traced["rule"] += 1
        return f(*p), f(*p) * t[0]

    f = ts.custom_jvp(fun)
    f.defjvp(rule)
    counts = []
    for order in ORDERS:
        repeated(Tessera, f, order)(X)
        counts.append(dict(traced))
        traced.update(function=0, rule=0)
    assert counts == len(ORDERS) * [{"function": 3, "rule": 1}]


@pytest.mark.parametrize("of", [counted, made_anew])
def test_a_rule_of_other_arguments_is_refused_where_it_ends(of):
    f, g = of(Tessera), of(jax)

    def derivative(x, order):
        value = f(x)
        for _ in range(order):
            value = ts.grad(value, x)
        return value

    for order in (1, 2):
        np.testing.assert_allclose(ts.jit(derivative, static_argnums=1)(X, order), repeated(jax, g, order)(X))
    with pytest.raises(ts.CompileError, match="of too high an order") as caught:
        ts.jit(derivative, static_argnums=1)(X, 3)
    assert "up to order 2" in str(caught.value) and "ts.grad(ts.grad(f))" in str(caught.value)
    assert caught.value.location.file == __file__


def test_a_rule_may_differentiate_other_values():
    """Beside a call of its own function, which has no rule yet."""
    def rule(p, t):
        value = f(*p)
        square = ts.sum(p[0] ** 2)
        return value, ts.grad(square, p[0]) * ts.grad(lambda y: y * f(*p))(p[0]) * t[0]

    f = ts.custom_jvp(lambda x: x + 1)
    f.defjvp(rule)
    np.testing.assert_allclose(ts.grad(f)(X), 2 * X * (X + 1))
    # (x^2)' f + 2 x f', with f' = 2 x f.
    np.testing.assert_allclose(ts.grad(ts.grad(f))(X), (2 + 4 * X * X) * (X + 1))


def test_a_rule_may_print():
    f = doubled(Tessera)

    def rule(p, t):
        value = f(*p)
        ts.debug.print("{}", value)
        return value, g(*p) * t[0]

    g = ts.custom_jvp(lambda x: 2 * x)
    g.defjvp(rule)
    assert ts.jit(lambda x: ts.grad(ts.grad(g(x), x), x))(X) == 2 * X


def test_a_rule_does_not_differentiate_its_own_function():
    f = by_jvp(Tessera, lambda x: 2 * x, lambda f, p, t: (f(*p), ts.grad(f)(*p) * t[0]))
    with pytest.raises(ts.CompileError, match="of too high an order"):
        ts.grad(f)(X)
    g = by_jvp(Tessera, lambda x: 2 * x, lambda g, p, t: (g(*p), ts.grad(g(*p), p[0]) * t[0]))
    with pytest.raises(ts.CompileError, match="part of the derivative rule of its own function"):
        ts.grad(g)(X)


@pytest.mark.parametrize("length", range(1, 6))
def test_rules_that_differentiate_functions_of_the_same_factory(length):
    """As wrappers of implicit layers do, one around the other."""
    def chain(m):
        def wrapped(inner):
            return by_jvp(m, lambda x: inner(x),
                          lambda f, p, t: (f(*p), m.jvp(inner, (p[0],), (t[0],))[1]))

        f = m.sin if m is ts else m.numpy.sin
        for _ in range(length):
            f = wrapped((lambda g: lambda x: g(x) * 1.5 + x * x)(f))
        return f

    for order in (1, 2, 3):
        np.testing.assert_allclose(repeated(ts, chain(ts), order)(X), repeated(jax, chain(jax), order)(X),
                                   rtol=1e-12)


def test_rules_that_differentiate_their_function_of_less():
    def power(m):
        return by_jvp(m, lambda k, x: x**k, lambda f, k, p, t: (
            f(k, *p), t[0] if k == 1 else m.jvp(lambda x: x * f(k - 1, x), p, t)[1]), nondiff_argnums=(0,))

    for order in (1, 2):
        np.testing.assert_allclose(repeated(ts, lambda x: power(ts)(5, x), order)(X),
                                   repeated(jax, lambda x: power(jax)(5, x), order)(X), rtol=1e-12)


def test_a_checkpoint_computes_the_calls_of_a_rule_again():
    """It keeps what it takes, as it does where the rule calls other functions."""
    f = by_jvp(ts, lambda x: ts.sin(x) * x, lambda f, p, t: (f(*p), f(*p) * t[0] * 2))
    g = by_jvp(ts, lambda x: ts.sin(x) * x, lambda g, p, t: (g(*p), ts.sin(*p) * p[0] * t[0] * 2))
    x = np.array([0.3, 0.7])

    def lowered(function, policy):
        def loss(x):
            return ts.sum(ts.checkpoint(lambda v: function(v) * v, policy=policy)(x * 2))

        return ts.jit(ts.grad(loss)).lower(x)

    for policy in ("nothing", ts.checkpoint_policies.save_within_budget(x.nbytes)):
        got, plain = lowered(f, policy), lowered(g, policy)
        for program in (got, plain):
            assert program.as_text().count("tessera.barrier") == 1
        np.testing.assert_allclose(got.compile()(x), plain.compile()(x), rtol=1e-14)
        assert np.abs(got.compile()(x) - lowered(f, "everything").compile()(x)).max() <= 1e-14
