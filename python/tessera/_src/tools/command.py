# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The command line of tessera.compile."""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import itertools
import json
import os
import re
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tessera._src.core.errors import (
    ConfigError,
    TesseraError,
    did_you_mean,
    without_internal_frames,
)
from tessera._src.core.files import is_same_file, write_whole
from tessera._src.core.source import NOWHERE, Location
from tessera._src.functions.jit import JittedFunction
from tessera._src.functions.lowered import Lowered
from tessera._src.programs import native
from tessera._src.programs.targets import (
    COLLECTIVES,
    STAGES,
    TARGETS,
    check_compile_options,
    check_stage,
    check_target,
    stages_of,
)

BINARY = ("artefact", "cubin", "object")
EMITTED = (*STAGES, *BINARY)
_INTERRUPTED = "tessera-compile: interrupted"


def load_function(where: str) -> JittedFunction:
    """The ts.jit function that "module.py:function" names."""
    path, colon, name = where.rpartition(":")
    if not colon or not path or not name:
        raise ConfigError("TS4009", f"'{where}' does not name a function",
                          expected="module.py:function", location=NOWHERE,
                          hint=f"name one: {where}:function" if where.endswith(".py") else None)
    if not os.path.exists(path):
        raise ConfigError("TS4009", f"{path} does not exist", location=NOWHERE)
    # Its name may be that of a module that is there; what dataclasses look up is under its own.
    stem = Path(path).stem
    spec = importlib.util.spec_from_file_location(
        f"{stem}_program" if stem in sys.modules else stem, path)
    if spec is None or spec.loader is None:
        raise ConfigError("TS4009", f"{path} is not a Python file", location=NOWHERE)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    sys.path.insert(0, str(Path(path).resolve().parent))
    try:
        spec.loader.exec_module(module)
    except TesseraError:
        raise
    except SystemExit as end:
        raise _ended(f"{path} ends Python while it is imported", end, path) from None
    except Exception as error:
        raise ConfigError("TS4009", f"{path} does not import: {type(error).__name__}: {error}",
                          location=_place_of(error, path)) from None
    functions = {n: v for n, v in vars(module).items() if isinstance(v, JittedFunction)}
    if name not in functions:
        what = "is not decorated with ts.jit" if hasattr(module, name) else "does not exist"
        raise ConfigError("TS4009", f"function '{name}' of {path} {what}", choices=list(functions),
                          hint=did_you_mean(name, functions), location=NOWHERE)
    return functions[name]


def _ended(what: str, end: SystemExit, path: str) -> ConfigError:
    """A program that ends Python, even with 0, has not been compiled."""
    return ConfigError("TS4009", f"{what}: exit({end.code!r})", location=_place_of(end, path),
                       hint='put what a script does under if __name__ == "__main__":')


def _place_of(error: BaseException, path: str) -> Location:
    """The innermost line of the user's file that an error comes from."""
    if isinstance(error, SyntaxError) and error.lineno:
        return Location(error.filename or path, error.lineno, error.offset or 1)
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__)
             if frame.filename == os.path.abspath(path) or frame.filename == path]
    return Location(path, lines[-1] or 1, 1) if lines else NOWHERE


def parse_shapes(text: str) -> dict[str, int]:
    """Sizes of named dimensions from "B=8,D=64"."""
    result = {}
    for part in filter(None, text.split(",")):
        name, equals, size = (text.strip() for text in part.partition("="))
        if not equals or not re.fullmatch("[0-9]+", size):
            raise ConfigError("TS4009", f"--shapes has '{part}'", expected="NAME=SIZE",
                              location=NOWHERE)
        if len(size) > 18:
            raise ConfigError("TS4009", f"--shapes has '{part}'", expected="a size below 10**18",
                              location=NOWHERE)
        if result.setdefault(name, int(size)) != int(size):
            raise ConfigError("TS4009", f"--shapes sizes '{name}' twice",
                              got=f"{name}={result[name]} and {name}={int(size)}", location=NOWHERE)
    return result


def _trace(function: JittedFunction, dims: dict[str, int], path: str) -> Lowered | None:
    """The program; None after showing what the user's function raised, by the user's frames."""
    try:
        return function.lower_annotated(dims)
    except TesseraError:
        raise
    except SystemExit as end:
        raise _ended(f"{function.__name__} ends Python while it is traced", end, path) from None
    except Exception as error:
        chain: list[BaseException] = []
        cause: BaseException | None = error
        while cause is not None and cause not in chain:
            chain.append(cause)
            cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
        traces = [part.__traceback__ for part in chain]
        if not any([without_internal_frames(part).__traceback__ for part in chain]):
            for part, trace in zip(chain, traces):  # A defect of this package.
                part.__traceback__ = trace
        traceback.print_exception(error)
        return None


def _interruptibly(work: Callable[[], Any]) -> Any:
    """The result of `work` on another thread: while this one waits in Python, Ctrl-C gets through."""
    results: list[Any] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        thread.join()
    except KeyboardInterrupt:
        print(_INTERRUPTED, file=sys.stderr, flush=True)
        os._exit(130)  # The compiler does not stop half way.
    if errors:
        raise errors[0]
    return results[0]


