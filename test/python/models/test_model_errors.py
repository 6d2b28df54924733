# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Models refuse configurations, weights and tokens that do not fit, by name."""

import json
import re

import numpy as np
import pytest

import tessera as ts
from refusals import check
from tessera._src.models import checkpoint
from tessera.models.encoder import Encoder, EncoderConfig, random_weights, weight_shapes

CONFIG = EncoderConfig(hidden_size=12, intermediate_size=6, num_attention_heads=2, num_hidden_layers=2,
                       vocab_size=7, max_position_embeddings=16)
IDS = np.ones((2, 3), np.int32)
MESH = ts.make_mesh({"tp": 2})
QUERY = "encoder.layer.1.attention.self.query.weight"


def write_weights(folder, change):
    from safetensors.numpy import save_file

    config = dict(hidden_size=4, intermediate_size=6, num_attention_heads=2, num_hidden_layers=1,
                  vocab_size=7, max_position_embeddings=5)
    (folder / "config.json").write_text(json.dumps(config))
    tensors = {n: np.zeros(s, np.float32) for n, s in weight_shapes(EncoderConfig(**config)).items()}
    tensors["pooler.dense.weight"] = np.zeros((4, 4), np.float32)
    change(tensors)
    save_file(tensors, folder / "model.safetensors")


def test_weights_are_checked_by_name(tmp_path):
    def change(tensors):
        tensors["encoder.layer.0.output.dense.wait"] = tensors.pop("encoder.layer.0.output.dense.weight")
        tensors["embeddings.LayerNorm.bias"] = np.zeros(5, np.float32)

    write_weights(tmp_path, change)
    with pytest.raises(ts.CheckpointError) as caught:
        Encoder.from_pretrained(tmp_path)
    check(caught, "TS6006", "missing 'encoder.layer.0.output.dense.weight' [4, 6]",
          "did you mean 'encoder.layer.0.output.dense.wait'?",
          "unexpected 'encoder.layer.0.output.dense.wait'",
          "'embeddings.LayerNorm.bias' has shape [5], expected [4]")


def test_damaged_weights_and_missing_files(tmp_path):
    write_weights(tmp_path, lambda tensors: None)
    assert len(Encoder.from_pretrained(tmp_path).params) == 21
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    for code, spoil in (("TS6002", lambda: None), ("TS6001", weights.unlink),
                        ("TS6002", lambda: (tmp_path / "config.json").write_text("{")),
                        ("TS4008", lambda: (tmp_path / "config.json").write_text("{}"))):
        spoil()
        with pytest.raises(ts.TesseraError) as caught:
            Encoder.from_pretrained(tmp_path)
        check(caught, code)


def call(weights, *tokens, **named):
    """A call of an encoder for MESH; what is refused is refused before compiling."""
    return Encoder(CONFIG, {}).function(MESH)(weights, *tokens, **named)


def test_weights_of_a_call_are_checked_by_name():
    weights = dict(random_weights(CONFIG))
    del weights[QUERY], weights["encoder.layer.0.output.dense.bias"]
    weights["embeddings.token_type_embeddings.weight"] = np.ones((3, 3), np.float32)
    weights["embeddings.LayerNorm.weight"] = [1.0]
    weights["encoder.layer.0.output.dense.bais"] = np.ones(12, np.float32)
    weights["pooler.dense.weight"] = np.ones((12, 12), np.float32)
    with pytest.raises(ts.CheckpointError) as caught:
        call(weights, IDS, IDS, IDS)
    check(caught, "TS6006", "the dictionary of weights does not fit the model: 5 problems",
          f"missing '{QUERY}' [12, 12]",
          "missing 'encoder.layer.0.output.dense.bias' [12] (did you mean "
          "'encoder.layer.0.output.dense.bais'?)",
          "'embeddings.token_type_embeddings.weight' has shape [3, 3], expected [2, 12]",
          "'embeddings.LayerNorm.weight' is not an array, expected [12]",
          "unexpected 'encoder.layer.0.output.dense.bais' [12]")


def test_weights_of_a_call_are_a_dictionary():
    with pytest.raises(ts.CheckpointError) as caught:
        call(list(random_weights(CONFIG).values()), IDS, IDS, IDS)
    check(caught, "TS6006", "must be a dictionary by name", "a list")


