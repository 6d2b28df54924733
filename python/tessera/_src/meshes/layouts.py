# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Layouts as the compiler writes them, "[{dp}, {tp}]", and what they mean on a mesh."""

from __future__ import annotations

import math
import re
from functools import lru_cache

from tessera._src.meshes.mesh import SUB_AXIS, UNCONSTRAINED, Mesh, PartitionSpec

_DIM = re.compile(r"\{([^{}]*)\}")


@lru_cache(maxsize=4096)
def spec_of(layout: str) -> PartitionSpec:
    """The PartitionSpec of a layout; factors of axes keep the compiler's spelling, "tp:(2)4"."""
    dims: list = []
    for text in _DIM.findall(layout):
        axes = [axis.strip() for axis in text.split(",") if axis.strip()]
        if "?" in axes:
            dims.append(UNCONSTRAINED)
        else:
            dims.append(None if not axes else axes[0] if len(axes) == 1 else tuple(axes))
    while dims and dims[-1] is None:  # As users write it.
        dims.pop()
    return PartitionSpec(*dims)


def is_closed(layout: str) -> bool:
    """Whether every dimension's axes are given."""
    return "?" not in layout


@lru_cache(maxsize=4096)
def digits_of(layout: str, mesh: Mesh) -> tuple[tuple[tuple[int, int], ...], ...]:
    """Per dimension the axes that cut it, major to minor, as (stride in device numbers, size)."""
    strides, stride = {}, mesh.size
    for name, size in mesh.axes:
        stride //= size
        strides[name] = (stride, size)
    result = []
    for text in _DIM.findall(layout):
        digits = []
        for axis in (part.strip() for part in text.split(",")):
            if not axis:
                continue
            factor = SUB_AXIS.match(axis)
            stride, size = strides[factor[1] if factor else axis]
            if factor:
                before, own = int(factor[2]), int(factor[3])
                stride, size = stride * (size // math.prod((before, own))), own
            digits.append((stride, size))
        result.append(tuple(digits))
    return tuple(result)
