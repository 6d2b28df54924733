#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Differentiates random programs by both modes, on random meshes.

The programs are of the kind of fuzz-run.py, with all floats f64. Of each:

* forward mode equals finite differences of the interpreted program, where these settle as steps shrink;
* reverse mode is its transposed map: <weights, tangents> = <gradients, changes>;
* compiled for the program's mesh, both give what the interpreter gives for one device.

Two of three programs are checkpoints, of which the backward pass computes values again. A program whose
derivatives pass a while loop has forward mode only. Two programs a seed; default: 30 seeds,
or TESSERA_FUZZ_SEEDS. A program that fails is shrunk and written to --out as .mlir, with the command that
repeats it.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from generator import SMALL, generate  # noqa: E402
from random_program import Program, shrink  # noqa: E402

from tessera._src.core.errors import TesseraError  # noqa: E402
from tessera._src.programs import native, runtime  # noqa: E402

run = importlib.import_module("fuzz-run")
Failure = run.Failure
SEEDS = 30
SECONDS_PER_PROGRAM = 60
STEP = 1e-4
POLICIES = (None, "nothing", "dots")
# Of the largest magnitude: sums in another order, of terms that may cancel.
EPSILON = 1e-9
REFUSED = "reverse mode cannot pass"


def programs_of(seed: int) -> tuple[str, list[Program]]:
    """The mesh and the programs of a seed: small ones, since loops back keep values of each iteration."""
    head, programs = generate(seed, run.PROGRAMS_PER_SEED, "f64", sizes=SMALL)
    for program in programs:
        program.layouts = {name: text.split(", partial")[0] for name, text in program.layouts.items()}
    return head, programs


class Derivatives:
    """A program with functions for its derivatives, and a function `main` that calls them.

    With a policy, what is differentiated is a call of the program that is a checkpoint.
    """

    def __init__(self, head: str, program: Program, policy: str | None):
        program = replace(program, ties={})
        self.program = program
        text, name = head + program.text(), program.name
        if policy:
            given = [(f"%x{i}", program.type_of(a)) for i, a in enumerate(program.arguments)]
            made = [(f"%r{i}", program.type_of(r)) for i, r in enumerate(program.results)]
            text += "\n" + _function("whole", given, made, [_call({"name": name}, given, made, policy)])
            name = "whole"
        self.wanted = [i for i, a in enumerate(program.arguments) if a.element == "f64"]
        self.floats = [i for i, r in enumerate(program.results) if r.element == "f64"]
        forward, report = native.differentiate(text, name, "jvp", "d", self.wanted)
        jvp = report["functions"][0]
        count = len(program.arguments)
        given = [(a.name, program.type_of(a)) for a in program.arguments]
        changes = [(f"%dx{i}", kind) for i, kind in enumerate(jvp["arguments"][count:])]
        made = [(f"%y{i}", kind) for i, kind in enumerate(jvp["results"])]
        lines = [_call(jvp, [*given, *changes], made)]
        backward: list[str] = []
        weights: list[tuple[str, str]] = []
        gradients: list[tuple[str, str]] = []
        try:
            backward, report = native.differentiate(text, name, "vjp", "r", self.wanted)
        except TesseraError as error:
            if REFUSED not in str(error):
                raise
        if backward:
            fwd, bwd = report["functions"]
            values = [(f"%z{i}", kind) for i, kind in enumerate(fwd["results"])]
            sources = {"argument": given, "result": values, "kept": values[len(program.results) :]}
            residuals = [sources[kind][number] for kind, number in report["residuals"]]
            weights = [(f"%ct{i}", kind) for i, kind in enumerate(bwd["arguments"][len(residuals) :])]
            gradients = [(f"%g{i}", kind) for i, kind in enumerate(bwd["results"])]
            lines += [_call(fwd, given, values), _call(bwd, [*residuals, *weights], gradients)]
        self.has_reverse = bool(backward)
        self.text = "\n".join([text, *forward, *backward, _function(
            "main", [*given, *changes, *weights], [*made, *gradients], lines)])
        results = program.results
        self.shapes = [*[(r.shape, r.element) for r in results],
                       *[(results[i].shape, "f64") for i in self.floats],
                       *[(program.arguments[i].shape, "f64") for i in self.wanted if backward]]

    def inputs(self, seed: int) -> tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray]]:
        """Arguments of the program, changes and weights."""
        rng = np.random.default_rng([seed, 1])
        points = [np.array(a, np.float64) if p.element == "f64" else a
                  for a, p in zip(run.inputs_of(self.program, seed), self.program.arguments)]
        changes = [rng.standard_normal(points[i].shape) for i in self.wanted]
        weights = [rng.standard_normal(self.program.results[i].shape) for i in self.floats]
        return points, changes, weights if self.has_reverse else []

    def outputs(self) -> list[np.ndarray]:
        """Memory for the results of `main`."""
        return [np.zeros(shape, run.dtypes.BY_NAME[element]) for shape, element in self.shapes]


def _listed(values: list) -> tuple[str, str]:
    """Names and types of values."""
    return ", ".join(name for name, _ in values), ", ".join(kind for _, kind in values)


def _call(function: dict, operands: list, results: list, policy: str = "") -> str:
    (names, kinds), (made, types) = _listed(operands), _listed(results)
    checkpoint = f' checkpoint "{policy}"' if policy else ""
    return f"  {made} = tessera.call @{function['name']}({names}){checkpoint} : ({kinds}) -> ({types})"


