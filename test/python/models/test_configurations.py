# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What config.json says is computed as transformers does, or refused, and kept in what is written."""

import json

import numpy as np
import pytest
from causal_models import GPT2, LAYERS, LLAMA, MODELS, TOKENS, theirs, wanted_logits
from conftest import needs_runtime

import tessera as ts

torch = pytest.importorskip("torch", reason="PyTorch is the oracle")
transformers = pytest.importorskip("transformers", reason="it has the models")
safetensors = pytest.importorskip("safetensors.numpy", reason="it has the format")
pytestmark = needs_runtime
WINDOW = {"use_sliding_window": True, "sliding_window": 3}


def folder_of(monkeypatch, tmp_path, kind, settings):
    """A folder of a model of transformers, and the model."""
    monkeypatch.setitem(MODELS, "this", (kind, settings, None))
    model = theirs("this")
    model.save_pretrained(tmp_path)
    return model


def changed(folder, file="config.json", **fields):
    """A file of JSON with other fields; Ellipsis takes one away."""
    path = folder / file
    data = {**json.loads(path.read_text()), **fields}
    path.write_text(json.dumps({name: value for name, value in data.items() if value is not ...}))


@pytest.mark.parametrize("kind, more", [
    ("Qwen2", {**WINDOW, "max_window_layers": 0}), ("Qwen2", {**WINDOW, "max_window_layers": LAYERS}),
    ("Qwen3", {**WINDOW}),
    ("Qwen3", {**WINDOW, "head_dim": 8, "layer_types": ["sliding_attention"] * LAYERS}),
    ("Qwen2", {"sliding_window": 3}), ("Qwen3", {"attention_bias": True})], ids=str)
def test_windows_are_those_of_transformers(kind, more, monkeypatch, tmp_path):
    model = folder_of(monkeypatch, tmp_path / "theirs", kind, {**LLAMA, **more})
    made = ts.models.Llama.from_pretrained(tmp_path / "theirs")
    np.testing.assert_allclose(made(TOKENS), wanted_logits(model), atol=2e-6)
    made.save_pretrained(tmp_path / "ours")
    read = type(model).from_pretrained(tmp_path / "ours")
    np.testing.assert_array_equal(wanted_logits(read), wanted_logits(model))
    again = ts.models.LlamaConfig.from_json(tmp_path / "ours/config.json")
    assert again.sliding_window == made.config.sliding_window


@pytest.mark.parametrize("more", [
    {"max_window_layers": 1},
    {"layer_types": ["full_attention", *["sliding_attention"] * (LAYERS - 1)]}], ids=str)
@pytest.mark.parametrize("kind", ["Qwen2", "Qwen3"])
def test_windows_of_some_layers_are_refused(kind, more, monkeypatch, tmp_path):
    folder_of(monkeypatch, tmp_path, kind, {**LLAMA, **WINDOW, **more})
    with pytest.raises(ts.ConfigError, match="TS4008.*window of attention in some layers") as caught:
        ts.models.Llama.from_pretrained(tmp_path)
    assert f"got: {LAYERS - 1} of {LAYERS} layers see the last 3 tokens" in str(caught.value)
    assert "config={'sliding_window': None}" in str(caught.value)
    made = ts.models.Llama.from_pretrained(tmp_path, config={"sliding_window": None})
    assert made.config.sliding_window is None


def test_a_mistral_has_the_window_that_transformers_gives_it(tmp_path):
    data = {**LLAMA, "model_type": "mistral"}
    assert ts.models.LlamaConfig.from_dict(data).sliding_window == 4096
    whole = ts.models.LlamaConfig.from_dict({**data, "sliding_window": None})
    assert whole.sliding_window is None and whole.to_dict()["sliding_window"] is None
    assert transformers.MistralConfig(**whole.to_dict()).sliding_window is None


REFUSED = [
    (ts.models.GPT2, GPT2, "scale_attn_weights", False, "True"),
    (ts.models.GPT2, GPT2, "scale_attn_by_inverse_layer_idx", True, "False"),
    (ts.models.GPT2, GPT2, "add_cross_attention", True, "False"),
    (ts.models.Llama, LLAMA, "partial_rotary_factor", 0.5, "1"),
    (ts.models.Llama, LLAMA, "is_causal", False, "True"),
    (ts.models.Llama, LLAMA, "quantization_config", {"quant_method": "gptq"}, "None"),
    (ts.models.Llama, LLAMA, "use_sliding_window", True, "False"),
    (ts.models.Llama, {**LLAMA, "model_type": "mistral"}, "attention_bias", True, "False"),
    (ts.models.Llama, {**LLAMA, "model_type": "qwen3"}, "mlp_bias", True, "False"),
]


@pytest.mark.parametrize("kind, settings, name, value, expected", REFUSED, ids=str)
def test_fields_that_stand_for_another_model_are_refused(kind, settings, name, value, expected, tmp_path):
    more = {"sliding_window": 3} if name == "use_sliding_window" else {}
    (tmp_path / "config.json").write_text(json.dumps({**settings, **more, name: value}))
    for make in (lambda: kind({**settings, **more, name: value}), lambda: kind.from_pretrained(tmp_path)):
        with pytest.raises(ts.ConfigError, match=rf"TS4008.* has {name} = .*\n  expected: {expected}"):
            make()


