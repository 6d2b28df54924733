# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Files that are there whole or not at all."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from pathlib import Path


def is_same_file(a: str, b: str) -> bool:
    """Whether two paths are one file, now or once it is written, however they are spelt.

    "", "-" and devices do not count as files.
    """
    if a in ("", "-") or b in ("", "-"):
        return False
    if os.path.exists(a) and os.path.exists(b):
        return os.path.isfile(a) and os.path.samefile(a, b)
    return os.path.realpath(a) == os.path.realpath(b)


def kind_of(path: str | os.PathLike) -> str | None:
    """What is at a path: "file" (or a device), "folder", or None for nothing.

    Raises: OSError: it cannot be looked at, as in a folder that may not be entered.
    """
    try:
        mode = os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValueError as error:  # A zero byte, which no path has.
        raise OSError(errno.EINVAL, str(error), os.fspath(path)) from None
    return "folder" if stat.S_ISDIR(mode) else "file"


def write_whole(path: str | os.PathLike, data: bytes) -> None:
    """Writes `data` to a temporary file beside `path` and renames it.

    Whatever interrupts this (a full disk, Ctrl-C) leaves what was at `path` as it was and no other
    file. Links are followed; devices and pipes are written directly.

    Raises: OSError, whose filename is `path`.
    """
    target = Path(os.path.realpath(path))
    try:
        if target.exists() and not target.is_file():
            with open(target, "wb") as device:
                device.write(data)
            return
        # Not mkstemp, whose files only their owner may read.
        beside = target.with_name(f".{target.name}.{secrets.token_hex(6)}.tmp")
        with open(beside, "xb") as file:
            try:
                file.write(data)
                file.flush()
                os.replace(beside, target)
            except BaseException:
                beside.unlink()
                raise
    except OSError as error:
        raise type(error)(error.errno, error.strerror, str(path)) from None

