# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Data sets: endless rows of samples, each found by its position alone."""

from __future__ import annotations

import functools
from typing import Any, Protocol

import numpy as np

from tessera._src.core.errors import ConfigError, DataError
from tessera._src.data.checks import whole
from tessera._src.data.permutation import Identity, Permutation
from tessera._src.data.tokens import TokenSource

IGNORE_INDEX = -100  # The label that no loss counts, as in PyTorch.
# Purposes of permutations, so that documents and samples are shuffled independently.
_DOCUMENTS, _SAMPLES = 1, 2
_MOST_TOKENS = 1 << 24  # Of one sample.


class Dataset(Protocol):
    """What ts.data.Loader and ts.data.Mixture ask of a data set; yours may be one of them.

    Attributes: length (tokens of a sample), size (samples in an epoch; None if there are no epochs).
    """

    length: int
    size: int | None

    def rows(self, positions: np.ndarray) -> dict[str, np.ndarray]:
        """The samples at positions (i64 [n], from 0 on without end), as arrays [n, length]."""

    def fingerprint(self) -> dict[str, Any]:
        """All that the samples depend on, in values of JSON."""

    # May have `where(position, column) -> str`: for errors, the place that a token of a sample is from.


class _Shuffled:
    """Samples of a source; each epoch has an order of its own, made of the seed and its number."""

    def __init__(self, source: TokenSource, length: int, seed: int, shuffle: bool, ignore_index: int):
        if not isinstance(source, TokenSource):
            raise ConfigError("TS4006", f"source is a {type(source).__name__}",
                              expected="documents of tokens",
                              hint="ts.data.Tokenized(texts, tokenizer) makes them of texts, "
                                   "ts.data.TokenArrays(rows) of arrays")
        if not isinstance(shuffle, bool):
            raise ConfigError("TS4006", f"shuffle is {shuffle!r}", choices=[True, False])
        self.source, self.shuffle = source, shuffle
        self.length = whole("length", length, 1, _MOST_TOKENS)
        self.seed = whole("seed", seed, 0)
        self.ignore_index = whole("ignore_index", ignore_index, -2**31, 2**31 - 1)
        self.size = 0

    def order(self, size: int, epoch: int, purpose: int) -> Permutation | Identity:
        """The order of an epoch."""
        return Permutation(size, self.seed, epoch, purpose) if self.shuffle else Identity(size)

    def rows(self, positions: np.ndarray) -> dict[str, np.ndarray]:
        """The samples at positions; epoch e is the positions from e * size on.

        Returns: "tokens", "labels" (the token after each), "segments" (the number of the document
        within the sample, from 1; 0 is padding) and "positions" (within the document, from 0), all
        i32 [n, length].

        Raises: DataError: a text (TS7003) or a token (TS7004) is at fault, with its document.
        """
        epochs, numbers = np.divmod(np.asarray(positions, np.int64), self.size)
        if epochs.size and (epochs == epochs[0]).all():
            return self._rows_of(int(epochs[0]), numbers)
        result = {name: np.empty((len(numbers), self.length), np.int32)
                  for name in ("tokens", "labels", "segments", "positions")}
        for epoch in np.unique(epochs).tolist():
            chosen = epochs == epoch
            for name, rows in self._rows_of(epoch, numbers[chosen]).items():
                result[name][chosen] = rows
        return result

    def _rows_of(self, epoch: int, numbers: np.ndarray) -> dict[str, np.ndarray]:
        raise NotImplementedError

    def where(self, position: int, column: int) -> str:
        """The place of the document that a token of a sample is from, for messages."""
        epoch, number = divmod(position, self.size)
        return self.source.where(self._document_of(epoch, number, column))

    def _document_of(self, epoch: int, number: int, column: int) -> int:
        raise NotImplementedError

    def fingerprint(self) -> dict[str, Any]:
        """All that the samples depend on, in values of JSON."""
        return {"kind": type(self).__name__, "length": self.length, "seed": self.seed,
                "shuffle": self.shuffle, "ignore_index": self.ignore_index,
                "source": self.source.fingerprint()}

    def __len__(self) -> int:
        return self.size

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.size} samples of {self.length} tokens, seed {self.seed})"


