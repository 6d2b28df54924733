#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Partitions random programs and compares them with the programs themselves.

Each program (programs.py) is a random graph of ops on a random mesh with random annotations; uneven
sizes, sub-axes and dimensions smaller than their axes included. `tessera-check-equivalence` evaluates
it on whole tensors and, after the sharding passes, on all devices.

A seed gives 16 programs, the same ones everywhere. Default: 150 seeds. Longer: --seeds 10000 or
TESSERA_FUZZ_SEEDS=10000. A program that differs or fails is shrunk and written to --out as .mlir with
the command that shows it, beside the whole program.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from programs import Program, generate, shrink  # noqa: E402

# What compilers run, what a user may leave out of it, and the composite ops written out first.
STAGES = "tessera-tessera-to-layouts,tessera-layouts-to-reshards,tessera-reshards-to-local"
PIPELINES = [
    STAGES,
    "tessera-propagate-layouts,tessera-insert-reshards,tessera-partition",
    "tessera-decompose-ops," + STAGES,
]
# Doubles: sums in another order differ by far less than the tolerance even where terms cancel, so a
# difference is a defect.
WIDE, TOLERANCE = "f64", 1e-9
PROGRAMS_PER_SEED = 16
# Ops that no program holds before the passes under test, and who makes them.
MADE_BY_PASSES = {"reshard": "tessera-insert-reshards"}


def option_of(seed: int) -> str:
    """The flag that compares a module's functions before and after the pipeline of a seed."""
    pipeline = PIPELINES[seed % len(PIPELINES)]
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
    """The error's first line without its numbers: equal for equal defects."""
    first = next((line for line in error.splitlines() if "error" in line or "Assert" in line), error)
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


def missing_ops(dialect: Path, seeds: range) -> list[str]:
    """Ops that the dialect's .td files define and that no program of `seeds` holds."""
    defined = set()
    for path in dialect.glob("*.td"):
        defined.update(re.findall(r'^def Tessera_\w+Op\s*:\s*\w+<"(\w+)"', path.read_text(), re.MULTILINE))
    if not defined:
        raise SystemExit(f"no op definitions in {dialect}")
    used = set(MADE_BY_PASSES)
    for seed in seeds:
        used.update(op.mnemonic for p in generate(seed, PROGRAMS_PER_SEED, WIDE)[1] for op in p.ops)
    return sorted(defined - used)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tessera-opt", required=True)
    parser.add_argument("--dialect", type=Path, help="folder of .td files; an op of them in no program is a failure")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seeds", type=int, default=int(os.environ.get("TESSERA_FUZZ_SEEDS", 150)))
    parser.add_argument("--out", type=Path, default=Path("fuzz-failures"))
    parser.add_argument("--max-failures", type=int, default=5)
    options = parser.parse_args()

    if options.dialect and (missing := missing_ops(options.dialect, range(1, 51))):
        print(f"programs.py makes no {', '.join(missing)}: add a step to Generator, or say in "
              "MADE_BY_PASSES which pass makes it")  # fmt: skip
        return 1
    count, failures, begin = 0, 0, time.monotonic()
    for seed in range(options.seed, options.seed + options.seeds):
        if failures >= options.max_failures:
            break
        head, programs = generate(seed, PROGRAMS_PER_SEED, WIDE)
        count += len(programs)
        if run(options.tessera_opt, head + "\n".join(p.text() for p in programs), seed):
            for program in programs:
                if error := run(options.tessera_opt, head + program.text(), seed):
                    failures += 1
                    report(options.tessera_opt, options.out, head, program, seed, error)
    print(f"{count} programs from seed {options.seed}, {failures} failures, "
          f"{time.monotonic() - begin:.0f} seconds")  # fmt: skip
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
