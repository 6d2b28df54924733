# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""ts.checkpoints.load_torch: tensors from files of torch.save and from safetensors files, without torch.

A file of torch.save (1.6 and later) is a zip: data.pkl, a pickle that makes the tensors from storages, and
the storages' bytes, a stored record each.
"""

from __future__ import annotations

import collections
import os
from pathlib import Path
from typing import Any

import numpy as np

from tessera._src.checkpoints.pickle_machine import Damaged, Refused, read_pickle
from tessera._src.checkpoints.tensor_file import DTYPES, read_header
from tessera._src.core.errors import CheckpointError

_BY_TORCH_NAME: dict[str, np.dtype] = {
    "float64": DTYPES["F64"], "float32": DTYPES["F32"], "float16": DTYPES["F16"], "bfloat16": DTYPES["BF16"],
    "float8_e4m3fn": DTYPES["F8_E4M3"], "float8_e5m2": DTYPES["F8_E5M2"], "int64": DTYPES["I64"],
    "int32": DTYPES["I32"], "int16": DTYPES["I16"], "int8": DTYPES["I8"], "uint64": DTYPES["U64"],
    "uint32": DTYPES["U32"], "uint16": DTYPES["U16"], "uint8": DTYPES["U8"], "bool": DTYPES["BOOL"],
    "complex64": np.dtype(np.complex64), "complex128": np.dtype(np.complex128),
}
_STORAGES = {
    "Double": "float64", "Float": "float32", "Half": "float16", "BFloat16": "bfloat16", "Long": "int64",
    "Int": "int32", "Short": "int16", "Char": "int8", "Byte": "uint8", "Bool": "bool",
    "ComplexFloat": "complex64", "ComplexDouble": "complex128",
}
_HINT = "load it with torch, if you trust who wrote it, and save its state_dict, or as .safetensors"


def load_torch(path: str | os.PathLike) -> Any:
    """What torch.save has written, or the tensors of a .safetensors file, as read-only NumPy arrays.

    Nothing that a file says is run: of its pickle, only what makes tensors, dicts, lists, tuples, strings
    and numbers is followed, by a machine that can do nothing else. torch is not imported. Views have the
    strides they had, and those of one storage share its memory. Parameters are arrays, torch.Size is a
    tuple, and a state_dict an OrderedDict (without the version numbers of its modules). Arrays of a
    .safetensors file are mapped, and read when they are used.

    Raises:
        CheckpointError: the file cannot be read (TS6001), is damaged (TS6002), or asks for what is no
            tensor, by name (TS6010).
    """
    path = Path(path)
    try:
        with open(path, "rb") as file:
            first = file.read(4)
    except FileNotFoundError:
        raise CheckpointError("TS6001", f"{path} does not exist") from None
    except OSError as error:
        raise CheckpointError("TS6001", f"{path} cannot be read: {error.strerror or error}") from None
    if first == b"PK\x03\x04":
        return _load_zip(path)
    if first[:1] == b"\x80":
        raise CheckpointError("TS6010", f"{path} is a pickle of its own, as torch wrote before 1.6",
                              expected="a zip file of torch.save, or a .safetensors file", hint=_HINT)
    return _map_safetensors(path)


def _map_safetensors(path: Path) -> dict[str, np.ndarray]:
    _, places = read_header(path)
    unknown = [name for name, place in places.items() if place.dtype not in DTYPES]
    if unknown:
        raise CheckpointError("TS6002", f"tensor '{unknown[0]}' of {path} is of type "
                              f"{places[unknown[0]].dtype}", choices=DTYPES)
    data = np.memmap(path, np.uint8, "r").view(np.ndarray)
    return {name: data[place.begin:place.end].view(DTYPES[place.dtype]).reshape(place.shape)
            for name, place in places.items()}


def _load_zip(path: Path) -> Any:
    import zipfile

    try:
        with zipfile.ZipFile(path) as archive:
            pickles = [name for name in archive.namelist() if name.split("/")[1:] == ["data.pkl"]]
            if len(pickles) != 1:
                raise CheckpointError("TS6010", f"{path} is a zip file without data.pkl",
                                      expected="a file of torch.save", got=", ".join(archive.namelist()[:8]))
            records = _Records(path, archive, pickles[0].partition("/")[0])
            return read_pickle(records.read("data.pkl"), _TABLE, records.storage)
    except Refused as error:
        raise CheckpointError("TS6010", f"{path} asks {error}, which is no tensor",
                              expected="tensors, dicts, lists, tuples, strings and numbers",
                              hint=_HINT) from None
    except (Damaged, zipfile.BadZipFile, EOFError, NotImplementedError) as error:
        raise CheckpointError("TS6002", f"{path} is damaged: {error}",
                              hint="get it again from where it came from") from None
    except OSError as error:
        raise CheckpointError("TS6001", f"{path} cannot be read: {error.strerror or error}") from None


class _Records:
    """The records of a file of torch.save."""

    def __init__(self, path: Path, archive: Any, folder: str):
        self.path, self.archive, self.folder = path, archive, folder
        names = archive.namelist()
        self.is_big_endian = f"{folder}/byteorder" in names and self.read("byteorder") == b"big"
        self.stored: dict[str, bytes] = {}

    def read(self, name: str) -> bytes:
        """A record, its checksum checked."""
        try:
            info = self.archive.getinfo(f"{self.folder}/{name}")
        except KeyError:
            raise Damaged(f"it has no record {name}") from None
        if info.compress_type != 0:  # torch stores all; what unpacks could be larger than any memory.
            raise Refused(f"to unpack record {name}")
        return self.archive.read(info)

    def storage(self, identifier: Any) -> np.ndarray:
        """A storage by what the pickle calls it: ("storage", type, key, device, number of elements)."""
        kind, dtype, key, _, count = identifier
        if kind != "storage" or not isinstance(key, str) or type(count) is not int:
            raise ValueError(f"a storage called {identifier!r}")
        dtype = _STORAGE_TYPES[dtype.name]
        if key not in self.stored:
            self.stored[key] = self.read(f"data/{key}")
        data = self.stored[key]
        if count * dtype.itemsize > len(data):
            raise ValueError(f"storage {key} has {len(data)} bytes, not {count} elements of {dtype}")
        elements = np.frombuffer(data, dtype, count)
        if self.is_big_endian and dtype.itemsize > 1:
            elements = _read_only(elements.byteswap())
        return elements


def _tensor(storage: np.ndarray, offset: int, shape: tuple, strides: tuple, requires_grad: bool = False,
            hooks: Any = None, metadata: Any = None) -> np.ndarray:
    """torch._utils._rebuild_tensor_v2: a view of a storage."""
    numbers = (offset, *shape, *strides)
    if not isinstance(storage, np.ndarray) or len(shape) != len(strides) or any(
            type(n) is not int or n < 0 for n in numbers):
        raise ValueError(f"a tensor of shape {shape!r} and strides {strides!r}")
    if 0 in shape:
        return _read_only(np.empty(shape, storage.dtype))
    # NumPy raises where it would look beyond the storage.
    view: np.ndarray = np.ndarray(shape, storage.dtype, storage.view(np.uint8), offset * storage.itemsize,
                                  [n * storage.itemsize for n in strides])
    marks = metadata or {}
    if marks.get("conj"):
        view = np.asarray(view.conj())
    if marks.get("neg"):
        view = np.asarray(-view)
    return _read_only(view)


def _read_only(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array


def _tensor_of_type(storage: np.ndarray, offset: int, shape: tuple, strides: tuple, requires_grad: bool,
                    hooks: Any, dtype: np.dtype, metadata: Any = None) -> np.ndarray:
    """torch._utils._rebuild_tensor_v3: of a storage of bytes."""
    if not isinstance(dtype, np.dtype):
        raise ValueError("a tensor without a type")
    count = storage.nbytes // dtype.itemsize
    return _tensor(storage.view(np.uint8)[:count * dtype.itemsize].view(dtype), offset, shape, strides,
                   requires_grad, hooks, metadata)


def _parameter(data: Any, requires_grad: bool = True, hooks: Any = None) -> Any:
    """torch._utils._rebuild_parameter."""
    return data


def _ordered(items: Any = ()) -> collections.OrderedDict:
    return collections.OrderedDict(items)


def _size(items: Any = ()) -> tuple:
    return tuple(items)


def _not_called(*_: Any) -> Any:
    raise Refused("to call a type of storage")


_STORAGE_TYPES = {f"torch.{prefix}Storage": _BY_TORCH_NAME[name] for prefix, name in _STORAGES.items()}
_STORAGE_TYPES["torch.storage.UntypedStorage"] = DTYPES["U8"]
_TABLE: dict[str, Any] = {
    **dict.fromkeys(_STORAGE_TYPES, _not_called),
    **{f"torch.{name}": dtype for name, dtype in _BY_TORCH_NAME.items()},
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_tensor_v3": _tensor_of_type,
    "torch._utils._rebuild_parameter": _parameter,
    "torch.Size": _size,
    "collections.OrderedDict": _ordered,
}
