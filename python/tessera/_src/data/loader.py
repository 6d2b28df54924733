# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Global batches in an order that depends on the data set alone, and resuming in the middle of it."""

from __future__ import annotations

import json
import os
import weakref
from collections.abc import Mapping
from typing import Any

import numpy as np

from tessera._src.core import source
from tessera._src.core.errors import ConfigError, DataError
from tessera._src.data.checks import whole
from tessera._src.data.datasets import Dataset
from tessera._src.data.prefetching import Prefetcher

_VERSION = 1
_LISTED = 10  # Differences between data sets that an error lists.
_REMAINDERS = ("error", "drop", "short")


class Loader:
    """An iterator of global batches: dictionaries of arrays [batch, length].

    Batch k holds the samples [k * batch, (k + 1) * batch) of the data set, whatever the mesh. An
    epoch follows the one before without a gap, in the same batch if need be, so that every sample
    is seen once in each epoch. A thread makes batches in advance.

        loader = ts.data.Loader(ts.data.Packed(source, 1024), 64)
        for batch in loader:
            ...                                  # batch["tokens"], ["labels"], ["segments"], ["positions"]
            json.dump(loader.state(), file)      # of what the loop has been given, not of what is ready
        loader.load_state(json.load(file))       # goes on with the next sample

    Args:
        dataset: ts.data.Packed, Padded or Mixture.
        batch: samples of a global batch.
        start: batches to leave out at the beginning.
        prefetch: batches made in advance; 0 makes each when it is asked for, without a thread.
        epochs: ends after so many; None never does.
        remainder: of `epochs`, what becomes of samples that do not fill the last batch: "error" raises
            when the loader is made, "drop" leaves them out, "short" gives a smaller batch.
        rank, parts: yields part `rank` of `parts` equal ones of each global batch, as ts.data.part
            does, and makes no other; `batch` and states are still those of the whole.

    Raises:
        ConfigError (TS4006): an option is not valid, or does not divide.
        DataError: while iterating, what is wrong with a document (TS7003, TS7004), with its place;
            the loader is closed (TS7008).
    """

    def __init__(self, dataset: Dataset, batch: int, *, start: int = 0, prefetch: int = 2,
                 epochs: int | None = None, remainder: str = "error", rank: int = 0, parts: int = 1):
        if not hasattr(dataset, "rows"):
            raise ConfigError("TS4006", f"dataset is a {type(dataset).__name__}", expected="a data set",
                              hint="ts.data.Packed(source, length) makes one of documents of tokens")
        self.dataset, self.batch = dataset, whole("batch", batch, 1)
        self.prefetch = whole("prefetch", prefetch, 0)
        self.parts = whole("parts", parts, 1)
        self.rank = whole("rank", rank, 0, self.parts - 1)
        _part_size(self.batch, self.parts, "batch")
        if remainder not in _REMAINDERS:
            raise ConfigError("TS4006", f"remainder is {remainder!r}", choices=_REMAINDERS)
        self.remainder = remainder
        self._total: int | None = None
        if epochs is not None:
            if dataset.size is None:
                raise ConfigError("TS4006", f"epochs is {epochs}, and a {type(dataset).__name__} has no "
                                  "epochs", hint="count batches: for batch, _ in zip(loader, range(1000))")
            self._total = whole("epochs", epochs, 1) * dataset.size
        self._samples = whole("start", start, 0) * self.batch
        self._check_remainder(self._samples)
        self._fingerprint: Any = None
        self._prefetcher: Prefetcher | None = None
        self._stop = lambda: None
        self._is_closed = False

    @property
    def samples(self) -> int:
        """Samples of the data set that have been given out, those of other parts included."""
        return self._samples

    @property
    def epoch(self) -> int | None:
        """The epoch of the next sample, from 0; None if the data set has no epochs."""
        return None if self.dataset.size is None else self._samples // self.dataset.size

    def batch_at(self, number: int) -> dict[str, np.ndarray]:
        """Global batch `number` (its part `rank`), from 0, wherever the iteration is."""
        return _rows(self.dataset, whole("number", number, 0) * self.batch, self.batch, self.rank, self.parts)

    def state(self) -> dict[str, Any]:
        """What load_state goes on from, in values of JSON: the samples given out, and which data set."""
        return {"kind": "ts.data.Loader", "version": _VERSION, "samples": self._samples,
                "dataset": self._own_fingerprint()}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Goes on where a loader of the same data set was when it gave this state.

        `batch` and `parts` may be others: no sample is left out or given twice.

        Raises: DataError (TS7006): it is no state, or one of another data set; the error lists what
            differs.
        """
        if not isinstance(state, Mapping) or state.get("kind") != "ts.data.Loader":
            raise DataError("TS7006", "this is not the state of a loader", got=repr(state)[:80],
                            expected="what Loader.state() gave")
        if state.get("version") != _VERSION:
            raise DataError("TS7006", "the state is of another version of the package",
                            expected=f"version {_VERSION}", got=state.get("version"))
        samples = state.get("samples")
        if isinstance(samples, bool) or not isinstance(samples, int) or samples < 0:
            raise DataError("TS7006", "the state is damaged", got=repr(samples),
                            expected="a number of samples")
        differences = _differences(state.get("dataset"), self._own_fingerprint(), "")
        if differences:
            more = len(differences) - _LISTED
            raise DataError("TS7006", "the state is of another data set", notes=differences[:_LISTED]
                            + ([f"and {more} more"] if more > 0 else []),
                            hint="make the data set as it was, or begin anew with a loader without a state")
        self._check_remainder(samples)
        self._end_thread()
        self._samples = samples

    def close(self) -> None:
        """Ends the thread. States can still be taken, batches not."""
        self._is_closed = True
        self._end_thread()

    def __iter__(self) -> Loader:
        return self

    def __next__(self) -> dict[str, np.ndarray]:
        if self._is_closed:
            raise DataError("TS7008", "the loader is closed", hint="make another one, and load_state into it")
        count = self.batch
        if self._total is not None:
            count = min(count, self._total - self._samples)
            if count <= 0 or (count < self.batch and self.remainder == "drop"):
                self._end_thread()
                raise StopIteration
        if count < self.batch or not self.prefetch:
            result = _rows(self.dataset, self._samples, count, self.rank, self.parts)
        else:
            result = self._running().take()
        self._samples += count
        return result

    def __enter__(self) -> Loader:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _running(self) -> Prefetcher:
        if self._prefetcher is None or self._prefetcher.process != os.getpid():
            # The thread knows nothing of the loader, which may thus be forgotten without close().
            dataset, first, size, rank, parts = self.dataset, self._samples, self.batch, self.rank, self.parts
            last = None if self._total is None else (self._total - first) // size
            self._prefetcher = Prefetcher(
                lambda number: _rows(dataset, first + number * size, size, rank, parts), 0, last,
                self.prefetch, source.caller_location())
            self._stop = weakref.finalize(self, self._prefetcher.close)
        return self._prefetcher

    def _end_thread(self) -> None:
        self._stop()
        self._prefetcher, self._stop = None, lambda: None

    def _own_fingerprint(self) -> Any:
        if self._fingerprint is None:
            self._fingerprint = json.loads(json.dumps(self.dataset.fingerprint()))
        return self._fingerprint

    def _check_remainder(self, samples: int) -> None:
        if self._total is None:
            return
        if samples > self._total:
            epochs = self._total // self.dataset.size
            raise DataError("TS7006", f"{samples} samples are more than the epochs have",
                            expected=f"at most {self._total}: {epochs} epochs of {self.dataset.size}")
        left = (self._total - samples) % self.batch
        if left and self.remainder == "error":
            raise ConfigError("TS4006", f"the last batch has {left} samples of {self.batch}",
                              expected=f"a batch that divides {self._total - samples} samples",
                              hint='remainder="drop" leaves them out, remainder="short" makes a '
                                   "smaller batch of them")
        if left and self.remainder == "short":
            _part_size(left, self.parts, "the last batch")


def part(batch: Mapping[str, np.ndarray], rank: int, parts: int) -> dict[str, np.ndarray]:
    """Part `rank` of `parts` equal parts of a global batch: views of its consecutive rows.

    Part r has the rows from r * n / parts up to (r + 1) * n / parts, which is how ts.P("dp") cuts a
    first dimension; joined in order, the parts are the batch. Data-parallel ranks and micro-batches
    are both parts.

    Raises: ConfigError (TS4006): the rows do not divide, or arrays differ in rows.
    """
    parts = whole("parts", parts, 1)
    rank = whole("rank", rank, 0, parts - 1)
    rows = {name: len(array) for name, array in batch.items()}
    if len(set(rows.values())) > 1:
        raise ConfigError("TS4006", "the arrays of a batch have several numbers of rows", got=rows)
    size = _part_size(next(iter(rows.values()), 0), parts, "batch")
    return {name: array[rank * size:(rank + 1) * size] for name, array in batch.items()}


def _part_size(rows: int, parts: int, what: str) -> int:
    if rows % parts:
        lower, upper = rows - rows % parts, rows + parts - rows % parts
        raise ConfigError("TS4006", f"{what} of {rows} rows is not divisible into {parts} parts",
                          choices=[size for size in (lower, upper) if size])
    return rows // parts


def _rows(dataset: Dataset, first: int, count: int, rank: int, parts: int) -> dict[str, np.ndarray]:
    """Part `rank` of the samples [first, first + count)."""
    size = count // parts
    positions = np.arange(first + rank * size, first + (rank + 1) * size, dtype=np.int64)
    try:
        return dataset.rows(positions)
    except StopIteration as error:  # Which would end the caller's loop as if all were done.
        raise RuntimeError(f"{type(dataset).__name__}.rows raised StopIteration") from error


def _differences(then: Any, now: Any, path: str) -> list[str]:
    """What differs between two fingerprints, by the path of keys."""
    if isinstance(then, dict) and isinstance(now, dict):
        keys = [*now, *(key for key in then if key not in now)]
        return [line for key in keys for line in
                _differences(then.get(key), now.get(key), f"{path}.{key}" if path else str(key))]
    if isinstance(then, list) and isinstance(now, list) and len(then) == len(now):
        return [line for number, (a, b) in enumerate(zip(then, now))
                for line in _differences(a, b, f"{path}[{number}]")]
    return [] if then == now else [f"{path or 'data set'}: {_shown(then)} in the state, {_shown(now)} here"]


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."
