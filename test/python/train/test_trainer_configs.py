# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Configurations that are not valid are refused before anything is compiled or written, and how to go on."""

import dataclasses
import json
import os

import numpy as np
import pytest
import train_cases
from conftest import needs_runtime

import tessera as ts
from tessera._src.training.options import documents
from tessera._src.training.schema import SECTIONS, GroupConfig, SourceConfig

TOKENS = ["data.path={known}.bin", "data.separator=null", "data.tokenizer=null"]
# By name: values that are others than those of train_cases.CONFIG, and parts of the error.
CASES = {
    "an unknown section": (["optimizer.lr=1"], ["optimizer", "no such section", "did you mean 'optim'?"]),
    "a key of no section": (["tp=2"], ["section.key=value", "did you mean 'parallel.tp'?"]),
    "an unknown key": (["optim.learning_rate=1"], ["optim.learning_rate", "did you mean 'lr'?", "warmup"]),
    "a typing error": (["train.step=1"], ["train.step", "did you mean 'steps'?"]),
    "a word for a number": (["train.steps=many"], ["train.steps", "an integer of at least 1", "'many'"]),
    "a broken number": (["train.steps=1.5"], ["train.steps", "1.5"]),
    "no steps": (["train.steps=0"], ["train.steps", "at least 1"]),
    "a negative batch": (["train.batch=-4"], ["train.batch", "-4"]),
    "a rate that is none": (["optim.lr=nan"], ["optim.lr", "nan"]),
    "a negative rate": (["optim.lr=-1e-3"], ["optim.lr", "-0.001", "of at least 0"]),
    "a seed that is too large": (["train.seed=99999999999999999999999"],
                                 ["train.seed", "an integer from 0 to 2147483647"]),
    "a bool for a number": (["optim.eps=true"], ["optim.eps", "True"]),
    "a number for a bool": (["data.shuffle=1"], ["data.shuffle", "true or false"]),
    "one beta": (["optim.betas=[0.9]"], ["optim.betas", "two numbers"]),
    "a beta of 1": (["optim.betas=[0.9, 1]"], ["optim.betas", "below 1"]),
    "no clipping by 0": (["optim.clip=0"], ["optim.clip", "above 0"]),
    "an unknown optimizer": (["optim.name=adam"], ["optim.name", "adamw, sgd"]),
    "an unknown schedule": (["optim.schedule=cosin"], ["optim.schedule", "did you mean 'cosine'?"]),
    "a warm-up of all": (["optim.warmup=6"], ["optim.warmup", "less than 6"]),
    "phases that do not fit": (["optim.schedule=wsd", "optim.decay=5"], ["optim.warmup", "decay=5"]),
    "decay without wsd": (["optim.decay=2"], ["optim.decay", "schedule cosine"]),
    "an end of what is constant": (["optim.schedule=constant", "optim.total=9"], ["optim.total"]),
    "a group of no weights": (["optim.groups=[{lr: 0.1}]"], ["optim.groups[0].weights: is missing"]),
    "a group that sets nothing": (["optim.groups=[{weights: '*'}]"],
                                  ["optim.groups[0]: sets nothing", "lr, weight_decay"]),
    "betas of sgd": (["optim.name=sgd", "optim.betas=[0.8, 0.9]"], ["optim.betas", "adamw"]),
    "eps of sgd": (["optim.name=sgd", "optim.eps=1e-6"], ["optim.eps", "adamw"]),
    "the end of a constant rate": (["optim.schedule=constant", "optim.final=0.1"], ["optim.final"]),
    "a loss scale of bf16": (["precision=bf16-mixed", "precision.loss_scale=8"], ["precision.loss_scale"]),
    "f64 rounded to bf16": (["precision=f64", "precision.reduce=bf16"], ["precision.reduce: bf16 would"]),
    "momentum of adamw": (["optim.momentum=0.9"], ["optim.momentum", "sgd"]),
    "nesterov alone": (["optim.name=sgd", "optim.nesterov=true"], ["optim.nesterov", "momentum"]),
    "a group with a wrong key": (["optim.groups=[{weights: '*.bias', decay: 0}]"],
                                 ["optim.groups[0].decay", "weight_decay"]),
    "an unknown precision": (["precision=bf16"], ["precision.name", "bf16-mixed"]),
    "a type against the precision": (["model.dtype=bf16"], ["model.dtype", "f32"]),
    "f64 rounded": (["precision=f64", "precision.reduce=f32"], ["precision.reduce"]),
    "heads that do not divide": (["parallel.tp=4"], ["parallel.tp", "2 attention heads", "valid: 1, 2"]),
    "a batch that does not divide": (["train.batch=6", "train.micro_batches=2", "parallel.dp=2"],
                                     ["train.batch", "a multiple of 4", "valid: 4, 8"]),
    "more devices than there are": (["parallel.dp=1024", "train.batch=1024"], ["1024 devices", "at most"]),
    "an unknown device": (["parallel.device=gpu"], ["parallel.device", "cuda"]),
    "a stage of ZeRO that is none": (["parallel.zero=4"], ["parallel.zero", "from 0 to 3"]),
    "no model": (["model.architecture=null"], ["model.architecture", "there is no model"]),
    "an unknown architecture": (["model.architecture=gpt3"], ["model.architecture", "did you mean 'gpt2'?"]),
    "an unknown field of the model": (["model.config.n_layers=2"],
                                      ["model.config.n_layers", "did you mean 'n_layer'?"]),
    "a field of another type": (["model.config.n_embd=sixteen"],
                                ["model.config", "n_embd = 'sixteen'", "an integer of at least 1"]),
    "heads that do not divide the width": (["model.config.n_head=3"],
                                          ["model.config", "n_embd=16", "n_head=3"]),
    "dropout of attention": (["model.config.attn_pdrop=0.1"], ["attn_pdrop", "resid_pdrop"]),
    "dropout of attention of a llama": (
        ["model.architecture=llama", "model.config={hidden_size: 16, intermediate_size: 24, "
         "num_hidden_layers: 1, num_attention_heads: 2, max_position_embeddings: 16, "
         "attention_dropout: 0.1}"],
        ["model.config.attention_dropout: is 0.1", "model.config.attention_dropout=0"]),
    "a folder that is not there": (["model.path=nowhere"], ["model.path", "nowhere does not exist"]),
    "a .gguf file that is not there": (["model.path=no.gguf", "model.config={}"], ["model.path", "no.gguf"]),
    "a sequence that is too long": (["train.sequence_length=17"], ["train.sequence_length", "at most 16"]),
    "a vocabulary that is too small": (["model.config.vocab_size=256"], ["vocab_size", "at least 257"]),
    "a vocabulary without the largest token": (
        [*TOKENS, "model.config.vocab_size=40"],
        ["model.config.vocab_size: is 40, and ", "known.bin: document 1 has token 49", "at least 50"]),
    "a mixture with such a token": (
        ["data.path=[]", "data.separator=null", "data.tokenizer=null", "model.config.vocab_size=49",
         "data.mixture=[{path: {few}.bin}, {path: {known}.bin}]"], ["known.bin: document 1 has token 49"]),
    "tokens to evaluate on with such a one": (
        ["data.path={few}.bin", *TOKENS[1:], "data.eval_path={known}.bin", "model.config.vocab_size=40"],
        ["known.bin: document 1 has token 49"]),
    "a rate of dropout that is none": (["model.config.resid_pdrop=1.5"],
                                       ["model.config.resid_pdrop: is 1.5", "at least 0, below 1"]),
    "a group of nothing": (["optim.groups=[{weights: '*nosuch*', lr: 0.1}]"],
                           ["optim.groups[0]: '*nosuch*' has no weights", "transformer.wte.weight"]),
    "a group behind others": (["optim.groups=[{weights: '*', lr: 0.1}, {weights: '*.bias', lr: 0.2}]"],
                              ["optim.groups[1]: '*.bias' has no weights: the groups before it have them"]),
    "a group without decay": (["optim.groups=[{weights: '*.bias', weight_decay: 0.2}]"],
                              ["optim.groups[0]: '*.bias' sets weight_decay=0.2", "decay filter"]),
    "an end of documents beside that of bytes": (["data.eos=foo"], ["data.eos: the tokenizer of bytes"]),
    "no data": (["data.path=[]"], ["data.path", "no data"]),
    "a file that is not there": (["data.path=LICENCE.txt"], ["data.path", "LICENCE.txt does not exist"]),
    "a pattern of nothing": (["data.path=nothing/*.txt"], ["data.path", "nothing/*.txt"]),
    "a folder for a file": (["data.path={folder}"], ["data.path", "is a folder"]),
    "an empty file": (["data.path={empty}"], ["data.path", "is empty"]),
    "tokens without their index": (["data.path={tokens}.bin"], ["data.path", "tokens.idx does not exist"]),
    "lines that are no JSON": (["data.path={bad}.jsonl", "data.separator=null"], ["bad.jsonl:2", "not JSON"]),
    "a field that is not there": (["data.path={good}.jsonl", "data.separator=null", "data.field=txt"],
                                  ["no field 'txt'", "did you mean 'text'?"]),
    "bytes that are no UTF-8": (["data.path={latin}"], ["latin.txt:3", "not UTF-8"]),
    "a separator of jsonl": (["data.path={good}.jsonl"], ["data.separator", "jsonl"]),
    "too little text": (["data.path={short}"], ["too few for a sample of 12"]),
    "documents that are too long": (["data.packing=padded"], ["longer than a sample", "cut"]),
    "cut of packed": (["data.cut=true"], ["data.cut", "padded"]),
    "a tokenizer that is not there": (["data.tokenizer=no/tokenizer.json"],
                                      ["data.tokenizer", "does not exist", "data.tokenizer=bytes"]),
    "no tokenizer": (["data.tokenizer=null"], ["data.tokenizer", "bytes"]),
    "both kinds of evaluation": (["data.eval_path={short}", "data.eval_fraction=0.1"], ["eval_fraction"]),
    "nothing to evaluate on": (["train.eval_every=2"], ["train.eval_every", "data.eval_path"]),
    "one document to share": (["data.separator=null", "data.eval_fraction=0.1"],
                              ["data.eval_fraction: 0.1 of 1 document", "a part empty", "data.separator"]),
    "a mixture beside a path": (["data.mixture=[{path: a.txt}]"], ["data.path", "both"]),
    "a mixture without weight": (["data.path=[]", "data.mixture=[{path: {good}.jsonl, weight: 0}]"],
                                 ["data.mixture[0].weight", "above 0"]),
    "samples that are too long": (["train.sample_every=2", "train.sample_tokens=16"],
                                  ["train.sample_tokens", "at most 12"]),
    "a prompt of nothing": (["train.sample_every=2", "train.sample_prompt="], ["train.sample_prompt"]),
    "keeping some of all": (["checkpoint.keep=null", "checkpoint.keep_every=10"], ["checkpoint.keep_every"]),
    "a port that is none": (["monitor.port=70000"], ["monitor.port", "from 0 to 65535"]),
    "a folder that is a file": (["train.folder={empty}"], ["train.folder", "is a file"]),
    "a folder in a file": (["train.folder={empty}/run"], ["train.folder", "is a file"]),
    "saving into nothing": (["train.folder=null", "train.save_every=2"],
                            ["train.save_every", "train.folder"]),
}


