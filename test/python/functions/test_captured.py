# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Large arrays that a function uses from outside: no part of the program, but of its artefact."""

import subprocess
import sys
import time

import numpy as np
import pytest
from conftest import needs_runtime
from evaluate import results

import tessera as ts

RNG = np.random.default_rng(2)
W = RNG.standard_normal((64, 64)).astype(np.float32)
V = RNG.standard_normal((64, 64)).astype(np.float32)
X = np.ones((2, 64), np.float32)
MESH = ts.make_mesh({"tp": 2})


def program(function, *args, **options):
    return ts.jit(function, **options).lower(*args).program


def test_a_large_array_is_an_argument_that_the_caller_does_not_see():
    made = program(lambda x: x @ W, X)
    assert [a.name for a in made.arguments] == ["x"] and len(made.captured) == 1
    assert 'tessera.name = "captured.0"' in made.text and len(made.text) < 2000
    np.testing.assert_allclose(results(lambda x: x @ W, X), X @ W, rtol=1e-4, atol=1e-5)


def test_small_arrays_and_repeated_numbers_are_constants():
    small, zeros = W[:2, :3].copy(), np.zeros((1000, 1000), np.float32)
    made = program(lambda x: (x[:, :3] * small, x[0, 0] * zeros, ts.zeros((500, 500))), X)
    assert not made.captured and made.text.count("tessera.constant") >= 3


def test_an_array_that_is_used_twice_is_one_argument():
    again, view = W, W[:]
    held = ts.array(V)
    made = program(lambda x: x @ W + x @ again + x @ view + x @ held + ts.scan(
        lambda c, _: (c @ held, None), x, length=2)[0], X)
    assert len(made.captured) == 3 and made.captured[2] is held


def test_an_array_in_a_body_is_an_argument_of_the_program():
    got = results(lambda x: ts.cond(x[0, 0] > 0, lambda: ts.fori_loop(0, 3, lambda i, c: ts.tanh(c @ W), x),
                                    lambda: x @ V), X)
    x = X
    for _ in range(3):
        x = np.tanh(x @ W)
    np.testing.assert_allclose(got, x, rtol=1e-4, atol=1e-5)


def test_elements_are_those_of_the_time_of_tracing():
    mine = W.copy()
    made = program(lambda x: x @ mine, X)
    mine[:] = 0
    np.testing.assert_array_equal(made.captured[0], W)


def test_the_text_does_not_depend_on_the_elements():
    def made_with(array):
        return program(lambda x: x @ array, X).text

    assert made_with(W) == made_with(V)
    assert made_with(W) != made_with(W.T[:, :32].copy())


@needs_runtime
def test_programs_of_one_text_have_their_own_arrays():
    def function(array):
        return ts.jit(lambda x: x @ array + array[0], mesh=MESH, in_shardings=ts.P(None, "tp"))

    first, second = function(W), function(ts.array(V))
    for _ in range(2):
        np.testing.assert_allclose(first(X), X @ W + W[0], rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(second(X), X @ V + V[0], rtol=1e-5, atol=1e-5)
    assert first.lower(X).compile().in_shardings == ((first.lower(X).compile().in_shardings[0][0],), {})
    np.testing.assert_allclose(first.lower(X).interpret(X), X @ W + W[0], rtol=1e-5, atol=1e-5)


@needs_runtime
def test_an_artefact_holds_them(tmp_path):
    path = tmp_path / "f.tsa"
    function = ts.jit(lambda x, y: {"r": x @ W + y["b"], "s": ts.sum(V)}, mesh=MESH)
    compiled = function.lower(X, {"b": X}).compile()
    assert len(compiled.as_artefact()) > W.nbytes + V.nbytes
    compiled.save(path)
    loaded = ts.load_artefact(path)
    assert [item["name"] for item in loaded.inputs] == ["x", "y.b"]
    result = loaded(X, {"b": X})
    np.testing.assert_allclose(result["r"], X @ W + X, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(result["s"], V.sum(), rtol=1e-4)


@needs_runtime
def test_the_command_writes_them_into_the_artefact(tmp_path):
    source = tmp_path / "program.py"
    source.write_text("import numpy as np, tessera as ts\n"
                      "W = np.arange(4096, dtype=np.float32).reshape(64, 64)\n"
                      "@ts.jit\n"
                      "def f(x: ts.MeshTensor[2, 64]):\n"
                      "    return x @ W\n")
    subprocess.run([sys.executable, "-m", "tessera.compile", f"{source}:f", "-o", tmp_path / "f.tsa"],
                   check=True)
    got = ts.load_artefact(tmp_path / "f.tsa")(X)
    np.testing.assert_allclose(got, X @ np.arange(4096, dtype=np.float32).reshape(64, 64), rtol=1e-5)


@needs_runtime
def test_compiling_takes_as_long_with_16_mib():
    def seconds(size):
        array = RNG.standard_normal((size, 64)).astype(np.float32)
        function = ts.jit(lambda x: x + array[:2].sum() + array[-1, 0])
        function.lower(X).compile().executable
        times = []
        for _ in range(5):
            begin = time.process_time()
            function.lower(X).compile()  # Cached.
            times.append(time.process_time() - begin)
        return min(times)

    small, large = seconds(64), seconds(65536)
    assert large < small + 0.05, (small, large)  # A copy of 16 MiB; as a constant, 0.3 s.
