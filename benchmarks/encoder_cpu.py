# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Forward pass of the MiniLM encoder (6 layers, batch 32 x 128 tokens, f32) on two threads: Tessera
against PyTorch eager, torch.compile and JAX jit, taking turns in one process on random data.

    python benchmarks/encoder_cpu.py [--rounds 7] [--batch 32] [--length 128] [--no-compile]
"""

from __future__ import annotations

import argparse
import os
import time

os.environ.setdefault("OMP_NUM_THREADS", "2")
os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=true")
os.environ.setdefault("TESSERA_CACHE", "0")

import harness
import numpy as np

import tessera as ts
from tessera.models import encoder as model


def torch_encoder(config, weights):
    """The same layers, written as transformers writes them, on PyTorch tensors."""
    import torch
    from torch.nn import functional as F

    w = {name: torch.from_numpy(np.array(value)) for name, value in weights.items()}

    def dense(name, x):
        return F.linear(x, w[name + ".weight"], w[name + ".bias"])

    def norm(name, x):
        return F.layer_norm(x, (config.hidden_size,), w[name + ".weight"], w[name + ".bias"],
                            config.layer_norm_eps)

    def forward(ids, mask, kinds):
        batch, length = ids.shape
        x = (F.embedding(ids, w["embeddings.word_embeddings.weight"])
             + F.embedding(kinds, w["embeddings.token_type_embeddings.weight"])
             + w["embeddings.position_embeddings.weight"][:length])
        x = norm("embeddings.LayerNorm", x)
        bias = (1.0 - mask[:, None, None, :].float()) * torch.finfo(torch.float32).min
        heads = config.num_attention_heads
        for i in range(config.num_hidden_layers):
            p = f"encoder.layer.{i}."
            q, k, v = (dense(p + f"attention.self.{n}", x).view(batch, length, heads, -1)
                       .transpose(1, 2) for n in ("query", "key", "value"))
            a = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
            a = a.transpose(1, 2).reshape(batch, length, -1)
            x = norm(p + "attention.output.LayerNorm", dense(p + "attention.output.dense", a) + x)
            h = F.gelu(dense(p + "intermediate.dense", x))
            x = norm(p + "output.LayerNorm", dense(p + "output.dense", h) + x)
        keep = mask[:, :, None].float()
        return F.normalize((x * keep).sum(1) / keep.sum(1), dim=1)

    return forward


def jax_encoder(config, weights):
    """The same layers on JAX arrays."""
    import jax
    import jax.numpy as jnp

    w = {name: jnp.asarray(np.array(value)) for name, value in weights.items()}

    def dense(w, name, x):
        return jnp.einsum("bsk,nk->bsn", x, w[name + ".weight"]) + w[name + ".bias"]

    def norm(w, name, x):
        mean = x.mean(-1, keepdims=True)
        var = ((x - mean) ** 2).mean(-1, keepdims=True)
        return ((x - mean) * jax.lax.rsqrt(var + config.layer_norm_eps) * w[name + ".weight"]
                + w[name + ".bias"])

    @jax.jit
    def forward(w, ids, mask, kinds):
        batch, length = ids.shape
        x = (w["embeddings.word_embeddings.weight"][ids]
             + w["embeddings.token_type_embeddings.weight"][kinds]
             + w["embeddings.position_embeddings.weight"][:length])
        x = norm(w, "embeddings.LayerNorm", x)
        bias = (1.0 - mask[:, None, None, :].astype(jnp.float32)) * jnp.finfo(jnp.float32).min
        heads = config.num_attention_heads
        size = config.hidden_size // heads
        for i in range(config.num_hidden_layers):
            p = f"encoder.layer.{i}."
            q, k, v = (dense(w, p + f"attention.self.{n}", x).reshape(batch, length, heads, size)
                       for n in ("query", "key", "value"))
            scores = jnp.einsum("bshd,bthd->bhst", q, k) / np.sqrt(size) + bias
            a = jnp.einsum("bhst,bthd->bshd", jax.nn.softmax(scores, -1), v)
            a = a.reshape(batch, length, -1)
            x = norm(w, p + "attention.output.LayerNorm",
                     dense(w, p + "attention.output.dense", a) + x)
            h = jax.nn.gelu(dense(w, p + "intermediate.dense", x), approximate=False)
            x = norm(w, p + "output.LayerNorm", dense(w, p + "output.dense", h) + x)
        keep = mask[:, :, None].astype(jnp.float32)
        pooled = (x * keep).sum(1) / keep.sum(1)
        return pooled / jnp.linalg.norm(pooled, axis=1, keepdims=True)

    return forward, w


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--length", type=int, default=128)
    parser.add_argument("--no-compile", action="store_true", help="leave out torch.compile")
    args = parser.parse_args()

    import torch

    torch.set_num_threads(2)
    config = model.EncoderConfig.from_dict({
        "vocab_size": 30522, "hidden_size": 384, "num_hidden_layers": 6,
        "num_attention_heads": 12, "intermediate_size": 1536, "max_position_embeddings": 512,
        "type_vocab_size": 2, "layer_norm_eps": 1e-12})
    weights = model.random_weights(config, seed=1)
    rng = np.random.default_rng(2)
    ids = rng.integers(0, config.vocab_size, (args.batch, args.length)).astype(np.int32)
    mask = np.ones_like(ids)
    kinds = np.zeros_like(ids)

    candidates, results = {}, {}
    forward = model.Encoder(config, weights).function(ts.make_mesh({"tp": 1}), threads=2)
    begin = time.perf_counter()
    first = np.asarray(forward(weights, ids, mask, kinds))
    compile_seconds = time.perf_counter() - begin
    candidates["tessera"] = lambda: results.update(
        tessera=np.asarray(forward(weights, ids, mask, kinds)))

    eager = torch_encoder(config, weights)
    inputs = tuple(torch.from_numpy(t).long() for t in (ids, mask, kinds))

    def run_torch(name, function):
        with torch.inference_mode():
            results[name] = function(*inputs).numpy()

    candidates["torch_eager"] = lambda: run_torch("torch_eager", eager)
    notes = {}
    if not args.no_compile:
        compiled = torch.compile(eager)
        try:
            run_torch("torch_compile", compiled)
            candidates["torch_compile"] = lambda: run_torch("torch_compile", compiled)
        except Exception as error:  # A missing C++ toolchain, say: recorded, not hidden.
            notes["torch_compile"] = f"failed: {str(error).splitlines()[0]}"
    jax_forward, jax_weights = jax_encoder(config, weights)
    candidates["jax_jit"] = lambda: results.update(
        jax_jit=np.asarray(jax_forward(jax_weights, ids, mask, kinds)))

    times = harness.interleave(candidates, args.rounds)
    medians = {name: entry["median_ms"] for name, entry in harness.summary(times).items()}
    differences = {name: float(np.abs(results[name] - first).max()) for name in results}
    layers = config.num_hidden_layers
    tokens = args.batch * args.length
    flops = layers * tokens * (2 * (4 * 384 * 384 + 2 * 384 * 1536) + 4 * args.length * 384)
    harness.write("encoder_cpu", {
        "shape": {"batch": args.batch, "length": args.length, "layers": layers, "dtype": "f32",
                  "threads": 2},
        "times": harness.summary(times),
        "ratio_to_torch_eager": {n: round(t / medians["torch_eager"], 3)
                                 for n, t in medians.items()},
        "tessera_gflops": round(flops / medians["tessera"] / 1e6, 1),
        "tessera_first_call_seconds": round(compile_seconds, 2),
        "largest_difference_from_tessera": differences,
        **({"notes": notes} if notes else {}),
    }, bars=[harness.bar("time relative to PyTorch eager",
                         round(medians["tessera"] / medians["torch_eager"], 3), at_most=1.5)])


if __name__ == "__main__":
    main()
