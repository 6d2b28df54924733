# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The bundle for GPU machines: written, then run by its own script on devices without a GPU."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import needs_runtime
from tessera._src.meshes.devices import cuda_device_count

FOLDER = Path(__file__).resolve().parents[3] / "benchmarks" / "gpu"

pytestmark = needs_runtime


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gpu") / "bundle"
    made = subprocess.run([sys.executable, FOLDER / "make_bundle.py", "--small", "--out", folder],
                          capture_output=True, text=True)
    if "ptxas not found" in made.stderr:
        pytest.skip("ptxas is not installed")
    assert made.returncode == 0, made.stderr
    return folder


def run(bundle, device, out, *more):
    # As on the other machine: nothing but the folder, no package of ours on the path.
    environment = {k: v for k, v in os.environ.items()
                   if k != "PYTHONPATH" and not k.startswith("TESSERA_")}
    return subprocess.run([sys.executable, bundle / "run.py", f"--device={device}", "--out", out,
                           *more], capture_output=True, text=True, cwd=out.parent, env=environment)


def results(out):
    return json.loads((out / "results.json").read_text())


@pytest.mark.parametrize("device", ["emulated", "null"])
def test_every_program_is_right(bundle, device, tmp_path):
    done = run(bundle, device, tmp_path / "out", "--no-times")
    assert done.returncode == 0, done.stdout + done.stderr
    rows = results(tmp_path / "out")["programs"]
    assert len(rows) >= 30 and all(row["ok"] for row in rows.values())


def test_times_are_taken_and_what_was_not_run_says_why(bundle, tmp_path):
    pytest.importorskip("torch")
    done = run(bundle, "emulated", tmp_path / "out", "--only=launch")
    assert done.returncode == 0, done.stdout + done.stderr
    row = results(tmp_path / "out")["programs"]["launch"]
    assert row["ok"] and row["error"] == 0 and row["ms"] > 0 and row["torch_ms"] > 0
    done = run(bundle, "null", tmp_path / "out", "--only=encoder_tiny")
    assert done.returncode == 0, done.stdout + done.stderr
    found = results(tmp_path / "out")
    assert found["programs"]["encoder_tiny"]["steps_us"]
    assert ["compiled", "encoder_tiny", "torch.compile is timed on a GPU alone"] in found["not_run"]


def test_a_program_that_fails_leaves_the_others_alone(bundle, tmp_path):
    broken = bundle / "artefacts" / "sum_rows.emulated.tsr"
    good = broken.read_bytes()
    try:
        broken.write_bytes(good[:-1])
        done = run(bundle, "emulated", tmp_path / "out", "--no-times", "--only=sum_")
    finally:
        broken.write_bytes(good)
    assert done.returncode == 1
    rows = results(tmp_path / "out")["programs"]
    assert "RuntimeError" in rows["sum_rows"]["check_failed"] and rows["sum_columns"]["ok"]
    assert "failed: check of sum_rows: RuntimeError" in done.stdout


def test_time_is_bounded_for_each_part_and_for_all(bundle, tmp_path):
    done = run(bundle, "emulated", tmp_path / "out", "--only=sum_", "--part-seconds=1e-3")
    assert done.returncode == 2 and "did not end within 0.001 s" in done.stderr
    done = run(bundle, "emulated", tmp_path / "out", "--only=sum_", "--seconds=0")
    assert done.returncode == 0
    assert ["check", "sum_rows", "the 0 s were over"] in results(tmp_path / "out")["not_run"]


def test_a_wrong_result_is_found(bundle, tmp_path):
    manifest = bundle / "bundle.json"
    text = manifest.read_text()
    try:
        # The expected result of another program of the same shape.
        manifest.write_text(text.replace("broadcast_select.in0", "broadcast_select.in1"))
        done = run(bundle, "emulated", tmp_path / "out", "--no-times", "--only=broadcast_select")
    finally:
        manifest.write_text(text)
    assert done.returncode == 1
    assert "1 wrong: broadcast_select" in done.stdout


def test_a_machine_without_a_gpu_says_what_is_missing(bundle, tmp_path):
    if cuda_device_count() > 0:
        pytest.skip("optional: there is a GPU")
    done = run(bundle, "cuda", tmp_path / "out")
    assert done.returncode == 2
    assert "device cuda cannot be used" in done.stderr
