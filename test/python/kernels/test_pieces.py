# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Concatenations whose blocks have parts of inputs, and scatters whose blocks have parts of the result."""

import numpy as np
import pytest

import tessera as ts
from conftest import needs_runtime

pytestmark = needs_runtime
RNG = np.random.default_rng(10)

JOINED = [
    ([(300, 70), (200, 70)], 0), ([(301, 70), (202, 70)], 0), ([(40, 384)] * 3, 1), ([(9000,), (18000,)], 0),
    ([(9001,), (8009,)], 0), ([(5, 300, 40), (5, 600, 40)], 1), ([(2, 3, 5), (2, 4, 5)], 1),
    ([(40, 3), (40, 500), (40, 1)], 1), ([(64, 2)] * 40, 1),
]


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.bool_], ids=lambda dtype: np.dtype(dtype).name)
@pytest.mark.parametrize("shapes, axis", JOINED, ids=str)
def test_concatenations(shapes, axis, dtype):
    parts = [RNG.integers(0, 2 if dtype is np.bool_ else 100, shape).astype(dtype) for shape in shapes]
    joined = ts.jit(lambda *parts: ts.concatenate(parts, axis=axis))(*parts)
    np.testing.assert_array_equal(joined, np.concatenate(parts, axis))


@pytest.mark.parametrize("shapes, axis", JOINED[:4], ids=str)
def test_what_is_joined_is_computed_in_the_same_kernel(shapes, axis):
    parts = [RNG.integers(0, 100, shape).astype(np.float32) for shape in shapes]
    step = ts.jit(lambda *parts: ts.concatenate([part * 2 + 1 for part in parts], axis=axis))
    np.testing.assert_array_equal(step(*parts), np.concatenate([part * 2 + 1 for part in parts], axis))
    assert step.lower(*parts).as_text("plan").count("plan.launch") == 1


@pytest.mark.parametrize("rows, columns", [(1000, 384), (1003, 100), (3, 300), (997, 64), (500, 63)])
def test_rows_are_added_to_a_table_in_order(rows, columns):
    """Sums round, so that another order would give other bits; some indices are out of range."""
    table, updates = (RNG.standard_normal((n, columns), dtype=np.float32) for n in (rows, 600))
    at = RNG.integers(-rows, rows + 2, 600).astype(np.int32)
    expected = table.copy()
    for i, index in enumerate(at):
        if index < rows:
            expected[index] += updates[i]
    for threads in (1, 2, 3):
        step = ts.jit(lambda t, i, u: t.at[i].add(u), threads=threads)
        np.testing.assert_array_equal(step(table, at, updates), expected)


def test_the_last_of_several_rows_for_one_place_stays():
    table, updates = np.zeros((100, 200), np.float32), RNG.standard_normal((600, 200), dtype=np.float32)
    at = RNG.integers(0, 100, 600)
    expected = table.copy()
    for i, index in enumerate(at):
        expected[index] = updates[i]
    np.testing.assert_array_equal(ts.jit(lambda t, i, u: t.at[i].set(u))(table, at, updates), expected)
