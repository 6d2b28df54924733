# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Folders of weights that transformers writes and reads, and tokens that follow a prompt."""

import json

import numpy as np
import pytest
from causal_models import MESHES, MODELS, TOKENS, WORDS, theirs, wanted_logits
from conftest import needs_runtime

import tessera as ts

torch = pytest.importorskip("torch", reason="PyTorch is the oracle")
safetensors = pytest.importorskip("safetensors.numpy", reason="it has the format")
pytestmark = needs_runtime
PROMPT = TOKENS[:, :4]


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("shards", [{}, {"max_shard_size": "20KB"}], ids=["one file", "several"])
def test_folders_of_transformers_are_read(name, shards, tmp_path):
    model = theirs(name)
    model.save_pretrained(tmp_path, **shards)
    made = MODELS[name][2].from_pretrained(tmp_path)
    np.testing.assert_allclose(made(TOKENS), wanted_logits(model), atol=2e-6)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("most", [10**9, 20000])
def test_transformers_reads_what_is_written(name, most, tmp_path):
    model = theirs(name)
    model.save_pretrained(tmp_path / "theirs")
    made = MODELS[name][2].from_pretrained(tmp_path / "theirs")
    made.save_pretrained(tmp_path / "ours", max_shard_bytes=most)
    read = type(model).from_pretrained(tmp_path / "ours")
    np.testing.assert_array_equal(wanted_logits(read), wanted_logits(model))
    assert json.loads((tmp_path / "ours/config.json").read_text())["dtype"] == "float32"
    if most == 20000:
        # What was written before does not stand beside it.
        made.save_pretrained(tmp_path / "ours")
        assert not (tmp_path / "ours/model.safetensors.index.json").exists()
        again = MODELS[name][2].from_pretrained(tmp_path / "ours")
        np.testing.assert_array_equal(again(TOKENS), made(TOKENS))


def test_weights_are_read_in_a_type_and_into_layouts(tmp_path):
    model = theirs("llama").to(torch.bfloat16)
    model.save_pretrained(tmp_path)
    kept = ts.models.Llama.from_pretrained(tmp_path)
    assert kept.model.norm.weight.dtype == ts.bf16 and kept(TOKENS).dtype == ts.bf16
    mesh = MESHES["tp2"]
    wide = ts.models.Llama.from_pretrained(tmp_path, dtype=ts.f32, mesh=mesh, remat="nothing")
    layout = ts.NamedSharding(mesh, ts.P(None, "tp", None))
    assert wide.model.layers.layer.mlp.up_proj.weight.sharding == layout
    assert wide.model.layers.remat == "nothing"
    for name, weight in model.state_dict().items():
        np.testing.assert_array_equal(wide.state_dict()[name], weight.float().numpy())


def test_openais_names_of_gpt2(tmp_path):
    model = theirs("gpt2")
    state = {n.removeprefix("transformer."): w.numpy() for n, w in model.state_dict().items()}
    del state["lm_head.weight"]
    state["h.0.attn.bias"] = np.ones((1, 1, 16, 16), np.float32)
    safetensors.save_file(state, tmp_path / "model.safetensors")
    config = {**model.config.to_dict()}
    del config["tie_word_embeddings"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    made = ts.models.GPT2.from_pretrained(tmp_path)
    np.testing.assert_allclose(made(TOKENS), wanted_logits(model), atol=2e-6)


def damage(folder, what):
    """Something wrong with a folder of several files."""
    files = sorted(folder.glob("model-*"))
    table = json.loads((folder / "model.safetensors.index.json").read_text())
    names = table["weight_map"]
    if what == "no index":
        (folder / "model.safetensors.index.json").unlink()
    elif what == "no file":
        files[1].unlink()
    elif what == "cut file":
        files[1].write_bytes(files[1].read_bytes()[:30])
    elif what == "wrong file":
        first = next(n for n, f in names.items() if f == files[0].name)
        names[first] = files[1].name
    elif what == "missing":
        del names["model.norm.weight"]
    elif what == "outside":
        names["model.norm.weight"] = "../other.safetensors"
    elif what == "no map":
        table = {}
    if what in ("wrong file", "missing", "outside", "no map"):
        (folder / "model.safetensors.index.json").write_text(json.dumps(table))
    if what == "no config":
        (folder / "config.json").unlink()


@pytest.mark.parametrize("what, message", [
    ("no index", "TS6001.*has no model.safetensors and no model.safetensors.index.json"),
    ("no file", "TS6001.*model-00002-of"), ("cut file", "TS6002.*model-00002-of.*is damaged"),
    ("wrong file", "TS6002.*has no tensor"), ("missing", "TS6006.*missing 'model.norm.weight'"),
    ("outside", "TS6002.*names the file '../other.safetensors'"), ("no map", "TS6002.*no weight_map"),
    ("no config", "TS6001.*config.json"),
])
def test_damaged_folders_are_refused(what, message, tmp_path):
    theirs("llama").save_pretrained(tmp_path, max_shard_size="20KB")
    damage(tmp_path, what)
    with pytest.raises(ts.CheckpointError, match="(?s)" + message):
        ts.models.Llama.from_pretrained(tmp_path)


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ts.CheckpointError, match="TS6005"):
        ts.models.Llama(MODELS["llama"][1]).init(ts.random.key(0)).save_pretrained(tmp_path / "file")


