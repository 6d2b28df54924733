# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Loops and conditionals through the whole stack: interpreter, partition, kernels, artefact, run."""

import time

import numpy as np
import pytest
from conftest import needs_runtime
from evaluate import results
from test_unrolled import MESHES, X, layers, model

import tessera as ts

RNG = np.random.default_rng(4)


@needs_runtime
@pytest.mark.parametrize("unroll", [1, 2])
@pytest.mark.parametrize("mesh", MESHES)
def test_a_scan_runs_as_its_unrolled_program(mesh, unroll):
    weights = layers(5)
    out, ys = model(MESHES[mesh], unroll)(X, weights)
    wanted, rows = model(MESHES[mesh], True)(X, weights)
    np.testing.assert_allclose(out, wanted, rtol=2e-5, atol=2e-5)
    np.testing.assert_allclose(ys, rows, rtol=2e-5, atol=2e-4)


@needs_runtime
def test_96_layers_compile_in_the_time_of_2_to_an_artefact_of_the_same_size(monkeypatch):
    monkeypatch.setenv("TESSERA_CACHE", "0")

    def compiled(count):
        weights = {name: ts.ShapeDtypeStruct((count, *value.shape[1:]))
                   for name, value in layers(1, 64).items()}
        best = float("inf")
        for _ in range(4):
            begin = time.process_time()
            made = model(MESHES["tp2"]).lower(X, weights).compile()
            best = min(best, time.process_time() - begin)
        return best, len(made.as_artefact())

    (few, small), (many, large) = compiled(2), compiled(96)
    assert many <= 1.2 * few + 0.01, (few, many)
    assert abs(large - small) <= 64, (small, large)


def heat(u, steps):
    def step(_, u):
        near = ts.roll(u, 1, 0) + ts.roll(u, -1, 0) + ts.roll(u, 1, 1) + ts.roll(u, -1, 1)
        return u + 0.1 * (near - 4 * u)

    return ts.fori_loop(0, steps, step, u)


@needs_runtime
@pytest.mark.parametrize("mesh", MESHES)
def test_heat_spreads_in_a_loop(mesh):
    u = RNG.standard_normal((12, 10)).astype(np.float32)
    wanted = u.astype(np.float64)
    for _ in range(50):
        near = sum(np.roll(wanted, s, a) for s in (1, -1) for a in (0, 1))
        wanted = wanted + 0.1 * (near - 4 * wanted)
    options = {} if MESHES[mesh] is None else {"mesh": MESHES[mesh], "in_shardings": ts.P("tp")}
    begin = time.process_time()
    got = ts.jit(lambda u: heat(u, 50), **options)(u)
    assert time.process_time() - begin < 5
    np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-5)


@needs_runtime
@pytest.mark.parametrize("shape", [(64, 64), (512, 512)])
def test_50_steps_of_heat_without_a_loop_compile_in_5_seconds(shape, monkeypatch):
    monkeypatch.setenv("TESSERA_CACHE", "0")
    u = RNG.standard_normal(shape).astype(np.float32)

    def steps(n, u):
        for _ in range(50):
            near = n.roll(u, 1, 0) + n.roll(u, -1, 0) + n.roll(u, 1, 1) + n.roll(u, -1, 1)
            u = u + 0.1 * (near - 4 * u)
        return u

    begin = time.process_time()
    got = ts.jit(lambda u: steps(ts, u))(u)
    assert time.process_time() - begin < 5
    np.testing.assert_allclose(got, steps(np, u.astype(np.float64)), rtol=1e-4, atol=1e-5)


def nest(x, n):
    """Loops in loops in conditionals, with trip counts of 0, and values of every depth in use."""
    def outer(carry, row):
        total, i = carry

        def middle(j, total):
            def grow(value):
                return ts.while_loop(lambda c: c[1] < j, lambda c: (c[0] * 1.5 + row.sum(), c[1] + 1),
                                     (value, 0))[0]

            return ts.cond(j % 2 == 0, grow, lambda value: value - row * i, total)

        total = ts.fori_loop(0, n, middle, total)
        total = ts.fori_loop(2, 2, lambda j, t: t * 100, total)
        return (total, i + 1), ts.switch(i, [lambda: total, lambda: row, lambda: row + total])

    return ts.scan(outer, (ts.zeros(x.shape[1:]), 0), x, reverse=True)


