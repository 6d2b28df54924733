# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Kernels beside products, f32, on two threads: Tessera against PyTorch eager, taking turns in one
process on random data that stays where each has it. What a backward pass is made of: reductions over
either axis, transpositions, rows, scatters, updates in place.

    python benchmarks/kernels_cpu.py [--rounds 9] [--only sum,transpose]
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import statistics
from typing import Any, Callable

os.environ.setdefault("OMP_NUM_THREADS", "2")
os.environ.setdefault("TESSERA_CACHE", "0")

import harness
import numpy as np

import tessera as ts

BURST = 5


@dataclasses.dataclass
class Case:
    """One kernel, as each side writes it. Both take the same inputs, in order."""

    name: str
    shapes: tuple[Any, ...]  # Of the random inputs; an integer array instead is taken as it is.
    tessera: Callable[..., Any]
    torch: Callable[..., Any]
    donate: tuple[int, ...] = ()  # Tessera's results become these inputs of its next call.
    tolerance: float = 1e-4  # Of the largest difference, over the largest magnitude.


def adamw(p, m, v, g):
    """One step with the bias corrections of a late one."""
    m = 0.9 * m + 0.1 * g
    v = 0.999 * v + 0.001 * g * g
    p = p * (1 - 1e-3 * 0.01) - 1e-3 * m / (ts.sqrt(v) + 1e-8)
    return p, m, v


def cases(torch) -> list[Case]:
    F = torch.nn.functional
    large, square, heads = (4096, 1024), (2048, 2048), (8, 256, 6, 64)
    tokens = np.random.default_rng(3).integers(0, 8192, 2048).astype(np.int64)

    def torch_adamw(p, m, v, g):
        torch._fused_adamw_([p], [g], [m], [v], [], [torch.tensor(1e4)], amsgrad=False, lr=1e-3, beta1=0.9,
                            beta2=0.999, weight_decay=0.01, eps=1e-8, maximize=False)
        return p, m, v

    def bias_gelu_gradient(x, g):
        return ts.sum(ts.gelu(x) * g, axis=0)

    return [
        *(Case(f"{kind} of {large[0]}x{large[1]} over axis {axis}", (large,),
               lambda x, f=getattr(ts, kind), a=axis: f(x, axis=a),
               lambda x, f=getattr(torch, f"a{kind}" if kind == "max" else kind), a=axis: f(x, dim=a))
          for kind in ("sum", "max") for axis in (0, 1)),
        Case("sum of all 4096x1024", (large,), ts.sum, torch.sum),
        Case("max of all 4096x1024", (large,), ts.max, torch.max),
        Case("sum of all 4194304", ((1 << 22,),), ts.sum, torch.sum),
        Case("sum of 8192x384 over axis 0", ((8192, 384),), lambda x: ts.sum(x, axis=0),
             lambda x: torch.sum(x, dim=0)),
        Case("sum of 64x128x384 over axis 1", ((64, 128, 384),), lambda x: ts.sum(x, axis=1),
             lambda x: torch.sum(x, dim=1)),
        Case("sum of 64x128x384 over axes 0, 1", ((64, 128, 384),), lambda x: ts.sum(x, axis=(0, 1)),
             lambda x: torch.sum(x, dim=(0, 1))),
        Case("sum of gelu(x) * g, 8192x384, over axis 0", ((8192, 384),) * 2, bias_gelu_gradient,
             lambda x, g: torch.sum(F.gelu(x) * g, dim=0)),
        Case("transpose of 2048x2048", (square,), lambda x: x.T, lambda x: x.t().contiguous()),
        Case("transpose (0, 2, 1, 3) of 8x256x6x64", (heads,), lambda x: ts.transpose(x, (0, 2, 1, 3)),
             lambda x: x.permute(0, 2, 1, 3).contiguous()),
        Case("transpose (0, 2, 3, 1) of 8x256x6x64", (heads,), lambda x: ts.transpose(x, (0, 2, 3, 1)),
             lambda x: x.permute(0, 2, 3, 1).contiguous()),
        Case("cumsum of 1024x1024 along axis 1", ((1024, 1024),), lambda x: ts.cumsum(x, axis=1),
             lambda x: torch.cumsum(x, 1)),
        Case("cumsum of 1024x1024 along axis 0", ((1024, 1024),), lambda x: ts.cumsum(x, axis=0),
             lambda x: torch.cumsum(x, 0)),
        Case("cumsum of 1000000", ((1000000,),), lambda x: ts.cumsum(x, axis=0),
             lambda x: torch.cumsum(x, 0), tolerance=1e-3),
        Case("concatenate 2 of 2048x1024, axis 0", ((2048, 1024),) * 2,
             lambda x, y: ts.concatenate([x, y], axis=0), lambda x, y: torch.cat([x, y], 0)),
        Case("concatenate 3 of 4096x384, axis 1", ((4096, 384),) * 3,
             lambda *x: ts.concatenate(x, axis=1), lambda *x: torch.cat(x, 1)),
        Case("scatter-add of 2048x384 into zeros 8192x384", (tokens, (2048, 384)),
             lambda i, g: ts.zeros((8192, 384)).at[i].add(g),
             lambda i, g: torch.zeros(8192, 384).index_add_(0, i, g)),
        Case("scatter-add of 2048x384 into 8192x384 in place", ((8192, 384), tokens, (2048, 384)),
             lambda p, i, g: p.at[i].add(g), lambda p, i, g: p.index_add_(0, i, g), donate=(0,)),
        Case("gather of 2048 rows of 8192x384", ((8192, 384), tokens), lambda p, i: p[i],
             lambda p, i: F.embedding(i, p)),
        Case("p += g in place, 4194304", ((1 << 22,),) * 2, lambda p, g: p + g, lambda p, g: p.add_(g),
             donate=(0,)),
        Case("AdamW step, 4194304", ((1 << 22,),) * 4, adamw, torch_adamw, donate=(0, 1, 2)),
        Case("softmax of 4096x1024", (large,), lambda x: ts.softmax(x, axis=-1),
             lambda x: torch.softmax(x, -1)),
        Case("logsumexp of 1024x32000", ((1024, 32000),), lambda x: ts.logsumexp(x, axis=-1),
             lambda x: torch.logsumexp(x, -1)),
        Case("layer_norm of 4096x1024", (large, (1024,), (1024,)), ts.layer_norm,
             lambda x, s, b: F.layer_norm(x, (1024,), s, b)),
        Case("rms_norm of 4096x1024", (large, (1024,)), lambda x, s: ts.rms_norm(x, s, 1e-6),
             lambda x, s: F.rms_norm(x, (1024,), s, 1e-6)),
        Case("gelu of 4096x1024", (large,), ts.gelu, F.gelu),
        Case("silu(a) * b + c, 4096x1024", (large,) * 3, lambda a, b, c: ts.silu(a) * b + c,
             lambda a, b, c: F.silu(a) * b + c),
        Case("exp of 4194304", ((1 << 22,),), ts.exp, torch.exp),
        Case("tanh of 4194304", ((1 << 22,),), ts.tanh, torch.tanh),
        Case("argmax of 4096x1024 over axis 1", (large,), lambda x: ts.argmax(x, axis=1),
             lambda x: torch.argmax(x, 1)),
        Case("argmax of 4096x1024 over axis 0", (large,), lambda x: ts.argmax(x, axis=0),
             lambda x: torch.argmax(x, 0)),
    ]


