#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Differentiates random programs by both modes, on random meshes, and by JAX.

The programs are of the kind of fuzz-run.py, with all floats f64. Of each:

* forward mode equals finite differences of the interpreted program, where these settle as steps shrink;
* reverse mode is its transposed map: <weights, tangents> = <gradients, changes>;
* results, tangents, gradients, and in one of three programs second derivatives, equal those by JAX of the
  program translated op by op (jax_programs.py);
* compiled for the program's mesh, and now and then for one device, all are what the interpreter gives.

Three of four programs are checkpoints, of which the backward pass computes values again; one of these has a
budget, the least that can be met or more. A program whose derivatives pass a while loop has forward mode
only. Two programs a seed; default: 10 seeds, or TESSERA_FUZZ_SEEDS. A program that fails is shrunk and
written to --out as .mlir, with the command that repeats it. At least nine of ten programs must have been
compared with JAX; of the others it is said why they were not.
"""

from __future__ import annotations

import importlib
import os
import re
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
import checks  # noqa: E402
import jax_peer  # noqa: E402
from checks import Failure  # noqa: E402
from derivative_program import Derivatives, directions, floats_of  # noqa: E402
from generator import SMALL, generate  # noqa: E402
from jax_oracle import LEAST_COMPARED, Oracle, has_second, points_of, unlike_jax  # noqa: E402
from random_program import Op, Program  # noqa: E402

from tessera._src.core.errors import TesseraError  # noqa: E402
from tessera._src.programs import native, runtime  # noqa: E402

run = importlib.import_module("fuzz-run")
SEEDS = 10
STEP = 1e-4
POLICIES = (None, "nothing", "dots", "budget")
ONE_DEVICE_EVERY = 4
# Of the largest magnitude: sums in another order, of terms that may cancel.
EPSILON = 1e-9
# Programs that are checked at once, and that JAX is asked about meanwhile.
AT_ONCE = 2
AHEAD = 4


def programs_of(seed: int) -> tuple[str, list[Program]]:
    """The mesh and the programs of a seed: small ones, since loops back keep values of each iteration."""
    head, programs = generate(seed, run.PROGRAMS_PER_SEED, "f64", sizes=SMALL)
    for program in programs:
        program.layouts = {name: text.split(", partial")[0] for name, text in program.layouts.items()}
    return head, [run.in_doubles(program) for program in programs]


def on_one_device(program: Program) -> Program:
    """The program without layouts, for a mesh of one device."""
    program = program.mapped(lambda e: e, lambda t: re.sub(r"to <@mesh, .*> :", "to <@mesh, OPEN> :", t))

    def opened(op: Op) -> Op:
        rank = len(op.operands[0].shape) if op.operands else 0
        dims = ", ".join(["{?}"] * rank)
        return replace(op, text=op.text.replace("OPEN", f"[{dims}]"), regions=tuple(
            replace(block, ops=tuple(map(opened, block.ops))) for block in op.regions))

    return replace(program, layouts={}, ops=[opened(op) for op in program.ops])


# -- finite differences --------------------------------------------------------------------------------


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


# -- the check -----------------------------------------------------------------------------------------


def check(head: str, program: Program, seed: int, answers: list[jax_peer.Answer]) -> Failure | None:
    """Why the derivatives of a program are wrong, or nothing. JAX's are compared, if there are some; with
    a second answer, the difference of both is what rounding does."""
    try:
        made = Derivatives(head, program, POLICIES[seed % len(POLICIES)], has_second(seed))
        points = points_of(program, seed)
        changes, weights = directions(program, seed)
        inputs = [*points, *changes, *(weights if made.has_reverse else [])]
        whole = made.outputs()
        native.interpret(made.text, inputs, whole)
    except TesseraError as error:
        return Failure("differentiate", str(error))
    named = made.named(whole)
    wrong = wrong_tangents(head, made, points, changes, named["tangents"])
    if wrong:
        return wrong
    if made.has_reverse:
        terms = ([a * b for a, b in zip(weights, named["tangents"])],
                 [a * b for a, b in zip(named["gradients"], changes)])
        left, right = (sum(np.sum(t) for t in part) for part in terms)
        size = sum(np.sum(np.abs(t)) for part in terms for t in part)
        if np.isfinite(size) and not abs(left - right) <= EPSILON * (1 + size):
            return Failure("reverse", f"<weights, tangents> is {left}, but <gradients, changes> is {right}")
    for answer in answers:
        if answer.error:
            return Failure("translation", answer.error)
    arrays = [answer.arrays for answer in answers if answer.arrays]
    unlike = unlike_jax(named, *arrays) if arrays else ""
    if unlike:
        return Failure("jax", unlike)
    places = {"the mesh": made}
    if seed % ONE_DEVICE_EVERY == 0:
        places["one device"] = Derivatives("dist.mesh @mesh <[x = 1]>\n", on_one_device(program),
                                           POLICIES[seed % len(POLICIES)], has_second(seed))
    for where, there in places.items():
        try:
            artefact, _, _ = native.compile_text(there.text, target="cpu")
            # A loop that carries what is annotated otherwise may have a reverse mode on one device alone.
            inputs = [*points, *changes, *(weights if there.has_reverse else [])]
            inputs = [np.ascontiguousarray(a) for a in inputs]
            compiled = runtime.Executable(artefact, threads=2).run(
                [w for a in inputs for w in (a.ctypes.data, 0)])
        except TesseraError as error:
            return Failure("compile", str(error))
        for i, (want, got) in enumerate(zip(whole, compiled)):
            if want.dtype == np.float64 and run.differs(want, want, got, EPSILON).any():
                return Failure("difference", f"result {i} of the derivatives differs on {where}")
    return None


def check_of(head: str, program: Program, seed: int, answers: list[jax_peer.Answer]) -> checks.Check:
    """`check` without what is printed on the way."""
    return lambda: run.lines_of(lambda: check(head, program, seed, answers))[0]


def reported(head: str, program: Program, seed: int, failure: Failure, oracle: Oracle | None, out: Path
             ) -> None:
    """Shrinks a program that fails, writes it to a file, and prints where."""
    def check_smaller(p: Program) -> checks.Check | None:
        if not all(floats_of(p)):
            return None
        return check_of(head, p, seed, oracle.both(p, seed) if failure.kind in ("jax", "translation") else [])

    checks.report(head, program, failure, check_smaller, out / f"derivatives-seed{seed}-{program.name}.mlir",
                  f"fuzz-derivatives.py --seed {seed} --seeds 1")


def programs_to_check(first: int, count: int, oracle: Oracle | None) -> Iterator[tuple[int, str, Program]]:
    """Seeds, meshes and programs that have derivatives; JAX is asked about later ones already."""
    ahead: list[tuple[int, str, Program]] = []
    for seed in range(first, first + count):
        head, programs = programs_of(seed)
        for program in programs:
            if not all(floats_of(program)):
                if oracle:
                    oracle.leave_out("it has no floats among arguments or results")
                continue
            if oracle:
                oracle.ask(program, seed)
            ahead.append((seed, head, program))
            if len(ahead) > AHEAD:
                yield ahead.pop(0)
    yield from ahead


def checked(programs: Iterator[tuple[int, str, Program]], oracle: Oracle | None
            ) -> Iterator[tuple[int, str, Program, Failure | None]]:
    """Programs with what is wrong with them; a few are checked at a time."""
    begun: list[tuple[tuple[int, str, Program], tuple[int, int]]] = []

    def finish() -> tuple[int, str, Program, Failure | None]:
        entry, check = begun.pop(0)
        return (*entry, checks.finish(*check))

    for entry in programs:
        seed, head, program = entry
        answers = [oracle.answer()] if oracle else []
        begun.append((entry, checks.start(check_of(head, program, seed, answers))))
        if len(begun) >= AT_ONCE:
            yield finish()
    while begun:
        yield finish()


def find_oracle() -> Oracle | None:
    """JAX, or why there is none."""
    if jax_peer.is_available():
        return Oracle()
    print("not compared with JAX, which is not installed (tools/setup installs it)")
    if os.environ.get("TESSERA_REQUIRE_ALL") == "1":
        raise SystemExit("TESSERA_REQUIRE_ALL refuses that")
    return None


def main() -> int:
    options = checks.parser_of(__doc__).parse_args()
    if options.seeds is None:
        options.seeds = int(os.environ.get("TESSERA_FUZZ_SEEDS", SEEDS))
    oracle = find_oracle()
    count, failures, begin = 0, 0, time.monotonic()
    programs = programs_to_check(options.seed, options.seeds, oracle)
    for seed, head, program, failure in checked(programs, oracle):
        count += 1
        if failure and failure.kind == "jax":
            failure = checks.run(check_of(head, program, seed, oracle.both(program, seed)))
        if failure:
            failures += 1
            reported(head, program, seed, failure, oracle, options.out)
            if failures >= options.max_failures:
                break
    is_enough = oracle is None or oracle.is_enough()
    if oracle:
        oracle.close()
    if not is_enough:
        print(f"fewer than {LEAST_COMPARED:.0%} of the programs were compared with JAX")
    print(f"{count} programs from seed {options.seed}, {failures} failures, "
          f"{time.monotonic() - begin:.0f} seconds")
    return 1 if failures or not is_enough else 0


if __name__ == "__main__":
    sys.exit(main())
