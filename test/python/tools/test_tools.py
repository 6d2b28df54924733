# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The tools as processes: signals, closed and full outputs, and files that are not what they seem."""

import os
import signal
import subprocess
import sys
import time

import pytest

from conftest import needs_compiler

PROGRAM = """import tessera as ts

@ts.jit(mesh=ts.make_mesh({"tp": 2}))
def f(x: ts.MeshTensor["B", 6]):
    return ts.gelu(x)
"""
MODULE = """dist.mesh @mesh <[tp = 2]>
func.func @main(%x: !tessera.mesh_tensor<4x6xf32, @mesh>) -> !tessera.mesh_tensor<4x6xf32, @mesh> {
  %0 = tessera.neg %x : !tessera.mesh_tensor<4x6xf32, @mesh>
  return %0 : !tessera.mesh_tensor<4x6xf32, @mesh>
}
"""


@pytest.fixture
def tool(tool_folder, tmp_path):
    """Runs a tool in a folder of its own; gives the process that ended."""

    def run(name, *arguments, python=sys.executable, **options):
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        own = [f"--python={python}"] if name == "tessera-compile" else []
        return subprocess.run([os.path.join(tool_folder, name), *own, *map(str, arguments)], text=True,
                              cwd=tmp_path, timeout=60, errors="backslashreplace", **options)

    (tmp_path / "program.py").write_text(PROGRAM)
    (tmp_path / "program.mlir").write_text(MODULE)
    return run


@pytest.fixture(params=["program.py:f", "program.mlir"])
def program(request):
    """A program of either kind, with the options that it needs."""
    return [request.param, *(["--shapes=B=4"] if "py" in request.param else [])]


@pytest.fixture
def sleeping(tool_folder, tmp_path):
    """A tessera-compile whose module sleeps while it is imported, and the process that does."""
    (tmp_path / "slow.py").write_text(
        "import os, time\nopen('new', 'w').write(str(os.getpid()))\nos.rename('new', 'pid')\n"
        "time.sleep(60)\n")
    process = subprocess.Popen(
        [os.path.join(tool_folder, "tessera-compile"), f"--python={sys.executable}", "slow.py:f",
         "-o", "slow.tsa"], cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    end = time.monotonic() + 30
    while not (tmp_path / "pid").exists() and time.monotonic() < end:
        time.sleep(0.02)
    yield process, int((tmp_path / "pid").read_text())
    process.kill()
    process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGHUP])
def test_a_signal_to_tessera_compile_ends_the_python_that_works(number, sleeping):
    process, worker = sleeping
    process.send_signal(number)
    assert process.wait(timeout=30) == -number
    with pytest.raises(ProcessLookupError):
        os.kill(worker, 0)


def test_an_interrupt_is_one_line(sleeping):
    process, _ = sleeping
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=30)[1] == "tessera-compile: interrupted\n"
    assert process.returncode == 130


@pytest.mark.parametrize("code", ["0", "3", "", "'why'"])
def test_a_module_that_ends_python_is_no_success(code, tool, tmp_path):
    (tmp_path / "m.py").write_text(f"import sys\nsys.exit({code})\n")
    done = tool("tessera-compile", "m.py:f", "-o", "m.tsa")
    assert done.returncode == 1 and f"exit({code or None})" in done.stderr
    assert "m.py:2" in done.stderr and "__main__" in done.stderr


@needs_compiler
def test_what_a_program_prints_is_no_part_of_the_output(tool, tmp_path):
    loud = PROGRAM.replace("    r", "    print('traced')\n    r")
    (tmp_path / "m.py").write_text("print('loaded')\n" + loud)
    done = tool("tessera-compile", "m.py:f", "--shapes=B=4", "--emit=local")
    assert done.returncode == 0 and done.stderr == "loaded\ntraced\n"
    assert done.stdout.startswith("module") and "loaded" not in done.stdout


def test_a_function_that_ends_python_is_no_success(tool, tmp_path):
    (tmp_path / "m.py").write_text(PROGRAM.replace("    return", "    exit(0)\n    return"))
    done = tool("tessera-compile", "m.py:f", "--shapes=B=4", "-o", "m.tsa")
    assert done.returncode == 1 and "f ends Python while it is traced: exit(0)" in done.stderr
    assert "m.py:5" in done.stderr


