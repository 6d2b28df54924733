# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Small causal models of transformers with random weights, which several tests compare ours with."""

import functools

import numpy as np
import pytest

import tessera as ts

torch = pytest.importorskip("torch", reason="PyTorch is the oracle")
transformers = pytest.importorskip("transformers", reason="it has the models")

WORDS, LENGTH, LAYERS = 48, 9, 3
TOKENS = np.random.default_rng(0).integers(0, WORDS, (4, LENGTH)).astype(np.int32)
MESHES = {"one": None, "tp2": ts.make_mesh({"tp": 2}), "dp2 x tp2": ts.make_mesh({"dp": 2, "tp": 2})}
LLAMA = {"hidden_size": 32, "intermediate_size": 40, "num_hidden_layers": LAYERS, "num_attention_heads": 4,
         "num_key_value_heads": 2, "vocab_size": WORDS, "max_position_embeddings": 64}
GPT2 = {"n_embd": 32, "n_head": 4, "n_layer": LAYERS, "vocab_size": WORDS, "n_positions": 16,
        "attn_pdrop": 0, "bos_token_id": 0, "eos_token_id": 0}
LONG = {"rope_type": "llama3", "rope_theta": 5000.0, "factor": 8.0, "low_freq_factor": 1.0,
        "high_freq_factor": 4.0, "original_max_position_embeddings": 16}
# By name: transformers' class of models, settings, ours.
MODELS = {
    "llama": ("Llama", LLAMA, ts.models.Llama),
    "llama, tied, with biases": ("Llama", {**LLAMA, "tie_word_embeddings": True, "attention_bias": True,
                                           "mlp_bias": True}, ts.models.Llama),
    "llama of long contexts": ("Llama", {**LLAMA, "rope_parameters": LONG}, ts.models.Llama),
    "mistral": ("Mistral", {**LLAMA, "sliding_window": 3}, ts.models.Llama),
    "qwen2": ("Qwen2", LLAMA, ts.models.Llama),
    "qwen3": ("Qwen3", {**LLAMA, "head_dim": 16, "tie_word_embeddings": True}, ts.models.Llama),
    "gpt2": ("GPT2", GPT2, ts.models.GPT2),
    "gpt2, untied": ("GPT2", {**GPT2, "tie_word_embeddings": False, "n_inner": 40}, ts.models.GPT2),
}


def theirs(name, dtype=torch.float32):
    """A model of transformers with random weights."""
    kind, settings, _ = MODELS[name]
    head = "LMHeadModel" if kind == "GPT2" else "ForCausalLM"
    model = getattr(transformers, kind + head)(getattr(transformers, kind + "Config")(**settings))
    torch.manual_seed(0)
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.1)
    model = model.to(dtype).eval()
    if dtype == torch.float64:
        compute_in_f64(model)
    return model


def compute_in_f64(model):
    """Of a model that computes norms and angles in f32 always; test_logits compares these."""
    for module in model.modules():
        if type(module).__name__.endswith("RMSNorm"):
            module.forward = functools.partial(lambda norm, x: torch.nn.functional.rms_norm(
                x, x.shape[-1:], norm.weight, norm.variance_epsilon), module)
    if hasattr(model, "model") and hasattr(model.model, "rotary_emb"):
        config = model.config
        size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        frequencies = torch.tensor(ts.nn.Rotary(size).frequencies(), dtype=torch.float64)

        def rotary(x, position_ids):
            angles = position_ids[..., None].double() * torch.cat([frequencies, frequencies])
            return angles.cos(), angles.sin()

        model.model.rotary_emb.forward = rotary


def wanted_logits(model):
    with torch.no_grad():
        return model(torch.from_numpy(TOKENS).long()).logits.numpy()
