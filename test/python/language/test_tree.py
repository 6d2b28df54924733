# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Trees flatten in a fixed order and come back as they were."""

import collections
import dataclasses
from collections import namedtuple

import numpy as np
import pytest

import tessera as ts

Pair = namedtuple("Pair", "left right")


@ts.tree.register_dataclass
@dataclasses.dataclass
class Layer:
    weight: object
    bias: object = None


def test_trees_round_trip():
    for value in ({"b": 1, "a": [2, (3, None)]}, Pair(1, {"x": 2}), Layer(1, [2]), 5, (), [None]):
        leaves, structure = ts.tree.flatten(value)
        assert ts.tree.unflatten(structure, leaves) == value
        assert structure.count == len(leaves)


def test_dictionaries_flatten_by_key_whatever_their_order():
    one, two = ts.tree.flatten({"b": 1, "a": 2}), ts.tree.flatten({"a": 2, "b": 1})
    assert one == two and hash(one[1]) == hash(two[1])
    assert one[0] == [2, 1]


def test_structures_differ_when_kinds_do():
    assert ts.tree.flatten([1, 2])[1] != ts.tree.flatten((1, 2))[1]


def test_paths_name_leaves():
    assert ts.tree.paths(ts.tree.flatten({"a": [1, Layer(2, 3)]})[1]) == ["a.0", "a.1.weight", "a.1.bias"]


def test_map_needs_one_structure():
    assert ts.tree.map(lambda a, b: a + b, [1, {"x": 2}], [3, {"x": 4}]) == [4, {"x": 6}]
    with pytest.raises(ts.TraceError, match="TS1005"):
        ts.tree.map(lambda a, b: a, [1], [1, 2])


def test_mixed_keys_are_an_error():
    with pytest.raises(ts.TraceError, match="TS1004"):
        ts.tree.flatten({1: 1, "a": 2})


def test_functions_take_and_give_trees():
    text = ts.jit(lambda p: {"out": Pair(p.weight + 1, [p.bias])}).lower(Layer(1.0, 2)).as_text()
    assert '"p.weight"' in text and '"p.bias"' in text


def test_ordered_dicts_keep_their_order_and_counters_their_counts():
    ordered = collections.OrderedDict([("b", 1), ("a", 2)])
    leaves, structure = ts.tree.flatten(ordered)
    assert leaves == [1, 2] and ts.tree.paths(structure) == ["b", "a"]
    assert list(ts.tree.unflatten(structure, leaves).items()) == [("b", 1), ("a", 2)]
    assert structure != ts.tree.flatten({"b": 1, "a": 2})[1]
    counter = collections.Counter("abba")
    assert ts.tree.map(lambda x: x, counter) == counter
    assert ts.tree.leaves({"b": [1, None], "a": (2,)}) == [2, 1]


class Scaled:
    """Two leaves, and a scale that is no leaf."""

    def __init__(self, left, right, scale):
        self.left, self.right, self.scale = left, right, scale


ts.tree.register_node(Scaled, lambda s: (("left", "right"), (s.left, s.right), s.scale),
                      lambda scale, children: Scaled(scale=scale, **children))


def test_registered_classes_are_nodes_with_what_is_no_leaf_in_their_structure():
    leaves, structure = ts.tree.flatten([Scaled(1, {"x": 2}, "fast")])
    assert leaves == [1, 2] and ts.tree.paths(structure) == ["0.left", "0.right.x"]
    made = ts.tree.unflatten(structure, [3, 4])[0]
    assert (made.left, made.right, made.scale) == (3, {"x": 4}, "fast")
    assert structure == ts.tree.flatten([Scaled(5, {"x": 6}, "fast")])[1]
    assert structure != ts.tree.flatten([Scaled(1, {"x": 2}, "slow")])[1]
    assert structure != ts.tree.flatten([(1, {"x": 2})])[1]
    with pytest.raises(ts.TraceError, match="TS1005"):
        ts.tree.map(lambda a, b: a, Scaled(1, 2, "fast"), Scaled(1, 2, "slow"))


def test_functions_are_compiled_for_what_is_no_leaf_of_a_registered_class():
    traced = []

    @ts.jit
    def function(s):
        traced.append(s.scale)
        return Scaled(s.left * s.scale, s.right, s.scale + 1)

    for scale in (2, 3, 2):
        result = function(Scaled(np.float32(5), np.ones(3, np.float32), scale))
        assert result.scale == scale + 1 and float(result.left) == 5 * scale
    assert traced == [2, 3]