@pytest.mark.parametrize("python, said", [
    ("/bin/true", "'/bin/true' is not a Python interpreter"),
    ("/nonexist", "cannot find '/nonexist'"),
    ("/etc", "cannot find '/etc'"),
    ("nopython", "cannot find 'nopython'"),
])
def test_an_interpreter_that_is_none_is_refused(python, said, tool):
    done = tool("tessera-compile", "program.py:f", "-o", "m.tsa", python=python)
    assert done.returncode == 1 and said in done.stderr and "--python" in done.stderr


def test_a_python_without_the_packages_says_so_in_one_line(tool, tmp_path):
    python = tmp_path / "bare"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S "$@"\n')
    python.chmod(0o755)
    done = tool("tessera-compile", "program.py:f", "-o", "m.tsa", python=python)
    assert done.returncode == 1
    assert done.stderr.startswith("tessera-compile: error: tessera needs the package ")
    assert done.stderr.count("\n") == 1 and "--python=" in done.stderr


@needs_compiler
@pytest.mark.parametrize("path", [None, ""])
def test_modules_in_the_current_folder_hide_none_of_pythons(path, tool, tmp_path):
    for name in ("random", "numpy", "tessera", "json"):
        (tmp_path / f"{name}.py").write_text("raise RuntimeError('the wrong module')\n")
    environment = {**os.environ, **({} if path is None else {"PYTHONPATH": path})}
    done = tool("tessera-compile", "program.py:f", "--shapes=B=4", "--emit=local", env=environment)
    assert done.returncode == 0, done.stderr
    assert "tessera.gelu" in done.stdout


@needs_compiler
def test_a_module_finds_its_neighbours_and_itself(tool, tmp_path):
    (tmp_path / "neighbour.py").write_text("ROWS = 3\n")
    (tmp_path / "program.py").write_text(
        "from __future__ import annotations\nimport dataclasses\nimport neighbour\n"
        "@dataclasses.dataclass\nclass Sizes:\n    rows: dataclasses.KW_ONLY\n    more: int = 1\n"
        + PROGRAM.replace("from __future__", "").replace('"B"', "neighbour.ROWS"))
    done = tool("tessera-compile", "program.py:f", "--emit=tessera")
    assert done.returncode == 0, done.stderr
    assert "3x6xf32" in done.stdout


@pytest.mark.parametrize("shapes, said", [
    ("B=99999999999999999999", "a size below 10**18"),
    ("B=4,B=5", "sizes 'B' twice"),
    ("B=\u00b2", "NAME=SIZE"),
])
def test_sizes_that_cannot_be_are_refused(shapes, said, tool):
    done = tool("tessera-compile", "program.py:f", f"--shapes={shapes}", "-o", "m.tsa")
    assert done.returncode == 1 and said in done.stderr and "Traceback" not in done.stderr


@needs_compiler
def test_sizes_whose_product_cannot_be_are_refused(tool):
    done = tool("tessera-compile", "program.py:f", "--shapes=B=999999999999999999", "-o", "m.tsa")
    assert done.returncode == 1 and "Traceback" not in done.stderr, done.stderr


def test_what_a_function_raises_is_shown_by_the_users_frames(tool, tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM.replace(
        "    return", "    return helper(x)\n\ndef helper(x):\n    open('absent')\n    return"))
    done = tool("tessera-compile", "program.py:f", "--shapes=B=4", "-o", "m.tsa")
    assert done.returncode == 1 and not (tmp_path / "m.tsa").exists()
    assert "line 5, in f" in done.stderr and "line 8, in helper" in done.stderr
    assert done.stderr.endswith("FileNotFoundError: [Errno 2] No such file or directory: 'absent'\n")
    assert "_src" not in done.stderr and '"<string>"' not in done.stderr


@needs_compiler
def test_a_full_output_is_an_error_that_names_it(program, tool):
    with open("/dev/full", "w") as full:
        done = tool("tessera-compile", *program, "--emit=local", stdout=full)
    assert done.returncode == 1
    assert "standard output: No space left on device" in done.stderr and done.stderr.count("\n") == 1


