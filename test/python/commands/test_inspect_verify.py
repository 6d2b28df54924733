# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""tessera inspect and tessera verify: what is in a checkpoint, and whether it is whole."""

import json

import numpy as np
import pytest
from command_process import tessera
import safetensors.numpy
from conftest import needs_runtime

import tessera as ts

pytestmark = needs_runtime
METADATA = {"loader": {"samples": 1234, "seed": 7}, "config": {"model": "tiny"}}


@pytest.fixture
def checkpoints(tmp_path):
    """Two steps of a small state."""
    def tree(step):
        layers = {f"layers.{i}": {"w": np.full((3, 5), i + step, np.float32), "b": np.zeros(5, np.float32)}
                  for i in range(4)}
        return {"weights": layers, "optimizer": {"m": layers, "count": step}}

    for step in (100, 200):
        ts.checkpoints.save(tmp_path / "run", tree(step), step, metadata=METADATA)
    return tmp_path / "run"


def damage(folder, step=200, place=-3):
    """Flips a bit of a tensor's elements."""
    file, = (folder / f"step-{step:08d}").glob("part-*.safetensors")
    data = bytearray(file.read_bytes())
    data[place] ^= 4
    file.write_bytes(data)
    return file


@pytest.mark.quick
def test_inspect_groups_tensors(checkpoints):
    done = tessera("inspect", checkpoints)
    assert done.returncode == 0 and not done.stderr, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].endswith("step-00000200: step 200, 17 tensors, 161 elements, 648 bytes in 1 file")
    assert "other steps: 100" in lines
    rows = [line.split() for line in lines]
    assert ["weights.layers.*.w", "4", "F32[3,", "5]", "240"] in rows
    assert ["optimizer.count", "1", "I64[]", "8"] in rows
    assert ["weights", "8", "80", "320"] in rows and ["optimizer", "9", "81", "328"] in rows
    assert "  loader.samples: 1234" in lines and "  config.model: 'tiny'" in lines


def test_inspect_a_step_in_full(checkpoints):
    for words in ((checkpoints, "--step", 100), (checkpoints / "step-00000100",)):
        done = tessera("inspect", *words, "--all")
        assert "step 100, 17 tensors" in done.stdout and done.returncode == 0
        assert "weights.layers.3.w" in done.stdout and "*" not in done.stdout


def test_inspect_as_json(checkpoints):
    found = json.loads(tessera("inspect", checkpoints, "--json").stdout)
    assert found["step"] == 200 and found["other_steps"] == [100] and found["metadata"] == METADATA
    assert found["tensors"]["weights.layers.2.w"] == {
        "shape": [3, 5], "dtype": "F32", "bytes": 60, "files": list(found["files"])}
    assert sum(t["bytes"] for t in found["tensors"].values()) == found["bytes"] == 648


def test_inspect_a_model(tmp_path):
    safetensors.numpy.save_file({"h.0.w": np.ones((2, 3), np.float16), "h.1.w": np.ones((2, 3), np.float16)},
                                tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text('{"model_type": "gpt2", "n_layer": 2}')
    done = tessera("inspect", tmp_path)
    assert "2 tensors, 12 elements, 24 bytes in 1 file" in done.stdout
    assert ["h.*.w", "2", "F16[2,", "3]", "24"] in [line.split() for line in done.stdout.splitlines()]
    assert "config.json:\n  model_type: 'gpt2'\n  n_layer: 2" in done.stdout
    assert "2 tensors" in tessera("inspect", tmp_path / "model.safetensors").stdout


@pytest.mark.parametrize("command", ["inspect", "verify"])
def test_what_is_no_checkpoint(tmp_path, command):
    for path, said in ((tmp_path / "missing", "does not exist"), (tmp_path, str(tmp_path))):
        done = tessera(command, path)
        assert done.returncode == 1 and not done.stdout
        assert "[TS6001]" in done.stderr and said in done.stderr and "expected:" in done.stderr
        assert "Traceback" not in done.stderr and "\n  at " not in done.stderr


def test_inspect_damage(checkpoints, tmp_path):
    done = tessera("inspect", checkpoints, "--step", 300)
    assert done.returncode == 1 and "no checkpoint of step 300" in done.stderr and "100, 200" in done.stderr
    (tmp_path / "weights.safetensors").write_bytes(b"not at all")
    done = tessera("inspect", tmp_path / "weights.safetensors")
    assert done.returncode == 1 and "[TS6002]" in done.stderr and "is damaged" in done.stderr


def test_verify_finds_nothing_in_what_is_whole(checkpoints):
    done = tessera("verify", checkpoints)
    assert done.returncode == 0 and done.stdout == "no problems: steps 100, 200, 34 tensors, 1,296 bytes\n"
    assert "steps 100, " not in tessera("verify", checkpoints, "--step", 200).stdout
    assert json.loads(tessera("verify", checkpoints, "--json").stdout) == {"problems": []}


def test_verify_names_file_and_tensor(checkpoints):
    file = damage(checkpoints)
    done = tessera("verify", checkpoints)
    assert done.returncode == 1
    first, last = done.stdout.splitlines()[0], done.stdout.splitlines()[-1]
    assert first.startswith(f"{file}, tensor 'weights.layers.3.w': ")
    assert last.startswith("1 problem in 1 file")
    problem, = json.loads(tessera("verify", checkpoints, "--json").stdout)["problems"]
    assert problem["file"] == str(file) and problem["tensor"] == "weights.layers.3.w"
    assert tessera("verify", checkpoints, "--step", 100).returncode == 0


def test_verify_finds_missing_files_and_broken_indices(checkpoints):
    part, = (checkpoints / "step-00000100").glob("part-*")
    part.unlink()
    index = checkpoints / "step-00000200" / "index.json"
    index.write_bytes(index.read_bytes().replace(b"1234", b"1235"))
    done = tessera("verify", checkpoints)
    assert done.returncode == 1 and "does not exist" in done.stdout and "index.json" in done.stdout
    assert "in 2 files" in done.stdout.splitlines()[-1]