@pytest.fixture
def files(tmp_path):
    """Files at fault, by the name that cases have for them."""
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "empty.txt").write_text("")
    (folder / "short.txt").write_text("short")
    (folder / "latin.txt").write_bytes(b"one\n\ntwo caf\xe9\n\n" + b"three four five six\n\n" * 4)
    (folder / "bad.jsonl").write_text('{"text": "a first line"}\n{"text": \n')
    (folder / "good.jsonl").write_text('{"text": "a first line"}\n' * 8)
    (folder / "tokens.bin").write_bytes(b"\0\1" * 40)
    for name, most in (("known", 50), ("few", 40)):
        ts.data.write_token_file(folder / name, [np.arange(40), np.arange(most)])
    return {"known": folder / "known", "few": folder / "few",
            "folder": folder, "empty": folder / "empty.txt", "short": folder / "short.txt",
            "latin": folder / "latin.txt", "bad": folder / "bad", "good": folder / "good",
            "tokens": folder / "tokens"}


def filled(text, files):
    for name, path in files.items():
        text = text.replace(f"{{{name}}}", str(path))
    return text


@pytest.mark.parametrize("name", CASES)
def test_a_bad_configuration_is_one_early_error(name, files, tmp_path):
    overrides, wanted = CASES[name]
    run = tmp_path / "run"
    with pytest.raises((ts.ConfigError, ts.DataError)) as caught:
        given = ts.TrainConfig.from_dict({**train_cases.CONFIG, "train": {
            **train_cases.CONFIG["train"], "folder": str(run)}})
        ts.Trainer(None, given.replace(*[filled(item, files) for item in overrides]))
    message = str(caught.value)
    for part in wanted:
        assert part in message, message
    if wanted[0].startswith("data.tokenizer"):  # Then it does not lack the size of the vocabulary as well.
        assert "problems" not in message, message
    assert not run.exists()
    cache = os.environ["TESSERA_CACHE_DIR"]
    assert not os.path.exists(cache) or not os.listdir(cache)  # Nothing was compiled.


