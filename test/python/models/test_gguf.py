# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Llama in GGUF files, against what transformers reads from them."""

import numpy as np
import pytest
from causal_models import LAYERS, LLAMA, MESHES, TOKENS, theirs, wanted_logits
from conftest import needs_runtime

import tessera as ts

gguf = pytest.importorskip("gguf", reason="it writes the files")
pytest.importorskip("accelerate", reason="transformers reads the files with it")
pytestmark = needs_runtime

LAYER = {
    "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm", "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
}


def named(name):
    """The format's name of a weight."""
    whole = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}
    stem, kind = name.rsplit(".", 1)
    if stem in whole:
        return f"{whole[stem]}.{kind}"
    _, _, layer, part = stem.split(".", 3)
    return f"blk.{layer}.{LAYER[part]}.{kind}"


def written(path, kinds=lambda name: gguf.GGMLQuantizationType.F32, leave_out=(), architecture="llama",
            add=None):
    """A file of a small random Llama; rows of queries and keys in whatever order they have."""
    model = theirs("llama")
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_block_count(LAYERS)
    writer.add_context_length(LLAMA["max_position_embeddings"])
    writer.add_embedding_length(LLAMA["hidden_size"])
    writer.add_feed_forward_length(LLAMA["intermediate_size"])
    writer.add_head_count(LLAMA["num_attention_heads"])
    writer.add_head_count_kv(LLAMA["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(5000.0)
    writer.add_vocab_size(LLAMA["vocab_size"])
    tensors = {named(name): weight.detach().numpy() for name, weight in model.state_dict().items()}
    for name, elements in [*tensors.items(), *(add or {}).items()]:
        if name in leave_out:
            continue
        kind = kinds(name)
        writer.add_tensor(name, gguf.quants.quantize(elements, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def of_transformers(path):
    import transformers

    return transformers.LlamaForCausalLM.from_pretrained(path.parent, gguf_file=path.name).eval()


def mixed(name):
    """As files have it: norms in f32, the embedding and products in blocks of 32 of few bits."""
    if "norm" in name:
        return gguf.GGMLQuantizationType.F32
    # Rows of 40 elements are no whole number of blocks.
    wide = {"ffn_down": "F16", "token_embd": "Q8_0", "attn_q": "Q5_0", "attn_k": "Q4_1"}
    return gguf.GGMLQuantizationType[wide.get(name.split(".")[-2], "Q4_0")]


@pytest.mark.parametrize("kinds", [lambda name: gguf.GGMLQuantizationType.F32, mixed], ids=["f32", "mixed"])
@pytest.mark.parametrize("mesh", [None, MESHES["tp2"]], ids=["one", "tp2"])
def test_logits_are_those_of_transformers(kinds, mesh, tmp_path):
    path = written(tmp_path / "model.gguf", kinds)
    model = ts.models.Llama.from_pretrained(path, mesh=mesh)
    got = ts.jit(lambda m, tokens: m(tokens), mesh=mesh)(model, TOKENS)
    np.testing.assert_allclose(got, wanted_logits(of_transformers(path)), atol=2e-6)
    assert model.config.rope_theta == 5000.0 and model.config.num_key_value_heads == 2


def test_weights_are_read_in_a_type_and_a_head_may_be_tied(tmp_path):
    path = written(tmp_path / "model.gguf", leave_out=["output.weight"])
    model = ts.models.Llama.from_pretrained(path, dtype=ts.bf16)
    assert model.lm_head is None and model.config.tie_word_embeddings
    assert model.model.norm.weight.dtype == ts.bf16
    wide = ts.models.Llama.from_pretrained(path)
    np.testing.assert_allclose(wide(TOKENS), wanted_logits(of_transformers(path)), atol=2e-6)


def test_files_that_are_no_such_models_are_refused(tmp_path):
    path = written(tmp_path / "model.gguf")
    data = path.read_bytes()
    for broken in (b"GGML" + data[4:], data[:200], b""):
        (tmp_path / "broken.gguf").write_bytes(broken)
        with pytest.raises(ts.CheckpointError, match="TS6002.*is no GGUF file, or damaged"):
            ts.models.Llama.from_pretrained(tmp_path / "broken.gguf")
    with pytest.raises(ts.CheckpointError, match="TS6001.*does not exist"):
        ts.models.Llama.from_pretrained(tmp_path / "other.gguf")
    with pytest.raises(ts.ConfigError, match="TS4008.*of a 'falcon' model"):
        ts.models.Llama.from_pretrained(written(tmp_path / "a.gguf", architecture="falcon"))
    with pytest.raises(ts.CheckpointError, match="TS6006.*\n.*missing 'model.norm.weight'"):
        ts.models.Llama.from_pretrained(written(tmp_path / "b.gguf", leave_out=["output_norm.weight"]))
    extra = {"blk.0.ssm_in.weight": np.zeros((2, 32), np.float32)}
    with pytest.raises(ts.CheckpointError, match="TS6002.*'blk.0.ssm_in.weight', which is no weight"):
        ts.models.Llama.from_pretrained(written(tmp_path / "c.gguf", add=extra))
