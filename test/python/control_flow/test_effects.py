# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Printing, checking and barriers in traced programs."""

import contextlib
import io
import os
import re
import sys
import threading

import numpy as np
import pytest
from conftest import needs_compiler
from refusals import check

import tessera as ts

X = np.arange(3, dtype=np.float32)


def text_of(function, *args):
    return ts.jit(function).lower(*args).as_text()


def test_fields_of_traced_values_stand_for_operands_and_others_for_text():
    text = text_of(lambda x: ts.debug.print("a {} {n:03d} {{}} {b} {0} {s!r}", x, n=5, b=x[1], s="t") or x, X)
    assert '''tessera.debug_print "a {} 005 {{}} {} {} 't'" (%arg0, %''' in text
    text = text_of(lambda x: ts.debug.print("done", ordered=True) or x, X)
    assert text.count('print "done" () ordered') == 1


def test_a_check_has_a_predicate_and_a_message():
    text = text_of(lambda x: ts.debug.check(x < 3, "too large: {}", x) or x, X)
    assert 'tessera.debug_check %' in text and '"too large: {}" (%arg0) :' in text
    text = text_of(lambda x: ts.debug.check_finite({"a": (x, x.astype(ts.i32))}, "state") or x, X)
    assert text.count("debug_check") == 1 and "state at 'a.0' has {} elements that are not finite" in text


def test_a_body_that_is_traced_twice_prints_once():
    def body(c, x):
        ts.debug.print("{}", x)
        return c + x.astype(ts.bf16), None

    for unroll, count in ((1, 1), (True, 3)):
        text = text_of(lambda x: ts.scan(body, 0, x, unroll=unroll)[0], X)
        assert text.count("debug_print") == count


@pytest.mark.parametrize("function, fragments", [
    (lambda x: ts.debug.print("{} {}", x), ["the format names '1'"]),
    (lambda x: ts.debug.print("{y}", x=x), ["the format names 'y'", "valid: x"]),
    (lambda x: ts.debug.print("{:.3f}", x), ["field '0' has a format", "ts.round"]),
    (lambda x: ts.debug.print("{", x), ["the format is malformed"]),
    (lambda x: ts.debug.print(x), ["the format must be a string"]),
    (lambda x: ts.debug.print("{}", {"a": x}), ["the field '0' is a dict"]),
])
def test_what_formats_refuse(function, fragments):
    with pytest.raises(ts.TraceError) as caught:
        ts.jit(function).lower(X)
    check(caught, "TS1044", *fragments)


def test_outside_of_a_trace_they_happen_at_once(capsys):
    ts.debug.print("x is {x:.1f}", x=1.25)
    assert capsys.readouterr().out == "x is 1.2\n"
    ts.debug.check(X < 5, "no")
    ts.debug.check_finite({"x": X, "n": np.arange(2)})
    with pytest.raises(ts.CompileError, match="x is 7"):
        ts.debug.check(X < 1, "x is {}", 7)
    with pytest.raises(ts.CompileError, match="w at 'x' has 1 elements that are not finite"):
        ts.debug.check_finite({"x": np.array([1.0, np.nan])}, "w")


@needs_compiler
def test_prints_and_checks_happen_when_the_program_is_interpreted(capfd):
    def function(x, n):
        def body(i, c):
            ts.debug.print("step {}: {}", i, c.sum(), ordered=True)
            return c * 2

        x = ts.fori_loop(0, n, body, x)
        ts.debug.check(x < 100, "too large after {}", n)
        return x

    jitted = ts.jit(function, mesh=ts.make_mesh({"tp": 3}), in_shardings=(ts.P("tp"), None))
    for stage in ("tessera", "local"):
        np.testing.assert_array_equal(jitted.lower(X, 2).interpret(X, 2, stage=stage), X * 4)
        assert capfd.readouterr().out == "step 0: 3\nstep 1: 6\n"
        with pytest.raises(ts.CompileError, match="too large after 7"):
            jitted.lower(X, 7).interpret(X, 7, stage=stage)
        capfd.readouterr()


@needs_compiler
def test_a_barrier_gives_the_values_on():
    function = ts.jit(lambda x: ts.optimization_barrier((x + 1, {"k": x * 2}["k"])))
    a, b = function.lower(X).interpret(X, stage="local")
    np.testing.assert_array_equal(a, X + 1)
    np.testing.assert_array_equal(b, X * 2)


def loop_with_effects(x, n):
    def body(i, c):
        ts.debug.print("step {} {{}}: {}", i, c.sum(), ordered=True)
        return c * 2

    x = ts.fori_loop(0, n, body, x)
    ts.debug.check(x < 100, "too large after {}", n)
    return x


@needs_compiler
@pytest.mark.parametrize("device", ["cpu", "emulated"])
def test_prints_and_checks_happen_when_the_program_runs(capfd, device):
    jitted = ts.jit(loop_with_effects, mesh=ts.make_mesh({"tp": 3}, device=device),
                    in_shardings=(ts.P("tp"), None))
    np.testing.assert_array_equal(jitted(X, 2), X * 4)
    assert capfd.readouterr().out == "step 0 {}: 3\nstep 1 {}: 6\n"
    with pytest.raises(ts.CompileError) as caught:
        jitted(X, 7)
    check(caught, "TS5005", "too large after 7")
    assert 'ts.debug.check(x < 100, "too large after {}", n)' in str(caught.value)
    # The failure leaves nothing behind.
    np.testing.assert_array_equal(jitted(X, 1), X * 2)


def _digits(text):
    """How many digits of a number are written, without leading zeros and the exponent."""
    return len(re.sub(r"[^0-9]", "", text.partition("e")[0]).lstrip("0"))


