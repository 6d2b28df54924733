# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What `ts.Trainer` and `tessera train` add to the compiled step, on two threads: time, waiting, memory.

    python benchmarks/trainer_cpu.py [--rounds 5] [--small]

A GPT-2 of 6 layers (see training_texts.py) is trained on raw text. Measured are

* steps of a trainer with all that `tessera train` watches it with (log, plot, progress), against the
  compiled step alone, which is called in turns with them in the same process;
* what a consumer waits for batches (text, tokens, packed) that takes ten as often as a step takes,
  and works on both cores meanwhile;
* `python -m tessera train` from the start of the process to the record of the first step, on texts
  as bytes: with an empty compile cache, and with what that run has left in it;
* resident memory during steps, and from the first array on, less what was resident before, against the
  bytes of the plan: arguments (weights, state, batch), activations, and batches made in advance.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "2")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")

import harness  # Before NumPy.
from training_texts import config, forget_peak, prepare, resident_mb, settled_mb

SETTLE = 0.15  # Seconds of rest before a turn, as harness.interleave has them.
STEPS = 3  # Of a turn.
SPEEDS = 10  # Batches that are taken in the time of a step.
MEMORY_STEPS = 4


def callbacks(folder: str) -> list:
    """What `tessera train` has by default, its progress in a file."""
    import tessera as ts

    Path(folder).mkdir(parents=True, exist_ok=True)
    return [ts.monitor.JSONLWriter(f"{folder}/metrics.jsonl"), ts.monitor.LossPlot(f"{folder}/loss.png"),
            ts.monitor.Progress(open(f"{folder}/progress.txt", "w"))]


class _Ended(Exception):
    """Enough is measured."""


def measure_steps(folder: Path, options: argparse.Namespace) -> dict:
    """Seconds of a step of the trainer, and of the compiled step by itself, taking turns."""
    import numpy as np

    import tessera as ts

    given = ts.TrainConfig.from_dict(config(folder, "steps", options.small))
    times: dict[str, list[float]] = {"trainer": [], "step": []}

    class Bare:
        """The step that the trainer has compiled, with a state of its own."""

        def __init__(self) -> None:
            setup = ts.Trainer(None, given)._setup
            self.model = setup.weights()
            self.state = setup.step.first_state(self.model)
            batch = setup.loader.batch_at(0)
            self.batch = {name: batch[name][None] for name in setup.names}
            self.key = np.zeros(2, np.int32)

        def step(self) -> None:
            program = trainer._compiled()[0]
            self.model, self.state, numbers = program(self.model, self.state, self.key, self.batch)
            float(numbers["loss"])

    class Turns(ts.monitor.Callback):
        """The last callback: when it is called, a step's record has gone everywhere else."""

        def __init__(self) -> None:
            self.count, self.begin = -2, 0.0  # The first steps are not counted.

        def on_step(self, record: dict) -> None:
            self.count += 1
            if self.count == 1:  # The turn's first step has woken the workers.
                self.begin = time.perf_counter()
            if self.count <= STEPS and self.count:
                return
            if self.count:
                times["trainer"].append((time.perf_counter() - self.begin) / STEPS)
            time.sleep(SETTLE)
            bare.step()
            begin = time.perf_counter()
            for _ in range(STEPS):
                bare.step()
            times["step"].append((time.perf_counter() - begin) / STEPS)
            if len(times["trainer"]) == options.rounds:
                raise _Ended
            time.sleep(SETTLE)
            self.count = 0

    bare, turns = Bare(), Turns()
    trainer = ts.Trainer(None, given, callbacks=[*callbacks(given.train.folder), turns],
                         peak_flops=ts.monitor.measured_peak(threads=2))
    try:
        trainer.fit()
    except _Ended:
        pass
    median = {name: statistics.median(values) for name, values in times.items()}
    ratios = [step / with_trainer for step, with_trainer in zip(times["step"][1:], times["trainer"])]
    return {"tokens": given.train.batch * given.train.sequence_length,
            "step_ms": round(median["step"] * 1e3, 2), "trainer_ms": round(median["trainer"] * 1e3, 2),
            "tokens_per_second_over_step": round(statistics.median(ratios), 4)}


def measure_loading(folder: Path, options: argparse.Namespace) -> dict:
    """What is waited for batches by a consumer that takes `SPEEDS` in options.step_ms."""
    import numpy as np

    import tessera as ts

    given = ts.TrainConfig.from_dict(config(folder, "loading", options.small))
    begin = time.perf_counter()
    loader = ts.Trainer(None, given).loader
    opening = time.perf_counter() - begin
    work = ts.jit(lambda x: x @ x, threads=2)
    x = ts.array(np.ones((256, 256), np.float32))
    ts.block_until_ready(work(x))
    next(loader)
    waits, interval = [], options.step_ms / 1e3 / SPEEDS
    begin = time.perf_counter()
    for _ in range(50 if options.small else 150):
        until = time.perf_counter() + interval
        while time.perf_counter() < until:
            ts.block_until_ready(work(x))
        asked = time.perf_counter()
        next(loader)
        waits.append(time.perf_counter() - asked)
    seconds = time.perf_counter() - begin
    loader.close()
    tokens = given.train.batch * given.train.sequence_length
    begin = time.perf_counter()
    for number in range(100):
        loader.batch_at(number)
    return {"batches": len(waits), "interval_ms": round(interval * 1e3, 2),
            "opening_seconds": round(opening, 2), "waited_part": round(sum(waits) / seconds, 5),
            "longest_wait_ms": round(max(waits) * 1e3, 3),
            "tokens_per_second_at_most": round(100 * tokens / (time.perf_counter() - begin))}


