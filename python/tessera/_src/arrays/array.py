# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Arrays: a host value and the pieces of it that compiled functions asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tessera._src.arrays.conversion import host_array, resolved, torch_bf16
from tessera._src.core import dtypes, tree
from tessera._src.core.errors import ConfigError, ShapeError, ShardingError, TraceError
from tessera._src.meshes.mesh import (
    SINGLE,
    NamedSharding,
    PartitionSpec,
    axes_of,
    check_spec,
    current_mesh,
)
from tessera._src.tracing import program_text
from tessera._src.tracing.operands import lift, lift_as
from tessera._src.tracing.tracer import Tracer


# Methods and properties of np.ndarray that Arrays pass on.
_OF_NUMPY = frozenset(
    "T mT all any argmax argmin argsort astype clip copy cumsum dot flat flatten itemsize max mean min "
    "nonzero prod ravel repeat reshape round squeeze std sum swapaxes take tobytes tolist transpose "
    "var".split()
)


class Array(np.lib.mixins.NDArrayOperatorsMixin):
    """An immutable tensor on the host, with cached pieces per layout.

    Converts to NumPy without a copy (read-only); operators, NumPy functions and the methods of NumPy
    arrays (sum, T, reshape, astype, tolist, ...) on it give NumPy arrays. Weights
    that are Arrays are cut once for the layout that a compiled function wants; NumPy arguments are
    cut at every call, since they may have changed.

    DLPack exports it without a copy too, marked as read-only, which torch does not heed: clone what
    shall change. A reader of DLPack before 1.0, which has no such mark, gets a copy.
    """

    __slots__ = ("_host", "_placed", "sharding", "__weakref__")
    is_resident = True  # See operands.

    def __init__(self, host: np.ndarray, sharding: NamedSharding | None = None):
        host.flags.writeable = False  # For what shares memory with others, `host` is a view.
        self._host = host
        self._placed: dict[tuple, Any] = {}
        self.sharding = sharding

    @property
    def shape(self) -> tuple[int, ...]:
        """Size of each dimension of the whole tensor."""
        return self._host.shape

    @property
    def dtype(self) -> np.dtype:
        """The element type."""
        return self._host.dtype

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return self._host.ndim

    @property
    def size(self) -> int:
        """The number of elements."""
        return self._host.size

    @property
    def nbytes(self) -> int:
        """Bytes of all elements."""
        return self._host.nbytes

    def numpy(self) -> np.ndarray:
        """A read-only view."""
        return self._host.view()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if dtype is not None and np.dtype(dtype) != self._host.dtype:
            return self._host.astype(dtype)
        return self._host.copy() if copy else self.numpy()

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        if any(isinstance(i, Tracer) for i in inputs):
            return NotImplemented
        plain = [i._host if isinstance(i, Array) else i for i in inputs]
        return getattr(ufunc, method)(*plain, **options)

    def __dlpack__(self, **options: Any) -> Any:
        if self.dtype == dtypes.bf16:
            raise TraceError("TS1021", "NumPy does not export bf16 by DLPack",
                             hint="torch.from_dlpack(np.array(x).view(np.int16)).view(torch.bfloat16)")
        says_read_only = (options.get("max_version") or (0, 0)) >= (1, 0)
        host = self._host if says_read_only else self._host.copy()
        return host.__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return (1, 0)

    def __getattr__(self, name: str) -> Any:
        if name not in _OF_NUMPY:
            raise AttributeError(f"'Array' object has no attribute '{name}'")
        return getattr(self.numpy(), name)

    def __format__(self, spec: str) -> str:
        return format(self._host, spec)

    def __getitem__(self, index: Any) -> Any:
        return self.numpy()[index]

    def __len__(self) -> int:
        return len(self._host)

    def __iter__(self):
        return iter(self.numpy())

    def __float__(self) -> float:
        return float(self._host)

    def __int__(self) -> int:
        return int(self._host)

    def __bool__(self) -> bool:
        return bool(self._host)

    def item(self) -> Any:
        """The only element as a Python scalar."""
        return self._host.item()

    def __repr__(self) -> str:
        return f"Array({np.array2string(self._host, threshold=32)}, dtype={dtypes.name_of(self.dtype)})"

    def __reduce__(self):
        return (Array, (self._host, self.sharding))


@dataclass(frozen=True, init=False)
class ShapeDtypeStruct:
    """An argument without elements, for lowering ahead of time."""

    shape: tuple[int, ...]
    dtype: np.dtype
    sharding: NamedSharding | PartitionSpec | None

    def __init__(self, shape: Any, dtype: Any = dtypes.f32,
                 sharding: NamedSharding | PartitionSpec | None = None):
        sizes = tuple(shape) if isinstance(shape, (tuple, list)) else (shape,)
        for size in sizes:
            if isinstance(size, bool) or not isinstance(size, (int, np.integer)) or size < 0:
                raise ShapeError("TS3022", "a shape holds sizes", got=repr(shape),
                                 expected="integers of at least 0")
        object.__setattr__(self, "shape", tuple(int(size) for size in sizes))
        object.__setattr__(self, "dtype", dtypes.canonical(dtype))
        object.__setattr__(self, "sharding", sharding)


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


def device_put(x: Any, sharding: NamedSharding | PartitionSpec | None = None) -> Any:
    """A tree of arrays as Arrays, copied: compiled functions cut them once and keep the pieces.

    The sharding, if given, is what jit takes for an argument that has no layout of its own.
    """
    if isinstance(sharding, PartitionSpec):
        mesh = current_mesh()
        if mesh is None and any(axes_of(dim) for dim in sharding):
            raise ShardingError("TS2001", f"layout {sharding!r} names axes, and there is no mesh",
                                hint=f"pass ts.NamedSharding(mesh, ts.{sharding!r}), or call it inside "
                                "`with mesh:`")
        sharding = NamedSharding(mesh or SINGLE, sharding)
    if sharding is not None and not isinstance(sharding, NamedSharding):
        raise ConfigError("TS4007", "the sharding is no layout", got=repr(sharding),
                          choices=["a NamedSharding", "a PartitionSpec", "None"])

    def put(leaf: Any) -> Array:
        result = asarray(leaf) if isinstance(leaf, (Array, Tracer)) else array(leaf)
        if sharding is not None:
            check_spec(sharding.spec, sharding.mesh, result.shape, "the array")
            result = Array(result._host, sharding)
        return result

    return tree.map(put, x)


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
