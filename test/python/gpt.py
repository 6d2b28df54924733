# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A small GPT, written by hand twice: in ts.* and in torch; and batches of real text for it, byte by byte."""

from pathlib import Path

import numpy as np

import tessera as ts

LAYERS, HEADS, SIZE, LENGTH, BATCH, BYTES = 2, 4, 8, 16, 8, 128
WIDTH = HEADS * SIZE
LEARNING_RATE, BETA1, BETA2, EPSILON, DECAY = 3e-3, 0.9, 0.99, 1e-8, 0.1
TEXT = Path(__file__).parents[2] / "LICENSE"  # 12 kB of English that every checkout has.

# Megatron's two annotations a layer, all else follows from them: columns of the query, and of the MLP.
SPECS = {"q": ts.P(None, "tp"), "up": ts.P(None, "tp")}


def batches(count):
    """Arrays [count, BATCH, LENGTH + 1] of tokens, from places drawn in the text."""
    text = np.frombuffer(TEXT.read_bytes(), np.uint8).astype(np.int32)
    assert text.max() < BYTES
    starts = np.random.default_rng(3).integers(0, text.size - LENGTH - 1, (count, BATCH, 1))
    return text[starts + np.arange(LENGTH + 1)]


def weights(dtype):
    rng = np.random.default_rng(11)

    def draw(*shape):
        return (rng.standard_normal(shape) * 0.08).astype(dtype)

    def norm(name):
        return {f"{name}_scale": np.ones(WIDTH, dtype), f"{name}_bias": np.zeros(WIDTH, dtype)}

    def layer():
        return {**norm("n1"), **norm("n2"), **{name: draw(WIDTH, WIDTH) for name in "qkvo"},
                "up": draw(WIDTH, 4 * WIDTH), "up_bias": np.zeros(4 * WIDTH, dtype),
                "down": draw(4 * WIDTH, WIDTH), "down_bias": np.zeros(WIDTH, dtype)}

    return {"words": draw(BYTES, WIDTH), "places": draw(LENGTH, WIDTH), **norm("last"),
            "layers": [layer() for _ in range(LAYERS)]}


def norm(params, name, x):
    return ts.nn.layer_norm(x, params[f"{name}_scale"], params[f"{name}_bias"])


def layer(p, x):
    """Attention and MLP, each of the normalised input and added to it."""
    b, s, _ = x.shape
    h = norm(p, "n1", x)
    q, k, v = ((h @ p[name]).reshape(b, s, HEADS, SIZE) for name in "qkv")
    x = x + ts.nn.attention(q, k, v, causal=True).reshape(b, s, WIDTH) @ p["o"]
    h = ts.gelu(norm(p, "n2", x) @ p["up"] + p["up_bias"], approximate=True)
    return x + h @ p["down"] + p["down_bias"]


def loss(params, tokens):
    """The mean cross entropy of each next byte."""
    x = ts.nn.embedding(params["words"], tokens[:, :-1]) + params["places"]
    for p in params["layers"]:
        x = layer(p, x)
    logits = norm(params, "last", x) @ params["words"].T
    return ts.nn.softmax_cross_entropy(logits, tokens[:, 1:], reduction="mean")


def adamw_step(state, tokens, epsilon, decay):
    """The next state, and the loss: moments corrected for their start, decay apart from them."""
    value, grads = ts.value_and_grad(loss)(state["params"], tokens)
    step = state["step"] + 1
    t = step.astype(value.dtype)
    first = ts.tree.map(lambda m, g: BETA1 * m + (1 - BETA1) * g, state["first"], grads)
    second = ts.tree.map(lambda v, g: BETA2 * v + (1 - BETA2) * g * g, state["second"], grads)

    def updated(p, m, v):
        rate = (m / (1 - BETA1**t)) / (ts.sqrt(v / (1 - BETA2**t)) + epsilon)
        return p * (1 - LEARNING_RATE * decay) - LEARNING_RATE * rate

    params = ts.tree.map(updated, state["params"], first, second)
    return {"params": params, "first": first, "second": second, "step": step}, value


def initial(dtype):
    params = weights(dtype)
    zeros = ts.tree.map(np.zeros_like, params)
    return {"params": params, "first": zeros, "second": zeros, "step": np.int32(0)}


def compiled_step(mesh=None):
    """`adamw_step` compiled, its state donated."""
    if mesh is None:
        return ts.jit(adamw_step, donate_argnums=0)
    layouts = {"state": {"params": {"layers": [SPECS] * LAYERS}}, "tokens": ts.P("dp")}
    return ts.jit(adamw_step, donate_argnums=0, mesh=mesh, in_shardings=layouts)


def losses(step, dtype, steps, epsilon=EPSILON, decay=DECAY):
    """Of each step from the first state on."""
    state, result = initial(dtype), []
    for tokens in batches(steps):
        state, value = step(state, tokens, np.array(epsilon, dtype), np.array(decay, dtype))
        result.append(float(value))
    return np.array(result)


def torch_loss(torch, params, tokens):
    """As `loss`, by torch's own layers."""
    f = torch.nn.functional
    b, s = tokens.shape[0], tokens.shape[1] - 1

    def norm(p, name, x):
        return f.layer_norm(x, (WIDTH,), p[f"{name}_scale"], p[f"{name}_bias"])

    x = f.embedding(tokens[:, :-1], params["words"]) + params["places"]
    for p in params["layers"]:
        h = norm(p, "n1", x)
        q, k, v = ((h @ p[name]).view(b, s, HEADS, SIZE).transpose(1, 2) for name in "qkv")
        mixed = f.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + mixed.transpose(1, 2).reshape(b, s, WIDTH) @ p["o"]
        h = f.gelu(norm(p, "n2", x) @ p["up"] + p["up_bias"], approximate="tanh")
        x = x + h @ p["down"] + p["down_bias"]
    logits = norm(params, "last", x) @ params["words"].T
    return f.cross_entropy(logits.reshape(b * s, BYTES), tokens[:, 1:].reshape(b * s))


def torch_losses(torch, dtype, steps):
    """Of each step of torch's AdamW."""
    params = ts.tree.map(lambda w: torch.tensor(w, requires_grad=True), weights(dtype))
    optimiser = torch.optim.AdamW(ts.tree.leaves(params), LEARNING_RATE, (BETA1, BETA2), EPSILON, DECAY)
    result = []
    for tokens in batches(steps):
        optimiser.zero_grad()
        value = torch_loss(torch, params, torch.from_numpy(tokens).long())
        value.backward()
        optimiser.step()
        result.append(value.item())
    return np.array(result)
