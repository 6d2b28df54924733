#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Runs every pass on every program of the lit tests, and on random programs: alone, and many in a row.

A pass may refuse a program by a diagnostic, whatever stage it is of; it must not end by a signal or
take longer than a minute. The programs are the modules of test/lit, those of invalid tests included,
and random graphs (random_program.py). First each registered pass and named pipeline runs alone; then, per
seed, the pipelines up to a random stage with random passes between and behind them, in turn on the
programs as they are and on damaged ones: a number, a word or a line of each is another.

Reading the programs takes longer than most passes, so one process runs all rows on its share of the
undamaged ones (the pass test-run-each), and as many processes as there are cores take turns. Where one
of them crashes, each row runs by itself.

The same runs everywhere. Default: 12 seeds. Longer: --seeds 1000 or TESSERA_FUZZ_SEEDS=1000. A crash
is shrunk to one module and the passes that it takes, and written to --out with its command.
"""

from __future__ import annotations

import argparse
import math
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from generator import generate  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
SPLIT = "\n// -----\n"
TIMEOUT = 60
# The pipelines that lead from stage to stage, in order; a run takes a prefix of them, and then perhaps
# one of the ends.
STAGES = [
    "tessera-tessera-to-layouts",
    "tessera-layouts-to-reshards",
    "tessera-reshards-to-local",
    "tessera-local-to-kernels",
]
ENDS = [["tessera-kernels-to-plan"], ["tessera-kernels-to-llvm"], ["tessera-kernels-to-nvvm", "emulate-nvvm"]]
# Passes of MLIR that are not for every program: they write files, run a pipeline of their own, or take
# each use of a private function's name for a call of it, as remove-dead-values does, which a rule for
# derivatives is not.
NOT_RUN = {"snapshot-op-locations", "composite-fixed-point-pass", "view-op-graph", "print-ir",
           "test-run-each", "remove-dead-values"}
# What a damaged program may hold for a number: sizes that divide and that do not, none, and too many.
NUMBERS = ["0", "1", "2", "3", "5", "7", "-1", "16", "4294967296", "9223372036854775807"]
# Passes that compute what a program computes, and the most elements that a tensor of theirs has: tests of
# large kernels would take seconds each.
EVALUATING = ("--tessera-interpret", "--tessera-check-equivalence")
MOST_ELEMENTS = 1 << 17
# Passes on other ops than modules: the text of a pipeline nests them.
NESTED = {"plan-assign-memory": "plan.program"}
# What passes are also tried with.
OPTIONS = {
    "convert-tessera-to-tile": ["target=cuda"],
    "convert-tile-to-cpu": ["vector-bits=128"],
    "tessera-interpret": ["inputs=random stats"],
    "tessera-check-equivalence": ["pipeline=canonicalize"],
    "tessera-decompose-ops": ["ops=softmax"],
}


def list_passes(opt: str) -> list[str]:
    """The flags of all registered passes and named pipelines, those with options again with them."""
    text = subprocess.run([opt, "--help"], text=True, capture_output=True, check=True).stdout
    listed = text[text.index("    Passes:") :]
    names = re.findall(r"^      --([\w-]+) ", listed, re.MULTILINE)
    if missing := {*STAGES, *sum(ENDS, []), *OPTIONS} - {*names}:
        raise SystemExit(f"tessera-opt has no {', '.join(sorted(missing))}")
    flags = [f"--{name}" for name in names if name not in NOT_RUN]
    return flags + [f"--{name}={text}" for name, texts in OPTIONS.items() for text in texts]


def collect_modules() -> list[str]:
    """The modules of the lit tests and some random programs."""
    modules = []
    for path in sorted(ROOT.glob("test/lit/**/*.mlir")):
        modules += re.split(r"^// -----.*$", path.read_text(), flags=re.MULTILINE)
    for seed in range(1, 33):
        head, [program] = generate(seed, 1, "f32")
        modules.append(head + program.text().replace("@f0(", "@main("))
    return modules


def is_small(module: str) -> bool:
    """Whether passes that evaluate programs run on this one."""
    shapes = re.findall(r"<((?:\d+x)+)[a-z]", module)
    return all(math.prod(map(int, shape.split("x")[:-1])) <= MOST_ELEMENTS for shape in shapes)


def damage(rng: random.Random, text: str) -> str:
    """`text` with one to three numbers, words or lines changed, so that many still parse."""
    text = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("//"))
    for _ in range(rng.choice([1, 1, 2, 3])):
        numbers = list(re.finditer(r"(?<![\w%@.])\d+|(?<=x)\d+", text))
        words = list(re.finditer(r"[%@]?[A-Za-z_][\w.]*|[\[\]{}<>(),]", text))
        kind = rng.random()
        if kind < 0.6 and numbers:
            old, new = rng.choice(numbers), rng.choice(NUMBERS)
        elif kind < 0.85 and words:
            old, new = rng.choice(words), rng.choice(["", rng.choice(words).group()])
        else:
            lines = text.splitlines()
            if lines:
                lines.insert(rng.randrange(len(lines)), lines.pop(rng.randrange(len(lines))))
            text = "\n".join(lines)
            continue
        text = text[: old.start()] + new + text[old.end() :]
    return text


def damaged_modules(opt: str, rng: random.Random, modules: Sequence[str]) -> list[str]:
    """Those of the modules that are still read after damage, as tessera-opt prints them.

    Reading is apart from the passes: MLIR's own parser may fall over a region that uses values of
    other types before they are defined, which is not ours to mend. Ours show in the stack, which
    begins in tesseraOptMain.
    """
    return readable_modules(opt, [damage(rng, module) for module in modules])


def readable_modules(opt: str, modules: Sequence[str]) -> list[str]:
    """The modules that tessera-opt reads, as it prints them; those that crash MLIR's parser are left out."""
    command = [opt, "-", "--split-input-file", "--allow-unregistered-dialect"]
    process = subprocess.run(command, input=SPLIT.join(modules), text=True, capture_output=True,
                             timeout=TIMEOUT)  # fmt: skip
    if process.returncode not in (0, 1):
        if "tessera::" in process.stderr.partition("Stack dump")[2].replace("tessera::tesseraOptMain", ""):
            raise SystemExit(f"reading a damaged module crashes:\n{process.stderr[-5000:]}")
        half = len(modules) // 2
        return [read for part in (modules[:half], modules[half:]) if half
                for read in readable_modules(opt, part)]  # fmt: skip
    return [module for module in process.stdout.split("// -----") if module.strip()]