def measure_memory(folder: Path, options: argparse.Namespace) -> dict:
    """In a process of its own: resident MB of some steps against the bytes of the plan."""
    import tessera as ts
    from tessera._src.programs import native

    given = ts.TrainConfig.from_dict(config(folder, "memory", options.small,
                                            train={"steps": MEMORY_STEPS, "folder": None}))
    trainer = ts.Trainer(None, given)
    native._compiler()  # Opened, as once a process.
    before = settled_mb()

    class Watch(ts.monitor.Callback):
        first = 0.0

        def on_step(self, record: dict) -> None:
            if record["step"] == 2:
                self.first = resident_mb("VmHWM")
                forget_peak()

    watch = Watch()
    trainer.callbacks = (watch,)
    trainer.fit()
    steps = resident_mb("VmHWM") - before
    program = next(iter(trainer._compiled()[0]._compiled.values()))
    plan = program.memory()
    batch = sum(array.nbytes for array in trainer.loader.batch_at(0).values())
    live = (plan["arguments"] + plan["activations"] + given.data.prefetch * batch) / 2**20
    return {"before_mb": round(before, 1), "steps_mb": round(steps, 1),
            "with_compiling_mb": round(max(watch.first - before, steps), 1), "plan_mb": round(live, 1),
            "plan": plan, "batch_bytes": batch, "steps_over_plan": round(steps / live, 3),
            "with_compiling_over_plan": round(max(watch.first - before, steps) / live, 3)}


def in_process(folder: Path, options: argparse.Namespace, part: str, **more: Any) -> dict:
    """What this script prints when asked for a part, in a new process."""
    command = [sys.executable, __file__, *(["--small"] if options.small else []), "--part", part,
               "--folder", str(folder), "--rounds", str(options.rounds)]
    command += [f"--{name}={value}" for name, value in more.items()]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def measure_start(folder: Path, options: argparse.Namespace) -> dict[str, list[float]]:
    """Seconds from the start of `python -m tessera train` to the record of its first step."""
    config(folder, "start", options.small, train={"steps": 2, "folder": str(folder / "start")},
           data={"tokenizer": "bytes", "eos": None})
    found: dict[str, list[float]] = {"cold": [], "cached": [], "step_in_cached": []}
    for _ in range(options.start_rounds):
        cache = tempfile.mkdtemp(dir=folder)
        for kind in ("cold", "cached"):
            shutil.rmtree(folder / "start", ignore_errors=True)
            time.sleep(SETTLE)
            begin = time.time()
            subprocess.run([sys.executable, "-m", "tessera", "train", str(folder / "start.json")], check=True,
                           stdout=subprocess.DEVNULL, env={**os.environ, "TESSERA_CACHE_DIR": cache})
            lines = (folder / "start/metrics.jsonl").read_text().splitlines()
            first = next(r for line in lines if (r := json.loads(line))["event"] == "step")
            found[kind].append(round(first["time"] - begin, 3))
        found["step_in_cached"].append(round(first["seconds"], 3))
    return found


PARTS = {"steps": measure_steps, "loading": measure_loading, "memory": measure_memory}


def measure(folder: Path, options: argparse.Namespace) -> tuple[dict, list[dict]]:
    texts = prepare(folder, options.small)
    os.environ["TESSERA_CACHE_DIR"] = str(folder / "cache")
    steps = in_process(folder, options, "steps")
    loading = in_process(folder, options, "loading", step_ms=steps["step_ms"])
    memory = in_process(folder, options, "memory")
    start = measure_start(folder, options)
    median = {name: round(statistics.median(values), 3) for name, values in start.items()}
    data = {"model": config(folder, "model", options.small)["model"]["config"], "texts": texts,
            "dtype": "f32", "threads": 2, "steps": steps, "loading": loading, "memory": memory,
            "start_seconds": median, "starts": start}
    bars = [
        harness.bar("tokens per second of the trainer over the compiled step's",
                    steps["tokens_per_second_over_step"], at_least=0.97),
        harness.bar(f"part of the time that batches are waited for at {SPEEDS} times the speed of the model",
                    loading["waited_part"], at_most=0.01),
        harness.bar("seconds to the first step with an empty compile cache", median["cold"], at_most=10),
        harness.bar("seconds to the first step from the compile cache", median["cached"], at_most=2),
        harness.bar("resident memory of steps over the bytes of the plan", memory["steps_over_plan"],
                    at_most=1.1),
    ]
    return data, bars


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=7, help="turns of the trainer and the step")
    parser.add_argument("--start-rounds", type=int, default=3)
    parser.add_argument("--small", action="store_true", help="a small model, to try the script; prints only")
    parser.add_argument("--part", choices=PARTS, help="one part, printed as JSON")
    parser.add_argument("--folder", type=Path, help="of a part: where the texts are")
    parser.add_argument("--step_ms", type=float, default=100.0, help="of loading: the time of a step")
    options = parser.parse_args()
    if options.part:
        print(json.dumps(PARTS[options.part](options.folder, options)))
        return
    with tempfile.TemporaryDirectory() as name:
        data, bars = measure(Path(name), options)
    if options.small:
        print(json.dumps({**data, "bars": bars}, indent=1))
    else:
        harness.write("trainer_cpu", data, bars)


if __name__ == "__main__":
    main()
