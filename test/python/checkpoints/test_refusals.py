# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Damage is named by file and tensor; trees that differ are refused with all that differs; bad arguments."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import needs_runtime

import tessera as ts
from tessera._src.checkpoints import saving
from tessera._src.checkpoints.index import _END
from tessera._src.checkpoints.tensor_file import hash_of, read_header

ck = ts.checkpoints
TREE = {"model": {"w": np.arange(30, dtype=np.float32).reshape(5, 6), "b": np.arange(5, dtype=np.int32)},
        "optimizer": {"m": np.zeros((5, 6), np.float32), "count": 7}}


def flip(path, at, bit=0x10):
    data = bytearray(path.read_bytes())
    data[at] ^= bit
    path.write_bytes(data)


def split_tree():
    mesh = ts.make_mesh({"dp": 2, "tp": 2})
    return {"w": ts.device_put(TREE["model"]["w"], ts.NamedSharding(mesh, ts.P("tp", "dp"))),
            "b": TREE["model"]["b"]}


@needs_runtime
def test_every_flipped_byte_of_elements_is_reported_by_file_and_tensor(tmp_path):
    path = ck.save(tmp_path, split_tree(), 1).wait()
    for file in sorted(path.glob("part-*")):
        _, places = read_header(file)
        for key, place in places.items():
            for at in (place.begin, (place.begin + place.end) // 2, place.end - 1):
                flip(file, at)
                problem, = ck.verify(tmp_path)
                assert (problem.file, problem.tensor) == (file, key)
                with pytest.raises(ts.CheckpointError) as raised:
                    ck.load(tmp_path)
                assert raised.value.code == "TS6002"
                assert f"{file} is damaged" in str(raised.value) and f"tensor '{key}'" in str(raised.value)
                flip(file, at)
    assert ck.verify(tmp_path) == []
    w = next(info for name, info in ck.inspect(tmp_path).tensors.items() if name == "w")
    piece = next(piece for piece in w.pieces if piece.offset == (3, 3))
    flip(path / piece.file, read_header(path / piece.file)[1]["w"].begin)
    assert "'w'[3:5, 3:6]" in ck.verify(tmp_path)[0].message


def test_every_flipped_byte_of_header_and_index_is_reported(tmp_path):
    path = ck.save(tmp_path, TREE, 1).wait()
    file, index = path / "part-00000-of-00001.safetensors", path / "index.json"
    for at in range(len(read_header(file)[0])):
        flip(file, at)
        assert {problem.file for problem in ck.verify(tmp_path)} == {file}, at
        assert {p.tensor for p in ck.verify(tmp_path)} == {
            "model.b", "model.w", "optimizer.count", "optimizer.m"}
        flip(file, at)
    for at in range(0, len(index.read_bytes()), 5):
        flip(index, at)
        assert [str(p.file) for p in ck.verify(tmp_path)] == [str(index)], at
        flip(index, at)
    assert ck.verify(tmp_path) == []


def test_files_cut_short_lengthened_or_gone_are_reported(tmp_path):
    path = ck.save(tmp_path, TREE, 1).wait()
    file = path / "part-00000-of-00001.safetensors"
    data = file.read_bytes()
    for changed in (data[:-1], data + b"\0", data[:40], b"", None):
        file.unlink() if changed is None else file.write_bytes(changed)
        assert {p.file for p in ck.verify(tmp_path)} == {file}
        with pytest.raises(ts.CheckpointError, match=file.name):
            ck.load(tmp_path)


def test_a_damaged_index_is_passed_over_with_a_warning(tmp_path):
    ck.save(tmp_path, TREE, 1)
    path = ck.save(tmp_path, TREE, 2).wait()
    data = (path / "index.json").read_bytes()
    for changed in (data[:-1], data[:100], b""):
        (path / "index.json").write_bytes(changed)
        with pytest.warns(RuntimeWarning, match="step-00000002 is left out.*damaged"):
            assert ck.load(tmp_path).step == 1
        with pytest.warns(RuntimeWarning):
            assert ck.steps(tmp_path) == [1]
        with pytest.raises(ts.CheckpointError, match="TS6002.*index.json is damaged"):
            ck.load(tmp_path, step=2)
        problem, = ck.verify(tmp_path)
        assert problem.file == path / "index.json" and problem.tensor is None
    with pytest.warns(RuntimeWarning):  # It is not removed, so that it can be looked at.
        ck.save(tmp_path, TREE, 3, keep=1)
    assert path.exists() and not (tmp_path / "step-00000001").exists()


def rewritten(path, change):
    """Changes an index, with a hash that fits."""
    content = json.loads((path / "index.json").read_bytes())
    del content["digest"]
    change(content)
    body = json.dumps(content).encode()[:-1]
    (path / "index.json").write_bytes(body + _END + hash_of(body).encode() + b'"}\n')


@pytest.mark.parametrize("change", [
    lambda c: c["files"].update({"../../secret": {"bytes": 1, "header": ""}}),
    lambda c: c["tensors"]["model.w"].update(shape=[5, 1 << 60]),
    lambda c: c["tensors"]["model.w"].update(dtype="F77"),
    lambda c: c["tensors"]["model.w"]["pieces"][0].update(offset=[-1, 0]),
    lambda c: c["tensors"]["model.w"]["pieces"].append(c["tensors"]["model.w"]["pieces"][0]),
    lambda c: c["tensors"]["model.w"]["pieces"].clear(),
    lambda c: c["tensors"]["model.w"].update(kind="int"),
    lambda c: c.update(tensors=3),
    lambda c: c.update(format="other"),
])
def test_an_index_that_says_what_cannot_be_is_refused(tmp_path, change):
    path = ck.save(tmp_path, TREE, 1).wait()
    rewritten(path, change)
    with pytest.raises(ts.CheckpointError, match="TS6002.*index.json is damaged: it is not the index"):
        ck.load(path)


def test_a_newer_format_is_refused_by_its_version(tmp_path):
    path = ck.save(tmp_path, TREE, 1).wait()
    rewritten(path, lambda c: c.update(version=3))
    with pytest.raises(ts.CheckpointError, match="TS6003.*version 3 of the format"):
        ck.load(tmp_path)


def test_version_1_of_the_format_is_read(tmp_path):
    """Its hashes of elements are BLAKE2b."""
    path = ck.save(tmp_path, TREE, 1).wait()

    def back_to_version_1(content):
        content["version"] = 1
        for info in content["tensors"].values():
            for piece in info["pieces"]:
                assert piece["hash"].startswith("sha256:")
                place = read_header(path / piece["file"])[1][piece["key"]]
                piece["hash"] = hash_of((path / piece["file"]).read_bytes()[place.begin:place.end])

    rewritten(path, back_to_version_1)
    assert ck.verify(tmp_path) == []
    assert ck.load(tmp_path, TREE).tree["model"]["w"].tolist() == TREE["model"]["w"].tolist()
    file = path / "part-00000-of-00001.safetensors"
    flip(file, read_header(file)[1]["model.b"].begin)
    problem, = ck.verify(tmp_path)
    assert (problem.file, problem.tensor) == (file, "model.b")


def test_one_error_lists_all_that_differs(tmp_path):
    ck.save(tmp_path, TREE, 1)
    like = {"model": {"weight": np.zeros((5, 6), np.float32), "b": np.zeros(4, np.int32)},
            "optimizer": {"m": ts.ShapeDtypeStruct((5, 6), ts.bf16), "v": 1.0}}
    with pytest.raises(ts.CheckpointError) as raised:
        ck.load(tmp_path, like)
    text = str(raised.value)
    assert raised.value.code == "TS6006" and "does not fit the tree: 6 problems" in text
    for line in ("'model.b' has shape [5], expected [4]", "missing 'model.weight' f32[5, 6]",
                 "'optimizer.m' is f32[5, 6], expected bf16[5, 6]", "missing 'optimizer.v' f64[]",
                 "unexpected 'model.w' f32[5, 6]", "unexpected 'optimizer.count' i64[]"):
        assert line in text
    assert Path(__file__).name in text


def test_a_missing_optimizer_is_refused_both_ways(tmp_path):
    ck.save(tmp_path, TREE, 1)
    with pytest.raises(ts.CheckpointError, match="unexpected 'optimizer.count'"):
        ck.load(tmp_path, {"model": TREE["model"]})
    ck.save(tmp_path, {"model": TREE["model"]}, 2)
    with pytest.raises(ts.CheckpointError, match="missing 'optimizer.m'"):
        ck.load(tmp_path, TREE)


def test_not_strict_names_what_it_leaves_out(tmp_path):
    ck.save(tmp_path, TREE, 1)
    like = {"model": {"w": np.ones((5, 6), np.float32), "b": np.full(4, 9)}, "new": np.full(2, 8)}
    loaded = ck.load(tmp_path, like, strict=False)
    assert np.array_equal(loaded.tree["model"]["w"], TREE["model"]["w"])
    assert loaded.tree["model"]["b"] is like["model"]["b"] and loaded.tree["new"] is like["new"]
    assert loaded.left_out == {
        "model.b": "has shape [5], expected [4]", "new": "missing",
        "optimizer.m": "unexpected: f32[5, 6] is not loaded",
        "optimizer.count": "unexpected: i64[] is not loaded"}
    with pytest.raises(ts.CheckpointError, match="'new' missing, and like has no elements"):
        ck.load(tmp_path, {"new": ts.ShapeDtypeStruct((2,), ts.f32)}, strict=False)


def test_not_strict_reads_only_what_is_asked_for(tmp_path):
    path = ck.save(tmp_path, TREE, 1).wait()
    file = path / "part-00000-of-00001.safetensors"
    flip(file, read_header(file)[1]["optimizer.m"].begin)
    assert np.array_equal(ck.load(tmp_path, {"model": TREE["model"]}, strict=False).tree["model"]["w"],
                          TREE["model"]["w"])


@pytest.mark.parametrize("leaf, message", [
    ("text", "'x' is a str, which is no tensor"), (1j, "'x' is a complex"),
    (np.array(["a"]), "'x' has element type <U1"), (np.ones(2, complex), "'x' has element type complex128"),
    (np.array([None]), "'x' has element type object"), (1 << 63, "64 bits cannot hold"),
    (np.ma.masked_array([1, 2], [True, False]), "'x' is a MaskedArray"),
    ({"y.z": 1, "y": {"z": 2}}, "two tensors of the tree are called 'x.y.z'"),
])
def test_leaves_that_cannot_be_saved_are_named(tmp_path, leaf, message):
    with pytest.raises(ts.CheckpointError, match="TS6008") as raised:
        ck.save(tmp_path / "run", {"x": leaf}, 1)
    assert message in str(raised.value) and not (tmp_path / "run").exists()


def test_traced_values_are_refused(tmp_path):
    with pytest.raises(ts.CheckpointError, match="TS6008.*'x' is being traced"):
        ts.jit(lambda x: ck.save(tmp_path, {"x": x}, 1)).lower(np.ones(3))


@pytest.mark.parametrize("metadata, place", [
    ({"a": [1, np.float32(2)]}, r"metadata\['a'\]\[1\] is a float32"),
    ({"a": {1, 2}}, r"metadata\['a'\] is a set"),
    (np.ones(3), "metadata is a ndarray"), ({object(): 1}, "a key of metadata is a object"),
])
def test_metadata_that_would_not_come_back_is_refused(tmp_path, metadata, place):
    with pytest.raises(ts.CheckpointError, match="TS6008.*" + place):
        ck.save(tmp_path, {}, 1, metadata=metadata)


def test_a_step_is_saved_once(tmp_path):
    ck.save(tmp_path, TREE, 1)
    for asynchronous in (False, True):
        with pytest.raises(ts.CheckpointError, match="TS6009.*step-00000001 is there already"):
            ck.save(tmp_path, {}, 1, asynchronous=asynchronous)
    assert ck.load(tmp_path, TREE).step == 1


def test_a_step_that_another_process_has_just_saved_is_not_replaced(tmp_path, monkeypatch):
    monkeypatch.setattr(saving, "check_is_new", lambda job: None)  # It was not there at the call.
    ck.save(tmp_path, TREE, 1)
    with pytest.raises(ts.CheckpointError, match="TS6009.*step-00000001 is there already"):
        ck.save(tmp_path, {}, 1)
    assert ck.load(tmp_path, TREE).step == 1 and ck.verify(tmp_path) == []


@pytest.mark.parametrize("arguments", [
    {"step": -1}, {"step": 1.0}, {"step": True}, {"step": "1"}, {"keep": 0}, {"keep": True}, {"keep": {}},
    {"keep": {"last": 2, "evry": 3}}, {"keep": {"every": 3}}, {"keep": {"last": 1, "every": 0}},
    {"keep": "all"},
])
def test_arguments_that_cannot_be_are_refused(tmp_path, arguments):
    with pytest.raises(ts.ConfigError, match="TS4025"):
        ck.save(tmp_path / "run", {}, **({"step": 1} | arguments))
    assert not (tmp_path / "run").exists()


def test_what_is_not_there_is_said(tmp_path):
    ck.save(tmp_path / "run", TREE, 5)
    ck.save(tmp_path / "run", TREE, 6)
    (tmp_path / "empty").mkdir()
    for call in (ck.load, ck.inspect, ck.verify):
        with pytest.raises(ts.CheckpointError, match="TS6001.*nowhere does not exist"):
            call(tmp_path / "nowhere")
        with pytest.raises(ts.CheckpointError, match="TS6001.*empty has no complete checkpoint"):
            call(tmp_path / "empty")
        with pytest.raises(ts.CheckpointError, match="TS6001.*no checkpoint of step 7\n  valid: 5, 6"):
            call(tmp_path / "run", step=7)
    with pytest.raises(ts.CheckpointError, match="is step 5\n  expected: step 6"):
        ck.load(tmp_path / "run" / "step-00000005", step=6)
    shutil.rmtree(tmp_path / "run" / "step-00000006")
    assert ck.load(tmp_path / "run").step == 5


def test_missing_names_lead_here():
    with pytest.raises(AttributeError, match="did you mean ts.checkpoints.latest"):
        ck.lastest
    assert "ts.remat" in ck.__doc__
