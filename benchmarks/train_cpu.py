# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A training step of a GPT (6 layers of width 384, 8 x 256 tokens, 8,192 words, f32; forward, backward,
AdamW, donated state) on two threads: Tessera against PyTorch eager, torch.compile and JAX jit.

    python benchmarks/train_cpu.py [--rounds 7] [--small] [--no-compile]

All four first take the same steps, and their losses must agree. Then they take turns, in one process.
Memory is measured in a process for each: the most that is resident during steps, less what is
resident once a tiny model of the same kind has been trained, so that libraries do not count.
Compiling is measured from nothing, in new processes that take turns: tracing, differentiating and compiling
the step of 6 layers unrolled, and of 6 and 48 in a loop; JAX lowers and compiles the same.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "2")
os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=true")
os.environ.setdefault("TESSERA_CACHE", "0")
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import harness  # Before NumPy.
from training_gpt import TRAINERS, Shape, Trainer, batches, disagreement, jax_step, tessera_step, weights

FULL = Shape()
SMALL = Shape(layers=2, heads=2, width=64, batch=2, length=32, vocabulary=256)
TINY = Shape(layers=1, heads=1, width=16, batch=2, length=8, vocabulary=32)
CHECKED_STEPS = 3
# Sums of f32 in another order; a wrong constant of AdamW shows from the second step on.
AGREEMENT = 2e-6
# Name of a compiled step: layers, and whether they are scanned.
STEPS = {"unrolled_6": (6, False), "scanned_6": (6, True), "scanned_48": (48, True)}


