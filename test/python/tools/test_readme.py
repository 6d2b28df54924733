# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The README's programs print what the README says, and its commands work."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
README = (ROOT / "README.md").read_text()


def block(language: str, containing: str) -> str:
    """The README's code block in `language` with these words."""
    blocks = re.findall(rf"^```{language}\n(.*?)^```$", README, flags=re.M | re.S)
    found = [text for text in blocks if containing in text]
    assert len(found) == 1, f"{len(found)} {language} blocks contain {containing!r}"
    return found[0]


@pytest.mark.parametrize("name, program, printed", [
    ("example.py", "def mlp", "Mesh(tp=2)"), ("training.py", "def step", "step 0")])
def test_the_programs_print_what_the_readme_says(tmp_path, name, program, printed):
    (tmp_path / name).write_text(block("python", program))
    done = subprocess.run([sys.executable, name], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == block("text", printed)


def test_the_commands_of_the_tools_work(tmp_path):
    if "TESSERA_OPT" not in os.environ:
        pytest.skip("TESSERA_OPT, which names the tools' folder, is not set")
    bin_folder = Path(os.environ["TESSERA_OPT"]).parent
    script = block("sh", "tessera-opt example.mlir").split("\n", 1)
    assert script[0].startswith("export PATH=")
    environment = {**os.environ, "PATH": f"{bin_folder}:{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-euc", script[1]], cwd=tmp_path, env=environment,
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "tessera.reshard" in done.stdout and "dist.all_reduce" in done.stdout
    assert (tmp_path / "y0.npy").stat().st_size > 4 * 4 * 10
    assert ".visible .entry" in (tmp_path / "example.ptx").read_text()