def inputs_of(case: Case) -> list[np.ndarray]:
    rng = np.random.default_rng(len(case.name))
    made = [rng.standard_normal(shape, dtype=np.float32) if isinstance(shape, tuple) else shape
            for shape in case.shapes]
    # The second moments of the optimiser are not negative.
    return [np.abs(x) if case.tessera is adamw and i == 2 else x for i, x in enumerate(made)]


def first(results: Any) -> np.ndarray:
    results = results[0] if isinstance(results, (tuple, list)) else results
    return np.asarray(results).astype(np.float64)


def measure(case: Case, torch, rounds: int) -> dict[str, Any]:
    arrays = inputs_of(case)
    step = ts.jit(case.tessera, mesh=ts.make_mesh({"tp": 1}), threads=2, donate_argnums=case.donate)
    ours = [ts.device_put(x) for x in arrays]
    theirs = [torch.from_numpy(x.copy()) for x in arrays]

    def run_tessera():
        result = ts.block_until_ready(step(*ours))
        for place, value in zip(case.donate, result if isinstance(result, tuple) else (result,)):
            ours[place] = value
        return result

    def run_torch():
        with torch.inference_mode():
            return case.torch(*theirs)

    mine, peer = first(run_tessera()), first(run_torch())
    difference = float(np.abs(mine - peer).max() / max(1.0, np.abs(peer).max()))
    if difference > case.tolerance:
        raise SystemExit(f"{case.name}: Tessera and PyTorch differ by {difference:.1e} of the largest")
    times = harness.interleave({"tessera": run_tessera, "torch": run_torch}, rounds, burst=BURST)
    rounds_of = {name: [statistics.median(values[i:i + BURST]) for i in range(0, len(values), BURST)]
                 for name, values in times.items()}
    ratio = statistics.median(a / b for a, b in zip(rounds_of["tessera"], rounds_of["torch"]))
    return {"times": harness.summary(times), "ratio_to_torch": round(ratio, 3),
            "largest_difference": difference}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--only", default="", help="words: the cases with one in their name; writes nothing")
    args = parser.parse_args()

    import torch

    torch.set_num_threads(2)
    words = [word for word in args.only.split(",") if word]
    rows = {}
    for case in cases(torch):
        if words and not any(word in case.name for word in words):
            continue
        row = rows[case.name] = measure(case, torch, args.rounds)
        ours, theirs = row["times"]["tessera"], row["times"]["torch"]
        print(f"{row['ratio_to_torch']:6.2f}  {ours['median_ms']:8.3f}  {theirs['median_ms']:8.3f} ms, least"
              f" {ours['min_ms']:8.3f}  {theirs['min_ms']:8.3f}  {case.name}", flush=True)
    if words:
        return
    harness.write("kernels_cpu", {"peer": f"PyTorch {torch.__version__}, eager", "threads": 2,
                                  "dtype": "f32", "kernels": rows},
                  bars=[harness.bar(f"time relative to PyTorch, {name}", row["ratio_to_torch"], at_most=1)
                        for name, row in rows.items()])


if __name__ == "__main__":
    main()
