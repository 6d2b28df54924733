# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Traces of one run of a program: when each step of its plan ran, on each device."""

from __future__ import annotations

import gzip
import json
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tessera._src.core.errors import ConfigError
from tessera._src.core.files import write_whole
from tessera._src.core.source import shown_paths
from tessera._src.functions.artefact import LoadedArtefact
from tessera._src.functions.compiled import Compiled
from tessera._src.functions.jit import BoundFunction, JittedFunction
from tessera._src.programs import reports

# The track that is no device's: the steps as all devices take them together.
PROGRAM = -1
_COLLECTIVE = re.compile(r"(\w+ over \{[^}]*\})(?:: (.*))?", re.DOTALL)
_IN_PARENTHESES = re.compile(r"step [^(]*\((.*)\)", re.DOTALL)
_COLUMNS = ("step", "runs", "us", "percent", "bytes", "source")


class Slice(NamedTuple):
    """A piece of time on a track.

    Attributes:
        track: a device's number in the mesh, or PROGRAM, -1.
        name: of a launch the kernel's, of a collective its kind and axes, else the kind of the step.
        category: "launch", "all_reduce", "copy", "loop" and so on, as in the plan; "run" of what is no step.
        begin: nanoseconds since the run began.
        duration: nanoseconds.
        details: what else is known: "step" (its place in the plan), "bytes" (of the buffers that one device
            reads and writes), "source" ("model.py:12", of a program that
            was compiled in this process), "why" (of a collective).
    """

    track: int
    name: str
    category: str
    begin: int
    duration: int
    details: dict[str, Any]


@dataclass(frozen=True)
class StepTrace:
    """One run of a program. Printed, it is a table of the kernels and collectives by time.

    Steps are waited for one by one while a run is traced, and all devices take each step together, so that
    the steps of track PROGRAM follow each other. A device's track has the part of a launch in which cores
    worked for that device, on the CPU; of other steps, and on other kinds of devices, all of the step.

    Attributes:
        result: of the call.
        function: its name.
        mesh: its axes, as "dp=2 tp=2".
        devices: their numbers.
        nanoseconds: of the run, with placing the arguments and the results.
        slices: by track and time; an enclosing one before those in it.
        dropped: steps that were too many to keep, of loops of very many iterations.
    """

    result: Any
    function: str
    mesh: str
    devices: tuple[int, ...]
    nanoseconds: int
    slices: tuple[Slice, ...] = field(repr=False)
    dropped: int = 0

    def by_step(self) -> reports.Table:
        """A row per kernel and source line, or other step without steps in it, by time: how often it ran,
        microseconds, percent of the run, bytes on one device, and source lines."""
        rows: dict[tuple, dict] = {}
        for item in self.slices:
            if item.track != PROGRAM or item.category in ("run", "loop", "while", "if"):
                continue
            source = item.details.get("source", "")
            row = rows.setdefault((item.name, source), {
                "step": item.name, "runs": 0, "us": 0.0, "percent": 0.0, "bytes": 0, "source": source})
            row["runs"] += 1
            row["us"] += item.duration / 1000
            row["percent"] += 100 * item.duration / max(self.nanoseconds, 1)
            row["bytes"] += item.details.get("bytes", 0)
        return reports.Table(sorted(rows.values(), key=lambda row: -row["us"]), _COLUMNS)

    def __str__(self) -> str:
        head = f"{self.function} on {self.mesh or 'one device'}: {self.nanoseconds / 1e6:.3f} ms"
        tail = f"\n{self.dropped} steps more are not in the trace" if self.dropped else ""
        return f"{head}\n{self.by_step()}{tail}"

    def as_chrome(self) -> dict[str, Any]:
        """In the Trace Event Format, with times in microseconds: what https://ui.perfetto.dev and
        chrome://tracing open."""
        process = {"ph": "M", "pid": 1, "tid": 0, "name": "process_name",
                   "args": {"name": f"{self.function} on {self.mesh or 'one device'}"}}
        events: list[dict[str, Any]] = [process]
        for track in (PROGRAM, *self.devices):
            name = "steps" if track == PROGRAM else f"device {track}"
            events += [{"ph": "M", "pid": 1, "tid": track + 2, "name": "thread_name", "args": {"name": name}},
                       {"ph": "M", "pid": 1, "tid": track + 2, "name": "thread_sort_index",
                        "args": {"sort_index": track + 2}}]
        for item in self.slices:
            events.append({"ph": "X", "pid": 1, "tid": item.track + 2, "name": item.name,
                           "cat": item.category, "ts": item.begin / 1000, "dur": item.duration / 1000,
                           "args": item.details})
        return {"traceEvents": events, "displayTimeUnit": "ns",
                "otherData": {"function": self.function, "mesh": self.mesh, "dropped": self.dropped}}

    def save(self, path: str | os.PathLike) -> None:
        """Writes what `as_chrome` gives; compressed where the name ends in .gz, which Perfetto opens, too.

        Raises:
            ConfigError: the name ends in something else than .json or .json.gz, or cannot be written.
        """
        _check_name(path)
        data = json.dumps(self.as_chrome()).encode()
        try:
            write_whole(path, gzip.compress(data, 6) if str(path).endswith(".gz") else data)
        except OSError as error:
            raise ConfigError("TS4043", f"{path} cannot be written: {error.strerror}") from None


