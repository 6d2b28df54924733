# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Texts in files, found by byte offsets: no file is ever held in memory."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from tessera._src.core.errors import ConfigError, DataError, did_you_mean
from tessera._src.data.checks import Paths, listed, size_of, unreadable

_CHUNK = 1 << 24  # Bytes read at once while separators are looked for.
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class TextFiles:
    """Documents of text in files: texts[i] is a string.

    The offsets of all documents are found once, when it is made (16 bytes of memory each, and one
    pass over the files); documents are read when they are asked for.

    Args:
        paths: a file or several, in this order; UTF-8.
        separator: what stands between documents: "\\n" if each line is one (the end "\\r\\n" is taken
            off as well), "\\n\\n" for paragraphs, "<|endoftext|>"; None if each file is one document.
            Documents that are empty or blank are left out; `blank` counts them.

    Raises:
        DataError: a file is missing or empty, holds only blanks, or is compressed (TS7001); later,
            a document is not UTF-8 (TS7003), with file and line.
    """

    def __init__(self, paths: Paths, separator: str | None = None):
        if separator is not None and (not isinstance(separator, str) or not separator):
            raise ConfigError("TS4006", f"separator is {separator!r}",
                              expected="a text that is not empty, or None for a document a file")
        self.paths, self.separator = listed(paths), separator
        self._files = [_File(path) for path in self.paths]
        found = [file.documents(separator) for file in self._files]
        self.blank = sum(blank for _, _, blank in found)
        self._begins = np.concatenate([begins for begins, _, _ in found])
        self._ends = np.concatenate([ends for _, ends, _ in found])
        self._firsts = np.cumsum([0] + [len(begins) for begins, _, _ in found])
        for path, (begins, _, _) in zip(self.paths, found):
            if not len(begins):
                raise DataError("TS7001", f"{path} has no document", got="blanks only")

    def __len__(self) -> int:
        return len(self._begins)

    def __getitem__(self, number: int) -> str:
        number = _index(number, len(self))
        return self._decode(number, self._bytes(number))

    def __iter__(self) -> Iterator[str]:
        return (self[number] for number in range(len(self)))

    def __repr__(self) -> str:
        files = self.paths[0] if len(self.paths) == 1 else f"{len(self.paths)} files"
        return f"{type(self).__name__}({files}, {len(self)} documents)"

    def where(self, number: int) -> str:
        """The place of a document, "file:line"; it counts the file's lines up to there."""
        file = self._file_of(number)
        return f"{file.path}:{file.line_at(int(self._begins[number]))}"

    def fingerprint(self) -> dict[str, Any]:
        """What tells it from other texts: documents, bytes, and a checksum of the offsets."""
        return {"kind": type(self).__name__, "separator": self.separator, **self._sizes()}

    def _sizes(self) -> dict[str, Any]:
        return {"documents": len(self), "bytes": int((self._ends - self._begins).sum()),
                "crc32": zlib.crc32(self._ends, zlib.crc32(self._begins))}

    def _file_of(self, number: int) -> _File:
        return self._files[int(np.searchsorted(self._firsts, number, "right")) - 1]

    def _bytes(self, number: int) -> bytes:
        begin, end = int(self._begins[number]), int(self._ends[number])
        data = self._file_of(number).read(begin, end - begin)
        if len(data) != end - begin:
            raise DataError("TS7001", f"{self._file_of(number).path} has become shorter",
                            expected=f"bytes {begin} to {end} as when it was opened")
        return data

    def _decode(self, number: int, data: bytes) -> str:
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError as error:
            where, _, line = self.where(number).rpartition(":")
            line = int(line) + data.count(b"\n", 0, error.start)
            raise DataError("TS7003", f"{where}:{line}: not UTF-8: {error.reason}",
                            got=f"byte 0x{data[error.start]:02x} at offset "
                                f"{int(self._begins[number]) + error.start} of the file",
                            hint="convert the file, e.g. iconv -f latin1 -t utf-8") from None


