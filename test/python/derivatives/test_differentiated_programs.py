# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The programs that derivatives are traced into: threads, nests, values from outside, names."""

import threading

import numpy as np
import pytest

import tessera as ts
from tessera._src.tracing.program_text import current

X = np.linspace(0.5, 2.0, 6).astype(np.float32)
Z = np.zeros((2, 3), np.float32)


def equal(got, wanted):
    np.testing.assert_allclose(np.asarray(got), wanted, rtol=1e-6)


def test_rules_are_those_of_each_thread():
    @ts.custom_vjp
    def f(x):
        return x * 1.0

    inside = threading.Barrier(4)

    def forward(x):
        inside.wait(20)  # All threads trace the rule at once.
        return x * 1.0, ()

    f.defvjp(forward, lambda kept, ct: (10 * ct,))
    found = {}

    def run(k):
        found[k] = np.asarray(ts.grad(lambda x: ts.sum(f(x)))(X + k))

    threads = [threading.Thread(target=run, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    for gradient in found.values():
        equal(gradient, np.full(6, 10))


def test_calls_without_results():
    assert ts.grad(lambda p, x: ts.sum(x))({}, X) == {}
    assert ts.checkpoint(lambda y: None)(X) is None


def test_deep_nests_are_compared_once():
    def f(x):
        return x * 2

    for _ in range(24):
        f = ts.checkpoint(lambda x, f=f: f(x) + 1)

    compared = []

    def traced(x):
        y = f(x)
        (function,) = current().called.values()
        compared.append((len(function.uses), hash(function)))
        return y

    ts.jit(traced).lower(X)
    assert compared[0][0] == 1


# Of a value from outside and an index from outside.
OUTSIDE = {
    "switch": lambda x, i: ts.sum(ts.switch(i, [ts.sin, ts.cos], x)),
    "cond": lambda x, i: ts.sum(ts.cond(i > 0, ts.sin, ts.cos, x)),
    "cond of an integer": lambda x, i: ts.sum(ts.cond(i, ts.sin, ts.cos, x)),
    "starts": lambda x, i: ts.sum(ts.dynamic_slice(x, ts.reshape(i, (1,)), (2,))),
    "full": lambda x, i: ts.sum(x * ts.full(x.shape, i, ts.f32)),
    "conversion": lambda x, i: ts.sum(x * i.astype(ts.f32)),
    "index": lambda x, i: x[i],
    "update": lambda x, i: ts.sum(x.at[i].multiply(3.0)),
    "repeated": lambda x, i: ts.sum(x) * i**2 + ts.sum(x) * i**0,
    "comparison": lambda x, i: ts.sum(ts.where(i == 1, x * x, x)),
    "while": lambda x, i: ts.sum(x) * ts.while_loop(lambda c: c < i + 5, lambda c: c * 2, i),
    "scan": lambda x, i: ts.sum(ts.scan(lambda c, y: (c * 2 + y, None), i * 1.0, x)[0]),
    "printed": lambda x, i: (ts.debug.print("{}", i), ts.sum(x) * i)[1],
    "loop bounds": lambda x, i: ts.sum(x) * ts.stop_gradient(ts.fori_loop(0, i, lambda k, c: c * 2, 1.0)),
}


@pytest.mark.parametrize("name", OUTSIDE)
def test_operands_from_outside(name):
    f = OUTSIDE[name]
    wanted = ts.grad(lambda x: f(x, ts.asarray(np.int32(1))))(X)
    equal(ts.jit(lambda x, i: ts.grad(lambda x: f(x, i))(x))(X, np.int32(1)), np.asarray(wanted))


def test_starts_made_outside():
    @ts.jit
    def f(x, starts, i):
        j = i + 2
        return (ts.grad(lambda x: ts.sum(ts.dynamic_slice(x, starts, (2,))))(x),
                ts.grad(lambda x: ts.sum(x[i:j]))(x))

    for gradient in f(X, np.array([1], np.int32), np.int32(1)):
        equal(gradient, [0, 1, 1, 0, 0, 0])


def test_predicate_made_outside():
    f = ts.jit(lambda x, p: ts.grad(lambda x: ts.sum(ts.cond(p, ts.sin, ts.cos, x)))(x))
    equal(f(X, np.bool_(True)), np.cos(X))


def test_index_made_outside():
    f = ts.jit(lambda x, i: ts.grad(lambda x: ts.sum(ts.switch(i, [ts.sin, ts.cos], x)))(x))
    equal(f(X, np.int32(0)), np.cos(X))
    equal(f(X, np.int32(1)), -np.sin(X))


def test_names_of_other_alphabets():
    def größe(x):
        return ts.sum(x * x)

    equal(ts.grad(größe)(X), 2 * X)


def test_names_beside_positions():
    equal(ts.grad(lambda *xs, w: ts.sum(xs[1] * w), argnames="w")(X, 2 * X, 3 * X, w=X), 2 * X)


@pytest.mark.parametrize("transform", ["checkpoint", "vmap", "custom_jvp", "vjp", "jvp"])
def test_numbers_stay_weak(transform):
    def f(x):
        return x, 2.0

    def product(x):
        if transform == "vjp":
            result = ts.vjp(f, x)[0]
        elif transform == "jvp":
            result = ts.jvp(f, (x,), (x,))[0]
        else:
            made = getattr(ts, transform)(f)
            if transform == "custom_jvp":
                made.defjvp(lambda primals, tangents: (f(*primals), f(*tangents)))
            result = made(x)
        return result[1] * x

    assert ts.jit(product)(X.astype(np.float16)).dtype == np.float16


@pytest.mark.parametrize("kind", ["custom_vjp", "custom_jvp"])
def test_tables_of_the_host_in_rules(kind):
    table = np.arange(2048, dtype=np.float32) / 1024  # Above what is a constant elsewhere.
    slopes = np.flip(table)
    f = getattr(ts, kind)(lambda x: x * table)
    if kind == "custom_vjp":
        f.defvjp(lambda x: (x * table, ()), lambda kept, ct: (ct * slopes,))
    else:
        f.defjvp(lambda primals, tangents: (primals[0] * table, tangents[0] * slopes))
    equal(ts.grad(lambda x: ts.sum(f(x)))(table), slopes)
    equal(ts.grad(lambda x: ts.sum(ts.checkpoint(f)(x)))(table), slopes)


def test_the_interpreter_takes_numpy_scalars():
    """Their memory is no array's: a copy has to live until the program has run."""
    from tessera._src.programs import native

    text = """func.func @main(%p: tensor<i1>, %a: tensor<f64>, %b: tensor<f64>) -> tensor<f64> {
      %0 = tessera.select %p, %a, %b : tensor<i1>, tensor<f64>, tensor<f64> -> tensor<f64>
      return %0 : tensor<f64>
    }"""
    for choice in (True, False) * 8:
        out = np.zeros((), np.float64)
        native.interpret(text, [np.bool_(choice), np.float64(1.5), np.float64(2.5)], [out], stage="local")
        assert out == (1.5 if choice else 2.5)
