# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""First elements of weights, each a function of a key, a shape and a type."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tessera._src.core import dtypes
from tessera._src.ops import creation, rng
from tessera._src.tracing.operands import convert


def zeros(key: Any, shape: tuple[int, ...], dtype: np.dtype) -> Any:
    """All 0."""
    return creation.full(shape, 0, dtype)


def ones(key: Any, shape: tuple[int, ...], dtype: np.dtype) -> Any:
    """All 1."""
    return creation.full(shape, 1, dtype)


@dataclass(frozen=True)
class normal:  # noqa: N801
    """Normally distributed around 0.

    Attributes:
        deviation: the standard deviation.
    """

    deviation: float = 0.02

    def __call__(self, key: Any, shape: tuple[int, ...], dtype: np.dtype) -> Any:
        drawn = rng.normal(key, shape, _drawn_in(dtype)) * self.deviation
        return convert(drawn, dtype)


@dataclass(frozen=True)
class uniform:  # noqa: N801
    """Uniformly distributed between -bound and bound.

    Attributes:
        bound: the largest element; by default 1 / sqrt(inputs), as torch's linear layers have.
        inputs: elements that one output is a sum of; by default the last dimension's.
    """

    bound: float | None = None
    inputs: int | None = None

    def __call__(self, key: Any, shape: tuple[int, ...], dtype: np.dtype) -> Any:
        bound = 1 / math.sqrt(self.inputs or shape[-1]) if self.bound is None else self.bound
        return convert(rng.uniform(key, shape, _drawn_in(dtype), -bound, bound), dtype)


def _drawn_in(dtype: np.dtype) -> np.dtype:
    """16-bit elements are rounded ones of f32, so that a model starts alike in either type."""
    return dtype if dtype.itemsize >= 4 else dtypes.f32


Initializer = Callable[[Any, tuple, np.dtype], Any]
