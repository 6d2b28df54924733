# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The commands of docs/debugging.md work, as do the programs on other pages."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[3]


def blocks(language: str, page: str = "docs/debugging.md") -> list[str]:
    """The page's code blocks in `language`."""
    return re.findall(rf"^```{language}\n(.*?)^```$", (ROOT / page).read_text(), flags=re.M | re.S)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Runs shell commands beside the page's program, with the tools on the PATH."""
    if "TESSERA_OPT" not in os.environ:
        pytest.skip("TESSERA_OPT, which names the tools' folder, is not set")
    folder = tmp_path_factory.mktemp("documents")
    (program,) = blocks("mlir")
    (folder / "program.mlir").write_text(program)
    path = f"{Path(os.environ['TESSERA_OPT']).parent}:{os.environ['PATH']}"

    def run(commands: str) -> str:
        done = subprocess.run(["bash", "-euc", commands], cwd=folder, capture_output=True, text=True,
                              env={**os.environ, "PATH": path}, timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def numbers(text: str) -> np.ndarray:
    return np.array([float(word) for word in re.findall(r"-?\d+\.\d+(?:e-?\d+)?", text)])


def test_the_commands_of_the_page_on_debugging_work(run):
    looked, passes, wrong, devices, _, kernel, timed = map(run, blocks("sh"))
    assert "plan.program @main" in looked
    assert "tessera.reshard" in passes
    whole, local, _ = re.findall(r"^@main result 0: 4x10xf32 = (.*)$", wrong, flags=re.M) + [""]
    np.testing.assert_allclose(numbers(local), numbers(whole), atol=1e-6)
    emulated, cpu = re.findall(r"^output 0: \[(.*?)\]", devices, flags=re.M)
    np.testing.assert_allclose(numbers(emulated), numbers(cpu), atol=1e-6)
    assert "llvm.func" in kernel and "nvvm.kernel" in kernel and ".visible .entry" in kernel
    assert "20 runs" in timed


@pytest.mark.parametrize("dialect", ["Dist", "Plan", "Tessera", "Tile"])
def test_the_program_on_the_page_of_a_dialect_is_valid(dialect, run, tmp_path):
    programs = blocks("mlir", f"dialects/{dialect}/README.md")
    assert programs
    for program in programs:
        (tmp_path / "program.mlir").write_text(program)
        run(f"tessera-opt {tmp_path}/program.mlir")


def test_the_programs_of_the_page_on_models_print_what_it_says(tmp_path):
    (tmp_path / "program.py").write_text("\n".join(blocks("python", "docs/models.md")))
    done = subprocess.run([sys.executable, "program.py"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "".join(blocks("text", "docs/models.md"))