def test_all_problems_come_at_once():
    overrides = ["parallel.tp=4", "train.batch=5", "parallel.dp=2", "train.sequence_length=99",
                 "data.path=no.txt", "optim.warmup=77"]
    with pytest.raises(ts.ConfigError) as caught:
        ts.Trainer(None, train_cases.config(*overrides))
    for key in ("parallel.tp", "train.batch", "train.sequence_length", "data.path", "optim.warmup"):
        assert f"note: {key}: " in str(caught.value)
    assert "has 5 problems" in str(caught.value)


@pytest.mark.parametrize("content, wanted", [
    ("model: [1, 2", "not valid YAML"), ("model:\n  path: a\n  path: b\n", "'path' is there twice"),
    ("- 1\n- 2\n", "not a mapping"), ("model: 5\n", "model: is not a mapping"), ("{,}", "not valid YAML"),
    ("? [a, b]\n: 1\n", "a key is a list or a mapping"),
    ("train: {steps: 010}", "YAML reads 010 as an octal"),
    ("train: {steps: 1:30}", "in base 60"), ("[" * 5000, "nested too deeply"),
    ("train: {steps: 2020-13-45}", "not valid YAML"),
    ("model: {config: {x: 2020-01-01}}", "values that JSON has"),
    ("optim: {lr: 1" + 400 * "0" + "}", "optim.lr: is not valid")])
