# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Functions of neural networks over plain weights."""

from tessera._src.elementwise import gelu, relu, sigmoid, silu
from tessera._src.neural import attention, check_heads, dense, layer_norm, linear, norm, rms_norm
from tessera._src.reductions import softmax
from tessera._src.shaping import embedding

__all__ = [
    "attention",
    "check_heads",
    "dense",
    "embedding",
    "gelu",
    "layer_norm",
    "linear",
    "norm",
    "relu",
    "rms_norm",
    "sigmoid",
    "silu",
    "softmax",
]
