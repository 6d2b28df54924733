# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Whatever a ts function is given in a trace, an error is one of this package, at the user's line."""

import inspect
import math

import numpy as np
import pytest
from refusals import check

import tessera as ts

X = np.ones((2, 3), np.float32)
WRONG = [None, "x", [None], object(), 1 + 2j, math.inf, 10**40, -5, np.zeros((0, 3)), {"a": 1}, np.array("a")]
MODULES = {"ts": ts, "ts.nn": ts.nn, "ts.random": ts.random, "ts.tree": ts.tree}
FUNCTIONS = {f"{place}.{name}": getattr(module, name)
             for place, module in MODULES.items()
             for name in module.__all__ if inspect.isfunction(getattr(module, name))}


def calls(function):
    """Calls with one wrong argument each, the others being traced or left out."""
    parameters = [p for p in inspect.signature(function).parameters.values() if p.kind in (0, 1)]
    needed = sum(p.default is p.empty for p in parameters)
    for i in range(len(parameters)):
        for wrong in WRONG:
            def call(x, i=i, wrong=wrong):
                given = [wrong if j == i else x if j < needed else parameters[j].default
                         for j in range(max(needed, i + 1))]
                return function(*given)

            yield call, f"{parameters[i].name}={wrong!r}"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", FUNCTIONS)
def test_no_argument_ends_in_an_error_of_python(name):
    for call, what in calls(FUNCTIONS[name]):
        try:
            ts.jit(call).lower(X)
        except ts.TesseraError as error:
            assert error.location is not None and "/_src/" not in error.location.file, what
        except Exception as error:
            raise AssertionError(f"{name}({what}): {type(error).__name__}: {error}") from error


@pytest.mark.parametrize("function, fragments", [
    (lambda x: ts.zeros(None), ["ts.zeros does not take these arguments: TypeError", "got: shape=None"]),
    (lambda x: x.reshape(2, None), ["a shape holds integers"]),
    (lambda x: ts.tree.map(3, x), ["ts.tree.map does not take", "'int' object is not callable"]),
    (lambda x: ts.pad(x, "a"), ["ts.pad does not take", "got: x=Tracer(f32[2, 3]), widths='a'"]),
    (lambda x: ts.nn.layer_norm(x, x[0], x[0], "eps"), ["ts.layer_norm does not take", "eps='eps'"]),
])
def test_what_was_given_is_shown(function, fragments):
    with pytest.raises(ts.TraceError) as caught:
        ts.jit(function).lower(X)
    check(caught, caught.value.code, *fragments)


@pytest.mark.parametrize("function, kind", [
    (lambda x: {}["a"], KeyError), (lambda x: np.reshape(np.ones(3), (2, 2)), ValueError),
    (lambda x: ts.scan(lambda c, s: (c + {}["k"], s), x, x), KeyError), (lambda x: 1 / 0, ZeroDivisionError),
    (lambda x: ts.tree.map(lambda leaf: [][3], x), IndexError),
])
def test_errors_of_the_users_own_code_stay_what_they_are(function, kind):
    with pytest.raises(kind) as caught:
        ts.jit(function).lower(X)
    assert not isinstance(caught.value, ts.TesseraError)


ONES = np.ones((4, 3), np.float32)


class Linear(ts.nn.Module):
    def __init__(self):
        self.w = ONES

    def __call__(self, x, *, mask=None):
        return x @ self.w


@pytest.mark.parametrize("function, fragments", [
    (lambda: ts.matmul(ONES, ONES), ["3 of x (4, 3) and 4 of y (4, 3)"]),
    (lambda: ts.matmul(ONES, y=ONES), ["3 of x (4, 3) and 4 of y (4, 3)"]),
    (lambda: ts.concatenate([ONES, ONES[:, 1:]], 0), ["values.0 (4, 3), values.1 (4, 2)"]),
    (lambda: ts.grad(lambda w, x: ts.sum(w @ x))(ONES, ONES), ["3 of w (4, 3) and 4 of x (4, 3)"]),
    (lambda: ts.grad(lambda w, *xs: ts.sum(w @ xs[0]))(ONES, ONES), ["and 4 of xs.0 (4, 3)"]),
    (lambda: ts.checkpoint(lambda p, x: x @ p["w"])({"w": ONES}, ONES), ["and 4 of p.w (4, 3)"]),
    (lambda: ts.vjp(lambda w, x: w @ x, ONES, ONES), ["3 of w (4, 3) and 4 of x (4, 3)"]),
    (lambda: ts.cond(True, lambda a: a @ a, lambda a: a, ONES), ["3 of a (4, 3)"]),
    (lambda: Linear()(ONES), ["3 of x (4, 3) and 4 of self.w (4, 3)"]),
    (lambda: ts.scan(lambda c, x: (c, x), {1.0, 2.0}, ONES), ["argument 'init' is a set", "array of it"]),
    (lambda: ts.while_loop(lambda c: True, lambda c: c, "a"), ["'init_val' is a str", "from outside"]),
    (lambda: ts.vjp(lambda p: p, {1.0}), ["argument 'p' is a set"]),
])
def test_arguments_outside_of_a_trace_have_the_names_of_parameters(function, fragments):
    with pytest.raises(ts.TesseraError) as caught:
        function()
    check(caught, caught.value.code, *fragments)
    assert "arrays." not in str(caught.value) and "static" not in str(caught.value)


