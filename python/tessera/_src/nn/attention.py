# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Attention with projections of its own, grouped heads, rotary positions and a window."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from tessera._src.core import dtypes
from tessera._src.core.errors import ConfigError, ShapeError
from tessera._src.nn.initializers import Initializer
from tessera._src.nn.layers import Linear, RMSNorm
from tessera._src.nn.module import Module
from tessera._src.nn.parallel import Parallel
from tessera._src.ops import creation, effects, elementwise, lookups, neural, shaping
from tessera._src.tracing.operands import constant, convert, lift


@dataclass(frozen=True)
class Rotary:
    """Rotary position embedding: pairs of a head's elements, half a head apart, are turned by an angle
    that grows with the position (Su et al., RoFormer, 2021; halves as in Hugging Face's models).

    Attributes:
        size: elements of a head that are turned.
        theta: the base of the frequencies.
        scaling: how frequencies of longer contexts are stretched: None, or of Llama 3 ("llama3") or linear
            ("linear") as config.json's rope_scaling says.
    """

    size: int
    theta: float = 10000.0
    scaling: tuple[tuple[str, Any], ...] | None = None

    def frequencies(self) -> list[float]:
        """Angles a position, one for each pair."""
        plain = [self.theta ** (-2 * i / self.size) for i in range(self.size // 2)]
        given: Mapping[str, Any] = dict(self.scaling or ())
        kind = given.get("rope_type", given.get("type", "default"))
        if kind == "default":
            return plain
        if kind == "linear":
            return [f / given["factor"] for f in plain]
        if kind == "llama3":
            return [_stretched(f, given) for f in plain]
        raise ConfigError("TS4008", f"rotary positions are scaled by '{kind}'",
                          choices=["default", "linear", "llama3"])

    def __call__(self, x: Any, positions: Any) -> Any:
        """`x` [batch, sequence, heads, size] at `positions` [sequence] or [batch, sequence]."""
        # Functions that are traced by themselves, such as what is differentiated, use values around them.
        x, positions = lift(x), lift(positions)
        kind = dtypes.f64 if x.dtype == dtypes.f64 else dtypes.f32
        angles = convert(positions, kind)[..., None] * constant(np.array(self.frequencies(), kind))
        cos, sin = (f(angles)[..., None, :] for f in (elementwise.cos, elementwise.sin))
        half = self.size // 2
        one, other = convert(x[..., :half], kind), convert(x[..., half : self.size], kind)
        parts = [one * cos - other * sin, other * cos + one * sin]
        turned = [convert(part, x.dtype) for part in parts]
        rest = [x[..., self.size :]] if self.size < x.shape[-1] else []
        return shaping.concatenate([*turned, *rest], -1)


def _stretched(frequency: float, given: Mapping[str, Any]) -> float:
    """Of Llama 3.1: long waves are stretched, short ones are not, between them it changes gradually."""
    wave = 2 * math.pi / frequency
    whole = given["original_max_position_embeddings"]
    low, high = given["low_freq_factor"], given["high_freq_factor"]
    if wave > whole / low:
        return frequency / given["factor"]
    if wave < whole / high:
        return frequency
    part = (whole / wave - low) / (high - low)
    return (1 - part) * frequency / given["factor"] + part * frequency


class KVCache(NamedTuple):
    """Keys and values of the positions that were seen, for decoding.

    Attributes:
        keys, values: [batch, positions, key heads, head size], or of all layers with a dimension before;
            those from `length` on are not set.
        length: positions that are set, i32.
    """

    keys: Any
    values: Any
    length: Any


def check_room(cache: KVCache, count: int) -> None:
    """Makes a program fail, with TS5005, where a cache does not hold so many positions more."""
    room = cache.keys.shape[-3]
    if count > room:
        raise ShapeError("TS3023", f"{count} positions do not fit a cache of {room}",
                         hint="make a larger one with model.empty_cache(batch, positions)")
    effects.check(cache.length <= room - count,
                  f"a cache of {room} positions has {{}} set, and is to take {count} more", cache.length)


def attend(q: Any, k: Any, v: Any, *, causal: bool, window: int | None = None, bias: Any = None,
           cache: KVCache | None = None) -> tuple[Any, KVCache | None]:
    """Attention of [batch, sequence, heads, size] with keys and values, those of a cache before them.

    Args:
        window: how many positions a position sees, itself included; None for all.
        bias: floats added to the scores: broadcasts to [batch, heads, sequence, keys].

    Returns:
        The mixed values, and the cache with these positions, or None.
    """
    length = q.shape[1]
    if cache is not None:
        if not causal:
            raise ConfigError("TS4012", "attention that is not causal has a cache of keys and values",
                              expected="causal attention: what comes later changes what came before",
                              hint="leave the cache out")
        keys, values = (lookups.dynamic_update_slice_in_dim(whole, new, cache.length, 1)
                        for whole, new in ((cache.keys, k), (cache.values, v)))
        cache = KVCache(keys, values, cache.length + length)
        k, v = keys, values
    if cache is not None or (window is not None and window < length):
        hidden = convert(_hidden(length, k.shape[1], window, cache), q.dtype)
        bias = hidden if bias is None else neural.score_bias(bias) + hidden
    return neural.attention(q, k, v, bias, causal=causal and cache is None), cache


def _hidden(queries: int, keys: int, window: int | None, cache: KVCache | None) -> Any:
    """-inf where a query does not see a key, as far as causal attention does not say it."""
    last = creation.arange(queries)[:, None]
    if cache is not None:
        last = last + (cache.length - queries)
    places = creation.arange(keys)[None, :]
    seen = places <= last
    if window is not None:
        seen = elementwise.logical_and(seen, places > last - window)
    return elementwise.where(seen, 0.0, -math.inf)


def document_bias(segments: Any, dtype: Any) -> Any:
    """What hides other documents of a sample from attention: [batch, 1, sequence, sequence], 0 or -inf.

    Args:
        segments: the number of the document of each token, [batch, sequence], as ts.data gives it.
    """
    same = elementwise.equal(segments[:, None, :, None], segments[:, None, None, :])
    return convert(elementwise.where(same, 0.0, -math.inf), dtype)


class Attention(Module):
    """Multi-head attention of a sequence with itself, by Hugging Face's names of Llama's weights.

    Args:
        dim: size of the input and the result.
        num_heads: heads of the query.
        num_kv_heads: heads of key and value, each shared by a group of query heads; all by default.
        head_dim: size of a head; dim / num_heads by default.
        bias: whether the projections of query, key and value have one; `out_bias` of the result's.
        rotary: how positions turn query and key; None if they do not.
        causal: whether a position sees none after it.
        window: how many positions a position sees, itself included; None for all.
        qk_norm: whether query and key heads are normalised, as in Qwen 3; the epsilon, if so.
    """

    def __init__(self, dim: int, num_heads: int, num_kv_heads: int | None = None,
                 head_dim: int | None = None, *, bias: bool = False, out_bias: bool | None = None,
                 rotary: Rotary | None = None, causal: bool = True, window: int | None = None,
                 qk_norm: float | None = None, dtype: Any = dtypes.f32, parallel: Parallel = Parallel(),
                 init: Initializer | None = None):
        num_kv_heads = num_heads if num_kv_heads is None else num_kv_heads
        if head_dim is None and dim % num_heads:
            raise ConfigError("TS4001", f"dim={dim} is not divisible by num_heads={num_heads}",
                              choices=[d for d in range(1, dim + 1) if dim % d == 0][:12],
                              hint="or pass head_dim")
        if num_kv_heads < 1 or num_heads % num_kv_heads:
            raise ConfigError("TS4001", f"num_heads={num_heads} do not share num_kv_heads={num_kv_heads}",
                              choices=[d for d in range(1, num_heads + 1) if num_heads % d == 0])
        if window is not None and (window < 1 or not causal):
            raise ConfigError("TS4012", f"an attention window of {window}",
                              expected="an integer of at least 1, of causal attention")
        self.num_heads, self.num_kv_heads = num_heads, num_kv_heads
        self.head_dim = dim // num_heads if head_dim is None else head_dim
        self.rotary, self.causal, self.window, self.parallel = rotary, causal, window, parallel
        into = {"dtype": dtype, "parallel": parallel, "init": init, "split": "columns",
                "gather_input": False}
        self.q_proj = Linear(dim, num_heads * self.head_dim, bias, **into)
        self.k_proj = Linear(dim, num_kv_heads * self.head_dim, bias, **into)
        self.v_proj = Linear(dim, num_kv_heads * self.head_dim, bias, **into)
        self.o_proj = Linear(num_heads * self.head_dim, dim, bias if out_bias is None else out_bias,
                             dtype, split="rows", parallel=parallel, init=init)
        if qk_norm is not None:
            self.q_norm = RMSNorm(self.head_dim, qk_norm, dtype)
            self.k_norm = RMSNorm(self.head_dim, qk_norm, dtype)
        self.has_norms = qk_norm is not None

    def __call__(self, x: Any, *, positions: Any = None, bias: Any = None, cache: KVCache | None = None
                 ) -> Any:
        """The result [batch, sequence, dim]; with a cache, that and the next cache.

        Args:
            positions: of the elements of the sequence, [sequence] or [batch, sequence]; those from 0 on,
                or from where the cache ends, by default.
            bias: floats added to the scores: broadcasts to [batch, heads, sequence, keys].
            cache: of the positions before x, which are seen, too.
        """
        batch, length, _ = x.shape
        if positions is None:
            positions = creation.arange(length)
            if cache is not None:
                positions = positions + cache.length
        x = self.parallel.gathered(x)
        q, k, v = (self._heads(layer(x)) for layer in (self.q_proj, self.k_proj, self.v_proj))
        if self.has_norms:
            q, k = self.q_norm(q), self.k_norm(k)
        if self.rotary is not None:
            q, k = self.rotary(q, positions), self.rotary(k, positions)
        mixed, cache = attend(q, k, v, causal=self.causal, window=self.window, bias=bias, cache=cache)
        result = self.o_proj(mixed.reshape(batch, length, self.num_heads * self.head_dim))
        return result if cache is None else (result, cache)

    def _heads(self, x: Any) -> Any:
        return x.reshape(*x.shape[:2], x.shape[2] // self.head_dim, self.head_dim)
