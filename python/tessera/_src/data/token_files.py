# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Files of tokens as Megatron-LM has them: NAME.bin holds the tokens, NAME.idx where documents are.

Little-endian, without gaps. The .idx, as megatron/core/datasets/indexed_dataset.py has it:

    9 bytes  "MMIDIDX\\0\\0"
    u64      version, 1
    u8       element type of the .bin: 1 u8, 2 i8, 3 i16, 4 i32, 5 i64, 8 u16 (6 and 7 are floats)
    u64      S, the number of sequences
    u64      D, the number of document indices
    i32[S]   tokens of each sequence
    i64[S]   byte offset of each sequence in the .bin
    i64[D]   document d is the sequences from entry d up to entry d + 1; the first entry is 0
    i8[S]    modes of the sequences, in files with several modalities only

A document of one sequence is the rule; cutting it into sentences makes several.
"""

from __future__ import annotations

import functools
import os
import secrets
import struct
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from tessera._src.core.errors import ConfigError, DataError
from tessera._src.data.checks import size_of, unreadable, whole
from tessera._src.data.tokens import FlatTokens, TokenSource, as_tokens

_MAGIC = b"MMIDIDX\x00\x00"
_HEAD = struct.Struct("<9sQBQQ")
_TYPES = {1: "<u1", 2: "<i1", 3: "<i2", 4: "<i4", 5: "<i8", 8: "<u2"}
_FLOATS = {6, 7}
_DOCUMENTS_AT_ONCE = 1024  # Written together,
_LONG = 1 << 16  # or up to one of this many tokens.
_CHECKED_AT_ONCE = 1 << 24  # Tokens.
_SAMPLE = 1 << 16  # Bytes of each piece of a file's checksum,
_SAMPLES = 1 << 10  # and how many there are at most.
_CODES = {np.dtype(name): code for code, name in _TYPES.items()}


class TokenFile(FlatTokens):
    """The documents of NAME.bin and NAME.idx, in Megatron-LM's format; the tokens are memory-mapped.

    In memory are 16 bytes for each document. Sequences of one document are read as one.

    Args:
        path: NAME, NAME.bin or NAME.idx.
        vocab_size: ids are checked against it when they are read.

    Attributes: tokens (all of them, a view of the file), lengths, path (NAME).

    Raises:
        DataError: a file is missing (TS7001); its header, sizes, offsets or length are wrong (TS7002).
    """

    def __init__(self, path: str | os.PathLike, *, vocab_size: int | None = None):
        self.path = _stem(path)
        index, data = f"{self.path}.idx", f"{self.path}.bin"
        dtype, sizes, bounds = _read_index(index)
        total = int(sizes.sum())
        try:
            bytes_there = os.stat(data).st_size
        except OSError as error:
            raise unreadable(data, error) from None
        if bytes_there != total * dtype.itemsize:
            what = "truncated" if bytes_there < total * dtype.itemsize else "longer than its index says"
            raise DataError("TS7002", f"{data} is {what}", got=f"{bytes_there} bytes",
                            expected=f"{total * dtype.itemsize} bytes: {total} tokens of {dtype.name}, as "
                                     f"{index} says", hint="write or copy both files again")
        try:
            tokens = np.memmap(data, dtype, "r") if total else np.empty(0, dtype)
        except OSError as error:
            raise unreadable(data, error) from None
        # The last entry is the end, where reduceat has nothing to add up.
        ends = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])[bounds]
        # A plain array: slices of a memmap take longer to make.
        super().__init__(np.asarray(tokens), np.diff(ends), vocab_size)

    def where(self, number: int) -> str:
        return f"{self.path}.bin: document {number}"

    def identity(self) -> dict[str, Any]:
        """The type and a checksum of the tokens: of all up to 64 MiB, of 1024 pieces of 64 KiB in larger
        files, the first and the last ones among them."""
        return {"dtype": self.tokens.dtype.name, "sampled_crc32": self._checksum}

    @functools.cached_property
    def _checksum(self) -> int:
        data = self.tokens.view(np.uint8)
        if data.size <= _SAMPLE * _SAMPLES:
            return zlib.crc32(data)
        checksum = 0
        for begin in np.linspace(0, data.size - _SAMPLE, _SAMPLES).astype(np.int64):
            checksum = zlib.crc32(data[begin:begin + _SAMPLE], checksum)
        return checksum

    def check(self) -> None:
        """Reads all tokens and raises if one is outside of the vocabulary (TS7004)."""
        limit = 2**31 if self.vocab_size is None else self.vocab_size
        for first in range(0, len(self.tokens), _CHECKED_AT_ONCE):
            piece = self.tokens[first:first + _CHECKED_AT_ONCE]
            if int(piece.min()) < 0 or int(piece.max()) >= limit:
                place = first + int(np.flatnonzero((piece < 0) | (piece >= limit))[0])
                number = int(np.searchsorted(np.cumsum(self.lengths), place, "right"))
                self.read(np.array([number]), np.array([0]), self.lengths[[number]])  # Raises.


def _stem(path: str | os.PathLike) -> str:
    name = os.fspath(path)
    return name[:-4] if name.endswith((".bin", ".idx")) else name


def _read_index(path: str) -> tuple[np.dtype, np.ndarray, np.ndarray]:
    """Element type, tokens of each sequence, and first sequences of documents with the end."""

    def wrong(message: str, expected: Any, got: Any) -> DataError:
        return DataError("TS7002", f"{path}: {message}", expected=expected, got=got,
                         hint="ts.data.write_token_file writes such files, and so does the "
                              "preprocess_data.py of Megatron-LM")

    size = size_of(path)
    try:
        with open(path, "rb") as file:
            head = file.read(_HEAD.size)
            if head[:len(_MAGIC)] != _MAGIC:
                raise wrong("not an index of tokens", f"it begins with {_MAGIC!r}", head[:len(_MAGIC)])
            if len(head) < _HEAD.size:
                raise wrong("truncated", f"a header of {_HEAD.size} bytes", f"{size} bytes")
            _, version, code, sequences, entries = _HEAD.unpack(head)
            if version != 1:
                raise wrong("unknown version", 1, version)
            if code not in _TYPES:
                kind = "floats" if code in _FLOATS else "an unknown type"
                raise wrong(f"its tokens are of {kind}", "a code of 1, 2, 3, 4, 5 or 8", code)
            plain = _HEAD.size + 12 * sequences + 8 * entries
            if size not in (plain, plain + sequences):
                raise wrong("truncated" if size < plain else "its length does not fit its header",
                            f"{plain} bytes for {sequences} sequences and {entries} document indices",
                            f"{size} bytes")
            sizes = np.fromfile(file, "<i4", sequences)
            offsets = np.fromfile(file, "<i8", sequences)
            bounds = np.fromfile(file, "<i8", entries)
            modes = np.fromfile(file, "<i1", sequences if size > plain else 0)
    except OSError as error:
        raise unreadable(path, error) from None
    dtype = np.dtype(_TYPES[code])
    if (sizes < 0).any():
        place = int(np.flatnonzero(sizes < 0)[0])
        raise wrong(f"sequence {place} has a negative length", "at least 0", int(sizes[place]))
    total = np.cumsum(sizes, dtype=np.int64)
    places = (total - sizes) * dtype.itemsize
    if (offsets != places).any():
        place = int(np.flatnonzero(offsets != places)[0])
        raise wrong(f"sequence {place} does not follow the one before", f"offset {places[place]}",
                    f"offset {offsets[place]}")
    if entries < 1 or bounds[0] != 0 or bounds[-1] != sequences or (np.diff(bounds) < 0).any():
        raise wrong("its document indices are not an ascending row", f"from 0 to {sequences}",
                    f"{entries} from {bounds[0]} to {bounds[-1]}" if entries else "none")
    if modes.any():
        raise wrong("it has several modalities", "mode 0, tokens of text", int(modes[modes != 0][0]))
    if entries == 1:
        raise DataError("TS7005", f"{path} has no documents")
    return dtype, sizes, bounds


def write_token_file(path: str | os.PathLike, documents: Iterable[Any], *, dtype: Any = None,
                     vocab_size: int | None = None) -> None:
    """Writes documents of tokens to NAME.bin and NAME.idx, which Megatron-LM and ts.data.TokenFile read.

    At most 1024 documents are in memory at a time. The files are written beside and renamed when they
    are whole.

    Args:
        path: NAME, NAME.bin or NAME.idx.
        documents: a source of tokens (ts.data.Tokenized(...)), or any iterable of rows of integers.
        dtype: element type, of u8, i8, i16, i32, i64 and u16. If not given, u16 where vocab_size is known
            and below 65500, else i32, as Megatron-LM chooses.
        vocab_size: ids are checked against it. If not given, that of the source.

    Raises:
        ConfigError (TS4006): an element type that the format does not have.
        DataError: a token that is outside of the vocabulary or does not fit the element type (TS7004);
            no documents (TS7005); the file cannot be written (TS7001).
    """
    name = _stem(path)
    if vocab_size is None:
        vocab_size = getattr(documents, "vocab_size", None)
    if vocab_size is not None:
        vocab_size = whole("vocab_size", vocab_size, 1, 2**31)
    kind = _element_type(dtype, vocab_size)
    where = documents.where if isinstance(documents, TokenSource) else "document {}".format
    mark = f".{secrets.token_hex(6)}.tmp"
    data, index = Path(f"{name}.bin{mark}"), Path(f"{name}.idx{mark}")
    writing = _Writing(name)
    sizes: list[int] = []
    held: list[np.ndarray] = []
    try:
        with writing:
            file = open(data, "xb")
        with file:

            def write_held() -> None:
                row = _checked(held, kind, vocab_size, where, len(sizes))
                with writing:
                    file.write(row.tobytes())
                    file.flush()
                sizes.extend(map(len, held))
                held.clear()

            for number, document in enumerate(documents):
                held.append(as_tokens(document, "document {}".format, number))
                # Short documents together, which is many times faster.
                if len(held) == _DOCUMENTS_AT_ONCE or len(held[-1]) > _LONG:
                    write_held()
            write_held()
        if not sizes:
            raise DataError("TS7005", f"there are no documents to write to {name}.bin")
        with writing:
            index.write_bytes(_index_bytes(np.array(sizes, np.int64), kind))
            # Without an index, rather than with an old one of other tokens, if it ends here.
            Path(f"{name}.idx").unlink(missing_ok=True)
            os.replace(data, f"{name}.bin")
            os.replace(index, f"{name}.idx")
    finally:
        data.unlink(missing_ok=True)
        index.unlink(missing_ok=True)


class _Writing:
    """Within it, what the system refuses is a DataError."""

    def __init__(self, name: str):
        self._name = name

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError):
            raise DataError("TS7001", f"{self._name}.bin cannot be written: "
                            f"{error.strerror or error}") from None


def _element_type(dtype: Any, vocab_size: int | None) -> np.dtype:
    if dtype is None:
        return np.dtype("<u2" if vocab_size is not None and vocab_size < 65500 else "<i4")
    try:
        kind = np.dtype(dtype).newbyteorder("<")
    except TypeError:
        kind = None
    if kind not in _CODES:
        raise ConfigError("TS4006", f"dtype of write_token_file is {dtype!r}",
                          choices=[known.name for known in _CODES])
    return kind


def _checked(rows: list[np.ndarray], kind: np.dtype, vocab_size: int | None, where: Any,
             first: int) -> np.ndarray:
    """Documents joined, in the element type; the number of the first one is for messages."""
    limits = np.iinfo(kind)
    most = int(limits.max) if vocab_size is None else min(int(limits.max), vocab_size - 1)
    joined = np.concatenate([np.empty(0, np.int8), *rows])
    if joined.size and (int(joined.min()) < 0 or int(joined.max()) > most):
        for number, row in enumerate(rows, first):
            wrong = np.flatnonzero((row < 0) | (row > most))
            if wrong.size:
                reason = f"does not fit {kind.name}" if most == limits.max else "is outside of the vocabulary"
                raise DataError("TS7004", f"{where(number)}: token {row[wrong[0]]} at {wrong[0]} {reason}",
                                expected=f"ids from 0 to {most}")
    for number, row in enumerate(rows, first):
        if len(row) >= 2**31:
            raise DataError("TS7005", f"{where(number)} has {len(row)} tokens",
                            expected="fewer than 2^31, which the format's lengths hold")
    return joined.astype(kind, copy=False)


def _index_bytes(sizes: np.ndarray, kind: np.dtype) -> bytes:
    head = _HEAD.pack(_MAGIC, 1, _CODES[kind], len(sizes), len(sizes) + 1)
    offsets = (np.cumsum(sizes) - sizes) * kind.itemsize
    return b"".join([head, sizes.astype("<i4").tobytes(), offsets.astype("<i8").tobytes(),
                     np.arange(len(sizes) + 1, dtype="<i8").tobytes()])
