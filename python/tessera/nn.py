# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Functions of neural networks over plain weights, and modules, which are trees of theirs."""

import sys as _sys

from tessera._src.core.missing import missing as _missing
from tessera._src.functions.eager import make_eager as _make_eager
from tessera._src.nn import initializers
from tessera._src.nn.attention import Attention, KVCache, Rotary
from tessera._src.nn.blocks import MLP, GatedMLP, TransformerBlock
from tessera._src.nn.layers import (
    ColumnParallelLinear,
    Dropout,
    Embedding,
    LayerNorm,
    Linear,
    RMSNorm,
    RowParallelLinear,
    VocabParallelEmbedding,
)
from tessera._src.nn.module import Module, Parameter
from tessera._src.nn.parallel import Parallel
from tessera._src.nn.stack import Stack
from tessera._src.nn.zero import apply_layer, fully_shard
from tessera._src.ops.creation import one_hot
from tessera._src.ops.derived import elu, leaky_relu, softplus
from tessera._src.ops.elementwise import gelu, relu, sigmoid, silu
from tessera._src.ops.lookups import embedding
from tessera._src.ops.losses import dropout, softmax_cross_entropy
from tessera._src.ops.neural import attention, check_heads, dense, layer_norm, linear, norm, rms_norm
from tessera._src.ops.reductions import log_softmax, logsumexp, softmax

_make_eager(globals())
__all__ = [
    "Attention",
    "ColumnParallelLinear",
    "Dropout",
    "Embedding",
    "GatedMLP",
    "KVCache",
    "LayerNorm",
    "Linear",
    "MLP",
    "Module",
    "Parallel",
    "Parameter",
    "RMSNorm",
    "Rotary",
    "RowParallelLinear",
    "Stack",
    "TransformerBlock",
    "VocabParallelEmbedding",
    "apply_layer",
    "attention",
    "check_heads",
    "dense",
    "dropout",
    "elu",
    "embedding",
    "fully_shard",
    "gelu",
    "initializers",
    "layer_norm",
    "leaky_relu",
    "linear",
    "log_softmax",
    "logsumexp",
    "norm",
    "one_hot",
    "relu",
    "rms_norm",
    "sigmoid",
    "silu",
    "softmax",
    "softmax_cross_entropy",
    "softplus",
]


def __getattr__(name: str):
    raise _missing(_sys.modules[__name__], name)
