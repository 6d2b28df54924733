# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Files of the safetensors format: a length of 8 bytes, a header in JSON, then the elements.

https://github.com/huggingface/safetensors has the format. It is written here piece by piece, since the
library wants all tensors of a file at once; what is written is read by the library as by this package.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np

from tessera._src.core.errors import CheckpointError

DTYPES: dict[str, np.dtype] = {
    "F64": np.dtype(np.float64), "F32": np.dtype(np.float32), "F16": np.dtype(np.float16),
    "BF16": np.dtype(ml_dtypes.bfloat16), "F8_E4M3": np.dtype(ml_dtypes.float8_e4m3fn),
    "F8_E5M2": np.dtype(ml_dtypes.float8_e5m2), "I64": np.dtype(np.int64), "I32": np.dtype(np.int32),
    "I16": np.dtype(np.int16), "I8": np.dtype(np.int8), "U64": np.dtype(np.uint64),
    "U32": np.dtype(np.uint32), "U16": np.dtype(np.uint16), "U8": np.dtype(np.uint8),
    "BOOL": np.dtype(np.bool_),
}
NAMES: dict[np.dtype, str] = {dtype: name for name, dtype in DTYPES.items()}
# Of a header, as the library has it: a length beyond is damage, not something to allocate.
_MAX_HEADER = 100_000_000


class Place(NamedTuple):
    """Where a tensor is in a file: its type and shape, and its bytes, from the begin of the file."""

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


def hash_of(data: Any) -> str:
    """The hash of headers and indices: BLAKE2b of 16 bytes."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()


class ElementsHash:
    """The hash of a tensor's elements: SHA-256, for which processors have instructions.

    Args:
        like: a hash that was written, whose kind is taken. Version 1 of the format has BLAKE2b of 16 bytes,
            written without the name.
    """

    def __init__(self, like: str = "sha256:"):
        self._name = "sha256:" if like.startswith("sha256:") else ""
        self._hasher = hashlib.sha256() if self._name else hashlib.blake2b(digest_size=16)

    def update(self, data: np.ndarray) -> None:
        """Adds bytes."""
        self._hasher.update(data.data)

    def text(self) -> str:
        """As indices have it: "sha256:" and hexadecimal digits."""
        return self._name + self._hasher.hexdigest()


def key_of(name: str) -> str:
    """What a file calls a tensor: its name, unless the format has another use for it."""
    return "tensor:" + name if name == "__metadata__" else name


def encode_header(tensors: Mapping[str, tuple[str, tuple[int, ...]]],
                  metadata: Mapping[str, str] | None = None) -> bytes:
    """The length and the header of a file with these tensors (type, shape), which follow in this order."""
    content: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    offset = 0
    for key, (dtype, shape) in tensors.items():
        end = offset + math.prod(shape) * DTYPES[dtype].itemsize
        content[key] = {"dtype": dtype, "shape": list(shape), "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(content, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def read_header(path: str | os.PathLike) -> tuple[bytes, dict[str, Place]]:
    """The length and header as they are in the file, and what they say.

    Raises:
        CheckpointError: the file is not there (TS6001), is damaged (TS6002) or cannot be read (TS6003).
    """
    path = Path(path)
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            first = file.read(8)
            length = int.from_bytes(first, "little")
            if len(first) < 8 or length > min(_MAX_HEADER, size - 8):
                raise damaged(path, f"its header has {length} bytes, the whole file {size}")
            text = file.read(length)
    except FileNotFoundError:
        raise CheckpointError("TS6001", f"{path} does not exist") from None
    except OSError as error:
        raise CheckpointError("TS6003", f"{path} cannot be read: {error.strerror or error}") from None
    try:
        content = json.loads(text)
        content.pop("__metadata__", None)
        places = {key: _place(entry, 8 + length) for key, entry in content.items()}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise damaged(path, f"its header says no tensors ({type(error).__name__}: {error})") from None
    for key, place in places.items():
        dtype = DTYPES.get(place.dtype)
        needed = None if dtype is None else math.prod(place.shape) * dtype.itemsize
        bytes_ = place.end - place.begin
        if place.begin < 8 + length or place.end > size or (
                bytes_ < 0 if needed is None else bytes_ != needed):
            raise damaged(path, f"tensor '{key}' has bytes {place.begin}:{place.end} of {size}, "
                          f"as {place.dtype}{list(place.shape)}")
    return first + text, places


def _place(entry: Any, data: int) -> Place:
    begin, end = entry["data_offsets"]
    shape = tuple(entry["shape"])
    if not all(isinstance(n, int) and n >= 0 for n in (*shape, begin, end)):
        raise ValueError("sizes that are no numbers")
    return Place(str(entry["dtype"]), shape, data + begin, data + end)


def damaged(path: Path, why: str, hint: str = "get it again from where it came from") -> CheckpointError:
    """The error for a file with other contents than were written."""
    return CheckpointError("TS6002", f"{path} is damaged: {why}", hint=hint)


def bytes_view(array: np.ndarray) -> np.ndarray:
    """The bytes of a contiguous array, as they are in a file."""
    return array.reshape(-1).view(np.uint8)