class Packed(_Shuffled):
    """Samples cut from the documents one after the other, without padding.

    In each epoch the documents are shuffled and joined; sample k is the tokens [k * length,
    (k + 1) * length), its labels are those one further on, so that every token is a label once. The
    samples are then shuffled as well. What does not fill a last sample (`left_over` tokens, others
    in each epoch) is left out. Both orders depend on seed and epoch alone. An epoch takes 16 bytes
    of memory for each document.

    Args:
        source: documents of tokens, which should end with an end-of-text token.
        length: tokens of a sample.
        seed: of both orders.
        shuffle: False keeps documents and samples in their order.
        ignore_ends: gives the last token of a document the label `ignore_index`, rather than the
            first token of the next one: for attention that is masked by `segments`.
        ignore_index: that label.

    Raises: DataError (TS7005): the documents do not fill one sample.
    """

    def __init__(self, source: TokenSource, length: int, *, seed: int = 0, shuffle: bool = True,
                 ignore_ends: bool = False, ignore_index: int = IGNORE_INDEX):
        super().__init__(source, length, seed, shuffle, ignore_index)
        self.ignore_ends = bool(ignore_ends)
        self._lengths = source.lengths
        # Documents without a token would count in the numbers of segments.
        filled = np.flatnonzero(self._lengths)
        self._filled = None if len(filled) == len(self._lengths) else filled
        self._filled_count = len(filled)
        total = source.token_count
        self.size, self.left_over = divmod(max(total - 1, 0), self.length)
        if self.size == 0:
            raise DataError("TS7005", f"{total} tokens are too few for a sample of {self.length}",
                            expected=f"at least {self.length + 1}: a sample and the label of its last token")
        self._plan = functools.lru_cache(maxsize=2)(self._make_plan)

    def _make_plan(self, epoch: int) -> tuple[np.ndarray, np.ndarray, Permutation | Identity]:
        """Of an epoch: the documents in order, where each ends, the order of samples."""
        documents = self.order(self._filled_count, epoch, _DOCUMENTS)[np.arange(self._filled_count)]
        if self._filled is not None:
            documents = self._filled[documents]
        return documents, np.cumsum(self._lengths[documents]), self.order(self.size, epoch, _SAMPLES)

    def _document_of(self, epoch: int, number: int, column: int) -> int:
        documents, ends, order = self._plan(epoch)
        begin = int(order[np.array([number])][0]) * self.length
        return int(documents[np.searchsorted(ends, begin + column, "right")])

    def _rows_of(self, epoch: int, numbers: np.ndarray) -> dict[str, np.ndarray]:
        documents, ends, order = self._plan(epoch)
        begins = order[numbers] * self.length
        # Documents that have the first token of a row and the label of its last.
        first, last = (np.searchsorted(ends, at, "right") for at in (begins, begins + self.length))
        pieces = last - first + 1
        ordinal = np.arange(int(pieces.sum())) - np.repeat(np.cumsum(pieces) - pieces, pieces)
        place = np.repeat(first, pieces) + ordinal
        row_begin = np.repeat(begins, pieces)
        numbers_of = documents[place]
        document_begin = ends[place] - self._lengths[numbers_of]
        begin = np.maximum(document_begin, row_begin)
        counts = np.minimum(ends[place], row_begin + self.length + 1) - begin
        shape = (len(numbers), self.length + 1)
        tokens = self.source.read(numbers_of, begin - document_begin, counts).reshape(shape)
        segments = np.repeat((ordinal + 1).astype(np.int32), counts).reshape(shape)
        starts = np.repeat((np.cumsum(counts) - counts).astype(np.int32), counts)
        positions = (np.arange(tokens.size, dtype=np.int32) - starts).reshape(shape)
        labels = tokens[:, 1:].copy()
        if self.ignore_ends:
            labels[segments[:, 1:] != segments[:, :-1]] = self.ignore_index
        return {"tokens": tokens[:, :-1].copy(), "labels": labels, "segments": segments[:, :-1].copy(),
                "positions": positions[:, :-1].copy()}

    def fingerprint(self) -> dict[str, Any]:
        """All that the samples depend on, in values of JSON."""
        return {**super().fingerprint(), "ignore_ends": self.ignore_ends}


