# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What is in a checkpoint, and whether it is still what was written."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tessera._src.checkpoints.folders import has_files, is_step_folder, open_folder, step_folder, step_folders
from tessera._src.checkpoints.index import INDEX, FileInfo, Index, TensorInfo
from tessera._src.checkpoints.reading import Reader
from tessera._src.core.errors import CheckpointError


@dataclass(frozen=True)
class Contents:
    """What the index of a checkpoint says; printed, it is a table.

    Attributes:
        path: the folder.
        tensors: by name: .shape, .dtype ("F32", as in safetensors files), .bytes, .kind, and .pieces with
            the .file, .offset, .shape, .bytes and .hash of each.
        files: by name: .bytes of the whole file, .header (its hash).
        metadata: as it was saved.
        structure: of the tree, as JSON.
    """

    path: Path
    step: int
    tensors: Mapping[str, TensorInfo]
    files: Mapping[str, FileInfo]
    metadata: Any
    structure: str

    @property
    def bytes(self) -> int:
        """Of all tensors."""
        return sum(info.bytes for info in self.tensors.values())

    def __str__(self) -> str:
        rows = [(name, str(info), f"{info.bytes:,}", f"{len(info.pieces)}")
                for name, info in self.tensors.items()]
        rows.insert(0, ("tensor", "type", "bytes", "pieces"))
        widths = [max(len(row[column]) for row in rows) for column in range(4)]
        table = [f"{a:{widths[0]}}  {b:{widths[1]}}  {c:>{widths[2]}}  {d:>{widths[3]}}"
                 for a, b, c, d in rows]
        return "\n".join([
            f"{self.path}: step {self.step}, {len(self.tensors)} tensors of {self.bytes:,} bytes in "
            f"{len(self.files)} file{'s' * (len(self.files) != 1)}", *table, f"metadata: {self.metadata!r}"])


@dataclass(frozen=True)
class Problem:
    """Something in a checkpoint that is not as it was written.

    Attributes:
        file: its path.
        tensor: its name; None for damage that is in no tensor, or in all of the file.
        message: what is wrong.
    """

    file: Path
    tensor: str | None
    message: str

    def __str__(self) -> str:
        return f"{self.file}" + (f", tensor '{self.tensor}'" if self.tensor else "") + f": {self.message}"


def inspect(path: str | os.PathLike, *, step: int | None = None) -> Contents:
    """What is in a checkpoint: names, shapes, types, bytes, files and metadata; no element is read.

    Args:
        path: a directory of checkpoints, or the folder of one.
        step: which one of a directory; the newest complete one by default.

    Raises: CheckpointError: there is none (TS6001), or its index is damaged (TS6002).
    """
    folder, index = open_folder(path, step)
    return Contents(folder, index.step, index.tensors, index.files, index.metadata, index.structure)


def verify(path: str | os.PathLike, *, step: int | None = None) -> list[Problem]:
    """All that is not as it was written, by file and tensor; an empty list where nothing is.

    Reads every byte: the index, the headers, and the elements of every tensor.

    Args:
        path: a directory of checkpoints, or the folder of one.
        step: which one of a directory; by default all that are in it.

    Raises: CheckpointError: there is none (TS6001).
    """
    path = Path(path)
    all_steps = {} if is_step_folder(path) else step_folders(path)
    chosen = [folder for folder in all_steps.values() if has_files(folder)] if step is None else []
    problems = []
    for folder in chosen or [path]:
        if chosen and not (folder / INDEX).exists():
            problems.append(Problem(folder / INDEX, None, "it is gone"))
            continue
        try:
            folder, index = open_folder(folder, step)
        except CheckpointError as error:
            if error.code == "TS6001":
                raise
            folder = folder if step is None else step_folder(folder, step)
            problems.append(Problem(folder / INDEX, None, error.message))
        else:
            problems += _verify(folder, index)
    return problems


def _verify(folder: Path, index: Index) -> list[Problem]:
    reader = Reader(folder, index)
    problems: list[Problem] = []
    bad_files = set()
    for file in index.files:
        try:
            reader.header(file)
        except CheckpointError as error:
            bad_files.add(file)
            held = [name for name, info in index.tensors.items()
                    if any(piece.file == file for piece in info.pieces)]
            problems += [Problem(folder / file, name, error.message) for name in held or [None]]
    for name, info in index.tensors.items():
        if _overlap(info):
            problems.append(Problem(folder / INDEX, name, "pieces overlap"))
        for piece in info.pieces:
            if piece.file in bad_files:
                continue
            try:
                reader.read(name, info, piece, None)
            except CheckpointError as error:
                problems.append(Problem(folder / piece.file, name, error.message))
    return problems


def _overlap(info: TensorInfo) -> bool:
    """Whether two pieces have an element in common."""
    pieces = [piece for piece in info.pieces if piece.bytes]
    if len(pieces) < 2 or not info.shape:
        return len(pieces) > 1
    begin = np.array([piece.offset for piece in pieces])
    end = begin + np.array([piece.shape for piece in pieces])
    common = (np.maximum(begin[:, None], begin[None]) < np.minimum(end[:, None], end[None])).all(-1)
    return int(common.sum()) > len(pieces)
