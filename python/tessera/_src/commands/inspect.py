# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Prints what a checkpoint or a model's files hold; no element is read."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tessera._src.checkpoints.folders import is_step_folder, step_folders, steps
from tessera._src.checkpoints.inspecting import inspect
from tessera._src.checkpoints.tensor_file import read_header
from tessera._src.core.errors import CheckpointError
from tessera._src.programs.reports import Table

_NUMBER = re.compile(r"\d+")
# Of metadata that is printed; --json has all.
_MAX_LINES, _MAX_WIDTH = 40, 100


@dataclass(frozen=True)
class _Tensor:
    name: str
    shape: tuple[int, ...]
    dtype: str
    bytes: int
    files: tuple[str, ...]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("path", metavar="PATH", help="a folder of checkpoints, that of one step, a model's "
                        "folder, or a .safetensors file")
    parser.add_argument("--step", type=int, help="of a folder of checkpoints; the newest by default")
    parser.add_argument("--all", action="store_true", help="a row per tensor; else one for all that differ "
                        "in numbers of their names only")
    parser.add_argument("--json", action="store_true", help="prints all as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Prints the contents.

    Raises:
        CheckpointError: there is nothing of the kind, or its index or a header is damaged.
    """
    path = Path(arguments.path)
    is_checkpoint = path.is_dir() and (is_step_folder(path) or step_folders(path))
    found = _checkpoint(path, arguments.step) if is_checkpoint else _model(path, arguments.step)
    if arguments.json:
        found["tensors"] = {t.name: {"shape": list(t.shape), "dtype": t.dtype, "bytes": t.bytes,
                                     "files": list(t.files)} for t in found["tensors"]}
        print(json.dumps(found, indent=2, default=str))
    else:
        print("\n".join(_lines(found, arguments.all)))
    return 0


def _checkpoint(path: Path, step: int | None) -> dict[str, Any]:
    contents = inspect(path, step=step)
    tensors = [_Tensor(name, info.shape, info.dtype, info.bytes,
                       tuple(dict.fromkeys(piece.file for piece in info.pieces)))
               for name, info in contents.tensors.items()]
    others = [] if is_step_folder(path) else [s for s in steps(path) if s != contents.step]
    return {"path": str(contents.path), "kind": "checkpoint", "step": contents.step, "other_steps": others,
            "bytes": contents.bytes, "files": {name: info.bytes for name, info in contents.files.items()},
            "metadata": contents.metadata, "tensors": tensors}


def _model(path: Path, step: int | None) -> dict[str, Any]:
    """A .safetensors file, or the folder of a model with such files."""
    expected = "a folder that ts.checkpoints.save or save_pretrained wrote, or a .safetensors file"
    if not path.exists():
        raise CheckpointError("TS6001", f"{path} does not exist", expected=expected)
    if step is not None:
        raise CheckpointError("TS6001", f"{path} has no steps", hint="leave --step out")
    files = sorted(path.glob("*.safetensors")) if path.is_dir() else [path]
    if not files:
        raise CheckpointError("TS6001", f"{path} holds neither a checkpoint nor a model", expected=expected)
    tensors = []
    for file in files:
        try:
            header = read_header(file)[1]
        except CheckpointError as error:
            if error.code != "TS6002" or file.suffix == ".safetensors":
                raise
            raise CheckpointError("TS6001", f"{path} is not a .safetensors file", expected=expected,
                                  hint="tessera generate runs models of .gguf files"
                                  if file.suffix == ".gguf" else None) from None
        for name, place in header.items():
            tensors.append(_Tensor(name, place.shape, place.dtype, place.end - place.begin, (file.name,)))
    metadata = {}
    if path.is_dir() and (path / "config.json").exists():
        try:
            metadata = json.loads((path / "config.json").read_bytes())
        except (OSError, ValueError) as error:
            raise CheckpointError("TS6002", f"{path / 'config.json'} is damaged: {error}") from None
    return {"path": str(path), "kind": "model", "bytes": sum(t.bytes for t in tensors),
            "files": {file.name: file.stat().st_size for file in files}, "metadata": metadata,
            "tensors": tensors}


def _lines(found: Mapping[str, Any], is_full: bool) -> Iterator[str]:
    tensors, files = found["tensors"], found["files"]
    elements = sum(_count(t.shape) for t in tensors)
    where = f"step {found['step']}, " if "step" in found else ""
    yield (f"{found['path']}: {where}{len(tensors):,} tensors, {elements:,} elements, {found['bytes']:,} "
           f"bytes in {len(files)} file{'s' * (len(files) != 1)}")
    if found.get("other_steps"):
        yield f"other steps: {', '.join(map(str, found['other_steps']))}"
    yield ""
    yield str(Table(_rows(tensors, is_full), ("tensor", "count", "type", "bytes")))
    parts = _by_root(tensors)
    if len(parts) > 1:
        yield ""
        yield str(Table(parts, ("part", "tensors", "elements", "bytes")))
    # Last what is longest, a training's configuration.
    lines = sorted(_flat(found["metadata"]), key=lambda line: line.startswith("config."))
    if lines:
        yield ""
        yield "metadata:" if found["kind"] == "checkpoint" else "config.json:"
        yield from (f"  {line if len(line) <= _MAX_WIDTH else line[: _MAX_WIDTH - 3] + '...'}"
                    for line in lines[:_MAX_LINES])
        if len(lines) > _MAX_LINES:
            yield f"  and {len(lines) - _MAX_LINES} more, which --json has"


def _rows(tensors: list[_Tensor], is_full: bool) -> list[dict[str, Any]]:
    """A row per tensor, or per group of tensors of one type and shape whose names differ in numbers only."""
    groups: dict[tuple, list[_Tensor]] = {}
    for tensor in tensors:
        name = tensor.name if is_full else _NUMBER.sub("*", tensor.name)
        groups.setdefault((name, tensor.dtype, tensor.shape), []).append(tensor)
    return [{"tensor": members[0].name if len(members) == 1 else name, "count": len(members),
             "type": f"{dtype}[{', '.join(map(str, shape))}]", "bytes": f"{sum(t.bytes for t in members):,}"}
            for (name, dtype, shape), members in groups.items()]


def _by_root(tensors: list[_Tensor]) -> list[dict[str, Any]]:
    """A row per part of the tree at its root, such as weights and optimizer."""
    parts: dict[str, list[_Tensor]] = {}
    for tensor in tensors:
        parts.setdefault(tensor.name.partition(".")[0], []).append(tensor)
    return [{"part": name, "tensors": len(members), "elements": f"{sum(_count(t.shape) for t in members):,}",
             "bytes": f"{sum(t.bytes for t in members):,}"} for name, members in parts.items()]


def _count(shape: tuple[int, ...]) -> int:
    count = 1
    for size in shape:
        count *= size
    return count


def _flat(value: Any, path: str = "") -> Iterator[str]:
    """Lines "path: value" of nested dictionaries."""
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from _flat(item, f"{path}.{key}" if path else str(key))
    elif value is not None and path:
        yield f"{path}: {value!r}" if isinstance(value, str) else f"{path}: {value}"
    elif value not in (None, {}):
        yield repr(value)
