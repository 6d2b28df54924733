# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Mixtures: exact shares at every moment, and each part in its own order."""

from fractions import Fraction

import numpy as np
import pytest

import tessera as ts
from refusals import check
from tessera._src.data import mixture as mixture_module


class Numbers:
    """A data set of one token a sample, which tells part and position."""

    length = 1

    def __init__(self, part, size=10):
        self.part, self.size = part, size

    def rows(self, positions):
        return {"tokens": (1000 * self.part + positions.reshape(-1, 1)).astype(np.int32)}

    def fingerprint(self):
        return {"part": self.part}


def turns_of(mixture, count):
    tokens = mixture.rows(np.arange(count))["tokens"].ravel()
    return tokens // 1000, tokens % 1000


@pytest.mark.parametrize("weights, shares, period", [
    ((3, 1), (3, 1), 4), ((0.7, 0.2, 0.1), (7, 2, 1), 10), ((1, 1, 1), (1, 1, 1), 3), ((5,), (1,), 1),
    ((1e9, 3e9), (1, 3), 4), ((Fraction(1, 3), Fraction(2, 3)), (1, 2), 3), ((0.1, 0.2, 0.3), (1, 2, 3), 6),
    ((7, 5, 1, 1), (7, 5, 1, 1), 14)])
def test_shares_are_exact_at_every_moment(weights, shares, period):
    mixture = ts.data.Mixture([(Numbers(n), weight) for n, weight in enumerate(weights)])
    assert mixture.period == period
    assert mixture.weights == [Fraction(share, period) for share in shares]
    parts, own = turns_of(mixture, 5 * period + 2)
    for count in range(5 * period + 3):
        given = np.bincount(parts[:count], minlength=len(weights)).tolist()
        assert mixture.counts(count) == given
        assert all(g < Fraction(share * count, period) + 1 for g, share in zip(given, shares))
        if count % period == 0:
            assert given == [share * count // period for share in shares]
    # Each part gives its own samples in order, without a gap.
    for part in range(len(weights)):
        chosen = own[parts == part]
        assert chosen.tolist() == list(range(len(chosen)))


@pytest.mark.quick
def test_who_lags_most_is_next():
    mixture = ts.data.Mixture([(Numbers(0), 1), (Numbers(1), 3), (Numbers(2), 2)])
    lags, expected = [Fraction(0)] * 3, []
    for _ in range(24):
        lags = [lag + weight for lag, weight in zip(lags, mixture.weights)]
        most = lags.index(max(lags))
        lags[most] -= 1
        expected.append(most)
    assert turns_of(mixture, 24)[0].tolist() == expected


def test_odd_weights_are_rounded_to_the_longest_period():
    weights = (np.pi, np.e, 0.01)
    mixture = ts.data.Mixture([(Numbers(n), weight) for n, weight in enumerate(weights)])
    assert mixture_module.PERIOD % mixture.period == 0 and sum(mixture.weights) == 1
    for share, weight in zip(mixture.weights, weights):
        assert abs(float(share) - weight / sum(weights)) < 1 / mixture_module.PERIOD
    assert mixture.counts(mixture.period * 7) == [share * mixture.period * 7 for share in mixture.weights]


def test_positions_in_any_order():
    mixture = ts.data.Mixture([(Numbers(0), 2), (Numbers(1), 5)])
    positions = np.random.default_rng(0).permutation(50)
    expected = mixture.rows(np.arange(50))["tokens"][positions]
    np.testing.assert_array_equal(mixture.rows(positions)["tokens"], expected)


def test_parts_count_their_own_epochs():
    small, large = (ts.data.Padded(ts.data.TokenArrays([[n] for n in range(size)]), 2, seed=1)
                    for size in (4, 100))
    mixture = ts.data.Mixture([(small, 1), (large, 1)])
    assert mixture.epochs(40) == [5.0, 0.2] and mixture.size is None
    rows = mixture.rows(np.arange(40))["tokens"][:, 0]
    assert np.bincount(rows[::2]).tolist() == [5, 5, 5, 5]
    assert len(set(rows[1::2].tolist())) == 20


def test_mixtures_of_mixtures():
    inner = ts.data.Mixture([(Numbers(0), 1), (Numbers(1), 1)])
    outer = ts.data.Mixture({inner: 2, Numbers(2): 1})
    parts, own = turns_of(outer, 30)
    assert np.bincount(parts).tolist() == [10, 10, 10]
    assert all(own[parts == part].tolist() == list(range(10)) for part in range(3))


@pytest.mark.parametrize("parts, said", [
    ([], "parts is []"), ([Numbers(0)], "parts is [<"), ([(Numbers(0), 0)], "a weight is 0"),
    ([(Numbers(0), -1.0)], "a weight is -1.0"), ([(Numbers(0), float("nan"))], "a weight is nan"),
    ([(Numbers(0), float("inf"))], "a weight is inf"), ([(Numbers(0), "x")], "a weight is 'x'"),
    ([(Numbers(0), 1), (Numbers(1), 1e-7)], "weight 1e-07 is too small a share"),
])
def test_weights_are_checked(parts, said):
    with pytest.raises(ts.ConfigError) as caught:
        ts.data.Mixture(parts)
    check(caught, "TS4006", said)


def test_samples_must_fit_together():
    source = ts.data.TokenArrays([[1, 2, 3, 4, 5, 6]])
    with pytest.raises(ts.ConfigError) as caught:
        ts.data.Mixture([(ts.data.Packed(source, 2), 1), (ts.data.Packed(source, 3), 1)])
    check(caught, "TS4006", "samples of several lengths", "got: [2, 3]")
    mixed = ts.data.Mixture([(ts.data.Packed(source, 1), 1), (Numbers(0), 1)])
    with pytest.raises(ts.ConfigError) as caught:
        mixed.rows(np.arange(2))
    check(caught, "TS4006", "samples of several kinds")
