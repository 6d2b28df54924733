# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Several data sets in one, in exact proportions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from tessera._src.core.errors import ConfigError
from tessera._src.data.datasets import Dataset

PERIOD = 1 << 16  # The longest; weights without so small a common denominator are rounded to it.


class Mixture:
    """Samples of several data sets, taken in turn so that each has its share at every moment.

    The next sample is of the data set that lags most behind its share (the first one of several):
    after n samples each has given less than one more than weight * n, and in every `period` of
    samples exactly its share. The schedule has no chance in it; each data set goes through its own
    epochs in its own order.

    Args:
        parts: pairs of a data set (ts.data.Packed, Padded, Mixture) and its weight, a number above 0.
            Weights are relative: 3 and 1 are as 0.75 and 0.25, and counts of tokens are as good.

    Attributes:
        weights: the shares as exact fractions; rounded to 65536ths where their common denominator is
            larger.
        period: samples after which the schedule repeats.

    Raises: ConfigError (TS4006): no parts, a weight that is not above 0 or too small for its share to
        be one in 65536, or data sets whose samples differ in length.
    """

    size = None  # There are no common epochs.

    def __init__(self, parts: Sequence[tuple[Dataset, float]]):
        pairs = list(parts.items()) if isinstance(parts, dict) else list(parts)
        if not pairs or any(not isinstance(pair, (tuple, list)) or len(pair) != 2 for pair in pairs):
            raise ConfigError("TS4006", f"parts is {str(parts)[:80]}",
                              expected="pairs of a data set and its weight: [(a, 0.7), (b, 0.3)]")
        self.datasets = [dataset for dataset, _ in pairs]
        lengths = [dataset.length for dataset in self.datasets]
        if len(set(lengths)) > 1:
            raise ConfigError("TS4006", "the data sets of a mixture have samples of several lengths",
                              expected="one length", got=lengths)
        self.length = lengths[0]
        shares = _whole_shares([weight for _, weight in pairs])
        self.period = sum(shares)
        self.weights = [Fraction(share, self.period) for share in shares]
        self._shares = np.array(shares, np.int64)
        self._turns = _schedule(self._shares)
        # Of each position in a period: how many samples its data set has given before it.
        self._before = np.empty(self.period, np.int64)
        for number, share in enumerate(shares):
            self._before[self._turns == number] = np.arange(share)

    def rows(self, positions: np.ndarray) -> dict[str, np.ndarray]:
        """The samples at positions; see the data sets' own `rows`."""
        periods, places = np.divmod(np.asarray(positions, np.int64), self.period)
        turns = self._turns[places]
        own = periods * self._shares[turns] + self._before[places]
        result: dict[str, np.ndarray] = {}
        for number in np.unique(turns).tolist():
            chosen = turns == number
            rows = self.datasets[number].rows(own[chosen])
            if not result:
                result = {name: np.empty((len(turns), *array.shape[1:]), array.dtype)
                          for name, array in rows.items()}
            if rows.keys() != result.keys():
                raise ConfigError("TS4006", "the data sets of a mixture have samples of several kinds",
                                  expected=sorted(result), got=sorted(rows))
            for name, array in rows.items():
                result[name][chosen] = array
        return result

    def where(self, position: int, column: int) -> str:
        """The place of the document that a token of a sample is from, for messages."""
        period, place = divmod(position, self.period)
        turn = int(self._turns[place])
        dataset, own = self.datasets[turn], period * int(self._shares[turn]) + int(self._before[place])
        return dataset.where(own, column) if hasattr(dataset, "where") else f"sample {own} of {dataset!r}"

    def counts(self, samples: int) -> list[int]:
        """How many of the first `samples` are of each data set."""
        periods, rest = divmod(samples, self.period)
        within = np.bincount(self._turns[:rest], minlength=len(self.datasets))
        return (periods * self._shares + within).tolist()

    def epochs(self, samples: int) -> list[float]:
        """How often each data set has been gone through after the first `samples`."""
        return [count / dataset.size if dataset.size else math.nan
                for count, dataset in zip(self.counts(samples), self.datasets)]

    def fingerprint(self) -> dict[str, Any]:
        """All that the samples depend on, in values of JSON."""
        return {"kind": "Mixture", "weights": [str(weight) for weight in self.weights],
                "datasets": [dataset.fingerprint() for dataset in self.datasets]}

    def __repr__(self) -> str:
        inner = ", ".join(f"({dataset!r}, {weight})" for dataset, weight in zip(self.datasets, self.weights))
        return f"Mixture([{inner}])"


def _whole_shares(weights: Sequence[Any]) -> list[int]:
    """Whole numbers in the proportions of the weights, as small as they can be."""
    exact = []
    for weight in weights:
        try:
            # By its decimals: 0.1 is a tenth, not the nearest binary fraction.
            value = Fraction(weight if isinstance(weight, (int, Fraction)) else repr(float(weight)))
        except (TypeError, ValueError):
            value = Fraction(0)
        if value <= 0:
            raise ConfigError("TS4006", f"a weight is {weight!r}", expected="a number above 0")
        exact.append(value)
    total = sum(exact)
    shares = [value / total for value in exact]
    common = math.lcm(*(share.denominator for share in shares))
    if common <= PERIOD:
        return [int(share * common) for share in shares]
    counts = [int(share * PERIOD) for share in shares]
    # What is lost by rounding down goes to those that lost most.
    order = sorted(range(len(shares)), key=lambda n: counts[n] - shares[n] * PERIOD)
    for number in order[:PERIOD - sum(counts)]:
        counts[number] += 1
    if 0 in counts:
        raise ConfigError("TS4006", f"weight {weights[counts.index(0)]!r} is too small a share",
                          expected=f"at least one in {PERIOD} samples")
    divisor = math.gcd(*counts)
    return [count // divisor for count in counts]


def _schedule(shares: np.ndarray) -> np.ndarray:
    """Whose turn each position of a period is."""
    period = int(shares.sum())
    lags = [0] * len(shares)  # Share * samples - given * period.
    numbers, steps = range(len(shares)), shares.tolist()
    turns = np.empty(period, np.int32)
    for place in range(period):
        for number in numbers:
            lags[number] += steps[number]
        most = lags.index(max(lags))
        lags[most] -= period
        turns[place] = most
    return turns