@needs_compiler
def test_a_pipe_without_reader_is_an_error(program, tool):
    reader, writer = os.pipe()
    os.close(reader)
    done = tool("tessera-compile", *program, "--emit=local", stdout=writer)
    os.close(writer)
    assert done.returncode == 1 and "standard output: Broken pipe" in done.stderr
    assert done.stderr.count("\n") == 1


@needs_compiler
def test_a_closed_output_is_refused_but_where_a_file_is_named(program, tool, tmp_path):
    closed = {"stdout": None, "preexec_fn": lambda: os.close(1)}
    done = tool("tessera-compile", *program, "--emit=local", **closed)
    assert done.returncode == 1 and "closed" in done.stderr and "-o" in done.stderr
    done = tool("tessera-compile", *program, "--emit=local", "-o", "out", **closed)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out").read_text().startswith("module")


def test_help_into_a_full_output_fails(tool):
    with open("/dev/full", "w") as full:
        done = tool("tessera-compile", "--help", stdout=full)
    assert done.returncode != 0 and "No space left on device" in done.stderr


@needs_compiler
@pytest.mark.parametrize("options, said", [
    (["-o", "{0}"], "-o would overwrite the program"),
    (["-o", "./link"], "-o would overwrite the program"),
    (["-o", "x.tsa", "--report={0}"], "--report would overwrite the program"),
    (["-o", "x.tsa", "--report=./x.tsa"], "--report would overwrite -o"),
    (["-o", "plan.mlir", "--dump-stages=."], "--dump-stages would overwrite -o"),
    (["--emit=local", "--report=-"], "both go to standard output"),
])
def test_no_result_is_written_over_the_program_or_another(options, said, program, tool, tmp_path):
    source = tmp_path / program[0].removesuffix(":f")
    (tmp_path / "link").symlink_to(source)
    before = sorted(tmp_path.iterdir()), source.read_text()
    done = tool("tessera-compile", *program, *(o.format(source.name) for o in options))
    assert done.returncode == 1 and said in done.stderr, done.stderr
    assert (sorted(p for p in tmp_path.iterdir() if p.name != "__pycache__"),
            source.read_text()) == before


def test_damaged_and_long_lines_are_shown_clipped_and_printable(tool, tmp_path):
    (tmp_path / "bad.mlir").write_bytes(b"\xff\x1b[31m\x00" + b"x" * 5000 + b"\n")
    done = tool("tessera-compile", "bad.mlir")
    assert done.returncode == 1 and "bad.mlir:1:" in done.stderr
    assert all(c.isprintable() or c == "\n" for c in done.stderr), done.stderr
    assert max(map(len, done.stderr.splitlines())) < 250
    (tmp_path / "bad.mlir").write_text(MODULE.replace("  %0 =", " " * 3000 + "%0 = no" + " " * 3000))
    line, caret = tool("tessera-compile", "bad.mlir").stderr.splitlines()[1:3]
    assert len(line) < 130 and line[caret.index("^"):].startswith("no "), (line, caret)


def test_pythons_excerpts_are_clipped_around_the_column(tool, tmp_path):
    (tmp_path / "program.py").write_text(
        "import tessera as ts\n\n@ts.jit\ndef f(x: ts.MeshTensor[2, 3]):\n    return ('\u00e9'"
        + " " * 3000 + ", x @ x" + " " * 3000 + ")\n")
    done = tool("tessera-compile", "program.py:f", "-o", "m.tsa")
    line, caret = done.stderr.splitlines()[-2:]
    assert len(line) < 140 and line[caret.index("^"):].startswith("x @ x"), (line, caret)


def test_an_error_without_a_place_names_the_tool(tool):
    done = tool("tessera-compile", "program.mlir", "--forbid-implicit=nothing", "-o", "x")
    assert done.returncode == 1 and done.stderr.startswith("tessera-compile: error: cannot forbid")


@needs_compiler
def test_a_ptxas_that_writes_nothing_is_an_error(program, tool, tmp_path):
    done = tool("tessera-compile", *program, "--target=cuda:sm_90a", "--emit=cubin", "-o", "x.cubin",
                env={**os.environ, "TESSERA_PTXAS": "/bin/true"})
    assert done.returncode == 1 and "ptxas wrote no cubin for sm_90a" in done.stderr
    assert "/bin/true" in done.stderr and not (tmp_path / "x.cubin").exists()
