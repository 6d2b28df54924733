# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A GPT to train, the same one in Tessera, PyTorch and JAX: of each, a function that makes a trainer.

A trainer takes tokens [batch, length + 1], does one step of AdamW on its own state, and gives the loss.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

RATE, BETA1, BETA2, EPSILON, DECAY = 3e-4, 0.9, 0.95, 1e-8, 0.1
Trainer = Callable[[np.ndarray], float]


@dataclass(frozen=True, kw_only=True)
class Shape:
    """Sizes of a model and of its batches."""

    layers: int = 6
    heads: int = 6
    width: int = 384
    batch: int = 8
    length: int = 256
    vocabulary: int = 8192

    def flops(self) -> float:
        """Of the products of a step: the backward pass has two for each of the forward pass.

        Of causal attention half the scores count, which is what it takes.
        """
        tokens = self.batch * self.length
        layer = 2 * 12 * self.width**2 + 2 * 2 * self.length * self.width / 2
        return 3.0 * tokens * (self.layers * layer + 2 * self.width * self.vocabulary)


def weights(shape: Shape, stacked: bool = False) -> dict:
    """Random weights; of layers that are scanned, each stacked along a first dimension."""
    rng = np.random.default_rng(1)
    width = shape.width

    def draw(*sizes: int) -> np.ndarray:
        return rng.standard_normal(sizes, dtype=np.float32) * np.float32(0.02)

    def norm(name: str) -> dict:
        return {f"{name}_scale": np.ones(width, np.float32), f"{name}_bias": np.zeros(width, np.float32)}

    def layer() -> dict:
        return {**norm("n1"), **norm("n2"), **{name: draw(width, width) for name in "qkvo"},
                "up": draw(width, 4 * width), "up_bias": np.zeros(4 * width, np.float32),
                "down": draw(4 * width, width), "down_bias": np.zeros(width, np.float32)}

    layers: Any = [layer() for _ in range(shape.layers)]
    if stacked:
        layers = {name: np.stack([w[name] for w in layers]) for name in layers[0]}
    return {"words": draw(shape.vocabulary, width), "places": draw(shape.length, width), **norm("last"),
            "layers": layers}


def batches(shape: Shape, count: int) -> np.ndarray:
    """Random tokens [count, batch, length + 1]."""
    rng = np.random.default_rng(2)
    return rng.integers(0, shape.vocabulary, (count, shape.batch, shape.length + 1)).astype(np.int32)


# -- Tessera -------------------------------------------------------------------------------------------


def tessera_loss(shape: Shape, scanned: bool = False) -> Callable:
    """The mean cross entropy of each next token."""
    import tessera as ts

    def norm(p: dict, name: str, x: Any) -> Any:
        return ts.nn.layer_norm(x, p[f"{name}_scale"], p[f"{name}_bias"])

    def layer(p: dict, x: Any) -> Any:
        b, s, _ = x.shape
        h = norm(p, "n1", x)
        q, k, v = ((h @ p[name]).reshape(b, s, shape.heads, -1) for name in "qkv")
        x = x + ts.nn.attention(q, k, v, causal=True).reshape(b, s, -1) @ p["o"]
        h = ts.gelu(norm(p, "n2", x) @ p["up"] + p["up_bias"], approximate=True)
        return x + h @ p["down"] + p["down_bias"]

    def loss(params: dict, tokens: Any) -> Any:
        x = ts.nn.embedding(params["words"], tokens[:, :-1]) + params["places"]
        if scanned:
            x, _ = ts.scan(lambda x, p: (layer(p, x), None), x, params["layers"])
        else:
            for p in params["layers"]:
                x = layer(p, x)
        logits = norm(params, "last", x) @ params["words"].T
        return -ts.take_along_axis(ts.nn.log_softmax(logits), tokens[:, 1:, None], -1).mean()

    return loss


def tessera_step(shape: Shape, scanned: bool = False) -> Callable:
    """A step of AdamW: (state, tokens) -> (state, loss), the state donated."""
    import tessera as ts

    loss = tessera_loss(shape, scanned)

    def step(state: dict, tokens: Any) -> tuple:
        value, grads = ts.value_and_grad(loss)(state["params"], tokens)
        return adamw(ts.tree.map, ts.sqrt, state, grads), value

    return ts.jit(step, donate_argnums=0, threads=2)


def adamw(each: Callable, sqrt: Callable, state: dict, grads: Any) -> dict:
    """The next state, in Tessera or in JAX."""
    step = state["step"] + 1
    t = step.astype("float32")
    first = each(lambda m, g: BETA1 * m + (1 - BETA1) * g, state["first"], grads)
    second = each(lambda v, g: BETA2 * v + (1 - BETA2) * g * g, state["second"], grads)

    def updated(p: Any, m: Any, v: Any) -> Any:
        rate = (m / (1 - BETA1**t)) / (sqrt(v / (1 - BETA2**t)) + EPSILON)
        return p * (1 - RATE * DECAY) - RATE * rate

    params = each(updated, state["params"], first, second)
    return {"params": params, "first": first, "second": second, "step": step}


def initial_state(each: Callable, params: dict) -> dict:
    """Before the first step of `adamw`."""
    return {"params": params, "first": each(np.zeros_like, params), "second": each(np.zeros_like, params),
            "step": np.int32(0)}


