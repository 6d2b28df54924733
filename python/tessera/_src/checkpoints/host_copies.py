# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Memory for the copies that asynchronous saves write: kept from one save to the next.

The system gives memory that a process has not used before page by page, zeroed, which takes many times as
long as the copy into it: what a save has used is kept for the next one.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np

# Copies are placed at multiples of this, as vectors of any machine want it.
_ALIGNMENT = 64

_lock = threading.Lock()
_kept: np.ndarray | None = None


def take(size: int) -> np.ndarray:
    """Bytes that nobody else uses until they are given back; what is in them is arbitrary."""
    global _kept
    with _lock:
        memory, _kept = _kept, None
    # What is far too large was kept for another state, such as that of another model.
    if memory is not None and size <= memory.nbytes <= 2 * size:
        return memory
    del memory  # First, since both may be large.
    return np.empty(size, np.uint8)


def give_back(memory: np.ndarray) -> None:
    """Keeps the memory for the next save."""
    global _kept
    with _lock:
        _kept = memory


def places(sizes: Sequence[int]) -> tuple[list[int], int]:
    """Where copies of these sizes begin, and the bytes of them all."""
    begins, end = [], 0
    for size in sizes:
        begins.append(end)
        end += -(-size // _ALIGNMENT) * _ALIGNMENT
    return begins, end
