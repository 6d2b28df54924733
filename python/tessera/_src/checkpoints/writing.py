# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Writing a checkpoint: the files, their index last, then the rename that makes it one."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from tessera._src.arrays.copying import copy_all
from tessera._src.checkpoints import folders
from tessera._src.checkpoints.block_file import BLOCK, BlockFile
from tessera._src.checkpoints.index import INDEX, FileInfo, Index, Piece, TensorInfo
from tessera._src.checkpoints.pieces import NAMES, Source
from tessera._src.checkpoints.retention import Retention, remove_old
from tessera._src.checkpoints.tensor_file import ElementsHash, bytes_view, encode_header, hash_of, key_of
from tessera._src.core import source
from tessera._src.core.errors import CheckpointError


@dataclass
class Job:
    """A checkpoint to be written.

    Attributes:
        tensors: shape, type and kind of every tensor of the tree, by name.
        count: of files.
        place: the user's call of save, for errors.
    """

    directory: Path
    step: int
    structure: str
    metadata: Any
    tensors: dict[str, tuple[tuple[int, ...], str, str]]
    sources: list[Source]
    count: int
    retention: Retention
    place: source.Location | None

    @property
    def folder(self) -> Path:
        """Where the checkpoint is once it is complete."""
        return folders.step_folder(self.directory, self.step)


def write(job: Job) -> None:
    """Writes a checkpoint, and removes those that do not stay.

    Raises:
        CheckpointError: it cannot be written, as on a full disk (TS6005), the step is there already or
            another process is saving (TS6009). Other checkpoints are as they were then, and nothing is
            left of this one.
    """
    try:
        os.makedirs(job.directory, exist_ok=True)
        with folders.locked(job.directory, job.place) as is_alone:
            check_is_new(job)
            if is_alone:
                folders.clean(job.directory)
            _write_folder(job)
            remove_old(job.directory, job.retention, job.step)
    except OSError as error:
        # The cause counts, not where in the folder that is gone again.
        raise CheckpointError(
            "TS6005", f"{job.folder} cannot be written: {error.strerror or error}",
            notes=[f"there were {_size_text(sum(piece.bytes for piece in job.sources))} to write",
                   _what_is_there(job)], location=job.place,
            hint="free space, or save into a directory that has it (keep=... removes old checkpoints)"
            if error.errno in folders.NO_SPACE else None) from None


def check_is_new(job: Job) -> None:
    """Raises CheckpointError (TS6009) where the step is there already."""
    if (job.folder / INDEX).exists():
        raise CheckpointError("TS6009", f"{job.folder} is there already", location=job.place,
                              hint="saved checkpoints never change: remove it, or save into another "
                                   "directory")


def _what_is_there(job: Job) -> str:
    newest = folders.latest(job.directory)
    if newest is None:
        return "there is no complete checkpoint before it"
    return f"the newest complete checkpoint is still that of step {newest}"


def _size_text(count: int) -> str:
    for unit in ("bytes", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.4g} {unit}"
        count /= 1024  # type: ignore[assignment]
    return f"{count:.4g} GiB"


def _write_folder(job: Job) -> None:
    folder = folders.hidden_folder(job.directory, job.step, "tmp")
    os.mkdir(folder)
    try:
        index = Index(job.step, job.structure, job.metadata)
        pieces: dict[str, list[Piece]] = {name: [] for name in job.tensors}
        # For one piece after the other.
        copied = np.empty(max((piece.bytes for piece in job.sources if piece.elements is None), default=0),
                          np.uint8)
        for number in range(job.count):
            name = f"part-{number:05d}-of-{job.count:05d}.safetensors"
            sources = [piece for piece in job.sources if piece.number == number]
            index.files[name] = _write_part(folder / name, sources, pieces, copied)
        for name, (shape, dtype, kind) in job.tensors.items():
            index.tensors[name] = TensorInfo(shape, dtype, kind, tuple(pieces[name]))
        with open(folder / INDEX, "xb") as file:
            file.write(index.encode())
            _sync(file)
        _sync_folder(folder)
        os.rename(folder, job.folder)
        _sync_folder(job.directory)
    except BaseException:  # KeyboardInterrupt too.
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _write_part(path: Path, sources: list[Source], pieces: dict[str, list[Piece]],
                copied: np.ndarray) -> FileInfo:
    """Writes one file, and adds what is in it to `pieces`; `copied` is memory for any one of them."""
    # Wide elements first, so that all are aligned for those who map the file.
    sources = sorted(sources, key=lambda piece: -piece.dtype.itemsize)
    header = encode_header({key_of(piece.name): (NAMES[piece.dtype], piece.shape) for piece in sources})
    with BlockFile(path) as file:
        file.write(np.frombuffer(header, np.uint8))
        for piece in sources:
            elements = piece.elements
            if elements is None:
                elements = piece.array_in(copied)
                copy_all([(piece.origin, elements)])
            data = bytes_view(elements)
            hasher = ElementsHash()
            for begin in range(0, data.size, BLOCK):
                part = data[begin:begin + BLOCK]
                file.write(part)
                hasher.update(part)
            pieces[piece.name].append(Piece(path.name, key_of(piece.name), piece.offset, piece.shape,
                                            data.size, hasher.text()))
        file.finish()
        return FileInfo(file.size, hash_of(header))


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _sync_folder(path: Path) -> None:
    """Makes names in a folder last, where the system can."""
    try:
        file = os.open(path, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(file)
    except OSError:
        pass
    finally:
        os.close(file)