def tessera_trainer(shape: Shape) -> Trainer:
    import tessera as ts

    step = tessera_step(shape)
    state = initial_state(ts.tree.map, weights(shape))

    def train(tokens: np.ndarray) -> float:
        nonlocal state
        state, value = step(state, tokens)
        return float(value)

    return train


# -- PyTorch -------------------------------------------------------------------------------------------


def torch_loss(shape: Shape) -> Callable:
    from torch.nn import functional as f

    def norm(p: dict, name: str, x: Any) -> Any:
        return f.layer_norm(x, (shape.width,), p[f"{name}_scale"], p[f"{name}_bias"])

    def loss(params: dict, tokens: Any) -> Any:
        b, s = tokens.shape[0], tokens.shape[1] - 1
        x = f.embedding(tokens[:, :-1], params["words"]) + params["places"]
        for p in params["layers"]:
            h = norm(p, "n1", x)
            q, k, v = ((h @ p[name]).view(b, s, shape.heads, -1).transpose(1, 2) for name in "qkv")
            mixed = f.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + mixed.transpose(1, 2).reshape(b, s, shape.width) @ p["o"]
            h = f.gelu(norm(p, "n2", x) @ p["up"] + p["up_bias"], approximate="tanh")
            x = x + h @ p["down"] + p["down_bias"]
        logits = norm(params, "last", x) @ params["words"].T
        return f.cross_entropy(logits.view(b * s, -1), tokens[:, 1:].reshape(b * s))

    return loss


def torch_trainer(shape: Shape, compiled: bool = False) -> Trainer:
    """With PyTorch's own fused AdamW; `compiled` is the loss with its gradients, by torch.compile."""
    import torch

    torch.set_num_threads(2)

    def parameters(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: parameters(v) for name, v in value.items()}
        if isinstance(value, list):
            return [parameters(v) for v in value]
        return torch.from_numpy(value).requires_grad_()

    params = parameters(weights(shape))
    leaves = [w for p in (params, *params["layers"]) for w in p.values() if isinstance(w, torch.Tensor)]
    optimiser = torch.optim.AdamW(leaves, RATE, (BETA1, BETA2), EPSILON, DECAY, fused=True)
    loss = torch.compile(torch_loss(shape)) if compiled else torch_loss(shape)

    def train(tokens: np.ndarray) -> float:
        optimiser.zero_grad(set_to_none=True)
        value = loss(params, torch.from_numpy(tokens).long())
        value.backward()
        optimiser.step()
        return value.item()

    return train


# -- JAX -----------------------------------------------------------------------------------------------


def jax_step(shape: Shape, scanned: bool = False) -> Callable:
    """As tessera_step."""
    import jax
    import jax.numpy as jnp

    def norm(p: dict, name: str, x: Any) -> Any:
        centred = x - x.mean(-1, keepdims=True)
        variance = (centred * centred).mean(-1, keepdims=True)
        return centred * jax.lax.rsqrt(variance + 1e-5) * p[f"{name}_scale"] + p[f"{name}_bias"]

    def layer(p: dict, x: Any) -> Any:
        b, s, _ = x.shape
        h = norm(p, "n1", x)
        q, k, v = ((h @ p[name]).reshape(b, s, shape.heads, -1) for name in "qkv")
        x = x + jax.nn.dot_product_attention(q, k, v, is_causal=True).reshape(b, s, -1) @ p["o"]
        h = jax.nn.gelu(norm(p, "n2", x) @ p["up"] + p["up_bias"], approximate=True)
        return x + h @ p["down"] + p["down_bias"]

    def loss(params: dict, tokens: Any) -> Any:
        x = params["words"][tokens[:, :-1]] + params["places"]
        if scanned:
            x, _ = jax.lax.scan(lambda x, p: (layer(p, x), None), x, params["layers"])
        else:
            for p in params["layers"]:
                x = layer(p, x)
        logits = norm(params, "last", x) @ params["words"].T
        return -jnp.take_along_axis(jax.nn.log_softmax(logits), tokens[:, 1:, None], -1).mean()

    def step(state: dict, tokens: Any) -> tuple:
        value, grads = jax.value_and_grad(loss)(state["params"], tokens)
        return adamw(jax.tree.map, jnp.sqrt, state, grads), value

    return jax.jit(step, donate_argnums=0)


def jax_trainer(shape: Shape) -> Trainer:
    import jax

    step = jax_step(shape)
    state = jax.tree.map(jax.numpy.asarray, initial_state(jax.tree.map, weights(shape)))

    def train(tokens: np.ndarray) -> float:
        nonlocal state
        state, value = step(state, tokens)
        return float(jax.block_until_ready((state, value))[1])

    return train


TRAINERS: dict[str, Callable[[Shape], Trainer]] = {
    "tessera": tessera_trainer,
    "torch_eager": torch_trainer,
    "torch_compile": lambda shape: torch_trainer(shape, compiled=True),
    "jax_jit": jax_trainer,
}


def disagreement(losses: dict[str, list[float]]) -> float:
    """The largest relative difference between losses of trainers and the first trainer's."""
    first = next(iter(losses.values()))
    off = max(abs(b / a - 1) for other in losses.values() for a, b in zip(first, other, strict=True))
    return off if math.isfinite(off) else math.inf
