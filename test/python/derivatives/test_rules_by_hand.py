# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Derivative rules by hand in unusual places."""

import numpy as np
import pytest

import tessera as ts

X = np.array([0.3, 0.7, 1.1])


def custom_vjp(fun, forward, backward):
    f = ts.custom_vjp(fun)
    f.defvjp(forward, backward)
    return f


def custom_jvp(fun, rule):
    f = ts.custom_jvp(fun)
    f.defjvp(rule)
    return f


def equal(got, wanted):
    np.testing.assert_allclose(np.asarray(got), wanted, rtol=1e-12)


def test_a_rule_that_returns_its_argument():
    """The tangent of the result is not that of the argument, whose other uses keep their own."""
    f = custom_jvp(lambda x: x, lambda p, t: (p[0], 2 * t[0]))
    equal(ts.grad(lambda x: ts.sum(f(x) + x))(X), 3 + 0 * X)
    equal(ts.jvp(lambda x: f(x) + x, (X,), (X,))[1], 3 * X)
    g = custom_vjp(lambda x: x, lambda x: (x, ()), lambda kept, ct: (10 * ct,))
    equal(ts.grad(lambda x: ts.sum(g(x)) + ts.sum(x))(X), 11 + 0 * X)
    # 10 y^2 + 2 y g(y), where the forward function of g has given y itself.
    equal(ts.grad(lambda x: ts.grad(lambda y: ts.sum(g(y) * y * y))(x).sum())(X), 24 * X)


def test_a_rule_that_returns_one_value_twice():
    f = custom_jvp(lambda x: (x * 2, x * 2), lambda p, t: ((p[0] * 2,) * 2, (2 * t[0], 5 * t[0])))

    def loss(x):
        a, b = f(x)
        return ts.sum(a + 3 * b)

    equal(ts.grad(loss)(X), 17 + 0 * X)


def test_a_checkpoint_in_a_rule_before_another_rule():
    def forward(x):
        y = ts.checkpoint(ts.exp)(x)
        return y, y

    first = custom_vjp(ts.exp, forward, lambda y, ct: (ct * y,))
    second = custom_jvp(ts.sin, lambda p, t: (ts.sin(p[0]), ts.cos(p[0]) * t[0]))
    equal(ts.grad(lambda x: ts.sum(second(first(x))))(X), np.cos(np.exp(X)) * np.exp(X))


@pytest.mark.parametrize("rule", [
    lambda p, t: (p[0] * 2, t[0] * t[0]),
    lambda p, t: (p[0] * 2, ts.where(t[0] > 0, t[0], 0.0)),
    lambda p, t: (p[0] * 2, 1.0 / t[0]),
    lambda p, t: (p[0] * 2, ts.exp(t[0])),
], ids=["square", "where", "reciprocal", "exp"])
def test_a_rule_that_is_not_linear(rule):
    f = custom_jvp(lambda x: x * 2, rule)
    with pytest.raises(ts.CompileError, match="linear"):
        ts.grad(lambda x: ts.sum(f(x)))(X)


def test_a_rule_that_mixes_values_and_tangents_in_a_loop():
    def plain(x):
        return ts.fori_loop(0, 3, lambda i, c: ts.sin(c), x)

    f = custom_jvp(plain, lambda p, t: ts.jvp(plain, p, t))
    with pytest.raises(ts.CompileError, match="cannot separate them"):
        ts.grad(lambda x: ts.sum(f(x)))(X)


def test_forward_mode_of_a_rule_with_a_constant_argument():
    f = custom_jvp(lambda x, y: x * y, lambda p, t: (p[0] * p[1], t[0] * p[1] + p[0] * t[1]))
    equal(ts.jvp(lambda x: f(x, X), (X,), (X,))[1], X * X)


def test_loops_that_do_not_matter():
    """A while loop is passed where no cotangent reaches it."""
    def loss(x):
        count = ts.while_loop(lambda c: c < ts.sum(x), lambda c: c + 1.0, ts.sum(x) * 0)
        return ts.sum(x) * ts.stop_gradient(count)

    equal(ts.grad(lambda x: ts.sum(x) * ts.while_loop(lambda c: c < ts.sum(x), lambda c: c + 1.0,
                                                      np.zeros(())))(X), 3 + 0 * X)
    equal(ts.grad(loss)(X), 3 + 0 * X)
    unused = ts.grad(lambda x: (ts.while_loop(lambda c: ts.sum(c) < 5, lambda c: c * 2, x), ts.sum(x))[1])
    equal(unused(X), 1 + 0 * X)


def test_loops_pass_on_what_they_do_not_change():
    def counted(x):
        """Two while loops, one in the other, that carry x, and count what depends on it."""
        def inner(carry):
            return ts.while_loop(lambda c: c[0] < ts.sum(c[1]), lambda c: (c[0] + 1.0, c[1]),
                                 (ts.stop_gradient(ts.sum(x)) * 0, carry[1]))

        return ts.while_loop(lambda c: c[0] < 3, lambda c: (c[0] + 1, inner(c)[1]), (0, x))

    equal(ts.grad(lambda x: ts.sum(counted(x)[1] ** 2))(X), 2 * X)
    equal(ts.jvp(lambda x: counted(x)[1] ** 2, (X,), (X,))[1], 2 * X * X)
    with pytest.raises(ts.CompileError, match="reverse mode cannot pass a while loop"):
        ts.grad(lambda x: ts.sum(ts.while_loop(lambda c: c[0] < 3, lambda c: (c[0] + 1, c[2] * 2, c[2]),
                                               (0, x, x))[1]))(X)


def test_loops_of_length_zero():
    equal(ts.grad(lambda x: ts.sum(ts.fori_loop(0, 0, lambda i, c: ts.sin(c), x)))(X), 1 + 0 * X)
    equal(ts.jvp(lambda x: ts.fori_loop(0, 0, lambda i, c: ts.sin(c), x), (X,), (X,))[1], X)


def test_long_checkpoints():
    """What is computed again is found without recursion."""
    def chain(x):
        for _ in range(3000):
            x = ts.sin(x)
        return x

    equal(ts.grad(lambda x: ts.sum(ts.checkpoint(chain)(x)))(X), ts.grad(lambda x: ts.sum(chain(x)))(X))
