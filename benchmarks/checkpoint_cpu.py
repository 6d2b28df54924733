# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What saving 1 GiB of a training's state asynchronously costs the training, on two threads.

    python benchmarks/checkpoint_cpu.py [--rounds 5] [--steps 100] [--small]

The state is 21 weights of 2048 x 2048 with two moments of Adam, f32, donated to each step; a step is the
gradient of a network of these weights and the update. Measured are, taking turns after a rest:

* the time that `ts.checkpoints.save(..., asynchronous=True)` takes, in which the training stands still,
  against a copy of as many bytes by NumPy from one array into another, both used before;
* the same for the first save of a process, whose memory is new, against a copy into a new array;
* 100 steps during which one checkpoint is saved, against 100 without, in turns of ten;
* saving without a thread, and loading, with all hashes checked.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "2")
os.environ.setdefault("TESSERA_CACHE", "0")

import harness  # Before NumPy.
import numpy as np

SETTLE = 0.15  # Seconds of rest before a turn, as harness.interleave has them.
TURNS = 10  # In which a training with a save and one without take their steps, so that drift hits both.


def seconds(run: Callable[[], Any]) -> float:
    begin = time.perf_counter()
    run()
    return time.perf_counter() - begin


class Training:
    """A training of `layers` weights of width x width, one step at a time."""

    def __init__(self, layers: int, width: int, rows: int):
        import tessera as ts

        random = np.random.default_rng(0)
        scale = np.float32(1 / np.sqrt(width))
        weights = [random.standard_normal((width, width), np.float32) * scale for _ in range(layers)]
        moments = [np.zeros((width, width), np.float32) for _ in range(layers)]
        self.x = ts.device_put(random.standard_normal((rows, width), np.float32), ts.P())
        self.state = ts.device_put({"weights": weights, "first": moments, "second": moments}, ts.P())

        def loss(weights: list, x: Any) -> Any:
            y = x
            for w in weights:
                y = ts.tanh(y @ w)
            return ts.mean((y - x) * (y - x))

        def step(state: dict, x: Any) -> dict:
            gradients = ts.grad(loss)(state["weights"], x)
            first = [0.9 * m + 0.1 * g for m, g in zip(state["first"], gradients)]
            second = [0.999 * v + 0.001 * g * g for v, g in zip(state["second"], gradients)]
            weights = [w - 1e-4 * m / (ts.sqrt(v) + 1e-8)
                       for w, m, v in zip(state["weights"], first, second)]
            return {"weights": weights, "first": first, "second": second}

        self._step, self._wait = ts.jit(step, donate_argnums=0), ts.block_until_ready
        self.bytes = 3 * layers * width * width * 4

    def step(self) -> None:
        self.state = self._wait(self._step(self.state, self.x))


def copies(size: int) -> tuple[float, Callable[[], None]]:
    """Seconds of a copy into a new array, and a copy of arrays that have been used."""
    origin = np.ones(size, np.uint8)
    made: list[np.ndarray] = []
    first = seconds(lambda: made.append(origin.copy()))
    return first, lambda: np.copyto(made[0], origin)


def median_ms(values: list[float]) -> float:
    return round(statistics.median(values) * 1e3, 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=5, help="turns of single saves")
    parser.add_argument("--steps", type=int, default=100, help="of a training with and without a save")
    parser.add_argument("--trainings", type=int, default=3, help="how often those are timed")
    parser.add_argument("--folder", help="where checkpoints are written; a temporary folder by default")
    parser.add_argument("--small", action="store_true", help="a small state, to try the script; prints only")
    options = parser.parse_args()
    if options.small:
        options.steps = min(options.steps, 20)
    folder = tempfile.mkdtemp(dir=options.folder)
    try:
        data, bars = measure(options, folder)
    finally:
        shutil.rmtree(folder)
    if options.small:
        print(json.dumps({**data, "bars": bars}, indent=1))
    else:
        harness.write("checkpoint_cpu", data, bars)


def measure(options: argparse.Namespace, folder: str) -> tuple[dict, list[dict]]:
    import tessera as ts

    shape = {"layers": 4, "width": 512, "rows": 64} if options.small else \
            {"layers": 21, "width": 2048, "rows": 64}
    train = Training(**shape)
    for _ in range(3):
        train.step()
    saved = 0

    def save() -> Any:
        nonlocal saved
        saved += 1
        return ts.checkpoints.save(folder, train.state, saved, keep=1, asynchronous=True)

    first_copy, copy = copies(train.bytes)
    begin = time.perf_counter()
    saving = save()
    first_save = time.perf_counter() - begin
    saving.wait()
    times: dict[str, list[float]] = {name: [] for name in ("memcpy", "step", "stall", "step_while_writing",
                                                           "writing")}
    for _ in range(options.rounds):
        time.sleep(SETTLE)
        copy()
        times["memcpy"].append(seconds(copy))
        time.sleep(SETTLE)
        train.step()
        times["step"].append(seconds(train.step))
        begin = time.perf_counter()
        saving = save()
        times["stall"].append(time.perf_counter() - begin)
        times["step_while_writing"].append(seconds(train.step))
        saving.wait()
        times["writing"].append(time.perf_counter() - begin)

    def steps(with_save: bool) -> None:
        """A turn, at the beginning of which a save starts, and in which it is completed."""
        saving = save() if with_save else None
        for _ in range(options.steps // TURNS):
            train.step()
        if saving is not None:
            saving.wait()

    trainings: dict[str, list[float]] = {"without": [], "with_save": []}
    for _ in range(options.trainings):
        total = dict.fromkeys(trainings, 0.0)
        for turn in range(TURNS):
            for name in list(trainings)[::1 if turn % 2 else -1]:
                time.sleep(SETTLE)
                train.step()
                saves = name == "with_save" and turn == TURNS // 2
                total[name] += seconds(lambda saves=saves: steps(saves))
        for name, value in total.items():
            trainings[name].append(value)
    longer = [a / b for a, b in zip(trainings["with_save"], trainings["without"])]
    at_once = seconds(lambda: ts.checkpoints.save(folder, train.state, saved + 1, keep=1))
    loading = [seconds(lambda: ts.checkpoints.load(folder, train.state)) for _ in range(2)]
    stall_over_memcpy = round(statistics.median(times["stall"]) / statistics.median(times["memcpy"]), 3)
    data = {
        "shape": {**shape, "bytes": train.bytes, "dtype": "f32", "threads": 2},
        "times": {name: {"median_ms": median_ms(values), "min_ms": round(min(values) * 1e3, 2),
                         "max_ms": round(max(values) * 1e3, 2)} for name, values in times.items()},
        "stall_over_memcpy": stall_over_memcpy,
        "first_in_process": {"stall_ms": round(first_save * 1e3, 2),
                             "memcpy_into_new_memory_ms": round(first_copy * 1e3, 2)},
        "steps": options.steps,
        "training_seconds": {name: [round(value, 3) for value in values]
                             for name, values in trainings.items()},
        "training_with_save_over_without": [round(value, 4) for value in longer],
        "save_without_thread_seconds": round(at_once, 3),
        "load_seconds": [round(value, 3) for value in loading],
    }
    bars = [
        harness.bar("stall of a step by an asynchronous save over a memcpy of as many bytes",
                    stall_over_memcpy, at_most=1.3),
        harness.bar(f"{options.steps} steps with an asynchronous save over {options.steps} without",
                    round(statistics.median(longer), 4), at_most=1.05),
    ]
    return data, bars


if __name__ == "__main__":
    main()
