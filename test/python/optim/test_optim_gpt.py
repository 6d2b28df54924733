# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A GPT trained by ts.optim.AdamW: the losses of PyTorch's, and no more work than a step by hand."""

import gpt
import numpy as np
import pytest
from conftest import needs_runtime

import tessera as ts

torch = pytest.importorskip("torch", reason="PyTorch is the oracle")
pytestmark = needs_runtime

STEPS = 4


def compiled_step(optimizer, **options):
    def step(weights, state, tokens):
        loss, grads = ts.value_and_grad(gpt.loss)(weights, tokens)
        weights, state = optimizer.update(grads, state, weights)
        return weights, state, loss

    return ts.jit(step, donate_argnums=(0, 1), **options)


def adamw():
    betas = gpt.BETA1, gpt.BETA2
    return ts.optim.AdamW(gpt.LEARNING_RATE, betas, gpt.EPSILON, gpt.DECAY, decay_filter="all")


def test_losses_on_a_mesh_are_those_of_pytorch():
    layouts = {"weights": {"layers": [gpt.SPECS] * gpt.LAYERS}, "tokens": ts.P("dp")}
    optimizer, weights = adamw(), gpt.weights(np.float64)
    step = compiled_step(optimizer, mesh=ts.make_mesh({"dp": 2, "tp": 2}), in_shardings=layouts)
    state, got = optimizer.init(weights), []
    for tokens in gpt.batches(STEPS):
        weights, state, loss = step(weights, state, tokens)
        got.append(float(loss))
    assert np.abs(np.array(got) - gpt.torch_losses(torch, np.float64, STEPS)).max() <= 1e-11
    for name in ("exp_avg", "exp_avg_sq"):
        for kept, weight in zip(ts.tree.leaves(state[name]), ts.tree.leaves(weights), strict=True):
            assert kept.sharding == weight.sharding


def test_a_step_moves_no_more_than_one_by_hand():
    optimizer, weights, tokens = adamw(), gpt.weights(np.float32), gpt.batches(1)[0]
    step = compiled_step(optimizer).lower(weights, optimizer.init(weights), tokens)
    number = np.float32(0)
    by_hand = gpt.compiled_step().lower(gpt.initial(np.float32), tokens, number, number)
    kernels = [lowered.as_text("kernels").count("tile.launch") for lowered in (step, by_hand)]
    assert kernels[0] <= kernels[1] + 2  # Numbers that are shared.
    assert step.memory()["activations"] <= by_hand.memory()["activations"] + 256
    assert "donated" not in step.explain()
