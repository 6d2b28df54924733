# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The tensors of a tree, and the pieces in which they are written: what each process would hold."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from tessera._src.arrays.array import Array, Shard
from tessera._src.checkpoints.tensor_file import DTYPES, NAMES
from tessera._src.core import tree
from tessera._src.core.errors import CheckpointError
from tessera._src.tracing.tracer import Tracer

# A number of Python as a tensor.
NUMBERS: dict[type, np.dtype] = {
    bool: np.dtype(np.bool_), int: np.dtype(np.int64), float: np.dtype(np.float64),
}


@dataclass
class Source:
    """A piece that is to be written.

    Attributes:
        number: of the file it goes into.
        origin: what has its elements, perhaps in another order of bytes.
        elements: as they are written, contiguous; None before they are copied from `origin`.
    """

    name: str
    number: int
    offset: tuple[int, ...]
    shape: tuple[int, ...]
    dtype: np.dtype
    origin: Shard | np.ndarray
    elements: np.ndarray | None = None

    @property
    def bytes(self) -> int:
        """Of its elements."""
        return math.prod(self.shape) * self.dtype.itemsize

    def array_in(self, memory: np.ndarray, begin: int = 0) -> np.ndarray:
        """Bytes of `memory` as an array of its shape and type."""
        return memory[begin:begin + self.bytes].view(self.dtype).reshape(self.shape)


def named_leaves(value: Any) -> tuple[dict[str, Any], tree.TreeDef]:
    """The leaves of a tree by path, "params.layer.0.weight"; one that is all of the tree is "value".

    Raises: CheckpointError (TS6008) where two have one name.
    """
    leaves, treedef = tree.flatten(value)
    names = [path or "value" for path in tree.paths(treedef)]
    named = dict(zip(names, leaves))
    if len(named) < len(names):
        twice = next(name for i, name in enumerate(names) if name in names[:i])
        raise CheckpointError("TS6008", f"two tensors of the tree are called '{twice}'",
                              hint="use keys without dots, and of one type")
    return named, treedef


def dtype_of(leaf: Any) -> np.dtype | None:
    """The type that a leaf has in files, in the byte order of files; None where it is no tensor."""
    if type(leaf) in NUMBERS:
        return NUMBERS[type(leaf)]
    if not isinstance(leaf, (Array, np.ndarray, np.generic)) or isinstance(leaf, np.ma.MaskedArray):
        return None
    dtype = leaf.dtype
    return dtype.newbyteorder("<") if dtype.kind in "fiu" and dtype.byteorder == ">" else dtype


def check_leaf(name: str, leaf: Any) -> None:
    """Raises CheckpointError (TS6008) for what cannot be saved."""
    dtype = dtype_of(leaf)
    if isinstance(leaf, Tracer):
        raise CheckpointError("TS6008", f"'{name}' is being traced, and has no elements",
                              hint="save outside of ts.jit, ts.grad and the like")
    if dtype is None:
        hint = "save what is no tensor as metadata=..."
        if hasattr(leaf, "__dlpack__"):
            hint = "make it an array first: ts.asarray(x)"
        raise CheckpointError("TS6008", f"'{name}' is a {type(leaf).__name__}, which is no tensor",
                              expected="arrays of ts or NumPy, and numbers", hint=hint)
    if dtype not in NAMES:
        raise CheckpointError("TS6008", f"'{name}' has element type {dtype}, which files cannot hold",
                              choices=[str(known) for known in DTYPES.values()])
    if isinstance(leaf, Array) and leaf.is_deleted():
        raise CheckpointError("TS6008", f"'{name}' was donated or deleted, and has no elements any more",
                              hint="save what the call returned")
    if type(leaf) is int and not -(1 << 63) <= leaf < 1 << 63:
        raise CheckpointError("TS6008", f"'{name}' is {leaf}, which 64 bits cannot hold",
                              hint="save it as metadata=...")


def pieces_of(named: dict[str, Any]) -> tuple[list[Source], int]:
    """What is written, and into how many files: one for each device of the largest mesh.

    Each distinct part of a tensor is written once: of the devices that hold it, by the one with least to
    write so far.
    """
    for name, leaf in named.items():
        check_leaf(name, leaf)
    shards = {name: leaf.addressable_shards for name, leaf in named.items() if isinstance(leaf, Array)}
    count = max([len(held) for held in shards.values()], default=1)
    load = [0] * count
    sources = []
    for name, leaf in named.items():
        for source, holders in _parts(name, leaf, shards.get(name), count):
            source.number = min(holders, key=lambda number: (load[number], number))
            load[source.number] += source.bytes
            sources.append(source)
    return sources, count


def _parts(name: str, leaf: Any, held: list | None, count: int) -> list[tuple[Source, list[int]]]:
    """The distinct parts of a tensor, each with the numbers of the devices that hold it."""
    dtype = dtype_of(leaf)
    assert dtype is not None
    shape = tuple(getattr(leaf, "shape", ()))
    if held is None or len(held) == 1:  # On the host or one device: anyone may write it.
        source = Source(name, 0, (0,) * len(shape), shape, dtype,
                        held[0] if held else np.asarray(leaf, NUMBERS.get(type(leaf))))
        if isinstance(source.origin, np.ndarray) and source.origin.dtype == dtype \
                and source.origin.flags.c_contiguous:
            source.elements = source.origin
        return [(source, list(range(count)))]
    parts: dict[tuple, tuple[Any, list[int]]] = {}
    for number, shard in enumerate(held):
        box = tuple((part.start, part.stop) for part in shard.index)
        parts.setdefault(box, (shard, []))[1].append(number)
    result = []
    for box, (shard, holders) in parts.items():
        shape = tuple(end - begin for begin, end in box)
        if math.prod(shape) or not leaf.size:
            source = Source(name, 0, tuple(begin for begin, _ in box), shape, dtype, shard)
            result.append((source, holders))
    return result
