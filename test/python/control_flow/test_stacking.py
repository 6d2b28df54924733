# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Lists of trees become one tree with a leading dimension, and come back."""

import numpy as np
import pytest
from conftest import needs_runtime
from evaluate import results
from refusals import check

import tessera as ts

TREES = [{"w": np.full((2, 3), i, np.float32), "n": i} for i in range(4)]


def test_arrays_stack_outside_of_a_trace_and_come_back():
    stacked = ts.tree.stack(TREES)
    assert isinstance(stacked["w"], ts.Array) and stacked["w"].shape == (4, 2, 3)
    assert stacked["n"].dtype == ts.i32 and np.asarray(stacked["n"]).tolist() == [0, 1, 2, 3]
    again = ts.tree.unstack(stacked)
    assert len(again) == 4
    np.testing.assert_array_equal(again[2]["w"], TREES[2]["w"])


def test_traced_values_stack_inside_a_trace_and_come_back():
    def function(a, b):
        stacked = ts.tree.stack([{"x": a}, {"x": b}])
        return stacked, ts.tree.unstack(stacked)[1]

    a, b = np.ones(3, np.float32), np.zeros(3, np.float32)
    stacked, second = results(function, a, b)
    np.testing.assert_array_equal(stacked["x"], np.stack([a, b]))
    np.testing.assert_array_equal(second["x"], b)


def test_layouts_get_a_leading_dimension_that_is_not_split():
    mesh = ts.make_mesh({"tp": 2})
    layout = ts.NamedSharding(mesh, ts.P("tp"))
    shapes = ts.tree.stack([ts.ShapeDtypeStruct((4,), ts.bf16, layout)] * 3)
    assert (shapes.shape, shapes.dtype) == ((3, 4), ts.bf16) and shapes.sharding.spec == ts.P(None, "tp")
    put = ts.device_put(np.ones((4,), np.float32), layout)
    stacked = ts.tree.stack([put, put])
    assert stacked.sharding.spec == ts.P(None, "tp")
    assert ts.tree.unstack(stacked)[0].sharding == layout


@needs_runtime
def test_results_stack_for_any_mesh():
    x = ts.jit(lambda x: x + 1)(np.ones((4, 3), np.float32))
    mesh = ts.make_mesh({"tp": 2})
    stacked = ts.tree.stack([x, x])
    np.testing.assert_array_equal(ts.jit(lambda s: s * 2, mesh=mesh)(stacked), np.full((2, 4, 3), 4))
    split = ts.jit(lambda x: x, mesh=mesh, out_shardings=ts.P("tp"))(x)
    assert ts.tree.unstack(ts.tree.stack([split, split]))[1].sharding is None


@pytest.mark.parametrize("function, code, fragments", [
    (lambda: ts.tree.stack([]), "TS1005", ["at least one tree"]),
    (lambda: ts.tree.stack([{"a": 1}, {"b": 1}]), "TS1005",
     ["the structure of tree 1 differs", "{'b': array}"]),
    (lambda: ts.tree.stack([{"a": {"b": 1}}, {"a": {"c": 1}}]), "TS1005", ["at 'a'"]),
    (lambda: ts.tree.stack([{"a": np.ones(2)}, {"a": np.ones(3)}]), "TS3009",
     ["leaf 'a' of tree 1", "expected: f64[2]", "got: f64[3]"]),
    (lambda: ts.tree.stack([{"a": np.ones(2)}, {"a": np.ones(2, np.float32)}]), "TS3009", ["got: f32[2]"]),
    (lambda: ts.tree.unstack({"a": np.ones(2), "b": np.ones(3)}), "TS3009",
     ["different leading dimensions", "a: 2, b: 3"]),
    (lambda: ts.tree.unstack({"a": 1.0}), "TS3009", ["leaf 'a' has no leading dimension"]),
    (lambda: ts.tree.unstack({}), "TS3009", ["without leaves"]),
])
def test_what_does_not_stack(function, code, fragments):
    with pytest.raises(ts.TesseraError) as caught:
        function()
    check(caught, code, *fragments)