def test_files_that_are_no_configuration(content, wanted, tmp_path):
    pytest.importorskip("yaml", reason="PyYAML reads YAML")
    file = tmp_path / "train.yaml"
    file.write_text(content)
    with pytest.raises(ts.ConfigError, match=wanted) as caught:
        ts.TrainConfig.from_file(file)
    assert "train.yaml" in str(caught.value)
    with pytest.raises(ts.ConfigError, match="train.yml does not exist"):
        ts.TrainConfig.from_file(tmp_path / "train.yml")
    (tmp_path / "train.json").write_text('{"train": {"steps": 3, "steps": 5}}')
    with pytest.raises(ts.ConfigError, match="the key 'steps' is there twice"):
        ts.TrainConfig.from_file(tmp_path / "train.json")
    (tmp_path / "train.json").write_text("{")
    with pytest.raises(ts.ConfigError, match="not valid JSON"):
        ts.TrainConfig.from_file(tmp_path / "train.json")


class Head(ts.nn.Module):
    """A model of one's own, whose head gives other sizes."""

    def __init__(self, rows=257):
        self.table, self.head = ts.nn.Embedding(257, 4), ts.nn.Linear(4, rows)

    def __call__(self, tokens):
        result = self.head(self.table(tokens))
        return result if self.head.weight.shape[0] > 1 else result[:, :, 0]


