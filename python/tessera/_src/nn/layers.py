# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Layers with weights of their own, in torch's orientation and with its names."""

from __future__ import annotations

from typing import Any

import numpy as np

from tessera._src.core import dtypes
from tessera._src.core.errors import ConfigError
from tessera._src.meshes.mesh import PartitionSpec as P
from tessera._src.nn import initializers
from tessera._src.nn.module import Module, Parameter
from tessera._src.nn.parallel import Parallel
from tessera._src.ops import losses, lookups, neural

Initializer = initializers.Initializer


def float_type(dtype: Any, what: str) -> np.dtype:
    """The type of a module's weights."""
    dtype = dtypes.canonical(dtype)
    if not dtypes.is_float(dtype):
        raise ConfigError("TS4012", f"weights of {what} are of a type of floats",
                          got=dtypes.name_of(dtype), choices=["f64", "f32", "f16", "bf16"])
    return dtype


class Linear(Module):
    """x @ weight.T + bias over the last dimension.

    Args:
        in_features, out_features: sizes of the last dimension of the input and the result.
        bias: whether there is one.
        split: "columns" if devices along parallel.tp hold some of the outputs each, "rows" if some of
            the inputs each; None if the weight is whole on each. The result's layout follows.
        gather_input: whether one that is split by columns has its input gathered, where the sequence is
            split between blocks. Layers of one input leave it to whoever has that, so that gradients by
            the input are added up before they are scattered.
        init: of the weight; by default as torch's.
    """

    def __init__(self, in_features: int, out_features: int, bias: bool = True, dtype: Any = dtypes.f32, *,
                 split: str | None = None, gather_input: bool = True, parallel: Parallel = Parallel(),
                 init: Initializer | None = None):
        if split not in (None, "columns", "rows"):
            raise ConfigError("TS4007", "a linear layer is split by columns or by rows", got=repr(split),
                              choices=["'columns'", "'rows'", "None"])
        dtype = float_type(dtype, "nn.Linear")
        self.in_features, self.out_features = in_features, out_features
        self.split, self.gather_input, self.parallel = split, gather_input, parallel
        spec = {None: (None, None), "columns": (parallel.tp, None), "rows": (None, parallel.tp)}[split]
        first = init or initializers.uniform()
        self.weight = Parameter((out_features, in_features), dtype, first, P(*spec))
        self.bias = Parameter((out_features,), dtype, init and initializers.zeros
                              or initializers.uniform(inputs=in_features),
                              P(spec[0])) if bias else None

    def __call__(self, x: Any) -> Any:
        if self.split == "columns":
            x = self.parallel.gathered(x) if self.gather_input else x
            return self.parallel.hidden(neural.linear(x, self.weight, self.bias))
        if self.split == "rows":
            return self.parallel.between(neural.linear(self.parallel.split(x), self.weight, self.bias))
        return neural.linear(x, self.weight, self.bias)


class ColumnParallelLinear(Linear):
    """nn.Linear with split="columns", by Megatron-LM's name: the result is split over parallel.tp."""

    def __init__(self, in_features: int, out_features: int, bias: bool = True, dtype: Any = dtypes.f32,
                 **settings: Any):
        super().__init__(in_features, out_features, bias, dtype, split="columns", **settings)


class RowParallelLinear(Linear):
    """nn.Linear with split="rows", by Megatron-LM's name: the input is split over parallel.tp."""

    def __init__(self, in_features: int, out_features: int, bias: bool = True, dtype: Any = dtypes.f32,
                 **settings: Any):
        super().__init__(in_features, out_features, bias, dtype, split="rows", **settings)


class Embedding(Module):
    """Rows of a table by their numbers.

    Args:
        num_embeddings, embedding_dim: rows of the table, and sizes of these.
        split: whether devices along parallel.tp hold some of the rows each.
    """

    def __init__(self, num_embeddings: int, embedding_dim: int, dtype: Any = dtypes.f32, *,
                 split: bool = False, parallel: Parallel = Parallel(),
                 init: Initializer = initializers.normal(1.0)):
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.split, self.parallel = split, parallel
        self.weight = Parameter((num_embeddings, embedding_dim), float_type(dtype, "nn.Embedding"), init,
                                P(parallel.tp if split else None, None))

    def __call__(self, ids: Any) -> Any:
        return self.parallel.between(lookups.embedding(self.weight, ids))

    def check_arguments(self, ids: Any = None, *others: Any, **named: Any) -> None:
        """Raises for numbers of the host that are no row's."""
        lookups.check_known(ids, 0, self.num_embeddings)

    def attend(self, x: Any) -> Any:
        """The product of `x` and all rows: the logits of a head that shares the table."""
        logits = neural.linear(self.parallel.gathered(x), self.weight)
        return self.parallel.hidden(logits) if self.split else logits


class VocabParallelEmbedding(Embedding):
    """nn.Embedding with split=True, by Megatron-LM's name."""

    def __init__(self, num_embeddings: int, embedding_dim: int, dtype: Any = dtypes.f32, **settings: Any):
        super().__init__(num_embeddings, embedding_dim, dtype, split=True, **settings)


class LayerNorm(Module):
    """Rows of the last dimension with mean 0 and variance 1, times a weight, plus a bias."""

    def __init__(self, size: int, eps: float = 1e-5, bias: bool = True, dtype: Any = dtypes.f32):
        dtype = float_type(dtype, "nn.LayerNorm")
        self.eps = eps
        self.weight = Parameter((size,), dtype, initializers.ones)
        self.bias = Parameter((size,), dtype, initializers.zeros) if bias else None

    def __call__(self, x: Any) -> Any:
        return neural.layer_norm(x, self.weight, self.bias, self.eps)


class RMSNorm(Module):
    """Rows of the last dimension with root mean square 1, times a weight."""

    def __init__(self, size: int, eps: float = 1e-6, dtype: Any = dtypes.f32):
        self.eps = eps
        self.weight = Parameter((size,), float_type(dtype, "nn.RMSNorm"), initializers.ones)

    def __call__(self, x: Any) -> Any:
        return neural.rms_norm(x, self.weight, self.eps)


class Dropout(Module):
    """Elements are zero with probability `rate`, and the others larger, so that the mean stays.

    Without a key it gives its input: that is evaluation.
    """

    def __init__(self, rate: float):
        if not 0 <= rate < 1:
            raise ConfigError("TS4012", f"nn.Dropout({rate!r})", expected="a rate of at least 0, below 1")
        self.rate = rate

    def __call__(self, x: Any, key: Any = None) -> Any:
        return x if key is None or self.rate == 0 else losses.dropout(x, self.rate, key)
