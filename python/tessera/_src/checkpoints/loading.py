# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""ts.checkpoints.load: tensors by name into a tree, in the layouts that are wanted now."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tessera._src.arrays.array import Array, ShapeDtypeStruct
from tessera._src.arrays.placing import device_put
from tessera._src.checkpoints.folders import open_folder
from tessera._src.checkpoints.index import Index
from tessera._src.checkpoints.pieces import NUMBERS, dtype_of, named_leaves
from tessera._src.checkpoints.reading import Reader
from tessera._src.checkpoints.tensor_file import DTYPES
from tessera._src.core import dtypes, tree, tree_text
from tessera._src.core.errors import CheckpointError, did_you_mean
from tessera._src.meshes.mesh import NamedSharding, PartitionSpec

_LISTED = 12


@dataclass(frozen=True)
class Loaded:
    """What a checkpoint had.

    Attributes:
        tree: the tensors, in the structure that was asked for.
        step: which one it is.
        metadata: as it was saved.
        left_out: what strict=False passed over: for each name why, in words; else empty.
    """

    tree: Any
    step: int
    metadata: Any
    left_out: dict[str, str]


def load(directory: str | os.PathLike, like: Any = None, *, step: int | None = None,
         strict: bool = True) -> Loaded:
    """Loads a checkpoint that any mesh has saved, in the layouts of `like`.

    Tensors are found by name, their path in the tree. They are read by a few threads, no more at a time
    than there are of these, and the hash of every one is checked: what loads is what was saved, bit for
    bit. Nothing is converted.

    Args:
        directory: has the steps, or is the folder of one.
        like: a tree whose leaves say what is wanted: a ts.Array or ts.ShapeDtypeStruct gives a ts.Array in
            its layout (without one, on the host), an array of NumPy one of NumPy, a number of Python such
            a number. None for the tree that was saved, on the host; classes that are not
            there are stood for by named tuples.
        step: which one; the newest complete one by default.
        strict: False gives what there is. A tensor that is missing or of another shape or type stays what
            it is in `like`, which must then be an array, and one that `like` does not name is not read;
            each is named in `.left_out`.

    Raises:
        CheckpointError: there is none (TS6001), it is damaged, by file and tensor (TS6002), or it does not
            have just the tensors of `like`: one error lists all that differ (TS6006).
    """
    folder, index = open_folder(directory, step)
    if like is None:
        return _load_as_saved(folder, index)
    named, treedef = named_leaves(like)
    left_out = _differences(folder, index, named, strict)
    tensors = Reader(folder, index).tensors([
        (name, _is_placed(leaf)) for name, leaf in named.items() if name not in left_out])
    leaves = [leaf if name in left_out else _as(leaf, next(tensors)) for name, leaf in named.items()]
    return Loaded(tree.unflatten(treedef, leaves), index.step, index.metadata, left_out)


def _load_as_saved(folder: Path, index: Index) -> Loaded:
    treedef = tree_text.from_text(index.structure)
    if treedef is None or treedef.count != len(index.tensors):
        raise CheckpointError("TS6006", f"{folder} does not say in which tree its tensors were",
                              hint="pass like=..., a tree of arrays or of ts.ShapeDtypeStruct")
    leaves = []
    tensors = Reader(folder, index).tensors([(name, False) for name in index.tensors])
    for info, value in zip(index.tensors.values(), tensors):
        if info.kind != "array":
            leaves.append(value.item())
        else:
            leaves.append(Array(value) if value.dtype in dtypes.MLIR_NAMES else value)
    return Loaded(tree.unflatten(treedef, leaves), index.step, index.metadata, {})


def _wanted(name: str, leaf: Any) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and type that a leaf of `like` asks for."""
    dtype = leaf.dtype if isinstance(leaf, ShapeDtypeStruct) else dtype_of(leaf)
    if dtype is None:
        raise CheckpointError("TS6006", f"'{name}' of like is a {type(leaf).__name__}, which is no tensor",
                              expected="arrays of ts or NumPy, ts.ShapeDtypeStruct, and numbers")
    return tuple(getattr(leaf, "shape", ())), dtype


def _differences(folder: Path, index: Index, named: dict[str, Any], strict: bool) -> dict[str, str]:
    """Names that do not fit, with why; raises where that is not allowed, listing all."""
    wanted = {name: _wanted(name, leaf) for name, leaf in named.items()}
    unexpected = [name for name in index.tensors if name not in named]
    found: dict[str, str] = {}
    problems = []
    for name, (shape, dtype) in wanted.items():
        info = index.tensors.get(name)
        text = _text(shape, dtype)
        if info is None:
            close = did_you_mean(name, unexpected)
            problems.append(f"missing '{name}' {text}" + (f" ({close})" if close else ""))
            found[name] = "missing"
        elif info.shape != shape:
            problems.append(f"'{name}' has shape {list(info.shape)}, expected {list(shape)}")
            found[name] = f"has shape {list(info.shape)}, expected {list(shape)}"
        elif DTYPES[info.dtype] != dtype:
            problems.append(f"'{name}' is {_text(shape, DTYPES[info.dtype])}, expected {text}")
            found[name] = f"is {_text(shape, DTYPES[info.dtype])}, expected {text}"
        if name in found and not strict and _has_no_value(named[name]):
            found[name] += ", and like has no elements to stand for it"
    kept = [name for name in found if _has_no_value(named[name])]
    for name in unexpected:
        info = index.tensors[name]
        problems.append(f"unexpected '{name}' {_text(info.shape, DTYPES[info.dtype])}")
        found[name] = f"unexpected: {_text(info.shape, DTYPES[info.dtype])} is not loaded"
    if not strict:
        problems = [f"'{name}' {found[name]}" for name in kept]
    if problems:
        more = len(problems) - _LISTED
        raise CheckpointError(
            "TS6006",
            f"{folder} does not fit the tree: {len(problems)} problem{'s' * (len(problems) > 1)}",
            notes=problems[:_LISTED] + ([f"and {more} more"] if more > 0 else []),
            hint="pass the tree that was saved, of the same model and optimizer"
            + (", or strict=False for what fits" if strict else ", with arrays for what may be missing"))
    return found


def _has_no_value(leaf: Any) -> bool:
    return isinstance(leaf, ShapeDtypeStruct) or (isinstance(leaf, Array) and leaf.is_deleted())


def _text(shape: tuple[int, ...], dtype: np.dtype) -> str:
    return f"{dtypes.name_of(dtype)}{list(shape)}"


def _is_placed(leaf: Any) -> bool:
    """Whether a tensor is placed on devices, which copies it, in the form that a leaf of `like` has."""
    return (isinstance(leaf, (Array, ShapeDtypeStruct))
            and isinstance(leaf.sharding, (NamedSharding, PartitionSpec)))


def _as(leaf: Any, value: np.ndarray) -> Any:
    """A tensor in the form that a leaf of `like` has."""
    if type(leaf) in NUMBERS:
        return value.item()
    if isinstance(leaf, np.generic):
        return value[()]
    if isinstance(leaf, np.ndarray):
        return value
    if not _is_placed(leaf):
        return Array(value)
    sharding = leaf.sharding
    if not isinstance(leaf, Array):
        return device_put(value, sharding)
    device = "cpu" if leaf.is_deleted() else next(iter(leaf.devices())).platform
    result = device_put(value, sharding, device=device)
    # A layout that a program chose stays one: it binds no other mesh.
    return result if result._placed is None else Array.of_placed(leaf.kind, result._placed, leaf._given)
