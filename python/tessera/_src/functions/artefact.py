# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Executable programs that are read from a file, without the function that they were made of."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from tessera._src.arrays.array import Array
from tessera._src.arrays.conversion import as_numpy
from tessera._src.core import dtypes, tree, tree_text
from tessera._src.core.errors import CheckpointError, ConfigError, did_you_mean
from tessera._src.programs import native, runtime, targets
from tessera._src.tracing.operands import is_python_number, weak_scalar_dtype

# Inputs that an error names.
_LISTED = 12


class LoadedArtefact:
    """An artefact read from a file: called as the function was, with trees of arrays.

    What it returns is the tree that the function returned, or of a program that was not traced, the tuple
    of its results. A named tuple or registered dataclass in it is made of that class where its module has
    been imported, else it is a named tuple of the same fields. Inputs have the names of the function's
    arguments and of their leaves ("params.w"); `inputs` lists them in order, so that they can be given
    one by one as well.
    """

    def __init__(self, artefact: bytes, device: str | None, threads: int | None):
        self.executable = runtime.Executable(artefact, device=device, threads=threads)
        # Of the result; None for a program that was not traced.
        self.structure = tree_text.from_text(self.executable.description.get("structure", ""))

    def __repr__(self) -> str:
        return f"<LoadedArtefact ({', '.join(map(_shown, self.inputs))})>"

    @property
    def inputs(self) -> list[dict]:
        """Name, shape, dtype and layout of each input; arrays that the artefact holds are none."""
        return [item for item in self.executable.description["inputs"] if not item.get("captured")]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        given = self._by_number(args, kwargs)
        keep = [_host(leaf, item) for leaf, item in zip(given, self.inputs)]
        pointers = iter(keep)
        words: list[int] = []
        for item in self.executable.description["inputs"]:
            words += [0, 0] if item.get("captured") else [native.pointer_of(next(pointers)), 0]
        results = [Array(r) for r in self.executable.run(words)]
        if self.structure is None or self.structure.count != len(results):
            return tuple(results)
        return tree.unflatten(self.structure, results)

    def _by_number(self, args: tuple, kwargs: dict) -> list[Any]:
        """The leaves in the order of the inputs."""
        inputs = self.inputs
        named, structure = tree.flatten(kwargs)
        found = dict(zip(tree.paths(structure), named))
        names = [item["name"] for item in inputs]
        for path in found:
            if path not in names:
                raise ConfigError("TS4005", f"the artefact has no input '{path}'",
                                  choices=list(map(_shown, inputs[:_LISTED])),
                                  hint=did_you_mean(path, names))
        leaves, structure = tree.flatten(args)
        rest = [item for item in inputs if item["name"] not in found]
        if len(leaves) != len(rest):
            more = [f"and {len(inputs) - _LISTED} more"] if len(inputs) > _LISTED else []
            raise ConfigError(
                "TS4005", "wrong number of inputs",
                expected=f"{len(inputs)}: " + ", ".join([*map(_shown, inputs[:_LISTED]), *more]),
                got=f"{len(leaves) + len(found)}, in {tree.describe(structure)}"
                    + (f" and {', '.join(found)}" if found else ""))
        for path, item in zip(tree.paths(structure), rest):
            position, _, inner = path.partition(".")
            if inner and inner != item["name"].partition(".")[2] and not inner.isdigit():
                raise ConfigError("TS4005", f"argument {position} has '{inner}' for input '{item['name']}'",
                                  expected=", ".join(map(_shown, inputs[:_LISTED])),
                                  got=tree.describe(structure))
        positional = iter(leaves)
        return [found[name] if name in found else next(positional) for name in names]


def _shown(item: dict) -> str:
    return f"{item['name']}: {_type_of(item)}"


def _type_of(item: dict) -> str:
    name = "bool" if item["dtype"] == "i1" else item["dtype"]
    return f"{name}{list(item['shape'])}"


def _host(given: Any, item: dict) -> np.ndarray:
    """An argument for an input, whose shape and type it has; a Python number takes the type."""
    dtype = dtypes.BY_NAME.get(item["dtype"])
    if dtype is None:
        raise ConfigError("TS4005", f"input '{item['name']}' has elements of type {item['dtype']}, of which "
                          "there are no arrays", choices=map(dtypes.name_of, dtypes.MLIR_NAMES),
                          hint="let the program take one of these, and convert it with tessera.convert")
    leaf = given
    if is_python_number(leaf):
        leaf = np.asarray(leaf, weak_scalar_dtype(leaf, dtype, f" (input '{item['name']}')"))
    host = np.require(as_numpy(leaf), requirements=["C"])
    is_number = host.dtype in dtypes.MLIR_NAMES or host.dtype.kind in "fiu"
    if host.shape != tuple(item["shape"]) or host.dtype != dtype:
        raise ConfigError("TS4005", f"input '{item['name']}' does not fit",
                          expected=_type_of(item), got=f"{dtypes.name_of(host.dtype)}{list(host.shape)}",
                          hint=_conversion(given, dtype) if host.dtype != dtype and is_number else None)
    return host


def _conversion(given: Any, dtype: np.dtype) -> str:
    """How what was given for an input gets the input's type."""
    name = dtypes.public_name(dtype)
    if not is_python_number(given):
        convert = f".astype({name})" if hasattr(given, "astype") else f"np.asarray(x, {name})"
        return f"convert it before the call, with {convert}"
    return "pass True or False" if dtype == dtypes.bool_ else "pass a whole number, such as int(x)"


def load_artefact(path: str | os.PathLike, device: str | None = None,
                  threads: int | None = None) -> LoadedArtefact:
    """Reads what Compiled.save or tessera-compile wrote.

    The result is called as the function was, with trees of arrays, or with one array for each of its
    `inputs`, and returns the tree that the function returned; that of a program which was not traced
    returns the tuple of its results.

    Args:
        device: what runs it; by default the one that the artefact was compiled for.
        threads: of all devices of a CPU mesh together; all cores by default.

    Raises:
        CheckpointError: the file is missing, damaged, or of a newer version.
    """
    if device is not None:
        targets.check_device(device)
    targets.check_threads(threads)
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise CheckpointError("TS6003", f"{path} cannot be read: {error.strerror}") from None
    try:
        return LoadedArtefact(data, device, threads)
    except CheckpointError as error:
        # A whole artefact that another device runs does not get better by writing it again.
        is_unreadable = any(word in error.message for word in ("damaged", "not a Tessera", "format version"))
        raise CheckpointError(
            "TS6004", f"{path}: {error.message}",
            hint="write it again with tessera-compile or .save()" if is_unreadable else None,
        ) from None
