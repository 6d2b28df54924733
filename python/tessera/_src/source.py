# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Where in the user's code something happens: frames outside tessera/_src."""

from __future__ import annotations

import itertools
import linecache
import os
import sys
from functools import lru_cache
from types import CodeType
from typing import NamedTuple

_HERE = os.path.dirname(os.path.abspath(__file__))
_PACKAGE = os.path.dirname(_HERE) + os.sep
_INTERNAL = ("<frozen", _HERE + os.sep, os.path.join(os.path.dirname(_HERE), "compile.py"))


class Location(NamedTuple):
    """A place in a source file; line and column count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


# For errors without a place in a source file.
NOWHERE = Location("", 0, 0)


@lru_cache(maxsize=None)
def is_internal(filename: str) -> bool:
    """Whether frames of this file are the package's own machinery."""
    return filename.startswith(_INTERNAL)


@lru_cache(maxsize=65536)
def _location(code: CodeType, file: str, instruction: int, line: int) -> Location:
    # Code of the same text is equal, whatever its file, so the file is an argument too.
    column = 1
    if hasattr(code, "co_positions"):  # Python 3.11
        found = next(itertools.islice(code.co_positions(), instruction // 2, None), None)
        # An expression over several lines starts at its own first line.
        if found and found[0] is not None and found[2] is not None:
            line, column = found[0], found[2] + 1
    return Location(file, line, column)


def user_location() -> Location | None:
    """The innermost place on the stack that is not the package's own machinery."""
    frame = sys._getframe(1)
    while frame is not None and is_internal(frame.f_code.co_filename):
        frame = frame.f_back
    if frame is None:
        return None
    return _location(frame.f_code, frame.f_code.co_filename, frame.f_lasti, frame.f_lineno)


def caller_location() -> Location | None:
    """The innermost place outside of the whole package; within it if there is none."""
    frame = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame = frame.f_back
    if frame is None or frame.f_code.co_filename.startswith("<frozen"):
        return user_location()
    return _location(frame.f_code, frame.f_code.co_filename, frame.f_lasti, frame.f_lineno)


def api_name() -> str:
    """The package's function that the user called, as "ts.random.normal"."""
    frame, name = sys._getframe(1), "this function"
    while frame is not None and is_internal(frame.f_code.co_filename):
        name = frame.f_code.co_name
        frame = frame.f_back
    public = sys.modules.get("tessera")
    if name.startswith("<"):  # An operator's.
        return "this operation"
    for module in ("random", "nn"):
        if not hasattr(public, name) and hasattr(getattr(public, module, None), name):
            return f"ts.{module}.{name}"
    return f"ts.{name}"


def function_location(function) -> Location | None:
    """Where `function` is defined."""
    code = getattr(function, "__code__", None)
    return Location(code.co_filename, code.co_firstlineno, 1) if code else None


def excerpt(location: Location | None) -> list[str]:
    """Lines that show `location` with its source and a caret."""
    if location is None or location == NOWHERE:
        return []
    result = [f"  at {location.file}:{location.line}"]
    text = linecache.getline(location.file, location.line).rstrip("\n")
    if text.strip():
        indent = len(text) - len(text.lstrip())
        result.append("    " + text.strip())
        result.append("    " + " " * max(location.column - 1 - indent, 0) + "^")
    return result
