# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Executable programs that were compiled in this process."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from tessera._src.arrays.array import Array, ShapeDtypeStruct
from tessera._src.core import dtypes, tree
from tessera._src.core.errors import CheckpointError, ConfigError, TraceError
from tessera._src.core.files import write_whole
from tessera._src.functions.trace import Argument, Program, abstract, argument_as_numpy
from tessera._src.programs import native, reports
from tessera._src.tracing.operands import is_scalar, weak_scalar_dtype


# Arguments that an error names.
_LISTED = 12


def check_arguments(program: Program, in_tree: tree.TreeDef, leaves: Sequence[Any],
                    structure: tree.TreeDef) -> None:
    """Raises unless arguments have the structure, shapes and dtypes that a program is for."""
    if structure != in_tree:
        raise ConfigError("TS4005", "the arguments have another structure than those lowered",
                          expected=f"{tree.describe_call(in_tree)}: "
                                   + (", ".join(a.name for a in program.arguments[:_LISTED])
                                      or "no arguments"),
                          got=tree.describe_call(structure))
    for leaf, argument in zip(leaves, program.arguments):
        shape, dtype = abstract(leaf, argument.name)
        what = "shape" if shape != argument.shape else "element type"
        if (shape, dtype) != (argument.shape, argument.dtype):
            raise ConfigError(
                "TS4005", f"argument '{argument.name}' has another {what} than the one compiled for",
                expected=f"{dtypes.name_of(argument.dtype)}{list(argument.shape)}",
                got=f"{dtypes.name_of(dtype)}{list(shape)}",
            )


def host_value(leaf: Any, argument: Argument) -> np.ndarray:
    """A number or an array of another library as an array of the argument's dtype."""
    if isinstance(leaf, ShapeDtypeStruct):
        raise TraceError("TS1032", f"argument '{argument.name}' is a ShapeDtypeStruct, which has no "
                         "elements", hint="lower with it, and call with arrays")
    if is_scalar(leaf):
        weak_scalar_dtype(leaf, argument.dtype, f" (argument '{argument.name}')")
        return np.asarray(leaf, argument.dtype)
    return argument_as_numpy(leaf, argument.name)


class Compiled:
    """An executable program with the structure of the function's arguments and results."""

    def __init__(self, program: Program, in_tree: tree.TreeDef, artefact: bytes, report: dict,
                 device: str, threads: int | None):
        self.program, self.in_tree = program, in_tree
        self.report, self._artefact = report, artefact
        self._executable: native.Executable | None = None
        self._load = {"device": device, "threads": threads}
        self.used = 0  # When it last ran, by the function that keeps it.

    def __repr__(self) -> str:
        shapes = [f"{a.name}: {dtypes.name_of(a.dtype)}{list(a.shape)}" for a in self.program.arguments]
        return f"<Compiled ({', '.join(shapes)}) on {self.program.mesh!r}, {len(self._artefact)} bytes>"

    @property
    def executable(self) -> native.Executable:
        """Loaded on first use, so that compiling for a device that is not here works."""
        if self._executable is None:
            executable = native.Executable(self._artefact, **self._load)
            for index, value in enumerate(self.program.captured, len(self.program.arguments)):
                executable.bind(index, np.ascontiguousarray(value))
            self._executable = executable
        return self._executable

    @property
    def in_shardings(self) -> Any:
        """The layout of each argument, in the arguments' structure, as "[{dp}, {tp}]"."""
        layouts = [i.get("layout", "") for i in self.report.get("arguments", [])]
        if len(layouts) < self.in_tree.count:
            layouts = [i["layout"] for i in self.executable.description["inputs"]]
        return tree.unflatten(self.in_tree, layouts[: self.in_tree.count])

    def collectives(self) -> reports.Table:
        """Each collective of one device's program, with the line it comes from."""
        return reports.collectives(self.report)

    def as_artefact(self) -> bytes:
        """What tessera-run executes; it holds the arrays that the function uses from outside."""
        if not self.program.captured:
            return self._artefact
        return native.capture(self._artefact, len(self.program.arguments), self.program.captured)

    def save(self, path: str | os.PathLike) -> None:
        """Writes the artefact; the file is there whole or not at all."""
        try:
            write_whole(path, self.as_artefact())
        except OSError as error:
            raise CheckpointError("TS6005", f"{path} cannot be written: {error.strerror}") from None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        leaves, structure = tree.flatten((args, kwargs))
        check_arguments(self.program, self.in_tree, leaves, structure)
        return self.run_flat(leaves)

    def run_flat(self, leaves: Sequence[Any]) -> Any:
        """Runs on checked leaves; the path every call takes."""
        executable = self._executable or self.executable
        words: list[int] = []
        keep = []
        keys, arguments = executable.keys, self.program.arguments
        for index, leaf in enumerate(leaves):
            if type(leaf) is Array:
                placed = leaf._placed.get(keys[index])
                if placed is None:
                    host = np.ascontiguousarray(leaf._host)
                    placed = leaf._placed[keys[index]] = executable.place(index, host)
                words.append(0)
                words.append(placed.handle)
            else:
                host = leaf
                if type(leaf) is not np.ndarray:
                    host = host_value(leaf, arguments[index])
                if not host.flags.c_contiguous:
                    host = np.ascontiguousarray(host)
                keep.append(host)
                words.append(native.pointer_of(host))
                words.append(0)
        results = executable.run(words)
        return tree.unflatten(self.program.result_tree, [Array(r) for r in results])
