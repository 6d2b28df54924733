# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Rules of ts.custom_jvp that are linear in their tangents, however they are written."""

import numpy as np
import pytest

import tessera as ts

X = np.array([0.3, 0.7, 1.1])
MASK = np.array([True, False, True])


@ts.custom_jvp
def twice(x):
    return 2 * x


twice.defjvp(lambda p, t: (2 * p[0], 2 * t[0]))


def sum_of_zeros(x):
    """Looked at once each: by every way there are 2^40."""
    zeros = ts.zeros_like(x)
    for _ in range(40):
        zeros = zeros + zeros
    return zeros


# What the tangent is for (x, t), and the slope.
RULES = {
    "zeros": (lambda x, t: ts.zeros_like(x), 0 * X),
    "no dependence": (lambda x, t: 0.0 * x, 0 * X),
    "sum with zeros": (lambda x, t: t * x + ts.zeros_like(x) * x, X),
    "difference": (lambda x, t: 0.0 - t * x, -X),
    "where": (lambda x, t: ts.where(MASK, t, 0.0), 1.0 * MASK),
    "concatenation": (lambda x, t: ts.concatenate([t[:1], ts.zeros_like(t[1:])]), np.eye(3)[0]),
    "update": (lambda x, t: ts.zeros_like(t).at[1].set(t[1]), np.eye(3)[1]),
    "padding": (lambda x, t: ts.pad(t[1:], (1, 0)), np.array([0.0, 1, 1])),
    "loop from zeros": (lambda x, t: ts.fori_loop(0, 3, lambda i, c: c + t * x, ts.zeros_like(t)), 3 * X),
    "loop over slices": (lambda x, t: ts.scan(lambda c, s: (c, s[0] * s[1]), 0.0, (x, t))[1], X),
    "branches": (lambda x, t: ts.cond(ts.sum(x) > 0, lambda: t * x, lambda: ts.zeros_like(t)), X),
    "convert": (lambda x, t: (t.astype(ts.f32) * 2).astype(ts.f64), 2 + 0 * X),
    "jvp with zeros through a loop": (
        lambda x, t: ts.jvp(lambda a, b: a + ts.fori_loop(0, 3, lambda i, c: ts.sin(c), b), (x, x),
                            (t, ts.zeros_like(x)))[1], 1 + 0 * X),
    "loop of zeros": (
        lambda x, t: t + ts.fori_loop(0, 3, lambda i, c: c + c * x, ts.zeros_like(t)), 1 + 0 * X),
    "branches of zeros": (
        lambda x, t: t + ts.cond(ts.sum(x) > 0, lambda: ts.zeros_like(x), lambda: abs(0 * x)), 1 + 0 * X),
    "call of zeros": (lambda x, t: t + twice(ts.zeros_like(x)), 1 + 0 * X),
    "many zeros": (lambda x, t: t + sum_of_zeros(x), 1 + 0 * X),
    "jvp": (lambda x, t: ts.jvp(ts.sin, (x,), (t,))[1], np.cos(X)),
}


def test_what_a_loop_makes_of_zeros_is_looked_at():
    f = ts.custom_jvp(lambda x: x * 2)
    f.defjvp(lambda p, t: (f(*p), t[0] + ts.fori_loop(0, 3, lambda i, c: ts.cos(c), ts.zeros_like(p[0]))))
    for mode in (lambda: ts.grad(lambda x: ts.sum(f(x)))(X), lambda: ts.jvp(f, (X,), (X,))):
        with pytest.raises(ts.TesseraError, match="does not depend on tangents"):
            mode()


@pytest.mark.parametrize("name", RULES)
def test_it_passes(name):
    of, slope = RULES[name]
    f = ts.custom_jvp(lambda x: x * 2)
    f.defjvp(lambda p, t: (f(*p), of(p[0], t[0])))
    np.testing.assert_allclose(ts.grad(lambda x: ts.sum(f(x)))(X), slope, rtol=1e-6)
    np.testing.assert_allclose(ts.jvp(f, (X,), (0 * X + 1,))[1], slope, rtol=1e-6)
    np.testing.assert_allclose(ts.jacfwd(f)(X), np.diag(slope), rtol=1e-6)
