# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Llama and its relatives Mistral, Qwen 2 and Qwen 3, by Hugging Face's names of weights."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tessera._src.core import dtypes
from tessera._src.models import configuration
from tessera._src.nn import initializers
from tessera._src.nn.attention import Attention, Rotary, document_bias
from tessera._src.nn.blocks import GatedMLP, TransformerBlock, activation_of
from tessera._src.nn.layers import Embedding, Linear, RMSNorm
from tessera._src.nn.module import Module
from tessera._src.nn.parallel import Parallel
from tessera._src.nn.stack import Stack
from tessera._src.nn.zero import apply_layer, fully_shard
from tessera.models.causal import CausalModel

_TYPES = ("llama", "mistral", "qwen2", "qwen3")


@dataclass(frozen=True)
class LlamaConfig:
    """The fields of config.json that determine the computation."""

    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    vocab_size: int
    num_key_value_heads: int | None = None
    head_dim: int | None = None
    max_position_embeddings: int = 2048
    hidden_act: str = "silu"
    rms_norm_eps: float = 1e-6
    rope_theta: float = 10000.0
    rope_scaling: tuple[tuple[str, Any], ...] | None = None
    tie_word_embeddings: bool = False
    attention_bias: bool = False
    mlp_bias: bool = False
    sliding_window: int | None = None
    initializer_range: float = 0.02
    model_type: str = "llama"

    @classmethod
    def from_json(cls, path: str | os.PathLike) -> LlamaConfig:
        """Reads and checks config.json."""
        return cls.from_dict(configuration.read_json(path), str(path))

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], where: str = "the configuration") -> LlamaConfig:
        """The configuration, checked; raises ConfigError TS4008 for what does not fit."""
        data = dict(data) if isinstance(data, Mapping) else data
        if isinstance(data, dict):
            rope = dict(data.get("rope_parameters") or data.get("rope_scaling") or {})
            data["rope_theta"] = rope.pop("rope_theta", data.get("rope_theta", 10000.0))
            data["rope_scaling"] = tuple(sorted(rope.items())) or None
            if not data.get("use_sliding_window", data.get("model_type") == "mistral"):
                data["sliding_window"] = None
        config = configuration.from_mapping(cls, data, where, _TYPES)
        activation_of(config.hidden_act)
        if config.head_dim is None:
            configuration.check_divides(config, "hidden_size", "num_attention_heads")
        if config.num_key_value_heads is not None:
            configuration.check_divides(config, "num_attention_heads", "num_key_value_heads")
        Rotary(config.head_size, config.rope_theta, config.rope_scaling).frequencies()
        return config

    def to_dict(self) -> dict[str, Any]:
        """What config.json holds."""
        data = {name: value for name, value in dataclasses.asdict(self).items() if value is not None}
        scaling = dict(data.pop("rope_scaling", ()))
        kind = {"qwen2": "Qwen2", "qwen3": "Qwen3"}.get(self.model_type, self.model_type.capitalize())
        return {**data, "architectures": [f"{kind}ForCausalLM"], "head_dim": self.head_size,
                "use_sliding_window": self.sliding_window is not None,
                "rope_parameters": {"rope_type": "default", **scaling, "rope_theta": self.rope_theta}}

    @property
    def most_positions(self) -> int:
        """How long a sequence may be."""
        return self.max_position_embeddings

    @property
    def key_heads(self) -> int:
        """Heads of keys and values."""
        return self.num_key_value_heads or self.num_attention_heads

    @property
    def head_size(self) -> int:
        """Elements of a query, key or value of one attention head."""
        return self.head_dim or self.hidden_size // self.num_attention_heads


class LlamaModel(Module):
    """The model without its head: embedding, blocks and the last normalisation."""

    def __init__(self, config: LlamaConfig, dtype: Any, parallel: Parallel, remat: Any):
        init = initializers.normal(config.initializer_range)
        self.embed_tokens = Embedding(config.vocab_size, config.hidden_size, dtype, split=True,
                                      parallel=parallel, init=init)
        self.layers = Stack(_block(config, dtype, parallel, init), config.num_hidden_layers, remat=remat,
                            parallel=parallel)
        self.norm = RMSNorm(config.hidden_size, config.rms_norm_eps, dtype)


