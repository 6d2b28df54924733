# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Looks at the machine and the installation, and says what does not work and how to repair it."""

from __future__ import annotations

import argparse
import contextlib
import importlib.metadata
import json
import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np

from tessera._src.commands import machine
from tessera._src.commands.findings import OK, PROBLEM, WARNING, Finding, ok, problem, size_text, warning
from tessera._src.core.errors import TesseraError
from tessera._src.functions.jit import jit
from tessera._src.meshes.mesh import PartitionSpec, make_mesh
from tessera._src.programs import cache, dispatch, native, runtime

# What each is for; the first ones cannot be done without.
_NEEDED = {"numpy": "arrays", "ml_dtypes": "bf16 and f8", "safetensors": "weights in files"}
_OPTIONAL = {
    "tokenizers": "tokenizer.json of models", "PyYAML": "configurations in YAML", "rich": "a progress bar",
    "matplotlib": "plots of the loss", "prometheus-client": "metrics for Prometheus",
    "gguf": "weights in GGUF files", "torch": "arrays from PyTorch, and comparisons with it",
    "transformers": "comparisons with its models",
}
_LLVM = re.compile(r"-llvm-([\d.]+)")
_MARKS = {OK: "ok", WARNING: "warning", PROBLEM: "PROBLEM"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("--json", action="store_true", help="prints the findings as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Prints a line per finding, and below it the way out; 1 if there is a problem."""
    findings = list(examine())
    if arguments.json:
        print(json.dumps({"findings": [found._asdict() for found in findings]}, indent=2))
    else:
        for found in findings:
            print(f"{_MARKS[found.status]:8} {found.name:14} {found.message}")
            if found.fix:
                print(f"{'':8} {'':14}   -> {found.fix}")
        count = {status: sum(f.status == status for f in findings) for status in (PROBLEM, WARNING)}
        print(f"\n{count[PROBLEM]} problem{'s' * (count[PROBLEM] != 1)}, "
              f"{count[WARNING]} warning{'s' * (count[WARNING] != 1)}")
    return int(any(found.status == PROBLEM for found in findings))


def examine() -> Iterator[Finding]:
    """All findings, in the order in which they are shown."""
    checks: list[Callable[[], Finding | Iterable[Finding]]] = [
        _python, _package, _libraries, _compiler, _extension, machine.processor, machine.cores,
        machine.memory, machine.devices, _cache, _needed, _optional, machine.gpus, machine.assembler,
        machine.variables]
    for check in checks:
        try:
            found = check()
            yield from [found] if isinstance(found, Finding) else list(found)
        except Exception as error:  # One check that fails in a way of its own must not hide the others.
            yield problem(check.__name__.strip("_"), f"the check failed: {type(error).__name__}: {error}",
                          "report this with the output of this command")


def _python() -> Finding:
    text = f"{sys.version.split()[0]} at {sys.executable}"
    if sys.version_info < (3, 10):
        return problem("Python", text, "Tessera needs Python 3.10 or newer")
    return ok("Python", text)


def _package() -> Finding:
    import_path = Path(os.path.abspath(__file__)).parents[2]
    return ok("Tessera", f"{_version()} at {import_path}")


def _version() -> str:
    """Of the package: as it is imported, which need not be installed."""
    public = sys.modules.get("tessera")
    return str(getattr(public, "__version__", "of unknown version"))


def _libraries() -> Iterator[Finding]:
    """The two C libraries."""
    for name, what in (("libtessera_compiler.so", "compiler"), ("libtessera_rt.so", "runtime")):
        try:
            path = native.library_path(name)
            native.open_library(name)
        except TesseraError as error:
            yield problem("libraries", error.message, error.hint or f"build the {what} again (tools/build); "
                          "it needs the shared libraries of LLVM that it was built with (ldd shows which)")
            continue
        if what == "compiler":
            found = _LLVM.search(native.full_version())
            yield ok("libraries", f"{what} with LLVM {found[1] if found else 'of unknown version'} at {path}")
        else:
            yield ok("libraries", f"{what} at {path}")


def _compiler() -> Finding:
    """Compiles and runs a product that two devices share, past the cache of compiled programs."""
    begin = time.perf_counter()
    rng = np.random.default_rng(0)
    x, w = (rng.standard_normal(shape).astype(np.float32) for shape in ((2, 3), (3, 4)))
    mesh = make_mesh({"tp": 2})
    product = jit(lambda x, w: x @ w, mesh=mesh, in_shardings=(PartitionSpec(), PartitionSpec("tp", None)))
    try:
        lowered = product.lower(x, w)
        artefact, _, _ = native.compile_text(lowered.program.text, target=lowered.target)
        executable = runtime.Executable(artefact)
        result, = executable.run([native.pointer_of(x), 0, native.pointer_of(w), 0])
    except TesseraError as error:
        return problem("compiler", f"a product on a mesh tp=2 fails: {error.message}",
                       error.hint or "see the finding about the libraries; kernels are linked by ld.lld "
                       "(TESSERA_LLD names another)")
    milliseconds = 1000 * (time.perf_counter() - begin)
    if not np.allclose(result, x @ w, rtol=1e-5, atol=1e-6):
        return problem("compiler", "a product on a mesh tp=2 has wrong numbers",
                       "report this with the output of this command")
    return ok("compiler", f"a product on a mesh tp=2 compiles, runs and is right, in {milliseconds:.0f} ms")


def _extension() -> Finding:
    if dispatch._dispatch is None:
        return warning("calls", "the extension that makes calls cheap is not there, or is for another Python",
                       "build it where Python's headers are installed; without it a call takes some tens of "
                       "microseconds more")
    return ok("calls", "the extension that makes them cheap is there")


def _cache() -> Finding:
    """Whether compiled programs can be kept on disk."""
    folder = cache.directory()
    if folder is None:
        return warning("cache", "TESSERA_CACHE=0: every process compiles all its programs",
                       "unset TESSERA_CACHE, or set TESSERA_CACHE_DIR to a folder that can be written")
    fix = "set TESSERA_CACHE_DIR to a folder that can be written; until then every process compiles again"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".doctor-{os.getpid()}"
        probe.write_bytes(b"x" * 4096)
        probe.unlink()
    except OSError as error:
        return warning("cache", f"{folder} cannot be written: {error.strerror}", fix)
    sizes = []
    for entry in os.scandir(folder):
        with contextlib.suppress(FileNotFoundError):  # Another process has removed it just now.
            if entry.is_file():
                sizes.append(entry.stat().st_size)
    size = sum(sizes)
    limit, free = cache.limit(), shutil.disk_usage(folder).free
    text = (f"{folder}: {size_text(size)} in {len(sizes)} files, of at most {size_text(limit)}; "
            f"{size_text(free)} free on the disk")
    if free < limit - size:
        return warning("cache", text, "free some space, or set TESSERA_CACHE_LIMIT (bytes) to less")
    return ok("cache", text)


def _installed(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _needed() -> Iterator[Finding]:
    for package, what in _NEEDED.items():
        version = _installed(package)
        yield ok("needs", f"{package} {version}, for {what}") if version else problem(
            "needs", f"{package} is not installed, for {what}", f"pip install {package}")


def _optional() -> Iterator[Finding]:
    for package, what in _OPTIONAL.items():
        version = _installed(package)
        yield ok("may have", f"{package} {version}, for {what}") if version else ok(
            "may have", f"{package} is not installed, for {what}", f"pip install {package}, if wanted")

