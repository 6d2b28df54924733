# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""ts.Trainer against loops written by hand: steps, micro-batches, precisions, evaluation."""

import numpy as np
import pytest
import train_cases
from conftest import needs_runtime
from train_cases import trained

import tessera as ts

pytestmark = needs_runtime
MESH = ["parallel.tp=2", "parallel.dp=2"]
LINES = ["data.separator='\n'"]
PADDED = ["data.packing=padded", "data.cut=true", *LINES]


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def own_cache(cache, monkeypatch):
    """The tests of this file compile the same programs."""
    monkeypatch.setenv("TESSERA_CACHE_DIR", str(cache))


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


def test_micro_batches_are_one_large_batch():
    """Labels that count nothing are not spread evenly: a mean of means would be another number."""
    given = train_cases.config("precision=f64", "train.batch=6", *PADDED)
    one, whole = trained(given)
    for overrides in (["train.micro_batches=3"], ["train.micro_batches=3", *MESH]):
        parts, other = trained(given.replace(*overrides))
        counts = [record["tokens"] for record in parts.steps]
        assert len(set(counts)) > 1 and counts == [record["tokens"] for record in one.steps]
        np.testing.assert_allclose(parts.losses, one.losses, rtol=0, atol=1e-12)
        for name, weight in whole.model.state_dict().items():
            np.testing.assert_allclose(other.model.state_dict()[name], weight, rtol=0, atol=1e-10, err_msg=name)


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


def first_model(given, seed):
    return ts.models.GPT2({**given.model.config, "vocab_size": 257}).init(ts.random.key(seed))


def test_dropout_does_not_depend_on_the_mesh():
    given = train_cases.config("model.config.resid_pdrop=0.3", "model.config.embd_pdrop=0.2")
    one, _ = trained(given)
    mesh, _ = trained(given.replace(*MESH))
    np.testing.assert_allclose(mesh.losses, one.losses, rtol=0, atol=1e-5)
    other, _ = trained(given.replace("train.seed=4"), model=first_model(given, 3))
    assert np.abs(np.subtract(other.losses, one.losses)).max() > 1e-3


def test_bf16_with_a_master_copy():
    given = train_cases.config("precision=bf16-mixed", "precision.reduce=bf16", "train.micro_batches=2", *MESH)
    recorder, trainer = trained(given)
    plain, _ = trained(given.replace("precision.name=f32", "precision.reduce=null"))
    assert {str(w.dtype) for w in trainer.model.parameters()} == {"bfloat16"}
    optimizer = trainer.state.optimizer
    for master, weight in zip(ts.tree.leaves(optimizer["master"]), trainer.model.parameters()):
        assert master.dtype == np.float32
        np.testing.assert_array_equal(np.asarray(master).astype(weight.dtype), weight)
    assert recorder.losses[-1] < recorder.losses[0] - 0.2
    np.testing.assert_allclose(recorder.losses, plain.losses, rtol=0.02)


def test_fp16_skips_steps_that_overflow(tmp_path):
    given = train_cases.config("precision=fp16-mixed", "precision.loss_scale=1e9", "train.steps=20",
                               train={"folder": str(tmp_path / "run")})
    recorder, trainer = trained(given)
    skips = recorder.of("skip")
    assert 3 <= len(skips) < 18 and [record["step"] for record in skips] == list(range(1, len(skips) + 1))
    assert "overflow" in skips[0]["reason"] and skips[0]["loss_scale"] == np.float32(1e9)
    scales = [record["loss_scale"] for record in recorder.steps]
    assert scales[1] == scales[0] / 2 and scales[-1] == scales[0] / 2 ** len(skips)
    assert recorder.steps[-1]["skipped"] == trainer.state.skipped == len(skips)
    assert int(np.asarray(trainer.state.optimizer["step"])) == 20 - len(skips)
    # A rate is that of the updates that were made.
    assert recorder.steps[len(skips)]["lr"] == 0
    assert {str(w.dtype) for w in trainer.model.parameters()} == {"float16"}
    saved = ts.checkpoints.inspect(tmp_path / "run")
    assert saved.metadata["skipped"] == len(skips) and "scale.scale" in saved.tensors


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
    assert ts.Trainer(None, given.replace("train.eval_batches=2")).evaluate()["tokens"] == 2 * 7 * 12
    with pytest.raises(ts.ConfigError, match="no data to evaluate on"):
        ts.Trainer(None, given.replace("data.eval_fraction=null")).evaluate()


