# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Copies of much memory at once."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from tessera._src.arrays.array import Shard
from tessera._src.programs import runtime


def copy_all(copies: Iterable[tuple[Shard | np.ndarray, np.ndarray]]) -> None:
    """Copies shards and arrays on the host into contiguous arrays of their shapes, on several threads.

    An array on the host may be of another element type, which is then converted.
    """
    of_shards, of_arrays = [], []
    for origin, into in copies:
        placed = origin._array._on_devices() if isinstance(origin, Shard) else None
        if placed is not None:
            of_shards.append((placed, origin._number, into))
        else:
            elements = origin.data.numpy() if isinstance(origin, Shard) else origin
            if elements.flags.c_contiguous and elements.dtype == into.dtype:
                of_arrays.append((elements, into))
            else:
                np.copyto(into, elements)
    if of_shards:
        runtime.copy_all(of_shards, of_arrays)
    else:  # The runtime may not be loaded, or not be there.
        for elements, into in of_arrays:
            np.copyto(into, elements)
