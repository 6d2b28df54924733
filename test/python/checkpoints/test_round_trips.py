# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What is saved on one mesh loads on any other, bit for bit; retention; metadata; what files hold."""

import collections
import dataclasses
import math
import random
import typing

import ml_dtypes
import numpy as np
import pytest
from conftest import needs_runtime

import tessera as ts
from tessera._src.checkpoints.tensor_file import DTYPES

ck = ts.checkpoints
P = ts.P
MESH = ts.make_mesh({"dp": 2, "tp": 2})
TARGETS = {
    "tp4": (ts.make_mesh({"tp": 4}), {"w": P("tp"), "b": P("tp"), "e": P(None, "tp"), "m": P("tp")}),
    "dp4": (ts.make_mesh({"dp": 4}), {"w": P(), "b": P(), "e": P("dp"), "m": P(None, "dp")}),
    "one": (None, {}),
    "tp3": (ts.make_mesh({"tp": 3}), {"w": P(None, "tp"), "b": P("tp"), "e": P(), "m": P("tp")}),
}


def bits(dtype, *shape, seed=0):
    """Random bits of a type, so that NaNs and subnormals are among them; bools are 0 and 1."""
    count = math.prod(shape) * np.dtype(dtype).itemsize
    raw = np.frombuffer(random.Random(seed).randbytes(count), np.uint8)
    return (raw & 1 if dtype == np.bool_ else raw).view(dtype).reshape(shape)


def same(a, b):
    a, b = np.asarray(a), np.asarray(b)
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def values():
    """By name; 5 over 2 and over 4 is uneven, and the last of 4 devices has nothing of it."""
    return {"w": bits(np.float32, 5, 6), "b": bits(np.int32, 5), "e": bits(ts.bf16, 7, 5),
            "m": bits(np.float64, 3, 4, 5), "h": bits(np.float16, 3), "k": bits(np.bool_, 2, 3),
            "n": bits(np.int64), "z": bits(np.float32, 0, 3)}


def placed(mesh, layouts):
    return {name: value if mesh is None else
            ts.device_put(value, ts.NamedSharding(mesh, layouts.get(name, P())))
            for name, value in values().items()}


SOURCE = {"w": P("tp", "dp"), "b": P("tp"), "e": P("dp"), "m": P(("dp", "tp"))}


@pytest.mark.quick
@needs_runtime
@pytest.mark.parametrize("target", TARGETS)
def test_tp2_dp2_loads_elsewhere_bitwise(tmp_path, target):
    ck.save(tmp_path, placed(MESH, SOURCE), 3)
    mesh, layouts = TARGETS[target]
    wanted = placed(mesh, layouts)
    loaded = ck.load(tmp_path, {
        name: ts.ShapeDtypeStruct(value.shape, value.dtype, getattr(value, "sharding", None))
        for name, value in wanted.items()}).tree
    for name, value in values().items():
        assert same(loaded[name], value), name
        assert isinstance(loaded[name], ts.Array)
        if mesh is not None and value.size:
            assert loaded[name].sharding == wanted[name].sharding
            assert [s.index for s in loaded[name].addressable_shards] == \
                [s.index for s in wanted[name].addressable_shards]
    # And back: what another mesh saves, in the layouts of arrays.
    ck.save(tmp_path, loaded, 4)
    again = ck.load(tmp_path, placed(MESH, SOURCE)).tree
    assert all(same(again[name], value) for name, value in values().items())
    assert again["w"].sharding == ts.NamedSharding(MESH, P("tp", "dp"))


