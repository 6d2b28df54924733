# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""User mistakes with derivatives: one early error each, at the user's line, with the way out."""

import functools
import re

import numpy as np
import pytest
from refusals import check

import tessera as ts

X = np.ones((2, 3), np.float32)
N = np.arange(3, dtype=np.int32)
KEPT = []


def keep(x):
    KEPT.append(x)
    return ts.sum(x)


def with_vjp(forward=None, backward=None, fun=lambda x: x * 2):
    f = ts.custom_vjp(fun)
    if forward is not None:
        f.defvjp(forward, backward)
    return ts.grad(lambda x: ts.sum(f(x)))(X)


def with_jvp(rule=None):
    f = ts.custom_jvp(lambda x: x * 2)
    if rule is not None:
        f.defjvp(rule)
    return ts.grad(lambda x: ts.sum(f(x)))(X)


def inner_leak(x):
    ts.grad(keep)(x)
    return KEPT[-1] * 2


def closure_in_custom(y):
    f = ts.custom_vjp(lambda x: x * y)
    f.defvjp(lambda x: (f(x), ()), lambda kept, ct: (ct,))
    return ts.grad(lambda x: ts.sum(f(x)))(y)


def value_in_body(x):
    return ts.scan(lambda c, _: (ts.grad(ts.sum(c * c), c), None), x, None, length=2)[0]


def twice_by_hand(x):
    f = ts.custom_vjp(lambda x: x * 2)
    f.defvjp(lambda x: (x * 2, x), lambda kept, ct: (ct * 2,))
    return ts.jvp(f, (x,), (x,))


def with_rules(*rules, fun=lambda x: x * 2, **options):
    made = (ts.custom_vjp if len(rules) == 2 else ts.custom_jvp)(fun, **options)
    (made.defvjp if len(rules) == 2 else made.defjvp)(*rules)
    return made


def with_each(*rules, **options):
    made = ts.custom_jvp(lambda x, y: x * y, **options)
    made.defjvps(*rules)
    return made


def of_value(**options):
    return ts.jit(lambda x: ts.grad(ts.sum(x**2), x, **options))(X)


def by_value(weights_of, loss_of=lambda x: ts.sum(x**2)):
    return ts.jit(lambda x: ts.grad(loss_of(x), weights_of(x)))(X)


def ignored(x, rate):
    return x * rate


def first_kept(x):
    return x * 2, None


def kept(make):
    """What ts.vjp or ts.linearize gives beside the value, out of the trace."""
    def f(x):
        value, function = make(ts.sin, x)
        KEPT.append(function)
        return value

    ts.jit(f)(X)
    return KEPT.pop()


def squared(p, t):
    return p[0] * 2, t[0] ** 2


def kept_in_body(x):
    def body(c, _):
        KEPT.append(ts.vjp(ts.sin, c)[1])
        return c, None

    ts.scan(body, x, None, length=2)
    return KEPT.pop()(x)[0]


def forward_of(rule):
    f = ts.custom_jvp(lambda x: x * 2)
    f.defjvp(rule)
    return ts.jvp(f, (X,), (X * 0,))


