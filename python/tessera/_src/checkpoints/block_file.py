# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""New files that are written in large blocks, past the system's cache of files where it can be.

A checkpoint is not read again soon. Through the cache it would take as much memory again, the time of a copy
into it, and a burst of writing at the end; the time is that of cores which a training needs.
"""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

try:
    import fcntl
except ImportError:  # Of another system.
    fcntl = None  # type: ignore[assignment]

# Bytes of a block: enough for the speed of a disk, few enough to be in a processor's cache when they are
# hashed and copied.
BLOCK = 4 << 20
# What addresses, offsets and sizes must be multiples of where the cache is passed by.
_PAGE = 4096
_DIRECT = getattr(os, "O_DIRECT", 0)


class BlockFile:
    """A new file to append to. Used in a `with`; on disk once `finish` has returned.

    Raises: OSError, as the system says it, such as for a full disk.
    """

    def __init__(self, path: Path):
        memory = np.empty(BLOCK + _PAGE, np.uint8)
        skipped = -memory.ctypes.data % _PAGE
        self._block = memory[skipped:skipped + BLOCK]
        self._filled = 0
        self.size = 0
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0)
                             | getattr(os, "O_BINARY", 0), 0o666)
        # Not at opening, since a system that cannot would have made the file before it says so.
        self._is_direct = False
        self._pass_cache(True)

    def __enter__(self) -> BlockFile:
        return self

    def __exit__(self, *_: Any) -> None:
        os.close(self._file)

    def write(self, data: np.ndarray) -> None:
        """Appends bytes, at most a block of them at a time for the sake of the caller's caches."""
        done = 0
        while done < data.size:
            count = min(data.size - done, BLOCK - self._filled)
            self._block[self._filled:self._filled + count] = data[done:done + count]
            self._filled += count
            done += count
            if self._filled == BLOCK:
                self._flush()
        self.size += data.size

    def finish(self) -> None:
        """Writes what is left, and waits until all is on disk."""
        self._pass_cache(False)  # What is left is no multiple of a page.
        self._flush()
        os.fsync(self._file)

    def _flush(self) -> None:
        done = 0
        while done < self._filled:
            try:
                done += os.write(self._file, self._block[done:self._filled].data)
            except OSError as error:
                # A disk with larger pages, or the rest of a block that was written in part.
                if error.errno != errno.EINVAL or not self._is_direct:
                    raise
                self._pass_cache(False)
                if self._is_direct:
                    raise
        self._filled = 0

    def _pass_cache(self, wanted: bool) -> None:
        """Sets whether writing passes the system's cache by, where it can be set."""
        if fcntl is None or not _DIRECT or not sys.platform.startswith("linux") or wanted == self._is_direct:
            return
        flags = fcntl.fcntl(self._file, fcntl.F_GETFL)
        try:
            fcntl.fcntl(self._file, fcntl.F_SETFL, flags | _DIRECT if wanted else flags & ~_DIRECT)
        except OSError:  # Of a file system that is all cache, such as tmpfs.
            return
        self._is_direct = wanted
