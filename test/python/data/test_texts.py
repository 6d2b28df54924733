# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Texts of files: documents where they are, lines in messages, nothing in memory."""

import json

import numpy as np
import pytest

import tessera as ts
from refusals import check
from tessera._src.data import texts as texts_module


def write(path, data):
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


def naive(data, separator):
    parts = data.split(separator)
    if separator == b"\n":
        parts = [part.removesuffix(b"\r") for part in parts]
    return [part.decode() for part in parts if part.strip()]


@pytest.mark.parametrize("separator", ["\n", "\n\n", "<|end|>", "aa"])
@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 1 << 24])
def test_documents_as_splitting_gives_them(tmp_path, monkeypatch, separator, chunk):
    monkeypatch.setattr(texts_module, "_CHUNK", chunk)
    chance = np.random.default_rng(chunk)
    words = [b"a", b"aa", b"aaa", b"\n", b"\n\n", b"\r\n", b" ", b"\t", "é".encode(), b"<|end|>", b"b"]
    for case in range(30):
        data = b"x" + b"".join(chance.choice(np.array(words, object), 25))
        found = ts.data.TextFiles(write(tmp_path / f"{case}.txt", data), separator)
        assert list(found) == naive(data, separator.encode())


def test_files_one_after_the_other(tmp_path):
    first = write(tmp_path / "1.txt", "one\n\n  \ntwo\r\n")
    second = write(tmp_path / "2.txt", "\ufeffthree\nfour")
    lines = ts.data.TextFiles([first, second], "\n")
    assert list(lines) == ["one", "two", "three", "four"]
    assert lines.blank == 2
    assert [lines.where(i) for i in range(4)] == [f"{first}:1", f"{first}:4", f"{second}:1", f"{second}:2"]
    assert lines[-1] == "four" and lines[np.int64(2)] == "three"
    with pytest.raises(IndexError, match="document 4 of 4"):
        lines[4]
    assert list(ts.data.TextFiles([first, second])) == ["one\n\n  \ntwo\r\n", "three\nfour"]


def test_texts_are_told_apart(tmp_path):
    a, b = write(tmp_path / "a", "12\n345\n"), write(tmp_path / "b", "123\n45\n")
    prints = [ts.data.TextFiles(a, "\n"), ts.data.TextFiles(b, "\n"), ts.data.TextFiles(a)]
    assert len({json.dumps(t.fingerprint()) for t in prints}) == 3


def test_files_that_are_no_texts(tmp_path):
    for data, code, said in ((b"", "TS7001", "is empty"), (b" \n\t\n", "TS7001", "has no document"),
                             (b"\xef\xbb\xbf", "TS7001", "has no document"),
                             (b"\x1f\x8b\x08\x00more", "TS7001", "is compressed")):
        with pytest.raises(ts.DataError) as caught:
            ts.data.TextFiles(write(tmp_path / "bad", data), "\n")
        check(caught, code, str(tmp_path / "bad"), said)
    for path, said in ((tmp_path / "none", "does not exist"), (tmp_path, "is a folder"),
                       (tmp_path / "no" / "none", f"there is no folder {tmp_path / 'no'}")):
        with pytest.raises(ts.DataError) as caught:
            ts.data.TextFiles(path)
        check(caught, "TS7001", said)
    with pytest.raises(ts.DataError) as caught:
        ts.data.TextFiles([])
    check(caught, "TS7001", "the list of files is empty")
    with pytest.raises(ts.ConfigError) as caught:
        ts.data.TextFiles(tmp_path / "bad", "")
    check(caught, "TS4006", "separator is ''")


def test_bytes_that_are_no_text(tmp_path):
    path = write(tmp_path / "latin", b"one\n\ntwo\nthr\xe9e\n")
    paragraphs = ts.data.TextFiles(path, "\n\n")
    with pytest.raises(ts.DataError) as caught:
        paragraphs[1]
    check(caught, "TS7003", f"{path}:4: not UTF-8", "byte 0xe9 at offset 12 of the file")


def test_file_that_shrinks(tmp_path):
    path = write(tmp_path / "log", "one\ntwo\n")
    lines = ts.data.TextFiles(path, "\n")
    write(path, "one\n")
    with pytest.raises(ts.DataError) as caught:
        lines[1]
    check(caught, "TS7001", "has become shorter")


def test_fields_of_lines(tmp_path):
    path = write(tmp_path / "a.jsonl", '{"text": "one", "n": 1}\n\n{"text": "tw\\u00f6\\n"}')
    lines = ts.data.JSONLines(path)
    assert list(lines) == ["one", "twö\n"]
    assert lines.record(0) == {"text": "one", "n": 1}
    assert lines.where(1) == f"{path}:3"
    other = write(tmp_path / "b.jsonl", '{"body": "x"}\n{"body": "y"}\n')
    assert list(ts.data.JSONLines(other, field="body")) == ["x", "y"]


@pytest.mark.parametrize("line, said", [
    ('{"text": "cut', "not JSON: Unterminated string starting at, column 10"),
    ("[1, 2]", "not an object of JSON"),
    ('{"txt": "x", "id": 3}', "there is no field 'text'"),
    ('{"text": 12}', "field 'text' is no string"),
    ("[" * 100000, "not JSON"),
])
def test_lines_that_are_not_as_expected(tmp_path, line, said):
    path = write(tmp_path / "bad.jsonl", '{"text": "good"}\n\n' + line + "\n")
    lines = ts.data.JSONLines(path)
    with pytest.raises(ts.DataError) as caught:
        lines[1]
    check(caught, "TS7003", f"{path}:3: {said}")


def test_first_line_is_looked_at_early(tmp_path):
    good = write(tmp_path / "good.jsonl", '{"text": "x"}\n')
    path = write(tmp_path / "bad.jsonl", '{"txt": "x", "id": 3}\n')
    with pytest.raises(ts.DataError) as caught:
        ts.data.JSONLines([good, path])
    check(caught, "TS7003", f"{path}:1: there is no field 'text'", "txt, id", "did you mean 'txt'?")
