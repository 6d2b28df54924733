# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Lists of trees, such as the layers of a model, as one tree with a leading dimension, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tessera._src.arrays.array import Array, ShapeDtypeStruct
from tessera._src.core import dtypes, tree
from tessera._src.core.errors import ShapeError, TraceError
from tessera._src.meshes.mesh import NamedSharding, PartitionSpec
from tessera._src.ops import shaping
from tessera._src.tracing.program_text import is_tracing


def stack(trees: Sequence[Any]) -> Any:
    """Trees of one structure as one tree, each leaf with a new leading dimension: xs for ts.scan.

    Leaves are arrays or numbers, of equal shapes and types in all trees. Inside a trace it makes traced
    values, outside ts.Arrays; of ts.ShapeDtypeStructs it makes one for all.

        weights = ts.tree.stack([{"w": w0, "b": b0}, {"w": w1, "b": b1}])       # w: [2, ...], b: [2, ...]
    """
    trees = list(trees)
    if not trees:
        raise TraceError("TS1005", "ts.tree.stack needs at least one tree")
    flat, structures = zip(*[tree.flatten(entry) for entry in trees])
    for i, structure in enumerate(structures):
        if structure != structures[0]:
            path = tree.first_difference(structures[0], structure)
            raise TraceError("TS1005", f"the structure of tree {i} differs from that of tree 0"
                             + (f" at '{path}'" if path else ""),
                             expected=tree.describe(structures[0]), got=tree.describe(structure))
    paths = tree.paths(structures[0])
    return tree.unflatten(structures[0], [_stacked(path, leaves) for path, leaves in zip(paths, zip(*flat))])


def _stacked(path: str, leaves: Sequence[Any]) -> Any:
    kinds = [(_shape(leaf), getattr(leaf, "dtype", type(leaf))) for leaf in leaves]
    for i, kind in enumerate(kinds):
        if kind != kinds[0]:
            raise ShapeError("TS3009", f"leaf '{path}' of tree {i} does not stack with that of tree 0",
                             expected=_shown(kinds[0]), got=_shown(kind))
    if isinstance(leaves[0], ShapeDtypeStruct):
        return ShapeDtypeStruct((len(leaves), *leaves[0].shape), leaves[0].dtype, _led(leaves[0].sharding))
    if is_tracing():
        return shaping.stack(leaves)
    return Array(np.stack([_host(leaf) for leaf in leaves]), _led(_asked(leaves[0])))


def _shape(leaf: Any) -> tuple[int, ...]:
    shape = getattr(leaf, "shape", None)
    return np.shape(leaf) if shape is None else tuple(shape)


def _shown(kind: tuple) -> str:
    shape, dtype = kind
    name = dtypes.name_of(dtype) if isinstance(dtype, np.dtype) else dtype.__name__
    return f"{name}{list(shape)}"


def _host(leaf: Any) -> np.ndarray:
    return np.asarray(leaf, dtypes.weak_dtype(leaf, None) if isinstance(leaf, (bool, int, float)) else None)


def _asked(leaf: Any) -> NamedSharding | None:
    """The layout that an array was put in; not that which a result happens to have."""
    return leaf.sharding if isinstance(leaf, Array) and leaf.kind.is_asked else None


def _led(layout: Any) -> Any:
    """A layout with a leading dimension that is not split."""
    if isinstance(layout, NamedSharding):
        return NamedSharding(layout.mesh, _led(layout.spec))
    return PartitionSpec(None, *layout) if isinstance(layout, PartitionSpec) else layout


def unstack(stacked: Any) -> list[Any]:
    """The trees along the leading dimension that all leaves share; the inverse of ts.tree.stack."""
    leaves, structure = tree.flatten(stacked)
    paths = tree.paths(structure)
    for leaf, path in zip(leaves, paths):
        if not _shape(leaf):
            raise ShapeError("TS3009", f"leaf '{path}' has no leading dimension to unstack")
    sizes = [_shape(leaf)[0] for leaf in leaves]
    if len(set(sizes)) != 1:
        raise ShapeError("TS3009", "leaves have different leading dimensions" if sizes
                         else "a tree without leaves does not unstack",
                         got=", ".join(f"{path}: {size}" for path, size in zip(paths, sizes)) or None)

    def entry(leaf: Any, i: int) -> Any:
        if isinstance(leaf, Array):
            return Array(np.asarray(leaf.numpy()[i]), _unled(_asked(leaf)))
        return leaf[i]

    return [tree.unflatten(structure, [entry(leaf, i) for leaf in leaves]) for i in range(sizes[0])]


def _unled(layout: NamedSharding | None) -> NamedSharding | None:
    return None if layout is None else NamedSharding(layout.mesh, PartitionSpec(*layout.spec.dims[1:]))
