# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Documents of tokens: the interface, and those made of texts or of arrays in memory."""

from __future__ import annotations

import functools
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from tessera._src.core.errors import ConfigError, DataError
from tessera._src.data.checks import whole
from tessera._src.data.permutation import Permutation
from tessera._src.data.tokenizing import Tokenizer

_ENCODED_AT_ONCE = 256  # Documents given to a tokenizer together.
_KEPT = 32  # Tokenized documents that are remembered, where not all are.
_KEPT_BYTES = 1 << 28  # Of the tokens of texts that stay in memory as a whole.
_ROW_BYTES = 128  # Of an array besides its elements.
_SPLIT = 3  # The purpose of its permutation.
_COPIED = 64  # Pieces of more tokens than this, on average, are copied one by one.


class TokenSource:
    """Documents of tokens: source[i] is document i, a 1-D array of integers.

    Base of the sources in ts.data, and of your own: define `lengths`, `document` and `identity`.

    Attributes: lengths (tokens of each document, i64), vocab_size (ids are below it; None if unknown).
    """

    lengths: np.ndarray
    vocab_size: int | None = None

    def document(self, number: int) -> np.ndarray:
        """The tokens of document `number`, which is from 0 to len(self) - 1."""
        raise NotImplementedError

    def identity(self) -> dict[str, Any]:
        """What tells it from other sources besides the documents' lengths; values of JSON."""
        return {}

    def where(self, number: int) -> str:
        """The place of a document, for messages."""
        return f"document {number}"

    def gather(self, documents: np.ndarray, begins: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """The pieces [begin, begin + count) of documents, one after the other; one array."""
        pieces = [np.empty(0, np.int32)]
        for number, begin, count in zip(documents.tolist(), begins.tolist(), counts.tolist()):
            document = as_tokens(self.document(number), self.where, number)
            if len(document) != self.lengths[number]:
                raise DataError("TS7005", f"{self.where(number)} has changed", got=f"{len(document)} tokens",
                                expected=f"{self.lengths[number]} tokens, as its entry of `lengths` says")
            pieces.append(document[begin:begin + count])
        return np.concatenate(pieces)

    def read(self, documents: np.ndarray, begins: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """As gather, in i32, and checked.

        Raises: DataError (TS7004): a token outside of the vocabulary, with its document.
        """
        tokens = self.gather(documents, begins, counts)
        if not tokens.size:
            return tokens.astype(np.int32)
        least, most = int(tokens.min()), int(tokens.max())
        limit = 2**31 if self.vocab_size is None else self.vocab_size
        if least < 0 or most >= limit:
            place = int(np.flatnonzero((tokens < 0) | (tokens >= limit))[0])
            ends = np.cumsum(counts)
            piece = int(np.searchsorted(ends, place, "right"))
            at = place - int(ends[piece] - counts[piece]) + int(begins[piece])
            raise DataError("TS7004", f"{self.where(int(documents[piece]))}: token {tokens[place]} at {at} "
                            "is outside of the vocabulary", expected=f"ids from 0 to {limit - 1}",
                            hint="was it written with another tokenizer?")
        return tokens.astype(np.int32, copy=False)

    def fingerprint(self) -> dict[str, Any]:
        """What tells it from other sources: identity, number of documents and tokens, lengths."""
        checksum = zlib.crc32(np.ascontiguousarray(self.lengths, "<i8"))
        return {"kind": type(self).__name__, "documents": len(self), "tokens": self.token_count,
                "lengths_crc32": checksum, **self.identity()}

    @property
    def token_count(self) -> int:
        """Tokens of all documents."""
        return int(self.lengths.sum())

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, number: int) -> np.ndarray:
        place = number.__index__()
        if not -len(self) <= place < len(self):
            raise IndexError(f"document {place} of {len(self)}")
        return self.document(place % len(self))

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self.document(number) for number in range(len(self)))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self)} documents)"


def as_tokens(document: Any, where: Callable[[int], str], number: int) -> np.ndarray:
    """Document `number` as a 1-D array of integers; raises, saying where it is, if it is none."""
    row = np.asarray(document)
    if row.size == 0 and row.ndim == 1:
        return row.astype(np.int32)
    if row.ndim != 1 or row.dtype.kind not in "iu":
        raise DataError("TS7005", f"{where(number)} is not a row of integers",
                        got=f"shape {list(row.shape)} of {row.dtype}")
    # Joined with signed ones, u64 would become floats.
    return row.astype(np.int64) if row.dtype == np.uint64 else row