def crash_of(opt: str, modules: Sequence[str], flags: Sequence[str], limit: int = TIMEOUT) -> str:
    """How tessera-opt ends on the modules, if neither by success nor by a diagnostic; else nothing."""
    command = [opt, "-", "--split-input-file", "--allow-unregistered-dialect", "-o", os.devnull, *flags]
    try:
        process = subprocess.run(
            command, input=SPLIT.join(modules), text=True, capture_output=True, timeout=limit
        )
    except subprocess.TimeoutExpired:
        return f"takes more than {limit} seconds"
    if process.returncode in (0, 1):
        silent = process.returncode == 1 and "error:" not in process.stderr
        silent = silent or "fails without a diagnostic" in process.stderr
        broken = re.search(".*(of the file does not parse|cannot read the file of rows).*", process.stderr)
        return broken.group() if broken else "fails without a diagnostic" if silent else ""
    return f"exit {process.returncode}\n{process.stderr[-3000:]}"


def halve(items: list[str], fails: Callable[[list[str]], bool]) -> list[str]:
    """The fewest of `items`, found by leaving out halves, quarters, ..., that still fail."""
    size = len(items) // 2
    while size:
        start = 0
        while start < len(items):
            if fails(rest := items[:start] + items[start + size :]):
                items = rest
            else:
                start += size
        size //= 2
    return items


def report(opt: str, out: Path, name: str, modules: list[str], flags: list[str]) -> None:
    """Shrinks a crash and writes it as a file."""
    modules = halve(modules, lambda few: bool(few and crash_of(opt, few, flags)))
    flags = halve(flags, lambda few: bool(few and crash_of(opt, modules, few)))
    crash = crash_of(opt, modules, flags)
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{name}.mlir"
    comment = "".join(f"// {line}\n" for line in crash.splitlines()[:30])
    command = " ".join(f"'{flag}'" for flag in flags)
    path.write_text(
        f"// tessera-opt {path.name} --split-input-file --allow-unregistered-dialect {command}\n"
        f"{comment}{SPLIT.join(modules)}\n"
    )
    print(f"{path}: {command}: {crash.splitlines()[0]}", flush=True)