class Padded(_Shuffled):
    """One document in each sample, padded at its end.

    The tokens of a document but the last are tokens, all but the first are labels. Where there is
    padding, tokens are `pad`, labels `ignore_index`, segments and positions 0; so is the label of
    a document's last token, should it be among the tokens.

    Args:
        source: documents of tokens.
        length: tokens of a sample; a document has at most one more.
        seed: of the order.
        shuffle: False keeps the documents in their order.
        pad: the token of padding; any will do, its label is ignored.
        cut: takes the first length + 1 tokens of longer documents, which are an error otherwise.
        ignore_index: the label of padding.

    Raises: DataError (TS7005): a document is longer and `cut` is not set, or has no tokens.
    """

    def __init__(self, source: TokenSource, length: int, *, seed: int = 0, shuffle: bool = True,
                 pad: int = 0, cut: bool = False, ignore_index: int = IGNORE_INDEX):
        super().__init__(source, length, seed, shuffle, ignore_index)
        most = 2**31 if source.vocab_size is None else source.vocab_size
        self.pad, self.cut, self.size = whole("pad", pad, 0, most - 1), bool(cut), len(source)
        if self.size == 0:
            raise DataError("TS7005", "there are no documents")
        lengths = source.lengths
        empty, long = np.flatnonzero(lengths == 0), np.flatnonzero(lengths > self.length + 1)
        if empty.size:
            raise DataError("TS7005", f"{source.where(int(empty[0]))} has no tokens, as {empty.size} of "
                            f"{self.size} documents",
                            hint="leave them out, or end each with a token (eos=True)")
        if long.size and not self.cut:
            longest = int(lengths.argmax())
            raise DataError("TS7005", f"{long.size} of {self.size} documents are longer than a sample",
                            expected=f"at most {self.length + 1} tokens",
                            got=f"{lengths[longest]} at {source.where(longest)}",
                            hint="cut=True takes their first tokens; ts.data.Packed takes all")
        self._counts = np.minimum(lengths, self.length + 1)
        self._order = functools.lru_cache(maxsize=2)(lambda epoch: self.order(self.size, epoch, _SAMPLES))

    def _document_of(self, epoch: int, number: int, column: int) -> int:
        return int(self._order(epoch)[np.array([number])][0])

    def _rows_of(self, epoch: int, numbers: np.ndarray) -> dict[str, np.ndarray]:
        documents = self._order(epoch)[numbers]
        counts = self._counts[documents]
        flat = self.source.read(documents, np.zeros_like(counts), counts)
        columns = np.arange(self.length + 1, dtype=np.int32)
        there = columns < counts[:, None]  # In the order of `flat`, row by row.
        whole_rows = np.full(there.shape, self.pad, np.int32)
        whole_rows[there] = flat
        labels = np.where(there[:, 1:], whole_rows[:, 1:], np.int32(self.ignore_index))
        is_token = there[:, :-1]
        return {"tokens": whole_rows[:, :-1].copy(), "labels": labels,
                "segments": is_token.astype(np.int32),
                "positions": np.where(is_token, columns[:-1], np.int32(0))}

    def fingerprint(self) -> dict[str, Any]:
        """All that the samples depend on, in values of JSON."""
        return {**super().fingerprint(), "pad": self.pad, "cut": self.cut}