class JSONLines(TextFiles):
    """Documents of text in files of JSON, an object on each line: texts[i] is its field.

    As ts.data.TextFiles: offsets are found once, lines are parsed when they are asked for. Blank
    lines are left out.

    Args:
        paths: a file or several, in this order.
        field: the key of the text.

    Raises:
        DataError: TS7001 as TextFiles; TS7003, with file and line, for a line that is no JSON or no
            object, without the field, or whose field is no string. The first line of every file is
            looked at when it is made, the others when they are read.
    """

    def __init__(self, paths: Paths, field: str = "text"):
        self.field = field
        super().__init__(paths, "\n")
        for first in self._firsts[:-1]:
            self[int(first)]

    def __getitem__(self, number: int) -> str:
        record = self.record(number)
        if self.field not in record:
            keys = [str(key) for key in record]
            raise DataError("TS7003", f"{self.where(number)}: there is no field '{self.field}'",
                            choices=keys, hint=did_you_mean(self.field, keys)
                            or "name the field of the text: JSONLines(path, field=...)")
        text = record[self.field]
        if not isinstance(text, str):
            raise DataError("TS7003", f"{self.where(number)}: field '{self.field}' is no string",
                            got=json.dumps(text)[:80])
        return text

    def record(self, number: int) -> dict[str, Any]:
        """The whole object on the line of a document."""
        number = _index(number, len(self))
        text = self._decode(number, self._bytes(number))
        try:
            record = json.loads(text)
        except (ValueError, RecursionError) as error:
            column = f", column {error.colno}" if isinstance(error, json.JSONDecodeError) else ""
            reason = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
            raise DataError("TS7003", f"{self.where(number)}: not JSON: {reason}{column}",
                            got=_shortened(text), expected="an object on each line") from None
        if not isinstance(record, dict):
            raise DataError("TS7003", f"{self.where(number)}: not an object of JSON",
                            got=_shortened(text), expected=f'{{"{self.field}": "..."}} on each line')
        return record

    def fingerprint(self) -> dict[str, Any]:
        """What tells it from other texts: field, documents, bytes, and a checksum of the offsets."""
        return {"kind": type(self).__name__, "field": self.field, **self._sizes()}


class _File:
    """A file that is read at offsets, by any thread."""

    def __init__(self, path: str):
        self.path, self.size = path, size_of(path)
        head = self.read(0, 4)
        if head[:2] == b"\x1f\x8b" or head == b"\x28\xb5\x2f\xfd":
            raise DataError("TS7001", f"{path} is compressed", expected="text in UTF-8",
                            hint="unpack it first (gunzip, unzstd): documents are read at offsets")
        self.begin = len(_BYTE_ORDER_MARK) if head.startswith(_BYTE_ORDER_MARK) else 0

    def read(self, begin: int, size: int) -> bytes:
        """The bytes there; fewer where the file ends."""
        # Opened for each read: there may be more files than a process can hold open.
        try:
            with open(self.path, "rb", buffering=0) as file:
                file.seek(begin)
                parts = []
                while size > 0 and (part := file.read(size)):
                    parts.append(part)
                    size -= len(part)
                return b"".join(parts)
        except OSError as error:
            raise unreadable(self.path, error) from None

    def line_at(self, offset: int) -> int:
        """The number of the line, from 1, that holds an offset."""
        lines = 1
        for place in range(0, offset, _CHUNK):
            lines += self.read(place, min(_CHUNK, offset - place)).count(b"\n")
        return lines

    def documents(self, separator: str | None) -> tuple[np.ndarray, np.ndarray, int]:
        """Begins and ends (i64) of the documents that are not blank, and how many are."""
        data = np.memmap(self.path, np.uint8, "r", shape=(self.size,))
        begins, ends = [np.array([self.begin])], []
        # Whether a document begins with a blank: only such ones may have nothing else.
        candidates = [np.array([True])]
        mark = (separator or "").encode()
        for marks in _marks(data, mark, self.begin):
            after = marks + len(mark)
            begins.append(after)
            candidates.append(_is_blank(data[np.minimum(after, self.size - 1)]))
            if mark == b"\n":
                marks = marks - ((marks > self.begin) & (data[marks - 1] == ord("\r")))
            ends.append(marks)
        first, last = np.concatenate(begins), np.concatenate([*ends, [self.size]]).astype(np.int64)
        kept = first < last
        # Nothing after the last separator is no document.
        blank = int((~kept[:-1]).sum())
        for number in np.flatnonzero(kept & np.concatenate(candidates)):
            if not data[first[number]:last[number]].tobytes().strip():
                kept[number] = False
                blank += 1
        return first[kept], last[kept], blank


def _is_blank(data: np.ndarray) -> np.ndarray:
    return (data == ord(" ")) | ((data >= ord("\t")) & (data <= ord("\r")))


def _marks(data: np.ndarray, mark: bytes, begin: int) -> Iterator[np.ndarray]:
    """Offsets (i64) at which `mark` stands, chunk by chunk; marks do not overlap."""
    free = begin  # Where the mark before ends.
    for start in range(begin, len(data), _CHUNK) if mark else ():
        marks = np.flatnonzero(data[start:start + _CHUNK] == mark[0]) + start
        marks = marks[marks + len(mark) <= len(data)]
        for place, byte in enumerate(mark[1:], 1):
            marks = marks[data[marks + place] == byte]
        if len(mark) > 1 and len(marks) and (marks[0] < free or (np.diff(marks) < len(mark)).any()):
            kept = []
            for offset in marks.tolist():
                if offset >= free:
                    kept.append(offset)
                    free = offset + len(mark)
            marks = np.array(kept, np.int64)
        if len(marks):
            free = int(marks[-1]) + len(mark)
        yield marks


def _index(number: Any, size: int) -> int:
    """The number of a document, which may count from the end; raises IndexError, as lists do."""
    place = number.__index__()
    if not -size <= place < size:
        raise IndexError(f"document {place} of {size}")
    return place % size


def _shortened(text: str) -> str:
    return text if len(text) <= 80 else text[:77] + "..."