@pytest.mark.parametrize("rope, message", [
    ({"rope_type": "linear"}, "factor = None"),
    ({"rope_type": "llama3", "factor": 8.0}, "low_freq_factor = None"),
    ({"rope_type": "linear", "factor": "2"}, "factor = '2'"),
    ({"rope_type": "default", "partial_rotary_factor": 0.25}, "partial_rotary_factor = 0.25"),
    ({"full_attention": {"rope_theta": 1e6}}, "rope_parameters = "), ({"rope_type": "dynamic"}, "'dynamic'"),
    ([1], "rope_parameters = "), ({"rope_type": ["linear"]}, "rope_type = .'linear'")], ids=str)
def test_rotary_positions_that_are_not_ours_are_refused(rope, message):
    for name in ("rope_parameters", "rope_scaling"):
        with pytest.raises(ts.ConfigError, match=f"TS4008.*{message}"):
            ts.models.Llama({**LLAMA, name: rope})


@pytest.mark.parametrize("kind, settings, name, close", [
    (ts.models.GPT2, {k: v for k, v in GPT2.items() if k != "n_layer"}, "n_lyer", "n_layer"),
    (ts.models.Llama, LLAMA, "num_kv_heads", None),
    (ts.models.Llama, LLAMA, "rope_paramters", "rope_parameters")])
def test_names_that_nobody_knows_are_refused_from_python(kind, settings, name, close, tmp_path):
    with pytest.raises(ts.ConfigError, match=f"TS4008.*has '{name}', which is no field of") as caught:
        kind({**settings, name: 3})
    assert (f"did you mean '{close}'?" if close else "num_key_value_heads") in str(caught.value)
    # A file has been read by others before, and says what nobody here needs to know.
    data = {**settings, "n_layer": 3, name: 3} if kind is ts.models.GPT2 else {**settings, name: 3}
    (tmp_path / "config.json").write_text(json.dumps(data))
    assert kind.config_class.from_json(tmp_path / "config.json")


@pytest.mark.parametrize("name", MODELS)
def test_all_fields_of_transformers_are_known(name):
    kind, settings, ours = MODELS[name]
    ours.config_class.from_dict(getattr(transformers, kind + "Config")(**settings).to_dict())


@pytest.mark.parametrize("name", ["llama", "gpt2"])
def test_what_else_a_folder_says_is_written_again(name, tmp_path):
    theirs(name).save_pretrained(tmp_path / "theirs")
    changed(tmp_path / "theirs", eos_token_id=[7, 9], bos_token_id=3, pad_token_id=5,
            of_another_tool={"a": 1})
    (tmp_path / "theirs/generation_config.json").write_text(json.dumps(
        {"eos_token_id": [7, 9], "pad_token_id": 5, "temperature": 0.25, "do_sample": True}))
    made = MODELS[name][2].from_pretrained(tmp_path / "theirs")
    step = ts.jit(lambda m: ts.tree.map(lambda w: w * 2, m))
    step(made).save_pretrained(tmp_path / "ours")
    data = json.loads((tmp_path / "ours/config.json").read_text())
    assert data["of_another_tool"] == {"a": 1} and (data["bos_token_id"], data["pad_token_id"]) == (3, 5)
    read = type(theirs(name)).from_pretrained(tmp_path / "ours")
    assert read.config.eos_token_id == read.generation_config.eos_token_id == [7, 9]
    assert read.generation_config.temperature == 0.25
    # What is kept makes no other structure: models of two folders are averaged, and share programs.
    other = MODELS[name][2](made.config).init(ts.random.key(0))
    ts.tree.map(lambda a, b: (np.asarray(a) + np.asarray(b)) / 2, made, other)


@pytest.mark.parametrize("name", ["llama, tied, with biases", "gpt2"])
def test_a_head_beside_a_tied_embedding_is_an_error(name, tmp_path):
    model = theirs(name)
    model.save_pretrained(tmp_path)
    path = tmp_path / "model.safetensors"
    state = safetensors.load_file(path)
    table = "transformer.wte.weight" if name == "gpt2" else "model.embed_tokens.weight"
    safetensors.save_file({**state, "lm_head.weight": state[table].copy()}, path)
    made = MODELS[name][2].from_pretrained(tmp_path)
    np.testing.assert_allclose(made(TOKENS), wanted_logits(model), atol=2e-6)
    safetensors.save_file({**state, "lm_head.weight": state[table] * 2}, path)
    with pytest.raises(ts.CheckpointError, match=f"TS6006.*'lm_head.weight' other than '{table}'") as caught:
        MODELS[name][2].from_pretrained(tmp_path)
    assert 'config={"tie_word_embeddings": False}' in str(caught.value)
    untied = MODELS[name][2].from_pretrained(tmp_path, config={"tie_word_embeddings": False})
    np.testing.assert_allclose(untied(TOKENS), 2 * wanted_logits(model), atol=4e-6)