# What is done, the error's code, and what it says.
MISTAKES = {
    "value with dimensions": (lambda: ts.grad(lambda x: x * 2)(X), "TS1043", "one scalar", "sum or average"),
    "value of integers": (lambda: ts.grad(lambda x: ts.argmax(x))(X), "TS1043", "i32[]"),
    "no value": (lambda: ts.grad(lambda x: None)(X), "TS1043", "None"),
    "two values": (lambda: ts.grad(lambda x: (ts.sum(x), x))(X), "TS1043", "has_aux"),
    "aux without a pair": (lambda: ts.grad(lambda x: ts.sum(x), has_aux=True)(X), "TS1042", "pair"),
    "argument of integers": (lambda: ts.grad(lambda n: ts.sum(n * 2.0))(N),
                             "TS1040", "'n'", "i32[3]", "astype"),
    "argument of booleans": (lambda: ts.grad(lambda x: ts.sum(x))(True), "TS1040", "'x'", "bool"),
    "Python integer": (lambda: ts.grad(lambda x: x * 2.0)(3), "TS1040", "'x'"),
    "leaf of integers": (lambda: ts.grad(lambda p: ts.sum(p["w"]))({"w": X, "n": N}), "TS1040", "'p.n'"),
    "argument of text": (lambda: ts.grad(lambda x, m: ts.sum(x), 1)(X, "hi"), "TS1040", "'m'", "str"),
    "static argument": (lambda: ts.jit(ts.grad(lambda x, n: ts.sum(x) * n, 1), static_argnums=1)(X, 3),
                        "TS4006", "static arguments", "no derivative"),
    "argnums out of range": (lambda: ts.grad(lambda x: ts.sum(x), 2)(X), "TS4006", "has 2", "1 positional"),
    "argnums of text": (lambda: ts.grad(lambda x: ts.sum(x), "x"), "TS4006", "argnums", "(0, 2)"),
    "no argnums": (lambda: ts.grad(lambda x: ts.sum(x), ()), "TS4006", "argnums"),
    "unknown argname": (lambda: ts.grad(lambda weight: ts.sum(weight), argnames="weights")(X), "TS4006",
                        "did you mean 'weight'"),
    "argnums twice": (lambda: ts.grad(lambda x, y: ts.sum(x), (0, -2))(X, X), "TS4006", "twice"),
    "Jacobian by argnums twice": (lambda: ts.jacrev(lambda x: x, (0, 0))(X), "TS4006", "twice"),
    "argnames twice": (lambda: ts.grad(lambda x: ts.sum(x), argnames=("x", "x")), "TS4006", "twice"),
    "argname before positions": (lambda: ts.grad(lambda w, *xs: ts.sum(w * xs[0]), argnames="w")(X, X),
                                 "TS4006", "'xs'", "argnums=0"),
    "argument by name": (lambda: ts.grad(lambda *, x: ts.sum(x))(x=X), "TS4006", "argnames"),
    "no function": (lambda: ts.grad(X), "TS1035", "not a function"),
    "reverse through while": (lambda: ts.grad(lambda x: ts.while_loop(
        lambda c: c < 10.0, lambda c: c * c, ts.sum(x)))(X), "TS5001", "while", "ts.fori_loop", "ts.jvp"),
    "reverse through traced bounds": (lambda: ts.jit(lambda x, n: ts.grad(lambda x: ts.fori_loop(
        0, n, lambda i, c: c * 2, ts.sum(x)))(x))(X, np.int32(3)), "TS5001", "while", "constant bounds"),
    "leaked argument": (lambda: ts.jit(inner_leak)(X), "TS1011", "ts.grad", "has_aux"),
    "leaked out of all": (lambda: (ts.grad(keep)(X), ts.jit(lambda y: y + KEPT[-1])(X)), "TS1011"),
    "Python condition": (lambda: ts.grad(lambda x: ts.sum(x) if ts.sum(x) > 0 else ts.sum(-x))(X), "TS1009",
                         "ts.where"),
    "NumPy inside": (lambda: ts.grad(lambda x: np.linalg.norm(x))(X), "TS1028"),
    "cotangent of another shape": (lambda: ts.vjp(lambda x: x * 2, X)[1](X.T), "TS1041", "f32[2, 3]",
                                   "f32[3, 2]"),
    "cotangent of another type": (lambda: ts.vjp(lambda x: x * 2, X)[1](X.astype(np.float64)), "TS1041",
                                  "f64"),
    "cotangent of another structure": (lambda: ts.vjp(lambda x: (x, x), X)[1](X), "TS1041", "(array, array)"),
    "vjp by integers": (lambda: ts.vjp(lambda n: n * 2.0, N), "TS1040", "i32", "from outside"),
    "jvp by integers": (lambda: ts.jvp(lambda n: n * 2.0, (N,), (N,)), "TS1040", "i32", "from outside"),
    "primals without a tuple": (lambda: ts.jvp(lambda x: x, X, X), "TS1041", "(x,)"),
    "tangent of another shape": (lambda: ts.jvp(lambda x: x, (X,), (X[:1],)), "TS1041", "f32[1, 3]"),
    "too many tangents": (lambda: ts.jvp(lambda x: x, (X,), (X, X)), "TS1041", "structure"),
    "linearize outside": (lambda: ts.linearize(lambda x: x, X), "TS1007", "ts.jvp"),
    "hessian by integers": (lambda: ts.hessian(lambda n: ts.sum(n * 1.0))(N), "TS1040",
                            "ts.hessian cannot differentiate by argument 'n'"),
    "jacobian argnums": (lambda: ts.jacrev(lambda x: x, 1)(X), "TS4006", "has 1"),
    "custom_vjp without a rule": (with_vjp, "TS1044", "defvjp"),
    "forward without residuals": (lambda: with_vjp(lambda x: x * 2, lambda r, c: (c,)), "TS1045",
                                  "residuals"),
    "forward of another value": (lambda: with_vjp(lambda x: (x[0], x), lambda r, c: (c,)), "TS1045",
                                 "f32[2, 3]", "f32[3]"),
    "backward without a tuple": (lambda: with_vjp(lambda x: (x * 2, x), lambda r, c: c), "TS1045", "(x,)"),
    "backward of too many": (lambda: with_vjp(lambda x: (x * 2, x), lambda r, c: (c, c)), "TS1045",
                             "a tuple of 1", "a tuple of 2"),
    "backward of another shape": (lambda: with_vjp(lambda x: (x * 2, x), lambda r, c: (c[0],)), "TS1045",
                                  "cotangent 0", "f32[3]"),
    "custom_vjp in forward mode": (lambda: twice_by_hand(X), "TS5001", "reverse mode only", "jvp"),
    "custom_vjp with a closure": (lambda: ts.jit(closure_in_custom)(X), "TS1046", "pass them as arguments"),
    "custom_jvp without a rule": (with_jvp, "TS1044", "defjvp"),
    "rule without a pair": (lambda: with_jvp(lambda p, t: t[0]), "TS1045", "pair"),
    "rule of another tangent": (lambda: with_jvp(lambda p, t: (p[0] * 2, t[0][0])), "TS1045", "tangent"),
    "rule that is not linear": (lambda: with_jvp(lambda p, t: (p[0] * 2, ts.exp(t[0]))), "TS5001", "linear"),
    "rule of squares": (lambda: with_jvp(squared), "TS5001", "the rule of '<lambda>' is not linear in its "
                        "tangents", "multiplies", "return p[0] * 2, t[0] ** 2"),
    "rule of comparisons": (lambda: with_jvp(lambda p, t: (p[0] * 2, ts.where(t[0] > 0, t[0], 0.0))),
                            "TS5001", "the rule of '<lambda>' is not linear in its tangents"),
    "rule that divides by tangents": (lambda: with_jvp(lambda p, t: (p[0] * 2, 1 / t[0])), "TS5001",
                                      "is not linear in its tangents", "divides by"),
    "rule of the greatest tangent": (lambda: with_jvp(lambda p, t: (p[0] * 2, t[0] * 0 + ts.max(t[0]))),
                                     "TS5001", "is not linear in its tangents"),
    "rule with a loop": (lambda: with_jvp(lambda p, t: (p[0] * 2, ts.fori_loop(
        0, 3, lambda i, c: ts.sin(c), t[0]))), "TS5001", "the rule of '<lambda>' is not linear", "ts.sin(c)"),
    "rule with products in a loop": (lambda: with_jvp(lambda p, t: (p[0] * 2, ts.fori_loop(
        0, 3, lambda i, c: c * t[0], t[0]))), "TS5001", "is not linear in its tangents", "multiplies"),
    "rule with a constant": (lambda: with_jvp(lambda p, t: (p[0] * 2, t[0] + 1)), "TS5001",
                             "the rule of '<lambda>' is not linear in its tangents",
                             "a term that does not depend on tangents"),
    "rule with a constant in forward mode": (lambda: forward_of(lambda p, t: (p[0] * 2, t[0] + p[0])),
                                             "TS5001", "a term that does not depend on tangents"),
    "rule that is constant": (lambda: with_jvp(lambda p, t: (p[0] * 2, p[0])), "TS5001",
                              "a term that does not depend on tangents"),
    "rule with a constant in a loop": (lambda: with_jvp(lambda p, t: (p[0] * 2, ts.fori_loop(
        0, 3, lambda i, c: c + t[0], p[0]))), "TS5001", "a term that does not depend on tangents"),
    "rule with a constant branch": (lambda: with_jvp(lambda p, t: (p[0] * 2, ts.cond(
        ts.sum(p[0]) > 0, lambda: t[0], lambda: p[0]))), "TS5001", "a term that does not depend on tangents"),
    "rule with a constant elsewhere": (lambda: with_jvp(lambda p, t: (p[0] * 2, ts.where(
        p[0] > 0, t[0], 1.0))), "TS5001", "a term that does not depend on tangents"),
    "columns of custom_vjp": (lambda: ts.jacfwd(with_rules(first_kept, lambda r, c: (c,)))(X), "TS5001",
                              "reverse mode only", "grad or vjp"),
    "pullback kept from a trace": (lambda: kept(ts.vjp)(X), "TS1011",
                                   "the pullback of ts.vjp is called outside", "can be kept"),
    "pullback of another trace": (lambda: ts.jit(kept(ts.vjp))(X), "TS1011",
                                  "the pullback of ts.vjp is called outside"),
    "pullback of a body": (lambda: ts.jit(kept_in_body)(X), "TS1011", "the pullback of ts.vjp"),
    "linear function kept": (lambda: kept(ts.linearize)(X), "TS1011", "the linear function of ts.linearize",
                             "ts.jvp"),
    "linear function of another trace": (lambda: ts.jit(kept(ts.linearize))(X), "TS1011",
                                         "the linear function of ts.linearize is called outside"),
    "forward of too many parameters": (lambda: with_rules(lambda x, y: (x, ()), lambda r, c: (c,)), "TS1035",
                                       "the forward function of <lambda> is called with 1 argument",
                                       "a function of (x)", "test_mistakes.py:"),
    "forward of too few parameters": (lambda: with_rules(first_kept, lambda r, c: (c,), fun=ignored),
                                      "TS1035", "the forward function of ignored is called with 2 arguments",
                                      "a function of (x, rate)", "first_kept at", "of (x)"),
    "backward without residuals": (lambda: with_rules(first_kept, lambda g: (g,)), "TS1035",
                                   "the backward function of <lambda> is called with 2 arguments",
                                   "a function of (residuals, cotangent)"),
    "backward without what is static": (
        lambda: with_rules(ignored, lambda r, c: (c,), fun=ignored, nondiff_argnums=1), "TS1035",
        "the backward function of ignored is called with 3 arguments",
        "a function of (rate, residuals, cotangent)"),
    "rule of another number": (lambda: with_rules(lambda x, dx: (x, dx), fun=ignored, nondiff_argnums=1),
                               "TS1035", "the rule of ignored is called with 3 arguments",
                               "a function of (rate, primals, tangents)"),
    "rule of one parameter": (lambda: with_rules(lambda x: x), "TS1035", "a function of (primals, tangents)"),
    "rules of one parameter": (lambda: with_each(lambda t: t, None), "TS1035",
                               "the rule for argument 'x' of <lambda> is called with 4 arguments",
                               "a function of (tangent, value, x, y)"),
    "rules for some arguments": (lambda: with_each(lambda t, v, x, y: t), "TS1035", "1 rule",
                                 "a rule or None for each of x, y"),
    "rules beside static arguments": (lambda: with_each(lambda t, v, x: t, nondiff_argnums=1), "TS1035",
                                      "defjvps", "nondiff_argnums", "defjvp"),
    "rules that are none": (lambda: with_each(3, None), "TS1035", "is a int, not a function"),
    "pullback of two": (lambda: ts.vjp(lambda x: x * 2, X)[1](X, X), "TS1041", "one tree of cotangents",
                        "2 arguments"),
    "pullback of nothing": (lambda: ts.vjp(lambda x: x * 2, X)[1](), "TS1041", "0 arguments"),
    "pullback of two in a trace": (lambda: ts.jit(lambda x: ts.vjp(lambda x: (x, x), x)[1](x, x))(X),
                                   "TS1041", "one tree of cotangents", "(array, array)"),
    "rows without a pair": (lambda: ts.jacrev(lambda x: x, has_aux=True)(X), "TS1042",
                            "ts.jacrev with has_aux=True"),
    "columns without a pair": (lambda: ts.jacfwd(lambda x: x, has_aux=True)(X), "TS1042",
                               "ts.jacfwd with has_aux=True"),
    "hessian without a pair": (lambda: ts.hessian(lambda x: ts.sum(x), has_aux=True)(X), "TS1042",
                               "ts.hessian with has_aux=True"),
    "hessian of integers": (lambda: ts.hessian(lambda x: x > 0)(X), "TS1040",
                            "ts.hessian cannot differentiate the result"),
    "hessian argnums": (lambda: ts.hessian(lambda x: ts.sum(x), 1)(X), "TS4006", "argnums of ts.hessian"),
    "hessian of no function": (lambda: ts.hessian(X), "TS1035", "the function of ts.hessian"),
    "unknown policy": (lambda: ts.checkpoint(lambda x: x, policy="dotss"), "TS4006", "did you mean 'dots'"),
    "policy of JAX": (lambda: ts.checkpoint_policies.save_and_offload_only_these_names, "TS1027",
                      "valid: everything_saveable", "save_within_budget"),
    "misspelt policy": (lambda: ts.checkpoint_policies.dots_savable, "TS1027", "mean 'dots_saveable'"),
    "without the barrier": (lambda: ts.checkpoint(lambda x: x, prevent_cse=False), "TS4006", "prevent_cse"),
    "name with a comma": (lambda: ts.checkpoint_name(X, "a,b"), "TS1047", "commas"),
    "value form of a vector": (lambda: ts.jit(lambda w: ts.grad(w * w, w))(X), "TS1043", "sum or average"),
    "value form in a body": (lambda: ts.jit(value_in_body)(X), "TS1048", "ts.grad(lambda w"),
    "value form by integers": (lambda: ts.jit(lambda n: ts.grad(ts.sum(n * 1.0), n))(N), "TS1040", "i32",
                               "before the loss is computed, or leave it out"),
    "value form with aux": (lambda: of_value(has_aux=True), "TS4006", "no option has_aux", "a function"),
    "value form by name": (lambda: of_value(argnames="q"), "TS4006", "no option argnames", "'q'"),
    "value form in a precision": (lambda: of_value(precision=ts.Precision(grad=ts.f32)), "TS4006",
                                  "no option precision"),
    "value form without values": (lambda: ts.jit(lambda x: ts.grad(ts.sum(x)))(X), "TS1048",
                                  "needs the values", "ts.grad(loss, weights)"),
    "value form by a copy": (lambda: by_value(lambda x: x + 0.0), "TS1048", "not computed from weights",
                             "name the value before it is used"),
    "value form by an unused leaf": (lambda: by_value(lambda x: {"w": x, "b": ts.sin(x)}), "TS1048",
                                     "not computed from weights.b", "ts.zeros_like"),
    "value form by an unused argument": (lambda: ts.jit(lambda x, y: ts.grad(ts.sum(x), [x, y]))(X, X),
                                         "TS1048", "weights.1"),
    "value form by an array": (lambda: by_value(lambda x: X), "TS1048", "not computed from weights"),
    "both selections": (lambda: ts.grad(lambda x, k: ts.sum(x * k), (0,), argnames="k")(X, k=X), "TS4006",
                        "both argnums and argnames", "all by name"),
    "both selections, the first": (lambda: ts.value_and_grad(lambda x, k: ts.sum(x), 0, argnames="k"),
                                   "TS4006", "ts.value_and_grad has both"),
    "Jacobian by text": (lambda: ts.jacrev(lambda x: x, "x"), "TS4006", "argnums of ts.jacrev is 'x'"),
    "Jacobian by nothing": (lambda: ts.jacfwd(lambda x: x, ()), "TS4006", "argnums of ts.jacfwd is ()"),
    "static of no parameter": (lambda: ts.checkpoint(lambda x, n: x, static_argnums=3)(X, 2), "TS4006",
                               "static_argnums has 3", "0 (x), 1 (n)"),
    "static of no argument": (lambda: ts.checkpoint(lambda x, *rest: x, static_argnums=3)(X, 2), "TS4006",
                              "static_argnums of ts.checkpoint has 3", "2 positional"),
    "static by text": (lambda: ts.checkpoint(lambda x, n: x, static_argnums="n"), "TS4006", "(0, 2)"),
    "rule beside no parameter": (lambda: ts.custom_vjp(ignored, nondiff_argnums=(0, 2)), "TS4006",
                                 "nondiff_argnums has 2"),
    "rule beside text": (lambda: ts.custom_vjp(ignored, nondiff_argnums="rate"), "TS4006", "is 'rate'"),
    "rule beside no name": (lambda: ts.custom_jvp(ignored, nondiff_argnames="rates"), "TS4006",
                            "did you mean 'rate'"),
    "text without gradient": (lambda: ts.stop_gradient("hi"), "TS1023", "ts.stop_gradient is a str"),
    "leaf without gradient": (lambda: ts.stop_gradient({"a": [X, {1}]}), "TS1023", "at 'a.1' is a set"),
    "array of text": (lambda: ts.stop_gradient(np.array("hi")), "TS1001", "ts.stop_gradient"),
    "name of text": (lambda: ts.checkpoint_name("hi", "n"), "TS1023", "ts.checkpoint_name is a str"),
    "rows of integers": (lambda: ts.jacrev(lambda x: x.astype(ts.i32))(X), "TS1040",
                         "differentiate the result, which is i32[2, 3]", "has_aux=True"),
    "rows of a leaf of integers": (lambda: ts.jacrev(lambda x: {"a": x, "n": x > 0})(X), "TS1040",
                                   "the result 'n', which is bool[2, 3]"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistake(name):
    mistake, code, *said = MISTAKES[name]
    with pytest.raises(ts.TesseraError) as caught:
        mistake()
    error = caught.value
    text = str(error)
    assert error.code == code, text
    for part in said:
        assert re.search(re.escape(part), text), f"expected {part!r} in:\n{text}"
    assert error.location.file == __file__, text
    assert "_src" not in text, text


def test_there_are_enough():
    assert len(MISTAKES) >= 40


CALLS = {
    "missing": (lambda call: call(lambda x, y: ts.sum(x * y)), "missing a required argument: 'y'", "(x, y)"),
    "too many": (lambda call: call(lambda: ts.sum(X)), "too many positional arguments", "1 by position"),
    "by name only": (lambda call: call(lambda x, *, y: ts.sum(x * y)), "'y'", "(x, *, y)"),
    "of ts.jit": (lambda call: call(ts.jit(lambda x, y: ts.sum(x * y))), "missing a required argument: 'y'"),
}
# What gives a function that is called like the one given.
CALLED_ALIKE = ("grad", "value_and_grad", "jacrev", "jacfwd", "hessian", "vmap", "checkpoint")
FORMS = {
    **{name: lambda f, name=name: getattr(ts, name)(f)(X)
       for name in CALLED_ALIKE},
    "vjp": lambda f: ts.vjp(f, X), "jvp": lambda f: ts.jvp(f, (X,), (X,)),
    "linearize": lambda f: ts.jit(lambda x: ts.linearize(f, x))(X),
    "grad in a trace": lambda f: ts.jit(lambda x: ts.grad(f)(x))(X),
    "grad by name": lambda f: ts.grad(f, argnames="x")(X),
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("form", FORMS)
def test_arguments_that_a_function_does_not_take(form, name):
    call, *said = CALLS[name]
    with pytest.raises(ts.TraceError) as caught:
        call(FORMS[form])
    check(caught, "TS1025", "<lambda>() cannot be called so", *said)
    assert "_src" not in str(caught.value)


@pytest.mark.parametrize("form", CALLED_ALIKE)
def test_names_that_a_function_does_not_have(form):
    with pytest.raises(ts.TraceError) as caught:
        getattr(ts, form)(lambda x, food=1: ts.sum(x))(X, foo=3)
    check(caught, "TS1025", "unexpected keyword argument 'foo'", "did you mean 'food'?", "foo=")


def test_decorators_may_take_other_arguments_than_they_pass_on():
    def with_rows(function):
        return functools.wraps(function)(lambda x: function(x, X))

    def product(x, y):
        return ts.sum(x * y)

    for decorated in (with_rows(product), with_rows(ts.jit(product)), with_rows(ts.vmap(product))):
        np.testing.assert_array_equal(ts.grad(lambda x: ts.sum(decorated(x)))(X), X)
        np.testing.assert_array_equal(ts.vjp(decorated, X)[0], decorated(X))


def test_static_arguments_from_the_end():
    f = ts.checkpoint(lambda x, n=3: x * n if isinstance(n, int) else None, static_argnums=-1)
    for got, factor in ((f(X), 3), (f(X, 2), 2)):
        np.testing.assert_array_equal(got, factor * X)
    assert ts.checkpoint(lambda x, *rest: rest[-1] is int and x, static_argnums=-1)(X, X, int).shape == (2, 3)


def test_paths_without_derivative_have_zeros():
    for loss in (lambda x: ts.sum(ts.stop_gradient(x) ** 2), lambda x: ts.sum(x.astype(ts.i32) * 1.0)):
        np.testing.assert_array_equal(by_value(lambda x: x, loss), 0 * X)
