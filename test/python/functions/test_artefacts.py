# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""An artefact is called as the function that it was made of."""

import collections
import dataclasses
import enum
import re
import sys
from typing import Any, NamedTuple

import numpy as np
import pytest
from conftest import needs_runtime
from refusals import check

import tessera as ts
from tessera._src.core import tree, tree_text
from tessera._src.programs import native

X = np.arange(6, dtype=np.float32).reshape(2, 3)
PARAMS = {"w": X + 1, "b": np.ones(3, np.float32)}


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    path = tmp_path_factory.mktemp("artefact") / "f.tsa"
    function = ts.jit(lambda params, x, scale: (x * params["w"] * scale, params["b"]))
    function.lower(PARAMS, X, 2.0).compile().save(path)
    return ts.load_artefact(path)


@needs_runtime
def test_trees_names_and_single_leaves_are_taken(loaded):
    want = X * PARAMS["w"] * 2
    for args, kwargs in [((PARAMS, X, 2.0), {}), ((PARAMS["b"], PARAMS["w"], X, np.float32(2)), {}),
                         ((PARAMS,), {"x": X, "scale": 2}), ((X, 2.0), {"params": PARAMS}),
                         ((), {"scale": ts.array(2.0), "params": PARAMS, "x": ts.array(X)})]:
        got = loaded(*args, **kwargs)
        assert isinstance(got, tuple) and len(got) == 2
        np.testing.assert_array_equal(got[0], want)
        np.testing.assert_array_equal(got[1], PARAMS["b"])


class Pair(NamedTuple):
    first: Any
    second: Any


@ts.tree.register_dataclass
@dataclasses.dataclass
class State:
    step: Any
    weights: Any


RESULTS = {
    "one array": lambda x: x,
    "a tuple of one": lambda x: (x,),
    "a dict": lambda x: {"b": x, "a": [x + 1, (x + 2, None)], "c": {}},
    "integer keys": lambda x: {3: x, 1: x + 1},
    "an ordered dict": lambda x: collections.OrderedDict(z=x, a=x + 1),
    "a default dict": lambda x: collections.defaultdict(list, a=x),
    "a named tuple": lambda x: Pair(x, {"k": x + 1}),
    "a dataclass": lambda x: State(x, [x + 1]),
    "names to be quoted": lambda x: {'a "b"\\\n': x, "é": x + 1},
}


@needs_runtime
@pytest.mark.parametrize("name", RESULTS)
def test_the_result_has_the_structure_that_the_function_gave(name, tmp_path):
    function = ts.jit(RESULTS[name])
    function.lower(X).compile().save(tmp_path / "f")
    wanted, got = function(X), ts.load_artefact(tmp_path / "f")(X)
    leaves, structure = ts.tree.flatten(got)
    if name == "a default dict":
        wanted = dict(wanted)
    expected, wanted_structure = ts.tree.flatten(wanted)
    assert structure == wanted_structure
    for a, b in zip(leaves, expected):
        np.testing.assert_array_equal(a, b)


@needs_runtime
def test_a_class_that_is_not_there_becomes_a_named_tuple(tmp_path, monkeypatch):
    ts.jit(RESULTS["a dataclass"]).lower(X).compile().save(tmp_path / "f")
    monkeypatch.setattr(sys.modules[__name__], "State", None)
    got = ts.load_artefact(tmp_path / "f")(X)
    assert type(got).__name__ == "State"
    np.testing.assert_array_equal(got.weights[0], X + 1)


@needs_runtime
def test_a_program_that_was_not_traced_gives_a_tuple(tmp_path):
    text = ts.jit(lambda x: {"y": x + 1}).lower(X).as_text("tessera")
    plain = re.sub(r" attributes \{tessera\.structure = .*\} \{", " {", text)
    assert plain != text
    data, _, _ = native.compile_text(plain, target="cpu", emit="artefact")
    (tmp_path / "f").write_bytes(data)
    (got,) = ts.load_artefact(tmp_path / "f")(X)
    np.testing.assert_array_equal(got, X + 1)


