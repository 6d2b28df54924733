# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Bad input to tessera-compile: an error at the user's line before compiling, and nothing written.

The same errors of the Python package, by their codes, are in test_errors.py.
"""

import os
import subprocess
import sys

import numpy as np
import pytest

import tessera as ts
from conftest import needs_compiler, needs_runtime

HEAD = '''import numpy as np
import tessera as ts
from tessera.models.encoder import Encoder

TWO = ts.make_mesh({"tp": 2})
'''
PLAIN = "@ts.jit(mesh=TWO)\ndef f(x: ts.MeshTensor[4, 6]):\n    return ts.gelu(x)\n"

# What a user may write under HEAD -> what the error says. The line marked with "# here" is shown.
PROGRAMS = {
    "unknown axis": (
        '@ts.jit(mesh=TWO)\ndef f(x: ts.MeshTensor[4, 6]):\n'
        '    return ts.with_sharding_constraint(x, ts.P("dp"))  # here\n',
        ["no axis 'dp'", "layout P('dp')", "'tp' (size 2)"]),
    "unknown axis of an argument": (
        '@ts.jit(mesh=TWO)\ndef f(x: ts.MeshTensor[4, 6, ts.P("pt")]):\n    return x\n',
        ["no axis 'pt'", "argument 'x'", "did you mean 'tp'?"]),
    "axis without a mesh": (
        '@ts.jit\ndef f(x: ts.MeshTensor[4, 6]):\n'
        '    return ts.with_sharding_constraint(x, ts.P("tp"))  # here\n',
        ["no axis 'tp'", "pass mesh=..."]),
    "reused axis": (
        '@ts.jit(mesh=TWO)\ndef f(x: ts.MeshTensor[4, 6, ts.P("tp", "tp")]):  # here\n    return x\n',
        ["axis 'tp' is used twice: by dimension 0 and by dimension 1", "at most once"]),
    "more devices than there are": (
        'f = ts.jit(lambda x: x, mesh=ts.make_mesh({"dp": 300, "tp": 2}, device="cpu"))  # here\n',
        ["needs 600 devices, but there are 256", "at most 256"]),
    "malformed mesh": (
        'f = ts.jit(lambda x: x, mesh=ts.make_mesh({"dp": 0}))  # here\n',
        ["axis 'dp' has size 0", "at least 1"]),
    "a mesh that is made without make_mesh": (
        'f = ts.jit(lambda x: x, mesh=ts.Mesh((4, 2), ("dp", "tp")))  # here\n',
        ["is no mesh", "pairs of names and sizes", "ts.make_mesh"]),
    "a mesh of axes and sizes that is made without make_mesh": (
        'f = ts.jit(lambda x: x, mesh=ts.Mesh({"dp": 4, "tp": 2}))  # here\n',
        ["is no mesh", "pairs of names and sizes", "ts.make_mesh"]),
    "named dimensions that do not unify": (
        '@ts.jit\ndef f(x: ts.MeshTensor[3, 6]) -> ts.MeshTensor["B", "B"]:\n    return x\n',
        ["'B' does not unify", "3 (dimension 0 of the result)", "6 (dimension 1 of the result)"]),
    "sizes that do not fit": (
        '@ts.jit\ndef f(x: ts.MeshTensor[4, 6], w: ts.MeshTensor[5, 7]):\n    return x @ w  # here\n',
        ["6 of x (4, 6) and 5 of w (5, 7)", "6 (last of the left)", "5 (last but one of the right)"]),
    "heads that do not divide": (
        'ts.nn.check_heads(12, ts.make_mesh({"tp": 8})["tp"])  # here\nf = None\n',
        ["num_heads=12 is not divisible by axis 'tp'=8", "1, 2, 3, 4, 6, 12"]),
    "condition on data": (
        "@ts.jit\ndef f(x: ts.MeshTensor[4, 6]):\n"
        "    if x.sum() > 0:  # here\n        return x\n    return -x\n",
        ["a Python condition", "ts.where", "static_argnums"]),
    "missing model": (
        'encoder = Encoder.from_pretrained("nowhere")  # here\nf = None\n',
        ["nowhere/config.json cannot be read: No such file"]),
    "syntax": ("def f(:  # here\n", ["SyntaxError"]),
}
# Options that are wrong for PLAIN -> what the error says.
OPTIONS = {
    "unknown target": (["--target=cuda:sm_91"], ["unknown target 'cuda:sm_91'", "cuda:sm_90a"]),
    "unknown chip to emulate": (["--target=emulated:sm_1"], ["'emulated:sm_1'", "emulated:sm_90a"]),
    "unknown CPU": (["--target=cpu:pentium-9"], ["unknown CPU 'pentium-9'", "x86-64-v3"]),
    "unknown stage": (["--emit=asm"], ["unknown stage 'asm'", "kernels"]),
    "stage of another target": (["--emit=ptx"], ["target 'cpu' has no stage 'ptx'", "llvm"]),
    "unknown dimension": (["--shapes=B=2"], ["'B=2' sizes no dimension"]),
    "unknown collective": (["--forbid-implicit=all_gahter"], ["'all_gahter'", "did you mean 'all_gather'?"]),
}
MODULES = {
    "text": ("dist.mesh @mesh <[tp = 2]\n", ["bad.mlir:1", "expected '>'"]),
    "unknown op": ("func.func @main() {\n  tessera.nothing\n  return\n}\n",
                   ["bad.mlir:2", "tessera.nothing"]),
    "types": (
        'dist.mesh @mesh <[tp = 2]>\nfunc.func @main(%x: !tessera.mesh_tensor<4x6xf32, @mesh>) {\n'
        '  %0 = tessera.reduce sum %x dims [2] : !tessera.mesh_tensor<4x6xf32, @mesh> -> '
        '!tessera.mesh_tensor<4xf32, @mesh>\n  return\n}\n', ["bad.mlir:3", "dim"]),
    "no program": ("module {}\n", ["no function @main"]),
    "nothing": ("", ["no function @main"]),
    "binary": ("\x00\x01\x02", ["bad.mlir:1"]),
}


@pytest.fixture
def compile_file(tool_folder, tmp_path):
    """Runs tessera-compile; gives its exit status and what it says, after a look at the outputs."""

    def run(program, *options, environment=None):
        outputs = {name: tmp_path / name for name in ("new.tsa", "old.tsa", "report.json")}
        outputs["old.tsa"].write_text("old")
        for output in (outputs["new.tsa"], outputs["old.tsa"]):
            done = subprocess.run(
                [os.path.join(tool_folder, "tessera-compile"), program, f"--python={sys.executable}",
                 *options, "-o", output, f"--report={outputs['report.json']}"],
                capture_output=True, text=True, cwd=tmp_path, timeout=60, errors="replace",
                env={**os.environ, **(environment or {})})
        if done.returncode:
            assert not outputs["new.tsa"].exists() and not outputs["report.json"].exists()
            assert outputs["old.tsa"].read_text() == "old"
            assert not list(tmp_path.glob(".*tmp*")) + list(tmp_path.glob("*.tmp*"))
        return done.returncode, done.stdout + done.stderr

    return run


def expect(found, *said):
    status, text = found
    assert status == 1, text
    for part in said:
        assert part in text, text
    # The package's own frames are of no use to a user.
    assert "Traceback" not in text and "/_src/" not in text, text


@needs_compiler
@pytest.mark.parametrize("name", PROGRAMS)
def test_programs_are_refused_at_the_users_line(name, compile_file, tmp_path):
    body, said = PROGRAMS[name]
    (tmp_path / "program.py").write_text(HEAD + body)
    if "# here" in body:
        line = (HEAD + body).split("# here")[0].count("\n") + 1
        said = [*said, f"program.py:{line}"]
    expect(compile_file("program.py:f"), *said)


@needs_compiler
@pytest.mark.parametrize("name", OPTIONS)
def test_options_are_refused_with_the_valid_choices(name, compile_file, tmp_path):
    options, said = OPTIONS[name]
    (tmp_path / "program.py").write_text(HEAD + PLAIN)
    expect(compile_file("program.py:f", *options), *said)


@needs_compiler
@pytest.mark.parametrize("name", MODULES)
def test_malformed_modules_are_refused_at_their_line(name, compile_file, tmp_path):
    text, said = MODULES[name]
    (tmp_path / "bad.mlir").write_text(text)
    expect(compile_file("bad.mlir"), *said)


@needs_compiler
def test_without_ptxas_the_error_says_how_to_get_it_and_the_cpu_still_works(compile_file, tmp_path):
    (tmp_path / "program.py").write_text(HEAD + PLAIN)
    absent = {"TESSERA_PTXAS": str(tmp_path / "ptxas"), "PATH": "/usr/bin:/bin"}
    for emit in ("artefact", "cubin"):
        expect(compile_file("program.py:f", "--target=cuda:sm_90a", f"--emit={emit}",
                            environment=absent),
               "ptxas not found", str(tmp_path / "ptxas"), "nvidia-cuda-nvcc", "TESSERA_PTXAS",
               "the cpu target works without it")
    status, text = compile_file("program.py:f", "--target=cpu", environment=absent)
    assert status == 0, text
    status, text = compile_file("program.py:f", "--target=cuda:sm_90a", "--emit=ptx", environment=absent)
    assert status == 0, text


@needs_runtime
def test_without_ptxas_jit_says_so_at_the_users_line_and_the_cpu_still_works(tmp_path, monkeypatch):
    monkeypatch.setenv("TESSERA_PTXAS", str(tmp_path / "ptxas"))
    x = np.ones((4, 6), np.float32)
    lowered = ts.jit(lambda x: x + 1, target="cuda:sm_90a").lower(x)
    with pytest.raises(ts.CompileError, match="ptxas not found") as caught:
        lowered.compile()
    assert caught.value.location.file == __file__
    np.testing.assert_array_equal(ts.jit(lambda x: x + 1)(x), x + 1)
    np.testing.assert_array_equal(ts.jit(lambda x: x + 1, device="emulated")(x), x + 1)


def test_a_python_without_numpy_says_which_one_has_it():
    done = subprocess.run([sys.executable, "-S", "-m", "tessera.compile", "program.py:f"],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert "tessera needs the package" in last and sys.executable in last and "--python=" in last


@needs_runtime
@pytest.mark.parametrize("spoil, said", [
    (lambda data: data[:40], "damaged"),
    (lambda data: data[:-3], "damaged"),
    (lambda data: b"", "not a Tessera artefact"),
    (lambda data: b"PK" + data[2:], "not a Tessera artefact"),
    (lambda data: data[:-1] + bytes([data[-1] ^ 1]), "damaged"),
    (lambda data: data[:8] + (99).to_bytes(4, "little") + data[12:], "version 99, this runtime reads"),
], ids=["cut", "cut at the end", "empty", "another file", "a flipped bit", "newer"])
def test_artefacts_that_are_damaged_or_newer_are_refused(spoil, said, tool_folder, tmp_path):
    path = tmp_path / "f.tsa"
    ts.jit(lambda x: x + 1).lower(np.ones(3, np.float32)).compile().save(path)
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(ts.CheckpointError) as caught:
        ts.load_artefact(path)
    assert said in str(caught.value) and "f.tsa" in str(caught.value), str(caught.value)
    assert caught.value.location.file == __file__
    done = subprocess.run([os.path.join(tool_folder, "tessera-run"), path, f"--outputs={tmp_path}/y"],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and said in done.stderr and "f.tsa" in done.stderr, done.stderr
    assert not list(tmp_path.glob("y*"))
