# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The files and commands of docs/training.md work, and so does the demo."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import needs_runtime

import tessera as ts
from tessera.demo import train as demo

ROOT = Path(__file__).parents[3]
pytestmark = needs_runtime
for library in ("yaml", "matplotlib"):
    pytest.importorskip(library, reason="the page's files need it")


def blocks(language):
    page = (ROOT / "docs/training.md").read_text()
    return re.findall(rf"^```{language}\n(.*?)^```$", page, flags=re.M | re.S)


def run(command, folder):
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True,
                          env=dict(os.environ), timeout=300)
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


def test_the_page(tmp_path):
    (tmp_path / "texts").mkdir()
    text = (ROOT / "LICENSE").read_text()
    (tmp_path / "texts/one.txt").write_text(text)
    for number, part in enumerate(text.split("\n\n")[:20]):
        (tmp_path / f"texts/part{number}.txt").write_text(part)
    (tmp_path / "train.yaml").write_text(blocks("yaml")[0])
    for line in blocks("sh")[0].splitlines():
        words = line.partition("#")[0].split()
        run([sys.executable, "-m", *words, "monitor.mfu=false"], tmp_path)
    records = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    losses = [record["loss"] for record in records if record["event"] == "step"]
    assert len(losses) == 40 and losses[-1] < losses[0] - 1
    assert ts.checkpoints.latest(tmp_path / "run") == 40 and (tmp_path / "run/loss.png").stat().st_size > 1000
    for line in blocks("sh")[1].splitlines():
        said = run([sys.executable, "-m", *shlex.split(line, comments=True)], tmp_path)
    assert len(said) > 1 and said.endswith("\n")  # After so few steps, spaces perhaps.
    (tmp_path / "program.py").write_text(blocks("python")[0])
    assert run([sys.executable, "program.py"], tmp_path) == blocks("text")[0]


def test_the_demo(tmp_path, capsys):
    small = ["train.steps=2", "optim.warmup=0",
             "model.config={n_embd: 16, n_head: 2, n_layer: 1, n_positions: 128}",
             "train.eval_batches=1", "train.sample_tokens=5", "monitor.mfu=false"]
    assert demo.main(["--folder", str(tmp_path), *small]) == 0
    said = capsys.readouterr().out
    assert "The " in said and "loss.png" in said
    assert {"step-00000002", "metrics.jsonl", "loss.png", "config.yaml"} <= set(os.listdir(tmp_path / "run"))
    assert sum(path.stat().st_size for path in (tmp_path / "texts").iterdir()) > 300_000