def test_what_is_given_must_fit_the_model():
    small = ts.models.GPT2({**train_cases.CONFIG["model"]["config"], "vocab_size": 40})
    tokens = ts.data.TokenArrays([np.arange(30), np.arange(50)])
    for arguments, wanted in (
            (dict(model=small), "vocab_size: is 40, and the tokenizer has 257 tokens"),
            (dict(model=small, data=ts.data.Packed(tokens, 12)), "is 40, and document 1 has token 49"),
            (dict(model=small, data=ts.data.Packed(ts.data.split(tokens, 0.5)[0], 12)), "has token 49"),
            (dict(model=Head(100)), "Head gives logits of 100 tokens, and the tokenizer has 257"),
            (dict(model=Head(49), data=ts.data.Padded(tokens, 12, cut=True)), "document 1 has token 49"),
            (dict(model=Head(1)), "model: Head gives [4, 12] of tokens [4, 12]"),
            (dict(model=Head(), mesh=ts.make_mesh({"x": 2})), "axis 'x' of 2 devices splits neither")):
        with pytest.raises(ts.ConfigError) as caught:
            ts.Trainer(config=train_cases.config(), **arguments)
        assert wanted in str(caught.value)
    ts.Trainer(Head(), train_cases.config(), ts.make_mesh({"dp": 2}))


@pytest.mark.parametrize("precision, dtype", [("f32", ts.bf16), ("bf16-mixed", ts.f32), ("f64", ts.f32),
                                              ("fp16-mixed", ts.bf16)])
def test_weights_of_another_type_than_the_precision(precision, dtype):
    model = ts.models.GPT2({**train_cases.CONFIG["model"]["config"], "vocab_size": 257}, dtype=dtype)
    with pytest.raises(ts.ConfigError, match=f"precision: {precision} has weights of") as caught:
        ts.Trainer(model, train_cases.config(f"precision={precision}"))
    assert "make the model with dtype=ts." in str(caught.value)


def test_what_is_given_must_fit():
    tokens = ts.data.TokenArrays([np.arange(99) % 7])
    packed = ts.data.Packed(tokens, 9)
    model = ts.models.GPT2({**train_cases.CONFIG["model"]["config"], "vocab_size": 8})
    for arguments, wanted in (
            (dict(model=3), "model is a int"), (dict(config=7), "config is a int"),
            (dict(data=[1, 2]), "data: is a list"), (dict(data=packed), "set it to 9"),
            (dict(data=ts.data.Loader(ts.data.Packed(tokens, 12), 2)), "the loader's 2"),
            (dict(callbacks=[print]), "ts.monitor.Callback"), (dict(mesh="tp=2"), "mesh is a str"),
            (dict(callbacks=ts.monitor.Progress()), "callbacks=[callback]"),
            (dict(mesh=ts.make_mesh({"tp": 4})), "valid: 1, 2")):
        given = {"model": model, "config": train_cases.config(), **arguments}
        with pytest.raises(ts.ConfigError) as caught:
            ts.Trainer(**given)
        assert wanted in str(caught.value)


def saved_run(folder, given):
    """A folder with what a run of this configuration leaves, but for the tensors."""
    ts.checkpoints.save(folder, {"w": np.zeros(2, np.float32)}, 4, metadata={
        "kind": "ts.Trainer", "version": 1, "config": given.to_dict(), "loader": {}, "tokens": 0,
        "skipped": 0})


def test_a_folder_of_another_configuration(tmp_path):
    given = train_cases.config(train={"folder": str(tmp_path / "run")})
    saved_run(tmp_path / "run", given)
    with pytest.raises(ts.ConfigError) as caught:
        ts.Trainer(None, given.replace("optim.lr=0.5", "model.config.n_layer=2", "train.batch=8"))
    for part in ("train.folder", "optim.lr: 0.01 then, 0.5 now", "model.config.n_layer: 1 then, 2 now",
                 "train.batch: 4 then, 8 now"):
        assert part in str(caught.value)
    assert "n_embd" not in str(caught.value)
    with pytest.raises(ts.ConfigError, match="model.config.resid_pdrop: nothing then, 0.1 now"):
        ts.Trainer(None, given.replace("model.config.resid_pdrop=0.1"))
    with pytest.raises(ts.ConfigError, match=r"optim.groups: \[\] then"):
        ts.Trainer(None, given.replace("optim.groups=[{weights: '*.bias', lr: 1}]"))
    with pytest.raises(ts.ConfigError, match="train.steps: is 3, .* checkpoint of step 4"):
        ts.Trainer(None, given.replace("train.steps=3"))
    # Where and how long it runs, and what it tells of that, may change.
    ts.Trainer(None, given.replace("train.steps=9", "parallel.dp=2", "train.save_every=3",
                                   "monitor.port=9000", "checkpoint.keep=9", "train.micro_batches=2",
                                   "model.remat=dots", "model.dtype=f32"))  # As null has it.
    ts.checkpoints.save(tmp_path / "other", {"w": np.zeros(2, np.float32)}, 4)
    with pytest.raises(ts.ConfigError, match="no ts.Trainer made"):
        ts.Trainer(None, given.replace(f"train.folder={tmp_path / 'other'}"))


