# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The bundle for GPU machines: written, then run by its own script on devices without a GPU."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import needs_runtime

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks" / "gpu"

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


def run(bundle, device, out):
    # As on the other machine: nothing but the folder, no package of ours on the path.
    environment = {k: v for k, v in os.environ.items()
                   if k != "PYTHONPATH" and not k.startswith("TESSERA_")}
    return subprocess.run([sys.executable, bundle / "run.py", f"--device={device}", "--out", out],
                          capture_output=True, text=True, cwd=out.parent, env=environment)


@pytest.mark.parametrize("device", ["emulated", "null"])
def test_every_program_is_right(bundle, device, tmp_path):
    done = run(bundle, device, tmp_path / "out")
    assert done.returncode == 0, done.stdout + done.stderr
    rows = json.loads((tmp_path / "out" / "results.json").read_text())["programs"]
    assert len(rows) >= 29 and all(row["ok"] for row in rows.values())


def test_a_wrong_result_is_found(bundle, tmp_path):
    manifest = bundle / "bundle.json"
    text = manifest.read_text()
    try:
        # The expected result of another program of the same shape.
        manifest.write_text(text.replace("broadcast_select.in0", "broadcast_select.in1"))
        done = run(bundle, "emulated", tmp_path / "out")
    finally:
        manifest.write_text(text)
    assert done.returncode == 1
    assert "1 wrong: broadcast_select" in done.stdout


def test_a_machine_without_a_gpu_says_what_is_missing(bundle, tmp_path):
    done = run(bundle, "cuda", tmp_path / "out")
    if done.returncode == 0:
        pytest.skip("there is a GPU")
    assert done.returncode == 2
    assert "device cuda cannot be used" in done.stderr
