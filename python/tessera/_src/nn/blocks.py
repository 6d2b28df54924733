# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""MLPs and transformer blocks, by Hugging Face's names of Llama's weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tessera._src.core import dtypes
from tessera._src.core.errors import ConfigError
from tessera._src.nn.initializers import Initializer
from tessera._src.nn.layers import Linear
from tessera._src.nn.module import Module
from tessera._src.nn.parallel import Parallel
from tessera._src.ops import elementwise


def _gelu_tanh(x: Any) -> Any:
    return elementwise.gelu(x, approximate=True)


# By the names that Hugging Face's configurations use.
ACTIVATIONS: dict[str, Callable] = {
    "gelu": elementwise.gelu,
    "gelu_new": _gelu_tanh,
    "gelu_pytorch_tanh": _gelu_tanh,
    "relu": elementwise.relu,
    "silu": elementwise.silu,
    "swish": elementwise.silu,
}


def activation_of(name: str) -> Callable:
    """The function of this name; raises ConfigError TS4008 if there is none."""
    if name not in ACTIVATIONS:
        raise ConfigError("TS4008", f"unknown activation '{name}'", choices=list(ACTIVATIONS))
    return ACTIVATIONS[name]


class MLP(Module):
    """down_proj(act(up_proj(x))): the standard MLP of a transformer.

    Args:
        dim: size of the input and the result.
        hidden_dim: size between the two products, split over parallel.tp.
        act: "gelu", "gelu_new", "relu" or "silu".
    """

    def __init__(self, dim: int, hidden_dim: int, act: str = "gelu", bias: bool = True,
                 dtype: Any = dtypes.f32, *, parallel: Parallel = Parallel(),
                 init: Initializer | None = None):
        activation_of(act)
        self.act = act
        self.up_proj = Linear(dim, hidden_dim, bias, dtype, split="columns", parallel=parallel, init=init)
        self.down_proj = Linear(hidden_dim, dim, bias, dtype, split="rows", parallel=parallel, init=init)

    def __call__(self, x: Any) -> Any:
        return self.down_proj(activation_of(self.act)(self.up_proj(x)))


class GatedMLP(Module):
    """down_proj(act(gate_proj(x)) * up_proj(x)): SwiGLU with act="silu", GeGLU with "gelu" (Shazeer,
    GLU Variants Improve Transformer, 2020)."""

    def __init__(self, dim: int, hidden_dim: int, act: str = "silu", bias: bool = False,
                 dtype: Any = dtypes.f32, *, parallel: Parallel = Parallel(),
                 init: Initializer | None = None):
        activation_of(act)
        self.act = act
        self.parallel = parallel
        into = {"split": "columns", "gather_input": False, "parallel": parallel, "init": init}
        self.gate_proj = Linear(dim, hidden_dim, bias, dtype, **into)
        self.up_proj = Linear(dim, hidden_dim, bias, dtype, **into)
        self.down_proj = Linear(hidden_dim, dim, bias, dtype, split="rows", parallel=parallel, init=init)

    def __call__(self, x: Any) -> Any:
        x = self.parallel.gathered(x)
        return self.down_proj(activation_of(self.act)(self.gate_proj(x)) * self.up_proj(x))


class TransformerBlock(Module):
    """x + self_attn(input_layernorm(x)), and that + mlp(post_attention_layernorm(that)).

    Args:
        self_attn, mlp: such as nn.Attention and nn.GatedMLP.
        input_layernorm, post_attention_layernorm: such as nn.RMSNorm.
    """

    def __init__(self, self_attn: Module, mlp: Module, input_layernorm: Module,
                 post_attention_layernorm: Module):
        self.self_attn, self.mlp = self_attn, mlp
        self.input_layernorm = input_layernorm
        self.post_attention_layernorm = post_attention_layernorm

    def __call__(self, x: Any, **settings: Any) -> Any:
        """The result; with a cache among the settings of the attention, that and the next cache."""
        mixed = self.self_attn(self.input_layernorm(x), **settings)
        mixed, cache = mixed if settings.get("cache") is not None else (mixed, None)
        x = x + mixed
        x = x + self.mlp(self.post_attention_layernorm(x))
        return x if cache is None else (x, cache)
