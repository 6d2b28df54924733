# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A training of GPT-2 in PyTorch on raw text, as one writes it by hand: the peer of `tessera train`.

Random crops of one long row of tokens, AdamW with decay of matrices, a cosine schedule, clipping, gradient
accumulation, a line of JSON for each step, an evaluation now and then.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as f

from training_texts import END, SEPARATOR


class Block(nn.Module):
    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        b, s, width = x.shape
        q, k, v = (part.view(b, s, self.heads, -1).transpose(1, 2)
                   for part in self.qkv(self.ln_1(x)).split(width, dim=2))
        mixed = f.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(mixed.transpose(1, 2).reshape(b, s, width))
        return x + self.down(f.gelu(self.up(self.ln_2(x)), approximate="tanh"))


class GPT2(nn.Module):
    """Of a configuration as `tessera train` has it; the table of words is the head as well."""

    def __init__(self, n_layer: int, n_head: int, n_embd: int, n_positions: int, vocab_size: int,
                 **rates: float):
        super().__init__()
        self.words, self.places = nn.Embedding(vocab_size, n_embd), nn.Embedding(n_positions, n_embd)
        self.blocks = nn.ModuleList([Block(n_embd, n_head) for _ in range(n_layer)])
        self.last = nn.LayerNorm(n_embd)
        for name, weight in self.named_parameters():
            if weight.dim() > 1:
                is_residual = name.endswith(("out.weight", "down.weight"))
                nn.init.normal_(weight, std=0.02 / math.sqrt(2 * n_layer) if is_residual else 0.02)
            elif name.endswith("bias"):
                nn.init.zeros_(weight)

    def forward(self, tokens: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        x = self.words(tokens) + self.places.weight[:tokens.shape[1]]
        for block in self.blocks:
            x = block(x)
        logits = f.linear(self.last(x), self.words.weight)
        return f.cross_entropy(logits.view(-1, logits.shape[-1]), labels.view(-1))


def read_tokens(data: dict[str, Any]) -> np.ndarray:
    """All texts as one row of tokens."""
    import tokenizers

    tokenizer = tokenizers.Tokenizer.from_file(data["tokenizer"])
    end = tokenizer.token_to_id(END)
    texts = Path(data["path"]).read_text().split(SEPARATOR)
    rows = [np.array([*item.ids, end], np.uint16) for item in tokenizer.encode_batch_fast(texts)]
    return np.concatenate(rows)


def train(given: dict[str, Any], compiled: bool, before_model: Callable[[], None],
          after_evaluation: Callable[[], None]) -> None:
    """Trains until a callback raises.

    Args:
        before_model: called with the tokens in memory.
        after_evaluation: called when an evaluation has been logged.
    """
    torch.set_num_threads(given["parallel"]["threads"])
    torch.manual_seed(0)
    random = np.random.default_rng(0)
    run, optim = given["train"], given["optim"]
    batch, length, micro = run["batch"], run["sequence_length"], run["micro_batches"]
    tokens = read_tokens(given["data"])
    cut = int(len(tokens) * (1 - given["data"]["eval_fraction"]))
    parts = {"train": tokens[:cut], "evaluation": tokens[cut:]}
    before_model()

    def crops(part: str, rows: int) -> tuple[torch.Tensor, torch.Tensor]:
        data = parts[part]
        begins = random.integers(0, len(data) - length - 1, rows)
        x = np.stack([data[i:i + length + 1] for i in begins]).astype(np.int64)
        return torch.from_numpy(x[:, :-1].copy()), torch.from_numpy(x[:, 1:].copy())

    model = GPT2(**given["model"]["config"])
    weights = list(model.parameters())
    matrices = [w for w in weights if w.dim() > 1]
    others = [w for w in weights if w.dim() <= 1]
    optimizer = torch.optim.AdamW([{"params": matrices, "weight_decay": 0.1},
                                   {"params": others, "weight_decay": 0.0}], lr=optim["lr"],
                                  betas=(0.9, 0.95), eps=1e-8, fused=True)
    loss_of = torch.compile(model) if compiled else model
    folder = Path(run["folder"])
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "metrics.jsonl", "w", buffering=1) as log:
        for step in range(1, run["steps"] + 1):
            begin = time.monotonic()
            rate = optim["lr"] * 0.5 * (1 + math.cos(math.pi * (step - 1) / optim["total"]))
            for group in optimizer.param_groups:
                group["lr"] = rate
            total = 0.0
            x, y = crops("train", batch)
            for rows in range(0, batch, batch // micro):
                part = slice(rows, rows + batch // micro)
                loss = loss_of(x[part], y[part]) / micro
                loss.backward()
                total += loss.item()
            norm = nn.utils.clip_grad_norm_(weights, 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            seconds = time.monotonic() - begin
            log.write(json.dumps({"step": step, "loss": total, "grad_norm": norm.item(), "lr": rate,
                                  "seconds": seconds, "tokens_per_second": batch * length / seconds}) + "\n")
            if step % run["eval_every"] == 0:
                with torch.no_grad():
                    losses = [loss_of(*crops("evaluation", batch // micro)).item()
                              for _ in range(run["eval_batches"])]
                log.write(json.dumps({"event": "evaluation", "loss": sum(losses) / len(losses)}) + "\n")
                after_evaluation()
