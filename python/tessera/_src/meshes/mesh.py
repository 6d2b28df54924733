# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Meshes of devices, and how a tensor is laid out on one."""

from __future__ import annotations

import math
import os
import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tessera._src.core.errors import ShardingError, did_you_mean
from tessera._src.meshes.devices import device_count

LINKS = ("shm", "nvlink", "pcie", "ib")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
# A factor of an axis: after the factors of product (2), the next one of size 4.
SUB_AXIS = re.compile(r"(\w+):\((\d+)\)(\d+)\Z")
_state = threading.local()


class _Unconstrained:
    """Leaves a dimension to the compiler."""

    def __repr__(self) -> str:
        return "UNCONSTRAINED"

    def __reduce__(self) -> str:
        return "UNCONSTRAINED"  # Copies of it are it.


UNCONSTRAINED = _Unconstrained()


@dataclass(frozen=True)
class Mesh:
    """Named axes of devices, numbered row-major (the last axis varies fastest).

    As a context manager it is the mesh of functions that name none.
    """

    axes: tuple[tuple[str, int], ...]
    links: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(self.links) != len(self.axes) or any(
                not isinstance(axis, tuple) or len(axis) != 2 or self.links[i] not in LINKS
                for i, axis in enumerate(self.axes)):
            raise ShardingError("TS2002", f"ts.Mesh({self.axes!r}, {self.links!r}) is no mesh",
                                expected="pairs of names and sizes, and the kind of link of each",
                                hint="make meshes by ts.make_mesh({'dp': 2, 'tp': 4})")

    @property
    def shape(self) -> dict[str, int]:
        """Size of each axis by name."""
        return dict(self.axes)

    @property
    def axis_names(self) -> tuple[str, ...]:
        """Names of the axes, the one that varies slowest first."""
        return tuple(name for name, _ in self.axes)

    @property
    def size(self) -> int:
        """The number of devices."""
        return math.prod(size for _, size in self.axes)

    def __getitem__(self, axis: str) -> int:
        self.check_axis(axis)
        return self.shape[axis]

    def check_axis(self, axis: str, what: str = "") -> None:
        """Raises unless the mesh has this axis; `what` names it, for the message."""
        if axis in self.shape:
            return
        hint = did_you_mean(axis, self.axis_names)
        if self is SINGLE:
            hint = "the function has no mesh: pass mesh=... to ts.jit, or call it inside `with mesh:`"
        raise ShardingError(
            "TS2001",
            f"mesh has no axis '{axis}'" + (f", which {what} names" if what else ""),
            choices=[f"'{n}' (size {s})" for n, s in self.axes],
            hint=hint,
        )

    def mlir(self) -> str:
        """The body of a dist.mesh op."""
        parts = [
            f"{name} = {size}" + (f" : {link}" if link != "shm" else "")
            for (name, size), link in zip(self.axes, self.links)
        ]
        return f"<[{', '.join(parts)}]>"

    def __enter__(self) -> Mesh:
        stack = _state.__dict__.setdefault("stack", [])
        stack.append(self)
        return self

    def __exit__(self, *_: Any) -> None:
        _state.stack.pop()

    def __repr__(self) -> str:
        return f"Mesh({', '.join(f'{n}={s}' for n, s in self.axes)})"


# Of a mesh: devices have 32-bit numbers. The compiler has it as maxMeshDevices.
MAX_MESH_DEVICES = 1 << 30


