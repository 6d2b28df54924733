# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The runtime's C library: tensors on devices and programs that run on them (see tessera_rt.h)."""

from __future__ import annotations

import ctypes
import json
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from tessera._src.core import dtypes, source
from tessera._src.core.errors import CheckpointError, CompileError
from tessera._src.programs import dispatch, printing
from tessera._src.programs.native import open_library, pointer_of


class _Transfers(ctypes.Structure):
    _fields_ = [(name, ctypes.c_int64) for name in ("cut", "joined", "resharded")]


class _Memory(ctypes.Structure):
    _fields_ = [(name, ctypes.c_int64) for name in ("inUse", "peak", "kept")]


class _Shard(ctypes.Structure):
    _fields_ = [
        ("device", ctypes.c_int64),
        ("address", ctypes.c_void_p),
        ("rank", ctypes.c_int64),
        ("begin", ctypes.POINTER(ctypes.c_int64)),
        ("valid", ctypes.POINTER(ctypes.c_int64)),
        ("localShape", ctypes.POINTER(ctypes.c_int64)),
        ("replica", ctypes.c_int),
    ]


class _Layout(ctypes.Structure):
    _fields_ = [
        ("device", ctypes.c_char_p),
        ("dtype", ctypes.c_char_p),
        ("rank", ctypes.c_int64),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("text", ctypes.c_char_p),
        ("mesh", ctypes.c_char_p),
        ("numDevices", ctypes.c_int64),
        ("digits", ctypes.POINTER(ctypes.c_int64)),
    ]


class _Copy(ctypes.Structure):
    _fields_ = [
        ("to", ctypes.c_void_p),
        ("size", ctypes.c_size_t),
        ("placed", ctypes.c_void_p),
        ("shard", ctypes.c_int64),
        ("origin", ctypes.c_void_p),
    ]


@lru_cache(maxsize=None)
def _runtime() -> ctypes.CDLL:
    library = open_library("libtessera_rt.so")
    library.tesseraRtLastError.restype = ctypes.c_char_p
    library.tesseraRtLoad.restype = ctypes.c_void_p
    library.tesseraRtLoad.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p]
    library.tesseraRtUnload.argtypes = [ctypes.c_void_p]
    library.tesseraRtUnload.restype = None
    library.tesseraRtDescribe.restype = ctypes.c_char_p
    library.tesseraRtDescribe.argtypes = [ctypes.c_void_p]
    library.tesseraRtPlace.restype = ctypes.c_void_p
    library.tesseraRtPlace.argtypes = [
        ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p, ctypes.c_size_t,
    ]
    library.tesseraRtBind.argtypes = [
        ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p, ctypes.c_size_t,
    ]
    library.tesseraRtReleasePlaced.argtypes = [ctypes.c_void_p]
    library.tesseraRtReleasePlaced.restype = None
    library.tesseraRtReshard.restype = ctypes.c_void_p
    library.tesseraRtReshard.argtypes = [ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p]
    library.tesseraRtRun.argtypes = [
        ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p, ctypes.c_int64,
    ]
    library.tesseraRtExecute.argtypes = [
        ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int64, ctypes.c_void_p, ctypes.c_int64,
    ]
    library.tesseraRtTransfers.restype = _Transfers
    library.tesseraRtTransfers.argtypes = [ctypes.c_void_p]
    for getter in ("tesseraRtPlacement", "tesseraRtWhole"):
        getattr(library, getter).restype = ctypes.c_void_p
        getattr(library, getter).argtypes = [ctypes.c_void_p]
    for getter in ("tesseraRtInputPlacement", "tesseraRtOutputPlacement"):
        getattr(library, getter).restype = ctypes.c_void_p
        getattr(library, getter).argtypes = [ctypes.c_void_p, ctypes.c_int64]
    library.tesseraRtIsConsumed.argtypes = [ctypes.c_void_p]
    library.tesseraRtJoin.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t]
    library.tesseraRtShardCount.restype = ctypes.c_int64
    library.tesseraRtShardCount.argtypes = [ctypes.c_void_p]
    library.tesseraRtGetShard.argtypes = [ctypes.c_void_p, ctypes.c_int64, ctypes.POINTER(_Shard)]
    library.tesseraRtCopyShard.argtypes = [
        ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p, ctypes.c_size_t,
    ]
    library.tesseraRtCopyAll.argtypes = [ctypes.POINTER(_Copy), ctypes.c_int64]
    library.tesseraRtPlaceLayout.restype = ctypes.c_void_p
    library.tesseraRtPlaceLayout.argtypes = [ctypes.POINTER(_Layout), ctypes.c_void_p, ctypes.c_size_t]
    library.tesseraRtMemory.restype = _Memory
    library.tesseraRtResetPeak.restype = None
    dispatch.use_runtime(library)
    printing.connect(library, "tesseraRtSetPrint")
    library.tesseraRtSetTracing.argtypes = [ctypes.c_void_p, ctypes.c_int]
    library.tesseraRtTrace.restype = ctypes.c_char_p
    library.tesseraRtTrace.argtypes = [ctypes.c_void_p]
    library.tesseraRtRunReport.restype = ctypes.c_char_p
    library.tesseraRtRunReport.argtypes = [ctypes.c_void_p]
    return library


