# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Permutations made of a seed and an epoch alone, the same with every version of NumPy."""

from __future__ import annotations

import numpy as np

# Up to this size a permutation is a table; beyond, a Feistel network gives entries one by one.
TABLE_SIZE = 1 << 20
_ROUNDS = 8
_GOLDEN = 0x9E3779B97F4A7C15
_MASK = (1 << 64) - 1


def _mixed(x: np.ndarray) -> np.ndarray:
    """The finaliser of SplitMix64 (Steele, Lea, Flood 2014): a bijection of u64."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def _key(*words: int) -> int:
    """One word made of several, each of which changes all of its bits."""
    key = 0
    for word in words:
        key = int(_mixed(np.array([(key + _GOLDEN + word) & _MASK], np.uint64))[0])
    return key


class Permutation:
    """A permutation of range(size): `permutation[indices]` gives int64 entries.

    Small ones sort the hashes of the indices, which are distinct; a table holds the result. Large
    ones are a Feistel network of 8 rounds on the bits of the index, walked until it comes back
    into the range (Black and Rogaway 2002), and take no memory.

    Args:
        size: how many.
        words: seed, epoch and purpose; permutations of other words are independent.
    """

    def __init__(self, size: int, *words: int, table_size: int = TABLE_SIZE):
        self.size = size
        key = _key(size, *words)
        self._table: np.ndarray | None = None
        if size <= table_size:
            hashes = _mixed(np.arange(size, dtype=np.uint64) * np.uint64(_GOLDEN) + np.uint64(key))
            self._table = np.argsort(hashes, kind="stable")
            return
        bits = (size - 1).bit_length()
        self._low_bits = np.uint64(bits // 2)
        self._low_mask = np.uint64((1 << bits // 2) - 1)
        self._high_mask = np.uint64((1 << (bits - bits // 2)) - 1)
        self._keys = [np.uint64(_key(key, number)) for number in range(_ROUNDS)]

    def __getitem__(self, indices: np.ndarray) -> np.ndarray:
        if self._table is not None:
            return self._table[indices]
        result = self._network(np.asarray(indices, np.uint64))
        # The network permutes a power of two, less than twice the size.
        while (outside := np.flatnonzero(result >= np.uint64(self.size))).size:
            result[outside] = self._network(result[outside])
        return result.astype(np.int64)

    def _network(self, x: np.ndarray) -> np.ndarray:
        high, low = x >> self._low_bits, x & self._low_mask
        for number, key in enumerate(self._keys):
            if number % 2:
                low = low ^ (_mixed(high + key) & self._low_mask)
            else:
                high = high ^ (_mixed(low + key) & self._high_mask)
        return (high << self._low_bits) | low


class Identity:
    """The order of range(size), where nothing is to be shuffled."""

    def __init__(self, size: int):
        self.size = size

    def __getitem__(self, indices: np.ndarray) -> np.ndarray:
        return np.asarray(indices, np.int64)
