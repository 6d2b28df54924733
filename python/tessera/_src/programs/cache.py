# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Compiled programs on disk: ~/.cache/tessera, or TESSERA_CACHE_DIR; TESSERA_CACHE=0 turns it off.

An entry is one file named by the hash of everything that determines it: the program's text, the
options, the compiler's version and the processor. It is written to a temporary name and renamed, so
readers never see half an entry; one that does not read back is ignored. Past TESSERA_CACHE_LIMIT
bytes (1 GiB by default) the entries unused for longest are deleted.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import platform
import zlib
from functools import lru_cache
from pathlib import Path
from typing import Any

from tessera._src.core.files import write_whole

# An entry: this, the CRC-32 of all that follows, the size of the report (8 bytes), the report, the
# artefact.
_MAGIC = b"TSCACHE2"
DEFAULT_LIMIT = 1 << 30
# The file that holds the bytes of all entries.
_COUNT = ".bytes"


def directory() -> Path | None:
    """Where entries are, or None when the cache is off."""
    if os.environ.get("TESSERA_CACHE", "1") == "0":
        return None
    base = os.environ.get("TESSERA_CACHE_DIR")
    if base:
        return Path(base)
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(home) / "tessera"


def key_of(*parts: Any) -> str:
    """The name of an entry."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else json.dumps(part, sort_keys=True).encode()
        digest.update(len(data).to_bytes(8, "little") + data)
    return digest.hexdigest()


@lru_cache(maxsize=None)
def machine() -> str:
    """The machine that host code is compiled for: several machines may share a folder of entries."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return f"{platform.machine()} {platform.processor()}"
    wanted = ("model name", "flags", "Features", "CPU part")
    return "\n".join(dict.fromkeys(line for line in lines if line.startswith(wanted)))


def load(key: str) -> tuple[bytes, dict] | None:
    """The artefact and the report of an entry."""
    place = directory()
    if place is None:
        return None
    try:
        data = (place / key).read_bytes()
    except OSError:
        return None
    header = len(_MAGIC) + 12
    if data[: len(_MAGIC)] != _MAGIC or len(data) < header:
        return None
    check = int.from_bytes(data[len(_MAGIC) : len(_MAGIC) + 4], "little")
    if zlib.crc32(data[len(_MAGIC) + 4 :]) != check:
        return None
    size = int.from_bytes(data[len(_MAGIC) + 4 : header], "little")
    with contextlib.suppress(OSError):
        os.utime(place / key)  # The order in which entries are deleted.
    return data[header + size :], json.loads(data[header : header + size])


def store(key: str, artefact: bytes, report: dict) -> None:
    """Adds an entry; failing to write it is not an error."""
    place = directory()
    if place is None:
        return
    text = json.dumps(report).encode()
    body = len(text).to_bytes(8, "little") + text + artefact
    head = _MAGIC + zlib.crc32(body).to_bytes(4, "little")
    try:
        place.mkdir(parents=True, exist_ok=True)
        write_whole(place / key, head + body)
        _count(place, len(head) + len(body))
    except OSError:
        return


def limit() -> int:
    """Bytes that entries may have together."""
    try:
        return int(os.environ.get("TESSERA_CACHE_LIMIT", DEFAULT_LIMIT))
    except ValueError:
        return DEFAULT_LIMIT


def _count(place: Path, added: int) -> None:
    """Counts what was added; deletes the oldest entries once the limit is passed.

    The folder is read only then, and where there is no count yet: with many entries that takes longer
    than all else. The count is too high where an entry was replaced or deleted, until the next reading.
    """
    with open(os.open(place / _COUNT, os.O_RDWR | os.O_CREAT, 0o666), "r+") as file:
        with contextlib.suppress(OSError):  # Without locks the count is less exact.
            fcntl.flock(file, fcntl.LOCK_EX)
        text = file.read()
        total = int(text) + added if text.isascii() and text.isdigit() else None
        if total is None or total > limit():
            total = _shrink(place)
        file.seek(0)
        file.truncate()
        file.write(str(total))


def _shrink(place: Path) -> int:
    """Deletes the oldest entries, to three quarters of the limit, once it is passed; the bytes left."""
    most = limit()
    with os.scandir(place) as entries:
        found = [(e.stat().st_mtime, e.stat().st_size, e.path) for e in entries
                 if e.is_file() and e.name != _COUNT]
    total = sum(size for _, size, _ in found)
    if total <= most:
        return total
    for _, size, path in sorted(found):
        with contextlib.suppress(OSError):  # Another process may delete it, too.
            os.unlink(path)
        total -= size
        if total <= most * 3 // 4:
            break
    return total