def make_mesh(
    shape: Mapping[str, int] | Sequence[int] | Sequence[tuple[str, int]],
    axis_names: Sequence[str] | None = None,
    *,
    links: Mapping[str, str] | None = None,
    device: str | None = None,
) -> Mesh:
    """A mesh from {"dp": 2, "tp": 4}, from [("dp", 2), ("tp", 4)] or from (2, 4), ("dp", "tp").

    Args:
        links: how the devices along an axis are joined: "shm" (default), "nvlink", "pcie", "ib".
        device: the kind of device that is to run programs on the mesh, "cpu", "emulated", "null" or
            "cuda"; there must be enough of them. By default, and without TESSERA_DEVICE_COUNT, a
            mesh may have up to 2^30 devices: programs are compiled and priced for any number, and
            a process refuses to run more than 256.

    Raises:
        ShardingError: names or sizes that cannot be, or more devices than there are.
    """
    axes = _axes(shape, axis_names)
    seen = set()
    for name, size in axes:
        if not isinstance(name, str) or not _NAME.match(name):
            raise ShardingError("TS2002", f"axis name {name!r} is not an identifier")
        if name in seen:
            raise ShardingError("TS2002", f"mesh names axis '{name}' twice")
        if isinstance(size, bool) or not isinstance(size, (int, np.integer)) or size < 1:
            raise ShardingError("TS2002", f"axis '{name}' has size {size!r}",
                                expected="an integer of at least 1")
        seen.add(name)
    axes = tuple((name, int(size)) for name, size in axes)
    link_of = dict(links or {})
    for axis, link in link_of.items():
        if axis not in seen:
            raise ShardingError("TS2001", f"links name axis '{axis}', which the mesh does not have",
                                choices=sorted(seen), hint=did_you_mean(axis, seen))
        if link not in LINKS:
            raise ShardingError("TS2002", f"unknown link class '{link}'", choices=LINKS)
    mesh = Mesh(axes, tuple(link_of.get(name, "shm") for name, _ in axes))
    if mesh.size > MAX_MESH_DEVICES:
        raise ShardingError("TS2003", f"{mesh!r} has {mesh.size} devices",
                            expected=f"at most {MAX_MESH_DEVICES}", hint="shrink an axis")
    if device is None and not os.environ.get("TESSERA_DEVICE_COUNT"):
        return mesh
    device = device or "cpu"
    available = device_count(device)
    if mesh.size > available:
        hint = f"shrink an axis; the product of the sizes may be at most {available}"
        raise ShardingError(
            "TS2003",
            f"{mesh!r} needs {mesh.size} devices, but there are {available} of kind '{device}'",
            hint=hint if available else "leave device out to compile for devices that are not here",
        )
    return mesh


def _axes(shape: Any, axis_names: Any) -> tuple[tuple[Any, Any], ...]:
    """Pairs (name, size) from any of make_mesh's forms; what they hold is not checked yet."""
    forms = ["{'dp': 2, 'tp': 4}", "[('dp', 2), ('tp', 4)]", "(2, 4), ('dp', 'tp')"]
    if isinstance(shape, str) or not isinstance(shape, (Mapping, Sequence)):
        raise ShardingError("TS2002", f"{shape!r} is not the shape of a mesh", choices=forms)
    if not shape:
        raise ShardingError("TS2002", "a mesh needs at least one axis",
                            hint="{'tp': 1} is a mesh of one device")
    entries = tuple(shape.items() if isinstance(shape, Mapping) else shape)
    has_names = all(isinstance(e, (tuple, list)) and len(e) == 2 for e in entries)
    if has_names and axis_names is not None:
        raise ShardingError("TS2002", "the mesh's axes are named twice", choices=forms,
                            got=f"{shape!r} and axis_names={axis_names!r}")
    if has_names:
        return tuple((name, size) for name, size in entries)
    if axis_names is None or isinstance(axis_names, str) or len(axis_names) != len(entries):
        raise ShardingError("TS2002", "a mesh needs one axis name per size", choices=forms,
                            expected=f"{len(entries)} names", got=axis_names)
    return tuple(zip(axis_names, entries))


SINGLE = Mesh((("one", 1),), ("shm",))


def current_mesh() -> Mesh | None:
    """The mesh of the innermost `with mesh:`, if any."""
    stack = getattr(_state, "stack", None)
    return stack[-1] if stack else None


