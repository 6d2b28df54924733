# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What .memory() predicts, against hand counts and what the plan takes."""

import numpy as np
import pytest

import tessera as ts

X = np.linspace(-1, 1, 512 * 64, dtype=np.float32).reshape(512, 64)
W = np.linspace(-0.1, 0.1, 64 * 64, dtype=np.float32).reshape(64, 64)
STEPS = X.reshape(64, 8, 64)
KB = 1024


def sums_and_states(x, w):
    return ts.scan(lambda c, s: (ts.tanh(c @ w + s), c.sum()), x[0], x)


def loss(w, x):
    return ts.sum(sums_and_states(x, w)[0])


# Bytes of activations by hand: X takes 128 KB, a state of the loops 2 KB.
PROGRAMS = {
    # Nothing is between the argument and the result of one kernel.
    "one kernel": (lambda x: ts.sin(x) * 2, (X,), 0),
    # A product and then another of it; the second is the result.
    "two products": (lambda x, w: (x @ w) @ w, (X, W), 128 * KB),
    # At the second of three products two values are alive.
    "three products": (lambda x, w: ((x @ w) @ w) @ w, (X, W), 256 * KB),
    # The carried value and its next one exchange their memory.
    "loop": (lambda x, w: ts.sum(ts.fori_loop(0, 10, lambda i, s: s @ w, x)), (X, W), 256 * KB),
    # It is written over the value before.
    "loop in place": (lambda x: ts.fori_loop(0, 10, lambda i, s: ts.sin(s), x + 1), (X,), 0),
    # The loop stacks its state for the backward pass: 64 of 2 KB.
    "gradient of a loop": (ts.grad(loss), (W, STEPS), None),
    "stacked results": (sums_and_states, (STEPS, W), None),
    "while": (lambda x, w: ts.while_loop(lambda s: s[0] < 10, lambda s: (s[0] + 1, ts.sin(s[1] @ w)),
                                         (ts.zeros((), ts.i32), x))[1], (X, W), None),
    "branches": (lambda x, w: ts.cond(ts.sum(x) > 0, lambda x: ts.exp(x @ w) @ w, lambda x: x * 2, x + 1) + 1,
                 (X, W), None),
    "loops in loops": (lambda x, w: ts.fori_loop(
        0, 5, lambda i, s: ts.fori_loop(0, 3, lambda j, t: ts.tanh(t @ w), s) + x, x), (X, W), None),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_predicted_is_what_the_plan_takes(name):
    function, arguments, wanted = PROGRAMS[name]
    lowered = ts.jit(function).lower(*arguments)
    predicted = lowered.memory()
    assert predicted["arguments"] == sum(a.nbytes for a in arguments)
    if wanted is not None:
        assert predicted["activations"] == pytest.approx(wanted, abs=256)
    compiled = lowered.compile()
    assert {**compiled.memory(), "arena": None} == {**predicted, "arena": None}
    arena = compiled.memory()["arena"]
    assert abs(arena - predicted["activations"]) <= 0.1 * arena + 256


def test_a_donated_argument_holds_the_result():
    step = ts.jit(lambda w, x: w - 0.1 * ts.grad(loss)(w, x), donate_argnums=0)
    assert step.lower(W, STEPS).memory()["results"] == 0
    kept = ts.jit(lambda w, x: w - 0.1 * ts.grad(loss)(w, x))
    assert kept.lower(W, STEPS).memory()["results"] == W.nbytes


def test_bytes_are_those_of_one_device():
    product = ts.jit(lambda x, w: ts.sin(x @ w) @ w.T, mesh=ts.make_mesh({"tp": 2}),
                     in_shardings=(ts.P(), ts.P(None, "tp")))
    memory = product.lower(X, W).memory()
    assert memory["arguments"] == X.nbytes + W.nbytes // 2
    assert memory["results"] == X.nbytes
    # Half of the first product; the sum of the second is formed in the result.
    assert memory["activations"] == pytest.approx(X.nbytes // 2, abs=256)


def test_what_is_alive_is_named_by_line():
    def loss(x, w):
        first = x @ w
        return ts.sum(ts.checkpoint(lambda y: ts.sin(y @ w) @ w)(first))

    text = ts.jit(ts.grad(loss, (0, 1))).lower(X, W).explain()
    line = loss.__code__.co_firstlineno + 1
    assert "checkpoint at " in text and "policy nothing: keeps 131072 bytes" in text, text
    memory = text[text.index("memory of a device, predicted") :]
    assert f"test_memory.py:{line}" in memory