@pytest.mark.parametrize("kind", ["gpt2", "llama", "llama with a window"])
def test_attention_sees_only_its_own_document(kind):
    llama = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4,
             "num_key_value_heads": 2, "vocab_size": 30, "max_position_embeddings": 16}
    if kind == "gpt2":
        model = ts.models.GPT2({"n_embd": 16, "n_head": 2, "n_layer": 2, "n_positions": 16, "vocab_size": 30})
    elif kind == "llama":
        model = ts.models.Llama(llama)
    else:
        model = ts.models.Llama({**llama, "model_type": "mistral", "sliding_window": 3})
    model = model.init(ts.random.key(1))
    tokens = np.random.default_rng(2).integers(0, 30, (2, 11)).astype(np.int32)
    segments = np.array([[1] * 5 + [2] * 6, [1] * 8 + [0] * 3], np.int32)
    positions = np.array([[*range(5), *range(6)], [*range(8), 0, 0, 0]], np.int32)
    run = ts.jit(lambda model, t, p, s: model(t, positions=p, segments=s))
    packed = np.asarray(run(model, tokens, positions, segments))
    for row, begin, end in ((0, 0, 5), (0, 5, 11), (1, 0, 8)):
        alone = np.asarray(model(tokens[row:row + 1, begin:end]))[0]
        np.testing.assert_allclose(packed[row, begin:end], alone, rtol=0, atol=1e-5)
    assert np.isfinite(packed).all()
    assert np.abs(packed - np.asarray(model(tokens))).max() > 1e-3


def test_training_with_document_masks():
    given = train_cases.config("data.document_masks=true", *LINES, *MESH)
    masked, trainer = trained(given)
    plain, _ = trained(given.replace("data.document_masks=false"))
    assert trainer._setup.names == ["tokens", "labels", "positions", "segments"]
    assert min(record["tokens"] for record in masked.steps) < 48  # Ends of documents have no label.
    assert masked.losses[-1] < masked.losses[0]
    assert masked.losses[1:] != plain.losses[1:]


class Rows(ts.nn.Module):
    """The smallest model of one's own: a table of logits."""

    def __init__(self, words):
        self.table = ts.nn.Embedding(words, words)

    def __call__(self, tokens):
        return self.table(tokens)


def test_a_model_and_data_of_ones_own():
    tokens = ts.data.TokenArrays([np.arange(200) % 7], vocab_size=7)
    given = train_cases.config("train.steps=40", "optim.lr=0.3", "optim.clip=null",
                               model={"architecture": None})
    recorder, trainer = trained(given, model=Rows(7), data=ts.data.Packed(tokens, 12))
    assert recorder.losses[-1] < 0.3 * recorder.losses[0]
    loader = ts.data.Loader(ts.data.Packed(tokens, 12), 4, epochs=1)  # 16 samples.
    ended, trainer = trained(given, model=Rows(7), data=loader)
    assert len(ended.steps) == 4 and "ended after step 4" in ended.of("message")[0]["text"]
    with pytest.raises(ts.ConfigError, match="no tokenizer"):
        trainer.sample()


def test_groups_have_rates_of_their_own():
    given = train_cases.config("optim.groups=[{weights: 'transformer.wte.*', lr: 0, weight_decay: 0}]",
                               "optim.schedule=constant")
    trainer = ts.Trainer(None, given)
    before = {name: np.array(value) for name, value in trainer.model.state_dict().items()}
    trainer.fit()
    after = trainer.model.state_dict()
    same = [name for name in before if np.array_equal(before[name], after[name])]
    assert same == ["transformer.wte.weight"]


def test_weights_from_a_folder(tmp_path):
    _, trainer = trained(train_cases.config("train.steps=2", "optim.warmup=0"))
    trainer.model.save_pretrained(tmp_path / "saved")
    given = train_cases.config("train.steps=1", "optim.warmup=0", "parallel.tp=2", model={
        "architecture": None, "config": {"resid_pdrop": 0.1}, "path": str(tmp_path / "saved")})
    other = ts.Trainer(None, given)
    for name, weight in trainer.model.state_dict().items():
        np.testing.assert_array_equal(other.model.state_dict()[name], weight)
    assert other._setup.takes == {"key"} and other.model.config.resid_pdrop == 0.1
    other.fit()
    with pytest.raises(ts.ConfigError, match="has a gpt2"):
        ts.Trainer(None, given.replace("model.architecture=llama"))
