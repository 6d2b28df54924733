# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Every registered pass that meets a region op it does not know says so: which pass, and which op.

The op is `testing.region` of a dialect that only tessera-opt has, placed in a program of each stage.
"""

import os
import re
import subprocess

import pytest

TENSOR = "!tessera.mesh_tensor<4x6xf32, @mesh, [{}, {tp}]>"
REGION = '"testing.region"({0}) ({{ }}) : ({1}) -> {1}'
MESH = "dist.mesh @mesh <[tp = 2]>\n"

PROGRAMS = {
    "whole": MESH + f"""
func.func @main(%x: {TENSOR}) -> {TENSOR} {{
  %0 = {REGION.format("%x", TENSOR)}
  return %0 : {TENSOR}
}}""",
    # Inside of a loop that passes do know.
    "nested": MESH + f"""
func.func @main(%x: {TENSOR}) -> {TENSOR} {{
  %r = tessera.scan (%x) over () length 2 : ({TENSOR}) over () -> ({TENSOR}) {{
  ^bb0(%i: !tessera.mesh_tensor<i32, @mesh>, %c: {TENSOR}):
    %0 = {REGION.format("%c", TENSOR)}
    tessera.yield %0 : {TENSOR}
  }}
  return %r : {TENSOR}
}}""",
    "local": f"""
func.func @main(%x: tensor<4x3xf32>) -> tensor<4x3xf32> {{
  %0 = {REGION.format("%x", "tensor<4x3xf32>")}
  return %0 : tensor<4x3xf32>
}}""",
    "kernel": """
tile.kernel @k grid [1] inputs 1 {
^bb0(%x: memref<4xf32>, %y: memref<4xf32>):
  %c0 = arith.constant 0 : index
  %0 = tile.load %x[%c0] : memref<4xf32> -> tensor<4xf32>
  "testing.region"() ({ }) : () -> ()
  tile.store %0, %y[%c0] : tensor<4xf32>, memref<4xf32>
}""",
    "plan": MESH + """
plan.program @main on @mesh {
  "testing.region"() ({ }) : () -> ()
}""",
    "nvvm": """
gpu.module @kernels {
  llvm.func @k() {
    "testing.region"() ({ }) : () -> ()
    llvm.return
  }
}""",
}
OPTIONS = {
    "tessera-verify-stage": "stage=layouts",
    "tessera-check-equivalence": "pipeline=canonicalize",
    "tessera-interpret": "inputs=random",
}
OWN = re.compile(r"^(tessera|dist|plan|tile|convert|emulate)-")
PIPELINE = re.compile(r"^tessera-\w+-to-\w+$")


def _run(flag: str, program: str) -> subprocess.CompletedProcess:
    return subprocess.run([os.environ["TESSERA_OPT"], "-", flag], input=program, text=True,
                          capture_output=True, timeout=60)  # fmt: skip


def _registered() -> list[str]:
    tool = os.environ.get("TESSERA_OPT")
    if not tool or not os.path.exists(tool):
        return []
    text = subprocess.run([tool, "--help"], text=True, capture_output=True, check=True).stdout
    return re.findall(r"^      --([\w-]+) ", text[text.index("    Passes:") :], re.MULTILINE)


PASSES = _registered()
OURS = [name for name in PASSES if OWN.match(name) and (name in OPTIONS or not name.startswith("test-"))]


def test_there_are_passes_to_test():
    if not os.environ.get("TESSERA_OPT"):
        pytest.skip("TESSERA_OPT does not name tessera-opt")
    assert len(OURS) > 20


@pytest.mark.parametrize("name", OURS)
def test_pass_names_itself_and_the_op(name):
    option = f"={OPTIONS[name]}" if name in OPTIONS else ""
    told = []
    for stage, program in PROGRAMS.items():
        done = _run(f"--{name}{option}", program)
        assert done.returncode in (0, 1), f"{stage}: ends by a signal\n{done.stderr}"
        errors = [line for line in done.stderr.splitlines() if "error: " in line and "testing.region" in line]
        for error in errors:
            # A pipeline has the name of the pass that stopped it, and a stage is that of its verifier.
            named = PIPELINE.match(name) or re.search(rf"\b{name}\b|the passes to stage '", error)
            assert named, f"{stage}: the pass is not named\n{done.stderr}"
            told.append(stage)
    assert told, "no program with the op is refused"


@pytest.mark.parametrize("name", ["canonicalize", "cse", "loop-invariant-code-motion", "inline"])
def test_general_passes_keep_the_op(name):
    """Those of MLIR see regions by its own interfaces."""
    if name not in PASSES:
        pytest.skip("TESSERA_OPT does not name tessera-opt")
    for stage in ("whole", "nested", "local"):
        done = _run(f"--{name}", PROGRAMS[stage])
        assert done.returncode == 0 and "testing.region" in done.stdout, done.stderr
