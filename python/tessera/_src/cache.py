# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Compiled programs on disk: ~/.cache/tessera, or TESSERA_CACHE_DIR; TESSERA_CACHE=0 turns it off.

An entry is one file named by the hash of everything that determines it: the program's text, the
options and the compiler's version. It is written to a temporary name and renamed, so readers never
see half an entry; one that does not read back is ignored.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import zlib
from pathlib import Path
from typing import Any

_MAGIC = b"TSCACHE1"


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
    size = int.from_bytes(data[len(_MAGIC) + 4 : header], "little")
    if zlib.crc32(data[header:]) != check:
        return None
    return data[header + size :], json.loads(data[header : header + size])


def store(key: str, artefact: bytes, report: dict) -> None:
    """Adds an entry; a cache that cannot be written is no error."""
    place = directory()
    if place is None:
        return
    text = json.dumps(report).encode()
    body = text + artefact
    head = _MAGIC + zlib.crc32(body).to_bytes(4, "little") + len(text).to_bytes(8, "little")
    try:
        place.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=place)
        with os.fdopen(handle, "wb") as file:
            file.write(head + body)
        os.replace(name, place / key)
    except OSError:
        return