def _function(name: str, arguments: list, results: list, lines: list) -> str:
    parameters = ", ".join(f"{value}: {kind}" for value, kind in arguments)
    made, types = _listed(results)
    return "\n".join([f"func.func @{name}({parameters}) -> ({types}) {{", *lines,
                      f"  return {made} : {types}",
                      "}", ""])


def slopes(head: str, made: Derivatives, points: list, changes: list, step: float) -> list[np.ndarray]:
    """Tangents by central differences."""
    def at(h: float) -> list[np.ndarray]:
        moved = list(points)
        for i, change in zip(made.wanted, changes):
            moved[i] = points[i] + h * change
        values = run.interpreted(head, made.program, moved)
        return [values[i] for i in made.floats]

    return [(a - b) / (2 * step) for a, b in zip(at(step), at(-step))]


def wrong_tangents(head: str, made: Derivatives, points: list, changes: list, tangents: list
                   ) -> Failure | None:
    """Where tangents are not what finite differences of two steps agree on."""
    coarse, fine = (slopes(head, made, points, changes, step) for step in (STEP, STEP / 2))
    for i, (a, b, got) in enumerate(zip(coarse, fine, tangents)):
        with np.errstate(invalid="ignore"):
            settled = np.abs(a - b) <= 1e-5 * (1 + np.abs(b))
            wrong = settled & np.isfinite(got) & ~(np.abs(got - b) <= np.abs(a - b) + 1e-7 * (1 + np.abs(b)))
        if wrong.any():
            at = tuple(int(k) for k in np.argwhere(wrong)[0])
            return Failure("forward", f"tangent of result {made.floats[i]} at {list(at)} is {got[at]}, but "
                           f"finite differences are {a[at]} and {b[at]}")
    return None


def check(head: str, program: Program, seed: int) -> Failure | None:
    """Why the derivatives of a program are wrong, or nothing."""
    program = run.in_doubles(program)
    if not any(a.element == "f64" for a in program.arguments) or not any(
            r.element == "f64" for r in program.results):
        return None
    try:
        made = Derivatives(head, program, POLICIES[seed % len(POLICIES)])
        points, changes, weights = made.inputs(seed)
        whole = made.outputs()
        native.interpret(made.text, [*points, *changes, *weights], whole)
    except TesseraError as error:
        return Failure("differentiate", str(error))
    count = len(program.results)
    tangents, gradients = whole[count : count + len(made.floats)], whole[count + len(made.floats) :]
    wrong = wrong_tangents(head, made, points, changes, tangents)
    if wrong:
        return wrong
    if made.has_reverse:
        terms = [a * b for a, b in zip(weights, tangents)], [a * b for a, b in zip(gradients, changes)]
        left, right = (sum(np.sum(t) for t in part) for part in terms)
        size = sum(np.sum(np.abs(t)) for part in terms for t in part)
        if np.isfinite(size) and not abs(left - right) <= EPSILON * (1 + size):
            return Failure("reverse", f"<weights, tangents> is {left}, but <gradients, changes> is {right}")
    try:
        artefact, _, _ = native.compile_text(made.text, target="cpu")
        inputs = [np.ascontiguousarray(a) for a in (*points, *changes, *weights)]
        words = [w for a in inputs for w in (a.ctypes.data, 0)]
        compiled = runtime.Executable(artefact, threads=2).run(words)
    except TesseraError as error:
        return Failure("compile", str(error))
    for i, (want, got) in enumerate(zip(whole, compiled)):
        if want.dtype == np.float64 and run.differs(want, want, got, EPSILON).any():
            return Failure("difference", f"result {i} of the derivatives differs on the mesh")
    return None


def check_in_child(head: str, program: Program, seed: int) -> Failure | None:
    """`check` in a process of its own, so that a crash is a finding too."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        signal.alarm(SECONDS_PER_PROGRAM)
        failure, _ = run.lines_of(lambda: check(head, program, seed))
        os.write(writer, json.dumps(failure and [failure.kind, failure.message[:2000]]).encode())
        os._exit(0)
    os.close(writer)
    return run.finish_check(child, reader)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seeds", type=int)
    parser.add_argument("--out", type=Path, default=Path("fuzz-failures"))
    parser.add_argument("--max-failures", type=int, default=5)
    options = parser.parse_args()
    if options.seeds is None:
        options.seeds = int(os.environ.get("TESSERA_FUZZ_SEEDS", SEEDS))
    count, failures, begin = 0, 0, time.monotonic()
    for seed in range(options.seed, options.seed + options.seeds):
        if failures >= options.max_failures:
            break
        head, programs = programs_of(seed)
        for program in programs:
            count += 1
            failure = check_in_child(head, program, seed)
            if not failure:
                continue
            failures += 1

            def fails_alike(p: Program) -> bool:
                again = check_in_child(head, p, seed)
                return again is not None and again.kind == failure.kind

            small = shrink(program, fails_alike)
            options.out.mkdir(parents=True, exist_ok=True)
            path = options.out / f"derivatives-seed{seed}-{program.name}.mlir"
            comment = "".join(f"// {line}\n" for line in failure.message.splitlines()[:20])
            command = f"// fuzz-derivatives.py --seed {seed} --seeds 1\n"
            path.write_text(f"{command}{comment}{head}{small.text()}\n")
            print(f"{path}: {failure.kind}: {failure.message[:300]}", flush=True)
    print(f"{count} programs from seed {options.seed}, {failures} failures, "
          f"{time.monotonic() - begin:.0f} seconds")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
