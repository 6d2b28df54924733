# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Errors users see: one class per family, a stable code, the place, and a way out."""

from __future__ import annotations

import difflib
import linecache
import os
import types
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tessera._src.core import source


# The longest source line quoted within a sentence.
_MAX_QUOTED = 120


class TesseraError(Exception):
    """Base of all errors of this package.

    Attributes: code ("TS1001"), message, location (file, line, column) of the user's code or None.
    """

    expected: Any = None
    got: Any = None
    choices: tuple[Any, ...] | None = None

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
        self.code, self.message, self.hint = code, message, hint
        self.expected, self.got = expected, got
        self.choices = None if choices is None else tuple(choices)
        self.location = location if location is not None else source.caller_location()
        lines = [f"[{code}] {message}"]
        if expected is not None:
            lines.append(f"  expected: {expected}")
        if got is not None:
            lines.append(f"  got: {got}")
        if self.choices is not None:
            lines.append("  valid: " + (", ".join(map(str, self.choices)) or "none"))
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
    error.code, error.message, error.hint, error.location = code, message, None, location
    return error


class ShapeError(TesseraError, ValueError):
    """Shapes or named dimensions that do not fit together (TS3xxx)."""


class ShardingError(TesseraError, ValueError):
    """An invalid mesh, axis or layout (TS2xxx)."""


class TraceError(TesseraError, TypeError):
    """Something a traced function cannot do (TS1xxx)."""


class ConfigError(TesseraError, ValueError):
    """An option or a model configuration that is not valid (TS4xxx)."""


class CompileError(TesseraError, RuntimeError):
    """The compiler or the runtime refused (TS5xxx)."""


class CheckpointError(TesseraError, ValueError):
    """Weights or artefacts that are missing, misshapen or damaged (TS6xxx)."""


class DataError(TesseraError, ValueError):
    """Texts, tokens or data sets that are missing, damaged or do not fit (TS7xxx)."""


class TrainingError(TesseraError, RuntimeError):
    """A training that cannot go on (TS8xxx)."""


class NoAttribute(TraceError, AttributeError):
    """An attribute that a traced value or a module lacks, so that hasattr and getattr work."""


def did_you_mean(name: str, valid: Iterable[str], aliases: Mapping[str, str] | None = None) -> str | None:
    """A sentence naming the closest of `valid`; None if none is as close as a typing error.

    Args:
        aliases: what others call one of `valid`.
    """
    found = closest(str(name), [str(v) for v in valid], aliases)
    return f"did you mean '{found}'?" if found else None


def closest(name: str, valid: Sequence[str], aliases: Mapping[str, str] | None = None) -> str | None:
    """That of `valid` which differs from `name` by the fewest typing errors, at most a third of it."""
    known = (aliases or {}).get(name.lower())
    if known in valid:
        return known
    most = max(1, len(name) // 3)
    near = [v for v in valid if abs(len(v) - len(name)) <= most]
    # Of many names, the few that have most letters in common.
    near = difflib.get_close_matches(name, near, n=5, cutoff=0.3) if len(near) > 5 else near
    counted = [(_typing_errors(name.lower(), v.lower()), v) for v in near]
    counted = [(errors, v) for errors, v in counted if errors <= most and errors < len(name)]
    return min(counted)[1] if counted else None


def _typing_errors(a: str, b: str) -> int:
    """Letters left out, added, replaced or exchanged with their neighbour (Damerau, restricted)."""
    before: list[int] = []
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        oldest, before, row = before, row, [i]
        for j, y in enumerate(b, 1):
            least = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (x != y))
            if i > 1 and j > 1 and x == b[j - 2] and a[i - 2] == y:
                least = min(least, oldest[j - 2] + 1)
            row.append(least)
    return row[-1]


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
