# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The index of a checkpoint: what tensors there are, and where their pieces are, with hashes.

It is JSON, a line per tensor. The last line has the hash of all bytes before it, so that an index is known
to be complete, and a flipped byte of it is seen.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tessera._src.checkpoints import metadata as metadata_codec
from tessera._src.checkpoints.tensor_file import DTYPES, damaged, hash_of
from tessera._src.core.errors import CheckpointError

INDEX = "index.json"
FORMAT, VERSION = "tessera-checkpoint", 2
# Version 1 has another hash of elements; see ElementsHash.
_READ = (1, VERSION)
PART = re.compile(r"part-\d{5,}-of-\d{5,}\.safetensors")
_END = b'\n,"digest":"'


@dataclass(frozen=True)
class Piece:
    """A box of a tensor in one file: tensor[offset[0]:offset[0] + shape[0], ...].

    Attributes:
        key: what the file calls it.
        hash: "sha256:" and the SHA-256 of its elements, hexadecimal; in version 1 of the format BLAKE2b of
            16 bytes, without a name.
    """

    file: str
    key: str
    offset: tuple[int, ...]
    shape: tuple[int, ...]
    bytes: int
    hash: str


@dataclass(frozen=True)
class TensorInfo:
    """A whole tensor of a checkpoint.

    Attributes:
        dtype: its name in files: "F32", "BF16", "I64", "BOOL".
        kind: "array", or the Python type of a number: "int", "float", "bool".
        pieces: boxes that together are the tensor.
    """

    shape: tuple[int, ...]
    dtype: str
    kind: str
    pieces: tuple[Piece, ...]

    @property
    def bytes(self) -> int:
        """Bytes of all elements, each counted once."""
        return math.prod(self.shape) * DTYPES[self.dtype].itemsize

    def __str__(self) -> str:
        return f"{self.dtype}[{', '.join(map(str, self.shape))}]"


@dataclass(frozen=True)
class FileInfo:
    """A file of a checkpoint: all its bytes, and the hash of its header."""

    bytes: int
    header: str


@dataclass(frozen=True)
class Index:
    """All that a checkpoint's index says.

    Attributes:
        structure: the tree's, as core/tree_text.py writes it.
    """

    step: int
    structure: str
    metadata: Any
    files: dict[str, FileInfo] = field(default_factory=dict)
    tensors: dict[str, TensorInfo] = field(default_factory=dict)

    def encode(self) -> bytes:
        """The file's contents."""
        def text(value: Any) -> str:
            return json.dumps(value, separators=(",", ":"))

        def rows(items: dict[str, dict]) -> str:
            return "{\n" + ",\n".join(f"{text(key)}:{text(value)}" for key, value in items.items()) + "}"

        files = {name: vars(info) for name, info in self.files.items()}
        tensors = {name: {"shape": info.shape, "dtype": info.dtype, "kind": info.kind,
                          "pieces": [vars(piece) for piece in info.pieces]}
                   for name, info in self.tensors.items()}
        body = "\n,".join([
            f'{{"format":{text(FORMAT)}', f'"version":{VERSION}', f'"step":{self.step}',
            f'"structure":{text(self.structure)}',
            f'"metadata":{text(metadata_codec.encode(self.metadata))}',
            f'"files":{rows(files)}', f'"tensors":{rows(tensors)}']).encode()
        return body + _END + hash_of(body).encode() + b'"}\n'


def read_index(folder: Path) -> Index:
    """The index of a step's folder.

    Raises:
        CheckpointError: there is none (TS6001), it is damaged (TS6002), or it cannot be read or is of a
            format to come (TS6003).
    """
    path = folder / INDEX
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise CheckpointError("TS6001", f"{folder} has no {INDEX}",
                              hint="it is written before a folder gets its name, so that it was removed "
                              "since; load another step") from None
    except OSError as error:
        raise CheckpointError("TS6003", f"{path} cannot be read: {error.strerror or error}") from None
    body, _, end = data.rpartition(_END)
    if end != hash_of(body).encode() + b'"}\n':
        raise damaged(path, "its last line is not the hash of the others",
                      "load another step: ts.checkpoints.steps lists them")
    try:
        content = json.loads(data)
        version = content["version"]
        if content["format"] != FORMAT or version in _READ:
            return _decode(content)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise damaged(path, f"it is not the index of a checkpoint ({type(error).__name__}: {error})"
                      ) from None
    raise CheckpointError("TS6003", f"{path} has version {version!r} of the format",
                          expected=f"a version of at most {VERSION}", hint="load it with a newer tessera")


def _decode(content: dict) -> Index:
    """The index that parsed JSON says; ValueError and the like for what `encode` never writes."""
    if content["format"] != FORMAT:
        raise ValueError(f"format {content['format']!r}")
    files = {name: FileInfo(int(info["bytes"]), str(info["header"]))
             for name, info in content["files"].items()}
    for name in files:
        if not PART.fullmatch(name):  # Such as one that leads out of the folder.
            raise ValueError(f"a file of the name {name!r}")
    tensors = {name: _tensor(name, info, files) for name, info in content["tensors"].items()}
    return Index(int(content["step"]), str(content["structure"]),
                 metadata_codec.decode(content["metadata"]), files, tensors)


def _tensor(name: str, info: dict, files: dict[str, FileInfo]) -> TensorInfo:
    shape, itemsize = tuple(map(_size, info["shape"])), DTYPES[info["dtype"]].itemsize
    pieces = []
    for piece in info["pieces"]:
        offset, extent = tuple(map(_size, piece["offset"])), tuple(map(_size, piece["shape"]))
        inside = len(offset) == len(extent) == len(shape) and all(
            begin + size <= whole for begin, size, whole in zip(offset, extent, shape))
        if not inside or piece["file"] not in files or piece["bytes"] != math.prod(extent) * itemsize:
            raise ValueError(f"a piece of '{name}' outside of it")
        pieces.append(Piece(piece["file"], str(piece["key"]), offset, extent, piece["bytes"],
                            str(piece["hash"])))
    if info["kind"] != "array" and shape:
        raise ValueError(f"'{name}' as a number")
    # Boxes of one tensor's layout do not overlap, so that where they fill it they cover it.
    if (sum(math.prod(piece.shape) for piece in pieces) != math.prod(shape)
            or len({piece.offset for piece in pieces if piece.bytes})
            != sum(piece.bytes > 0 for piece in pieces)):
        raise ValueError(f"the pieces of '{name}' do not make it up")
    return TensorInfo(shape, info["dtype"], str(info["kind"]), tuple(pieces))


def _size(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"{value!r} as a size")
    return value
