# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""GPT-2, Llama and its relatives against transformers: logits, decoding, gradients, collectives."""

import numpy as np
import pytest
from causal_models import GPT2, LAYERS, LENGTH, LLAMA, MESHES, MODELS, TOKENS, WORDS, theirs, wanted_logits
from conftest import needs_runtime

import tessera as ts

torch = pytest.importorskip("torch", reason="PyTorch is the oracle")
pytestmark = needs_runtime


def ours(name, model, mesh=None, **settings):
    """The same model with the same weights."""
    made = MODELS[name][2](model.config.to_dict(), **settings)
    state = {n: w.detach().numpy() for n, w in model.state_dict().items()}
    if model.config.tie_word_embeddings:
        del state["lm_head.weight"]
    assert made.load_state_dict(state, mesh=mesh) == ([], [])
    return made


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("mesh", MESHES.values(), ids=MESHES)
def test_logits_are_those_of_transformers(name, mesh):
    model = theirs(name)
    made = ours(name, model, mesh)
    got = ts.jit(lambda m, tokens: m(tokens), mesh=mesh)(made, TOKENS)
    np.testing.assert_allclose(got, wanted_logits(model), atol=2e-6)


@pytest.mark.parametrize("name", ["llama", "mistral", "qwen3", "gpt2"])
def test_decoding_from_a_cache_gives_the_same_logits(name):
    model = theirs(name)
    made = ours(name, model)
    step = ts.jit(lambda m, tokens, cache: m.decode(tokens, cache))
    cache = ts.jit(lambda m: m.empty_cache(TOKENS.shape[0], 12))(made)
    logits, begin = [], 0
    for count in (5, 1, 1, 2):
        some, cache = step(made, TOKENS[:, begin : begin + count], cache)
        logits.append(np.asarray(some))
        begin += count
    assert int(cache.length) == begin == LENGTH
    np.testing.assert_allclose(np.concatenate(logits, 1), wanted_logits(model), atol=2e-6)


@pytest.mark.parametrize("name", ["llama", "gpt2"])
def test_a_cache_that_is_full_is_an_error(name):
    made = ours(name, theirs(name))
    step = ts.jit(lambda m, tokens, cache: m.decode(tokens, cache))
    cache = ts.jit(lambda m: m.empty_cache(TOKENS.shape[0], 7))(made)
    _, cache = step(made, TOKENS[:, :5], cache)
    with pytest.raises(ts.CompileError, match="a cache of 7 positions has 5 set, and is to take 3 more"):
        step(made, TOKENS[:, 5:8], cache)
    with pytest.raises(ts.ShapeError, match="9 positions do not fit a cache of 7"):
        step(made, TOKENS, cache)


@pytest.mark.parametrize("name", ["llama, tied, with biases", "qwen3", "gpt2"])
@pytest.mark.parametrize("mesh", MESHES.values(), ids=MESHES)
@pytest.mark.parametrize("remat", [None, "nothing"])
def test_gradients_are_those_of_pytorch(name, mesh, remat):
    model = theirs(name, torch.float64)
    logits = model(torch.from_numpy(TOKENS).long()).logits[:, :-1]
    labels = torch.from_numpy(TOKENS[:, 1:]).long().reshape(-1)
    torch.nn.functional.cross_entropy(logits.reshape(-1, WORDS), labels).backward()
    wanted = {n: w.grad.numpy() for n, w in model.named_parameters()}

    def loss(m, tokens):
        return ts.nn.softmax_cross_entropy(m(tokens)[:, :-1], tokens[:, 1:], reduction="mean")

    made = ours(name, model, mesh, dtype=ts.f64, remat=remat)
    grads = ts.jit(ts.grad(loss), mesh=mesh)(made, TOKENS).state_dict()
    total = np.sqrt(sum((g**2).sum() for g in wanted.values()))
    assert grads.keys() == wanted.keys()
    for n, grad in grads.items():
        off = np.linalg.norm(np.asarray(grad) - wanted[n])
        assert off <= 1e-11 * np.linalg.norm(wanted[n]) + 2e-16 * total, n


