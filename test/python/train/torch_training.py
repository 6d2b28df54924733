# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The same training by ts.Trainer and by PyTorch: a GPT-2 of transformers, its optimizer, and batches."""

import numpy as np
import torch
import train_cases
import transformers

import tessera as ts

MESH = ["parallel.dp=2", "parallel.tp=2"]
MODEL = {"n_embd": 32, "n_head": 4, "n_layer": 2, "n_positions": 16, "vocab_size": 258}


def config(precision, steps, *overrides):
    """Parts of sentences, of which many are shorter than a sample, in two micro-batches."""
    return train_cases.config(
        f"precision={precision}", f"train.steps={steps}", "train.batch=8", "train.micro_batches=2",
        "train.sequence_length=16", 'data.separator=","', "data.packing=padded", "data.cut=true",
        "optim.warmup=5", "optim.lr=1e-3", "optim.betas=[0.9, 0.99]", *overrides, model={"config": MODEL})


def losses_of_trainer(given):
    """Losses and gradient norms of every step, and the first weights."""
    recorder = train_cases.Recorder()
    trainer = ts.Trainer(None, given, callbacks=[recorder])
    first = {name: np.array(weight) for name, weight in trainer.model.state_dict().items()}
    trainer.fit()
    return np.array(recorder.losses), np.array([record["grad_norm"] for record in recorder.steps]), first


def losses_of_torch(given, first, dtype):
    """The same of PyTorch, from these weights."""
    model = transformers.GPT2LMHeadModel(transformers.GPT2Config(
        **MODEL, attn_pdrop=0, embd_pdrop=0, resid_pdrop=0, bos_token_id=0, eos_token_id=0)).to(dtype)
    weights = {name: torch.from_numpy(weight.astype(np.float64)).to(dtype) for name, weight in first.items()}
    missing, unexpected = model.load_state_dict(weights, strict=False)
    assert not unexpected and missing in ([], ["lm_head.weight"])
    optim = given.optim
    groups = [{"params": [p for p in model.parameters() if p.ndim >= 2], "weight_decay": optim.weight_decay},
              {"params": [p for p in model.parameters() if p.ndim < 2], "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, optim.lr, optim.betas, optim.eps)
    schedule = ts.optim.cosine(optim.lr, warmup=optim.warmup, total=given.train.steps)
    loader = ts.Trainer(None, given).loader
    losses, norms = [], []
    for number in range(given.train.steps):
        for group in optimizer.param_groups:
            group["lr"] = float(schedule(number))
        batch = {name: torch.from_numpy(array).long() for name, array in next(loader).items()}
        optimizer.zero_grad()
        logits = model(batch["tokens"]).logits
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), batch["labels"].flatten(),
                                                 ignore_index=-100)
        loss.backward()
        norms.append(torch.nn.utils.clip_grad_norm_(model.parameters(), optim.clip).item())
        optimizer.step()
        losses.append(loss.item())
    return np.array(losses), np.array(norms)


def compared(precision, steps, *overrides):
    """The largest difference of losses, that of norms (relative), and the losses of both."""
    given = config(precision, steps, *overrides)
    ours, norms, first = losses_of_trainer(given)
    theirs, wanted = losses_of_torch(given, first, torch.float64 if precision == "f64" else torch.float32)
    return np.abs(ours - theirs).max(), np.abs(norms / wanted - 1).max(), ours, theirs
