# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""ts.Trainer against a loop written by hand: its losses, records, collectives and evaluation."""

import numpy as np
import pytest
import train_cases
from conftest import needs_runtime
from train_cases import cache, own_cache, trained  # noqa: F401 (fixtures)

import tessera as ts
from tessera._src.training.evaluation import evaluate

pytestmark = needs_runtime
MESH = ["parallel.tp=2", "parallel.dp=2"]


def batches(given, count):
    """The batches of a configuration, made by hand."""
    source = ts.data.Tokenized(ts.data.TextFiles(train_cases.TEXT, separator="\n\n"), ts.data.ByteTokenizer())
    dataset = ts.data.Packed(source, 12, seed=5)
    loader = ts.data.Loader(dataset, given.train.batch, prefetch=0)
    return [next(loader) for _ in range(count)]


@pytest.mark.quick
def test_losses_are_those_of_a_loop_by_hand():
    given = train_cases.config(*MESH)
    recorder, trainer = trained(given)
    mesh = ts.make_mesh({"dp": 2, "tp": 2})
    model = ts.models.GPT2({**given.model.config, "vocab_size": 257}).init(ts.random.key(3), mesh=mesh)
    optimizer = ts.optim.AdamW(ts.optim.cosine(1e-2, warmup=2, total=6), betas=(0.9, 0.95), weight_decay=0.1,
                               decay_filter=lambda path, w: path.endswith("weight") and len(w.shape) > 1)
    state = optimizer.init(model)

    def loss_of(model, batch, count):
        return ts.nn.softmax_cross_entropy(model(batch["tokens"]), batch["labels"], ignore_index=-100,
                                           reduction="sum") / count

    @ts.jit(mesh=mesh, donate_argnums=(0, 1))
    def step(model, state, batch):
        count = (batch["labels"] != -100).sum().astype(ts.f32)
        loss, gradients = ts.value_and_grad(loss_of)(model, batch, count)
        gradients, norm = ts.optim.clip_by_global_norm(gradients, 1.0)
        model, state = optimizer.update(gradients, state, model)
        return model, state, loss, norm

    losses, norms = [], []
    for batch in batches(given, 6):
        model, state, loss, norm = step(model, state, batch)
        losses.append(float(loss))
        norms.append(float(norm))
    assert recorder.losses == losses  # Bit for bit.
    np.testing.assert_allclose([r["grad_norm"] for r in recorder.steps], norms, rtol=1e-6)
    for name, weight in trainer.model.state_dict().items():
        np.testing.assert_allclose(weight, model.state_dict()[name], rtol=0, atol=1e-6, err_msg=name)
    assert losses[-1] < losses[0]


def test_records(tmp_path):
    given = train_cases.config(*MESH, "train.micro_batches=2", "data.eval_fraction=0.2", "train.eval_every=4",
                               "train.save_every=4", "train.sample_every=6", "train.sample_tokens=5",
                               train={"folder": str(tmp_path / "run")})
    recorder, trainer = trained(given)
    start = recorder.start
    assert (start.steps, start.first_step, start.devices, start.mesh) == (6, 0, 4, "dp=2 tp=2")
    assert (start.tokens_per_step, start.folder) == (48, tmp_path / "run")
    assert start.parameters == sum(w.size for w in trainer.model.parameters())
    assert [record["step"] for record in recorder.steps] == [1, 2, 3, 4, 5, 6]
    rates = [given.optim.lr * part for part in (0, 0.5, 1)]
    np.testing.assert_allclose([record["lr"] for record in recorder.steps[:3]], rates, rtol=1e-12)
    for record in recorder.steps:
        assert all(isinstance(value, (int, float, str, type(None))) for value in record.values())
        assert record["tokens"] == 48 and record["tokens_total"] == 48 * record["step"]
        assert record["seconds"] > 0 and record["wait_seconds"] >= 0 and record["skipped"] == 0
    assert [record["step"] for record in recorder.of("evaluation")] == [4, 6]
    assert sorted(record["step"] for record in recorder.of("save")) == [4, 6]
    assert recorder.of("sample")[0]["text"].startswith("The ")
    assert recorder.end == {"event": "end", "reason": "done", "step": 6, "error": None}
    assert ts.checkpoints.steps(tmp_path / "run") == [4, 6]
    assert not ts.checkpoints.verify(tmp_path / "run")
    read = ts.TrainConfig.from_file(tmp_path / "run/config.yaml")
    assert read == given
    # There is nothing left to do, and nothing is done.
    again, _ = trained(given)
    assert not again.steps and again.end["reason"] == "done" and again.start.first_step == 6


def test_gradients_are_added_up_once_a_step():
    given = train_cases.config(*MESH, "train.micro_batches=2")
    trainer = ts.Trainer(None, given)
    state = trainer.state
    program = trainer._compiled()[0]
    batch = trainer._next_batch()
    table = program.lower(state.model, {"optimizer": state.optimizer, "halted": trainer._halted},
                          np.array(0, np.int32), batch).collectives()
    over_dp = [entry for entry in table if "dp" in entry["axes"]]
    assert len(over_dp) >= len(state.model.parameters())
    assert all(entry["count"] == 1 for entry in over_dp)
    assert any(entry["count"] > 1 for entry in table if entry["axes"] == "tp")


def test_evaluation_counts_every_label_once():
    given = train_cases.config("train.batch=7", "data.eval_fraction=0.3")
    trainer = ts.Trainer(None, given)
    found = trainer.evaluate()
    dataset = trainer._setup.evaluation[0]
    assert dataset.size % 7  # The last batch is not full.
    rows = dataset.rows(np.arange(dataset.size))
    logits = np.asarray(trainer.model(rows["tokens"]), np.float64)
    chances = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    wanted = -np.take_along_axis(chances, rows["labels"][..., None], -1).mean()
    assert found["tokens"] == rows["labels"].size
    np.testing.assert_allclose(found["loss"], wanted, rtol=1e-5)
    np.testing.assert_allclose(found["perplexity"], np.exp(wanted), rtol=1e-4)
    bad = evaluate(lambda model, batch: (np.nan, 5), None, [dataset], 7, 1, ["tokens"], 257)
    assert np.isnan(bad["loss"]) and np.isnan(bad["perplexity"])
    assert ts.Trainer(None, given.replace("train.eval_batches=2")).evaluate()["tokens"] == 2 * 7 * 12
    with pytest.raises(ts.ConfigError, match="no data to evaluate on"):
        ts.Trainer(None, given.replace("data.eval_fraction=null")).evaluate()