def resident_mb(field: str) -> float:
    """VmRSS (now) or VmHWM (the most so far) of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(field))


def measure_memory(name: str, shape: Shape) -> dict:
    """In a process of its own: what compiling and the first steps, and what later steps take at most."""
    tokens = batches(shape, CHECKED_STEPS)
    tiny = TRAINERS[name](TINY)
    tiny(batches(TINY, 1)[0])
    del tiny
    before = resident_mb("VmRSS")
    train = TRAINERS[name](shape)
    for _ in range(2):
        train(tokens[0])
    first = resident_mb("VmHWM")
    Path("/proc/self/clear_refs").write_text("5")  # The most so far is what is resident now.
    for batch in tokens:
        train(batch)
    figures = {"steps_mb": resident_mb("VmHWM") - before, "with_compiling_mb": first - before,
               "before_mb": before}
    return {name: round(mb, 1) for name, mb in figures.items()}


def measure_tessera_compile(step: str, shape: Shape) -> dict:
    """In a process of its own: seconds of tracing (differentiating included) and compiling."""
    import tessera as ts
    from tessera._src.programs import native

    layers, scanned = STEPS[step]
    shape = Shape(**{**asdict(shape), "layers": layers})
    arrays = arrays_of(shape, scanned, ts.tree.map, ts.ShapeDtypeStruct)
    differentiating = 0.0
    differentiate = native.differentiate

    def timed(*arguments: object) -> object:
        nonlocal differentiating
        begin = time.perf_counter()
        result = differentiate(*arguments)
        differentiating += time.perf_counter() - begin
        return result

    native.differentiate = timed
    native._compiler()  # Opened, as once a process.
    before, begin = resident_mb("VmRSS"), time.perf_counter()
    program = tessera_step(shape, scanned).lower(*arrays).program
    traced = time.perf_counter()
    artefact, _, report = native.compile_text(program.text, target="cpu")
    seconds = time.perf_counter() - begin
    return {"seconds": seconds, "trace_seconds": traced - begin, "differentiate_seconds": differentiating,
            "stage_seconds": {t["stage"]: t["ms"] / 1e3 for t in report["timings"]},
            "artefact_bytes": len(artefact), "peak_mb_after_import": resident_mb("VmHWM") - before}


def measure_jax_compile(step: str, shape: Shape) -> dict:
    import jax

    layers, scanned = STEPS[step]
    shape = Shape(**{**asdict(shape), "layers": layers})
    arrays = arrays_of(shape, scanned, jax.tree.map, jax.ShapeDtypeStruct)
    jax.jit(lambda a: a + 1).lower(arrays[1]).compile()
    begin = time.perf_counter()
    jax_step(shape, scanned).lower(*arrays).compile()
    return {"seconds": time.perf_counter() - begin}


def arrays_of(shape: Shape, scanned: bool, each: object, array: object) -> tuple:
    """State and tokens without elements."""
    params = each(lambda w: array(w.shape, w.dtype), weights(shape, stacked=scanned))
    tokens = batches(shape, 1)[0]
    return ({"params": params, "first": params, "second": params, "step": array((), "int32")},
            array(tokens.shape, tokens.dtype))


def in_process(options: argparse.Namespace, *part: str) -> dict:
    """What this script prints when asked for a part, in a new process."""
    command = [sys.executable, __file__, *(["--small"] if options.small else []), "--part", *part]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def measure_compiling(options: argparse.Namespace) -> dict:
    """Medians of each step; the steps take turns, so that drift hits all."""
    runs: dict[str, list[dict]] = {step: [] for step in STEPS}
    jax: dict[str, list[dict]] = {step: [] for step in STEPS}
    for _ in range(options.compile_rounds):
        for step in STEPS:
            runs[step].append(in_process(options, "tessera", step))
    for step in STEPS:
        jax[step].append(in_process(options, "jax", step))

    def middle(of: list) -> object:
        if isinstance(of[0], dict):
            return {name: middle([one[name] for one in of]) for name in of[0]}
        return round(statistics.median(of), 4)

    return {step: {**middle(runs[step]), "jax_seconds": middle(jax[step])["seconds"],
                   "differentiating_of_it": round(statistics.median(
                       r["differentiate_seconds"] / r["seconds"] for r in runs[step]), 3)} for step in STEPS}


def make_trainers(shape: Shape, names: list[str]) -> tuple[dict[str, Trainer], dict[str, list], dict]:
    """Trainers that have taken the first steps, their losses, and which could not be made."""
    trainers, losses, notes = {}, {}, {}
    for name in names:
        try:
            train = TRAINERS[name](shape)
            losses[name] = [train(tokens) for tokens in batches(shape, CHECKED_STEPS)]
        except Exception as error:  # A missing C++ toolchain, say: recorded, not hidden.
            if name != "torch_compile":
                raise
            notes[name] = f"failed: {str(error).splitlines()[0]}"
        else:
            trainers[name] = train
    return trainers, losses, notes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--compile-rounds", type=int, default=5)
    parser.add_argument("--small", action="store_true", help="a small model, to try the script; prints only")
    parser.add_argument("--no-compile", action="store_true", help="leave out torch.compile")
    parser.add_argument("--part", nargs=2, metavar=("WHAT", "OF"),
                        help="one figure, printed as JSON: memory TRAINER, tessera STEP, jax STEP (compiled)")
    options = parser.parse_args()
    shape = SMALL if options.small else FULL
    if options.part:
        what, of = options.part
        parts = {"memory": measure_memory, "tessera": measure_tessera_compile, "jax": measure_jax_compile}
        print(json.dumps(parts[what](of, shape)))
        return
    names = [n for n in TRAINERS if not (options.no_compile and n == "torch_compile")]
    trainers, losses, notes = make_trainers(shape, names)
    off = disagreement(losses)
    if not off <= AGREEMENT:
        sys.exit(f"the losses disagree by {off:.1e} (at most {AGREEMENT:g}), so nothing is timed: {losses}")
    tokens = batches(shape, 1)[0]
    times = harness.summary(harness.interleave(
        {name: (lambda train=train: train(tokens)) for name, train in trainers.items()}, options.rounds))
    memory = {name: in_process(options, "memory", name) for name in trainers}
    compiling = measure_compiling(options)
    median = {name: row["median_ms"] for name, row in times.items()}
    fastest = min((name for name in median if name != "tessera"), key=median.__getitem__)
    data = {
        "shape": {**asdict(shape), "dtype": "f32", "threads": 2},
        "times": times,
        "fastest_peer": fastest,
        "ratio_to_fastest_peer": {n: round(t / median[fastest], 3) for n, t in median.items()},
        "gflops": {n: round(shape.flops() / t / 1e6, 1) for n, t in median.items()},
        "peak_memory": memory,
        "ratio_to_memory_of_torch_eager": {n: round(m["steps_mb"] / memory["torch_eager"]["steps_mb"], 3)
                                           for n, m in memory.items()},
        "cold_compile": compiling,
        "losses_of_first_steps": losses,
        "largest_relative_difference_of_losses": off,
        **({"notes": notes} if notes else {}),
    }
    bars = [
        harness.bar("time of a step relative to the fastest peer",
                    round(median["tessera"] / median[fastest], 3), at_most=1.0),
        harness.bar("memory of steps relative to PyTorch eager",
                    data["ratio_to_memory_of_torch_eager"]["tessera"], at_most=1.0),
        harness.bar("seconds to compile the step of 6 layers", compiling["unrolled_6"]["seconds"], at_most=2),
        harness.bar("times as long to compile 48 scanned layers as 6",
                    round(compiling["scanned_48"]["seconds"] / compiling["scanned_6"]["seconds"], 3),
                    at_most=1.3),
        harness.bar("part of compiling the step that differentiating takes",
                    compiling["unrolled_6"]["differentiating_of_it"], at_most=0.15),
    ]
    if options.small:
        print(json.dumps({**data, "bars": bars}, indent=1))
    else:
        harness.write("train_cpu", data, bars)


if __name__ == "__main__":
    main()