@needs_compiler
@pytest.mark.parametrize("dtype, values", [
    (np.float32, ["16777217", "0.1", "1e-45", "3.4028235e+38", "0.33333334", "-0", "inf", "1.5", "nan"]),
    (np.float64, ["16777217", "0.1", "5e-324", "1.7976931348623157e+308", "0.3333333333333333", "123456.5"]),
    (np.float16, ["0.333252", "65504", "-0.5"])])
def test_printed_numbers_read_back_as_they_are(capfd, dtype, values):
    x = np.array(values, np.float64).astype(dtype)
    show = ts.jit(lambda x: ts.debug.print("{}", x) or x)
    for run in (show, lambda x: show.lower(x).interpret(x, stage="tessera")):
        run(x)
        printed = capfd.readouterr().out.strip("[] \n").split(", ")
        np.testing.assert_array_equal(np.array(printed, np.float64).astype(dtype), x)
        for text, shortest in zip(printed, map(str, x), strict=True):
            assert _digits(text) <= max(_digits(shortest), 6)
    short = np.array([0.1, 1.5, 2, 1e10, 16777216], dtype if dtype != np.float16 else np.float32)
    show(short)
    assert capfd.readouterr().out == "[0.1, 1.5, 2, 1e+10, 16777216]\n"


@needs_compiler
def test_a_print_in_a_branch_happens_only_there(capfd):
    @ts.jit(mesh=ts.make_mesh({"tp": 2}))
    def f(x, big):
        return ts.cond(big, lambda: ts.debug.print("{}", x.astype(ts.i32) // 2) or x * 2, lambda: x)

    f(np.float32(3), True)
    assert capfd.readouterr().out == "1\n"
    f(np.float32(3), False)
    assert capfd.readouterr().out == ""


@needs_compiler
def test_a_finite_check_names_the_leaf(capfd):
    @ts.jit
    def f(x):
        y = 1 / x
        ts.debug.check_finite({"y": y}, "state")
        return y

    np.testing.assert_array_equal(f(X + 1), 1 / (X + 1))
    with pytest.raises(ts.CompileError, match="state at 'y' has 1 elements that are not finite"):
        f(X)


@needs_compiler
def test_a_barrier_is_compiled():
    function = ts.jit(lambda x: ts.optimization_barrier((x + 1, x * 2)), mesh=ts.make_mesh({"tp": 2}))
    a, b = function(X)
    np.testing.assert_array_equal(a, X + 1)
    np.testing.assert_array_equal(b, X * 2)


def noisy(x, n):
    return ts.fori_loop(0, n, lambda i, c: ts.debug.print("step {}", i, ordered=True) or c + 1, x)


class Output(io.StringIO):
    """A sys.stdout that does something at each line."""

    def __init__(self, at_line):
        super().__init__()
        self.at_line = at_line

    def write(self, text):
        self.at_line(text)
        return super().write(text)


@needs_compiler
@pytest.mark.quick
def test_prints_go_where_sys_stdout_leads(capsys):
    jitted = ts.jit(noisy)
    jitted(X, 2)
    jitted.lower(X, 1).interpret(X, 1)
    assert capsys.readouterr().out == "step 0\nstep 1\nstep 0\n"
    with contextlib.redirect_stdout(io.StringIO()) as out:
        print("before")
        jitted(X, 2)
        print("behind")
    assert out.getvalue() == "before\nstep 0\nstep 1\nbehind\n"
    assert capsys.readouterr().out == ""


@needs_compiler
@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
def test_an_error_while_printing_ends_the_run(error):
    jitted = ts.jit(noisy, mesh=ts.make_mesh({"tp": 2}))

    def fail_at_third(text):
        if text == "step 2\n":
            raise error

    for call in (jitted, jitted.lower(X, 5).interpret):
        with contextlib.redirect_stdout(Output(fail_at_third)) as out, pytest.raises(type(error)) as caught:
            call(X, 5)
        assert caught.value is error and out.getvalue() == "step 0\nstep 1\n"
    # The failure leaves nothing behind.
    with contextlib.redirect_stdout(io.StringIO()):
        np.testing.assert_array_equal(jitted(X, 1), X + 1)
        with pytest.raises(ts.CompileError, match="x is 7"):
            ts.jit(lambda x: ts.debug.check(x.sum() > 99, "x is 7") or x)(X)


@needs_compiler
def test_a_print_may_run_other_programs_and_not_its_own():
    other, jitted, results = ts.jit(lambda x: x * 2), ts.jit(noisy), []
    with contextlib.redirect_stdout(Output(lambda text: results.append(np.asarray(other(X))))):
        jitted(X, 2)
    np.testing.assert_array_equal(results, [X * 2, X * 2])
    with contextlib.redirect_stdout(Output(lambda text: jitted(X, 2))), pytest.raises(
            ts.CompileError, match="what writes its prints cannot use the program itself"):
        jitted(X, 2)
    with contextlib.redirect_stdout(io.StringIO()):
        np.testing.assert_array_equal(jitted(X, 2), X + 2)


@needs_compiler
def test_prints_of_threads_and_of_forked_processes(capfd):
    jitted = [ts.jit(lambda x, n, k=k: noisy(x, n) + k) for k in range(2)]
    for f in jitted:
        f(X, 1)
    capfd.readouterr()
    threads = [threading.Thread(target=f, args=(X, 50)) for f in jitted]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive(), "a thread stands still"
    lines = capfd.readouterr().out.splitlines()
    assert sorted(lines) == sorted(2 * [f"step {i}" for i in range(50)])
    child = os.fork()
    if not child:
        try:
            jitted[0](X, 2)
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert capfd.readouterr().out == "step 0\nstep 1\n"


@needs_compiler
def test_a_process_without_output_prints_nothing(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    np.testing.assert_array_equal(ts.jit(noisy)(X, 2), X + 2)