class FlatTokens(TokenSource):
    """Documents that lie one after the other in one array, maybe of a file."""

    def __init__(self, tokens: np.ndarray, lengths: np.ndarray, vocab_size: int | None):
        self.vocab_size = None if vocab_size is None else whole("vocab_size", vocab_size, 1, 2**31)
        self.tokens, self.lengths = tokens, np.asarray(lengths, np.int64)
        self._begins = np.cumsum(self.lengths) - self.lengths

    def document(self, number: int) -> np.ndarray:
        begin = int(self._begins[number])
        return self.tokens[begin:begin + int(self.lengths[number])]

    def gather(self, documents: np.ndarray, begins: np.ndarray, counts: np.ndarray) -> np.ndarray:
        starts = self._begins[documents] + begins
        total = int(counts.sum())
        if total > _COPIED * len(counts):
            result, place = np.empty(total, self.tokens.dtype), 0
            for start, count in zip(starts.tolist(), counts.tolist()):
                result[place:place + count] = self.tokens[start:start + count]
                place += count
            return result
        return self.tokens[np.repeat(starts - (np.cumsum(counts) - counts), counts) + np.arange(total)]


class TokenArrays(FlatTokens):
    """Documents of tokens in memory.

    Args:
        documents: a sequence of 1-D arrays or lists of integers.
        vocab_size: ids are checked against it when they are read.

    Raises: DataError (TS7005): no documents, or one that is not a row of integers.
    """

    def __init__(self, documents: Iterable[Any], vocab_size: int | None = None):
        rows = [as_tokens(document, "document {}".format, number)
                for number, document in enumerate(documents)]
        if not rows:
            raise DataError("TS7005", "there are no documents")
        super().__init__(np.concatenate(rows), np.array([len(row) for row in rows]), vocab_size)

    def identity(self) -> dict[str, Any]:
        return {"crc32": zlib.crc32(self.tokens.astype("<i8"))}


class Tokenized(TokenSource):
    """The tokens of texts.

    The first use encodes all texts once to know their lengths, which also finds every broken line
    before training begins. The tokens stay in memory if they take at most 256 MiB there (of a
    vocabulary of up to 65,536, two bytes each); else only the lengths do, and each text is encoded
    again when it is asked for. For that much text, write the tokens once and train on the file:

        ts.data.write_token_file("corpus", ts.data.Tokenized(texts, tokenizer))
        source = ts.data.TokenFile("corpus", vocab_size=tokenizer.vocab_size)

    Args:
        texts: ts.data.TextFiles, ts.data.JSONLines, or any sequence of strings.
        tokenizer: ts.data.ByteTokenizer(), ts.data.load_tokenizer(path), or your own: see
            ts.data.Tokenizer.
        bos, eos: whether the tokenizer's token of that name is put before and after each document.

    Raises:
        ConfigError (TS4006): the tokenizer has no such token.
        DataError (TS7003): a text cannot be encoded, with file and line.
    """

    def __init__(self, texts: Sequence[str], tokenizer: Tokenizer, *, bos: bool = False, eos: bool = True):
        if isinstance(texts, (str, bytes)) or not hasattr(texts, "__getitem__"):
            raise ConfigError("TS4006", f"texts is a {type(texts).__name__}",
                              expected="a sequence of texts, one a document",
                              hint="ts.data.TextFiles(path) reads a file; write [text] for one text")
        if not len(texts):
            raise DataError("TS7005", "there are no documents")
        for option, wanted in (("bos", bos), ("eos", eos)):
            if wanted and getattr(tokenizer, option) is None:
                raise ConfigError("TS4006", f"the tokenizer has no {option} token",
                                  hint=f'load_tokenizer(path, {option}="...") names it; '
                                       f"Tokenized(..., {option}=False) does without")
        self.texts, self.tokenizer, self.vocab_size = texts, tokenizer, tokenizer.vocab_size
        self._lengths: np.ndarray | None = None
        self._kept: list[np.ndarray] | None = None
        self._checksum = 0
        self._before = np.array([tokenizer.bos] if bos else [], np.int32)
        self._after = np.array([tokenizer.eos] if eos else [], np.int32)
        self._document = functools.lru_cache(maxsize=_KEPT)(lambda number: self._encode([number])[0])

    @property
    def lengths(self) -> np.ndarray:  # type: ignore[override]
        """Tokens of each document, i64."""
        return self._encode_once()

    def _encode_once(self) -> np.ndarray:
        if self._lengths is None:
            self._lengths = self._encode_all()
        return self._lengths

    def _encode_all(self) -> np.ndarray:
        """The lengths; keeps the tokens while there is room for them, and their checksum."""
        narrow = np.uint16 if self.vocab_size <= 1 << 16 else np.int32
        kept, room = [], _KEPT_BYTES
        lengths = np.empty(len(self), np.int64)
        self._checksum = 0
        for number, document in enumerate(self):
            lengths[number] = len(document)
            self._checksum = zlib.crc32(np.ascontiguousarray(document, "<i4"), self._checksum)
            room -= len(document) * np.dtype(narrow).itemsize + _ROW_BYTES
            if room >= 0:
                # Ids that a tokenizer should not give stay as they are, for `read` to refuse.
                fits = not len(document) or 0 <= document.min() and document.max() < self.vocab_size
                kept.append(document.astype(narrow) if fits else document)
            else:
                kept = []
        if room >= 0:
            self._kept = kept
        return lengths

    def __len__(self) -> int:
        return len(self.texts)

    def __iter__(self) -> Iterator[np.ndarray]:
        for first in range(0, len(self), _ENCODED_AT_ONCE):
            yield from self._encode(range(first, min(first + _ENCODED_AT_ONCE, len(self))))

    def document(self, number: int) -> np.ndarray:
        return self._document(number) if self._kept is None else self._kept[number].astype(np.int32)

    def gather(self, documents: np.ndarray, begins: np.ndarray, counts: np.ndarray) -> np.ndarray:
        if self._kept is None:
            return super().gather(documents, begins, counts)
        pieces = [self._kept[number][begin:begin + count] for number, begin, count in
                  zip(documents.tolist(), begins.tolist(), counts.tolist())]
        return np.concatenate([np.empty(0, np.int32), *pieces])

    def where(self, number: int) -> str:
        place = getattr(self.texts, "where", None)
        return place(number) if place else f"text {number}"

    def identity(self) -> dict[str, Any]:
        marks = [("bos", len(self._before)), ("eos", len(self._after))]
        self._encode_once()
        return {"tokenizer": self.tokenizer.fingerprint(), "added": [name for name, put in marks if put],
                "tokens_crc32": self._checksum}

    def _encode(self, numbers: Sequence[int]) -> list[np.ndarray]:
        texts = [self.texts[number] for number in numbers]
        try:
            encoded = self.tokenizer.encode_batch(texts)
        except DataError as error:
            if len(numbers) > 1:  # Which one is it?
                return [document for number in numbers for document in self._encode([number])]
            raise DataError(error.code, f"{self.where(numbers[0])}: {error.message}",
                            hint=error.hint) from None
        return [np.concatenate([self._before, tokens, self._after]) for tokens in encoded]


