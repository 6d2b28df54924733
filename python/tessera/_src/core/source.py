# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Where in the user's code something happens: frames outside tessera/_src."""

from __future__ import annotations

import itertools
import linecache
import os
import re
import sys
import threading
from functools import lru_cache
from types import CodeType, TracebackType
from typing import NamedTuple

_HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # tessera/_src
_PACKAGE = os.path.dirname(_HERE) + os.sep
_INTERNAL = ("<frozen", _HERE + os.sep, os.path.join(_PACKAGE, "demo") + os.sep,
             os.path.join(_PACKAGE, "compile.py"), os.path.join(_PACKAGE, "__main__.py"))
# The caller of the command is not a user's program.
_COMMAND = os.path.join(_HERE, "tools", "command.py")
# Commands of `tessera`, whose errors are of what was typed.
_COMMANDS = os.path.join(_HERE, "commands") + os.sep
_STANDARD = os.path.dirname(os.__file__) + os.sep
# Libraries whose functions call methods of arrays (__dlpack__, __array__).
_LIBRARIES = ("torch", "numpy", "jax")
_MAX_COLUMNS = 120  # The widest source line shown.


class Location(NamedTuple):
    """A place in a source file; line and column count from 1, and column 0 is the whole line."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


# For errors without a place in a source file.
NOWHERE = Location("", 0, 0)


def internal_path(*parts: str) -> str:
    """A file of tessera/_src."""
    return os.path.join(_HERE, *parts)


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
    # Every op asks: attributes of frames are read once.
    frame = sys._getframe(1)
    code = frame.f_code
    while is_internal(file := code.co_filename):
        frame = None if file == _COMMAND else frame.f_back
        if frame is None:
            return None
        code = frame.f_code
    instruction = frame.f_lasti
    # By identity: hashing code takes longer than all else here.
    key = (id(code), instruction)
    known = _LOCATIONS.get(key)
    if known is None:
        if len(_LOCATIONS) >= 65536:
            _LOCATIONS.clear()
        place = _location(code, code.co_filename, instruction, frame.f_lineno)
        known = _LOCATIONS[key] = (code, place)
    return known[1]


# Places of instructions; each entry keeps its code, whose identity is in the key, alive.
_LOCATIONS: dict[tuple[int, int], tuple[CodeType, Location]] = {}


@lru_cache(maxsize=None)
def _is_library(filename: str) -> bool:
    """Whether frames of this file pass on what a user asked for: of this package, torch, NumPy or JAX."""
    folders = filename.split(os.sep)
    return filename.startswith(_PACKAGE) or any(
        first in ("site-packages", "dist-packages") and second in _LIBRARIES
        for first, second in zip(folders, folders[1:]))


def _passes_on(code: CodeType) -> bool:
    """Whether a frame of this code passes on what a user asked for: of a library, also Python's own, such as
    contextlib, or generated, as the __init__ of a dataclass is."""
    name = code.co_filename
    is_generated = name == "<string>" and code.co_name.startswith("__")
    return is_generated or _is_library(name) or _is_standard(name)


# The place that the errors of a thread of the package are at.
_OF_THREAD = threading.local()


def work_for(location: Location | None) -> None:
    """Errors of this thread, which no user's code called, are at `location` from now on."""
    _OF_THREAD.location = location


def caller_location() -> Location | None:
    """The innermost place outside of the whole package; within it if there is none. Commands have none."""
    if hasattr(_OF_THREAD, "location"):  # None where a command has started the thread.
        return _OF_THREAD.location
    frame = sys._getframe(1)
    while frame is not None and _passes_on(frame.f_code):
        if frame.f_code.co_filename.startswith(_COMMANDS):
            return None
        frame = None if frame.f_code.co_filename == _COMMAND else frame.f_back
    if frame is None or frame.f_code.co_filename.startswith("<frozen"):
        return user_location()
    return _location(frame.f_code, frame.f_code.co_filename, frame.f_lasti, frame.f_lineno)


@lru_cache(maxsize=None)
def _is_standard(filename: str) -> bool:
    """Whether frames of this file are of Python's own library."""
    return filename.startswith(_STANDARD) and "site-packages" not in filename


def is_users(filename: str) -> bool:
    """Whether frames of this file are neither the package's machinery nor a library's, such as NumPy's."""
    return not (_is_standard(filename) or is_internal(filename) or _is_library(filename))


def traceback_location(trace: TracebackType) -> Location:
    """The place that an entry of a traceback stands for."""
    code = trace.tb_frame.f_code
    return _location(code, code.co_filename, trace.tb_lasti, trace.tb_lineno)


class Place(NamedTuple):
    """A place in a program, as cheap to take as possible."""

    code: CodeType
    instruction: int
    line: int

    def location(self) -> Location:
        """Where that is."""
        return _location(self.code, self.code.co_filename, self.instruction, self.line)


def caller_place() -> Place | None:
    """The innermost location outside of the package, for messages that may never be needed."""
    frame = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame = frame.f_back
    return None if frame is None else Place(frame.f_code, frame.f_lasti, frame.f_lineno)


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


def shown_paths(text: str) -> str:
    """`text` with the places in it (path:line) that lie below the current folder relative to it."""
    try:
        here = os.getcwd() + os.sep
    except OSError:  # The folder is gone.
        return text
    return re.sub(r"(?<![\w./~-])" + re.escape(here) + r"(?=[^\s:]+:\d)", "", text)


def _printable(text: str) -> str:
    """Text that does nothing to a terminal: a column or an escape for each character."""
    return "".join(c if c.isprintable() else " " if c == "\t" else c.encode("unicode_escape").decode()
                   for c in text)


def excerpt(location: Location | None) -> list[str]:
    """Lines that show `location` with its source and a caret; long lines are cut around it."""
    if location is None or location == NOWHERE:
        return []
    result = ["  at " + _printable(shown_paths(f"{location.file}:{location.line}"))]
    text = linecache.getline(location.file, location.line).rstrip("\n")
    if text.strip():
        # Columns count bytes of UTF-8.
        before = text.encode()[: max(location.column - 1, 0)].decode(errors="ignore")
        caret = len(_printable(before.lstrip()))
        line = _printable(text.strip())
        begin = max(0, min(caret - _MAX_COLUMNS // 2, len(line) - _MAX_COLUMNS))
        head = "..." if begin else ""
        tail = "..." if len(line) > begin + _MAX_COLUMNS else ""
        result.append("    " + head + line[begin : begin + _MAX_COLUMNS] + tail)
        if location.column > 0:
            result.append("    " + " " * (len(head) + caret - begin) + "^")
    return result