def made_of(name, tmp_path, **settings):
    model = theirs(name)
    model.save_pretrained(tmp_path)
    return model, MODELS[name][2].from_pretrained(tmp_path, **settings)


@pytest.mark.parametrize("name", ["llama", "mistral", "qwen3", "gpt2"])
@pytest.mark.parametrize("mesh", [None, MESHES["tp2"]], ids=["one", "tp2"])
def test_the_most_likely_tokens_are_those_of_transformers(name, mesh, tmp_path):
    model, made = made_of(name, tmp_path, mesh=mesh)
    wanted = model.generate(torch.from_numpy(PROMPT).long(), max_new_tokens=9, do_sample=False,
                            eos_token_id=None, pad_token_id=0).numpy()
    columns = []
    got = made.generate(PROMPT, 9, on_token=columns.append)
    np.testing.assert_array_equal(got, wanted)
    np.testing.assert_array_equal(np.stack(columns, 1), wanted[:, 4:])
    np.testing.assert_array_equal(made.generate(PROMPT[0].tolist(), 3), wanted[:1, :7])
    np.testing.assert_array_equal(made.generate(PROMPT, 0), PROMPT)


def test_rows_end_at_stop_tokens(tmp_path):
    _, made = made_of("llama", tmp_path)
    plain = made.generate(PROMPT, 9)
    stop = int(plain[0, 6])
    got = made.generate(PROMPT, 9, stop=[stop])
    for row, whole in zip(got, plain):
        at = np.flatnonzero(whole[4:] == stop)
        end = 4 + at[0] + 1 if at.size else got.shape[1]
        np.testing.assert_array_equal(row[:end], whole[:end])
        assert (row[end:] == stop).all()
    assert made.generate(PROMPT[:1], 9, stop=[stop]).shape[1] <= 7
    np.testing.assert_array_equal(made.generate(PROMPT, 9, stop=stop), got)


def test_drawn_tokens_have_the_chances_that_they_should(tmp_path):
    model, made = made_of("gpt2", tmp_path)
    model.load_state_dict({n: w * (8 if "wte" in n or n == "lm_head.weight" else 1)
                           for n, w in model.state_dict().items()})
    model.save_pretrained(tmp_path)
    made = ts.models.GPT2.from_pretrained(tmp_path)
    prompt = np.repeat(PROMPT[:1], 4000, 0)
    with torch.no_grad():
        scores = model(torch.from_numpy(PROMPT[:1]).long()).logits[0, -1].double().numpy()

    def chances(scores):
        grown = np.exp(scores - scores.max())
        return grown / grown.sum()

    def counted(**settings):
        drawn = made.generate(prompt, 1, key=ts.random.key(3), **settings)[:, -1]
        return np.bincount(drawn, minlength=WORDS) / drawn.size

    ordered = np.sort(scores)[::-1]
    for settings, kept in (({"temperature": 0.7}, -np.inf), ({"temperature": 1.0, "top_k": 3}, ordered[2]),
                           ({"temperature": 1.0, "top_p": 0.6},
                            ordered[np.argmax(np.cumsum(chances(ordered)) >= 0.6)])):
        wanted = chances(np.where(scores >= kept, scores, -np.inf) / settings["temperature"])
        got = counted(**settings)
        assert not got[scores < kept].any()
        # Five deviations of a count.
        assert (np.abs(got - wanted) <= 5 * np.sqrt(wanted * (1 - wanted) / 4000) + 1e-9).all()
    assert not np.array_equal(made.generate(prompt[:9], 3, temperature=1.0, key=ts.random.key(1)),
                              made.generate(prompt[:9], 3, temperature=1.0, key=ts.random.key(2)))


