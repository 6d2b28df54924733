# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Errors users see: one class per family, a stable code, the place, and a way out."""

from __future__ import annotations

import difflib
import linecache
import os
import types
from collections.abc import Iterable
from typing import Any

from tessera._src.core import source


# The longest source line quoted within a sentence.
_MAX_QUOTED = 120


class TesseraError(Exception):
    """Base of all errors of this package.

    Attributes: code ("TS1001"), message, location (file, line, column) of the user's code or None.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        expected: Any = None,
        got: Any = None,
        choices: Iterable[Any] | None = None,
        hint: str | None = None,
        notes: Iterable[str] = (),
        location: source.Location | None = None,
    ):
        self.code = code
        self.message = message
        self.location = location if location is not None else source.caller_location()
        lines = [f"[{code}] {message}"]
        if expected is not None:
            lines.append(f"  expected: {expected}")
        if got is not None:
            lines.append(f"  got: {got}")
        if choices is not None:
            lines.append("  valid: " + (", ".join(str(c) for c in choices) or "none"))
        lines += [f"  note: {note}" for note in notes]
        if hint:
            lines.append(f"  help: {hint}")
        lines += source.excerpt(self.location)
        super().__init__("\n".join(lines))

    def __reduce__(self):
        return (_rebuild, (type(self), self.code, self.message, self.location, self.args[0]))


def _rebuild(kind, code, message, location, text):
    error = kind.__new__(kind)
    Exception.__init__(error, text)
    error.code, error.message, error.location = code, message, location
    return error


class ShapeError(TesseraError, ValueError):
    """Shapes or named dimensions that do not fit together (TS3xxx)."""


class ShardingError(TesseraError, ValueError):
    """A mesh, an axis or a layout that cannot be (TS2xxx)."""


class TraceError(TesseraError, TypeError):
    """Something a traced function cannot do (TS1xxx)."""


class ConfigError(TesseraError, ValueError):
    """An option or a model configuration that is not valid (TS4xxx)."""


class CompileError(TesseraError, RuntimeError):
    """The compiler or the runtime refused (TS5xxx)."""


class CheckpointError(TesseraError, ValueError):
    """Weights or artefacts that are missing, misshapen or damaged (TS6xxx)."""


def did_you_mean(name: str, valid: Iterable[str], cutoff: float = 0.4) -> str | None:
    """A sentence naming the closest of `valid`; None if none is as close as `cutoff` (of 1)."""
    close = difflib.get_close_matches(str(name), [str(v) for v in valid], n=1, cutoff=cutoff)
    return f"did you mean '{close[0]}'?" if close else None


def without_internal_frames(error: BaseException) -> BaseException:
    """`error` with a traceback of user frames only; of all with TESSERA_TRACEBACK=full."""
    if os.environ.get("TESSERA_TRACEBACK") == "full":
        return error
    kept = []
    trace = error.__traceback__
    while trace is not None:
        if not source.is_internal(trace.tb_frame.f_code.co_filename):
            kept.append(trace)
        trace = trace.tb_next
    result = None
    for item in reversed(kept):
        result = types.TracebackType(result, item.tb_frame, item.tb_lasti, item.tb_lineno)
    return error.with_traceback(result)


def from_diagnostics(diagnostics: list[dict], summary: str, lines: int = 8) -> CompileError:
    """The compiler's diagnostics as an error at the user's line."""
    errors = [d for d in diagnostics if d.get("severity") == "error"] or diagnostics
    if not errors:
        return CompileError("TS5001", summary)
    first = errors[0]
    notes = []
    for diagnostic in [first, *errors[1:lines]]:
        if diagnostic is not first:
            notes.append(_place(diagnostic) + source.shown_paths(diagnostic.get("message", "")))
        notes += [
            _place(n) + source.shown_paths(n.get("message", ""))
            for n in diagnostic.get("notes", [])
            if not n.get("message", "").startswith("see current operation")
        ]
    location = None
    if os.path.exists(first.get("file", "")) and first.get("line"):
        location = source.Location(first["file"], first["line"], first.get("column") or 1)
    return CompileError(
        "TS5001",
        f"{summary}: {source.shown_paths(first.get('message', 'unknown error'))}",
        notes=notes,
        location=location,  # None: where the user's code called the compiler.
    )


def _place(diagnostic: dict) -> str:
    if not os.path.exists(diagnostic.get("file", "")) or not diagnostic.get("line"):
        return ""
    text = linecache.getline(diagnostic["file"], diagnostic["line"]).strip()
    place = source.shown_paths(f"{diagnostic['file']}:{diagnostic['line']}")
    if len(text) > _MAX_QUOTED or not text.isprintable():
        text = ""
    return f"{place}: " + (f"`{text}`: " if text else "")
