# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Permutations: bijections that depend on seed, epoch and purpose, and look like chance."""

import itertools

import numpy as np
import pytest

from tessera._src.data.permutation import Permutation


@pytest.mark.parametrize("size", [1, 2, 3, 5, 16, 17, 100, 1000, 4097])
@pytest.mark.parametrize("table_size", [0, 1 << 20])
def test_every_index_has_one_place(size, table_size):
    order = Permutation(size, 7, 1, table_size=table_size)[np.arange(size)]
    assert order.dtype == np.int64
    assert sorted(order.tolist()) == list(range(size))


@pytest.mark.parametrize("table_size", [0, 1 << 20])
def test_words_make_other_orders(table_size):
    def order(*words):
        return tuple(Permutation(100, *words, table_size=table_size)[np.arange(100)].tolist())

    words = [(0, 0, 1), (0, 1, 1), (1, 0, 1), (0, 0, 2), (2**63, 0, 1)]
    assert len({order(*w) for w in words}) == len(words)
    assert order(0, 0, 1) == order(0, 0, 1)


def test_entries_are_the_same_one_by_one():
    order = Permutation(5000, 3, table_size=0)
    together = order[np.arange(5000)]
    assert [order[np.array([i])][0] for i in (0, 17, 4999)] == together[[0, 17, 4999]].tolist()


def test_orders_stay_what_they_are():
    # A state of last year resumes today: these numbers never change.
    assert Permutation(10, 1, 2, 3)[np.arange(10)].tolist() == [8, 4, 6, 3, 7, 5, 9, 2, 0, 1]
    network = Permutation(1000, 1, 2, 3, table_size=0)
    assert network[np.arange(6)].tolist() == [555, 669, 380, 569, 386, 753]


@pytest.mark.parametrize("table_size", [0, 1 << 20])
def test_all_orders_are_equally_likely(table_size):
    counts = dict.fromkeys(itertools.permutations(range(4)), 0)
    for epoch in range(2400):
        counts[tuple(Permutation(4, 5, epoch, table_size=table_size)[np.arange(4)].tolist())] += 1
    # 24 orders, 100 times each: chi-squared of 23 degrees is above 50 in one of a thousand.
    assert sum((count - 100) ** 2 / 100 for count in counts.values()) < 50


def test_network_leaves_no_pattern():
    size = 1 << 16
    order = Permutation(size, 11, table_size=0)[np.arange(size)]
    neighbours = np.abs(np.diff(order))
    assert abs(neighbours.mean() / (size / 3) - 1) < 0.02
    assert abs(np.corrcoef(np.arange(size), order)[0, 1]) < 0.015
