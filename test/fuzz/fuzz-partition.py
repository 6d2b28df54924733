#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Partitions random programs and compares them with the programs themselves.

Each program (random_program.py) is a random graph of ops on a random mesh with random annotations; uneven
sizes, sub-axes and dimensions smaller than their axes included. `tessera-check-equivalence` evaluates
it on whole tensors and, after the sharding passes, on all devices.

A seed gives 16 programs, the same ones everywhere. Default: 40 seeds. Longer: --seeds 10000 or
TESSERA_FUZZ_SEEDS=10000. A program that differs or fails is shrunk and written to --out as .mlir with
the command that shows it, beside the whole program. With --dialect it ends with a table of the ops and
what they were used on, and fails where one was not used on some kind of mesh or layout.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from coverage import ELEMENTS, LAYOUT_KINDS, MESH_KINDS, Coverage, ops_of_dialect  # noqa: E402
from generator import generate  # noqa: E402
from random_program import Program, shrink  # noqa: E402


@dataclass(frozen=True)
class Route:
    """A way down to stage `local`; from `layouts` on if the programs are `closed`."""

    pipeline: str
    closed: bool = False


# What compilers run, what a user may leave out of it, the composite ops written out first or where
# they would be gathered for, and layouts that propagation would never choose.
STAGES = "tessera-tessera-to-layouts,tessera-layouts-to-reshards,tessera-reshards-to-local"
ROUTES = [
    Route(STAGES),
    Route("tessera-propagate-layouts,tessera-insert-reshards,tessera-partition"),
    Route("tessera-decompose-ops," + STAGES),
    Route("tessera-choose-expansions{always}," + STAGES),
    Route("tessera-layouts-to-reshards,tessera-reshards-to-local", closed=True),
]
# Doubles: sums in another order differ by far less than the tolerance even where terms cancel, so a
# difference is a defect.
WIDE, TOLERANCE = "f64", 1e-9
PROGRAMS_PER_SEED = 16
SEEDS_THAT_COVER = 120


def route_of(seed: int) -> Route:
    return ROUTES[seed % len(ROUTES)]


def programs_of(seed: int) -> tuple[str, list[Program]]:
    """The mesh and the programs of a seed."""
    return generate(seed, PROGRAMS_PER_SEED, WIDE, route_of(seed).closed)


def option_of(seed: int) -> str:
    """The flag that compares a module's functions before and after the pipeline of a seed."""
    pipeline = route_of(seed).pipeline
    return f"--tessera-check-equivalence=pipeline={pipeline} seed={seed} rtol={TOLERANCE}"


def run(opt: str, text: str, seed: int) -> str:
    """What tessera-opt complains of, or nothing."""
    command = [opt, "-", option_of(seed), "-o", os.devnull]
    try:
        process = subprocess.run(command, input=text, text=True, capture_output=True, timeout=60)
    except subprocess.TimeoutExpired:
        return "error: takes more than 60 seconds"
    return "" if process.returncode == 0 else process.stderr or f"exit {process.returncode}"


def kind_of(error: str) -> str:
    """The error's first line without its layouts and numbers: equal for equal defects."""
    first = next((line for line in error.splitlines() if "error" in line or "Assert" in line), error)
    first = re.sub(r"\[\{.*", "L", first)
    return re.sub(r"[-+]?[\d.]+(e[-+]?\d+)?|nan|inf", "N", first)[:80]


def report(opt: str, out: Path, head: str, program: Program, seed: int, error: str) -> None:
    """Writes the program and its shrunk form, and says where."""
    small = shrink(program, lambda p: kind_of(run(opt, head + p.text(), seed)) == kind_of(error))
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"seed{seed}-{program.name}.mlir"
    for where, what in ((path, small), (path.with_suffix(".whole.mlir"), program)):
        text = head + what.text()
        comment = "".join(f"// {line}\n" for line in run(opt, text, seed).splitlines()[:20])
        where.write_text(f"// tessera-opt {where.name} '{option_of(seed)}'\n{comment}{text}\n")
    first = next((line for line in error.splitlines() if "error" in line or "Assert" in line), error)
    print(f"{path}: {first[:300]}", flush=True)


def find_coverage(opt: str, seeds: range) -> Coverage:
    """What the ops of the programs of `seeds` are used on, whether or not they are evaluated."""
    coverage = Coverage(MESH_KINDS + LAYOUT_KINDS + ELEMENTS)
    for seed in seeds:
        head, programs = programs_of(seed)
        coverage.add_programs(head, programs)
        passes = ["--tessera-insert-reshards"]
        if not route_of(seed).closed:
            passes.insert(0, "--tessera-propagate-layouts")
        text = head + "\n".join(program.text() for program in programs)
        process = subprocess.run([opt, "-", *passes], input=text, text=True, capture_output=True)
        coverage.add_resharded(head + process.stdout)
    return coverage


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tessera-opt", required=True)
    parser.add_argument("--dialect", type=Path, help="folder of .td files whose ops must be covered")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seeds", type=int, default=int(os.environ.get("TESSERA_FUZZ_SEEDS", 40)))
    parser.add_argument("--out", type=Path, default=Path("fuzz-failures"))
    parser.add_argument("--max-failures", type=int, default=5)
    options = parser.parse_args()

    count, failures, begin = 0, 0, time.monotonic()
    for seed in range(options.seed, options.seed + options.seeds):
        if failures >= options.max_failures:
            break
        head, programs = programs_of(seed)
        count += len(programs)
        if run(options.tessera_opt, head + "\n".join(p.text() for p in programs), seed):
            for program in programs:
                if error := run(options.tessera_opt, head + program.text(), seed):
                    failures += 1
                    report(options.tessera_opt, options.out, head, program, seed, error)
    if options.dialect:
        coverage = find_coverage(options.tessera_opt, range(1, 1 + SEEDS_THAT_COVER))
        print(f"ops of seeds 1 to {SEEDS_THAT_COVER} and what they are used on:\n{coverage.table()}")
        for hole in coverage.holes(ops_of_dialect(options.dialect)):
            failures += 1
            print(f"no program has {hole}: widen generator.py")
    print(f"{count} programs from seed {options.seed}, {failures} failures, "
          f"{time.monotonic() - begin:.0f} seconds")  # fmt: skip
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
