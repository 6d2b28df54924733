# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Tokens that a model has no row for, found on the host: on devices they only make the loss not finite."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from tessera._src.core.errors import DataError
from tessera._src.data.datasets import IGNORE_INDEX
from tessera._src.data.tokens import FlatTokens, Subset

_SCANNED = 1 << 22  # Tokens of each source that are looked at before anything is compiled.


def largest_token(dataset: Any) -> tuple[int, str] | None:
    """The largest of the first tokens that lie in memory or in files, with its document; None if there are
    none. Those of other sources take time to make: `check_batch` sees them."""
    found = [item for source in _sources(dataset) if (item := _largest_of(source)) is not None]
    return max(found, key=lambda item: item[0], default=None)


def _sources(dataset: Any) -> Iterator[Any]:
    for part in getattr(dataset, "datasets", ()):
        yield from _sources(part)
    if getattr(dataset, "source", None) is not None:
        yield dataset.source


def _largest_of(source: Any) -> tuple[int, str] | None:
    root = source
    while isinstance(root, Subset):
        root = root.source
    if not isinstance(root, FlatTokens):
        return None
    count = max(1, int(np.searchsorted(np.cumsum(source.lengths), _SCANNED, "right")))
    counts = np.minimum(source.lengths[:count], _SCANNED)
    tokens = source.gather(np.arange(len(counts)), np.zeros_like(counts), counts)
    if not tokens.size:
        return None
    place = int(tokens.argmax())
    return int(tokens[place]), source.where(int(np.searchsorted(np.cumsum(counts), place, "right")))


def check_batch(batch: Mapping[str, np.ndarray], vocabulary: int, dataset: Any, first: int) -> None:
    """Raises DataError (TS7004) for a token or a label that the model has no row for.

    Args:
        batch: "tokens" and "labels" [rows, length], the samples of `dataset` from position `first` on.
        vocabulary: how many rows there are.
    """
    for name, ignored in (("tokens", 0), ("labels", IGNORE_INDEX)):
        array = np.asarray(batch[name])
        if not array.size or (0 <= int(array.min()) and int(array.max()) < vocabulary):
            continue
        wrong = np.argwhere((array >= vocabulary) | ((array < 0) & (array != ignored)))
        if not len(wrong):
            continue
        row, column = map(int, wrong[0])
        place = f"sample {first + row}"
        if hasattr(dataset, "where"):
            place = f"{dataset.where(first + row, column + (name == 'labels'))}, in {place}"
        raise DataError("TS7004", f"{place}: {name[:-1]} {array[row, column]} is outside of the model's "
                        f"vocabulary of {vocabulary}",
                        expected=f"ids from 0 to {vocabulary - 1}" + (
                            f", or {IGNORE_INDEX}" if name == "labels" else ""),
                        hint="the model needs a row for each token of the data: a larger vocab_size")