def _block(config: LlamaConfig, dtype: Any, parallel: Parallel, init: Any) -> TransformerBlock:
    def norm() -> RMSNorm:
        return RMSNorm(config.hidden_size, config.rms_norm_eps, dtype)

    has_bias = config.attention_bias or config.model_type == "qwen2"
    attention = Attention(
        config.hidden_size, config.num_attention_heads, config.num_key_value_heads, config.head_size,
        bias=has_bias, out_bias=config.attention_bias and config.model_type == "llama",
        rotary=Rotary(config.head_size, config.rope_theta, config.rope_scaling),
        window=config.sliding_window, qk_norm=config.rms_norm_eps if config.model_type == "qwen3" else None,
        dtype=dtype, parallel=parallel, init=init)
    mlp = GatedMLP(config.hidden_size, config.intermediate_size, config.hidden_act, config.mlp_bias, dtype,
                   parallel=parallel, init=init)
    return TransformerBlock(attention, mlp, norm(), norm())


class Llama(CausalModel):
    """A causal language model: logits [batch, sequence, vocabulary] of tokens [batch, sequence].

        model = ts.models.Llama(config).init(ts.random.key(0))
        logits = model(tokens)
        model = ts.models.Llama.from_pretrained("folder")

    Args:
        config: a LlamaConfig, or what config.json holds.
        dtype: the type of weights and activations.
        parallel: how both are split over a mesh.
        remat: what a backward pass keeps of each layer: a policy of ts.checkpoint.
    """

    config_class = LlamaConfig
    ignored = ("*.rotary_emb.inv_freq",)

    def __init__(self, config: LlamaConfig | Mapping[str, Any], *, dtype: Any = dtypes.f32,
                 parallel: Parallel = Parallel(), remat: Any = None):
        self.config = config if isinstance(config, LlamaConfig) else LlamaConfig.from_dict(config)
        self.parallel = parallel
        self.model = fully_shard(LlamaModel(self.config, dtype, parallel, remat), parallel)
        self.lm_head = None
        if not self.config.tie_word_embeddings:
            self.lm_head = fully_shard(Linear(self.config.hidden_size, self.config.vocab_size, False, dtype,
                                          split="columns", parallel=parallel,
                                          init=initializers.normal(self.config.initializer_range)), parallel)

    def __call__(self, tokens: Any, *, positions: Any = None, segments: Any = None, bias: Any = None) -> Any:
        """Logits of each next token.

        Args:
            positions: of the tokens, [sequence] or [batch, sequence]; those from 0 on by default.
            segments: the number of each token's document, [batch, sequence]: attention sees no other one.
            bias: added to the scores of attention: broadcasts to [batch, heads, sequence, sequence].
        """
        given = self.settings(positions, segments)
        if bias is not None:
            given["bias"] = bias if "bias" not in given else given["bias"] + bias
        return self.head(self.model.layers(self.embed(tokens), **given))

    @property
    def blocks(self) -> Stack:
        """The layers."""
        return self.model.layers

    def embed(self, tokens: Any, positions: Any = None) -> Any:
        """What the first layer takes; positions turn queries and keys of each."""
        table = self.model.embed_tokens
        return apply_layer(self.parallel, lambda table, tokens: table(tokens), table, tokens)

    def settings(self, positions: Any, segments: Any) -> dict[str, Any]:
        """What each layer is given beside its input."""
        more = {} if segments is None else {"bias": document_bias(segments, self.parameters()[0].dtype)}
        return {"positions": positions, **more}

    def head(self, x: Any) -> Any:
        """Logits of what the last layer gives."""
        return self.logits(self.model.norm, self.lm_head or self.model.embed_tokens, x)
