# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What is before the weights in a GGUF file, the format of llama.cpp
(github.com/ggml-org/ggml/blob/master/docs/gguf.md): metadata by key, and where the tensors lie."""

from __future__ import annotations

import os
import struct
from typing import Any, NamedTuple

import numpy as np

_VERSIONS = (2, 3)
_ALIGNMENT = 32  # Of tensors, where the metadata says nothing else.
_STRING, _ARRAY = 8, 9
# NumPy's names of the types of values by their numbers; all are little-endian.
_NUMBERS = {0: "u1", 1: "i1", 2: "<u2", 3: "<i2", 4: "<u4", 5: "<i4", 6: "<f4", 7: "?", 10: "<u8", 11: "<i8",
            12: "<f8"}
_LENGTH = struct.Struct("<Q")


class TensorPlace(NamedTuple):
    """Where a tensor's elements lie.

    Attributes:
        shape: rows first, as in NumPy; the file has it the other way around.
        kind: the number of the format's type of elements.
        begin: of the data in the file, in bytes.
    """

    shape: tuple[int, ...]
    kind: int
    begin: int


class GGUFHeader(NamedTuple):
    """The contents of a file before its weights.

    Attributes:
        fields: the metadata: numbers, strings, lists of strings, NumPy arrays of numbers.
        tensors: by the format's names.
        data: the bytes of the file, u8, which are read when they are looked at.
    """

    fields: dict[str, Any]
    tensors: dict[str, TensorPlace]
    data: np.ndarray


def read_header(path: str | os.PathLike) -> GGUFHeader:
    """Reads a file's header.

    Raises: OSError; ValueError, which says what is wrong with the file.
    """
    data = np.memmap(path, np.uint8, "r")
    cursor = _Cursor(data)
    if bytes(data[:4]) != b"GGUF":
        raise ValueError(f"it begins with {bytes(data[:4])!r}, not b'GGUF'")
    cursor.at = 4
    version = cursor.number(4)
    if version not in _VERSIONS:
        raise ValueError(f"its version is {version}, not one of {', '.join(map(str, _VERSIONS))}")
    tensor_count, field_count = cursor.number(10), cursor.number(10)
    fields: dict[str, Any] = {}
    for _ in range(field_count):
        key = cursor.string()
        fields[key] = cursor.value(cursor.number(4))
    places: dict[str, TensorPlace] = {}
    for _ in range(tensor_count):
        name = cursor.string()
        shape = tuple(int(n) for n in reversed(cursor.numbers(10, cursor.number(4))))
        if name in places:
            raise ValueError(f"it has the tensor '{name}' twice")
        places[name] = TensorPlace(shape, cursor.number(4), cursor.number(10))
    alignment = fields.get("general.alignment", _ALIGNMENT)
    if not isinstance(alignment, int) or alignment < 1:
        raise ValueError(f"general.alignment is {alignment!r}")
    begin = -(-cursor.at // alignment) * alignment
    return GGUFHeader(fields, {name: place._replace(begin=begin + place.begin)
                               for name, place in places.items()}, data)


class _Cursor:
    """Reads values one after the other; ValueError where the file ends."""

    def __init__(self, data: np.ndarray):
        self.bytes, self.at = memoryview(data), 0

    def numbers(self, kind: int, count: int) -> np.ndarray:
        if kind not in _NUMBERS:
            raise ValueError(f"a value at byte {self.at} is of the unknown type {kind}")
        dtype = np.dtype(_NUMBERS[kind])
        if count * dtype.itemsize > len(self.bytes) - self.at:
            raise ValueError(f"it ends at byte {len(self.bytes)}, inside of a value")
        found = np.frombuffer(self.bytes, dtype, count, self.at)
        self.at += found.nbytes
        return found

    def number(self, kind: int) -> Any:
        return self.numbers(kind, 1)[0].item()

    def string(self) -> str:
        return self.strings(1)[0]

    def strings(self, count: int) -> list[str]:
        data, at, end, result = self.bytes, self.at, len(self.bytes), []
        for _ in range(count):
            begin = at + _LENGTH.size
            at = begin + _LENGTH.unpack_from(data, at)[0] if begin <= end else end + 1
            if at > end:
                raise ValueError(f"it ends at byte {end}, inside of a string")
            result.append(str(data[begin:at], "utf-8"))
        self.at = at
        return result

    def value(self, kind: int) -> Any:
        if kind == _STRING:
            return self.string()
        if kind != _ARRAY:
            return self.number(kind)
        of, count = self.number(4), self.number(10)
        if of == _ARRAY:
            return [self.value(of) for _ in range(count)]
        return self.strings(count) if of == _STRING else self.numbers(of, count)
