# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Executable programs that were compiled in this process."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import numpy as np

from tessera._src.arrays.array import Array
from tessera._src.arrays.kinds import Kind, kind_of
from tessera._src.core import dtypes, tree
from tessera._src.core.errors import CheckpointError, ConfigError, TesseraError, TraceError
from tessera._src.core.files import write_whole
from tessera._src.core.source import caller_place
from tessera._src.functions.trace import Argument, Program, abstract, argument_as_numpy
from tessera._src.programs import native, reports, runtime
from tessera._src.programs.native import pointer_of
from tessera._src.tracing.operands import is_scalar, weak_scalar_dtype


# Arguments that an error names.
_LISTED = 12


def check_arguments(program: Program, in_tree: tree.TreeDef, leaves: Sequence[Any],
                    structure: tree.TreeDef) -> None:
    """Raises unless arguments have the structure, shapes and dtypes that a program is for."""
    if structure != in_tree:
        raise ConfigError("TS4005", "the structure of the arguments differs from that of the lowered ones",
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
    if isinstance(leaf, np.generic) and leaf.dtype == argument.dtype:
        return np.asarray(leaf)
    if is_scalar(leaf):
        weak_scalar_dtype(leaf, argument.dtype, f" (argument '{argument.name}')")
        return np.asarray(leaf, argument.dtype)
    value = argument_as_numpy(leaf, argument.name)
    # What only says a shape and a type, such as a ts.ShapeDtypeStruct, is an object to NumPy.
    if value.shape != argument.shape or value.dtype != argument.dtype:
        raise TraceError("TS1032", f"argument '{argument.name}' is a {type(leaf).__name__}, which has no "
                         "elements",
                         expected=f"an array {dtypes.name_of(argument.dtype)}{list(argument.shape)}",
                         hint=getattr(leaf, "call_hint", "lower with it, and call with arrays"))
    return value


class Compiled:
    """An executable program with the structure of the function's arguments and results."""

    def __init__(self, program: Program, in_tree: tree.TreeDef, artefact: bytes, report: dict,
                 device: str, threads: int | None):
        self.program, self.in_tree = program, in_tree
        self.report, self._artefact = report, artefact
        self._executable: runtime.Executable | None = None
        self._load = {"device": device, "threads": threads}
        self._donated = [i for i, a in enumerate(program.arguments) if a.is_donated]
        self._names = tuple([a.name for a in program.arguments])
        self._result_kinds: list[Kind] = []
        self.used = 0  # When it last ran, by the function that keeps it.

    def __repr__(self) -> str:
        shapes = [f"{a.name}: {dtypes.name_of(a.dtype)}{list(a.shape)}" for a in self.program.arguments]
        return f"<Compiled ({', '.join(shapes)}) on {self.program.mesh!r}, {len(self._artefact)} bytes>"

    @property
    def executable(self) -> runtime.Executable:
        """Loaded on first use, so that compiling for a device that is not here works."""
        if self._executable is None:
            executable = runtime.Executable(self._artefact, **self._load)
            for index, value in enumerate(self.program.captured, len(self.program.arguments)):
                executable.bind(index, np.ascontiguousarray(value))
            self._result_kinds = [
                kind_of(shape, dtype, self.program.mesh, output["layout"])
                for (shape, dtype), output in zip(executable.outputs, executable.description["outputs"])]
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

    def memory(self) -> dict[str, int]:
        """Bytes that one device needs: predicted ones as of the lowered program, and in `arena` what the
        activations take now that each has its place."""
        return reports.memory(self.report)

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

    def accepts(self, kinds: Sequence[Any]) -> bool:
        """Whether arguments of these kinds may use this program, if it fits them but for layouts.

        An argument with a layout of its own takes any array; another takes what has the layout that
        the program was compiled for, or if the compiler chose that, what has none.
        """
        inputs = self.executable.description["inputs"]
        for kind, argument, item in zip(kinds, self.program.arguments, inputs):
            if argument.spec is not None and not argument.has_arrived:
                continue
            if not isinstance(kind, Kind) or kind.layout is None:
                if argument.has_arrived:
                    return False
            elif kind.layout != item["layout"]:
                return False
        return True

    def transfers(self) -> dict[str, int]:
        """Bytes copied so far because arguments or results were wanted in another form: "cut" from whole
        arrays, "joined" to whole ones, "resharded" from one layout to another. What stays as it is
        costs nothing and counts nothing."""
        return self.executable.transfers()

    def run_flat(self, leaves: Sequence[Any]) -> Any:
        """Runs on checked leaves; the path every call takes."""
        executable = self._executable or self.executable
        placements, arguments = executable.placements, self.program.arguments
        words = [0] * (2 * len(placements))
        keep = []
        for index, leaf in enumerate(leaves):
            if type(leaf) is Array:
                if arguments[index].is_donated:
                    continue
                placed = leaf._placed
                if placed is None or placed.placement != placements[index]:
                    placed = self._converted(leaf, index)
                words[2 * index + 1] = placed.handle
                keep.append(placed)
            else:
                host = leaf
                if type(leaf) is not np.ndarray:
                    host = host_value(leaf, arguments[index])
                if not host.flags.c_contiguous:
                    host = np.ascontiguousarray(host)
                keep.append(host)
                words[2 * index] = pointer_of(host)
        if self._donated:
            results = self._run_donating(leaves, words)
        else:
            results = executable.execute(words)
        arrays = [Array.of_placed(kind, placed) for kind, placed in zip(self._result_kinds, results)]
        return tree.unflatten(self.program.result_tree, arrays)

    def make_call(self, kinds: Sequence[Any], kind_of_leaf: Callable[[Any], Any]) -> Any:
        """What runs the program for arguments of these kinds with little overhead; None if nothing does.

        Args:
            kind_of_leaf: the kind of an argument that is not a ts.Array.
        """
        arguments = self.program.arguments
        make = getattr(self.executable, "make_call", None)
        if make is None:
            return None

        # Scalars of NumPy whose bytes are those of the argument.
        scalars = [a.dtype.type if not a.shape else None for a in arguments]

        def prepare(index: int, leaf: Any) -> tuple[int, np.ndarray] | bytes | None:
            if type(leaf) is scalars[index] and kinds[index] == ((), leaf.dtype):
                return leaf.tobytes()
            if kind_of_leaf(leaf) != kinds[index]:
                return None
            host = leaf if type(leaf) is np.ndarray else host_value(leaf, arguments[index])
            if not host.flags.c_contiguous:
                host = np.ascontiguousarray(host)
            return pointer_of(host), host

        return make(Array, in_tree=self.in_tree, out_tree=self.program.result_tree, kinds=tuple(kinds),
                    names=self._names, results=tuple(self._result_kinds),
                    donated=tuple([a.is_donated for a in arguments]), prepare=prepare,
                    convert=self._converted, function=self.program.name)

    @property
    def donates(self) -> bool:
        """Whether a call consumes arguments."""
        return bool(self._donated)

    def _converted(self, array: Array, index: int) -> runtime.Placed:
        """An array in the layout of an input; the array keeps it."""
        array._check()
        key = self.executable.placements[index]
        if array._others is None:
            array._others = {}
        placed = array._others.get(key)
        if placed is None:
            placed = array._others[key] = self._copied(array, index)
        return placed

    def _copied(self, array: Array, index: int) -> runtime.Placed:
        if array._placed is not None:
            return self.executable.reshard(index, array._placed)
        return self.executable.place(index, np.ascontiguousarray(array._read()))

    def _refuse_twice(self, array: Array, index: int) -> NoReturn:
        """Raises for an array that is two of the donated arguments of one call."""
        first, second = self._names[array._gone_index], self._names[index]
        raise ConfigError(
            "TS4020", f"one array is passed to {self.program.name} twice, as '{first}' and as '{second}', "
            "and both are donated", got=f"{dtypes.name_of(array.dtype)}{list(array.shape)}",
            expected="an array for each of the results that take their memory",
            hint=f"pass a copy as one of them, such as ts.array({second.split('.')[0]}), or donate only one")

    def _run_donating(self, leaves: Sequence[Any], words: list[int]) -> list[runtime.Placed]:
        """A run that consumes the arrays among the donated arguments; they stay if it does not begin."""
        executable = self.executable
        flags = bytearray(len(executable.placements))
        call = (self._names, self.program.name, caller_place())
        given: list[tuple[Array, runtime.Placed | None, np.ndarray | None, runtime.Placed]] = []
        try:
            for index in self._donated:
                array = leaves[index]
                if type(array) is not Array:
                    continue
                if array._gone is call:
                    self._refuse_twice(array, index)
                array._check()
                own = placed = array._placed
                # A view of memory on the devices must not be held here: it would count as used.
                host = array._host if own is None else None
                if own is None or own.placement != executable.placements[index]:
                    placed = self._copied(array, index)
                is_free = array.give_away(call, index)
                given.append((array, own, host, placed))
                flags[index] = is_free or placed is not own
                words[2 * index + 1] = placed.handle
            return executable.execute(words, bytes(flags))
        except TesseraError:
            for array, own, host, _ in given:
                if own is None or not own.is_consumed():
                    array.take_back(own, host)
            raise