def _check_name(path: str | os.PathLike) -> None:
    if not str(path).endswith((".json", ".json.gz")):
        raise ConfigError("TS4040", f"a trace is not written to {path}",
                          expected="a name in .json or .json.gz")


def trace(function: Callable, *args: Any, path: str | os.PathLike, **kwargs: Any) -> Any:
    """Calls a function of ts.jit, records when each step of its program ran, and writes that to a file.

    Open the file at https://ui.perfetto.dev. A track has the steps, another one for each device its part in
    them; a slice is a launch of a kernel, a collective, a copy, or a loop around such slices, and says the
    source lines it comes from and the bytes that it touches. Call the function once before: the first call
    compiles, and the first run touches its memory for the first time.

    Args:
        function: made by ts.jit, or what its .lower(...).compile() or ts.load_artefact gives.
        args, kwargs: of the call; what the function donates is donated.
        path: ends in .json, or compressed in .json.gz.

    Returns: what the function returns.

    Raises:
        ConfigError: `function` is something else, or the file has another name or cannot be written.
    """
    _check_name(path)
    recorded = record(function, *args, **kwargs)
    recorded.save(path)
    return recorded.result


def record(function: Callable, *args: Any, **kwargs: Any) -> StepTrace:
    """Calls a function as `trace` does, and returns the trace, whose `.result` is that of the call."""
    if isinstance(function, BoundFunction):
        function, args = function.jitted, (function.instance, *args)
    name = getattr(function, "__name__", None)
    compiled: Any = function.compiled(*args, **kwargs) if isinstance(function, JittedFunction) else function
    if not isinstance(compiled, (Compiled, LoadedArtefact)):
        raise ConfigError("TS4040", f"a {type(function).__name__} has no trace",
                          expected="a function made by ts.jit, or a compiled program",
                          hint="decorate it with ts.jit" if callable(function) else None)
    executable = compiled.executable
    executable.set_tracing(True)
    try:
        result = function(*args, **kwargs)
    finally:
        executable.set_tracing(False)
    if name is None:
        name = compiled.program.name if isinstance(compiled, Compiled) else "program"
    mesh = " ".join(f"{axis}={size}" for axis, size in executable.description["mesh"])
    launches = compiled.report.get("launches", []) if isinstance(compiled, Compiled) else []
    return from_runtime(executable.trace(), launches, result, name, mesh)


def from_runtime(data: dict, launches: Sequence[dict], result: Any, function: str, mesh: str) -> StepTrace:
    """The trace that the runtime's JSON holds (see tesseraRtTrace).

    Args:
        launches: of the compiler's report: kernels and source lines in the order of the plan's text; empty
            where they are not known, as of an artefact.
    """
    begin, end = data["run"]
    first, last = data["program"]
    devices = tuple(data["devices"])
    slices = [Slice(PROGRAM, function, "run", 0, end - begin, {}),
              Slice(PROGRAM, "arguments", "run", 0, first - begin, {}),
              Slice(PROGRAM, "results", "run", last - begin, end - last, {})]
    sources = _sources(data["steps"], launches)
    steps = [_described(step, sources.get(number, "")) for number, step in enumerate(data["steps"])]
    for number, *times in data["events"]:
        name, category, details = steps[number]
        for track, at, until in zip((PROGRAM, *devices), times[::2], times[1::2]):
            if at >= 0:
                slices.append(Slice(track, name, category, at - begin, until - at, details))
    # The runtime gives a step behind the steps inside it, which may begin and end when it does.
    order = {id(item): i for i, item in enumerate(slices)}
    slices.sort(key=lambda item: (item.track, item.begin, -item.duration, -order[id(item)]))
    return StepTrace(result, function, mesh, devices, end - begin, tuple(slices), data["dropped"])


def _sources(steps: Sequence[dict], launches: Sequence[dict]) -> dict[int, str]:
    """The source lines of each launch, by its number among the steps, which are block by block."""
    programs: dict[str, int] = {}  # Their order, where there are several.
    order = []
    for number, step in enumerate(steps):
        path, _, program = step["step"].partition(" (")[0].removeprefix("step ").partition(" of program ")
        rank = programs.setdefault(program, len(programs))
        if step["kind"] == "launch":
            order.append((rank, [int(part) for part in path.split(".")], number))
    order.sort()
    if [steps[number]["kernel"] for *_, number in order] != [launch["kernel"] for launch in launches]:
        return {}
    return {number: shown_paths(", ".join(launch["places"]))
            for (*_, number), launch in zip(order, launches)}


def _described(step: dict, source: str) -> tuple[str, str, dict[str, Any]]:
    """Name, category and details of a step's slices."""
    kind, what = step["kind"], step.get("what", "")
    details: dict[str, Any] = {"step": step["step"].partition(" (")[0]}
    if kind not in ("loop", "while", "if"):
        details["bytes"] = step["bytes"]
    collective = _COLLECTIVE.fullmatch(what) if kind != "launch" else None
    if collective:
        if collective[2]:
            details["why"] = shown_paths(collective[2])
        return collective[1], kind, details
    if source or what:
        details["source"] = source or shown_paths(what)
    if kind == "launch":
        return step["kernel"], kind, details
    text = _IN_PARENTHESES.fullmatch(step["step"])
    return (text[1] if text and kind == "loop" else kind), kind, details
