# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Tensors of a checkpoint, read piece by piece, with their hashes checked."""

from __future__ import annotations

import itertools
import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np

from tessera._src.checkpoints.block_file import BLOCK
from tessera._src.checkpoints.index import Index, Piece, TensorInfo
from tessera._src.checkpoints.tensor_file import (
    DTYPES,
    ElementsHash,
    Place,
    bytes_view,
    damaged,
    hash_of,
    read_header,
)
from tessera._src.core import source
from tessera._src.core.errors import CheckpointError

# Each reads and hashes; more than a few are no faster than the disk.
_MOST_THREADS = 4
_WAY_OUT = "load another step (ts.checkpoints.steps lists them); ts.checkpoints.verify finds all damage"


class Reader:
    """Reads tensors of one checkpoint; each file's header is read and checked once."""

    def __init__(self, folder: Path, index: Index):
        self.folder, self.index = folder, index
        self._headers: dict[str, dict[str, Place]] = {}

    def header(self, file: str) -> dict[str, Place]:
        """Where the tensors are in a file.

        Raises: CheckpointError (TS6001, TS6002), also where it is not the file that was written.
        """
        if file not in self._headers:
            path, known = self.folder / file, self.index.files[file]
            header, places = read_header(path)
            if hash_of(header) != known.header:
                raise damaged(path, "its header is not what was written", _WAY_OUT)
            size = path.stat().st_size
            if size != known.bytes:
                raise damaged(path, f"it has {size} bytes, {known.bytes} were written", _WAY_OUT)
            self._headers[file] = places
        return self._headers[file]

    def tensors(self, wanted: Sequence[tuple[str, bool]]) -> Iterator[np.ndarray]:
        """Whole tensors one after the other, while a few threads read those that follow.

        Args:
            wanted: names, each with whether its elements are no longer used once the next one is asked for:
                their memory is then used again, as new memory takes longer to get than to read into.

        Raises: CheckpointError (TS6001, TS6002), which names file and tensor.
        """
        threads = min(_MOST_THREADS, os.cpu_count() or 1)
        largest = max((self.index.tensors[name].bytes for name, is_lent in wanted if is_lent), default=0)
        pool = ThreadPoolExecutor(threads, initializer=source.work_for, initargs=(source.caller_location(),))
        reading: deque[tuple[Future, np.ndarray | None]] = deque()
        free: list[np.ndarray] = []
        rest = iter(wanted)
        try:
            while True:
                for name, is_lent in itertools.islice(rest, threads - len(reading)):
                    memory = None
                    if is_lent:
                        memory = free.pop() if free else np.empty(largest, np.uint8)
                    reading.append((pool.submit(self.tensor, name, memory), memory))
                if not reading:
                    return
                result, memory = reading.popleft()
                yield result.result()
                if memory is not None:
                    free.append(memory)
        finally:
            pool.shutdown(cancel_futures=True)

    def tensor(self, name: str, memory: np.ndarray | None = None) -> np.ndarray:
        """A whole tensor, at the beginning of `memory` where some is given.

        Raises: CheckpointError (TS6001, TS6002), which names file and tensor.
        """
        info = self.index.tensors[name]
        dtype = DTYPES[info.dtype]
        result = (np.empty(info.shape, dtype) if memory is None
                  else memory[:info.bytes].view(dtype).reshape(info.shape))
        for piece in info.pieces:
            part = result[tuple(slice(begin, begin + size)
                                for begin, size in zip(piece.offset, piece.shape))] if info.shape else result
            if part.flags.c_contiguous:
                self.read(name, info, piece, part)
            else:
                elements = np.empty(piece.shape, result.dtype)
                self.read(name, info, piece, elements)
                part[...] = elements
        return result

    def read(self, name: str, info: TensorInfo, piece: Piece, into: np.ndarray | None) -> None:
        """Reads a piece into a contiguous array, or only checks it."""
        path = self.folder / piece.file
        place = self.header(piece.file).get(piece.key)
        if place is None or (place.dtype, place.shape) != (info.dtype, piece.shape):
            raise damaged(path, f"it does not have tensor '{name}' as {piece.key}: "
                          f"{info.dtype}{list(piece.shape)}", _WAY_OUT)
        data = None if into is None else bytes_view(into)
        buffer = np.empty(min(BLOCK, piece.bytes), np.uint8) if data is None else data
        hasher = ElementsHash(like=piece.hash)
        try:
            with open(path, "rb", buffering=0) as file:
                file.seek(place.begin)
                done = 0
                while done < piece.bytes:
                    count = min(BLOCK, piece.bytes - done)
                    begin = 0 if data is None else done
                    got = file.readinto(buffer[begin:begin + count].data)
                    if not got:
                        raise damaged(path, f"it ends within tensor '{name}'", _WAY_OUT)
                    hasher.update(buffer[begin:begin + got])
                    done += got
        except OSError as error:
            raise CheckpointError("TS6001", f"{path} cannot be read at tensor '{name}': "
                                  f"{error.strerror or error}", hint=_WAY_OUT) from None
        if hasher.text() != piece.hash:
            raise damaged(path, f"the elements of tensor '{name}'{_box(info, piece)} are not those that were "
                          "written", _WAY_OUT)


def _box(info: TensorInfo, piece: Piece) -> str:
    """Which part of a tensor a piece is; nothing for all of it."""
    if piece.shape == info.shape:
        return ""
    return "[" + ", ".join(f"{begin}:{begin + size}" for begin, size in zip(piece.offset, piece.shape)) + "]"