@needs_runtime
@pytest.mark.parametrize("n", [0, 1, 3, 4])
@pytest.mark.parametrize("mesh", MESHES)
def test_nests_of_depth_3_equal_numpy_and_the_interpreter(mesh, n):
    x = X[:3, :5].copy()  # 5 does not divide by 2 and 3.
    options = {} if MESHES[mesh] is None else {"mesh": MESHES[mesh], "in_shardings": (ts.P(None, "tp"), None)}
    function = ts.jit(nest, **options)
    (wanted, count), rows = results(nest, x, np.int32(n))
    for got in (function.lower(x, np.int32(n)).interpret(x, np.int32(n), stage="local"),
                function(x, np.int32(n))):
        (total, i), ys = got
        assert int(i) == int(count) == 3
        np.testing.assert_allclose(total, wanted, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(ys, rows, rtol=1e-4, atol=1e-5)


@needs_runtime
def test_partial_sums_over_8_microbatches_are_reduced_once():
    mesh = ts.make_mesh({"dp": 2})
    x = RNG.standard_normal((8, 6, 4)).astype(np.float32)
    y = RNG.standard_normal((8, 6, 5)).astype(np.float32)

    def gradient(x, y):
        def step(total, batch):
            return total + batch[0].T @ batch[1], None

        return ts.scan(step, ts.zeros((4, 5)), (x, y))[0]

    function = ts.jit(gradient, mesh=mesh, in_shardings=(ts.P(None, "dp"), ts.P(None, "dp")),
                      out_shardings=ts.P())
    table = function.lower(x, y).collectives()
    assert [(row["kind"], row.get("count", 1)) for row in table] == [("all_reduce", 1)], str(table)
    np.testing.assert_allclose(function(x, y), np.einsum("bik,bij->kj", x, y), rtol=1e-4, atol=1e-4)


MICROBATCHES = {
    "only where a predicate holds": (
        lambda total, a, b, i: ts.cond(i % 2 == 0, lambda t: t + a.T @ b, lambda t: t, total),
        lambda total, a, b, i: total + a.T @ b if i % 2 == 0 else total),
    "where elements are chosen": (
        lambda total, a, b, i: total + ts.where(i % 2 == 0, a.T @ b, 0.0),
        lambda total, a, b, i: total + a.T @ b * (i % 2 == 0)),
    "anew from a branch": (
        lambda total, a, b, i: ts.cond(i == 3, lambda t: ts.zeros((4, 5)), lambda t: t + a.T @ b, total),
        lambda total, a, b, i: np.zeros((4, 5)) if i == 3 else total + a.T @ b),
    "a product of three": (
        lambda total, a, b, i: total + a.T @ a[:, :2] @ b[:2] * 1.0,
        lambda total, a, b, i: total + a.T @ a[:, :2] @ b[:2]),
}


@needs_runtime
@pytest.mark.parametrize("name", MICROBATCHES)
def test_terms_that_a_loop_adds_are_reduced_once(name):
    mesh = ts.make_mesh({"dp": 2})
    traced, plain = MICROBATCHES[name]
    x = RNG.standard_normal((8, 6, 4)).astype(np.float32)
    y = RNG.standard_normal((8, 6, 5)).astype(np.float32)
    whole = name == "a product of three"  # b is not split there.

    def total(x, y):
        def step(carry, batch):
            (a, b), (total, i) = batch, carry
            return (traced(total, a, b, i), i + 1), None

        return ts.scan(step, (ts.zeros((4, 5)), 0), (x, y))[0][0]

    function = ts.jit(total, mesh=mesh, out_shardings=ts.P(),
                      in_shardings=(ts.P(None, "dp"), ts.P() if whole else ts.P(None, "dp")))
    table = function.lower(x, y).collectives()
    assert [(row["kind"], row.get("count", 1)) for row in table] == [("all_reduce", 1)], str(table)
    want = np.zeros((4, 5))
    for i, (a, b) in enumerate(zip(x, y)):
        want = plain(want, a, b, i)
    np.testing.assert_allclose(function(x, y), want, rtol=1e-4, atol=1e-4)


@needs_runtime
def test_loops_run_outside_of_a_trace():
    carry, ys = ts.scan(lambda c, x: (c + x, c), 0.0, X[:, 0])
    np.testing.assert_allclose(carry, X[:, 0].sum(), rtol=1e-5)
    np.testing.assert_allclose(ys, np.concatenate([[0], np.cumsum(X[:-1, 0])]), rtol=1e-5, atol=1e-6)
    assert int(ts.fori_loop(0, 5, lambda i, c: c + i, 0)) == 10
    assert int(ts.while_loop(lambda c: c < 50, lambda c: c * 2, 1)) == 64
    assert float(ts.cond(True, lambda v: v + 1, lambda v: v, np.float32(1))) == 2
    assert float(ts.switch(5, [lambda v: v, lambda v: v * 10], np.float32(1))) == 10
    np.testing.assert_allclose(ts.map(lambda row: row.sum(), X), X.sum(1), rtol=1e-5)


@needs_runtime
def test_a_while_loop_on_a_mesh_stops_everywhere_at_once():
    mesh = ts.make_mesh({"tp": 2})

    def halve(x):
        return ts.while_loop(lambda c: ts.max(ts.abs(c[0])) > 0.1, lambda c: (c[0] / 2, c[1] + 1), (x, 0))

    small, count = ts.jit(halve, mesh=mesh, in_shardings=ts.P(None, "tp"))(X)
    steps = int(np.ceil(np.log2(np.abs(X).max() / 0.1)))
    assert int(count) == steps
    np.testing.assert_allclose(small, X / 2.0**steps, rtol=1e-6)
