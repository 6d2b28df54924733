# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Conditionals are traced into regions: what they compute, and what they refuse."""

import numpy as np
import pytest
from evaluate import results
from refusals import check

import tessera as ts

pytestmark = pytest.mark.quick

F32, I32 = np.float32, np.int32
X = np.arange(6, dtype=F32).reshape(2, 3)


@pytest.mark.parametrize("pred", [np.bool_(True), np.bool_(False), I32(2), I32(0), F32(0.5)])
def test_cond_runs_one_of_two(pred):
    got = results(lambda p, x: ts.cond(p, lambda v: {"r": v * 2}, lambda v: {"r": v - 1}, x), pred, X)
    np.testing.assert_array_equal(got["r"], X * 2 if pred else X - 1)


@pytest.mark.parametrize("kind", [np.int32, np.int64])
def test_switch_limits_its_index(kind):
    def function(i, x):
        return ts.switch(i, [lambda v: v, lambda v: v * 10, lambda v: -v], x)

    for i, wanted in [(0, X), (1, X * 10), (2, -X), (-5, X), (7, -X)]:
        np.testing.assert_array_equal(results(function, kind(i), X), wanted)
    big = np.int64(2**32 + 1)
    np.testing.assert_array_equal(results(function, big, X), -X)


def test_what_is_known_is_chosen_while_tracing():
    def refuse(*_):
        raise AssertionError("this branch does not run")

    for pred in (True, np.bool_(True), 3, np.array(1.0), ts.array(True)):
        text = ts.jit(lambda x, p=pred: ts.cond(p, lambda v: v * 2, refuse, x)).lower(X).as_text()
        assert "tessera.cond" not in text and "tessera.mul" in text
    for index in (1, np.int64(1), 9):
        text = ts.jit(lambda x, i=index: ts.switch(i, [refuse, lambda v: v * 2], x)).lower(X).as_text()
        assert "tessera.cond" not in text and "tessera.mul" in text


def test_numbers_take_the_type_of_the_other_branch():
    def function(p, x):
        return ts.cond(p, lambda: 0, lambda: x.sum()), ts.cond(p, lambda: 1, lambda: 2)

    for pred in (np.bool_(True), np.bool_(False)):
        first, second = results(function, pred, X.astype(ts.bf16))
        assert (first.dtype, second.dtype) == (ts.bf16, ts.i32)
        assert (float(first), int(second)) == ((0, 1) if pred else (15, 2))


@pytest.mark.parametrize("branches, how, fragments", [
    ((lambda v: (v, v), lambda v: v), "structures", ["expected: f32[2, 3], as from false_fun",
                                                     "got: (f32[2, 3], f32[2, 3]), from true_fun"]),
    ((lambda v: {"k": v[0]}, lambda v: {"k": v}), "shapes at 'k'", ["got: {'k': f32[3]}, from true_fun"]),
    ((lambda v: v.astype(ts.i32), lambda v: v), "types", ["got: i32[2, 3]"]),
])
def test_results_of_branches_fit_together(branches, how, fragments):
    with pytest.raises(ts.TraceError) as caught:
        ts.jit(lambda p, x: ts.cond(p, *branches, x)).lower(np.bool_(True), X)
    check(caught, "TS1040", f"branches of ts.cond return results of different {how}",
          "false_fun is <lambda> at", *fragments)
    with pytest.raises(ts.TraceError) as caught:
        ts.jit(lambda i, x: ts.switch(i, [branches[1], branches[1], branches[0]], x)).lower(I32(1), X)
    check(caught, "TS1040", f"of ts.switch return results of different {how}", "branch 2 is <lambda> at",
          "as from branch 0", "from branch 2")


@pytest.mark.parametrize("function, code, fragments", [
    (lambda x: ts.cond(x > 0, lambda: 1, lambda: 2), "TS1039", ["has dimensions", "ts.where"]),
    (lambda x: ts.cond(np.ones(2), lambda: 1, lambda: 2), "TS1039", ["has dimensions", "shape (2,)"]),
    (lambda x: ts.cond("yes", lambda: 1, lambda: 2), "TS1039", ["is a str"]),
    (lambda x: ts.cond(x.sum() > 0, 1, lambda: 2), "TS1035", ["true_fun of ts.cond is a int"]),
    (lambda x: ts.switch(x[0, 0], [lambda: 1, lambda: 2]), "TS1039", ["must be a scalar integer", "f32[]"]),
    (lambda x: ts.switch(True, [lambda: 1, lambda: 2]), "TS1039", ["must be a scalar integer"]),
    (lambda x: ts.switch(0, []), "TS1035", ["needs branches"]),
    (lambda x: ts.cond(x.sum() > 0, lambda: "a", lambda: "b"), "TS1023", ["result of false_fun of ts.cond"]),
])
def test_what_conditionals_refuse(function, code, fragments):
    with pytest.raises(ts.TesseraError) as caught:
        ts.jit(function).lower(X)
    check(caught, code, *fragments)


def test_a_value_that_leaves_its_branch_is_named_with_the_branch():
    kept = []

    def keeps(v):
        kept.append(v * 2)
        return v

    with pytest.raises(ts.TraceError) as caught:
        ts.jit(lambda x: ts.cond(x.sum() > 0, keeps, lambda v: v, x) + kept[0]).lower(X)
    check(caught, "TS1011", "a value of true_fun of ts.cond at", "is used outside of it")