class PartitionSpec:
    """Which mesh axes split each dimension: P("dp", None, ("ep", "tp")).

    None (and every dimension past the end) is not split; UNCONSTRAINED is left to the compiler.
    """

    __slots__ = ("dims",)

    def __init__(self, *dims: Any):
        seen: dict[str, int] = {}
        for position, dim in enumerate(dims):
            for axis in axes_of(dim):
                if axis in seen:
                    raise ShardingError(
                        "TS2004",
                        f"axis '{axis}' is used twice: by dimension {seen[axis]} and by dimension "
                        f"{position}",
                        hint="a tensor uses each axis at most once",
                    )
                seen[axis] = position
        self.dims = tuple([tuple(dim) if isinstance(dim, list) else dim for dim in dims])

    def __iter__(self):
        return iter(self.dims)

    def __len__(self) -> int:
        return len(self.dims)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PartitionSpec) and self.dims == other.dims

    def __hash__(self) -> int:
        return hash(self.dims)

    def __repr__(self) -> str:
        return f"P({', '.join(repr(d) for d in self.dims)})"


@dataclass(frozen=True)
class NamedSharding:
    """A layout on a given mesh."""

    mesh: Mesh
    spec: PartitionSpec


def axes_of(dim: Any) -> tuple[str, ...]:
    """The axes that one entry of a PartitionSpec names."""
    if dim is None or dim is UNCONSTRAINED:
        return ()
    if isinstance(dim, str):
        return (dim,)
    if isinstance(dim, (tuple, list)) and all(isinstance(axis, str) for axis in dim):
        return tuple(dim)
    raise ShardingError(
        "TS2005",
        f"a PartitionSpec holds axis names, not {dim!r}",
        choices=["None", "'axis'", "('axis', 'axis')", "UNCONSTRAINED"],
    )


def check_spec(spec: PartitionSpec, mesh: Mesh, shape: Sequence[int], what: str) -> None:
    """Raises unless `spec` fits a tensor of this shape on `mesh`."""
    if len(spec) > len(shape):
        raise ShardingError(
            "TS2006",
            f"{what} has layout {spec!r} of {len(spec)} dimensions, but shape {tuple(shape)}",
            expected=f"at most {len(shape)} entries",
        )
    for dim in spec:
        for axis in axes_of(dim):
            if not _is_part_of_axis(axis, mesh):
                mesh.check_axis(axis, f"layout {spec!r} of {what}")


def _is_part_of_axis(axis: str, mesh: Mesh) -> bool:
    """Whether this is a factor of an axis, "tp:(2)4": layouts of results may have them."""
    found = SUB_AXIS.match(axis)
    size = mesh.shape.get(found[1], 0) if found else 0
    return size > 0 and int(found[2]) * int(found[3]) > 0 and size % (int(found[2]) * int(found[3])) == 0


def layout_text(spec: PartitionSpec, rank: int) -> str:
    """The layout in MLIR: "[{dp}, {?}]"."""
    dims = list(spec.dims) + [None] * (rank - len(spec.dims))
    return (
        "["
        + ", ".join("{?}" if d is UNCONSTRAINED else "{" + ", ".join(axes_of(d)) + "}" for d in dims)
        + "]"
    )


def _size_of(axis: str, mesh: Mesh) -> int:
    """Devices along an axis, or along a factor of one."""
    factor = SUB_AXIS.match(axis)
    return int(factor[3]) if factor else mesh.shape[axis]


def split_further(spec: PartitionSpec, shape: Sequence[int], mesh: Mesh, axis: str, first: int = 0
                  ) -> PartitionSpec:
    """The layout of a tensor that one more axis of the mesh splits, in equal parts.

    The axis takes the first dimension that no axis splits and whose size it divides; else one that
    others split already, and whose parts it divides. The layout stays as it is if there is none, and if
    the axis, or a factor of it, splits the tensor already.

    Args:
        first: dimensions before this one stay as they are.
    """
    dims = [*spec, *[None] * (len(shape) - len(spec))]
    taken_axes = {factor[1] if (factor := SUB_AXIS.match(name)) else name
                  for dim in dims for name in axes_of(dim)}
    if axis not in mesh.shape or axis in taken_axes:
        return spec
    for taken in (False, True):
        for number in range(first, len(shape)):
            axes = axes_of(dims[number])
            parts = math.prod(_size_of(name, mesh) for name in (*axes, axis))
            if bool(axes) == taken and shape[number] and shape[number] % parts == 0:
                dims[number] = (*axes, axis) if axes else axis
                return PartitionSpec(*dims)
    return spec