def sequence_of(seed: int, flags: list[str]) -> list[str]:
    """The pipelines up to a random stage with random passes between and behind them."""
    rng = random.Random(seed)
    stages = STAGES[: rng.randint(0, len(STAGES))]
    if len(stages) == len(STAGES):
        stages = stages + rng.choice([[], *ENDS])
    sequence = []
    for stage in stages:
        sequence += rng.sample(flags, rng.choice([0, 0, 1])) + [f"--{stage}"]
    return sequence + rng.sample(flags, rng.randint(1, 4))


def as_pipeline(flags: Sequence[str]) -> str:
    """The flags as the text of a pipeline."""
    parts = [flag.removeprefix("--").partition("=") for flag in flags]
    texts = [f"{name}{{{text}}}" if text else name for name, _, text in parts]
    return ",".join(f"{NESTED[text]}({text})" if text in NESTED else text for text in texts)


def modules_for(flags: Sequence[str], modules: Sequence[str]) -> list[str]:
    """Those of the modules that a sequence of passes runs on."""
    return [module for module in modules if not evaluates(flags) or is_small(module)]


def evaluates(flags: Sequence[str]) -> bool:
    return any(flag.startswith(EVALUATING) for flag in flags)


def crashes_among(opt: str, modules: Sequence[str], rows: Sequence[tuple[str, list[str]]]) -> list[str]:
    """The names of the rows that crash on the modules; all run in one process unless one does."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("".join(as_pipeline(flags) + "\n" for _, flags in rows))
        file.flush()
        if not crash_of(opt, modules, [f"--test-run-each=file={file.name}"], 4 * TIMEOUT):
            return []
    return [name for name, flags in rows if crash_of(opt, modules, flags)] or ["test-run-each"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tessera-opt", required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seeds", type=int, default=int(os.environ.get("TESSERA_FUZZ_SEEDS", 12)))
    parser.add_argument("--out", type=Path, default=Path("fuzz-failures"))
    parser.add_argument("--max-failures", type=int, default=5)
    options = parser.parse_args()

    opt, begin = options.tessera_opt, time.monotonic()
    flags, modules = list_passes(opt), collect_modules()
    if crash_of(opt, modules, []).startswith("exit"):
        report(opt, options.out, "parse", modules, [])
        return 1
    rows = [(flag.strip("-").partition("=")[0], [flag]) for flag in flags]
    seeds = range(options.seed, options.seed + options.seeds)
    sequences = {seed: (f"passes-seed{seed}", sequence_of(seed, flags)) for seed in seeds}
    rows += [sequences[seed] for seed in seeds if seed % 2 == 0]

    evaluating = [row for row in rows if evaluates(row[1])]
    others = [row for row in rows if not evaluates(row[1])]

    def run_damaged(seed: int) -> tuple[list[str], list[str]]:
        name, sequence = sequences[seed]
        given = modules_for(sequence, damaged_modules(opt, random.Random(seed), modules))
        return given, [name] if crash_of(opt, given, sequence) else []

    cores = os.cpu_count() or 1
    shares = [(given[i :: 2 * cores], alike) for alike in (evaluating, others)
              for given in [modules_for(alike[0][1], modules)] for i in range(2 * cores)]  # fmt: skip
    with ThreadPoolExecutor(cores) as pool:
        whole = pool.map(lambda share: (share[0], crashes_among(opt, *share)), shares)
        damaged = pool.map(run_damaged, [seed for seed in seeds if seed % 2])
        found = [*whole, *damaged]
    known = {name: flags for name, flags in [*rows, *sequences.values()]}
    crashes: dict[str, list[str]] = {}
    for given, names in found:
        for name in names:
            crashes.setdefault(name, given)
    for name, given in list(crashes.items())[: options.max_failures]:
        if name in known:
            report(opt, options.out, name, given, known[name])
        else:
            print(f"{name} crashes on rows none of which crashes by itself", flush=True)
    failures, runs = len(crashes), len(sequences) + len(flags)
    print(f"{len(modules)} modules, {runs} runs from seed {options.seed}, {failures} failures, "
          f"{time.monotonic() - begin:.0f} seconds")  # fmt: skip
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
