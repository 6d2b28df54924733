# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""python -m tessera.compile, which tessera-compile runs for module.py:function."""

import pytest

from conftest import needs_compiler
from tessera._src.tools.command import main

PROGRAM = '''
import tessera as ts

@ts.jit(mesh=ts.make_mesh({"tp": 2}))
def good(x: ts.MeshTensor["B", 6, ts.f32, ts.P(None, "tp")], w: ts.MeshTensor[6, 8]):
    return ts.gelu(x @ w)

@ts.jit
def misfit(x: ts.MeshTensor["B", 6], w: ts.MeshTensor[7, 8]):
    return x @ w

@ts.jit
def bare(x):
    return x

plain = len
'''


@pytest.fixture
def program(tmp_path):
    path = tmp_path / "program.py"
    path.write_text(PROGRAM)
    return path


@needs_compiler
def test_stages_reports_and_dumps_are_written(program, tmp_path, capsysbinary):
    where = f"{program}:good"
    folder, report = tmp_path / "stages", tmp_path / "report.json"
    assert main([where, "--shapes", "B=4", "--emit=local", "--dump-stages", str(folder),
                 "--report", str(report)]) == 0
    assert b"dist.all_reduce" in capsysbinary.readouterr().out
    assert "all_reduce" in report.read_text()
    assert {p.stem for p in folder.iterdir()} >= {"tessera", "layouts", "local", "kernels", "plan"}


@needs_compiler
def test_an_output_leaves_no_temporary_file_beside_it(program, tmp_path):
    output = tmp_path / "plan.mlir"
    assert main([f"{program}:good", "--shapes", "B=4", "--target=cuda:sm_80", "--emit=plan",
                 "-o", str(output)]) == 0
    assert "plan.program @main" in output.read_text() and not list(tmp_path.glob(".*"))


@needs_compiler
def test_a_named_cpu_goes_through_the_stages_of_the_cpu(program, tmp_path):
    folder = tmp_path / "stages"
    assert main([f"{program}:good", "--shapes", "B=4", "--target=cpu:x86-64-v3", "--emit=plan",
                 "-o", str(tmp_path / "plan.mlir"), "--dump-stages", str(folder)]) == 0
    assert "llvm.func" in (folder / "llvm.mlir").read_text()
    assert not (folder / "nvvm.mlir").exists()


@needs_compiler
def test_an_artefact_does_not_depend_on_the_jobs_that_made_it(program, tmp_path):
    outputs = [tmp_path / f"{jobs}.tsa" for jobs in (1, 3)]
    for jobs, output in zip((1, 3), outputs):
        assert main([f"{program}:good", "--shapes", "B=4", f"--jobs={jobs}", "-o", str(output)]) == 0
    assert outputs[0].read_bytes() == outputs[1].read_bytes()


@needs_compiler
@pytest.mark.parametrize("target", ["cpu", "cuda:sm_80", "cuda:sm_90a", "cuda:sm_100a", "emulated"])
def test_every_stage_of_every_target(target, program, tmp_path, capfd):
    found = {"tessera": b"tessera.contract", "layouts": b"{tp}", "reshards": b"tessera.gelu",
             "local": b"dist.all_reduce", "kernels": b"tile.kernel", "plan": b"plan.launch",
             "artefact": b"TESSERA"}
    found |= {"llvm": b"llvm.func", "object": b"\x7fELF"} if target == "cpu" else {
        "nvvm": b"nvvm.", "ptx": b".visible .entry"}
    found |= {"cubin": b"\x7fELF"} if target.startswith("cuda") else {}
    output = tmp_path / "out"
    for stage, part in found.items():
        status = main([f"{program}:good", "--shapes=B=4", f"--target={target}", f"--emit={stage}",
                       "-o", str(output)])
        shown = capfd.readouterr().err
        if "ptxas not found" in shown:
            continue  # tools/setup installs it.
        assert status == 0, shown
        assert part in output.read_bytes(), stage
        output.unlink()


@pytest.mark.parametrize("arguments, said", [
    (["{0}:good"], ["sizes of 'B'", "--shapes", "program.py:4"]),
    (["{0}:good", "--shapes", "B"], ["NAME=SIZE"]),
    (["{0}:good", "--shapes", "B=0"], ["dimension 'B' of good has size 0", "at least 1", "zero-size"]),
    (["{0}:good", "--shapes", "C=4"], ["'C=4' sizes no dimension", "valid: B"]),
    (["{0}:misfit", "--shapes", "B=4"], ["TS3013", "(7, 8)", "program.py:10"]),
    (["{0}:bare"], ["no MeshTensor annotation"]),
    (["{0}:goood"], ["does not exist", "did you mean 'good'?"]),
    (["{0}:plain"], ["is not decorated with ts.jit", "good, misfit, bare"]),
    (["{0}"], ["module.py:function"]),
    (["{0}.no:f"], ["does not exist"]),
    (["{0}:good", "--target", "tpu"], ["unknown target 'tpu'", "cuda:sm_90a"]),
    (["{0}:good", "--emit", "asm"], ["unknown stage 'asm'", "kernels"]),
    (["{0}:good", "--shapes", "B=4", "--forbid-implicit", "reduce"], ["not a collective", "all_reduce"]),
])
def test_errors_name_the_place_and_the_choices(arguments, said, program, capsys):
    assert main([a.format(program) for a in arguments]) == 1
    text = capsys.readouterr().err
    assert text.startswith("error: ")
    for part in said:
        assert part in text, text


@needs_compiler
def test_forbidden_collectives_are_named_with_the_users_line(program, capsys):
    assert main([f"{program}:good", "--shapes", "B=4", "--emit=local",
                 "--forbid-implicit=all_reduce"]) == 1
    assert "program.py:6" in capsys.readouterr().err


@needs_compiler
def test_unwritable_outputs_leave_nothing(program, tmp_path, capsys):
    before = sorted(tmp_path.rglob("*"))
    for output in (tmp_path / "no" / "f", tmp_path):
        assert main([f"{program}:good", "--shapes", "B=4", "--emit=local", "-o", str(output)]) == 1
        assert str(output) in capsys.readouterr().err
    assert [p for p in sorted(tmp_path.rglob("*")) if "__pycache__" not in str(p)] == before


@pytest.mark.parametrize("text, said", [
    ("def f(:\n", ["SyntaxError", "broken.py:1"]), ("x = 1\nimport nothere\n", ["nothere", "broken.py:2"]),
    ("x = 1 / 0\n", ["ZeroDivisionError", "broken.py:1"]),
])
def test_files_that_do_not_import(text, said, tmp_path, capsys):
    path = tmp_path / "broken.py"
    path.write_text(text)
    assert main([f"{path}:f"]) == 1
    shown = capsys.readouterr().err
    for part in ("does not import", *said):
        assert part in shown


def test_a_terminal_gets_no_binary(program, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    assert main([f"{program}:good", "--shapes", "B=4"]) == 1
    assert "-o" in capsys.readouterr().err
