# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Training from text on one mesh, and going on from a checkpoint on others."""

from pathlib import Path

import numpy as np
import pytest
from conftest import needs_runtime

import tessera as ts

pytestmark = needs_runtime
TEXT = Path(__file__).parents[3] / "LICENSE"
BEGIN, END = 10, 30


def loss(model, batch):
    logits = model(batch["tokens"])
    return ts.nn.softmax_cross_entropy(logits, batch["labels"], ignore_index=-100, reduction="mean")


OPTIMIZER = ts.optim.AdamW(lr=ts.optim.cosine(3e-3, warmup=5, total=60), weight_decay=0.1)


def step(model, state, batch):
    value, gradients = ts.value_and_grad(loss)(model, batch)
    gradients, _ = ts.optim.clip_by_global_norm(gradients, 1.0)
    model, state = OPTIMIZER.update(gradients, state, model)
    return model, state, value


class Training:
    """A small GPT-2 on a mesh, its optimizer, and batches of text."""

    def __init__(self, mesh):
        tokenizer = ts.data.ByteTokenizer()
        source = ts.data.Tokenized(ts.data.TextFiles(TEXT, separator="\n\n"), tokenizer)
        self.loader = ts.data.Loader(ts.data.Packed(source, 16, seed=0), 8)
        model = ts.models.GPT2({"n_embd": 32, "n_head": 4, "n_layer": 2, "attn_pdrop": 0, "n_positions": 16,
                                "vocab_size": tokenizer.vocab_size + -tokenizer.vocab_size % 4})
        self.model = model.init(ts.random.key(0), mesh=mesh)
        self.state = OPTIMIZER.init(self.model)
        self.step = ts.jit(step, donate_argnums=(0, 1), mesh=mesh)

    def run(self, count):
        losses = []
        for _ in range(count):
            self.model, self.state, value = self.step(self.model, self.state, next(self.loader))
            losses.append(float(value))
        return np.array(losses)

    def save(self, folder, number):
        return ts.checkpoints.save(folder, {"model": self.model, "optimizer": self.state}, number,
                                   metadata=self.loader.state(), asynchronous=True)

    def load(self, folder):
        loaded = ts.checkpoints.load(folder, {"model": self.model, "optimizer": self.state})
        self.model, self.state = loaded.tree["model"], loaded.tree["optimizer"]
        self.loader.load_state(loaded.metadata)
        return loaded.step


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A folder with a checkpoint of a training on tp 2 x dp 2, and the losses after it."""
    folder = tmp_path_factory.mktemp("checkpoints")
    training = Training(ts.make_mesh({"dp": 2, "tp": 2}))
    before = training.run(BEGIN)
    saving = training.save(folder, BEGIN)
    losses = training.run(END - BEGIN)  # The next steps write over what is being saved.
    saving.wait()
    assert before[0] > 5 and losses[-1] < before[0] - 1.5
    return folder, losses


@pytest.mark.parametrize("sizes", [{"dp": 2, "tp": 2}, {"tp": 4}, {"dp": 4}, None], ids=str)
def test_the_next_losses_are_the_same_on_any_mesh(whole, sizes):
    folder, wanted = whole
    training = Training(None if sizes is None else ts.make_mesh(sizes))
    assert training.load(folder) == BEGIN
    losses = training.run(END - BEGIN)
    np.testing.assert_allclose(losses, wanted, rtol=0, atol=1e-6)
    if sizes == {"dp": 2, "tp": 2}:
        np.testing.assert_array_equal(losses, wanted)
    split = training.model.transformer.h.layer.mlp.c_fc.weight.sharding.spec.dims
    assert ("tp" in split) == (sizes is not None and "tp" in sizes)