def test_what_is_printed_reads_back(tmp_path):
    pytest.importorskip("yaml", reason="PyYAML reads YAML")
    given = train_cases.config(
        "optim.lr=1e-5", "optim.betas=[0.9, 0.9999999]", "precision=fp16-mixed",
        "train.sample_prompt='a: \"b\" #c'",
        "optim.groups=[{weights: '*.bias', lr: 3e-5}, {weights: 'wte.*', weight_decay: 0}]",
        "optim.clip=null", "data.path=[a.txt, 'b*.txt']", "parallel.threads=3", "train.seed=0",
        "data.eos='<|end|>'")
    odd = "é \U0001f600 \x85 \u2028 \u2029 \ufeff \x7f \t \\ \ud800"
    given = ts.TrainConfig.from_dict({**given.to_dict(), "data": {**given.to_dict()["data"], "field": odd},
                                      "model": {"config": {odd: [odd, float("inf"), 1e-7, True, None]}}})
    for comments in (False, True):
        file = tmp_path / "printed.yaml"
        file.write_bytes(given.to_yaml(comments).encode())
        assert ts.TrainConfig.from_file(file) == given
        assert ts.TrainConfig.from_file(file).to_yaml() == given.to_yaml()
    file = tmp_path / "printed.json"
    file.write_text(json.dumps(given.to_dict()))
    assert ts.TrainConfig.from_file(file) == given
    assert (given.optim.groups[0].lr, given.optim.lr, given.precision.name) == (3e-5, 1e-5, "fp16-mixed")


def test_numbers_as_yaml_1_2_has_them(tmp_path):
    pytest.importorskip("yaml", reason="PyYAML reads YAML")
    file = tmp_path / "train.yaml"
    file.write_text("model: {config: {layer_norm_epsilon: 1e-6, a: {b: [-2E+3, 1.5e3, .5e-1, '1e-6', e5]}}}\n"
                    "optim: {betas: [9e-1, 99e-2]}\n")
    given = ts.TrainConfig.from_file(file, ["model.config.eps=1e-5", "train.steps=1e2"])
    assert given.model.config == {"layer_norm_epsilon": 1e-6, "eps": 1e-5,
                                  "a": {"b": [-2000.0, 1500.0, 0.05, "1e-6", "e5"]}}
    assert (given.optim.betas, given.train.steps) == ((0.9, 0.99), 100)
    ts.Trainer(None, train_cases.config("model.config.layer_norm_epsilon=1e-6"))


def test_errors_say_where_a_value_is_from(tmp_path, capsys):
    from tessera._src.commands.main import main

    file = tmp_path / "train.json"
    file.write_text('{"optim": {"lr": -1}}')

    def said(*words):
        assert main(["train", str(file), *words]) == 1
        return capsys.readouterr().err

    assert f"note: in {file}" in said("train.steps=5")
    assert "note: on the command line" in said("optim.lr=-2") and "train.json" not in said("optim.lr=x")
    assert "note: on the command line" in said("optim.lr=1", "optimizer.lr=2")
    both = said("optim.groups=[{weights: '*', x: 1}]")
    assert f"{file} with the command line has 2 problems" in both and "got -1\n" in both
    assert "weight_decay (on the command line)" in both
    assert "the command line has 2 problems" in said("optim.lr=-2", "train.steps=0")
    with pytest.raises(ts.ConfigError, match="in the overrides"):
        train_cases.config().replace("train.steps=0")


