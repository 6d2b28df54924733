# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Arrays: immutable tensors on the devices of a mesh, or on the host until a program wants them."""

from __future__ import annotations

import math
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera._src.arrays.kinds import Kind, kind_of
from tessera._src.arrays.numpy_protocol import NumpyProtocol
from tessera._src.core import dtypes
from tessera._src.core.errors import CompileError, ConfigError, ShapeError
from tessera._src.meshes.devices import Device
from tessera._src.meshes.mesh import NamedSharding, PartitionSpec, layout_text
from tessera._src.programs.dispatch import TensorBase

if TYPE_CHECKING:
    from tessera._src.programs.runtime import Placed


# Elements of arrays that are copied when they are read: cheaper than to watch a view.
_COPIED = 8


class Array(TensorBase, NumpyProtocol):
    """An immutable tensor that stays where it was computed.

    The result of a compiled function stays on the devices of its mesh, cut as `sharding` says. It
    feeds the next call without being joined or cut where that takes its layout: an argument
    without a layout of its own takes the array's, one with a layout gets a copy in it, which the
    array keeps. Reading it (np.asarray, printing, float) joins it once, without a copy where the
    devices' parts form the whole tensor in host memory.

    Arrays that ts.array and ts.asarray make are on the host, and are cut when a compiled function
    first wants them, once for each layout; NumPy arguments are cut at every call, since they may
    have changed.

    Converts to NumPy as a read-only view; operators, NumPy functions and the methods of NumPy
    arrays (sum, T, reshape, astype, tolist, ...) on it give NumPy arrays. `y += 1` binds y to a new
    NumPy array.

    DLPack exports it without a copy too, marked as read-only, which torch does not heed: clone what
    shall change. A reader of DLPack before 1.0, which has no such mark, gets a copy.
    """

    __slots__ = ()
    is_resident = True  # See operands.

    def __init__(self, host: np.ndarray, sharding: NamedSharding | None = None):
        host.flags.writeable = False  # For what shares memory with others, `host` is a view.
        if sharding is None:
            self.kind = kind_of(host.shape, host.dtype)
        else:
            self.kind = kind_of(host.shape, host.dtype, sharding.mesh,
                                layout_text(sharding.spec, host.ndim), True)
        self._host: np.ndarray | None = host
        self._placed: Placed | None = None
        self._view = None
        self._others: dict[int, Placed] | None = None
        self._gone: Any = None
        self._given = sharding

    @classmethod
    def of_placed(cls, kind: Kind, placed: Placed, given: NamedSharding | None = None) -> Array:
        """An array that lives on the devices."""
        self = cls.__new__(cls)
        self.kind, self._placed, self._given = kind, placed, given
        self._host = self._view = self._others = self._gone = None
        return self

    @property
    def shape(self) -> tuple[int, ...]:
        """Size of each dimension of the whole tensor."""
        return self.kind.shape

    @property
    def dtype(self) -> np.dtype:
        """The element type."""
        return self.kind.dtype

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return len(self.kind.shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        return self.kind.size

    @property
    def nbytes(self) -> int:
        """Bytes of all elements, each counted once however many devices hold it."""
        return self.kind.size * self.kind.dtype.itemsize

    @property
    def sharding(self) -> NamedSharding | None:
        """How it is laid out on its mesh; None for an array on the host that has no layout yet.

        A layout that cuts by a factor of an axis has it in the compiler's spelling, "tp:(2)4".
        """
        return self.kind.sharding if self._given is None else self._given

    @property
    def device(self) -> Device | NamedSharding:
        """The device, or for an array on several ones the sharding."""
        devices = self.devices()
        return next(iter(devices)) if len(devices) == 1 else self.sharding

    def devices(self) -> set[Device]:
        """The devices that hold a part of it."""
        if self._placed is None:
            self._check()
            return {Device("cpu", 0)}
        return {shard.device for shard in self.addressable_shards}

    @property
    def addressable_shards(self) -> list[Shard]:
        """What each device of this process holds."""
        placed = self._on_devices()
        if placed is None:
            whole = tuple(slice(0, size) for size in self.shape)
            return [Shard(self, 0, Device("cpu", 0), whole, 0)]
        seen: dict[str, int] = {}
        result = []
        for number, (device, index, _) in enumerate(placed.shards()):
            key = repr(index)
            seen[key] = replica = seen.get(key, -1) + 1
            result.append(Shard(self, number, Device(placed.device, device), index, replica))
        return result

    def block_until_ready(self) -> Array:
        """Itself, once its elements are computed: a call of a compiled function waits for them."""
        self._check()
        return self

    def is_deleted(self) -> bool:
        """Whether it was donated to a call or deleted: its elements cannot be read any more."""
        return self._gone is not None

    def delete(self) -> None:
        """Frees its memory now; reading it afterwards is an error."""
        if self._gone is None:
            self._gone = "deleted by .delete()"
            self._forget()

    def numpy(self) -> np.ndarray:
        """A read-only view."""
        return self._read().view()

    def _check(self) -> None:
        if self._gone is not None:
            raise ConfigError("TS4020", f"the array was {self._why()}, and has no elements any more",
                              got=f"{dtypes.name_of(self.dtype)}{list(self.shape)}",
                              hint="use what the call returned, or do not donate the argument"
                              if not isinstance(self._gone, str) else None)

    def _why(self) -> str:
        """Why it has no elements any more."""
        if isinstance(self._gone, str):
            return self._gone
        arguments, function, place = self._gone
        where = f"called at {place.location()}" if place else "called before"
        return f"donated as argument '{arguments[self._gone_index]}' of {function}, {where}"

    def _read(self) -> np.ndarray:
        """The whole tensor on the host, read-only."""
        host = self._host
        if host is not None:
            return host
        placed = self._on_devices()
        try:
            host = placed.whole(self.shape, self.dtype)
            if host is None or self.size <= _COPIED:
                host = placed.join(self.shape, self.dtype) if host is None else host.copy()
                host.flags.writeable = False
            else:
                self._view = weakref.ref(_root(host))
        except CompileError:
            self._check()
            raise
        self._check()  # Another thread may have donated it before it could see the view.
        self._host = host
        return host

    def _on_devices(self) -> Placed:
        """The shards on the devices, of an array that is not on the host."""
        placed = self._placed
        self._check()
        return placed

    def _forget(self) -> None:
        self._placed = self._host = self._others = None

    def give_away(self, call: tuple, index: int) -> bool:
        """Marks it as the donated argument `index` of a call, (names of arguments, function, place):
        whether its memory on the devices may be overwritten.

        It may not where a view of NumPy or DLPack still looks at it.
        """
        placed, view = self._placed, self._view
        self._gone, self._gone_index = call, index
        self._forget()
        return placed is not None and (view is None or view() is None)

    def take_back(self, placed: Placed | None, host: np.ndarray | None) -> None:
        """Undoes give_away, after a call that did not begin."""
        self._placed, self._host, self._gone = placed, host, None

    def __repr__(self) -> str:
        name = dtypes.name_of(self.dtype)
        if self.is_deleted():
            return f"Array({self._why()}, shape={self.shape}, dtype={name})"
        return f"Array({np.array2string(self._read(), threshold=32)}, dtype={name})"

    def __reduce__(self):
        # A layout that a program chose binds nobody who reads the array elsewhere.
        return (Array, (self._read(), self.sharding if self.kind.is_asked else None))

    def __copy__(self) -> Array:
        return self

    def __deepcopy__(self, memo: Any) -> Array:
        return self


def _root(array: np.ndarray) -> Any:
    """What owns the memory that an array of NumPy looks at."""
    while isinstance(array, np.ndarray) and array.base is not None:
        array = array.base
    return array


@dataclass(frozen=True)
class Shard:
    """What one device holds of an array.

    Attributes:
        device: the device.
        index: its part of the whole array, a slice per dimension.
        replica_id: 0 for the first device that holds this part, then 1, and so on.
    """

    _array: Array
    _number: int
    device: Device
    index: tuple[slice, ...]
    replica_id: int

    @property
    def data(self) -> Array:
        """The part's elements, copied."""
        placed = self._array._on_devices()
        if placed is None:
            return self._array
        shape = tuple(part.stop - part.start for part in self.index)
        return Array(placed.copy_shard(self._number, shape, self._array.dtype))

    def __repr__(self) -> str:
        index = ", ".join(f"{part.start}:{part.stop}" for part in self.index)
        return f"Shard(device={self.device!r}, index=[{index}], replica_id={self.replica_id})"


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

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)