def test_lowering_checks_as_calls_do():
    shapes = {name: ts.ShapeDtypeStruct(shape) for name, shape in weight_shapes(CONFIG).items()}
    function = Encoder(CONFIG, {}).function(MESH)
    assert function.lower(shapes, IDS, attention_mask=IDS, token_type_ids=IDS)
    shapes[QUERY] = ts.ShapeDtypeStruct((12,))
    with pytest.raises(ts.CheckpointError, match=rf"'{QUERY}' has shape \[12\], expected \[12, 12\]"):
        function.lower(shapes, IDS, attention_mask=IDS, token_type_ids=IDS)


@pytest.mark.parametrize("tokens, said", [
    ((np.ones((2, 40), np.int32),) * 3, ["40 tokens", "at most 16 (max_position_embeddings)"]),
    ((IDS, IDS[:, :2], IDS), ["input_ids (2, 3)", "attention_mask (2, 2)"]),
    ((IDS, IDS, IDS[0]), ["token_type_ids (3,)", "[batch, length]"]),
    ((IDS[0],) * 3, ["input_ids (3,)", "[batch, length]"]),
    ((5, 5, 5), ["input_ids ()"])], ids=["long", "mask", "type ids", "one sentence", "numbers"])
def test_tokens_are_checked_by_name(tokens, said):
    with pytest.raises(ts.ShapeError) as caught:
        call(random_weights(CONFIG), *tokens)
    check(caught, "TS3023", *said)


@pytest.mark.parametrize("field, value, expected", [
    ("num_attention_heads", 0, "an integer of at least 1"),
    ("hidden_size", "12", "an integer of at least 1"), ("vocab_size", 1.5, "an integer of at least 1"),
    ("num_hidden_layers", True, "an integer of at least 1"), ("type_vocab_size", None, "an integer"),
    ("layer_norm_eps", "tiny", "a number of at least 0"), ("layer_norm_eps", -1e-5, "at least 0"),
    ("layer_norm_eps", float("nan"), "at least 0"), ("hidden_act", ["gelu"], "a name")])
def test_fields_of_configurations_are_checked(field, value, expected, tmp_path):
    data = {**vars(CONFIG), field: value}
    (tmp_path / "config.json").write_text(json.dumps(data))
    with pytest.raises(ts.ConfigError) as caught:
        EncoderConfig.from_json(tmp_path / "config.json")
    check(caught, "TS4008", f"config.json has {field} = {value!r}", expected)


@pytest.mark.parametrize("data", [[], "bert", 3, None], ids=str)
def test_configurations_are_objects(data, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(data))
    with pytest.raises(ts.ConfigError) as caught:
        EncoderConfig.from_json(tmp_path / "config.json")
    check(caught, "TS4008", "must be a JSON object")


def test_folders_are_no_weights(tmp_path):
    with pytest.raises(ts.CheckpointError) as caught:
        checkpoint.load_safetensors(tmp_path)
    check(caught, "TS6001", f"{tmp_path} cannot be read", "a .safetensors file")


def test_folders_that_a_package_lacks_are_named():
    with pytest.raises(ts.CheckpointError) as caught:
        checkpoint.package_directory("numpy", "nosuch", "part")
    check(caught, "TS6001", "package 'numpy' has no 'nosuch/part'")
    with pytest.raises(ts.CheckpointError, match=re.escape("pip install no-such-package")):
        checkpoint.package_directory("no_such_package", "model")


def write_tokenizer(folder):
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = {"[UNK]": 0, "a": 1, "b": 2, "A": 3, "q:": 4}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.save(str(folder / "tokenizer.json"))


@pytest.mark.parametrize("files, want", [
    ({}, [1, 2, 3, 1, 2]),
    ({"sentence_bert_config.json": {"max_seq_length": 3}}, [1, 2, 3]),
    ({"sentence_bert_config.json": {"max_seq_length": 99, "do_lower_case": True}}, [1, 2, 1, 1, 2]),
    ({"tokenizer_config.json": {"model_max_length": 2}}, [1, 2]),
    ({"tokenizer_config.json": {"model_max_length": 1e30}}, [1, 2, 3, 1, 2]),
    ({"sentence_bert_config.json": {"max_seq_length": 4}, "tokenizer_config.json": {"model_max_length": 2}},
     [1, 2, 3, 1]),
    ({"config_sentence_transformers.json": {"prompts": {"query": "q: "}, "default_prompt_name": "query"}},
     [4, 1, 2, 3, 1]),
])
def test_files_beside_the_weights_say_how_sentences_become_tokens(tmp_path, files, want):
    write_weights(tmp_path, lambda tensors: None)
    write_tokenizer(tmp_path)
    for name, content in files.items():
        (tmp_path / name).write_text(json.dumps(content))
    ids, mask, _ = Encoder.from_pretrained(tmp_path).tokenize(["a b A a b b b b"])
    assert ids[0][mask[0] > 0].tolist() == want


