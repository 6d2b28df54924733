# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Llama and its relatives Mistral, Qwen 2 and Qwen 3, by Hugging Face's names of weights."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tessera._src.core import dtypes
from tessera._src.core.errors import ConfigError
from tessera._src.models import configuration
from tessera._src.models.other_fields import KeptFields, check_others
from tessera._src.nn import initializers
from tessera._src.nn.attention import Attention, Rotary, document_bias
from tessera._src.nn.blocks import GatedMLP, TransformerBlock, activation_of
from tessera._src.nn.layers import Embedding, Linear, RMSNorm
from tessera._src.nn.module import Module
from tessera._src.nn.parallel import Parallel
from tessera._src.nn.stack import Stack
from tessera._src.nn.zero import apply_layer, fully_shard
from tessera._src.ops import lookups
from tessera.models.causal import CausalModel

_TYPES = ("llama", "mistral", "qwen2", "qwen3")
# Further fields of transformers' configurations, of which this module makes its own, or which change nothing.
_FREE = ("layer_types", "max_window_layers", "pretraining_tp", "rope_parameters", "rope_scaling",
         "use_sliding_window")
# What the kinds of scaled rotary positions are told.
_ROPE = {"linear": ("factor",), "llama3": ("factor", "low_freq_factor", "high_freq_factor",
                                            "original_max_position_embeddings")}
_SLIDING, _FULL = "sliding_attention", "full_attention"


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
    attention_dropout: float = 0.0
    model_type: str = "llama"

    @classmethod
    def from_json(cls, path: str | os.PathLike) -> LlamaConfig:
        """Reads and checks config.json."""
        return cls.from_dict(configuration.read_json(path), str(path), is_file=True)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], where: str = "the configuration", *,
                  is_file: bool = False) -> LlamaConfig:
        """The configuration, checked; raises ConfigError TS4008 for what does not fit.

        Args:
            is_file: whether the data are of a config.json, which may have fields that nobody knows.
        """
        check_others(cls, data, where, is_file=is_file, free=_FREE)
        data = dict(data) if isinstance(data, Mapping) else data
        if isinstance(data, dict):
            data["rope_theta"], data["rope_scaling"] = _rotary(data, where)
            data["sliding_window"] = _window(data, where)
        config = configuration.from_mapping(cls, data, where, _TYPES)
        for name, kinds in (("attention_bias", ("llama", "qwen2", "qwen3")), ("mlp_bias", ("llama",))):
            if getattr(config, name) and config.model_type not in kinds:
                raise ConfigError("TS4008", f"{where} has {name} = True", expected="False for a model_type "
                                  f"of {config.model_type}, which has no such bias")
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
        # What transformers would fill in otherwise, by the kind of the model, is written out.
        count, has_window = self.num_hidden_layers, self.sliding_window is not None
        windows = {"sliding_window": self.sliding_window, "use_sliding_window": has_window}
        if self.model_type in ("qwen2", "qwen3"):
            windows |= {"max_window_layers": 0 if has_window else count,
                        "layer_types": [_SLIDING if has_window else _FULL] * count}
        return {**data, "architectures": [f"{kind}ForCausalLM"], "head_dim": self.head_size,
                "num_key_value_heads": self.key_heads, **windows,
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


def _rotary(data: Mapping[str, Any], where: str) -> tuple[Any, Any]:
    """The base of rotary positions, and how they are scaled, by either name that files have for it."""
    rope = data.get("rope_parameters") or data.get("rope_scaling") or {}
    if isinstance(rope, tuple):
        rope = dict(rope)
    if not isinstance(rope, Mapping) or any(isinstance(value, Mapping) for value in rope.values()):
        raise ConfigError("TS4008", f"{where} has rope_parameters = {rope!r}"[:200],
                          expected="one object for all layers, such as {\"rope_type\": \"default\"}")
    kind = rope.get("rope_type", rope.get("type", "default"))
    if rope.get("partial_rotary_factor") not in (1, None):
        raise ConfigError("TS4008", f"{where} has partial_rotary_factor = {rope['partial_rotary_factor']!r}",
                          expected="1: all elements of a head are turned")
    if not isinstance(kind, str):
        raise ConfigError("TS4008", f"{where} has rope_type = {kind!r}",
                          expected="a name, such as \"default\"")
    given: dict[str, Any] = {"rope_type": kind} if rope.keys() & {"rope_type", "type"} else {}
    for name in _ROPE.get(kind, ()):
        value = rope.get(name)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or value <= 0:
            raise ConfigError("TS4008", f"{where} has {name} = {value!r}",
                              expected=f"a number above 0 for rotary positions of type '{kind}'")
        given[name] = value
    return rope.get("rope_theta", data.get("rope_theta", 10000.0)), tuple(sorted(given.items())) or None


def _window(data: Mapping[str, Any], where: str) -> Any:
    """The window of all layers by the rules of transformers' models; None if they have none."""
    kind, used = data.get("model_type", "llama"), data.get("use_sliding_window")
    window = data.get("sliding_window", 4096)
    types = data.get("layer_types")
    if kind == "llama":
        if used and data.get("sliding_window") is not None:
            raise ConfigError("TS4008", f"{where} has use_sliding_window = {used!r}", expected="False for "
                              "a model_type of llama, which has no window",
                              hint="mistral has one in each layer")
        return None
    if window is None or used is False or (used is None and kind != "mistral"):
        return None
    if types is None and kind != "mistral":
        first, count = data.get("max_window_layers", 28), data.get("num_hidden_layers")
        if isinstance(first, int) and isinstance(count, int):
            types = [_SLIDING if i >= first else _FULL for i in range(count)]
    if types is None:
        return window
    kinds = {str(kind) for kind in types} if isinstance(types, (list, tuple)) else {str(types)}
    if kinds <= {_SLIDING}:
        return window
    if kinds == {_FULL}:
        return window if kind == "mistral" else None
    if not kinds <= {_SLIDING, _FULL}:
        raise ConfigError("TS4008", f"{where} has layer_types = {sorted(map(str, kinds))}",
                          choices=[_FULL, _SLIDING])
    some = list(types).count(_SLIDING)
    raise ConfigError(
        "TS4008", f"{where} has a window of attention in some layers and none in others",
        got=f"{some} of {len(types)} layers see the last {window} tokens (layer_types, max_window_layers)",
        expected="one kind of layer: max_window_layers=0 with no layer_types, or use_sliding_window=false",
        hint=f"up to {window} tokens no window is needed: from_pretrained(folder, config="
             "{'sliding_window': None}), or model.config.sliding_window=null of a training")


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
        bias=has_bias, out_bias=config.attention_bias and config.model_type in ("llama", "qwen3"),
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
    table = "model.embed_tokens.weight"

    def __init__(self, config: LlamaConfig | Mapping[str, Any], *, dtype: Any = dtypes.f32,
                 parallel: Parallel = Parallel(), remat: Any = None):
        self.config = config if isinstance(config, LlamaConfig) else LlamaConfig.from_dict(config)
        self.parallel, self.kept = parallel, KeptFields()
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
        tokens = self.tokens_of(tokens)
        given = self.settings(positions, segments)
        if bias is not None:
            given["bias"] = bias if "bias" not in given else given["bias"] + bias
        return self.head(self.model.layers(self.embed(tokens), **given))

    def check_arguments(self, tokens: Any = None, *others: Any, **named: Any) -> None:
        """Raises for tokens of the host that the vocabulary does not have."""
        lookups.check_known(tokens, 0, self.config.vocab_size)

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