@needs_runtime
@pytest.mark.parametrize("args, kwargs, fragments", [
    ((PARAMS, X), {}, ["wrong number of inputs", "4: params.b: f32[3], params.w: f32[2, 3], x: f32[2, 3], "
                       "scale: f32[]", "got: 3, in ({'b': array, 'w': array}, array)"]),
    ((PARAMS, X, 2.0), {"scael": 1.0}, ["no input 'scael'", "did you mean 'scale'?"]),
    (({"b": X, "v": X}, X, 2.0), {}, ["argument 0 has 'v' for input 'params.w'"]),
    ((PARAMS, X.astype(np.float64), 2.0), {}, ["input 'x' does not fit", "f32[2, 3]", "f64[2, 3]"]),
    ((PARAMS, X.T.copy(), 2.0), {}, ["input 'x' does not fit", "f32[3, 2]"]),
    ((PARAMS, X, np.float64(2)), {}, ["input 'scale' does not fit", "expected: f32[]", "got: f64[]",
                                      "convert it before the call, with .astype(ts.f32)"]),
    ((PARAMS, X, np.int32(2)), {}, ["input 'scale' does not fit", "got: i32[]"]),
])
def test_what_does_not_fit_is_named(loaded, args, kwargs, fragments):
    with pytest.raises(ts.ConfigError) as caught:
        loaded(*args, **kwargs)
    check(caught, "TS4005", *fragments)


@needs_runtime
@pytest.mark.parametrize("given", ["two", 2j, object()])
def test_what_is_no_number_is_not_to_be_converted(loaded, given):
    with pytest.raises(ts.ConfigError) as caught:
        loaded(PARAMS, X, given)
    check(caught, "TS4005", "input 'scale' does not fit", "expected: f32[]")
    assert "convert" not in str(caught.value)


@needs_runtime
def test_elements_that_arrays_do_not_have_are_named(tmp_path):
    kinds = [f"!tessera.mesh_tensor<3x{element}, @mesh>" for element in ("ui32", "f32")]
    text = (f"dist.mesh @mesh <[x = 1]>\nfunc.func @main(%x: {kinds[0]}) -> {kinds[1]} {{\n"
            f"%0 = tessera.convert %x : {kinds[0]} -> {kinds[1]}\nreturn %0 : {kinds[1]}\n}}\n")
    data, _, _ = native.compile_text(text, target="cpu", emit="artefact")
    (tmp_path / "f").write_bytes(data)
    with pytest.raises(ts.ConfigError) as caught:
        ts.load_artefact(tmp_path / "f")(np.ones(3, np.uint32))
    check(caught, "TS4005", "input 'arg0' has elements of type ui32", "valid: f64, f32", "tessera.convert")


@needs_runtime
def test_numbers_are_not_cut_to_the_type_of_an_input(tmp_path):
    ts.jit(lambda n: n * 2).lower(1).compile().save(tmp_path / "f.tsa")
    loaded = ts.load_artefact(tmp_path / "f.tsa")
    assert loaded(3) == 6
    with pytest.raises(ts.ConfigError) as caught:
        loaded(1.7)
    check(caught, "TS4005", "input 'n' does not fit", "expected: i32[]", "got: f32[]",
          "pass a whole number, such as int(x)")


@needs_runtime
def test_an_input_of_booleans_is_named_as_in_python(tmp_path):
    ts.jit(lambda b: ~b).lower(True).compile().save(tmp_path / "f.tsa")
    loaded = ts.load_artefact(tmp_path / "f.tsa")
    assert not loaded(True) and "b: bool[]" in repr(loaded)
    for given, way_out in [(1, "pass True or False"), (np.int32(1), "with .astype(ts.bool_)")]:
        with pytest.raises(ts.ConfigError) as caught:
            loaded(given)
        check(caught, "TS4005", "input 'b' does not fit", "expected: bool[]", "got: i32[]", way_out)


class Colour(enum.Enum):
    RED = 1


@pytest.mark.parametrize("key", ["a", 3, -1.5, True, None, (0, 1), ("a", (2, b"c")), b"a"])
def test_keys_of_dictionaries_keep_their_types(key):
    _, structure = tree.flatten({key: 1.0})
    read = tree_text.from_text(tree_text.to_text(structure))
    assert read.keys == (key,) and type(read.keys[0]) is type(key)


def test_keys_of_numpy_become_those_of_python():
    _, structure = tree.flatten({np.int64(3): 1.0})
    assert tree_text.from_text(tree_text.to_text(structure)).keys == (3,)


def test_a_structure_without_a_text_is_none():
    _, structure = tree.flatten({Colour.RED: 1.0})
    assert tree_text.from_text(tree_text.to_text(structure)) is None
    for text in ("", "5", "[5,null,[]]", '[3,["a"],["*"]]', "{", "[" * 100_000):
        assert tree_text.from_text(text) is None
