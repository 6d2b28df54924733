# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What `f.lower(...)` gives makes each stage once, whatever it is asked and in which order."""

from collections import Counter

import numpy as np
import pytest

import tessera as ts
from tessera._src.core.errors import CompileError
from tessera._src.programs import native, targets

MESH = ts.make_mesh({"tp": 2})
X, W = np.ones((4, 6), np.float32), np.ones((6, 10), np.float32)
TEXT = "func.func @main() {\n  return\n}\n"


@ts.jit(mesh=MESH, in_shardings=(ts.P(None, "tp"), None))
def product(x, w):
    return ts.tanh(x @ w)


@pytest.fixture
def lowered(monkeypatch):
    monkeypatch.setenv("TESSERA_CACHE", "0")
    return product.lower(X, W)


def stages_of(report):
    return Counter(entry["stage"] for entry in report["timings"])


@pytest.mark.quick
def test_reports_texts_and_the_program_share_their_stages(lowered):
    assert len(lowered.collectives()) == 1
    assert "all_reduce" in lowered.explain()
    assert "dist.all_reduce" in lowered.as_text("local")
    assert "tessera.reshard" in lowered.as_text("reshards")
    compiled = lowered.compile()
    np.testing.assert_allclose(np.asarray(compiled(X, W)), np.tanh(X @ W), rtol=1e-6)
    made = stages_of(compiled.report)
    assert made == dict.fromkeys(
        ["parse", "layouts", "reshards", "local", "kernels", "plan", "llvm", "object"], 1)


def test_earlier_stages_are_still_there_after_compiling(lowered):
    lowered.collectives()
    lowered.compile()
    assert "mesh_tensor" in lowered.as_text("layouts")
    np.testing.assert_allclose(np.asarray(lowered.interpret(X, W, stage="local")), np.tanh(X @ W), rtol=1e-6)
    assert set(stages_of(lowered._report("plan")).values()) == {1}


def test_a_compilation_that_keeps_no_stages_begins_anew_each_time(lowered):
    compilation = native.Compilation(lowered.program.text, keeps_stages=False)
    out = np.zeros((4, 10), np.float32)
    for emitted, stage in (("local", "tessera"), ("artefact", "layouts"), ("local", "local")):
        assert compilation.emit(emitted)[0]
        compilation.interpret(stage, [X, W], [out])
        np.testing.assert_allclose(out, np.tanh(X @ W), rtol=1e-6)


def test_stages_are_kept_only_for_further_questions(lowered):
    lowered.compile()
    assert lowered._compilation is None
    lowered.collectives()
    assert lowered._compilation is not None


def test_an_error_of_one_stage_leaves_the_others(lowered):
    with pytest.raises(CompileError, match="unknown stage 'nonsense'"):
        lowered._compiler.emit("nonsense")
    with pytest.raises(CompileError, match="belongs to targets such as cuda"):
        lowered._compiler.emit("ptx")
    assert "tile.kernel" in lowered.as_text("kernels")


def test_a_program_that_does_not_parse_says_so_each_time():
    compilation = native.Compilation("func.func @main(")
    for _ in range(2):
        with pytest.raises(CompileError, match="expected"):
            compilation.emit("local")


def test_options_are_checked():
    with pytest.raises(CompileError, match="jobs is -1; expected 0"):
        native.Compilation(TEXT, jobs=-1).emit("local")
    with pytest.raises(CompileError, match="unknown target 'tpu'"):
        native.Compilation(TEXT, target="tpu").emit("local")


def test_python_lists_the_collectives_of_the_compiler():
    with pytest.raises(CompileError) as caught:
        native.Compilation(TEXT, forbidImplicit=["nonsense"]).emit("local")
    assert f"collectives are {', '.join(targets.COLLECTIVES)}" in str(caught.value)
