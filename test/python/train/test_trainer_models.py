# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What ts.Trainer trains: dropout, documents in one sample, stages of ZeRO, groups, models of one's own."""

import dataclasses

import numpy as np
import pytest
import train_cases
from conftest import needs_runtime
from train_cases import cache, own_cache, trained  # noqa: F401 (fixtures)

import tessera as ts

pytestmark = needs_runtime
MESH = ["parallel.tp=2", "parallel.dp=2"]
LINES = ['data.separator="\\n"']


def first_model(given, seed):
    return ts.models.GPT2({**given.model.config, "vocab_size": 257}).init(ts.random.key(seed))


def test_dropout_does_not_depend_on_the_mesh():
    given = train_cases.config("model.config.resid_pdrop=0.3", "model.config.embd_pdrop=0.2")
    one, _ = trained(given)
    mesh, _ = trained(given.replace(*MESH))
    np.testing.assert_allclose(mesh.losses, one.losses, rtol=0, atol=1e-5)
    other, _ = trained(given.replace("train.seed=4"), model=first_model(given, 3))
    assert np.abs(np.subtract(other.losses, one.losses)).max() > 1e-3


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


LLAMA = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4,
         "num_key_value_heads": 2, "vocab_size": 30, "max_position_embeddings": 16}


@pytest.mark.parametrize("kind, remat, more", [
    ({}, "nothing", ["train.micro_batches=2"]), ({"model_type": "qwen3"}, None, MESH),
    ({"model_type": "mistral", "sliding_window": 3}, None, [])], ids=str)
def test_documents_of_one_sample_train_as_each_by_itself(kind, remat, more):
    made = ts.models.Llama({**LLAMA, "head_dim": 8, **kind}, remat=remat)
    model = made.init(ts.random.key(1))
    split = made.init(ts.random.key(1), mesh=ts.make_mesh({"dp": 2, "tp": 2}) if more is MESH else None)
    rng = np.random.default_rng(3)
    documents = [rng.integers(0, 30, size) for size in (5, 7, 3, 9, 1, 12, 12)]
    data = ts.data.Packed(ts.data.TokenArrays(documents, vocab_size=30), 12, shuffle=False, ignore_ends=True)
    given = train_cases.config("data.document_masks=true", "train.steps=1", *more,
                               model={"architecture": None, "config": {}},
                               optim={"name": "sgd", "lr": 0.5, "schedule": "constant", "warmup": 0,
                                      "clip": None, "weight_decay": 0.0})
    before = {name: np.array(weight) for name, weight in model.state_dict().items()}

    table = data.rows(np.arange(4))
    rows = [{name: column[i] for name, column in table.items()} for i in range(4)]
    parts = [(row["tokens"][row["segments"] == k][None], row["labels"][row["segments"] == k][None])
             for row in rows for k in np.unique(row["segments"])]
    count = sum((labels >= 0).sum() for _, labels in parts)

    def separate(model):
        return sum(ts.nn.softmax_cross_entropy(model(tokens), labels, ignore_index=-100, reduction="sum")
                   for tokens, labels in parts) / count

    wanted = ts.grad(separate)(model).state_dict()
    recorder, trainer = trained(given, model=split, data=data)
    after = trainer.model.state_dict()
    for name, weight in before.items():
        np.testing.assert_allclose((weight - np.asarray(after[name])) / 0.5, wanted[name], atol=2e-6)


HAS_ZERO = "zero" in {field.name for field in dataclasses.fields(ts.nn.Parallel)}


def test_stages_of_zero_change_no_loss():
    given = train_cases.config("train.micro_batches=2", *MESH)
    if not HAS_ZERO:
        with pytest.raises(ts.ConfigError, match="parallel.zero"):
            ts.Trainer(None, given.replace("parallel.zero=1"))
        return
    plain, _ = trained(given)
    for stage in (1, 2, 3):
        recorder, trainer = trained(given.replace(f"parallel.zero={stage}"))
        np.testing.assert_allclose(recorder.losses, plain.losses, rtol=0, atol=1e-5)
        moment = trainer.state.optimizer["exp_avg"].transformer.h.layer.mlp.c_fc.weight
        assert "dp" in str(moment.sharding.spec)


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
    given = train_cases.config("train.steps=1", "optim.warmup=0", "parallel.tp=2", "data.tokenizer=bytes",
                               model={"architecture": None, "config": {"resid_pdrop": 0.1},
                                      "path": str(tmp_path / "saved")})
    with pytest.raises(ts.ConfigError, match="has no tokenizer.json"):  # Which one it is must be said.
        ts.Trainer(None, given.replace("data.tokenizer=auto"))
    other = ts.Trainer(None, given)
    for name, weight in trainer.model.state_dict().items():
        np.testing.assert_array_equal(other.model.state_dict()[name], weight)
    assert other._setup.takes == {"key"} and other.model.config.resid_pdrop == 0.1
    other.fit()
    with pytest.raises(ts.ConfigError, match="has a gpt2"):
        ts.Trainer(None, given.replace("model.architecture=llama"))


class Late:
    """A data set of one's own, one sample of which has a token that the model does not know."""

    length, size = 12, 40

    def __init__(self, at, name, value):
        self.at, self.name, self.value = at, name, value

    def rows(self, positions):
        tokens = np.repeat(positions[:, None] % 7, 12, axis=1).astype(np.int32)
        batch = {"tokens": tokens, "labels": np.where(tokens == 3, -100, tokens)}
        batch[self.name][positions == self.at, 5] = self.value
        return batch

    def fingerprint(self):
        return {}


@pytest.mark.parametrize("name, value", [("tokens", 257), ("labels", 257), ("tokens", -1), ("labels", -1)])
def test_a_token_that_the_model_does_not_know(name, value):
    given = train_cases.config("train.eval_every=2")
    whole, broken = Late(99, name, value), Late(9, name, value)
    for data, eval_data in ((broken, whole), (whole, broken)):
        with pytest.raises(ts.DataError, match=f"sample 9: {name[:-1]} {value} is outside of") as caught:
            trained(given, model=first_model(given, 1), data=data, eval_data=eval_data)
        assert "ids from 0 to 256" in str(caught.value)


def test_the_document_of_a_token_that_the_model_does_not_know(tmp_path):
    """Behind those that are looked at before."""
    from tessera._src.training import vocabulary

    ts.data.write_token_file(tmp_path / "t", [np.full(13, i % 7) for i in range(30)] + [np.full(13, 300)])
    given = train_cases.config("data.shuffle=false", "data.packing=padded", data={
        "path": str(tmp_path / "t.bin"), "separator": None})
    seen = vocabulary._SCANNED
    try:
        vocabulary._SCANNED = 100
        with pytest.raises(ts.DataError, match="t.bin: document 30, in sample 30: token 300 is outside"):
            trained(given.replace("train.steps=9"))
    finally:
        vocabulary._SCANNED = seen
