# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Rules of ts.custom_jvp that are linear in their tangents, however they are written."""

import numpy as np
import pytest

import tessera as ts

X = np.array([0.3, 0.7, 1.1])
MASK = np.array([True, False, True])

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
    "jvp": (lambda x, t: ts.jvp(ts.sin, (x,), (t,))[1], np.cos(X)),
}


@pytest.mark.parametrize("name", RULES)
def test_it_passes(name):
    of, slope = RULES[name]
    f = ts.custom_jvp(lambda x: x * 2)
    f.defjvp(lambda p, t: (f(*p), of(p[0], t[0])))
    np.testing.assert_allclose(ts.grad(lambda x: ts.sum(f(x)))(X), slope, rtol=1e-6)
    np.testing.assert_allclose(ts.jvp(f, (X,), (0 * X + 1,))[1], slope, rtol=1e-6)
    np.testing.assert_allclose(ts.jacfwd(f)(X), np.diag(slope), rtol=1e-6)