@needs_runtime
def test_each_part_is_written_once_by_a_device_that_holds_it(tmp_path):
    ck.save(tmp_path, placed(MESH, SOURCE), 3)
    contents = ck.inspect(tmp_path)
    assert list(contents.files) == [f"part-{r:05d}-of-00004.safetensors" for r in range(4)]
    pieces = {name: [(p.offset, p.shape) for p in info.pieces] for name, info in contents.tensors.items()}
    assert sorted(pieces["w"]) == [((0, 0), (3, 3)), ((0, 3), (3, 3)), ((3, 0), (2, 3)), ((3, 3), (2, 3))]
    assert sorted(pieces["b"]) == [((0,), (3,)), ((3,), (2,))]
    assert sorted(pieces["m"]) == [((0, 0, 0), (1, 4, 5)), ((1, 0, 0), (1, 4, 5)), ((2, 0, 0), (1, 4, 5))]
    assert pieces["n"] == [((), ())] and pieces["z"] == [((0, 0), (0, 3))]
    # Device 2 * dp + tp holds w[3 * tp:, 3 * dp:].
    files = {p.offset: int(p.file[5:10]) for p in contents.tensors["w"].pieces}
    assert files == {(0, 0): 0, (3, 0): 1, (0, 3): 2, (3, 3): 3}
    assert contents.bytes == sum(value.nbytes for value in values().values())
    assert sum(info.bytes for info in contents.files.values()) < contents.bytes + 4 * 1000


@needs_runtime
def test_replicated_tensors_are_shared_out_among_the_files(tmp_path):
    sharding = ts.NamedSharding(MESH, P())
    ck.save(tmp_path, [ts.device_put(np.full((2, 3), i, np.float32), sharding) for i in range(4)], 1)
    files = [info.pieces[0].file for info in ck.inspect(tmp_path).tensors.values()]
    assert len(set(files)) == 4


@needs_runtime
def test_files_are_read_by_the_safetensors_library(tmp_path):
    from safetensors.numpy import load_file

    path = ck.save(tmp_path, placed(MESH, SOURCE), 3).wait()
    first = load_file(path / "part-00000-of-00004.safetensors")
    assert same(first["w"], values()["w"][:3, :3])


def test_every_type_of_files_comes_back(tmp_path):
    tree = {name: bits(dtype, 2, 3) for name, dtype in DTYPES.items()}
    tree |= {f"{name}_0d": bits(dtype) for name, dtype in DTYPES.items()}
    tree["__metadata__"] = np.arange(3)
    ck.save(tmp_path, tree, 0)
    loaded = ck.load(tmp_path, tree).tree
    assert all(same(loaded[name], value) and type(loaded[name]) is np.ndarray for name, value in tree.items())
    assert ck.verify(tmp_path) == []


def test_numbers_and_scalars_keep_their_kind(tmp_path):
    tree = {"on": True, "count": -(1 << 63), "rate": math.inf, "scalar": np.float32(0.1),
            "brain": ml_dtypes.bfloat16(1.5)}
    ck.save(tmp_path, tree, 0)
    for loaded in (ck.load(tmp_path, tree).tree, ck.load(tmp_path).tree):
        assert all(same(loaded[name], value) for name, value in tree.items())
        assert [type(loaded[name]) for name in ("on", "count", "rate")] == [bool, int, float]
    assert type(ck.load(tmp_path, tree).tree["scalar"]) is np.float32


def test_views_and_big_endian_arrays_have_the_same_values(tmp_path):
    whole = np.arange(24, dtype=np.int16).reshape(4, 6)
    tree = {"view": whole[::2, ::-3], "turned": whole.T, "big": whole.astype(">i2"),
            "fixed": np.asfortranarray(whole)}
    ck.save(tmp_path, tree, 0)
    for loaded in (ck.load(tmp_path, tree).tree, ck.load(tmp_path).tree):
        assert all(np.array_equal(loaded[name], value) for name, value in tree.items())


@ts.tree.register_dataclass
@dataclasses.dataclass
class State:
    moments: list
    count: int


class Pair(typing.NamedTuple):
    weight: typing.Any
    bias: typing.Any


def test_structure_comes_back_without_like(tmp_path):
    tree = {"layers": [Pair(np.ones((2, 3), np.float32), None), (np.zeros(2), [])],
            "optimizer": State([np.arange(3)], 5), "ordered": collections.OrderedDict(b=1, a=2)}
    ck.save(tmp_path, tree, 0)
    loaded = ck.load(tmp_path).tree
    assert ts.tree.flatten(loaded)[1] == ts.tree.flatten(tree)[1]
    assert isinstance(loaded["optimizer"], State) and loaded["optimizer"].count == 5
    assert list(ck.inspect(tmp_path).tensors) == [
        "layers.0.weight", "layers.1.0", "optimizer.moments.0", "optimizer.count", "ordered.b", "ordered.a"]