@pytest.mark.parametrize("files, code, fragments", [
    ({"sentence_bert_config.json": {"max_seq_length": "5"}}, "TS4008", ["max_seq_length = '5'"]),
    ({"modules.json": [{"type": "x.Transformer"}, {"type": "x.Pooling"}, {"type": "x.Dense"}]}, "TS4008",
     ["has the modules Transformer, Pooling, Dense"]),
    ({"modules.json": [{"type": "x.Transformer"}, {"type": "x.Pooling", "path": ""}],
      "config.json": None}, "TS4008", ["pools by pooling_mode_cls_token"]),
    ({"config_sentence_transformers.json": {"default_prompt_name": "q"}}, "TS4008", ["no prompt 'q'"]),
    ({"modules.json": "{"}, "TS6002", ["is not valid JSON"]),
])
def test_folders_that_mean_something_else_are_refused(tmp_path, files, code, fragments):
    write_weights(tmp_path, lambda tensors: None)
    for name, content in files.items():
        path = tmp_path / name
        if content is None:
            content = {**json.loads(path.read_text()), "pooling_mode_cls_token": True,
                       "pooling_mode_mean_tokens": False}
        path.write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(ts.TesseraError) as caught:
        Encoder.from_pretrained(tmp_path)
    check(caught, code, *fragments)


def test_a_pipeline_without_a_normalisation_is_not_normalised(tmp_path):
    write_weights(tmp_path, lambda tensors: None)
    assert Encoder.from_pretrained(tmp_path).settings.is_normalised
    cases = ((("Transformer", "Pooling"), False), (("Transformer", "Pooling", "Normalize"), True))
    for kinds, wanted in cases:
        (tmp_path / "modules.json").write_text(json.dumps(
            [{"type": f"sentence_transformers.models.{kind}", "path": f"{i}_{kind}"}
             for i, kind in enumerate(kinds)]))
        assert Encoder.from_pretrained(tmp_path).settings.is_normalised == wanted


@pytest.mark.parametrize("sentences, code, fragments", [
    ([None], "TS1043", ["sentence 0 is a NoneType, not a string"]),
    (["a", 3], "TS1043", ["sentence 1 is a int"]),
    ([b"a"], "TS1043", ["sentence 0 is a bytes"]),
    (np.array([]), "TS3020", ["the list of sentences is empty"]),
    ([], "TS3020", ["the list of sentences is empty", "a list of at least one sentence"]),
    ("a", "TS1043", ["sentences is a str, not a list of strings", "write [sentence]"]),
    (None, "TS1043", ["sentences is a NoneType, not a list of strings"]),
])
def test_what_is_no_sentence_is_named(tmp_path, sentences, code, fragments):
    write_weights(tmp_path, lambda tensors: None)
    write_tokenizer(tmp_path)
    encoder = Encoder.from_pretrained(tmp_path)
    with pytest.raises(ts.TesseraError) as caught:
        encoder.encode(sentences)
    check(caught, code, *fragments)
    assert encoder.tokenize(np.array(["a", "b"]))[0].shape == (2, 5)


def test_weights_of_types_that_numpy_lacks_are_named(tmp_path):
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file

    path = tmp_path / "x.safetensors"
    save_file({"w": torch.zeros(3).to(torch.float8_e4m3fn), "v": torch.ones(2)}, path)
    with pytest.raises(ts.CheckpointError) as caught:
        ts.models.load_safetensors(path)
    check(caught, "TS6002", "tensor 'w'", "is of type F8_E4M3")
    assert ts.models.load_safetensors(path, ignore=("w",), dtype="bf16")["v"].dtype == ts.bf16
    for dtype, code in ((np.int32, "TS4012"), ("what", "TS1001")):
        with pytest.raises(ts.TesseraError) as caught:
            ts.models.load_safetensors(path, ignore=("w",), dtype=dtype)
        check(caught, code)
