# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Derivatives where functions have none, or infinite ones: zeros, ties, jumps, masked NaN, as in JAX."""

import numpy as np
import pytest
from derivative_checks import jax

import tessera as ts

pytestmark = pytest.mark.usefixtures("jax_in_f64")
jnp, jnn, lax = jax.numpy, jax.nn, jax.lax
INF, NAN = np.inf, np.nan
ZEROS, TIES = [0.0, -0.0], [1.0, 1.0, -2.0]


def _of(m, name):
    return getattr(ts, name) if m is ts else getattr(lax, name, None) or getattr(jnp, name)


# A function, and for each of its arguments the numbers that it is called with.
EXACT = {
    "sqrt": (lambda m, x: m.sqrt(x), [0.0, -0.0, 4.0, INF, -1.0]),
    "rsqrt": (lambda m, x: _of(m, "rsqrt")(x), [0.0, 4.0, INF]),
    "reciprocal": (lambda m, x: 1 / x, [0.0, -0.0, 2.0, INF]),
    "log": (lambda m, x: m.log(x), [0.0, -0.0, 1.0, INF, -1.0]),
    "abs": (lambda m, x: m.abs(x), [*ZEROS, 2.0, -2.0, INF, -INF, NAN]),
    "sign": (lambda m, x: m.sign(x), [*ZEROS, 2.0, NAN]),
    "steps": (lambda m, x: [m.floor(x), m.ceil(x), m.round(x), m.trunc(x)], [*ZEROS, 2.0, 1.5, -0.5]),
    "max of ties": (lambda m, x, y: m.maximum(x, y), [1.0, 1.0, 2.0, 0.0, INF, -INF], [1.0, 2.0, 1.0, -0.0,
                                                                                       INF, 3.0]),
    "min of ties": (lambda m, x, y: m.minimum(x, y), [1.0, 1.0, 2.0, 0.0, INF, -INF], [1.0, 2.0, 1.0, -0.0,
                                                                                       INF, 3.0]),
    "max of NaN": (lambda m, x, y: m.maximum(x, y) * 1, [NAN, 1.0], [1.0, NAN]),
    "relu": (lambda m, x: ts.relu(x) if m is ts else jnn.relu(x), [*ZEROS, 1.0, -1.0]),
    "leaky_relu": (lambda m, x: (ts.nn if m is ts else jnn).leaky_relu(x, 0.25), [*ZEROS, 1.0, -1.0]),
    "elu": (lambda m, x: (ts.nn if m is ts else jnn).elu(x, 2.0), [*ZEROS, 1.0]),
    "clip": (lambda m, x: m.clip(x, -1.0, 2.0), [-1.0, 2.0, 0.0, 3.0, -3.0]),
    "max of all": (lambda m, x: m.max(x), [1.0, 3.0, 3.0, -1.0]),
    "min of all": (lambda m, x: m.min(x), [-1.0, 3.0, -1.0, -1.0]),
    "ptp": (lambda m, x: m.ptp(x), [-1.0, 3.0, -1.0, 3.0]),
    "product with a zero": (lambda m, x: m.prod(x), [2.0, 0.0, 3.0]),
    "product with two zeros": (lambda m, x: m.prod(x), [2.0, 0.0, 3.0, -0.0, 5.0]),
    "cumprod with a zero": (lambda m, x: m.cumprod(x), [2.0, 0.0, 3.0, 5.0]),
    "cumprod with two zeros": (lambda m, x: m.cumprod(x), [2.0, 0.0, 3.0, 0.0, 5.0]),
    "norm of zeros": (lambda m, x: m.sqrt(m.sum(x * x)), [0.0, 0.0]),
    "std of equal numbers": (lambda m, x: m.std(x), [2.0, 2.0]),
    "masked NaN": (lambda m, x: m.where(x > 0, x, m.sqrt(x)), [-1.0, 1.0, 0.0]),
    "masked NaN, twice": (lambda m, x: m.where(x > 0, m.log(m.where(x > 0, x, 1.0)), 0.0), [-1.0, 1.0, 0.0]),
    "masked logarithm": (lambda m, x: m.where(x > 0, m.log(x), 0.0), [-1.0, 1.0, 0.0]),
    "square": (lambda m, x: x**2, [*ZEROS, -2.0]),
    "cube": (lambda m, x: x**3, [*ZEROS, -2.0]),
    "power 0": (lambda m, x: x**0, [*ZEROS, -2.0, INF]),
    "power 1": (lambda m, x: m.power(x, 1.0), [*ZEROS, -2.0]),
    "root": (lambda m, x: x**0.5, [0.0, 4.0]),
    "power": (lambda m, x, y: m.power(x, y), [0.0, 0.0, 2.0, 1.0, -2.0, 0.0], [1.0, 2.0, 0.0, 0.0, 2.0, 0.5]),
    # JAX has 0 for 0 ** 0 by integers, and NaN by floats, which ts.power makes of integers: 0 for both.
    "power of integer exponents": (lambda m, x: m.power(x, np.array([0, 1, 2, 0])), [0.0, 0.0, 0.0, 2.0]),
    "power of small exponents": (lambda m, x, y: m.power(x, y), [0.0, 0.0], [0.5, -1.0]),
    "atan2": (lambda m, y, x: (ts.atan2 if m is ts else m.arctan2)(y, x), [0.0, 0.0, 1.0, -0.0],
              [0.0, 1.0, 0.0, -2.0]),
    "hypot": (lambda m, x, y: m.hypot(x, y), [0.0, 3.0, -3.0, 0.0], [2.0, 0.0, 4.0, 0.0]),
    "fmod": (lambda m, x, y: m.fmod(x, y), [5.0, -5.0, 4.0, 0.0], [2.0, 2.0, 2.0, 3.0]),
    "remainder": (lambda m, x, y: m.remainder(x, y), [5.0, -5.0, 4.0, 0.0], [2.0, 2.0, 2.0, 3.0]),
    "floor_divide": (lambda m, x, y: m.floor_divide(x, y), [5.0, -5.0, 4.0, 0.0, 5.0, -5.0, 0.0, INF, 1.0],
                     [2.0, 2.0, 2.0, 3.0, 0.0, -0.0, 0.0, 2.0, INF]),
    "masked floor_divide": (lambda m, x, y: m.where(y > 0, x // y, x), [5.0, 3.0], [2.0, 0.0]),
    "quotient of divmod": (lambda m, x, y: divmod(x, y)[0], [5.0, 3.0, -1.0], [2.0, 0.0, 2.0]),
    "max where": (lambda m, x: m.max(x, where=np.array([True, True, False, False]), initial=0.0),
                  [0.0, 0.0, 9.0, 9.0]),
    "min where": (lambda m, x: m.min(x, -1, where=np.array([True, False, True, False]), initial=0.0),
                  [0.0, 9.0, 0.0, 9.0]),
    "max where below": (lambda m, x: m.max(x, where=np.array([True, True, False, False]), initial=-5.0),
                        [1.0, 1.0, 1.0, 9.0]),
    "max where none is": (lambda m, x: m.max(x, where=np.zeros(3, bool), initial=-INF), [0.0, -INF, 9.0]),
    "max with NaN masked": (lambda m, x: m.max(x, where=np.array([True, False]), initial=0.0), [0.0, NAN]),
    "copysign": (lambda m, x, y: m.copysign(x, y), [0.0, -0.0, 2.0, -2.0], [1.0, 1.0, -0.0, 3.0]),
    "comparisons": (lambda m, x: (x > 0) * x + (x == 0) + m.isnan(x), [*ZEROS, 1.0]),
    "argmax": (lambda m, x: x * m.argmax(x), TIES),
    "sort of ties": (lambda m, x: m.sort(x), TIES),
    "scatter max of ties": (lambda m, x, u: x.at[np.array([0, 0, 1])].max(u), [1.0, 5.0, 0.0],
                            [1.0, 1.0, 5.0]),
    "scatter min of ties": (lambda m, x, u: x.at[np.array([0, 0, 1])].min(u), [3.0, 5.0, 0.0],
                            [1.0, 1.0, 5.0]),
    "scatter set of duplicates": (lambda m, x, u: x.at[np.array([0, 0, 1])].set(u), [3.0, 5.0, 0.0],
                                  [1.0, 1.0, 5.0]),
    "segments of ties": (lambda m, x: (ts if m is ts else jax.ops).segment_max(x, np.array([0, 0, 1]), 2),
                         TIES),
    "sigmoid": (lambda m, x: (ts if m is ts else jnn).sigmoid(x), [0.0, INF, -INF]),
    "asin": (lambda m, x: m.arcsin(x), [0.0, 1.0, -1.0]),
    "acos": (lambda m, x: m.arccos(x), [0.0, 1.0, -1.0]),
    "acosh": (lambda m, x: m.arccosh(x), [1.0]),
    "cbrt": (lambda m, x: m.cbrt(x), [*ZEROS, 1.0, -1.0, INF, -INF, NAN]),
    "median of ties": (lambda m, x: m.median(x), [1.0, 1.0, 3.0, 1.0]),
    "quantiles of ties": (lambda m, x: m.quantile(x, np.array([0.25, 0.5])), [2.0, 1.0, 2.0, 1.0]),
    "atanh": (lambda m, x: m.arctanh(x), [0.0, 1.0, -1.0]),
    "log1p": (lambda m, x: m.log1p(x), [0.0, -1.0, INF]),
    "nan_to_num": (lambda m, x: m.nan_to_num(x), [NAN, INF, -INF, 1.0]),
    "division": (lambda m, x, y: x / y, [1.0, 0.0, 0.0, INF], [0.0, 0.0, 2.0, 2.0]),
    "logsumexp of ties": (lambda m, x: (ts if m is ts else jax.scipy.special).logsumexp(x), [1.0, 1.0]),
}
# Within rounding, to the second derivative, at places where formulas of the function have edges.
ROUNDED = {
    "softplus": (lambda m, x: (ts.nn if m is ts else jnn).softplus(x), [0.0, 1e-300, -1e-9, 50.0, -50.0,
                                                                        800.0, -800.0]),
    "logaddexp": (lambda m, x, y: m.logaddexp(x, y), [1.0, 0.0, 700.0, -700.0], [1.0, 1e-9, 0.0, 1.0]),
    "expm1": (lambda m, x: m.expm1(x), [0.0, 1e-300, 1e-17, -1e-9, 0.5, -0.5, 30.0, -800.0]),
    "log1p": (lambda m, x: m.log1p(x), [0.0, 1e-300, 1e-17, -1e-9, 0.5, 1e300]),
    "sinh": (lambda m, x: m.sinh(x), [0.0, 1e-9, -1e-9, 19.0, 20.0, -20.0, 21.0, -21.0]),
    "cosh": (lambda m, x: m.cosh(x), [0.0, 1e-9, -1e-9, 1e-3, 19.0, 20.0, -20.0, 21.0, -21.0]),
    "tanh": (lambda m, x: m.tanh(x), [0.0, 1e-9, 30.0, -30.0]),
    "tan": (lambda m, x: m.tan(x), [0.0, 1e-9]),
    "hypot": (lambda m, x, y: m.hypot(x, y), [0.0, 3.0, 2.0], [2.0, 4.0, 0.0]),
    "gelu": (lambda m, x: ts.gelu(x) if m is ts else jnn.gelu(x, approximate=False), [0.0, 30.0, -30.0]),
    "silu": (lambda m, x: (ts if m is ts else jnn).silu(x), [0.0, 30.0, -30.0, 700.0, -700.0]),
    "elu": (lambda m, x: (ts.nn if m is ts else jnn).elu(x), [1e-9, -1e-9, -30.0]),
    "prod": (lambda m, x: m.prod(x), [0.0, 2.0, 3.0, 0.0]),
    "prod of one zero": (lambda m, x: m.prod(x), [4.0, 0.0, 2.0, 3.0, 5.0]),
    "cumprod": (lambda m, x: m.cumprod(x), [4.0, 0.0, 2.0, 0.0, 5.0]),
    "cumprod from the end": (lambda m, x: (ts if m is ts else lax).cumprod(x, axis=0, reverse=True),
                             [4.0, 0.0, 2.0, 0.0, 5.0]),
    "softmax of far numbers": (lambda m, x: (ts if m is ts else jnn).softmax(x), [0.0, 800.0, -INF]),
    "log_softmax of far numbers": (lambda m, x: (ts.nn if m is ts else jnn).log_softmax(x), [0.0, 800.0,
                                                                                             1.0]),
    "logsumexp of nothing": (lambda m, x: (ts if m is ts else jax.scipy.special).logsumexp(x), [-INF, 0.0]),
}


def _derivatives(m, run, x, second):
    """Gradients and tangents at x, and with `second` those of the gradient along ones."""
    vjp, jvp = (ts.vjp, ts.jvp) if m is ts else (jax.vjp, jax.jvp)

    def function(*x):
        results = run(jnp if m is jnp else ts, *x)
        return results if isinstance(results, list) else [results]

    values, pull = vjp(function, *x)
    ones = [m.ones(v.shape, v.dtype) for v in values]
    along = tuple(m.ones(v.shape, v.dtype) for v in x)
    made = [*pull(ones), *jvp(function, tuple(x), along)[1]]
    if second:
        made += jvp(lambda *x: list(vjp(function, *x)[1](ones)), tuple(x), along)[1]
    return made


@pytest.fixture(scope="module")
def computed():
    """All derivatives by both, each compiled as one program."""
    def everything(m):
        return lambda points: {name: _derivatives(m, run, points[name], table is ROUNDED)
                               for table in (EXACT, ROUNDED) for name, (run, *_) in _named(table)}

    points = {name: [np.array(numbers) for numbers in arguments]
              for table in (EXACT, ROUNDED) for name, (_, *arguments) in _named(table)}
    return ts.jit(everything(ts))(points), jax.jit(everything(jnp))(points)


def _named(table):
    return [(f"{'to the second' if table is ROUNDED else 'exact'}: {name}", row) for name,
            row in table.items()]


@pytest.mark.parametrize("name", [name for table in (EXACT, ROUNDED) for name, _ in _named(table)])
def test_edges_are_those_of_jax(computed, name):
    got, wanted = (table[name] for table in computed)
    assert len(got) == len(wanted)
    for a, b in zip(got, wanted):
        # JAX's second derivatives are differences of terms near 1.
        rtol, atol = (4e-15, 0) if name.startswith("exact") else (1e-14, 1e-15)
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=rtol, atol=atol)


# Functions with formulas that cancel near 0, and their derivatives, written so that they do not.
NEAR_ZERO = {
    "cosh": (ts.cosh, np.sinh, np.cosh),
    "sinc": (ts.sinc, lambda x: -np.pi**2 * x / 3 * (1 - (np.pi * x)**2 / 10 + (np.pi * x)**4 / 280),
             lambda x: -np.pi**2 / 3 * (1 - 3 * (np.pi * x)**2 / 10 + (np.pi * x)**4 / 56)),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", NEAR_ZERO)
def test_derivatives_near_zero_lose_no_digits(name, dtype):
    function, first, second = NEAR_ZERO[name]
    x = np.array([0.0, -0.0, 1e-30, 1e-6, -1e-5, 1e-4, 2e-3, -2e-3], dtype)
    slope, wide = ts.grad(function), x.astype(np.float64)
    rtol = 8 * np.finfo(dtype).eps
    np.testing.assert_allclose(np.asarray(ts.vmap(slope)(x)), first(wide), rtol=rtol)
    np.testing.assert_allclose(np.asarray(ts.vmap(ts.grad(slope))(x)), second(wide), rtol=rtol)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sinc_is_smooth_where_its_formulas_meet(dtype):
    edge = 1 / np.pi
    x = np.array([-1.5, -edge, edge * 0.9, edge * 0.999, edge, edge * 1.001, edge * 1.1, 1, 2.5], dtype)
    wide = x.astype(np.float64)
    angle = np.pi * wide
    wanted = np.cos(angle) / wide - np.sin(angle) / (wide * angle)
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(np.asarray(ts.sinc(x)), np.sinc(wide), rtol=8 * eps, atol=4 * eps)
    np.testing.assert_allclose(np.asarray(ts.vmap(ts.grad(ts.sinc))(x)), wanted, rtol=16 * eps, atol=16 * eps)


def test_nextafter_moves_with_its_first_argument():
    x, y = np.array([0.0, 1.0, -2.0]), np.array([1.0, 1.0, 5.0])
    dx, dy = ts.grad(lambda x, y: ts.sum(ts.nextafter(x, y)), (0, 1))(x, y)
    np.testing.assert_array_equal(np.asarray(dx), np.ones(3))
    np.testing.assert_array_equal(np.asarray(dy), np.zeros(3))


# Function, arguments, gradients here and JAX's, as docs/cookbook/from-jax.md has them.
OTHERS = {
    "cummax": (lambda m, x: (ts if m is ts else lax).cummax(x), [[1.0, 1.0, 3.0, 3.0]], [[1, 1, 1, 1]],
               [[1.5, 0.5, 1.5, 0.5]]),
    "fmax": (lambda m, x, y: m.fmax(x, y), [[1.0], [1.0]], [[0.5], [0.5]], [[0], [1]]),
    "fmin": (lambda m, x, y: m.fmin(x, y), [[1.0], [1.0]], [[0.5], [0.5]], [[0], [1]]),
    "power of itself": (lambda m, x: x**x, [[0.0]], [[0]], [[NAN]]),
    "relu of NaN": (lambda m, x: (ts if m is ts else jnn).relu(x), [[NAN]], [[1]], [[0]]),
}


@pytest.mark.parametrize("name", OTHERS)
def test_edges_that_are_not_those_of_jax(name):
    run, x, *wanted = OTHERS[name]
    for m, grad, want in zip((ts, jnp), (ts.grad, jax.grad), wanted):
        got = grad(lambda *x, m=m: m.sum(run(m, *x)), tuple(range(len(x))))(*map(np.array, x))
        np.testing.assert_array_equal([np.asarray(gradient) for gradient in got], want)


def test_ties_of_running_extrema_are_of_the_last_as_in_torch():
    # JAX shares them as its tree of pairs happens to meet them.
    x, weights = np.array([1.0, 1.0, 0.0, 1.0]), np.array([1.0, 10.0, 100.0, 1000.0])
    grad = ts.grad(lambda x: ts.sum(ts.cummax(x) * weights))(x)
    np.testing.assert_array_equal(np.asarray(grad), [1, 110, 0, 1000])