def test_prompts_of_all_lengths_take_few_programs(tmp_path, monkeypatch):
    from tessera._src.functions import jit

    _, made = made_of("llama", tmp_path)
    compiled = []
    plain = jit.JittedFunction._compile
    monkeypatch.setattr(jit.JittedFunction, "_compile",
                        lambda self, *args: compiled.append(1) or plain(self, *args))
    for length in range(1, 49):
        made.generate(np.arange(length)[None] % WORDS, 3)
    assert 0 < len(compiled) <= 12


@pytest.mark.parametrize("call, error, message", [
    (lambda m: m.generate([[1.5]], 2), ts.ShapeError, "no batch of tokens"),
    (lambda m: m.generate([[]], 2), ts.ShapeError, "no batch of tokens"),
    (lambda m: m.generate([[1, WORDS]], 2), ts.ShapeError, f"token {WORDS}.*\n.*0 to {WORDS - 1}"),
    (lambda m: m.generate([[-1]], 2), ts.ShapeError, "token -1"),
    (lambda m: m.generate([[1]], 64), ts.ShapeError, "1 tokens and 64 new ones.*\n.*at most 64"),
    (lambda m: m.generate([[1, 2], [3]], 3), ts.ShapeError, "different lengths.*\n.*integers .batch"),
    (lambda m: m.generate([[1]], 2.5), ts.ConfigError, "max_new_tokens=2.5.*\n.*a whole number"),
    (lambda m: m.generate([[1]], "3"), ts.ConfigError, "max_new_tokens='3'"),
    (lambda m: m.generate([[1]], 1, temperature="hot"), ts.ConfigError, "temperature='hot'"),
    (lambda m: m.generate([[1]], 1, temperature=1, top_k=2.5), ts.ConfigError, "top_k=2.5"),
    (lambda m: m.generate([[1]], 1, stop="end"), ts.ConfigError, "stop='end'"),
    (lambda m: m.generate([[1]], 1, stop=None), ts.ConfigError, "stop=None"),
    (lambda m: m.generate([[1]], -1), ts.ConfigError, "max_new_tokens=-1"),
    (lambda m: m.generate([[1]], 1, temperature=-0.1), ts.ConfigError, "temperature=-0.1"),
    (lambda m: m.generate([[1]], 1, temperature=1, top_k=0), ts.ConfigError, "top_k=0"),
    (lambda m: m.generate([[1]], 1, temperature=1, top_p=1.5), ts.ConfigError, "top_p=1.5"),
])
def test_bad_prompts_and_settings_are_early_errors(call, error, message):
    with pytest.raises(error, match=message):
        call(ts.models.Llama(MODELS["llama"][1]).init(ts.random.key(0)))


@pytest.mark.parametrize("name", ["llama", "gpt2"])
def test_tokens_that_a_model_does_not_take_are_early_errors(name):
    model = MODELS[name][2](MODELS[name][1]).init(ts.random.key(0))
    for tokens in (np.array([1, 2]), np.ones((1, 2, 3), np.int32), np.ones((1, 2), np.float32), [1, 2]):
        with pytest.raises(ts.ShapeError, match=r"TS3023.*no batch\n.*integers \[batch, length\]"):
            model(tokens)
    for tokens in (np.array([[1, WORDS]]), np.array([[-1]]), [[1, WORDS]]):
        with pytest.raises(ts.ShapeError, match=f"TS3012.*out of range for a dimension of size {WORDS}"):
            model(tokens)
    with pytest.raises(ts.TesseraError, match="TS1014"):
        model([[1, 2], [3]])
    np.testing.assert_array_equal(model([[1, 2]]), model(np.array([[1, 2]])))


def test_a_table_of_positions_is_as_long_as_the_tokens():
    model = ts.models.GPT2(MODELS["gpt2"][1]).init(ts.random.key(0))
    tokens = np.zeros((1, 17), np.int32)
    for call in (model, ts.jit(lambda t: model(t)), ts.jit(lambda t: model.watched(t, lambda x: x.sum()))):
        with pytest.raises(ts.ShapeError, match="17 tokens are more than the model's.*\n.*at most 16"):
            call(tokens)
    with pytest.raises(ts.ShapeError, match="cache of 17 positions.*\n.*at most 16"):
        ts.jit(lambda m: m.empty_cache(1, 17))(model)
    packed = model(tokens, positions=np.array([*range(9), *range(8)], np.int32))
    assert np.isfinite(np.asarray(packed)).all()
