#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Runs random programs on a mesh of devices and compares with the reference interpreter.

The programs are those of fuzz-partition.py with another float type, compiled all the way for --target
(kernels, plan, machine code) and run by the runtime, through the two C libraries. On the emulated device
the kernels are those that go to ptxas. Needs the package `tessera` of a build on PYTHONPATH.

How far a result may be off is measured, not guessed: the interpreter also evaluates the program in f64,
and the difference is what rounding does to this program. Two programs a seed; default: 40 seeds for the
cpu, 20 for the emulated device, or TESSERA_FUZZ_SEEDS. A program that differs or fails is shrunk and
written to --out as .mlir, with the command that repeats it.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
import checks  # noqa: E402
from checks import Failure  # noqa: E402
from coverage import ELEMENTS, MESH_KINDS, Coverage  # noqa: E402
from generator import LARGE, SMALL, generate  # noqa: E402
from random_program import Program  # noqa: E402

from tessera._src.core import dtypes  # noqa: E402
from tessera._src.core.errors import CompileError, TesseraError  # noqa: E402
from tessera._src.programs import native, runtime  # noqa: E402

T = TypeVar("T")
PROGRAMS_PER_SEED = 2
WIDES = ["f32", "f32", "f32", "bf16", "f16"]
# Of the largest magnitude: what one operation of each type rounds away, a few times over.
EPSILON = {"f64": 1e-12, "f32": 1e-4, "bf16": 2e-2, "f16": 3e-3}
ROUNDING_MARGIN = 4.0
SEEDS = {"cpu": 40, "emulated": 20}


def programs_of(seed: int) -> tuple[str, list[Program]]:
    """The mesh and the programs of a seed; artefacts take whole arguments, not partial ones."""
    sizes = LARGE if seed % 3 == 0 else SMALL
    head, programs = generate(seed, PROGRAMS_PER_SEED, WIDES[seed % len(WIDES)], sizes=sizes)
    for program in programs:
        program.layouts = {name: text.split(", partial")[0] for name, text in program.layouts.items()}
    return head, programs


def inputs_of(program: Program, seed: int) -> list[np.ndarray]:
    """Random arguments: floats below 1 in magnitude, integers that index most things."""
    rng = np.random.default_rng(seed)
    arrays = []
    for argument in program.arguments:
        dtype = dtypes.BY_NAME[argument.element]
        if argument.element == "i1":
            array = rng.integers(0, 2, argument.shape)
        elif argument.element[0] == "i":
            array = rng.integers(0, 8, argument.shape)
        else:
            array = rng.uniform(-1, 1, argument.shape)
        arrays.append(np.array(array, dtype, order="C"))
    return arrays


def lines_of(run: Callable[[], T]) -> tuple[T, list[str]]:
    """What `run` gives, and the lines that it and the libraries that it calls print, without the spaces
    that the interpreter and the runtime set differently."""
    with tempfile.TemporaryFile() as file:
        before = os.dup(1)
        os.dup2(file.fileno(), 1)
        try:
            result = run()
        finally:
            os.dup2(before, 1)
            os.close(before)
        file.seek(0)
        return result, file.read().decode().replace(" ", "").splitlines()


def is_alike(wanted: str, got: str) -> bool:
    """Whether two prints are equal: integers to the digit, of floats as many numbers."""
    if re.search(r"[.einf]", wanted.removeprefix("value") + got.removeprefix("value")):
        return wanted.count(",") == got.count(",") or "..." in got
    return wanted == got or "..." in got


def interpreted(head: str, program: Program, inputs: list[np.ndarray],
                stage: str = "tessera") -> list[np.ndarray]:
    outputs = [np.zeros(r.shape, dtypes.BY_NAME[r.element]) for r in program.results]
    native.interpret(head + program.text(), inputs, outputs, entry=program.name, stage=stage)
    return outputs


def executed(head: str, program: Program, inputs: list[np.ndarray],
             target: str) -> tuple[list[np.ndarray], int]:
    """The results of the compiled program, and how many runs it took to see that all ways agree."""
    artefact, _, _ = native.compile_text(head + program.text(), entry=program.name, target=target)
    executable = runtime.Executable(artefact, threads=2)
    words = [word for array in inputs for word in (array.ctypes.data, 0)]
    whole = executable.run(words)
    check_kept(executable, inputs, whole)
    ties = program.tied_results()
    if ties:
        check_donated(executable, inputs, whole, ties)
    return whole, 3 if ties else 2


def check_equal(got: runtime.Placed, want: np.ndarray, what: str) -> None:
    if got.join(want.shape, want.dtype).tobytes() != want.tobytes():
        raise CompileError("TS5004", what)


def check_kept(executable: runtime.Executable, inputs: list[np.ndarray], whole: list[np.ndarray]) -> None:
    """Raises unless tensors that stay on the devices are those that a run cuts and joins itself, and
    inputs that are not donated stay as they are."""
    placed = [executable.place(i, array.copy()) for i, array in enumerate(inputs)]
    stay = executable.execute([word for tensor in placed for word in (0, tensor.handle)])
    for number, (tensor, want) in enumerate(zip(stay, whole)):
        what = f"result {number} differs where it stays on the devices"
        check_equal(tensor, want, what)
        in_place = tensor.whole(want.shape, want.dtype)
        if in_place is not None and in_place.tobytes() != want.tobytes():
            raise CompileError("TS5004", what)
        for i, (_, part, _) in enumerate(tensor.shards()):
            shape = want[part].shape
            if tensor.copy_shard(i, shape, want.dtype).tobytes() != want[part].tobytes():
                raise CompileError("TS5004", f"shard {i} of result {number} is not its part")
    for i, (tensor, array) in enumerate(zip(placed, inputs)):
        check_equal(tensor, array, f"input {i}, which is not donated, was overwritten")
    # Every input from the layout of every other one of its shape and type.
    for i, array in enumerate(inputs):
        for j, other in enumerate(inputs):
            if array.shape == other.shape and array.dtype == other.dtype:
                moved = executable.reshard(i, placed[j])
                check_equal(moved, other, f"input {j} as input {i} is another tensor")
                if moved.placement != placed[i].placement:
                    raise CompileError("TS5004", f"input {j} is not placed as input {i}")


