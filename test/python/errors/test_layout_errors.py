# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Meshes, axes and layouts that cannot be are refused at the user's line, with the valid choices."""

import numpy as np
import pytest

import tessera as ts
from refusals import check

pytestmark = pytest.mark.quick

X = np.ones((2, 3), np.float32)
MESH = ts.make_mesh({"dp": 2, "tp": 4})


def lower(function, *args, **options):
    return ts.jit(function, **options).lower(*args)


def test_unknown_axis_suggests_the_nearest():
    with pytest.raises(ts.ShardingError) as caught:
        lower(lambda x: ts.with_sharding_constraint(x, ts.P("ttp")), X, mesh=MESH)
    check(caught, "TS2001", "no axis 'ttp'", "'dp' (size 2), 'tp' (size 4)", "did you mean 'tp'?")


def test_unknown_axis_of_an_argument():
    with pytest.raises(ts.ShardingError) as caught:
        lower(lambda x: x, X, mesh=MESH, in_shardings=(ts.P("pp"),))
    check(caught, "TS2001", "'pp'")


def test_reused_axis_names_both_dimensions():
    with pytest.raises(ts.ShardingError) as caught:
        ts.P("tp", None, ("dp", "tp"))
    check(caught, "TS2004", "'tp' is used twice: by dimension 0 and by dimension 2")


def test_layout_with_too_many_entries():
    with pytest.raises(ts.ShardingError) as caught:
        lower(lambda x: x, X, mesh=MESH, in_shardings=ts.P(None, None, "tp"))
    check(caught, "TS2006", "argument 'x'", "(2, 3)")


def test_mesh_larger_than_the_device_count(monkeypatch):
    monkeypatch.setenv("TESSERA_DEVICE_COUNT", "4")
    with pytest.raises(ts.ShardingError) as caught:
        ts.make_mesh({"dp": 2, "tp": 4})
    check(caught, "TS2003", "needs 8 devices, but there are 4")


@pytest.mark.parametrize("shape, names", [({"a b": 2}, None), ({"a": 0}, None), ((2, 2), ("a", "a")),
                                          ((2,), ("a", "b")), ({"a": True}, None), ({}, None),
                                          ({"a": -1}, None), ({"a": 2.0}, None), (4, None),
                                          ([("a", 2)], ("a",)), ({"a": 2}, ("a",)), ((2, 2), None),
                                          ([("a", 2), 3], None), ("a=2", None)])
def test_malformed_meshes(shape, names):
    with pytest.raises(ts.ShardingError) as caught:
        ts.make_mesh(shape, names)
    check(caught, "TS2002")


def test_layouts_without_a_mesh_say_where_one_goes():
    with pytest.raises(ts.ShardingError) as caught:
        ts.device_put(X, ts.P("tp"))
    check(caught, "TS2001", "layout P('tp') names axes", "ts.NamedSharding(mesh, ts.P('tp'))",
          "`with mesh:`")
    assert ts.device_put(X, ts.P()).sharding.spec == ts.P()


@pytest.mark.parametrize("given, said", [
    ({"x": {"c": ts.P()}}, ["argument 'x': it names 'c', which does not exist",
                               "got: an argument {'a': array, 'b': array}"]),
    ({"x": [ts.P()]}, ["expected 2 entries for {'a': array, 'b': array}, got 1"]),
    ({"x": {"a": "tp"}}, ["expected a prefix of array, got 'tp'", 'ts.P("tp")'])], ids=str)
def test_in_shardings_of_another_structure(given, said):
    with pytest.raises(ts.ConfigError) as caught:
        lower(lambda x: x, {"a": X, "b": X}, in_shardings=given)
    check(caught, "TS4007", *said)


@pytest.mark.parametrize("given, said", [
    ((ts.P(), ts.P(), ts.P()), "expected 2 entries for (array, array), got 3"),
    ({"a": ts.P()}, "expected a prefix of (array, array), got ['a']")], ids=str)
def test_out_shardings_of_another_structure(given, said):
    with pytest.raises(ts.ConfigError) as caught:
        lower(lambda x: (x, x), X, out_shardings=given)
    check(caught, "TS4007", "out_shardings does not fit the result", said)


def test_layouts_for_arrays_are_layouts():
    with pytest.raises(ts.ConfigError) as caught:
        ts.device_put(X, "cpu")
    check(caught, "TS4007", "a PartitionSpec")


def test_devices_of_meshes_are_known():
    with pytest.raises(ts.ShardingError) as caught:
        ts.make_mesh({"tp": 2}, device="gpu")
    check(caught, "TS2003", "unknown kind of device 'gpu'", "cuda")
