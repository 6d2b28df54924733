# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""GPT-2, by Hugging Face's names of weights."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tessera._src.core import dtypes
from tessera._src.core.errors import ConfigError
from tessera._src.meshes.mesh import PartitionSpec as P
from tessera._src.models import configuration
from tessera._src.models.other_fields import KeptFields, check_others
from tessera._src.nn import initializers
from tessera._src.nn.attention import KVCache, attend, document_bias
from tessera._src.nn.blocks import activation_of
from tessera._src.nn.layers import Dropout, Embedding, LayerNorm, Linear
from tessera._src.nn.module import Entry, Module, Parameter
from tessera._src.nn.parallel import Parallel
from tessera._src.nn.stack import Stack
from tessera._src.nn.zero import apply_layer, fully_shard
from tessera._src.ops import creation, lookups, products, rng
from tessera.models.causal import CausalModel


# Further fields of transformers' GPT2Config: what changes no logits, and what does, with the value of ours.
_FREE = ("n_ctx", "reorder_and_upcast_attn", "summary_activation", "summary_first_dropout",
         "summary_proj_to_labels", "summary_type", "summary_use_proj")
_FIXED = {"scale_attn_by_inverse_layer_idx": (False, None), "scale_attn_weights": (True,)}


@dataclass(frozen=True)
class GPT2Config:
    """The fields of config.json that determine the computation."""

    n_embd: int
    n_head: int
    n_layer: int
    vocab_size: int
    n_positions: int = 1024
    n_inner: int | None = None
    activation_function: str = "gelu_new"
    layer_norm_epsilon: float = 1e-5
    tie_word_embeddings: bool = True
    initializer_range: float = 0.02
    embd_pdrop: float = 0.0
    attn_pdrop: float = 0.0
    resid_pdrop: float = 0.0
    model_type: str = "gpt2"

    @classmethod
    def from_json(cls, path: str | os.PathLike) -> GPT2Config:
        """Reads and checks config.json."""
        return cls.from_dict(configuration.read_json(path), str(path), is_file=True)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], where: str = "the configuration", *,
                  is_file: bool = False) -> GPT2Config:
        """The configuration, checked; raises ConfigError TS4008 for what does not fit.

        Args:
            is_file: whether the data are of a config.json, which may have fields that nobody knows.
        """
        check_others(cls, data, where, is_file=is_file, free=_FREE, fixed=_FIXED)
        config = configuration.from_mapping(cls, data, where, ("gpt2",))
        activation_of(config.activation_function)
        configuration.check_divides(config, "n_embd", "n_head")
        return config

    def to_dict(self) -> dict[str, Any]:
        """What config.json holds."""
        data = {name: value for name, value in dataclasses.asdict(self).items() if value is not None}
        return {**data, "architectures": ["GPT2LMHeadModel"]}

    @property
    def most_positions(self) -> int:
        """How long a sequence may be."""
        return self.n_positions

    @property
    def key_heads(self) -> int:
        """Heads of keys and values."""
        return self.n_head

    @property
    def head_size(self) -> int:
        """Elements of a query, key or value of one attention head."""
        return self.n_embd // self.n_head


class Conv1D(Module):
    """A linear layer by a weight [in, out], as GPT-2's files have it.

    Args:
        parts: of one product's result, such as query, key and value; each is split over parallel.tp by
            itself, and the result has them as its last dimension but one.
        split: "columns" or "rows", as of nn.Linear.
    """

    def __init__(self, inputs: int, outputs: int, split: str, dtype: Any, parallel: Parallel, init: Any,
                 parts: int | None = None):
        by_columns = split == "columns"
        self.parts, self.by_columns, self.parallel = parts, by_columns, parallel
        middle = () if parts is None else (parts,)
        axes = (None if by_columns else parallel.tp, *[None] * len(middle),
                parallel.tp if by_columns else None)
        self.weight = Parameter((inputs, *middle, outputs), dtype, init, P(*axes))
        self.bias = Parameter((*middle, outputs), dtype, initializers.zeros, P(*axes[1:]))

    def __call__(self, x: Any) -> Any:
        letters = "k,kn->{}n" if self.parts is None else "k,kpn->{}pn"
        rows = "bs"[: x.ndim - 1]
        x = self.parallel.gathered(x) if self.by_columns else self.parallel.split(x)
        result = products.einsum(rows + letters.format(rows), x, self.weight) + self.bias
        return self.parallel.hidden(result) if self.by_columns else self.parallel.between(result)

    def entries(self, prefix: str, numbers: Iterator[int]) -> Iterator[Entry]:
        """The parts are side by side."""
        inputs = self.weight.shape[-2 if self.parts is None else -3]
        for entry, shape in zip(super().entries(prefix, numbers), ((inputs, -1), (-1,))):
            yield entry if self.parts is None else entry._replace(shape=shape)


