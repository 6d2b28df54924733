# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A traced function on its way to an executable: stages, reports, the compiled object."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tessera._src import cache, dtypes, native, tree
from tessera._src.array import Array, ShapeDtypeStruct
from tessera._src.errors import (
    CheckpointError,
    CompileError,
    ConfigError,
    TraceError,
    did_you_mean,
)
from tessera._src.files import write_whole
from tessera._src.source import NOWHERE
from tessera._src.tracer import is_scalar, weak_scalar_dtype
from tessera._src.tracing import Argument, Program, abstract

DEVICES = ("cpu", "emulated", "null", "cuda")
TARGETS = ("cpu", "cpu:x86-64-v3", "emulated", "cuda:sm_80", "cuda:sm_90a", "cuda:sm_100a")
STAGES = ("tessera", "layouts", "reshards", "local", "kernels", "llvm", "nvvm", "ptx", "plan")
_ONLY_CPU, _ONLY_GPU = ("llvm",), ("nvvm", "ptx")
COLLECTIVES = ("all_reduce", "all_gather", "reduce_scatter", "all_to_all", "permute")
_LOCATION = re.compile(r' loc\((?:"(?:[^"\\]|\\.)*":\d+:\d+|unknown)\)')


def check_target(target: str) -> str:
    """A target's name, or an error that lists them."""
    # The compiler knows the CPUs.
    if target not in TARGETS and not target.startswith("cpu:"):
        raise ConfigError("TS4002", f"unknown target '{target}'", choices=TARGETS,
                          hint=did_you_mean(target, TARGETS))
    return target


def check_device(device: str) -> str:
    """A device's name, or an error that lists them."""
    if device not in DEVICES:
        raise ConfigError("TS4003", f"unknown device '{device}'", choices=DEVICES,
                          hint=did_you_mean(device, DEVICES))
    return device


def check_runnable(device: str, target: str) -> None:
    """Raises unless `device` is here and runs what is compiled for `target`."""
    kind = target.partition(":")[0]
    if device != "null" and kind != device:
        raise ConfigError(
            "TS4003", f"device '{device}' does not run what is compiled for '{target}'",
            choices=[kind, "null"], hint="leave target out, or only lower and save the program",
        )
    if device == "cuda" and not native.cuda_device_count():
        raise ConfigError("TS4003", "there is no CUDA device here", choices=["cpu", "emulated"],
                          hint=".lower(...).compile() works without one")


def check_compile_options(options: Any) -> dict[str, Any]:
    """The compiler's options, or an error that lists them."""
    if not isinstance(options, dict) or any(name != "forbidImplicit" for name in options):
        raise ConfigError("TS4010", "unknown compiler options", got=repr(options),
                          choices=['{"forbidImplicit": ["all_gather", ...]}'])
    for kind in options.get("forbidImplicit", ()):
        if kind not in COLLECTIVES:
            raise ConfigError("TS4010", f"forbidImplicit names '{kind}', which is no collective",
                              choices=COLLECTIVES, hint=did_you_mean(str(kind), COLLECTIVES))
    return dict(options)


def stages_of(target: str) -> tuple[str, ...]:
    """The stages a program for this target goes through."""
    left_out = _ONLY_GPU if target == "cpu" else _ONLY_CPU
    return tuple(stage for stage in STAGES if stage not in left_out)


def target_of(device: str) -> str:
    """What a device runs."""
    return {"cuda": "cuda:sm_90a", "emulated": "emulated"}.get(device, "cpu")


class Table(list):
    """Rows (dictionaries) that print as a table."""

    def __init__(self, rows: Sequence[dict], columns: Sequence[str]):
        super().__init__(rows)
        self.columns = list(columns)

    def __str__(self) -> str:
        if not self:
            return "(none)"
        cells = [self.columns] + [[_cell(row.get(c)) for c in self.columns] for row in self]
        widths = [max(len(line[i]) for line in cells) for i in range(len(self.columns))]
        return "\n".join(
            "  ".join(text.ljust(width) for text, width in zip(line, widths)).rstrip()
            for line in cells
        )


