# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""MeshTensor["B", "S", 384, ts.f32, P("dp", None, None)] annotations and their unification."""

from __future__ import annotations

import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tessera._src.core import dtypes
from tessera._src.core.errors import ShapeError, TraceError
from tessera._src.meshes.mesh import PartitionSpec


@dataclass(frozen=True)
class MeshTensorSpec:
    """What an annotation says: dims are names (one name, one size), sizes or None (any size)."""

    dims: tuple[str | int | None, ...]
    dtype: np.dtype | None = None
    spec: PartitionSpec | None = None

    def shape(self, sizes: Mapping[str, int]) -> tuple[int, ...] | None:
        """The shape once names have these sizes; None if one is unknown."""
        shape = [sizes.get(d) if isinstance(d, str) else d for d in self.dims]
        return None if None in shape else tuple(shape)

    def __repr__(self) -> str:
        parts = [repr(d) for d in self.dims]
        parts += [dtypes.name_of(self.dtype)] if self.dtype is not None else []
        parts += [repr(self.spec)] if self.spec is not None else []
        return f"MeshTensor[{', '.join(parts)}]"


class MeshTensor:
    """Annotation of an argument or a result: named dims, optionally a dtype and a layout.

    MeshTensor["B", 384, None, ts.f32, P("dp")] is a tensor of three dimensions: "B" has one size
    wherever the annotations of a function name it, 384 is a size, None is any size.
    """

    def __class_getitem__(cls, items: Any) -> MeshTensorSpec:
        items = items if isinstance(items, tuple) else (items,)
        dims: list[str | int | None] = []
        dtype = spec = None
        for item in items:
            if isinstance(item, PartitionSpec):
                if spec is not None:
                    raise _malformed("has two layouts", f"{spec!r} and {item!r}")
                spec = item
            elif item is None or (isinstance(item, (str, int)) and not isinstance(item, bool)):
                if dtype is not None or spec is not None:
                    raise _malformed(f"has dimension {item!r} after the dtype or the layout", items)
                if isinstance(item, int) and item < 0:
                    raise _malformed("has a negative size", item)
                dims.append(item)
            elif dtype is not None:
                raise _malformed("has two dtypes", f"{dtypes.name_of(dtype)} and {item!r}")
            elif isinstance(item, (type, np.dtype)):
                dtype = dtypes.canonical(item)
            else:
                raise _malformed("holds what is none of its parts", repr(item))
        if spec is not None and len(spec) > len(dims):
            raise ShapeError(
                "TS3001", f"layout {spec!r} has {len(spec)} entries, the tensor {len(dims)} dims"
            )
        return MeshTensorSpec(tuple(dims), dtype, spec)


def _malformed(problem: str, got: Any) -> TraceError:
    return TraceError(
        "TS1006", f"a MeshTensor annotation {problem}", got=got,
        expected="names, sizes or None for the dimensions, then a dtype, then a layout",
        hint='write MeshTensor["B", "D", ts.f32, P("dp")]')


class Unifier:
    """Sizes of named dimensions over all annotated tensors of a call."""

    def __init__(self) -> None:
        self.sizes: dict[str, tuple[int, str]] = {}

    def check(self, what: str, spec: MeshTensorSpec, shape: Sequence[int], dtype: Any) -> None:
        """Raises unless a tensor called `what` fits its annotation and the others."""
        if len(shape) != len(spec.dims):
            raise ShapeError(
                "TS3002",
                f"{what} has {len(shape)} dimensions, its annotation {len(spec.dims)}",
                expected=spec,
                got=tuple(shape),
            )
        if spec.dtype is not None and dtype != spec.dtype:
            raise ShapeError(
                "TS3003", f"{what} has another element type than its annotation",
                expected=dtypes.name_of(spec.dtype), got=dtypes.name_of(dtype),
                hint="convert it before the call, with numpy's .astype or ts.asarray(x, dtype)"
                if what.startswith("argument") else
                f"return it as .astype({dtypes.public_name(spec.dtype)}), or change the annotation",
            )
        for position, (dim, size) in enumerate(zip(spec.dims, shape)):
            if dim is None:
                continue
            if isinstance(dim, int):
                if dim != size:
                    raise ShapeError(
                        "TS3002", f"{what} has size {size} in dimension {position}",
                        expected=f"{dim}, as annotated: {spec}", got=tuple(shape),
                    )
                continue
            known = self.sizes.setdefault(dim, (size, f"dimension {position} of {what}"))
            if known[0] != size:
                raise ShapeError(
                    "TS3004",
                    f"dimension '{dim}' does not unify: it is {known[0]} ({known[1]}) and {size} "
                    f"(dimension {position} of {what})",
                    expected=f"'{dim}' = {known[0]}",
                    got=f"'{dim}' = {size}",
                )


def result_specs(annotation: Any) -> Any:
    """The tree of MeshTensor specs that a result's annotation holds; None if it holds none."""
    if typing.get_origin(annotation) in (tuple, list):
        annotation = typing.get_args(annotation)
    if isinstance(annotation, (tuple, list)):
        entries = tuple(result_specs(entry) for entry in annotation)
        return None if all(entry is None for entry in entries) else entries
    if isinstance(annotation, dict):
        return {key: result_specs(entry) for key, entry in annotation.items()}
    return annotation if isinstance(annotation, MeshTensorSpec) else None


def annotations_of(function: Callable) -> dict[str, Any]:
    """Annotations of the parameters and of the result ("return"), evaluated."""
    raw = getattr(function, "__annotations__", None)
    if not raw:
        return {}
    if not any(isinstance(value, str) for value in raw.values()):
        return dict(raw)
    try:
        return typing.get_type_hints(function)
    except Exception:  # Names that exist for type checkers only: no annotation for us.
        closure = dict(zip(function.__code__.co_freevars,
                           (c.cell_contents for c in function.__closure__ or ())))
        result = {}
        for name, text in raw.items():
            try:
                result[name] = eval(text, {**function.__globals__, **closure})  # noqa: S307
            except Exception:
                continue
        return result
