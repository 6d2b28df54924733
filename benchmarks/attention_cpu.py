# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Causal attention in f32 on two threads, its forward pass and forward with backward: Tessera against
PyTorch's scaled_dot_product_attention, taking turns in one process on random data.

    python benchmarks/attention_cpu.py [--tokens 2048] [--heads 12] [--size 64] [--rounds 15]
"""

from __future__ import annotations

import argparse
import os

os.environ.setdefault("TESSERA_CACHE", "0")

import harness
import numpy as np

import tessera as ts

# Of forward and backward together; the forward pass has none.
BAR = 0.6


def tessera_functions() -> dict:
    mesh = ts.make_mesh({"tp": 1})

    def forward(q, k, v):
        return ts.nn.attention(q, k, v, causal=True)

    def both(q, k, v, ct):
        value, pullback = ts.vjp(forward, q, k, v)
        return value, *pullback(ct)

    return {"forward": ts.jit(forward, mesh=mesh, threads=2), "both": ts.jit(both, mesh=mesh, threads=2)}


def torch_functions() -> dict:
    import torch
    from torch.nn import functional as f

    torch.set_num_threads(2)

    def forward(q, k, v):
        with torch.inference_mode():
            return f.scaled_dot_product_attention(q, k, v, is_causal=True)

    def both(q, k, v, ct):
        q, k, v = (x.detach().requires_grad_() for x in (q, k, v))
        value = f.scaled_dot_product_attention(q, k, v, is_causal=True)
        return value.detach(), *torch.autograd.grad(value, (q, k, v), ct)

    return {"forward": forward, "both": both}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tokens", type=int, default=2048)
    parser.add_argument("--heads", type=int, default=12)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=15)
    args = parser.parse_args()
    import torch

    rng = np.random.default_rng(args.tokens)
    shape = (1, args.tokens, args.heads, args.size)
    arrays = [rng.standard_normal(shape, dtype=np.float32) for _ in range(4)]
    # PyTorch has the heads before the tokens; each has its arrays as its kernels read them.
    peers = [torch.from_numpy(np.ascontiguousarray(a.transpose(0, 2, 1, 3))) for a in arrays]
    mine, theirs = tessera_functions(), torch_functions()
    passes, differences = {}, {}
    for name, count in (("forward", 3), ("both", 4)):
        got, want = mine[name](*arrays[:count]), theirs[name](*peers[:count])
        pairs = zip(got, want) if name == "both" else [(got, want)]
        differences[name] = max(float(np.abs(np.asarray(a) - b.numpy().transpose(0, 2, 1, 3)).max())
                                for a, b in pairs)
        times = harness.summary(harness.interleave(
            {"tessera": lambda name=name, count=count: mine[name](*arrays[:count]),
             "torch": lambda name=name, count=count: theirs[name](*peers[:count])}, args.rounds, burst=3))
        passes[name] = {"times": times, "ratio_to_torch": round(
            times["tessera"]["median_ms"] / times["torch"]["median_ms"], 3)}
    harness.write("attention_cpu", {
        "peer": f"PyTorch {torch.__version__}, scaled_dot_product_attention", "threads": 2, "dtype": "f32",
        "shape": {"batch": 1, "tokens": args.tokens, "heads": args.heads, "head_size": args.size},
        "passes": passes, "largest_difference": differences,
    }, bars=[harness.bar("time relative to PyTorch, forward and backward", passes["both"]["ratio_to_torch"],
                         at_most=BAR)])


if __name__ == "__main__":
    main()