def test_a_bare_tensor_is_a_tree(tmp_path):
    ck.save(tmp_path, np.arange(3), 0)
    assert ck.load(tmp_path, np.zeros(3, np.int64)).tree.tolist() == [0, 1, 2]
    assert list(ck.inspect(tmp_path).tensors) == ["value"]


@needs_runtime
def test_training_goes_on_as_if_it_had_not_stopped(tmp_path):
    """Arrays that a program made keep the layout it chose, and the program is not compiled again."""
    @ts.jit(mesh=MESH)
    def step(state, x: ts.MeshTensor["B", "D", P("dp")]):
        w = state["w"] - 0.1 * (x.T @ (x @ state["w"]))
        return {"w": w, "m": 0.9 * state["m"] + w, "count": state["count"] + 1}

    x = np.linspace(-1, 1, 20, dtype=np.float32).reshape(4, 5)
    state = {"w": np.ones((5, 6), np.float32), "m": np.zeros((5, 6), np.float32), "count": np.int32(0)}
    state = step(state, x)
    ck.save(tmp_path, state, 1)
    through = step(state, x)
    loaded = ck.load(tmp_path, state).tree
    assert all(loaded[name].kind is state[name].kind for name in state)
    again = step(loaded, x)
    assert all(same(again[name], through[name]) for name in through)


METADATA = {"position": (3, "a"), "key": b"\x00\xff", "rng": {"state": 1 << 127, "has": False}, "none": None,
            "losses": [1.5, math.inf, -math.inf], 3: {"$tuple": [1]}, "": [], "$bytes": "x"}


def test_metadata_comes_back_as_it_was(tmp_path):
    ck.save(tmp_path, {}, 7, metadata=METADATA)
    loaded = ck.load(tmp_path)
    assert loaded.metadata == METADATA and type(loaded.metadata["position"]) is tuple
    assert loaded.tree == {} and loaded.step == 7 and loaded.left_out == {}
    assert ck.inspect(tmp_path).metadata == METADATA
    ck.save(tmp_path, {}, 8, metadata=math.nan)
    assert math.isnan(ck.load(tmp_path).metadata)


@pytest.mark.parametrize("keep, left", [
    (None, list(range(0, 11))), (3, [8, 9, 10]), ({"last": 1}, [10]),
    ({"last": 2, "every": 4}, [0, 4, 8, 9, 10]),
])
def test_retention(tmp_path, keep, left):
    for step in range(11):
        ck.save(tmp_path, {"w": np.full(3, step)}, step, keep=keep)
    assert ck.steps(tmp_path) == left and ck.latest(tmp_path) == 10
    assert [int(ck.load(tmp_path, step=step).tree["w"][0]) for step in left] == left


def test_retention_never_removes_the_new_one(tmp_path):
    for step in (10, 20, 30):
        ck.save(tmp_path, {}, step)
    ck.save(tmp_path, {}, 15, keep=1)
    assert ck.steps(tmp_path) == [15, 30]


def test_directories_are_found_by_step_and_by_folder(tmp_path):
    assert ck.latest(tmp_path / "none") is None and ck.steps(tmp_path / "none") == []
    for step in (9, 100_000_000, 99_999_999):
        ck.save(tmp_path / "a" / "b", {"w": np.full(2, step)}, step)
    assert ck.steps(tmp_path / "a" / "b") == [9, 99_999_999, 100_000_000]
    assert ck.load(tmp_path / "a" / "b").step == 100_000_000
    assert ck.load(tmp_path / "a" / "b", step=9).tree["w"].tolist() == [9, 9]
    assert ck.load(str(tmp_path / "a" / "b" / "step-00000009")).step == 9
    assert ck.inspect(tmp_path / "a" / "b" / "step-00000009").step == 9


def test_inspect_prints_a_table_and_reads_no_element(tmp_path):
    tree = {"w": np.ones((2, 3), np.float32), "long.name": np.ones(5)}
    path = ck.save(tmp_path, tree, 4, metadata="m").wait()
    (path / "part-00000-of-00001.safetensors").unlink()
    text = str(ck.inspect(tmp_path))
    assert "step 4, 2 tensors of 64 bytes in 1 file\n" in text and "metadata: 'm'" in text
    assert "w          F32[2, 3]     24       1\n" in text
