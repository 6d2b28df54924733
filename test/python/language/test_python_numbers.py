# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Python's numbers as tensors: they are i32 and f32, or of the type they meet, and must fit it."""

import math
import warnings

import numpy as np
import pytest

import tessera as ts

X = np.zeros(2, np.float32)


def lower(function, *args):
    return ts.jit(function).lower(*args)


@pytest.fixture(autouse=True)
def no_warnings():
    """What is refused is an error, not a warning of NumPy's."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.mark.parametrize("value", [2**31, -(2**31) - 1, 2**40, 2**63, 2**64, 2**100, [1, 2**40],
                                   [[0], [-(2**40)]], (2**100, 1), 1e39, -1e300, [1.0, 1e300]], ids=str)
@pytest.mark.parametrize("make", [
    ts.array, ts.asarray, lambda v: lower(lambda x: x, v), lambda v: lower(lambda x: ts.array(v), X),
    lambda v: lower(lambda x: x.astype(ts.i32) + v, X)],
    ids=["array", "asarray", "argument", "constant", "operand"])
def test_numbers_that_do_not_fit_are_refused_by_name(make, value):
    with pytest.raises(ts.TraceError) as caught:
        make(value)
    if caught.value.code != "TS1022":  # Lists are trees of arguments: each number is one.
        largest = max(np.asarray(value, object).flat, key=abs)
        assert caught.value.code == "TS1013"
        assert f"{largest} does not fit" in str(caught.value) or f"{largest} (arg" in str(caught.value)
        assert ("f64" if isinstance(largest, float) else "i64") in str(caught.value)


@pytest.mark.parametrize("value, dtype", [
    (2**40, ts.i32), ([2**40], ts.i32), (2**63, ts.i64), (math.nan, ts.i32), ([0.5, math.inf], ts.i64),
    ([math.nan], ts.i32), (1e10, ts.i32), (1e5, ts.f16), ([1, 70000], ts.f16)])
@pytest.mark.parametrize("make", [
    ts.array, ts.asarray, lambda v, t: lower(lambda x: ts.array(v, t), X),
    lambda v, t: lower(lambda x: ts.full((2,), v, t) if np.ndim(v) == 0 else ts.array(v, t), X)],
    ids=["array", "asarray", "constant", "full"])
def test_numbers_fit_the_type_that_is_asked_for(make, value, dtype):
    with pytest.raises(ts.TraceError, match="TS1013"):
        make(value, dtype)


@pytest.mark.parametrize("value, dtype, want", [
    (2**31 - 1, None, np.int32(2**31 - 1)), (-(2**31), None, np.int32(-(2**31))),
    (2**40, ts.i64, np.int64(2**40)), ([2**40, -1], ts.i64, np.array([2**40, -1])),
    (3e38, None, np.float32(3e38)), (math.inf, None, np.float32(np.inf)),
    ([math.nan, -math.inf], None, np.array([np.nan, -np.inf], np.float32)),
    ([1, 2.5], ts.i32, np.array([1, 2], np.int32)), (1e300, ts.f64, np.float64(1e300)),
    ([True, False], None, np.array([True, False])), (65519, ts.f16, np.float16(65504)),
    (2**100, ts.f32, np.float32(2.0**100)), ([2**100, 0.5], None, np.array([2.0**100, 0.5], np.float32))])
def test_numbers_that_fit_keep_their_value(value, dtype, want):
    assert ts.array(value, dtype).dtype == want.dtype
    np.testing.assert_array_equal(ts.array(value, dtype), want)
    lowered = lower(lambda x: ts.array(value, dtype), X)
    assert lowered.program.results == [(want.shape, want.dtype)]


def test_infinity_is_written_as_such():
    # What overflows to it silently would make NaN of 0 * -1e9 in a mask.
    with pytest.raises(ts.TraceError, match=r"(?s)-1000000000.0 does not fit f16.*f32.*math.inf"):
        lower(lambda x: x.astype(ts.f16) * -1e9, X)
    assert lower(lambda x: x.astype(ts.f16) * -math.inf, X)


@pytest.mark.parametrize("make, said", [
    (lambda x: ts.astype(np.float32("nan"), ts.i32), "nan does not fit i32"),
    (lambda x: ts.full((2,), np.array(np.inf), ts.i64), "inf does not fit i64"),
    (lambda x: ts.full((2,), np.int64(2**40), ts.i32), "does not fit i32"),
    (lambda x: ts.linspace(0, 1e300, 3), r"1e\+300 does not fit f32"),
    (lambda x: x.astype(ts.f16) + 70000, "(?s)70000 does not fit f16.*f32")])
def test_numbers_of_other_functions_fit_too(make, said):
    with pytest.raises(ts.TraceError, match=said):
        lower(make, X)


@pytest.mark.parametrize("value", [{1, 2}, [1, None], object()], ids=["set", "None", "object"])
def test_what_is_no_number_is_no_array(value):
    for make in (ts.array, ts.asarray, lambda v: lower(lambda x: ts.array(v), X)):
        with pytest.raises(ts.TraceError, match="TS1014.*is not an array"):
            make(value)


def test_arrays_convert_as_numpy_does():
    wide = np.array([2**40 + 7, -1])
    np.testing.assert_array_equal(ts.array(wide, ts.i32), [7, -1])
    assert ts.array(wide).dtype == np.int64


@pytest.mark.parametrize("seed", [2**63, 2**64, 2**100, -(2**63) - 1])
def test_seeds_are_of_64_bits(seed):
    with pytest.raises(ts.TraceError, match=rf"(?s)TS1013.*{seed} does not fit ts.i64"):
        ts.random.key(seed)
    assert len({tuple(ts.random.key(s)) for s in (0, -1, 2**63 - 1, -(2**63), 2**32)}) == 5


@pytest.mark.parametrize("value", [["1", "2"], ["a"], [1j, 2], np.array([1j])], ids=repr)
@pytest.mark.parametrize("make", [ts.array, ts.asarray])
def test_what_is_neither_real_nor_a_number_is_not_cast(make, value):
    with pytest.raises(ts.TraceError, match="TS1001"):
        make(value, ts.f32)
    with pytest.raises(ts.TraceError, match="TS1001"):
        lower(lambda x: x + make(value, ts.f32), X)


def test_numbers_too_long_to_write_are_named_by_their_bits():
    for make in (ts.random.key, lambda n: lower(lambda x: x + n, X)):
        with pytest.raises(ts.TraceError, match="TS1013.*an integer of 20001 bits"):
            make(2**20000)


def test_seeds_may_be_narrow_integers_of_numpy():
    np.testing.assert_array_equal(ts.random.key(np.int32(-5)), ts.random.key(-5))


def test_a_number_of_numpy_keeps_its_type_as_argument():
    assert ts.jit(lambda x: x * 2)(np.float64(0.1)).dtype == ts.f64
    assert ts.grad(lambda x: x * x)(np.float64(0.1)) == np.float64(0.1) * 2
    assert ts.jit(lambda x: x * 2)(0.1).dtype == ts.f32


WIDE, THIRD = np.linspace(0.5, 2, 3), np.float64(1 / 3)


def _by_rule():
    """A function whose rule gives a float64 of NumPy as cotangent."""
    function = ts.custom_vjp(lambda a: a * 2)
    function.defvjp(lambda a: (a * 2, None), lambda residuals, g: (THIRD,))
    return function


def _in_trace(function, x=WIDE):
    return lambda: ts.jit(function)(x)


# Where nothing else says a type, or an f64 does: each is what float64s of NumPy give, in all their digits.
OF_FLOAT64 = {
    "result": (_in_trace(lambda x: THIRD), 1 / 3),
    "function": (_in_trace(lambda x: ts.sqrt(THIRD)), np.sqrt(1 / 3)),
    "function of two": (_in_trace(lambda x: ts.add(THIRD, THIRD)), THIRD + THIRD),
    "with a Python number": (
        _in_trace(lambda x: ts.where(x[0] > 0, 0.5, THIRD) + ts.multiply(THIRD, 3)), 1.5),
    "with a weak number": (lambda: ts.jit(lambda s: s * THIRD)(2.0), THIRD * 2),
    "with integers": (_in_trace(lambda x: x * THIRD, np.arange(3, dtype=np.int32)), np.arange(3) * THIRD),
    "where": (_in_trace(lambda x: ts.where(x > 1, THIRD, np.float64(3))), np.where(WIDE > 1, THIRD, 3)),
    "full": (lambda: ts.full((2,), THIRD), np.full(2, THIRD)),
    "full, in a trace": (_in_trace(lambda x: ts.full((2,), THIRD)), np.full(2, THIRD)),
    "array": (lambda: ts.array(THIRD), 1 / 3),
    "array, in a trace": (_in_trace(lambda x: ts.array(THIRD)), 1 / 3),
    "tree.stack": (lambda: ts.tree.stack([{"a": THIRD}, {"a": THIRD * 2}])["a"], [THIRD, THIRD * 2]),
    "tree.stack, in a trace": (_in_trace(lambda x: ts.tree.stack([THIRD, THIRD * 2])), [THIRD, THIRD * 2]),
    "stack": (_in_trace(lambda x: ts.stack([x[0], THIRD])), [0.5, THIRD]),
    "list": (_in_trace(lambda x: ts.array([x[0], THIRD])), [0.5, THIRD]),
    "list of numbers": (lambda: ts.array([THIRD, 0.5, 2]), [THIRD, 0.5, 2]),
    "list of numbers, in a trace": (_in_trace(lambda x: ts.array([[THIRD], [0.5]])), [[THIRD], [0.5]]),
    "list beside a tensor": (_in_trace(lambda x: x[:2] * [THIRD, 0.5]), WIDE[:2] * [THIRD, 0.5]),
    "list of arrays": (lambda: ts.asarray([WIDE, WIDE * THIRD]), [WIDE, WIDE * THIRD]),
    "full of a list": (_in_trace(lambda x: ts.full((2, 2), [THIRD, 2])), [[THIRD, 2]] * 2),
    "arange": (lambda: ts.arange(THIRD, 2), [THIRD, THIRD + 1]),
    "arange of an array": (_in_trace(lambda x: ts.arange(np.array(THIRD), 2)), [THIRD, THIRD + 1]),
    "carry alone": (_in_trace(lambda x: ts.fori_loop(0, 2, lambda i, c: c * np.float64(1.1), THIRD)),
                    THIRD * 1.1 * 1.1),
    "carry that begins as a Python number": (
        _in_trace(lambda x: ts.fori_loop(0, 2, lambda i, c: c * THIRD, 1.0)), THIRD * THIRD),
    "carry that becomes a Python number": (
        _in_trace(lambda x: ts.fori_loop(0, x.shape[0], lambda i, c: 0.5, THIRD)), 0.5),
    "carry of scan": (_in_trace(lambda x: ts.scan(lambda c, a: (c + a, None), THIRD, x)[0]),
                      THIRD + 0.5 + 1.25 + 2),
    "carry of while_loop": (
        _in_trace(lambda x: ts.while_loop(lambda c: c < 3, lambda c: c + x[0], THIRD)), THIRD + 3),
    "result of a branch": (_in_trace(lambda x: ts.cond(x[0] > 0, lambda: THIRD, lambda: x[0])), 1 / 3),
    "results of both branches": (_in_trace(lambda x: ts.cond(x[0] > 0, lambda: THIRD, lambda: 0.5)), 1 / 3),
    "operand of a branch": (
        _in_trace(lambda x: ts.cond(x[0] > 0, lambda o: o * x[0], lambda o: x[0], THIRD)), THIRD / 2),
    "jvp": (lambda: ts.jvp(ts.sin, (np.float64(0),), (THIRD,))[1], 1 / 3),
    "jvp, in a trace": (_in_trace(lambda x: ts.jvp(lambda y: y * 2, (x[0],), (THIRD,))[1]), 2 / 3),
    "vjp": (lambda: ts.vjp(ts.sin, np.float64(0))[1](THIRD)[0], 1 / 3),
    "linearize": (_in_trace(lambda x: ts.linearize(lambda y: y * 2, x[0])[1](THIRD)), 2 / 3),
    "checkpoint": (_in_trace(lambda x: ts.checkpoint(lambda a, b: a * b)(x, THIRD)), WIDE * THIRD),
    "grad": (_in_trace(lambda x: ts.grad(lambda a, b: a * b, argnums=1)(x[0], THIRD)), 0.5),
    "custom_vjp": (lambda: ts.grad(_by_rule())(np.float64(3)), 1 / 3),
}


@pytest.mark.parametrize("name", OF_FLOAT64)
def test_a_float64_of_numpy_is_f64_where_nothing_else_says_a_type(name):
    make, want = OF_FLOAT64[name]
    got = np.asarray(make())
    assert got.dtype == np.float64
    np.testing.assert_allclose(got, want, rtol=1e-15)


@pytest.mark.parametrize("dtype", [ts.f32, ts.bf16, ts.f16, ts.f64])
@pytest.mark.parametrize("function", [
    lambda x: x / np.sqrt(64), lambda x: np.float64(2) ** x, lambda x: ts.where(x > 1, THIRD, x),
    lambda x: x * ts.where(x > 1, THIRD, np.float64(3)), lambda x: x + ts.sqrt(np.float64(2)),
    lambda x: ts.stack([x[0], THIRD]), lambda x: ts.scan(lambda c, a: (c + a, None), np.float64(0), x)[0],
    lambda x: ts.cond(x[0] > 0, lambda: THIRD, lambda: x[0]), lambda x: x.at[0].set(THIRD),
    lambda x: x * [THIRD, 1, 0.5], lambda x: ts.pad(x, 1, constant_values=THIRD)],
    ids=["quotient", "power", "where", "where of numbers", "function", "stack", "carry", "branch", "update",
         "list", "pad"])
def test_a_float64_of_numpy_takes_the_type_of_floats_beside_it(function, dtype):
    assert ts.jit(function).lower(np.ones(3, dtype)).program.results[0][1] == dtype


def test_a_float64_of_numpy_and_result_type():
    for values in ((THIRD,), (0.5, THIRD), (THIRD, 0.5), (THIRD, ts.i64), (True, THIRD)):
        assert ts.result_type(*values) == ts.f64
    assert ts.result_type(THIRD, ts.bf16) == ts.bf16 and ts.result_type(0.5, 2) == ts.f32


@pytest.mark.parametrize("make", [ts.array, ts.asarray, lambda v: ts.jit(lambda x: ts.array(v))(WIDE)],
                         ids=["array", "asarray", "constant"])
@pytest.mark.parametrize("values, dtype", [
    ([np.float16(1), 2], ts.f16), ([np.float32(1), THIRD], ts.f32), ([np.int64(1), 2], ts.i64),
    ([np.int64(1), 0.5], ts.f32), ([np.int32(1), THIRD], ts.f64), ([np.bool_(True), 2], ts.i32),
    ([[np.float16(1)], [np.float32(2)]], ts.f32), ([WIDE.astype(ts.f16), [1, 2, 3]], ts.f16),
    ([np.uint8(7), 1], ts.i32), ([1, 2.5], ts.f32), ([True, 2], ts.i32), ([np.uint8(7), THIRD], ts.f64),
    ([np.int8(7), np.float16(2)], ts.f16), ([ts.bf16.type(1), 2], ts.bf16),
    ([ts.bf16.type(1), np.float16(2)], ts.f32), ([[2], [ts.bf16.type(1.5)]], ts.bf16),
    ([WIDE, np.arange(3, dtype=np.uint16)], ts.f64)], ids=str)
def test_numbers_of_numpy_in_lists_keep_their_types(make, values, dtype):
    got = make(values)
    assert got.dtype == dtype
    np.testing.assert_array_equal(np.asarray(got, np.float64), np.array(values, np.float64).astype(dtype))


def test_arrays_in_a_list_do_not_mix_silently():
    with pytest.raises(ts.TraceError, match="TS1002.*f64 is never made silently"):
        ts.array([WIDE, WIDE.astype(np.float32)])


@pytest.mark.parametrize("call, said", [
    (lambda x: ts.pad(x, 1, constant_values=1.7), "1.7 does not fit i32: it is no whole number"),
    (lambda x: ts.pad(x, 1, constant_values=THIRD), "does not fit i32: it is no whole number"),
    (lambda x: ts.pad(x, 1, constant_values=np.float32(2)), "values of type f32 do not fit"),
    (lambda x: ts.pad(x, 1, constant_values=np.int64(2)), "values of type i64 do not fit"),
    (lambda x: ts.pad(x, 1, constant_values=2**40), "does not fit i32"),
    (lambda x: ts.full_like(x, 1.7), "1.7 does not fit i32: it is no whole number"),
    (lambda x: ts.full_like(x, x * 1.5), "values of type f32 do not fit elements of type i32"),
    (lambda x: ts.sum(x, initial=0.5), "0.5 does not fit i32: it is no whole number"),
    (lambda x: ts.prod(x, initial=x[0] * 1.5), "values of type f32 do not fit elements of type i32"),
    (lambda x: ts.max(x, initial=0.5), "0.5 does not fit i32: it is no whole number"),
    (lambda x: ts.min(x, initial=0.5, where=x > 1), "0.5 does not fit i32: it is no whole number"),
    (lambda x: x.at[:2].set([1.5, 2]), "1.5 does not fit i32: it is no whole number"),
    (lambda x: x.at[:2].set([np.float32(1.5), 2]), "values of type f32 do not fit elements of type i32"),
    (lambda x: ts.full_like(x, [np.float16(1.5)] * 3), "values of type f16 do not fit elements of type i32"),
    (lambda x: ts.sum(x, initial=[np.array(1.5)]), "values of type f64 do not fit elements of type i32"),
    (lambda x: x.at[0].set(10**400), "an integer of 1329 bits does not fit i32")])
def test_numbers_do_not_lose_their_fractions_among_integers(call, said):
    with pytest.raises(ts.TraceError, match=said):
        ts.jit(call).lower(np.arange(3, dtype=np.int32))


@pytest.mark.parametrize("call, said", [
    (lambda x: x.at[0].set(2), r"2 does not fit bool: it is neither 0 nor 1(?s:.*)\.astype\(ts\.i32\)"),
    (lambda x: x.at[0].set(0.5), r"0.5 does not fit bool(?s:.*)\.astype\(ts\.f32\)"),
    (lambda x: x.at[:2].set([True, -1]), "-1 does not fit bool"),
    (lambda x: ts.full_like(x, THIRD), "does not fit bool"),
    (lambda x: ts.max(x, initial=2), "2 does not fit bool"),
    (lambda x: ts.pad(x, 1, constant_values=2), "2 does not fit bool"),
    (lambda x: x.at[0].set(np.int32(1)), r"of type i32 do not fit(?s:.*)with \.astype\(ts\.bool_\)")])
def test_numbers_do_not_become_true_silently(call, said):
    with pytest.raises(ts.TraceError, match=said):
        ts.jit(call).lower(np.array([True, False, True]))


def test_zero_and_one_go_among_booleans():
    x = np.array([True, False, False])
    calls = [lambda x: x.at[1].set(1), lambda x: x.at[:2].set([0, 1.0]), lambda x: ts.full_like(x, 1),
             lambda x: ts.max(x, initial=0), lambda x: ts.pad(x, (0, 1), constant_values=1)]
    for call, want in zip(calls, ([1, 1, 0], [0, 1, 0], [1, 1, 1], True, [1, 0, 0, 1])):
        got = ts.jit(call)(x)
        assert got.dtype == ts.bool_
        np.testing.assert_array_equal(got, want)


def test_lists_of_traced_values_fill():
    got = ts.jit(lambda x: ts.full_like(x, [x[0], THIRD, 2]))(WIDE)
    np.testing.assert_array_equal(got, [WIDE[0], THIRD, 2])
    with pytest.raises(ts.TraceError, match="padding is one number"):
        ts.jit(lambda x: ts.pad(x, 1, constant_values=[x[0], x[1]])).lower(WIDE)


def test_a_range_has_the_type_of_its_bounds():
    for bounds, dtype in [((0.5, 2), ts.f32), ((0, 2, 0.5), ts.f32), ((np.float32(0.5), 2), ts.f32),
                          ((np.int64(1), 2), ts.i32), ((3,), ts.i32), ((THIRD, 2), ts.f64)]:
        assert ts.arange(*bounds).dtype == ts.jit(lambda x, of=bounds: ts.arange(*of))(WIDE).dtype == dtype


def test_whole_numbers_go_among_integers():
    x = np.arange(3, dtype=np.int32)
    calls = [lambda x: ts.pad(x, 1, constant_values=2.0), lambda x: ts.full_like(x, 2.0),
             lambda x: ts.sum(x, initial=2.0), lambda x: ts.max(x, initial=True, where=x < 1)]
    for call, want in zip(calls, ([2, 0, 1, 2, 2], [2, 2, 2], 5, 1)):
        got = ts.jit(call)(x)
        assert got.dtype == ts.i32
        np.testing.assert_array_equal(got, want)