def check_donated(executable: runtime.Executable, inputs: list[np.ndarray], whole: list[np.ndarray],
                  ties: dict[int, int]) -> None:
    """Raises unless a run that consumes the donated inputs gives the results that a copy of them gives."""
    placed = [executable.place(i, array.copy()) for i, array in enumerate(inputs)]
    donated = bytes(i in ties for i in range(len(inputs)))
    results = executable.execute([word for tensor in placed for word in (0, tensor.handle)], donated)
    for number, (tensor, want) in enumerate(zip(results, whole)):
        check_equal(tensor, want, f"result {number} differs where inputs are donated")
    for i, (tensor, array) in enumerate(zip(placed, inputs)):
        if not donated[i]:
            check_equal(tensor, array, f"input {i}, which is not donated, was overwritten")


def in_doubles(program: Program) -> Program:
    """The program with every float type f64."""
    def text(value: str) -> str:
        for name in ("bf16", "f16", "f32"):
            for before, after in (("x", ">"), ("<", ">"), (": ", " ")):
                value = value.replace(f"{before}{name}{after}", f"{before}f64{after}")
        return value

    return program.mapped(lambda e: "f64" if e[0] in "fb" else e, text)


def differs(want: np.ndarray, exact: np.ndarray, got: np.ndarray, epsilon: float) -> np.ndarray:
    """Where `got` is further from `want` than rounding explains.

    Numbers beyond the type's range are left out.
    """
    number = np.isfinite(want) & np.isfinite(exact)
    with np.errstate(invalid="ignore"):
        rounding = np.max(np.abs(want - exact), where=number, initial=0)
        magnitude = np.max(np.abs(want), where=number, initial=1)
        close = np.abs(want - got) <= ROUNDING_MARGIN * rounding + epsilon * magnitude
    same = (want == got) | (np.isnan(want) & np.isnan(got)) | (np.isfinite(want) != np.isfinite(exact))
    return np.asarray(~same & ~close)


def check(head: str, program: Program, seed: int, target: str) -> Failure | None:
    """Why the compiled program is wrong, or nothing."""
    inputs = inputs_of(program, seed)
    try:
        expected, printed = lines_of(lambda: interpreted(head, program, inputs))
        doubles = [a.astype(np.float64) if p.element[0] != "i" else a
                   for a, p in zip(inputs, program.arguments)]
        precise, _ = lines_of(lambda: interpreted(head, in_doubles(program), doubles))
    except TesseraError as error:
        return Failure("interpreter", str(error))
    try:
        (actual, runs), lines = lines_of(lambda: executed(head, program, inputs, target))
    except TesseraError as error:
        return Failure("compile", str(error))
    if len(lines) != len(printed) * runs:
        return Failure("prints", f"{runs} runs print {len(lines)} lines, but one should print {len(printed)}")
    for number, line in enumerate(lines):
        if not is_alike(printed[number % len(printed)], line):
            return Failure("prints", f"'{line}' is printed, expected '{printed[number % len(printed)]}'")
    for i, (value, want, exact, got) in enumerate(zip(program.results, expected, precise, actual)):
        if value.element[0] == "i":
            different = np.asarray(want != got)
        else:
            different = differs(*(np.asarray(a, np.float64) for a in (want, exact, got)),
                                EPSILON[value.element])
            if different.any():
                # As partitioned, which rounds each device's part of a sum.
                parted = lines_of(lambda: interpreted(head, program, inputs, "local"))[0][i]
                different &= differs(*(np.asarray(a, np.float64) for a in (parted, exact, got)),
                                     EPSILON[value.element])
        if different.any():
            at = tuple(int(k) for k in np.argwhere(different)[0])
            return Failure("difference", f"result {i} at {list(at)} is {want[at]}, but compiled {got[at]}")
    return None


def main() -> int:
    parser = checks.parser_of(__doc__)
    parser.add_argument("--target", default="cpu", choices=["cpu", "emulated"])
    options = parser.parse_args()
    target = options.target
    if options.seeds is None:
        options.seeds = int(os.environ.get("TESSERA_FUZZ_SEEDS", SEEDS[target]))

    coverage = Coverage(MESH_KINDS + ELEMENTS)
    count, failures, begin = 0, 0, time.monotonic()
    for seed in range(options.seed, options.seed + options.seeds):
        if failures >= options.max_failures:
            break
        head, programs = programs_of(seed)
        coverage.add_programs(head, programs)

        def check_of(program: Program, head: str = head, seed: int = seed) -> checks.Check:
            return lambda: check(head, program, seed, target)

        # A seed's programs at a time, for machines of more than one core.
        begun = [checks.start(check_of(program)) for program in programs]
        for program, failure in zip(programs, [checks.finish(*one) for one in begun]):
            count += 1
            if failure:
                failures += 1
                checks.report(head, program, failure, check_of,
                              options.out / f"{target}-seed{seed}-{program.name}.mlir",
                              f"fuzz-run.py --target {target} --seed {seed} --seeds 1")
    print(f"ops of the programs and what they are used on:\n{coverage.table()}")
    print(f"{count} programs from seed {options.seed}, {failures} failures, "
          f"{time.monotonic() - begin:.0f} seconds")  # fmt: skip
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
