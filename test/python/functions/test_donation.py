# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Donated arguments are tied to results; what cannot be tied is said, what cannot be donated refused."""

import re

import numpy as np
import pytest
from conftest import needs_compiler
from refusals import check

import tessera as ts

pytestmark = pytest.mark.quick

A = np.ones((2, 3), np.float32)
B = np.ones(4, np.float32)


def ties(function, *args, **kwargs):
    """The number of the result that each tied argument, by name, is tied to."""
    text = function.lower(*args, **kwargs).as_text()
    found = re.findall(r'tessera\.name = "([^"]*)"(?:, tessera\.tied = (\d+) : i64)?', text)
    return {name: int(result) for name, result in found if result}


def test_an_argument_is_tied_to_the_result_at_its_place():
    def step(params, moments, batch):
        grads = {name: value * batch.sum() for name, value in params.items()}
        return {"moments": {name: m + grads[name] for name, m in moments.items()},
                "params": {name: value - grads[name] for name, value in params.items()}}

    tree = {"v": A, "w": A}
    # Results are in the order of their keys: moments.v, moments.w, params.v, params.w.
    wanted = {"params.v": 2, "params.w": 3, "moments.v": 0, "moments.w": 1}
    assert ties(ts.jit(step, donate_argnums=(0, 1)), tree, tree, A) == wanted
    assert ties(ts.jit(step, donate_argnames=("params", "moments")), tree, tree, batch=A) == wanted
    assert ties(ts.jit(step, donate_argnums=-2), tree, tree, A) == {"moments.v": 0, "moments.w": 1}
    assert ties(ts.jit(step), tree, tree, A) == {}


def test_a_tree_is_tied_to_the_result_of_its_shape():
    function = ts.jit(lambda state, x: (x.sum(), [state[1] * 2, state[0] + 1]), donate_argnums=0)
    assert ties(function, (A, B), B) == {"state.0": 2, "state.1": 1}
    assert ties(function, (A, A), B) == {"state.0": 1, "state.1": 2}
    assert ties(ts.jit(lambda x: x + 1, donate_argnums=0), A) == {"x": 0}
    # At equal shapes the structure decides.
    nested = (A, (A, A))
    assert ties(ts.jit(lambda s: s, donate_argnums=0), nested) == {"s.0": 0, "s.1.0": 1, "s.1.1": 2}
    function = ts.jit(lambda s, x: (x, s), donate_argnums=0)
    assert ties(function, nested, A) == {"s.0": 1, "s.1.0": 2, "s.1.1": 3}
    function = ts.jit(lambda p, q: {"q": q, "p": p}, donate_argnums=(0, 1))
    assert ties(function, A, A) == {"p": 0, "q": 1}
    function = ts.jit(lambda q, p: (q["k"], p["k"]), donate_argnums=(0, 1))
    assert ties(function, {"k": A}, {"k": A}) == {"q.k": 0, "p.k": 1}


def test_arguments_of_any_kind_are_donated():
    function = ts.jit(lambda x, *rest, **named: (x, rest, named), donate_argnums=(1, 3), donate_argnames="k")
    assert ties(function, A, A, A, A, k=A, other=A) == {"rest.0": 1, "rest.2": 3, "k": 4}
    function = ts.jit(lambda x, *rest: rest, donate_argnames="rest")
    assert ties(function, A, A, A) == {"rest.0": 0, "rest.1": 1}
    function = ts.jit(lambda how, x: x, static_argnums=0, donate_argnums=1)
    assert ties(function, "a", A) == {"x": 0}


@needs_compiler
def test_a_donation_without_a_result_is_said():
    lowered = ts.jit(lambda p, x: p.sum() + x, donate_argnames=("p", "x")).lower({"w": A}["w"], B)
    assert "donated argument 'p' (f32[2, 3]): no result is left of its shape and type" in lowered.explain()
    assert "'x'" not in lowered.explain().partition("donated")[2]
    assert "donated" not in ts.jit(lambda p: p * 2, donate_argnums=0).explain(A)
    # A result takes the memory of one argument.
    assert "donated argument 'y'" in ts.jit(lambda x, y: x + y, donate_argnums=(0, 1)).explain(A, A)
    # Another type is another size, or at least another meaning.
    assert "donated argument 'x'" in ts.jit(lambda x: x.astype(ts.i32), donate_argnums=0).explain(A)


@pytest.mark.parametrize("options, fragments", [
    ({"donate_argnums": 5}, ["donate_argnums has 5, but <lambda> has 2 parameters", "0 (p), 1 (x)"]),
    ({"donate_argnums": -3}, ["donate_argnums has -3"]),
    ({"donate_argnums": "p"}, ["donate_argnums is 'p'"]),
    ({"donate_argnums": True}, ["donate_argnums is True"]),
    ({"donate_argnames": "params"}, ["donate_argnames names 'params', which is not a parameter"]),
    ({"donate_argnames": ("p", 1)}, ["donate_argnames is ('p', 1)"]),
    ({"donate_argnums": 1, "static_argnames": "x"}, ["'x' of <lambda> is both static and donated"]),
])
def test_what_cannot_be_donated(options, fragments):
    with pytest.raises(ts.ConfigError) as caught:
        ts.jit(lambda p, x: (p, x), **options)
    check(caught, "TS4006", *fragments)


def test_a_function_inside_another_donates_nothing():
    inner = ts.jit(lambda x: x * 2, donate_argnums=0)
    assert ties(ts.jit(lambda x: inner(x) + x), A) == {}


@needs_compiler
def test_an_update_of_a_donated_argument_needs_no_second_buffer():
    report = ts.jit(lambda p, g: p - 0.25 * g, donate_argnums=0).lower(A, A)._report("plan")
    assert report["arenaBytes"] == 0
    assert [(tie["argument"], tie["inPlace"]) for tie in report["ties"]] == [("p", True)]


@needs_compiler
def test_a_result_that_cannot_be_in_the_memory_of_its_argument_is_copied_there():
    step = ts.jit(lambda p: p[::-1] + 1, donate_argnums=0)
    report = step.lower(A)._report("plan")
    assert [(tie["argument"], tie["inPlace"]) for tie in report["ties"]] == [("p", False)]
    assert "copied" in step.lower(A).explain()
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    state = step(step(ts.array(x)))
    np.testing.assert_array_equal(state, x + 2)