class GPT2Attention(Module):
    """Causal attention with the projections of query, key and value as one weight."""

    def __init__(self, config: GPT2Config, dtype: Any, parallel: Parallel):
        size = config.n_embd
        self.heads = config.n_head
        self.c_attn = Conv1D(size, size, "columns", dtype, parallel,
                             initializers.normal(config.initializer_range), parts=3)
        self.c_proj = Conv1D(size, size, "rows", dtype, parallel, _of_residuals(config))

    def __call__(self, x: Any, cache: KVCache | None, bias: Any = None) -> tuple[Any, KVCache | None]:
        batch, length, size = x.shape
        whole = self.c_attn(x).reshape(batch, length, 3, self.heads, size // self.heads)
        q, k, v = (whole[:, :, part] for part in range(3))
        mixed, cache = attend(q, k, v, causal=True, bias=bias, cache=cache)
        return self.c_proj(mixed.reshape(batch, length, size)), cache


class GPT2MLP(Module):
    """c_proj(act(c_fc(x)))."""

    def __init__(self, config: GPT2Config, dtype: Any, parallel: Parallel):
        inner = config.n_inner or 4 * config.n_embd
        self.act = config.activation_function
        self.c_fc = Conv1D(config.n_embd, inner, "columns", dtype, parallel,
                           initializers.normal(config.initializer_range))
        self.c_proj = Conv1D(inner, config.n_embd, "rows", dtype, parallel, _of_residuals(config))

    def __call__(self, x: Any) -> Any:
        return self.c_proj(activation_of(self.act)(self.c_fc(x)))


def _of_residuals(config: GPT2Config) -> Any:
    """Of projections whose results are added to the residual: so many of them keep its variance."""
    return initializers.normal(config.initializer_range / (2 * config.n_layer) ** 0.5)


class GPT2Block(Module):
    """Attention and MLP, each of the normalised input and added to it."""

    def __init__(self, config: GPT2Config, dtype: Any, parallel: Parallel):
        self.ln_1 = LayerNorm(config.n_embd, config.layer_norm_epsilon, dtype=dtype)
        self.attn = GPT2Attention(config, dtype, parallel)
        self.ln_2 = LayerNorm(config.n_embd, config.layer_norm_epsilon, dtype=dtype)
        self.mlp = GPT2MLP(config, dtype, parallel)
        self.rate = config.resid_pdrop

    def __call__(self, x: Any, key: Any = None, cache: KVCache | None = None, bias: Any = None
                 ) -> tuple[Any, KVCache | None]:
        drop = Dropout(self.rate)
        keys = (None, None) if key is None else (rng.fold_in(key, 0), rng.fold_in(key, 1))
        mixed, cache = self.attn(self.ln_1(x), cache, bias)
        x = x + drop(mixed, keys[0])
        return x + drop(self.mlp(self.ln_2(x)), keys[1]), cache


class GPT2Transformer(Module):
    """The model without its head: embeddings, blocks and the last normalisation."""

    def __init__(self, config: GPT2Config, dtype: Any, parallel: Parallel, remat: Any):
        init = initializers.normal(config.initializer_range)
        self.wte = Embedding(config.vocab_size, config.n_embd, dtype, split=True, parallel=parallel,
                             init=init)
        self.wpe = Embedding(config.n_positions, config.n_embd, dtype, parallel=parallel, init=init)
        self.h = Stack(GPT2Block(config, dtype, parallel), config.n_layer, remat=remat,
                       parallel=parallel)
        self.ln_f = LayerNorm(config.n_embd, config.layer_norm_epsilon, dtype=dtype)


class GPT2(CausalModel):
    """A causal language model: logits [batch, sequence, vocabulary] of tokens [batch, sequence].

        model = ts.models.GPT2(config).init(ts.random.key(0))
        logits = model(tokens)

    Args:
        config: a GPT2Config, or what config.json holds.
        dtype: the type of weights and activations.
        parallel: how both are split over a mesh.
        remat: what a backward pass keeps of each layer: a policy of ts.checkpoint.
    """

    config_class = GPT2Config
    ignored = ("*.attn.bias", "*.attn.masked_bias")
    is_tied = True
    table = "transformer.wte.weight"

    def __init__(self, config: GPT2Config | Mapping[str, Any], *, dtype: Any = dtypes.f32,
                 parallel: Parallel = Parallel(), remat: Any = None):
        self.config = config if isinstance(config, GPT2Config) else GPT2Config.from_dict(config)
        self.parallel, self.kept = parallel, KeptFields()
        self.transformer = fully_shard(GPT2Transformer(self.config, dtype, parallel, remat), parallel)
        self.lm_head = None
        if not self.config.tie_word_embeddings:
            self.lm_head = fully_shard(Linear(self.config.n_embd, self.config.vocab_size, False, dtype,
                                          split="columns", parallel=parallel,
                                          init=initializers.normal(self.config.initializer_range)), parallel)

    @staticmethod
    def renamed(name: str) -> str:
        """OpenAI's own files leave the first part out."""
        return name if name.startswith(("transformer.", "lm_head.")) else f"transformer.{name}"

    def __call__(self, tokens: Any, *, key: Any = None, positions: Any = None, segments: Any = None) -> Any:
        """Logits of each next token.

        Args:
            key: of the random choices of dropout, in training.
            positions: of the tokens, [sequence] or [batch, sequence]; those from 0 on by default.
            segments: the number of each token's document, [batch, sequence]: attention sees no other one.
        """
        if key is not None and self.config.attn_pdrop:
            raise ConfigError("TS4012", f"attn_pdrop={self.config.attn_pdrop} drops weights of attention, "
                              "which its kernels never hold", expected="attn_pdrop=0 for training",
                              hint="drop embeddings and results by embd_pdrop and resid_pdrop")
        tokens = self.tokens_of(tokens, self.most_of_table if positions is None else None)
        t = self.transformer
        positions = creation.arange(tokens.shape[1]) if positions is None else positions
        x, given = self.embed(tokens, positions), self.settings(positions, segments)
        if key is None:
            x, _ = t.h.scan(lambda block, x, _: (block(x, **given)[0], None), x)
        else:
            x = Dropout(self.config.embd_pdrop)(x, rng.fold_in(key, len(t.h)))
            x, _ = t.h.scan(lambda block, x, i: (block(x, rng.fold_in(key, i), **given)[0], None), x,
                            creation.arange(len(t.h)))
        return self.head(x)

    @property
    def most_of_table(self) -> int:
        """Positions that have a row of the table."""
        return self.config.n_positions

    def check_arguments(self, tokens: Any = None, *others: Any, **named: Any) -> None:
        """Raises for tokens of the host that the vocabulary does not have."""
        lookups.check_known(tokens, 0, self.config.vocab_size)

    @property
    def blocks(self) -> Stack:
        """The layers."""
        return self.transformer.h

    def embed(self, tokens: Any, positions: Any) -> Any:
        """What the first layer takes."""
        def embedded(wte: Embedding, wpe: Embedding, tokens: Any, positions: Any) -> Any:
            return wte(tokens) + wpe(positions)

        t = self.transformer
        return apply_layer(self.parallel, embedded, t.wte, t.wpe, tokens, positions)

    def settings(self, positions: Any, segments: Any) -> dict[str, Any]:
        """What each layer is given beside its input."""
        dtype = self.parameters()[0].dtype
        return {} if segments is None else {"bias": document_bias(segments, dtype)}

    def head(self, x: Any) -> Any:
        """Logits of what the last layer gives."""
        return self.logits(self.transformer.ln_f, self.lm_head or self.transformer.wte, x)
