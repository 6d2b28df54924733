# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Weights of a folder as Hugging Face writes them: one safetensors file, or several with an index."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tessera._src.core import dtypes
from tessera._src.core.errors import CheckpointError, ConfigError
from tessera._src.models.checkpoint import Opened, check_readable, is_any_of
from tessera._src.models.configuration import read_json

SINGLE_FILE, INDEX = "model.safetensors", "model.safetensors.index.json"
# The names that safetensors has for types, by NumPy's.
_TYPES = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}


@dataclass(frozen=True)
class FileTensor:
    """A tensor of a file, which is read when NumPy asks for its elements.

    Attributes:
        dtype: of what is read: floats are converted to it.
    """

    path: Path
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        with Opened(self.path) as file:
            return np.asarray(file.get_tensor(self.name).astype(self.dtype, copy=False), dtype)


class FileWeights(Mapping[str, FileTensor]):
    """The weights of a folder by name; none is read before it is used.

    Args:
        dtype: what floats are converted to; None keeps the type that they all have.
        ignore: patterns of names that are left out.
        rename: from a name of the files to that of the model.

    Attributes:
        left_out: the files of what is left out, by the model's names.
    """

    def __init__(self, directory: Path, dtype: np.dtype | None = None, ignore: Sequence[str] = (),
                 rename: Callable[[str], str] = str):
        self.directory = directory
        kinds: dict[str, str] = {}
        self._tensors: dict[str, FileTensor] = {}
        self.left_out: dict[str, Path] = {}
        for path, names in _files_of(directory).items():
            with Opened(path) as file:
                held = set(file.keys())
                for name in sorted(held) if names is None else names:
                    if name not in held:
                        raise CheckpointError("TS6002", f"{path} has no tensor '{name}', which {INDEX} says "
                                              "it has", hint="download or write the folder again")
                    if is_any_of(name, ignore):
                        self.left_out[rename(name)] = path
                        continue
                    part = file.get_slice(name)
                    kind = kinds[name] = part.get_dtype()
                    check_readable(path, name, kind)
                    wanted = dtype
                    if dtype is None or kind not in _TYPES:
                        wanted = dtypes.canonical(_TYPES.get(kind) or file.get_tensor(name).dtype)
                    self._tensors[rename(name)] = FileTensor(path, name, tuple(part.get_shape()), wanted)
        floats = {kind for kind in kinds.values() if kind in _TYPES}
        if dtype is None and len(floats) != 1:
            raise CheckpointError("TS6002", f"the weights of {directory} are of types {sorted(floats)}",
                                  expected="one type", hint="pass dtype=, such as ts.f32")
        self.dtype: np.dtype = dtype if dtype is not None else dtypes.canonical(_TYPES[floats.pop()])

    def check_tied(self, head: str, table: str) -> None:
        """Raises where the files have a head that is not the embedding, which is to be both.

        Args:
            head, table: their names in the files of the head, and in the model of the embedding.
        """
        path = self.left_out.get(head)
        if path is None or table not in self._tensors:
            return
        shared = self._tensors[table]
        with Opened(path) as file:
            check_readable(path, head, file.get_slice(head).get_dtype())
        own = np.asarray(FileTensor(path, head, shared.shape, shared.dtype))
        if not np.array_equal(own, np.asarray(shared), equal_nan=True):
            raise CheckpointError(
                "TS6006", f"{self.directory} has a '{head}' other than '{shared.name}', and config.json says "
                "that they are one (tie_word_embeddings)", expected="equal weights, or none of that name",
                hint='read both with from_pretrained(folder, config={"tie_word_embeddings": False}), or '
                     f"remove '{head}' from the files")

    def __getitem__(self, name: str) -> FileTensor:
        return self._tensors[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)


def _files_of(directory: Path) -> dict[Path, list[str] | None]:
    """The files with weights, and the names of each; None for all that it has."""
    if (directory / SINGLE_FILE).exists():
        return {directory / SINGLE_FILE: None}
    if not (directory / INDEX).exists():
        others = sorted(p.name for p in directory.iterdir()) if directory.is_dir() else []
        raise CheckpointError("TS6001", f"{directory} has no {SINGLE_FILE} and no {INDEX}",
                              got=", ".join(others[:12]) or "no such folder, or nothing in it")
    table = read_json(directory / INDEX)
    names = table.get("weight_map") if isinstance(table, dict) else None
    if not isinstance(names, dict) or not all(isinstance(n, str) for n in names.values()):
        raise CheckpointError("TS6002", f"{directory / INDEX} has no weight_map of names and files")
    files: dict[Path, list[str] | None] = {}
    for name, file in names.items():
        if os.path.basename(file) != file:
            raise CheckpointError("TS6002", f"{directory / INDEX} names the file '{file}'",
                                  expected="a file of the same folder")
        files.setdefault(directory / file, []).append(name)  # type: ignore[union-attr]
    return files


def write_folder(directory: str | os.PathLike, config: Mapping[str, Any], state: Mapping[str, Any],
                 max_shard_bytes: int = 5 * 10**9, beside: Mapping[str, Any] | None = None) -> None:
    """Writes config.json and the weights: one file, or several with an index where they are larger.

    Args:
        beside: contents of further files of JSON, by name.
    """
    from safetensors.numpy import save_file

    if max_shard_bytes < 1:
        raise ConfigError("TS4012", f"max_shard_bytes={max_shard_bytes}", expected="at least 1")
    directory = Path(directory)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        shards: list[dict[str, Any]] = [{}]
        sizes = [0]
        for name, value in state.items():
            size = int(np.prod(value.shape)) * np.dtype(value.dtype).itemsize
            if shards[-1] and sizes[-1] + size > max_shard_bytes:
                shards.append({})
                sizes.append(0)
            shards[-1][name] = value
            sizes[-1] += size
        count = len(shards)
        files = [SINGLE_FILE] if count == 1 else [f"model-{i + 1:05}-of-{count:05}.safetensors"
                                                  for i in range(count)]
        for file, shard in zip(files, shards):
            save_file({name: np.ascontiguousarray(value) for name, value in shard.items()},
                      str(directory / file), metadata={"format": "pt"})
        for stale in (SINGLE_FILE, INDEX):
            if count > 1 or stale == INDEX:
                (directory / stale).unlink(missing_ok=True)
        if count > 1:
            table = {"metadata": {"total_size": sum(sizes)},
                     "weight_map": {name: file for file, shard in zip(files, shards) for name in shard}}
            (directory / INDEX).write_text(json.dumps(table, indent=2))
        for file, data in {"config.json": config, **(beside or {})}.items():
            (directory / file).write_text(json.dumps(dict(data), indent=2) + "\n")
    except OSError as error:
        raise CheckpointError("TS6005", f"{directory} cannot be written: {error.strerror or error}") from None