def test_every_option_is_documented():
    for section in (*SECTIONS.values(), GroupConfig, SourceConfig):
        names = [field.name for field in dataclasses.fields(section)]
        assert list(documents(section)) == names, section
        assert all(text.endswith(".") for text in documents(section).values())


def test_sections_from_python(tmp_path):
    given = ts.TrainConfig(train=ts.training.RunConfig(steps=3), optim={"lr": "3e-4"}, precision="f64")
    assert (given.train.steps, given.optim.lr, given.precision.name) == (3, 3e-4, "f64")
    with pytest.raises(ts.ConfigError, match="steps: is not valid") as caught:
        ts.training.RunConfig(steps=-1)
    assert caught.value.location.file == __file__  # Not the __init__ that dataclasses has generated.
    with pytest.raises(dataclasses.FrozenInstanceError):
        given.train.steps = 4
    assert hash(given) == hash(given.replace()) and len({given, given.replace("train.steps=4")}) == 2
    assert ts.training.OptimConfig(betas=(np.float32(0.5), np.float64(0.75))).betas == (0.5, 0.75)
    (tmp_path / "a.json").write_text("{}")
    with pytest.raises(ts.ConfigError, match='a list of texts, such as \\["train.steps=500"\\]'):
        ts.TrainConfig.from_file(tmp_path / "a.json", "train.steps=5")
    with pytest.raises(ts.ConfigError, match="5: is not an option"):
        ts.TrainConfig.from_file(tmp_path / "a.json", [5])


def test_sources_of_all_kinds(tmp_path):
    """A mixture of lines, texts and tokens, each with documents that are held out."""
    lines = tmp_path / "a.jsonl"
    lines.write_text("".join(json.dumps({"body": f"line {i} " * 9}) + "\n" for i in range(30)))
    rows = [np.full(40, 65 + i % 20, np.uint16) for i in range(30)]
    ts.data.write_token_file(tmp_path / "b", ts.data.TokenArrays(rows, vocab_size=257))
    for number in range(30):
        (tmp_path / f"c{number}.txt").write_text(f"text {number} " * 9)
    given = train_cases.config("data.eval_fraction=0.1", "train.batch=8", data={"path": [], "separator": None,
                               "mixture": [
        {"path": str(lines), "field": "body", "weight": 2}, {"path": str(tmp_path / "b"), "weight": 1},
        {"path": str(tmp_path / "c*.txt"), "weight": 1}]})
    trainer = ts.Trainer(None, given)
    batch = next(trainer.loader)
    counts = trainer.loader.dataset.counts(8)
    assert counts == [4, 2, 2] and batch["tokens"].shape == (8, 12)
    assert len(trainer._setup.evaluation) == 3
    shares = [(len(train.source), len(held.source)) for train, held in zip(
        trainer.loader.dataset.datasets, trainer._setup.evaluation)]
    assert shares == [(27, 3)] * 3


@needs_runtime
def test_the_command(tmp_path, capsys):
    from tessera._src.commands.main import main

    file = tmp_path / "train.json"
    file.write_text(json.dumps(train_cases.CONFIG))
    assert main(["train", str(file), "train.steps=5", "--print-config"]) == 0
    assert "  steps: 5\n" in capsys.readouterr().out
    assert main(["train", str(file), f"train.folder={tmp_path / 'run'}", "--check"]) == 0
    assert "is valid" in capsys.readouterr().out and not (tmp_path / "run").exists()
    for arguments, code, wanted in ((["train", str(file)], 1, "train.folder is missing"),
                                    (["train", str(file), "optim.lr=x"], 1, "optim.lr"),
                                    (["trian"], 2, "did you mean 'train'?"), ([], 2, "")):
        assert main(arguments) == code
        assert wanted in capsys.readouterr().err
    with pytest.raises(SystemExit) as ended:
        main(["train", "--no-such-option"])
    assert ended.value.code == 2
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    assert "train.sample_temperature = 0.8" in capsys.readouterr().out
