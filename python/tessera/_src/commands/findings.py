# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What `tessera doctor` finds."""

from __future__ import annotations

from typing import NamedTuple

OK, WARNING, PROBLEM = "ok", "warning", "problem"


class Finding(NamedTuple):
    """One thing that was looked at.

    Attributes:
        name: what it is: "compiler", "memory".
        status: OK, WARNING (works, but slower or with less), or PROBLEM (does not work).
        message: what was found.
        fix: a way out; "" where none is needed.
    """

    name: str
    status: str
    message: str
    fix: str = ""


def ok(name: str, message: str, fix: str = "") -> Finding:
    """All is well; `fix` is what could be had besides."""
    return Finding(name, OK, message, fix)


def warning(name: str, message: str, fix: str) -> Finding:
    """It works, but slower or with less."""
    return Finding(name, WARNING, message, fix)


def problem(name: str, message: str, fix: str) -> Finding:
    """It does not work."""
    return Finding(name, PROBLEM, message, fix)


def size_text(count: float) -> str:
    """A number of bytes with two or three digits: 950 MiB."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1000:
            break
        count /= 1024
    else:
        unit = "TiB"
    return f"{count:.1f} {unit}" if count < 10 and unit != "B" else f"{count:.0f} {unit}"
