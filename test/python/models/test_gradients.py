# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Every gradient of an encoder, GPT-2 and Llama against PyTorch's of transformers' models, on meshes."""

import functools
import math

import numpy as np
import pytest
from conftest import needs_runtime

import tessera as ts
from tessera.models.encoder import ENCODER_SPECS, EncoderConfig, expand_specs, hidden_states

torch = pytest.importorskip("torch", reason="PyTorch is the oracle")
transformers = pytest.importorskip("transformers", reason="it has the models")
pytestmark = needs_runtime

BATCH, LENGTH, WORDS, WIDTH, INNER, LAYERS, HEADS = 4, 7, 37, 32, 24, 2, 4
MESHES = {"tp1": {"tp": 1}, "tp2": {"tp": 2}, "tp4": {"tp": 4}, "dp2 x tp2": {"dp": 2, "tp": 2}}
# Relative to a gradient's norm, and to that of all: some gradients are 0 but for rounding (a bias of keys).
KINDS = [(np.float32, 1e-5, 1e-7), (np.float64, 1e-11, 2e-16)]
TOKENS = np.random.default_rng(1).integers(0, WORDS, (BATCH, LENGTH)).astype(np.int32)
MASK = (np.arange(LENGTH) < np.array([[7], [3], [5], [6]])).astype(np.int32)
WANTED = np.random.default_rng(2).standard_normal((BATCH, WIDTH))


def next_word_loss(logits, tokens):
    chosen = ts.take_along_axis(ts.nn.log_softmax(logits[:, :-1]), tokens[:, 1:, None], -1)
    return -chosen.mean()