@pytest.mark.parametrize("kind, settings", [(ts.models.Llama, LLAMA), (ts.models.GPT2, GPT2)])
def test_collectives_of_a_layer_are_megatrons(kind, settings):
    mesh = ts.make_mesh({"tp": 2})
    model = kind(settings).abstract(mesh)
    width = 32

    def loss(m, tokens):
        return ts.nn.softmax_cross_entropy(m(tokens), tokens, reduction="mean")

    table = ts.jit(ts.value_and_grad(loss), mesh=mesh).lower(model, TOKENS).collectives()
    shape = [4, LENGTH, width]
    activations = [c for c in table if list(c["shape"]) == shape]
    assert {c["kind"] for c in table} == {"all_reduce"}
    # Two a layer in each direction; the embedding's, and the head's by its input.
    assert sorted(c["count"] for c in activations) == [1, 1, LAYERS, LAYERS, LAYERS, LAYERS]
    assert all(np.prod(c["shape"]) <= 4 * LENGTH for c in table if c not in activations)


def test_sequence_parallel_activations_give_the_same_logits():
    model = theirs("llama")
    for sizes in ({"tp": 2}, {"dp": 2, "tp": 2}):
        mesh = ts.make_mesh(sizes)
        made = ours("llama", model, mesh, parallel=ts.nn.Parallel(sequence=True))
        function = ts.jit(lambda m, tokens: m(tokens), mesh=mesh)
        np.testing.assert_allclose(function(made, TOKENS), wanted_logits(model), atol=2e-6)
        table = function.lower(made, TOKENS).collectives()
        in_layers = [c["kind"] for c in table if c["count"] == LAYERS]
        assert sorted(in_layers) == ["all_gather"] * 2 + ["reduce_scatter"] * 2


def test_dropout_depends_on_the_key():
    model = ts.models.GPT2({**GPT2, "resid_pdrop": 0.3, "embd_pdrop": 0.2}).init(ts.random.key(0))
    call = ts.jit(lambda m, tokens, key: m(tokens, key=key))
    one, same, other = (np.asarray(call(model, TOKENS, ts.random.key(k))) for k in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert np.abs(one - other).max() > 1e-4
    with pytest.raises(ts.ConfigError, match="attn_pdrop=0.1"):
        ts.models.GPT2({**GPT2, "attn_pdrop": 0.1}).init(ts.random.key(0))(TOKENS, key=ts.random.key(1))


@pytest.mark.parametrize("kind, settings, message", [
    (ts.models.Llama, {**LLAMA, "hidden_size": 30}, "hidden_size=30 is not divisible by num_att"),
    (ts.models.Llama, {**LLAMA, "num_key_value_heads": 3}, "num_attention_heads=4 is not divisible by"),
    (ts.models.Llama, {**LLAMA, "hidden_act": "mish"}, "unknown activation 'mish'"),
    (ts.models.Llama, {**LLAMA, "vocab_size": 0}, "vocab_size = 0"),
    (ts.models.Llama, {**LLAMA, "rms_norm_eps": "1e-5"}, "rms_norm_eps = '1e-5'"),
    (ts.models.Llama, {**LLAMA, "model_type": "gemma"}, "of a 'gemma' model"),
    (ts.models.Llama, {k: v for k, v in LLAMA.items() if k != "vocab_size"}, "lacks vocab_size"),
    (ts.models.Llama, {**LLAMA, "rope_parameters": {"rope_type": "yarn", "factor": 2.0}}, "'yarn'"),
    (ts.models.Llama, [1], "must be a JSON object"),
    (ts.models.GPT2, {**GPT2, "n_head": 5}, "n_embd=32 is not divisible by n_head=5"),
])
def test_bad_configurations_are_early_errors(kind, settings, message):
    with pytest.raises(ts.ConfigError, match=f"TS4008.*{message}"):
        kind(settings)
