# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Loops are traced into regions: what they compute, and what they refuse."""

import numpy as np
import pytest
from evaluate import results
from refusals import check

import tessera as ts

RNG = np.random.default_rng(3)
X = RNG.standard_normal((2, 4)).astype(np.float32)
LAYERS = [{"w": RNG.standard_normal((4, 4)).astype(np.float32) / 2,
           "b": RNG.standard_normal(4).astype(np.float32)} for _ in range(5)]
F32, I32 = np.float32, np.int32


def layer(x, weights):
    h = ts.tanh(x @ weights["w"]) + weights["b"]
    return h, {"sum": h.sum(), "first": h[0]}


def by_hand(x, layers, reverse=False):
    ys = {}
    for i, weights in list(enumerate(layers))[:: -1 if reverse else 1]:
        x = np.tanh(x @ weights["w"]) + weights["b"]
        ys[i] = (x[0], x.sum())
    return x, np.stack([ys[i][0] for i in sorted(ys)]), np.array([ys[i][1] for i in sorted(ys)])


def text_of(function, *args):
    return ts.jit(function).lower(*args).as_text()


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("unroll", [1, 2, 3, 4, 5, 9, True, False])
def test_scan_runs_over_slices_and_stacks_results(reverse, unroll):
    weights = ts.tree.stack(LAYERS)
    out, ys = results(lambda x, w: ts.scan(layer, x, w, reverse=reverse, unroll=unroll), X, weights)
    wanted, first, total = by_hand(X, LAYERS, reverse)
    np.testing.assert_allclose(out, wanted, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(ys["first"], first, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(ys["sum"], total, rtol=1e-4, atol=1e-5)


def test_a_body_is_in_the_program_once():
    weights = ts.tree.stack(LAYERS)
    text = text_of(lambda x, w: ts.scan(layer, x, w), X, weights)
    assert text.count("tessera.contract") == 1 and "length 5" in text
    assert text_of(lambda x, w: ts.scan(layer, x, w, unroll=True), X, weights).count("contract") == 5


def test_scan_without_sequences_has_a_length():
    assert results(lambda x: ts.scan(lambda c, _: (c * 2, c), x, length=3), F32(1))[1].tolist() == [1, 2, 4]
    assert results(lambda x: ts.scan(lambda c, _: (c * 2, None), x, None, 0), F32(1)) == (1, None)
    assert results(lambda x: ts.scan(lambda c, _: (c * 2, c), x, length=3, reverse=True),
                   F32(1))[1].tolist() == [4, 2, 1]


def test_values_from_outside_are_in_scope():
    def function(x, w):
        base = x * 2
        return ts.scan(lambda c, v: (c + v * base[0], c @ w), x[1], x)

    carry, ys = results(function, X, LAYERS[0]["w"])
    wanted, rows = X[1], []
    for v in X:
        rows.append(wanted @ LAYERS[0]["w"])
        wanted = wanted + v * X[0] * 2
    np.testing.assert_allclose(carry, wanted, rtol=1e-5)
    np.testing.assert_allclose(ys, np.stack(rows), rtol=1e-5)


def test_loops_nest():
    def function(x, n):
        def outer(i, total):
            def inner(j, total):
                return ts.cond(j > i, lambda: ts.while_loop(lambda c: c < 100, lambda c: c * 2 + 1, total),
                               lambda: total - j)
            return ts.fori_loop(0, n, inner, total) + x

        return ts.fori_loop(0, 3, outer, 0)

    total = 0
    for i in range(3):
        for j in range(4):
            if j > i:
                while total < 100:
                    total = total * 2 + 1
            else:
                total -= j
        total += 5
    assert results(function, I32(5), I32(4)) == total


def test_carries_and_sequences_are_trees():
    def body(carry, xs):
        a, (b, none) = carry["a"], carry["b"]
        return {"a": a + xs[0], "b": (b * xs[1]["k"], none)}, (a, [b])

    xs = (np.arange(3, dtype=F32), {"k": np.array([2, 3, 4], I32)})
    carry, ys = results(lambda xs: ts.scan(body, {"a": 0.0, "b": (1, None)}, xs), xs)
    assert (carry["a"], carry["b"]) == (3, (24, None))
    assert ys[0].tolist() == [0, 0, 1] and ys[1][0].tolist() == [1, 2, 6]


@pytest.mark.parametrize("bounds", [(0, 5), (2, 5), (-3, 2), (4, 1), (np.int64(1), np.int32(3))])
@pytest.mark.parametrize("unroll", [1, 2, True])
def test_fori_loop_counts_between_integers(bounds, unroll):
    got = results(lambda x: ts.fori_loop(*bounds, lambda i, c: c * 2 + i, x, unroll=unroll), I32(1))
    wanted = 1
    for i in range(*bounds):
        wanted = wanted * 2 + i
    assert got == wanted


def test_fori_loop_between_integers_is_a_scan_and_between_traced_ones_a_while():
    assert "tessera.scan" in text_of(lambda x: ts.fori_loop(0, 5, lambda i, c: c + i, x), X)
    assert "tessera.scan" in text_of(
        lambda x: ts.fori_loop(lower=0, upper=5, body_fun=lambda i, c: c + i, init_val=x), X)
    text = text_of(lambda x, n: ts.fori_loop(0, n, lambda i, c: c + i, x), X, I32(5))
    assert "tessera.while" in text and "tessera.scan" not in text
    for n in (I32(5), np.int64(5)):
        assert results(lambda x, n: ts.fori_loop(2, n, lambda i, c: c + i, x), F32(1), n) == 10
        assert results(lambda x, n: ts.fori_loop(n, 3, lambda i, c: c + i, x), F32(1), n) == 1


def test_bounds_of_64_bits_count_in_i64():
    big = 2**40
    got = results(lambda x: ts.fori_loop(big, big + 3, lambda i, c: c + i, x), np.int64(0))
    assert got == 3 * big + 3 and got.dtype == np.int64
    text = text_of(lambda x: ts.fori_loop(0, big, lambda i, c: c + i, x), np.int64(0))
    assert "tessera.while" in text


def test_while_loop_runs_until_its_condition_fails():
    def function(x, limit):
        return ts.while_loop(lambda c: (c["n"] < limit) & (c["x"] < 50),
                             lambda c: {"n": c["n"] + 1, "x": c["x"] * 2}, {"n": 0, "x": x})

    assert results(function, F32(1), I32(3)) == {"n": 3, "x": 8}
    assert results(function, F32(1), I32(30)) == {"n": 6, "x": 64}
    assert results(function, F32(1), I32(0)) == {"n": 0, "x": 1}


def test_map_applies_a_function_to_each_slice():
    got = results(lambda x: ts.map(lambda row: (row.sum(), row * 2), x), X)
    np.testing.assert_allclose(got[0], X.sum(1), rtol=1e-6)
    np.testing.assert_array_equal(got[1], X * 2)


def test_numbers_take_the_type_of_the_tensors_that_they_meet():
    xs = np.arange(4).astype(ts.bf16)
    carry, ys = results(lambda xs: ts.scan(lambda c, x: (c + x, c), 0, xs), xs)
    assert (carry.dtype, ys.dtype, float(carry)) == (ts.bf16, ts.bf16, 6)
    carry, _ = results(lambda xs: ts.scan(lambda c, x: (c * 2 + x, None), 0.5, xs), xs)
    assert (carry.dtype, float(carry)) == (ts.bf16, 19)
    # Of numbers alone, a number of the wider kind.
    carry = results(lambda xs: ts.fori_loop(0, 3, lambda i, c: c + 0.5, 0) * xs, xs)
    assert carry.dtype == ts.bf16 and carry.tolist() == [0, 1.5, 3, 4.5]
    # What began as a tensor keeps its type, whatever numbers it meets.
    carry, _ = results(lambda xs: ts.scan(lambda c, x: (c * 2.5, None), xs, xs), xs)
    assert carry.dtype == ts.bf16
    # A number from the body takes the carry's type.
    carry, _ = results(lambda xs: ts.scan(lambda c, x: (0.0, None), xs[0], xs), xs)
    assert carry.dtype == ts.bf16


def test_a_nested_jit_and_layouts_work_inside_a_body():
    mesh = ts.make_mesh({"tp": 2})
    inner = ts.jit(lambda x: ts.with_sharding_constraint(x * 2, ts.P("tp")))
    text = ts.jit(lambda x: ts.scan(lambda c, _: (inner(c), None), x, length=2), mesh=mesh).lower(X).as_text()
    assert "      %" in text and "tessera.constrain" in text


@pytest.mark.parametrize("body, fragments", [
    (lambda c, x: ({"a": c["a"]}, None), ["changes the carried value: another structure",
                                          "expected: {'a': f32[], 'b': (i32[3],)}, as carried",
                                          "got: {'a': f32[]}, from the body"]),
    (lambda c, x: ({"a": c["a"], "b": (c["b"][0] * 1.5,)}, None), ["at 'b.0': i32 becomes f32",
                                                                   "'b': (f32[3],)"]),
    (lambda c, x: ({"a": c["a"], "b": (c["b"][0][:2],)}, None),
     ["at 'b.0': shape (3,) becomes (2,)", "'b': (i32[2],)"]),
    (lambda c, x: ({"a": c["a"], "b": [c["b"][0]]}, None), ["at 'b': another structure"]),
])
def test_a_carry_that_changes_is_shown_with_both_trees_and_its_path(body, fragments):
    init = {"a": F32(1), "b": (np.arange(3, dtype=I32),)}
    with pytest.raises(ts.TraceError) as caught:
        ts.jit(lambda init: ts.scan(body, init, length=2)).lower(init)
    check(caught, "TS1036", "the body of ts.scan", "the body is <lambda> at", "test_loops.py:", *fragments)
    with pytest.raises(ts.TraceError) as caught:
        ts.jit(lambda init: ts.fori_loop(0, 2, lambda i, c: body(c, i)[0], init)).lower(init)
    check(caught, "TS1036", "the body of ts.fori_loop", *fragments)
    with pytest.raises(ts.TraceError) as caught:
        ts.jit(lambda init, n: ts.fori_loop(0, n, lambda i, c: body(c, i)[0], init)).lower(init, I32(2))
    check(caught, "TS1036", "the body of ts.fori_loop", *fragments)
    with pytest.raises(ts.TraceError) as caught:
        ts.jit(lambda init: ts.while_loop(lambda c: c["a"] > 0, lambda c: body(c, 0)[0], init)).lower(init)
    check(caught, "TS1036", "the body of ts.while_loop", *fragments)


@pytest.mark.parametrize("function, code, fragments", [
    (lambda x: ts.scan(lambda c, s: (c, s), 0, {"a": x, "b": x[:1]}), "TS3024",
     ["different lengths", "xs.a: 2, xs.b: 1"]),
    (lambda x: ts.scan(lambda c, s: (c, s), 0, x, length=3), "TS3024", ["xs: 2 and length=3"]),
    (lambda x: ts.scan(lambda c, s: (c, s), 0, None), "TS3024", ["neither sequences nor a length"]),
    (lambda x: ts.scan(lambda c, s: (c, s), 0, {"a": x, "n": 3}), "TS3024", ["xs.n", "no leading dimension"]),
    (lambda x: ts.scan(lambda c, s: (c, s), 0, [1.0, 2.0, 3.0]), "TS3024",
     ["xs.0 of ts.scan has no leading dimension", "a list is a tree", "np.array(xs)"]),
    (lambda x: ts.map(lambda s: s, (1.0, x[0, 0])), "TS3024", ["a tuple is a tree", "ts.stack(xs)"]),
    (lambda x: ts.scan(lambda c, s: (c, s), 0, x, length=-1), "TS3024", ["length of ts.scan is -1"]),
    (lambda x: ts.scan(lambda c, s: c, x, length=2), "TS1037",
     ["must return a pair (carry, y)", "got: a Tracer"]),
    (lambda x: ts.scan(lambda c, s: (c, s, s), x, length=2), "TS1037", ["got: a tuple of 3"]),
    (lambda x: ts.scan(lambda c, s: (c, c), x, length=0), "TS3020", ["length 0 would stack"]),
    (lambda x: ts.scan(lambda c, s: (c, "y"), x, length=2), "TS1023", ["y of the body of ts.scan is a str"]),
    (lambda x: ts.scan(lambda c, s: (c, s), {"k": "no"}, x), "TS1023", ["carry of ts.scan at 'k' is a str"]),
    (lambda x: ts.scan(3, 0, x), "TS1035", ["the body of ts.scan is a int"]),
    (lambda x: ts.scan(lambda c, s: (c, s), 0, x, unroll=0), "TS4011", ["unroll must be a number"]),
    (lambda x: ts.fori_loop(0, 2.5, lambda i, c: c, x), "TS1038", ["upper bound of ts.fori_loop is 2.5"]),
    (lambda x: ts.fori_loop(x[0, 0], 2, lambda i, c: c, x), "TS1038", ["lower bound", "f32[]"]),
    (lambda x: ts.while_loop(lambda c: c > 0, lambda c: c, x), "TS1039",
     ["condition of ts.while_loop must return a scalar boolean", "got: bool[2, 4]"]),
    (lambda x: ts.while_loop(lambda c: 1, lambda c: c, x), "TS1039", ["expected: bool[]", "got: i32[]"]),
])
def test_what_loops_refuse(function, code, fragments):
    with pytest.raises(ts.TesseraError) as caught:
        ts.jit(function).lower(X)
    check(caught, code, *fragments)


def test_a_value_that_leaves_its_body_is_named_with_the_body():
    kept = []

    def body(c, x):
        kept.append(c * 2)
        return c, None

    def function(x):
        ts.scan(body, x[0], x)
        return kept[-1] + 1

    with pytest.raises(ts.TraceError) as caught:
        ts.jit(function).lower(X)
    check(caught, "TS1011", "a value of the body of ts.scan at", "is used outside of it",
          "got: Tracer(f32[4])", "it is computed at")
    with pytest.raises(ts.TraceError) as caught:
        ts.jit(lambda x: (ts.scan(body, x[0], x), kept[-1])[1]).lower(X)
    assert caught.value.code == "TS1011"

    def stores_its_argument(c, x):
        kept.append(x)
        return c, None

    with pytest.raises(ts.TraceError) as caught:
        ts.jit(lambda x: ts.scan(lambda c, s: (c + kept[-1], None),
                                 ts.scan(stores_its_argument, x[0], x)[0], x)).lower(X)
    check(caught, "TS1011", "a value of the body of ts.scan", "it is an argument of the body")


def test_an_error_in_a_body_leaves_the_trace_usable():
    def function(x):
        try:
            ts.scan(lambda c, s: (c @ s, None), x, x)
        except ts.TraceError:
            pass
        return ts.scan(lambda c, s: (c + s, None), x[0], x)[0] * 2

    np.testing.assert_allclose(results(function, X), (X[0] + X.sum(0)) * 2, rtol=1e-5)