def _output(lowered: Lowered, emit: str, jobs: int) -> tuple[bytes, dict[str, Any]]:
    if emit == "tessera":
        return lowered.program.text.encode(), {}
    data, _, report = native.compile_text(
        lowered.program.text, target=lowered.target, emit=emit, jobs=jobs, **lowered.options
    )
    if emit == "artefact" and lowered.program.captured:
        data = native.capture(data, len(lowered.program.arguments), lowered.program.captured)
    return data, report


def _dump(lowered: Lowered, folder: str) -> None:
    """Writes the text of every stage into a folder."""
    os.makedirs(folder, exist_ok=True)
    for stage in stages_of(lowered.target):
        write_whole(os.path.join(folder, f"{stage}.mlir"), lowered.as_text(stage).encode())


def _write(path: str, data: bytes) -> None:
    if path != "-":
        write_whole(path, data)
        return
    try:
        sys.stdout.buffer.write(data)
        sys.stdout.flush()
    except OSError as error:
        # What is left in the buffer is not to fail once more when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise OSError(error.errno, error.strerror, "standard output") from None


def _check_outputs(options: argparse.Namespace) -> None:
    """Raises where results cannot be written, or would overwrite each other or the program."""
    if options.output == "-" and sys.stdout is None:
        raise ConfigError("TS4009", "standard output is closed", hint="name a file with -o",
                          location=NOWHERE)
    if options.output == "-" and options.emit in BINARY and sys.stdout.isatty():
        raise ConfigError("TS4009", f"--emit={options.emit} is binary and stdout is a terminal",
                          hint="name a file with -o", location=NOWHERE)
    files = [("the program", options.function.rpartition(":")[0]), ("-o", options.output),
             ("--report", options.report or "")]
    if options.dump_stages:
        files += [("--dump-stages", os.path.join(options.dump_stages, f"{stage}.mlir"))
                  for stage in stages_of(options.target)]
    for (what, path), (other, written) in itertools.combinations(files, 2):
        if is_same_file(path, written):
            raise ConfigError("TS4009", f"{other} would overwrite {what}, '{path}'",
                              hint="name another file", location=NOWHERE)
    if options.output == options.report == "-":
        raise ConfigError("TS4009", "-o and --report both go to standard output",
                          hint="name a file for one", location=NOWHERE)


def _compile(options: argparse.Namespace) -> int:
    """Carries out the options; 0 if the output was written."""
    if options.emit not in EMITTED:
        raise ConfigError("TS4004", f"unknown stage '{options.emit}'", choices=EMITTED,
                          hint=did_you_mean(options.emit, EMITTED), location=NOWHERE)
    check_target(options.target)
    if options.emit in STAGES:
        check_stage(options.emit, options.target)
    _check_outputs(options)
    with contextlib.redirect_stdout(sys.stderr):  # What the user's program prints is not part of the output.
        function = load_function(options.function)
        function.target = options.target
        if options.forbid_implicit:
            function.compile_options = check_compile_options(
                {"forbidImplicit": options.forbid_implicit.split(",")})
        dims = parse_shapes(options.shapes)
        lowered = _trace(function, dims, options.function.rpartition(":")[0])
    if lowered is None:
        return 1
    data, report = _interruptibly(lambda: _output(lowered, options.emit, options.jobs))
    if options.dump_stages:
        _interruptibly(lambda: _dump(lowered, options.dump_stages))
    _write(options.output, data)
    if options.report:
        _write(options.report, json.dumps(report, indent=2).encode())
    return 0


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; errors go to stderr and give 1."""
    parser = argparse.ArgumentParser(prog="tessera.compile", description="Compiles a Python function.")
    parser.add_argument("function", help="module.py:function, decorated with ts.jit")
    parser.add_argument("--target", default="cpu", help=", ".join(TARGETS))
    parser.add_argument("--emit", default="artefact", help=", ".join(EMITTED))
    parser.add_argument("--shapes", default="", help="sizes of named dimensions: B=8,D=64")
    parser.add_argument("-o", "--output", default="-", help="file to write; - is stdout")
    parser.add_argument("--report", help="file for the JSON report")
    parser.add_argument("--dump-stages", metavar="FOLDER", help="folder for the text of every stage")
    parser.add_argument("--forbid-implicit", default="", metavar="KIND,...",
                        help="kinds of collectives that are an error: " + ", ".join(COLLECTIVES))
    parser.add_argument("--jobs", type=int, default=0,
                        help="kernels compiled at once; 0: one per usable core")
    options = parser.parse_args(arguments)
    try:
        return _compile(options)
    except TesseraError as error:
        print(f"error: {error}", file=sys.stderr)
    except OSError as error:
        print(f"error: {error.filename}: {error.strerror}", file=sys.stderr)
    except KeyboardInterrupt:
        print(_INTERRUPTED, file=sys.stderr)
        return 130
    return 1