def _cell(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return "x".join(str(v) for v in value)
    if isinstance(value, float):
        return f"{value:.3g}"
    return "" if value is None else str(value)


class Lowered:
    """A function's program; made by `f.lower(...)`."""

    def __init__(self, program: Program, in_tree: tree.TreeDef, target: str, options: dict):
        self.program, self.in_tree, self.target, self.options = program, in_tree, target, options
        self._reports: dict[str, dict] = {}

    def __repr__(self) -> str:
        shapes = [f"{a.name}: {dtypes.name_of(a.dtype)}{list(a.shape)}" for a in self.program.arguments]
        return f"<Lowered ({', '.join(shapes)}) on {self.program.mesh!r}, target '{self.target}'>"

    def as_text(self, stage: str = "tessera", *, locations: bool = False) -> str:
        """The program at a stage; with the user's source locations if asked."""
        stages = stages_of(self.target)
        if stage not in stages:
            kind = "unknown stage" if stage not in STAGES else f"target '{self.target}' has no stage"
            raise ConfigError("TS4004", f"{kind} '{stage}'", choices=stages,
                              hint=did_you_mean(stage, stages) if stage not in STAGES else None)
        if stage == "tessera":
            text = self.program.text
        else:
            text = self._compile(stage)[0].decode()
        return text if locations else _LOCATION.sub("", text)

    def _compile(self, emit: str) -> tuple[bytes, dict]:
        data, _, report = native.compile_text(
            self.program.text, target=self.target, emit=emit, **self.options
        )
        self._reports[emit] = report
        return data, report

    def _report(self, emit: str = "local") -> dict:
        if emit not in self._reports:
            self._compile(emit)
        return self._reports[emit]

    def collectives(self) -> Table:
        """Each collective of one device's program, with the line it comes from."""
        rows = []
        for item in self._report().get("collectives", []):
            row = dict(item)
            row["axes"] = ",".join(item.get("axes", []))
            row["where"] = f"{os.path.basename(item.get('file') or '?')}:{item.get('line', 0)}"
            rows.append(row)
        return Table(rows, ["kind", "axes", "shape", "dtype", "bytes", "estimatedNs", "where", "rule"])

    def cost(self) -> dict[str, float]:
        """Work of one device per run: flops, bytes moved in memory and between devices."""
        report = self._report()
        moved = report.get("collectives", [])
        return {
            "flops": report.get("flops", 0),
            "bytes": report.get("bytes", 0),
            "collectives": len(moved),
            "communicated_bytes": sum(c.get("bytes", 0) for c in moved),
            "communication_ns": sum(c.get("estimatedNs", 0) for c in moved),
        }

    def explain(self) -> str:
        """Why each collective is there, and what else was possible."""
        lines = [f"{self.program.mesh!r}, target {self.target}"]
        for kind in ("arguments", "results"):
            groups: dict[tuple[str, str], int] = {}
            for item in self._report().get(kind, []):
                if item.get("layout", "").replace("{}", "").strip("[], "):
                    name = re.sub(r"\d+", "*", item.get("name") or "(result)")
                    key = (name, item["layout"])
                    groups[key] = groups.get(key, 0) + 1
            for (name, layout), count in groups.items():
                times = f" ({count} of them)" if count > 1 else ""
                lines.append(f"{kind[:-1]} {name}: {layout}{times}")
        for number, item in enumerate(self._report().get("collectives", []), 1):
            shape = "x".join(str(d) for d in item.get("shape", []))
            lines.append(
                f"{number}. {item['kind']} over {','.join(item.get('axes', []))} of {shape} "
                f"{item.get('dtype', '')}, {item.get('bytes', 0)} bytes, "
                f"~{item.get('estimatedNs', 0) / 1000:.1f} us, "
                f"at {item.get('file') or '?'}:{item.get('line', 0)}"
            )
            lines += [f"   because {item['rule']}"] if item.get("rule") else []
            lines += [f"   from {origin}" for origin in item.get("origins", [])]
            lines += [f"   instead of {other}" for other in item.get("alternatives", [])]
        if len(lines) == 1 or not self._report().get("collectives"):
            lines.append("no collectives")
        return "\n".join(lines)

    def interpret(self, *args: Any, stage: str = "tessera", **kwargs: Any) -> Any:
        """The results by the reference interpreter, on simulated devices."""
        leaves, structure = tree.flatten((args, kwargs))
        self._check_tree(structure)
        inputs = [
            np.ascontiguousarray(np.asarray(leaf).astype(argument.dtype, copy=False))
            for leaf, argument in zip(leaves, self.program.arguments)
        ]
        inputs = [i.reshape(a.shape) for i, a in zip(inputs, self.program.arguments)]
        outputs = [np.zeros(shape, dtype) for shape, dtype in self.program.results]
        native.interpret(self.program.text, inputs, outputs, stage=stage)
        return tree.unflatten(self.program.result_tree, [Array(o) for o in outputs])

    def _check_tree(self, structure: tree.TreeDef) -> None:
        if structure != self.in_tree:
            raise ConfigError("TS4005", "the arguments have another structure than those lowered",
                              expected=self.in_tree, got=structure)

    def compile(self, device: str = "cpu", threads: int | None = None) -> Compiled:
        """An executable, from the disk cache where it was compiled before."""
        options = {"target": self.target, **self.options}
        key = cache.key_of(self.program.text, options, native.compiler_version(), cache.machine())
        known = cache.load(key)
        if known is None:
            known = self._compile("artefact")
            cache.store(key, *known)
        artefact, report = known
        return Compiled(self, artefact, report, device, threads)


class Compiled:
    """An executable program with the structure of the function's arguments and results."""

    def __init__(self, lowered: Lowered, artefact: bytes, report: dict, device: str,
                 threads: int | None):
        self.lowered, self.report, self._artefact = lowered, report, artefact
        self._executable: native.Executable | None = None
        self._load = {"device": device, "threads": threads}
        self.used = 0  # When it last ran, by the function that keeps it.

    def __repr__(self) -> str:
        return f"<Compiled {self.lowered!r}, {len(self._artefact)} bytes>"

    @property
    def executable(self) -> native.Executable:
        """Loaded on first use, so that compiling for a device that is not here works."""
        if self._executable is None:
            self._executable = native.Executable(self._artefact, **self._load)
        return self._executable

    @property
    def in_shardings(self) -> Any:
        """The layout of each argument, in the arguments' structure, as "[{dp}, {tp}]"."""
        layouts = [i.get("layout", "") for i in self.report.get("arguments", [])]
        if len(layouts) != self.lowered.in_tree.count:
            layouts = [i["layout"] for i in self.executable.description["inputs"]]
        return tree.unflatten(self.lowered.in_tree, layouts)

    def collectives(self) -> Table:
        return self.lowered.collectives()

    def as_artefact(self) -> bytes:
        """What tessera-run executes."""
        return self._artefact

    def save(self, path: str | os.PathLike) -> None:
        """Writes the artefact; the file is there whole or not at all."""
        try:
            write_whole(path, self._artefact)
        except OSError as error:
            raise CheckpointError("TS6005", f"{path} cannot be written: {error.strerror}") from None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        leaves, structure = tree.flatten((args, kwargs))
        self.lowered._check_tree(structure)
        for leaf, argument in zip(leaves, self.lowered.program.arguments):
            shape, dtype = abstract(leaf, argument.name)
            what = "shape" if shape != argument.shape else "element type"
            if (shape, dtype) != (argument.shape, argument.dtype):
                raise ConfigError(
                    "TS4005", f"argument '{argument.name}' has another {what} than the one compiled for",
                    expected=f"{dtypes.name_of(argument.dtype)}{list(argument.shape)}",
                    got=f"{dtypes.name_of(dtype)}{list(shape)}",
                )
        return self.run_flat(leaves)

    def run_flat(self, leaves: Sequence[Any]) -> Any:
        """Runs on checked leaves; the path every call takes."""
        executable = self._executable or self.executable
        words: list[int] = []
        keep = []
        keys, arguments = executable.keys, self.lowered.program.arguments
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
                    host = _host_value(leaf, arguments[index])
                if not host.flags.c_contiguous:
                    host = np.ascontiguousarray(host)
                keep.append(host)
                words.append(native.pointer_of(host))
                words.append(0)
        results = executable.run(words)
        return tree.unflatten(self.lowered.program.result_tree, [Array(r) for r in results])


def _host_value(leaf: Any, argument: Argument) -> np.ndarray:
    """A number or an array of another library as an array of the argument's dtype."""
    if isinstance(leaf, ShapeDtypeStruct):
        raise TraceError("TS1032", f"argument '{argument.name}' is a ShapeDtypeStruct, which has no "
                         "elements", hint="lower with it, and call with arrays")
    if is_scalar(leaf):
        weak_scalar_dtype(leaf, argument.dtype, f" (argument '{argument.name}')")
    return np.asarray(leaf, argument.dtype)


class LoadedArtefact:
    """An artefact read from a file: called with its inputs one by one, in order."""

    def __init__(self, artefact: bytes, device: str | None, threads: int | None):
        self.executable = native.Executable(artefact, device=device, threads=threads)

    def __repr__(self) -> str:
        shapes = [f"{i['name']}: {i['dtype']}{list(i['shape'])}" for i in self.inputs]
        return f"<LoadedArtefact ({', '.join(shapes)})>"

    @property
    def inputs(self) -> list[dict]:
        """Name, shape, dtype and layout of each input."""
        return self.executable.description["inputs"]

    def __call__(self, *arrays: Any) -> tuple[Array, ...]:
        if len(arrays) != len(self.inputs):
            raise ConfigError("TS4005", "wrong number of inputs", expected=len(self.inputs),
                              got=len(arrays))
        words, keep = [], []
        for item, array in zip(self.inputs, arrays):
            host = np.require(np.asarray(array), requirements=["C"])
            if host.shape != tuple(item["shape"]) or host.dtype != dtypes.BY_NAME[item["dtype"]]:
                raise ConfigError(
                    "TS4005", f"input '{item['name']}' does not fit",
                    expected=f"{item['dtype']}{item['shape']}",
                    got=f"{dtypes.name_of(host.dtype)}{list(host.shape)}",
                )
            keep.append(host)
            words += [native.pointer_of(host), 0]
        return tuple(Array(r) for r in self.executable.run(words))


def load_artefact(path: str | os.PathLike, device: str | None = None,
                  threads: int | None = None) -> LoadedArtefact:
    """Reads what Compiled.save or tessera-compile wrote."""
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise CheckpointError("TS6003", f"{path} cannot be read: {error.strerror}") from None
    try:
        return LoadedArtefact(data, device, threads)
    except CheckpointError as error:
        raise CheckpointError("TS6004", f"{path}: {error.message}", location=NOWHERE,
                              hint="write it again with tessera-compile or .save()") from None


__all__ = ["CompileError", "Compiled", "Lowered", "Table", "load_artefact"]