class Subset(TokenSource):
    """Some documents of a source, in the order of `documents`, which are numbers of its own.

    Raises: ConfigError (TS4006): no documents, or one that the source does not have.
    """

    def __init__(self, source: TokenSource, documents: Any):
        numbers = np.asarray(documents)
        if numbers.ndim != 1 or not numbers.size or numbers.dtype.kind not in "iu":
            raise ConfigError("TS4006", f"documents of a subset is {str(documents)[:80]}",
                              expected="numbers of documents, at least one")
        if int(numbers.min()) < 0 or int(numbers.max()) >= len(source):
            raise ConfigError("TS4006", f"a subset has documents {numbers.min()} to {numbers.max()}",
                              expected=f"documents from 0 to {len(source) - 1}")
        self.source, self.documents, self.vocab_size = source, numbers.astype(np.int64), source.vocab_size
        self.lengths = source.lengths[self.documents]

    def document(self, number: int) -> np.ndarray:
        return self.source.document(int(self.documents[number]))

    def gather(self, documents: np.ndarray, begins: np.ndarray, counts: np.ndarray) -> np.ndarray:
        return self.source.gather(self.documents[documents], begins, counts)

    def where(self, number: int) -> str:
        return self.source.where(int(self.documents[number]))

    def identity(self) -> dict[str, Any]:
        return {"documents_crc32": zlib.crc32(self.documents.astype("<i8")),
                "source": self.source.fingerprint()}


def split(source: TokenSource, fraction: float, *, seed: int = 0) -> tuple[Subset, Subset]:
    """Two parts of the documents: `fraction` of them, chosen by the seed, and the others.

    Both keep the order of the source, and neither depends on anything but the number of documents,
    the fraction and the seed: train, evaluation = ts.data.split(source, 0.99).

    Raises: ConfigError (TS4006): a fraction that is not between 0 and 1, or leaves a part empty.
    """
    count = round(len(source) * fraction) if 0 < fraction < 1 else 0
    if not 0 < count < len(source):
        raise ConfigError("TS4006", f"fraction {fraction} of {len(source)} documents leaves a part empty",
                          expected="a fraction between 0 and 1, and a document in each part")
    order = Permutation(len(source), whole("seed", seed, 0), 0, _SPLIT)[np.arange(len(source))]
    return Subset(source, np.sort(order[:count])), Subset(source, np.sort(order[count:]))
