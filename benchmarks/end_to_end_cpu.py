# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A whole training from raw text, Tessera against PyTorch, on two threads.

    python benchmarks/end_to_end_cpu.py [--rounds 5] [--small] [--no-compile]

GPT-2 of 6 layers of width 384, 8 x 256 tokens in two micro-batches, 8,192 words, f32 (training_texts.py);
AdamW, clipping, a log of each step, an evaluation every fourth. `ts.Trainer` has what `tessera train` has;
the peer is training_torch.py, eager and by torch.compile. Each runs in a process of its own, which tokenizes
the texts, compiles, and then takes turns with the others: a turn is four steps with an evaluation, after a
rest. Memory is the most that is resident during turns, less what is resident with the tokens in memory and
no model yet. Before turns count, the losses of all must have fallen alike.
"""

from __future__ import annotations

import argparse
import json
import os
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
STEPS = 4  # Of a turn, which ends with an evaluation.
EVALUATED = 4  # Batches of an evaluation.
NAMES = ("tessera", "torch_eager", "torch_compile")
WARM_TURNS = 2
# Of the losses after the first turns, whose batches and first weights are others.
AGREEMENT = 0.15


class _Ended(Exception):
    """The script that started this process has measured enough."""


class Turns:
    """In a process that trains: says how long each turn took, and waits for the next one."""

    def __init__(self) -> None:
        self.before = self.begin = 0.0
        self.count = 0

    def before_model(self) -> None:
        self.before, self.begin = settled_mb(), time.perf_counter()

    def end(self) -> None:
        self.count += 1
        answer = {"seconds": time.perf_counter() - self.begin}
        if self.count > WARM_TURNS:
            answer |= {"steps_mb": resident_mb("VmHWM") - self.before, "before_mb": self.before}
        print(json.dumps(answer), flush=True)
        if sys.stdin.readline().strip() != "turn":
            raise _Ended
        if self.count == WARM_TURNS:
            forget_peak()
        self.begin = time.perf_counter()


def train_tessera(given: dict[str, Any], turns: Turns) -> None:
    import tessera as ts
    from trainer_cpu import callbacks

    class Ending(ts.monitor.Callback):
        def on_event(self, record: dict) -> None:
            if record["event"] == "evaluation":
                turns.end()

    trainer = ts.Trainer(None, given, callbacks=[*callbacks(given["train"]["folder"]), Ending()],
                         peak_flops=ts.monitor.measured_peak(threads=2))
    turns.before_model()
    trainer.fit()


def train_torch(given: dict[str, Any], turns: Turns, compiled: bool) -> None:
    from training_torch import train

    train(given, compiled, turns.before_model, turns.end)


class Training:
    """A training in another process."""

    def __init__(self, name: str, folder: Path, small: bool):
        given = config(folder, name, small, data={"eval_fraction": 0.1}, train={
            "micro_batches": 2, "eval_every": STEPS, "eval_batches": EVALUATED,
            "folder": str(folder / name)})
        self.log = folder / name / "metrics.jsonl"
        self.tokens = STEPS * given["train"]["batch"] * given["train"]["sequence_length"]
        self.answer: dict[str, float] = {}
        begin = time.perf_counter()
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--train", name, "--config", str(folder / f"{name}.json")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._read()
        self.first = time.perf_counter() - begin  # Seconds to the end of the first turn.

    def turn(self) -> float:
        self._write("turn")
        self._read()
        return self.answer["seconds"]

    def losses(self) -> list[float]:
        """Of evaluations."""
        records = [json.loads(line) for line in self.log.read_text().splitlines()]
        return [record["loss"] for record in records if record.get("event") == "evaluation"]

    def end(self) -> None:
        if self.process.poll() is None:
            self._write("end")
            self.process.wait()

    def _write(self, line: str) -> None:
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def _read(self) -> None:
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.log.parent.name} has ended with {self.process.wait()}")
        self.answer = json.loads(line)


def measure(folder: Path, options: argparse.Namespace) -> tuple[dict, list[dict]]:
    texts = prepare(folder, options.small)
    os.environ["TESSERA_CACHE_DIR"] = str(folder / "cache")
    trainings: dict[str, Training] = {}
    try:
        for name in NAMES:
            if name == "torch_compile" and options.no_compile:
                continue
            trainings[name] = Training(name, folder, options.small)
            for _ in range(WARM_TURNS - 1):
                trainings[name].turn()
        losses = {name: training.losses()[-1] for name, training in trainings.items()}
        off = max(abs(loss / losses["tessera"] - 1) for loss in losses.values())
        if not off <= AGREEMENT:
            sys.exit(f"the losses differ by {off:.0%}, so nothing is timed: {losses}")
        seconds: dict[str, list[float]] = {name: [] for name in trainings}
        for turn in range(options.rounds):
            for name in list(trainings)[::1 if turn % 2 else -1]:
                time.sleep(SETTLE)
                seconds[name].append(trainings[name].turn())
    finally:
        for training in trainings.values():
            training.end()
    tokens = trainings["tessera"].tokens
    rates = {name: round(tokens / statistics.median(values), 1) for name, values in seconds.items()}
    memory = {name: round(training.answer["steps_mb"], 1) for name, training in trainings.items()}
    peers = [name for name in rates if name != "tessera"]
    fastest = max(peers, key=rates.__getitem__)
    data = {"model": config(folder, "model", options.small)["model"]["config"], "texts": texts,
            "dtype": "f32", "threads": 2, "tokens_of_turn": tokens, "tokens_per_second": rates,
            "turns": harness.summary(seconds), "fastest_peer": fastest,
            "tokens_per_second_over_fastest_peer": round(rates["tessera"] / rates[fastest], 3),
            "steps_mb": memory, "before_mb": {name: round(training.answer["before_mb"], 1)
                                              for name, training in trainings.items()},
            "seconds_to_end_of_first_turn": {name: round(training.first, 2)
                                             for name, training in trainings.items()},
            "losses_after_warm_turns": losses}
    bars = [
        harness.bar("tokens per second over the fastest peer's",
                    data["tokens_per_second_over_fastest_peer"], at_least=1.0),
        harness.bar("resident memory of steps relative to the fastest peer",
                    round(memory["tessera"] / memory[fastest], 3), at_most=1.0),
    ]
    return data, bars


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--small", action="store_true", help="a small model, to try the script; prints only")
    parser.add_argument("--no-compile", action="store_true", help="leave out torch.compile")
    parser.add_argument("--train", choices=NAMES, help="trains, and takes turns with who started it")
    parser.add_argument("--config", type=Path, help="of a training")
    options = parser.parse_args()
    if options.train:
        given, turns = json.loads(options.config.read_text()), Turns()
        try:
            if options.train == "tessera":
                train_tessera(given, turns)
            else:
                train_torch(given, turns, options.train == "torch_compile")
        except _Ended:
            pass
        return
    with tempfile.TemporaryDirectory() as name:
        data, bars = measure(Path(name), options)
    if options.small:
        print(json.dumps({**data, "bars": bars}, indent=1))
    else:
        harness.write("end_to_end_cpu", data, bars)


if __name__ == "__main__":
    main()
