# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What programs print goes to sys.stdout, wherever that leads at the time."""

from __future__ import annotations

import ctypes
import sys
import threading
from typing import Any

_failure = threading.local()


@ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t)
def _write(line: int, size: int) -> int:
    """Called by a library in the thread that runs a program; what goes wrong ends the run."""
    try:
        out = sys.stdout
        if out is not None:  # As for builtins.print.
            # In one piece: other threads print, too.
            out.write(ctypes.string_at(line, size).decode("utf-8", "replace") + "\n")
            if hasattr(out, "flush"):
                out.flush()
        return 0
    except BaseException as error:  # KeyboardInterrupt, too: here the main thread sees it.
        _failure.error = error
        return 1


def connect(library: Any, name: str) -> None:
    """Makes a library that was just opened print here, by its function of this name."""
    set_print = getattr(library, name)
    set_print.restype, set_print.argtypes = None, [type(_write)]
    set_print(_write)


def raise_failure() -> None:
    """Raises the error of a print that ended the last run in this thread, if one did."""
    error, _failure.error = getattr(_failure, "error", None), None
    if error is not None:
        raise error