@pytest.mark.parametrize("labels", [ONES, ONES.astype(np.int32), ONES.astype(np.float64)])
def test_labels_that_are_weights(labels):
    for function in (lambda: ts.nn.softmax_cross_entropy(ONES, labels),
                     lambda: ts.jit(lambda x, y: ts.nn.softmax_cross_entropy(x, y))(ONES, labels)):
        with pytest.raises(ts.ShapeError) as caught:
            function()
        check(caught, "TS3018", "a label for each row", "-(weights * ts.nn.log_softmax(x)).sum(-1)")


def test_f32_of_integers_beside_f64():
    with pytest.raises(ts.TraceError) as caught:
        ts.jit(lambda x: ts.fori_loop(0, 3, lambda i, c: c + i * 0.1, x))(np.ones(3))
    check(caught, "TS1002", "f64 is never made silently", ".astype(ts.f32)", "i.astype(ts.f64) * 0.1")


ROWS = np.arange(12, dtype=np.float32).reshape(3, 4)


@pytest.mark.parametrize("function, fragments", [
    (lambda x, i: ts.dynamic_slice(x, (i, 0), (i, 4)), ["sizes of a slice are Python integers", "Tracer"]),
    (lambda x, i: ts.dynamic_slice(x, (i, 0), (1.5, 4)), ["sizes of a slice are", "got: 1.5"]),
    (lambda x, i: ts.dynamic_slice(x, (i, 0), "ab"), ["sizes of a slice are", "got: 'ab'"]),
    (lambda x, i: ts.dynamic_slice(x, (i, 0), 3), ["sizes (3,) does not fit", "one size per dimension"]),
    (lambda x, i: ts.dynamic_slice_in_dim(x, i, i), ["sizes of a slice are Python integers"]),
    (lambda x, i: ts.dynamic_slice(x, i, (1, 4)), ["one start per dimension", "got: 1"]),
    (lambda x, i: ts.dynamic_update_slice(x, x, 0), ["one start per dimension", "got: 1"]),
    (lambda x, i: x.at[i].increment(1), ["x.at[...] has no 'increment'", "did you mean 'add'?", "set,"]),
    (lambda x, i: x.at.__setitem__(i, 1), ["do not change", "x = x.at[index].set(new)"]),
    (lambda x, i: ts.scan(lambda c: (c, c), 0, x), ["the body of ts.scan is called with 2 arguments",
                                                    "a function of (carry, x)", "of (c)"]),
    (lambda x, i: ts.fori_loop(0, 3, lambda c: c, x), ["the body of ts.fori_loop is called with 2"]),
    (lambda x, i: ts.while_loop(lambda: True, lambda c: c, x), ["the condition of ts.while_loop is called "
                                                                "with 1 argument, which"]),
    (lambda x, i: ts.cond(i > 0, lambda a: x, lambda: x, x), ["false_fun of ts.cond is called with 1",
                                                              "(operand 0)"]),
    (lambda x, i: ts.switch(i, [lambda a: x]), ["branch 0 of ts.switch is called with 0 arguments"]),
    (lambda x, i: ROWS[i : i + 2], ["ts.asarray(array)[i]"]),
    (lambda x, i: ts.conv2d(x), ["ts has no 'conv2d'", "no convolutions"]),
])
def test_control_flow_and_computed_places_say_what_they_take(function, fragments):
    with pytest.raises(ts.TesseraError) as caught:
        ts.jit(function).lower(ROWS, np.int32(1))
    check(caught, caught.value.code, *fragments)
