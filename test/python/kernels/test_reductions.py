# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Reductions over any dimensions: rows, columns, pieces of either, and what is computed on the way."""

import re

import ml_dtypes
import numpy as np
import pytest

import tessera as ts
from conftest import needs_runtime

pytestmark = needs_runtime
RNG = np.random.default_rng(8)

# Few columns and many, whole pieces and ragged ones (8209 and 65537 are prime), rows of several chunks.
SHAPES = [
    ((4099, 33), 0), ((8209, 70), 0), ((8192, 384), 0), ((257, 1031), 0), ((1031, 257), 1),
    ((65537,), 0), ((131072,), 0), ((3, 70001), 1), ((6, 700, 65), 1), ((6, 700, 65), (0, 1)),
    ((64, 33, 70), (0, 2)), ((1, 40000, 1, 3), (1, 3)), ((40000, 1), 0), ((2, 3, 20000), 2),
]
KINDS = {"sum": np.sum, "max": np.max, "min": np.min}


def numbers(shape, dtype):
    """Small integers, whose sums are exact in any order."""
    return RNG.integers(-9, 10, shape).astype(dtype)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape, axis", SHAPES, ids=str)
def test_reductions_of_many_shapes(shape, axis, kind):
    x = numbers(shape, np.float32)
    step = ts.jit(lambda x: getattr(ts, kind)(x, axis=axis))
    np.testing.assert_array_equal(step(x), KINDS[kind](x, axis=axis))


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, ml_dtypes.bfloat16, np.int32,
                                   np.int64], ids=lambda dtype: np.dtype(dtype).name)
@pytest.mark.parametrize("shape, axis", [((8209, 7), 0), ((8209, 70), 0), ((3, 70001), 1), ((65537,), 0)],
                         ids=str)
def test_element_types(shape, axis, dtype):
    x = numbers(shape, dtype)
    wide = x.astype(np.float64)
    for kind, plain in KINDS.items():
        result = np.asarray(ts.jit(lambda x, kind=kind: getattr(ts, kind)(x, axis=axis))(x))
        np.testing.assert_array_equal(result, plain(wide, axis=axis).astype(result.dtype))


@pytest.mark.parametrize("shape, axis", [((8209, 70), 0), ((40000, 3), (0, 1))], ids=str)
def test_extrema_are_nan_where_an_element_is(shape, axis):
    x = numbers(shape, np.float32)
    x[shape[0] // 2, 1] = np.nan
    np.testing.assert_array_equal(ts.jit(lambda x: ts.max(x, axis=axis))(x), x.max(axis))


@pytest.mark.parametrize("shape, axis", [((1, 1), 0), ((1, 70000), 0), ((70000, 1), 1), ((1,), 0)], ids=str)
def test_dimensions_of_size_one(shape, axis):
    x = numbers(shape, np.float32)
    np.testing.assert_array_equal(ts.jit(lambda x: ts.sum(x, axis=axis))(x), x.sum(axis))


@pytest.mark.parametrize("rows", [8192, 8209])
def test_what_is_reduced_is_computed_piece_by_piece(rows):
    """A gradient of a bias: the product is not stored, and rows are shared by many blocks."""
    x, g, scale, shift = (RNG.standard_normal(shape, dtype=np.float32)
                          for shape in ((rows, 70), (rows, 70), (70,), (rows, 1)))
    step = ts.jit(lambda x, g, scale, shift: ts.sum(ts.tanh(x * scale + shift) * g, axis=0))
    expected = (np.tanh(x.astype(np.float64) * scale + shift) * g).sum(0)
    np.testing.assert_allclose(step(x, g, scale, shift), expected, atol=1e-3)
    plan = step.lower(x, g, scale, shift).as_text("plan")
    launches = re.findall(r"plan\.launch @\S+ grid \[(\d+)\]", plan)
    assert len(launches) == 2 and int(launches[0]) >= 16, launches


def test_sums_are_the_same_bits_on_any_number_of_threads():
    x = RNG.standard_normal((8209, 70), dtype=np.float32)
    for axis in (0, 1, (0, 1)):
        results = [np.asarray(ts.jit(lambda x, axis=axis: ts.sum(x, axis=axis), threads=threads)(x))
                   for threads in (1, 2, 3) for _ in range(3)]
        assert {result.tobytes() for result in results} == {results[0].tobytes()}


def cut_twice(x, y, form):
    return (form.reshape(x * 2, (2, 3, 5, 7)) + form.reshape(y - 1, (2, 3, 5, 7))).sum(axis=(1, 3))


def cut_for_several(x, y, form):
    cut = form.reshape(x * 2, (2, 3, 5, 7)) + 1
    return cut.sum(axis=(1, 3)).sum() * cut.sum(axis=1) + cut.max(axis=(1, 2)).sum()


def cut_beside_columns(x, y, form):
    cut, columns = form.reshape(x * 2, (2, 3, 5, 7)), form.reshape(y, (2, 3, 5, 7))
    return (cut * columns).sum(axis=1) + columns.max(axis=1)


@pytest.mark.parametrize("target", ["cpu", "emulated"])
@pytest.mark.parametrize("function", [cut_twice, cut_for_several, cut_beside_columns])
def test_what_is_reduced_is_cut(function, target):
    """Reshapes that cut a dimension are done in kernels, whatever else these compute."""
    x, y = numbers((6, 5, 7), np.float32), numbers((2, 3, 35), np.float32)
    step = ts.jit(lambda x, y: function(x, y, ts), target=target, device=target)
    np.testing.assert_array_equal(step(x, y), function(x, y, np))
