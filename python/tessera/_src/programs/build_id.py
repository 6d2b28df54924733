# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The build ID of a library: the linker's hash of the file, read without loading it.

It is the note NT_GNU_BUILD_ID of an ELF file (System V ABI, "Note Section"; 64 bits, little end
first, which is every machine the compiler runs on).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

_PT_NOTE, _NT_GNU_BUILD_ID = 4, 3


def build_id(path: Path) -> str:
    """The build ID as hexadecimal digits; "" where the file is not an ELF library or has none."""
    try:
        with open(path, "rb") as file:
            found = [data for kind, name, data in _notes(file)
                     if (kind, name) == (_NT_GNU_BUILD_ID, b"GNU\0")]
    except (OSError, struct.error):
        return ""
    return found[0].hex() if found else ""


def _notes(file: BinaryIO) -> Iterator[tuple[int, bytes, bytes]]:
    """Type, name and description of every note."""
    head = file.read(64)
    if head[:6] != b"\x7fELF\x02\x01":
        return
    table, size, count = *struct.unpack_from("<Q", head, 32), *struct.unpack_from("<HH", head, 54)
    for i in range(count):
        file.seek(table + i * size)
        kind, _, offset, _, _, length = struct.unpack("<IIQQQQ", file.read(40))
        if kind != _PT_NOTE:
            continue
        file.seek(offset)
        rest = file.read(length)
        while len(rest) >= 12:
            named, described, what = struct.unpack_from("<III", rest)
            begin = 12 + -(-named // 4) * 4
            yield what, rest[12 : 12 + named], rest[begin : begin + described]
            rest = rest[begin + -(-described // 4) * 4 :]