class OfGpt2:
    """Fused query, key and value, learned positions, a head tied to the embedding."""

    def model(self):
        return transformers.GPT2LMHeadModel(transformers.GPT2Config(
            vocab_size=WORDS, n_positions=9, n_embd=WIDTH, n_layer=LAYERS, n_head=HEADS, n_inner=INNER,
            resid_pdrop=0, embd_pdrop=0, attn_pdrop=0))

    def torch_loss(self, model):
        tokens = torch.from_numpy(TOKENS).long()
        logits = model(input_ids=tokens).logits[:, :-1]  # The model's own loss is in f32 always.
        return torch.nn.functional.cross_entropy(logits.reshape(-1, WORDS), tokens[:, 1:].reshape(-1))

    def specs(self, mesh, names):
        return {name: ts.P(None, "tp") for name in names if name.endswith("c_fc.weight")}

    def loss(self, w, tokens):
        def dense(name, x):
            return x @ w[f"{name}.weight"] + w[f"{name}.bias"]

        b, s = tokens.shape
        x = ts.nn.embedding(w["transformer.wte.weight"], tokens) + w["transformer.wpe.weight"][:s]
        for i in range(LAYERS):
            name = f"transformer.h.{i}"
            h = ts.nn.norm(w, f"{name}.ln_1", x, 1e-5)
            qkv = dense(f"{name}.attn.c_attn", h).reshape(b, s, 3, HEADS, WIDTH // HEADS)
            # Annotated here, as heads are no dimension of the weight.
            qkv = ts.with_sharding_constraint(qkv, ts.P(ts.UNCONSTRAINED, None, None, "tp"))
            q, k, v = (qkv[:, :, j] for j in range(3))
            mixed = ts.nn.attention(q, k, v, causal=True).reshape(b, s, WIDTH)
            x = x + dense(f"{name}.attn.c_proj", mixed)
            h = dense(f"{name}.mlp.c_fc", ts.nn.norm(w, f"{name}.ln_2", x, 1e-5))
            h = ts.gelu(h, approximate=True)
            x = x + dense(f"{name}.mlp.c_proj", h)
        x = ts.nn.norm(w, "transformer.ln_f", x, 1e-5)
        return next_word_loss(x @ w["transformer.wte.weight"].T, tokens)


class OfLlama:
    """Two query heads share each of two key heads; rotated positions; gated MLP; a tied head."""

    key_heads = 2

    def model(self):
        model = transformers.LlamaForCausalLM(transformers.LlamaConfig(
            vocab_size=WORDS, hidden_size=WIDTH, intermediate_size=INNER, num_hidden_layers=LAYERS,
            num_attention_heads=HEADS, num_key_value_heads=self.key_heads, max_position_embeddings=9,
            tie_word_embeddings=True))
        for module in model.modules():
            if type(module).__name__ == "LlamaRMSNorm":  # It computes in f32 always.
                module.forward = functools.partial(
                    lambda norm, x: torch.nn.functional.rms_norm(x, x.shape[-1:], norm.weight, 1e-6), module)
        turns = model.model.rotary_emb(torch.zeros(1), torch.arange(LENGTH)[None])  # Computed in f32 always.
        self.cos, self.sin = (turn[0, :, None].numpy() for turn in turns)
        return model

    torch_loss = OfGpt2.torch_loss

    def specs(self, mesh, names):
        annotated = ("q_proj.weight", "up_proj.weight")
        return {name: ts.P("tp", None) for name in names if name.endswith(annotated)}

    def loss(self, w, tokens):
        b, s = tokens.shape
        words, size = w["model.embed_tokens.weight"], WIDTH // HEADS
        cos, sin = (turn.astype(words.dtype) for turn in (self.cos, self.sin))

        def heads(name, x, count):
            return ts.nn.dense(w, name, x).reshape(b, s, count, size)

        def rotated(x):
            turned = ts.concatenate([-x[..., size // 2 :], x[..., : size // 2]], -1)
            return x * cos + turned * sin

        x = ts.nn.embedding(words, tokens)
        for i in range(LAYERS):
            name = f"model.layers.{i}"
            h = ts.nn.rms_norm(x, w[f"{name}.input_layernorm.weight"], 1e-6)
            q = rotated(heads(f"{name}.self_attn.q_proj", h, HEADS))
            k = rotated(heads(f"{name}.self_attn.k_proj", h, self.key_heads))
            v = heads(f"{name}.self_attn.v_proj", h, self.key_heads)
            mixed = ts.nn.attention(q, k, v, causal=True).reshape(b, s, WIDTH)
            x = x + ts.nn.dense(w, f"{name}.self_attn.o_proj", mixed)
            h = ts.nn.rms_norm(x, w[f"{name}.post_attention_layernorm.weight"], 1e-6)
            gate, up = (ts.nn.dense(w, f"{name}.mlp.{part}_proj", h) for part in ("gate", "up"))
            h = ts.nn.silu(gate) * up
            x = x + ts.nn.dense(w, f"{name}.mlp.down_proj", h)
        return next_word_loss(ts.nn.rms_norm(x, w["model.norm.weight"], 1e-6) @ words.T, tokens)


class OfEncoder:
    """The demo's kind of encoder: norms behind, masked tokens, mean of the tokens, length 1."""

    config = EncoderConfig(WIDTH, INNER, HEADS, LAYERS, WORDS, max_position_embeddings=9)

    def model(self):
        return transformers.BertModel(transformers.BertConfig(
            vocab_size=WORDS, hidden_size=WIDTH, num_hidden_layers=LAYERS, num_attention_heads=HEADS,
            intermediate_size=INNER, max_position_embeddings=9, hidden_dropout_prob=0,
            attention_probs_dropout_prob=0), add_pooling_layer=False)

    def torch_loss(self, model):
        ids, mask = (torch.from_numpy(a).long() for a in (TOKENS, MASK))
        x = model(input_ids=ids, attention_mask=mask).last_hidden_state
        keep = mask[:, :, None].to(x.dtype)
        mean = (x * keep).sum(1) / keep.sum(1)
        return (torch.nn.functional.normalize(mean, dim=1) * torch.from_numpy(WANTED).to(x.dtype)).sum()

    def specs(self, mesh, names):
        return expand_specs(ENCODER_SPECS, self.config, mesh)

    def loss(self, w, tokens):
        x = hidden_states(w, tokens, ts.asarray(MASK), ts.zeros_like(tokens), self.config)
        keep = MASK[:, :, None].astype(x.dtype)
        mean = (x * keep).sum(1) / keep.sum(1)
        return (mean / ts.sqrt((mean * mean).sum(1, keepdims=True)) * WANTED.astype(x.dtype)).sum()


MODELS = {"encoder": OfEncoder(), "gpt2": OfGpt2(), "llama": OfLlama()}


@functools.cache
def reference(name, dtype):
    """Weights, the loss and its gradients by PyTorch; a tied weight is one."""
    torch.manual_seed(0)
    model = MODELS[name].model().eval().to(torch.float32 if dtype is np.float32 else torch.float64)
    for weight in model.parameters():  # Scales that are 1 and biases that are 0 hide mistakes.
        torch.nn.init.normal_(weight, 1.0 if weight.ndim == 1 else 0.0, 0.3)
    loss = MODELS[name].torch_loss(model)
    loss.backward()
    named = dict(model.named_parameters())
    return ({n: p.detach().numpy() for n, p in named.items()}, loss.item(),
            {n: p.grad.numpy() for n, p in named.items()})


def gradients(model, mesh, weights):
    """The compiled loss and gradients of a model, two weights a layer being annotated."""
    mesh = ts.make_mesh(MESHES[mesh])
    return ts.jit(ts.value_and_grad(MODELS[model].loss), mesh=mesh, in_shardings={
        "w": MODELS[model].specs(mesh, weights), "tokens": ts.P("dp" if "dp" in mesh.shape else None)})


@pytest.mark.parametrize("dtype, relative, of_all", KINDS, ids=["f32", "f64"])
@pytest.mark.parametrize("mesh", MESHES)
@pytest.mark.parametrize("model", MODELS)
def test_gradients_equal_those_of_pytorch(model, mesh, dtype, relative, of_all):
    weights, loss, wanted = reference(model, dtype)
    value, got = gradients(model, mesh, weights)(weights, TOKENS)
    assert math.isclose(float(value), loss, rel_tol=relative)
    assert got.keys() == wanted.keys()
    norm = math.sqrt(sum(np.linalg.norm(g) ** 2 for g in wanted.values()))
    for name, gradient in wanted.items():
        error = np.linalg.norm(np.asarray(got[name]) - gradient)
        assert error <= relative * np.linalg.norm(gradient) + of_all * norm, name


@pytest.mark.parametrize("mesh", ["tp2", "dp2 x tp2"])
@pytest.mark.parametrize("model", ["encoder", "llama"])
def test_a_layer_needs_four_all_reduces_forward_and_backward(model, mesh):
    weights = reference(model, np.float32)[0]
    rows = gradients(model, mesh, weights).lower(weights, TOKENS).collectives()
    batch = BATCH // MESHES[mesh].get("dp", 1)
    assert [(row["kind"], tuple(row["shape"])) for row in rows if "tp" in row["axes"]] == [
        ("all_reduce", (batch, LENGTH, WIDTH))] * 4 * LAYERS
    # One sum over the batch a weight, and that of the loss.
    assert sum(row["axes"] == "dp" for row in rows) == ("dp" in MESHES[mesh]) * (len(weights) + 1)
