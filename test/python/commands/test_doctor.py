# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""tessera doctor: it works here, says what does not elsewhere, and takes little time."""

import json
import os
import time

import pytest
from command_process import tessera
from conftest import needs_runtime

from tessera._src.commands import doctor, machine
from tessera._src.commands.findings import size_text
from tessera._src.core import host_cores

pytestmark = needs_runtime


def of(findings, name):
    return [found for found in findings if found.name == name]


@pytest.mark.quick
def test_doctor_as_a_process():
    begin = time.perf_counter()
    done = tessera("doctor", "--json")
    assert time.perf_counter() - begin < 20  # 5 s where the machine is not busy.
    findings = json.loads(done.stdout)["findings"]
    assert done.returncode == 0, findings
    by_name = {found["name"]: found for found in findings}
    for name in ("Python", "Tessera", "libraries", "compiler", "calls", "processor", "cores", "memory",
                 "devices", "cache", "needs", "may have", "GPUs", "ptxas", "variables"):
        assert by_name[name]["message"], name
    compiler = by_name["compiler"]
    assert compiler["status"] == "ok" and "tp=2 compiles, runs and is right" in compiler["message"]
    assert any("LLVM 22" in found["message"] for found in findings)
    assert all(found["fix"] for found in findings if found["status"] != "ok")


def test_lines_for_people(tmp_path):
    done = tessera("doctor", env={**os.environ, "OPENBLAS_NUM_THREADS": "0", "OPENBLAS_CORETYPE": "Prescott"})
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    at = next(i for i, line in enumerate(lines) if "OPENBLAS_CORETYPE=Prescott" in line)
    assert lines[at].startswith("warning") and lines[at + 1].strip().startswith("-> unset it")
    assert lines[-1].startswith("0 problems, ")


def test_missing_library_is_a_problem(tmp_path):
    """The package without its compiler: the command says so, and looks at all else."""
    import tessera as ts

    package = tmp_path / "tessera"
    package.mkdir()
    for name in os.listdir(os.path.dirname(ts.__file__)):
        if name not in ("_native", "__pycache__"):
            (package / name).symlink_to(os.path.join(os.path.dirname(ts.__file__), name))
    places = {"PYTHONPATH": str(tmp_path), "TESSERA_NATIVE_DIR": str(tmp_path)}
    done = tessera("doctor", env={**os.environ, **places})
    assert done.returncode == 1, done.stdout
    problems = [line for line in done.stdout.splitlines() if line.startswith("PROBLEM")]
    assert any("libtessera_compiler.so is not there" in line for line in problems)
    assert any("libtessera_rt.so is not there" in line for line in problems)
    assert "memory" in done.stdout and "build it (tools/build)" in done.stdout


def test_wrong_variables_are_problems(monkeypatch):
    monkeypatch.setenv("TESSERA_NUM_THREADS", "many")
    monkeypatch.setenv("TESSERA_DEVICE_COUNT", "none")
    findings = list(doctor.examine())
    cores, = of(findings, "cores")
    assert cores.status == "problem" and "'many'" in cores.message and "unset it" in cores.fix
    assert of(findings, "devices")[0].status == "problem"
    assert of(findings, "compiler")[0].status == "problem"  # As a call of the user's would.


def test_more_threads_than_cores_is_a_warning():
    found = machine.cores({"TESSERA_NUM_THREADS": "1000"})
    assert found.status == "warning" and "but TESSERA_NUM_THREADS is 1000" in found.message


def test_cache_that_cannot_be_written_is_a_warning(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TESSERA_CACHE_DIR", str(tmp_path / "file" / "cache"))
    found = doctor._cache()
    assert found.status == "warning" and "cannot be written" in found.message
    assert "TESSERA_CACHE_DIR" in found.fix
    monkeypatch.setenv("TESSERA_CACHE", "0")
    assert doctor._cache().status == "warning"
    monkeypatch.undo()
    monkeypatch.setenv("TESSERA_CACHE_DIR", str(tmp_path / "new"))
    found = doctor._cache()
    assert found.status == "ok" and "0 B in 0 files, of at most 1.0 GiB" in found.message


def test_absent_libraries(monkeypatch):
    monkeypatch.setattr(doctor, "_installed", lambda package: None)
    needed, optional = list(doctor._needed()), list(doctor._optional())
    assert all(found.status == "problem" for found in needed) and needed[0].fix == "pip install numpy"
    assert all(found.status == "ok" for found in optional)
    assert ("rich is not installed, for a progress bar", "pip install rich, if wanted") in [
        (found.message, found.fix) for found in optional]


def test_failing_check_hides_no_other(monkeypatch):
    def broken():
        raise RuntimeError("no such thing")

    monkeypatch.setattr(machine, "memory", broken)
    findings = list(doctor.examine())
    assert any("no such thing" in found.message for found in of(findings, "broken"))
    assert of(findings, "variables")


@pytest.mark.parametrize("text, cores", [("max 100000", None), ("200000 100000", 2), ("150000 100000", 1.5),
                                         ("5000 100000", 0.05), ("", None)])
def test_quotas(text, cores):
    assert host_cores.cores_of_quota(text) == cores


def test_sizes():
    assert [size_text(n) for n in (0, 999, 1024, 5 << 20, 24 << 30, 3 << 40)] == [
        "0 B", "999 B", "1.0 KiB", "5.0 MiB", "24 GiB", "3.0 TiB"]


def test_ptxas_that_is_not_there():
    found = machine.assembler({"TESSERA_PTXAS": "/nowhere/ptxas"})
    assert found.status == "problem" and "/nowhere/ptxas" in found.message


def test_a_file_of_the_cache_that_goes_away_meanwhile(tmp_path, monkeypatch):
    class Gone:
        """An entry whose file another process has removed."""

        def is_file(self):
            return True

        def stat(self):
            raise FileNotFoundError

    monkeypatch.setenv("TESSERA_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(doctor.os, "scandir", lambda folder: [Gone()])
    assert "0 files" in doctor._cache().message.replace("in 0", "0")