class Placed(dispatch.PlacedBase):
    """A tensor that lives on the devices, cut to a layout.

    Attributes:
        handle: what the runtime calls it.
        placement: where its elements lie: equal for tensors that an input takes as they are.
        device: the kind of the devices.
    """

    __slots__ = ()

    def is_consumed(self) -> bool:
        """Whether a run has taken the memory."""
        return bool(_runtime().tesseraRtIsConsumed(self.handle))

    def whole(self, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray | None:
        """The whole tensor as a read-only view that keeps it alive, if it is contiguous in host memory."""
        address = _runtime().tesseraRtWhole(self.handle)
        if not address:
            return None
        count = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        return np.asarray(_HostView(self, address, count)).view(dtype).reshape(shape)

    def join(self, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        """A copy of the whole tensor on the host."""
        result = np.empty(shape, dtype)
        if _runtime().tesseraRtJoin(self.handle, pointer_of(result), result.nbytes):
            raise CompileError("TS5003", f"reading an array failed: {_last_error()}")
        return result

    def shards(self) -> list[tuple[int, tuple[slice, ...], bool]]:
        """For each shard of this process its device, its part of the whole, and whether it repeats
        that of a device before it."""
        library, result, shard = _runtime(), [], _Shard()
        for i in range(library.tesseraRtShardCount(self.handle)):
            if library.tesseraRtGetShard(self.handle, i, ctypes.byref(shard)):
                raise CompileError("TS5003", f"reading a shard failed: {_last_error()}")
            rank = shard.rank
            # Slices of pointers are lists: less than half the time of element after element.
            part = tuple([slice(begin, begin + valid)
                          for begin, valid in zip(shard.begin[:rank], shard.valid[:rank])])
            result.append((shard.device, part, bool(shard.replica)))
        return result

    def copy_shard(self, index: int, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        """What one device holds, without padding."""
        result = np.empty(shape, dtype)
        if _runtime().tesseraRtCopyShard(self.handle, index, pointer_of(result), result.nbytes):
            raise CompileError("TS5003", f"reading a shard failed: {_last_error()}")
        return result


def copy_all(shards: Sequence[tuple[Placed, int, np.ndarray]],
             arrays: Sequence[tuple[np.ndarray, np.ndarray]]) -> None:
    """Copies shards (tensor, number, into) and contiguous arrays (from, into) on all threads.

    What they are copied into is contiguous and has their size.
    """
    copies = (_Copy * (len(shards) + len(arrays)))()
    for copy, (placed, number, into) in zip(copies, shards):
        copy.to, copy.size, copy.placed, copy.shard = pointer_of(into), into.nbytes, placed.handle, number
    for copy, (origin, into) in zip(copies[len(shards):], arrays):
        copy.to, copy.size, copy.origin = pointer_of(into), into.nbytes, pointer_of(origin)
    if _runtime().tesseraRtCopyAll(copies, len(copies)):
        raise CompileError("TS5003", f"reading shards failed: {_last_error()}")


class _HostView:
    """Memory of a placed tensor for NumPy, which keeps this object as long as it looks at it."""

    __slots__ = ("placed", "__array_interface__", "__weakref__")

    def __init__(self, placed: Placed, address: int, count: int):
        self.placed = placed
        self.__array_interface__ = {
            "version": 3, "typestr": "|u1", "shape": (count,), "data": (address, True)}


def place_layout(array: np.ndarray, device: str, layout: str, mesh: Sequence[tuple[str, int]],
                 digits: Sequence[Sequence[tuple[int, int]]]) -> Placed:
    """A whole tensor cut for a mesh; digits are the (stride in device numbers, size) per dimension."""
    flat: list[int] = []
    for dim in digits:
        flat += [len(dim), *(number for digit in dim for number in digit)]
    shape = (ctypes.c_int64 * max(array.ndim, 1))(*array.shape)
    numbers = (ctypes.c_int64 * max(len(flat), 1))(*flat)
    description = _Layout(
        device.encode(), dtypes.MLIR_NAMES[array.dtype].encode(), array.ndim, shape, layout.encode(),
        " ".join(f"{name}={size}" for name, size in mesh).encode(),
        int(np.prod([size for _, size in mesh], dtype=np.int64)), numbers)
    handle = _runtime().tesseraRtPlaceLayout(ctypes.byref(description), pointer_of(array), array.nbytes)
    if not handle:
        raise CompileError("TS5003", f"placing an array failed: {_last_error()}")
    return Placed(handle, device)


def memory() -> dict[str, int]:
    """Bytes of device memory in this process: in use, the most since the last reset, kept for reuse."""
    counts = _runtime().tesseraRtMemory()
    return {"in_use": counts.inUse, "peak": counts.peak, "kept": counts.kept}


def reset_peak_memory() -> None:
    """Resets the peak to what is in use."""
    _runtime().tesseraRtResetPeak()


class Executable:
    """A loaded artefact."""

    def __init__(self, artefact: bytes, **options: Any):
        library = _runtime()
        text = json.dumps({k: v for k, v in options.items() if v is not None})
        self.handle = library.tesseraRtLoad(artefact, len(artefact), text.encode())
        if not self.handle:
            raise CheckpointError("TS6004", f"the artefact does not load: {_last_error()}")
        self._unload = library.tesseraRtUnload
        self._bound: list[np.ndarray] = []
        self._run = library.tesseraRtRun
        self.description = json.loads(library.tesseraRtDescribe(self.handle))
        self.device: str = self.description["device"]
        # Where each input's elements must lie; see Placed.placement.
        self.placements: list[int] = [
            library.tesseraRtInputPlacement(self.handle, i)
            for i in range(len(self.description["inputs"]))]
        self.outputs = [
            (tuple(o["shape"]), dtypes.BY_NAME[o["dtype"]]) for o in self.description["outputs"]
        ]
        self._execute = library.tesseraRtExecute
        self._result_handles = ctypes.c_void_p * max(len(self.outputs), 1)
        self._output_pointers = ctypes.c_void_p * max(len(self.outputs), 1)
        self._input_words = ctypes.c_size_t * max(2 * len(self.placements), 1)

    def place(self, index: int, array: np.ndarray) -> Placed:
        """Cuts a whole tensor for input `index`; keeps `array` alive."""
        handle = _runtime().tesseraRtPlace(self.handle, index, pointer_of(array), array.nbytes)
        if not handle:
            raise CompileError("TS5003", f"placing an input failed: {_last_error()}")
        return Placed(handle, self.device, array)

    def bind(self, index: int, array: np.ndarray) -> None:
        """Makes a whole tensor the fixed value of an input, which runs then omit; keeps it alive."""
        self._bound.append(array)
        if _runtime().tesseraRtBind(self.handle, index, pointer_of(array), array.nbytes):
            raise CompileError("TS5003", f"placing a captured array failed: {_last_error()}")

    def reshard(self, index: int, placed: Placed) -> Placed:
        """A copy of a placed tensor in the layout of input `index`."""
        handle = _runtime().tesseraRtReshard(self.handle, index, placed.handle)
        if not handle:
            raise CompileError("TS5003", f"resharding an input failed: {_last_error()}")
        return Placed(handle, self.device)

    def execute(self, words: list[int], donated: bytes | None = None) -> list[Placed]:
        """Runs on inputs given as pairs (data, placed handle); results stay on the devices.

        `donated` has a byte per input, 1 where the run consumes it.
        """
        results = self._result_handles()
        code = self._execute(self.handle, self._input_words(*words), donated, len(self.placements),
                             results, len(self.outputs))
        if code:
            self.fail()
        return [Placed(handle, self.device) for handle in results[:len(self.outputs)]]

    def fail(self) -> None:
        """Raises what the last run in this thread failed with."""
        _raise_run_error()

    def make_call(self, array: type, **parts: Any) -> Any:
        """See dispatch.make_call."""
        return dispatch.make_call(self, array, Placed, fail=self.fail, **parts)

    def transfers(self) -> dict[str, int]:
        """Bytes that were cut, joined and resharded for this program, over all runs."""
        counts = _runtime().tesseraRtTransfers(self.handle)
        return {"cut": counts.cut, "joined": counts.joined, "resharded": counts.resharded}

    def run(self, words: list[int]) -> list[np.ndarray]:
        """Runs on inputs given as pairs (data, placed handle); returns whole results."""
        results = [np.empty(shape, dtype) for shape, dtype in self.outputs]
        pointers = self._output_pointers(*[pointer_of(r) for r in results])
        code = self._run(self.handle, self._input_words(*words), len(self.placements), pointers,
                         len(results))
        if code:
            _raise_run_error()
        return results

    def report(self) -> dict:
        """What the last run did."""
        return json.loads(_runtime().tesseraRtRunReport(self.handle) or b"{}")

    def set_tracing(self, is_on: bool) -> None:
        """Has runs record, from now on or no longer, when each step began and ended."""
        if _runtime().tesseraRtSetTracing(self.handle, is_on):
            raise CompileError("TS5003", f"tracing failed: {_last_error()}")

    def trace(self) -> dict:
        """The last run that was traced; see tesseraRtTrace."""
        return json.loads(_runtime().tesseraRtTrace(self.handle))

    def __del__(self) -> None:
        if getattr(self, "handle", None):
            self._unload(self.handle)
            self.handle = None


def _last_error() -> str:
    return (_runtime().tesseraRtLastError() or b"unknown error").decode("utf-8", "replace")


# A check of the program's that failed: the step, the place of the check, its message.
_FAILED_CHECK = re.compile(r"step [\d.]+ \(check: (.*):(\d+)\): (.*)", re.DOTALL)


def _raise_run_error() -> None:
    """Raises what the last run in this thread failed with; a failed check at the check's line."""
    printing.raise_failure()
    message = _last_error()
    check = _FAILED_CHECK.fullmatch(message)
    if check:
        place = source.Location(check[1], int(check[2]), 0)
        raise CompileError("TS5005", check[3], location=place)
    raise CompileError("TS5004", f"the run failed: {message}")
