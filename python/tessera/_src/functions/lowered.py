# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A traced function's program: its text at every stage, reports on it, and its compilation."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from tessera._src.arrays.array import Array
from tessera._src.core import dtypes, tree
from tessera._src.functions import donation
from tessera._src.functions.compiled import Compiled, check_arguments, host_value
from tessera._src.functions.trace import Program
from tessera._src.programs import cache, native, reports, targets
from tessera._src.programs.reports import Table

_LOCATION = re.compile(r' loc\((?:"(?:[^"\\]|\\.)*":\d+:\d+|unknown)\)')


class Lowered:
    """A function's program; made by `f.lower(...)`."""

    def __init__(self, program: Program, in_tree: tree.TreeDef, target: str, options: dict):
        self.program, self.in_tree, self.target, self.options = program, in_tree, target, options
        self._compilation: native.Compilation | None = None
        self._reports: dict[str, dict] = {}

    def __repr__(self) -> str:
        shapes = [f"{a.name}: {dtypes.name_of(a.dtype)}{list(a.shape)}" for a in self.program.arguments]
        return f"<Lowered ({', '.join(shapes)}) on {self.program.mesh!r}, target '{self.target}'>"

    def as_text(self, stage: str = "tessera", *, locations: bool = False) -> str:
        """The program at a stage; with the user's source locations if asked."""
        targets.check_stage(stage, self.target)
        if stage == "tessera":
            text = self.program.text
        else:
            text = self._compile(stage)[0].decode()
        return text if locations else _LOCATION.sub("", text)

    @property
    def _compiler(self) -> native.Compilation:
        """Keeps the stages that were made: each is made once, whatever this object is asked."""
        if self._compilation is None:
            self._compilation = native.Compilation(self.program.text, target=self.target, **self.options)
        return self._compilation

    def _compile(self, emit: str) -> tuple[bytes, dict]:
        data, _, report = self._compiler.emit(emit)
        self._reports[emit] = report
        return data, report

    def _compile_once(self) -> tuple[bytes, dict]:
        """The artefact. Stages are kept for other questions only if some were asked before: a copy of the
        module for each takes time and memory."""
        if self._compilation is not None:
            return self._compile("artefact")
        data, _, report = native.compile_text(self.program.text, target=self.target, **self.options)
        self._reports["artefact"] = report
        return data, report

    def _report(self, emit: str = "local") -> dict:
        if emit not in self._reports:
            self._compile(emit)
        return self._reports[emit]

    def collectives(self) -> Table:
        """Each collective of one device's program, with the line it comes from."""
        return reports.collectives(self._report())

    def cost(self) -> dict[str, float]:
        """Work of one device per run: flops, bytes moved in memory and between devices."""
        return reports.cost(self._report())

    def memory(self) -> dict[str, int]:
        """Bytes that one device will need, as the compiler predicts them without running or placing anything.

        `activations` is where most of all values besides `arguments` and `results` live at once: what
        ts.checkpoint makes smaller.
        """
        return reports.memory({"memory": self._report("kernels")["memory"]})

    def explain(self) -> str:
        """Why each collective is there, what else was possible, and which donations have no effect; of a
        program with checkpoints, what is kept for each, and the memory that is predicted."""
        head = f"{self.program.mesh!r}, target {self.target}"
        # Whether a tie is kept is known once memory is assigned.
        report = self._report("plan" if self.program.ties.results else "local")
        if report.get("checkpoints") and "memory" not in report:
            report = self._report("kernels")
        lines = [head, *reports.explain(report), *donation.explain(self.program.ties, report)]
        if report.get("checkpoints"):
            lines += reports.explain_memory(report)
        return "\n".join(lines)

    def interpret(self, *args: Any, stage: str = "tessera", **kwargs: Any) -> Any:
        """The results by the reference interpreter, on simulated devices.

        Args:
            stage: which form of the program is evaluated: "tessera", "layouts", "reshards", "local".
        """
        leaves, structure = tree.flatten((args, kwargs))
        check_arguments(self.program, self.in_tree, leaves, structure)
        inputs = [np.ascontiguousarray(host_value(leaf, argument)).reshape(argument.shape)
                  for leaf, argument in zip(leaves, self.program.arguments)]
        inputs += [np.ascontiguousarray(value) for value in self.program.captured]
        outputs = [np.zeros(shape, dtype) for shape, dtype in self.program.results]
        self._compiler.interpret(stage, inputs, outputs)
        return tree.unflatten(self.program.result_tree, [Array(o) for o in outputs])

    def compile(self, device: str | None = None, threads: int | None = None) -> Compiled:
        """An executable, from the disk cache where it was compiled before.

        Args:
            device: what runs it, by default what the target is for; it is first needed when the
                result is called.
            threads: of all devices of a CPU mesh together; all cores by default.

        Raises:
            ConfigError: a device that does not run what is compiled for the target.
            CompileError: what the compiler refuses.
        """
        device = targets.kind_of(self.target) if device is None else targets.check_device(device)
        targets.check_fits(device, self.target)
        targets.check_threads(threads)
        options = {"target": self.target, **self.options}
        key = cache.key_of(self.program.text, options, native.compiler_version(), cache.machine(),
                           targets.assembler_of(self.target))
        known = cache.load(key)
        if known is None:
            known = self._compile_once()
            cache.store(key, *known)
        else:
            native.give_back_memory(self.program.text)  # Tracing and differentiating took it.
        artefact, report = known
        return Compiled(self.program, self.in_tree, artefact, report, device, threads)
