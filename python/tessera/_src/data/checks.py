# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Checks of options, and reading files with errors that name them."""

from __future__ import annotations

import operator
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tessera._src.core.errors import ConfigError, DataError

# A path or several.
Paths = str | os.PathLike | Sequence[str | os.PathLike]


def whole(name: str, value: Any, least: int, most: int = 2**63 - 1) -> int:
    """`value` as an int; raises unless it is a whole number from `least` to `most`."""
    try:
        if isinstance(value, bool):
            raise TypeError
        number = operator.index(value)
    except TypeError:
        raise ConfigError("TS4006", f"{name} is {value!r}", expected="a whole number") from None
    if not least <= number <= most:
        bound = f"at least {least}" if number < least else f"at most {most}"
        raise ConfigError("TS4006", f"{name} is {number}", expected=f"a whole number of {bound}")
    return number


def size_of(path: str) -> int:
    """Bytes of a file that is there and not empty; raises otherwise."""
    try:
        if os.path.isdir(path):
            raise DataError("TS7001", f"{path} is a folder", expected="a file",
                            hint=f"list the files: sorted(Path({str(path)!r}).glob('*'))")
        size = os.stat(path).st_size
    except OSError as error:
        raise unreadable(path, error) from None
    if size == 0:
        raise DataError("TS7001", f"{path} is empty")
    return size


def unreadable(path: Any, error: OSError) -> DataError:
    """The error for a file that the system does not open or read."""
    if isinstance(error, FileNotFoundError):
        folder = Path(path).parent
        near = "" if folder.is_dir() else f"there is no folder {folder}"
        return DataError("TS7001", f"{path} does not exist", hint=near or None)
    return DataError("TS7001", f"{path} cannot be read: {error.strerror or error}")


def listed(paths: Paths) -> list[str]:
    """The paths as a list of strings; raises if there are none."""
    several = [paths] if isinstance(paths, (str, os.PathLike)) else list(paths)
    if not several:
        raise DataError("TS7001", "the list of files is empty", expected="at least one path")
    return [os.fspath(path) for path in several]
