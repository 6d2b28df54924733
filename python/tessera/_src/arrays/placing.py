# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Arrays from numbers, other libraries and files, and from the host to the devices and back."""

from __future__ import annotations

from typing import Any

import numpy as np

from tessera._src.arrays.array import Array
from tessera._src.arrays.conversion import host_array, resolved, torch_bf16
from tessera._src.arrays.kinds import kind_of
from tessera._src.core import dtypes, tree
from tessera._src.core.errors import ConfigError, ShardingError, TraceError
from tessera._src.meshes.layouts import digits_of, is_closed
from tessera._src.meshes.mesh import (
    SINGLE,
    NamedSharding,
    PartitionSpec,
    axes_of,
    check_spec,
    current_mesh,
    layout_text,
)
from tessera._src.programs import runtime
from tessera._src.tracing import program_text
from tessera._src.tracing.operands import lift, lift_as
from tessera._src.tracing.tracer import Tracer


def _constant(x: Any, dtype: Any) -> Tracer:
    """A host value as a constant of the function being traced."""
    return lift(x) if dtype is None else lift_as(x, dtypes.canonical(dtype))


def array(x: Any, dtype: Any = None, sharding: NamedSharding | None = None) -> Any:
    """A copy of x as an Array; Python numbers become i32 and f32. Inside a trace, a constant."""
    if program_text.is_tracing():
        return _constant(x, dtype)
    return Array(host_array(x, dtype, True), sharding)


def asarray(x: Any, dtype: Any = None) -> Any:
    """x as an Array without a copy where possible: do not change x afterwards."""
    if program_text.is_tracing():
        return _constant(x, dtype)
    if isinstance(x, Array) and (dtype is None or x.dtype == dtypes.canonical(dtype)):
        return x
    return Array(host_array(x, dtype, False).view())


def device_put(x: Any, sharding: NamedSharding | PartitionSpec | None = None, *,
               device: str = "cpu") -> Any:
    """A tree of arrays on the devices of a mesh, cut as the sharding says.

    Without a sharding they are copied, stay on the host, and are cut when a compiled function first
    wants them, once for each layout; so are those whose sharding leaves a dimension to the compiler.

    Args:
        sharding: the layout; jit takes it for an argument that has none of its own.
        device: what kind of device holds them: "cuda" for programs of the device "cuda"; all other
            kinds share the host's memory.
    """
    if isinstance(sharding, PartitionSpec):
        mesh = current_mesh()
        if mesh is None and any(axes_of(dim) for dim in sharding):
            raise ShardingError("TS2001", f"layout {sharding!r} names axes, and there is no mesh",
                                hint=f"pass ts.NamedSharding(mesh, ts.{sharding!r}), or call it inside "
                                "`with mesh:`")
        sharding = NamedSharding(mesh or SINGLE, sharding)
    if sharding is not None and not isinstance(sharding, NamedSharding):
        raise ConfigError("TS4007", "the sharding must be a layout", got=repr(sharding),
                          choices=["a NamedSharding", "a PartitionSpec", "None"])

    def put(leaf: Any) -> Any:
        if sharding is None or isinstance(leaf, Tracer):
            return asarray(leaf) if isinstance(leaf, (Array, Tracer)) else array(leaf)
        return _placed(leaf, sharding, device)

    return tree.map(put, x)


def _placed(leaf: Any, sharding: NamedSharding, device: str) -> Array:
    """One array on the devices of the sharding's mesh."""
    if isinstance(leaf, Array) and leaf.sharding == sharding and not leaf.is_deleted():
        return leaf
    host = leaf.numpy() if isinstance(leaf, Array) else host_array(leaf, None, False)
    check_spec(sharding.spec, sharding.mesh, host.shape, "the array")
    layout = layout_text(sharding.spec, host.ndim)
    if not is_closed(layout) or host.size == 0:
        return Array(np.array(host, order="C"), sharding)
    mesh = sharding.mesh
    placed = runtime.place_layout(np.ascontiguousarray(host).reshape(host.shape), device, layout,
                                  mesh.axes, digits_of(layout, mesh))
    return Array.of_placed(kind_of(host.shape, host.dtype, mesh, layout, True), placed, sharding)


def device_get(x: Any) -> Any:
    """A tree of arrays as NumPy arrays on the host; read-only views where nothing needs joining."""
    return tree.map(lambda leaf: leaf.numpy() if isinstance(leaf, Array) else np.asarray(leaf), x)


def block_until_ready(x: Any) -> Any:
    """The tree x, once all its arrays are computed."""
    for leaf in tree.flatten(x)[0]:
        if isinstance(leaf, Array):
            leaf.block_until_ready()
    return x


def from_dlpack(x: Any) -> Array:
    """A tensor of another library that speaks DLPack (torch, jax, numpy), without a copy."""
    x = resolved(x)
    value = torch_bf16(x)
    if value is None:
        if getattr(x, "requires_grad", False):
            x = x.detach()
        if not hasattr(x, "__dlpack__"):
            raise TraceError("TS1014", f"a {type(x).__name__} does not speak DLPack",
                             hint="ts.array(x) takes numbers, lists and arrays")
        try:
            # NumPy's DLPack knows no bf16; jax shares the memory by __array__ as well.
            value = np.asarray(x) if str(getattr(x, "dtype", "")) == "bfloat16" else np.from_dlpack(x)
        except (BufferError, RuntimeError, TypeError, ValueError) as error:
            raise TraceError("TS1014", f"a {type(x).__name__} does not pass by DLPack: {error}",
                             hint="move it to the CPU, in an element type that NumPy has") from None
    dtypes.canonical(value.dtype)
    return Array(np.require(value, requirements=["C"]).view())
