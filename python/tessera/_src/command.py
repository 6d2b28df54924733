# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The command line of tessera.compile."""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from tessera._src import native
from tessera._src.errors import ConfigError, TesseraError, did_you_mean
from tessera._src.jit import JittedFunction
from tessera._src.lowered import STAGES, TARGETS, Lowered, check_target
from tessera._src.source import NOWHERE

EMITTED = (*STAGES, "artefact", "cubin", "object")


def load_function(where: str) -> JittedFunction:
    """The ts.jit function that "module.py:function" names."""
    path, colon, name = where.rpartition(":")
    if not colon or not path or not name:
        raise ConfigError("TS4009", f"'{where}' does not name a function",
                          expected="module.py:function", location=NOWHERE)
    if not os.path.exists(path):
        raise ConfigError("TS4009", f"{path} does not exist", location=NOWHERE)
    spec = importlib.util.spec_from_file_location(Path(path).stem, path)
    if spec is None or spec.loader is None:
        raise ConfigError("TS4009", f"{path} is no Python file", location=NOWHERE)
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(Path(path).resolve().parent))
    spec.loader.exec_module(module)
    functions = {n: v for n, v in vars(module).items() if isinstance(v, JittedFunction)}
    if name not in functions:
        what = "is not decorated with ts.jit" if hasattr(module, name) else "does not exist"
        raise ConfigError("TS4009", f"function '{name}' of {path} {what}", choices=list(functions),
                          hint=did_you_mean(name, functions), location=NOWHERE)
    return functions[name]


def parse_shapes(text: str) -> dict[str, int]:
    """Sizes of named dimensions from "B=8,D=64"."""
    result = {}
    for part in filter(None, text.split(",")):
        name, equals, size = part.partition("=")
        if not equals or not size.strip().isdigit():
            raise ConfigError("TS4009", f"--shapes has '{part}'", expected="NAME=SIZE",
                              location=NOWHERE)
        result[name.strip()] = int(size)
    return result


def _output(lowered: Lowered, emit: str) -> tuple[bytes, dict[str, Any]]:
    if emit == "tessera":
        return lowered.program.text.encode(), {}
    data, _, report = native.compile_text(
        lowered.program.text, target=lowered.target, emit=emit, **lowered.options
    )
    return data, report


def _write(path: str, data: bytes) -> None:
    if path == "-":
        sys.stdout.buffer.write(data)
        sys.stdout.flush()
        return
    place = Path(path)
    handle, name = tempfile.mkstemp(dir=place.parent, prefix=place.name)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
    os.replace(name, place)


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; errors go to stderr and give 1."""
    parser = argparse.ArgumentParser(prog="tessera.compile", description="Compiles a Python function.")
    parser.add_argument("function", help="module.py:function, decorated with ts.jit")
    parser.add_argument("--target", default="cpu", help=", ".join(TARGETS))
    parser.add_argument("--emit", default="artefact", help=", ".join(EMITTED))
    parser.add_argument("--shapes", default="", help="sizes of named dimensions: B=8,D=64")
    parser.add_argument("-o", "--output", default="-", help="file to write; - is stdout")
    parser.add_argument("--report", help="file for the JSON report")
    options = parser.parse_args(arguments)
    try:
        if options.emit not in EMITTED:
            raise ConfigError("TS4004", f"unknown stage '{options.emit}'", choices=EMITTED,
                              hint=did_you_mean(options.emit, EMITTED), location=NOWHERE)
        check_target(options.target)
        function = load_function(options.function)
        function.target = options.target
        lowered = function.lower_annotated(parse_shapes(options.shapes))
        data, report = _output(lowered, options.emit)
        _write(options.output, data)
        if options.report:
            _write(options.report, json.dumps(report, indent=2).encode())
    except TesseraError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"error: {error.filename}: {error.strerror}", file=sys.stderr)
        return 1
    return 0
