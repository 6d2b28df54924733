# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Megatron-LM's files of tokens, byte by byte."""

import struct

import numpy as np
import pytest

import tessera as ts
from refusals import check
from tessera._src.data import token_files

# Three sequences in two documents: [1, 2, 258] [3] and [4, 5], as u16.
BIN = bytes.fromhex("0100 0200 0201 0300 0400 0500")
IDX = bytes.fromhex(
    "4d4d4944494458 0000"  # MMIDIDX
    "0100000000000000 08"  # version 1, u16
    "0300000000000000 0300000000000000"  # 3 sequences, 3 document indices
    "03000000 01000000 02000000"
    "0000000000000000 0600000000000000 0800000000000000"
    "0000000000000000 0200000000000000 0300000000000000")


def write_pair(folder, idx=IDX, data=BIN):
    (folder / "t.idx").write_bytes(idx)
    (folder / "t.bin").write_bytes(data)
    return folder / "t"


def megatron_builder(path, documents, dtype, code):
    """Writes what Megatron-LM's IndexedDatasetBuilder and _IndexWriter do, call by call."""
    lengths, bounds = [], [0]
    with open(f"{path}.bin", "wb") as data:
        for sentences in documents:
            for sentence in sentences:  # add_item
                data.write(np.array(sentence, dtype=dtype).tobytes(order="C"))
                lengths.append(len(sentence))
            bounds.append(len(lengths))  # end_document
    with open(f"{path}.idx", "wb") as index:
        index.write(b"MMIDIDX\x00\x00")
        index.write(struct.pack("<Q", 1))
        index.write(struct.pack("<B", code))
        index.write(struct.pack("<Q", len(lengths)))
        index.write(struct.pack("<Q", len(bounds)))
        index.write(np.array(lengths, dtype=np.int32).tobytes(order="C"))
        pointers, here = [], 0
        for length in lengths:
            pointers.append(here)
            here += length * np.dtype(dtype).itemsize
        index.write(np.array(pointers, dtype=np.int64).tobytes(order="C"))
        index.write(np.array(bounds, dtype=np.int64).tobytes(order="C"))


@pytest.mark.quick
def test_file_made_by_hand_is_read(tmp_path):
    source = ts.data.TokenFile(write_pair(tmp_path), vocab_size=259)
    assert [document.tolist() for document in source] == [[1, 2, 258, 3], [4, 5]]
    assert source.lengths.tolist() == [4, 2] and source.token_count == 6 and len(source) == 2
    assert source.tokens.dtype == np.uint16 and not source.tokens.flags.writeable
    source.check()
    for name in ("t.bin", "t.idx"):
        assert len(ts.data.TokenFile(tmp_path / name)) == 2


def test_file_is_written_as_by_hand(tmp_path):
    ts.data.write_token_file(tmp_path / "t", [[1, 2, 258], [3], [4, 5]], vocab_size=259)
    assert (tmp_path / "t.bin").read_bytes() == BIN
    # Each document is one sequence.
    count, more = bytes.fromhex("0300000000000000"), bytes.fromhex("0400000000000000")
    bounds = struct.pack("<4q", 0, 1, 2, 3)
    assert (tmp_path / "t.idx").read_bytes() == IDX[:18] + count + more + IDX[34:70] + bounds
    assert sorted(path.name for path in tmp_path.iterdir()) == ["t.bin", "t.idx"]


@pytest.mark.parametrize("dtype, code", [("u1", 1), ("i1", 2), ("i2", 3), ("i4", 4), ("i8", 5), ("u2", 8)])
def test_every_element_type(tmp_path, dtype, code):
    chance = np.random.default_rng(code)
    documents = [chance.integers(0, 128, size) for size in (3, 0, 1, 1200, 5)]
    megatron_builder(tmp_path / "theirs", [[d] for d in documents], dtype, code)
    ts.data.write_token_file(tmp_path / "ours", documents, dtype=dtype)
    for kind in ("bin", "idx"):
        assert (tmp_path / f"ours.{kind}").read_bytes() == (tmp_path / f"theirs.{kind}").read_bytes()
    read = ts.data.TokenFile(tmp_path / "theirs")
    assert [d.tolist() for d in read] == [d.tolist() for d in documents]


@pytest.mark.parametrize("code, form", [(1, "B"), (2, "b"), (3, "h"), (4, "i"), (5, "q"), (8, "H")])
@pytest.mark.parametrize("modes", [b"", bytes(3)], ids=["text", "modes"])
def test_bytes_of_every_code(tmp_path, code, form, modes):
    """As megatron/core/datasets/indexed_dataset.py defines the fields, packed one by one."""
    size = struct.calcsize("<" + form)
    most = min(2 ** (8 * size - (form.islower())) - 1, 2**31 - 1)
    sequences = [[0, most], [], [5, most - 1, 7]]
    pack = struct.pack
    data = b"".join(pack(f"<{len(row)}{form}", *row) for row in sequences)
    index = (b"MMIDIDX\x00\x00" + pack("<Q", 1) + pack("<B", code) + pack("<Q", 3) + pack("<Q", 4)
             + pack("<3i", 2, 0, 3) + pack("<3q", 0, 2 * size, 2 * size) + pack("<4q", 0, 1, 2, 3))
    write_pair(tmp_path, index + modes, data)
    assert [document.tolist() for document in ts.data.TokenFile(tmp_path / "t")] == sequences
    dtype = np.dtype("<" + form)
    assert ts.data.TokenFile(tmp_path / "t").tokens.dtype == dtype
    ts.data.write_token_file(tmp_path / "w", sequences, dtype=dtype)
    assert (tmp_path / "w.bin").read_bytes() == data and (tmp_path / "w.idx").read_bytes() == index


def test_documents_of_sentences(tmp_path):
    documents = [[[1, 2], [3]], [], [[], [4, 5, 6]], [[7]]]
    megatron_builder(tmp_path / "t", documents, np.int32, 4)
    assert [d.tolist() for d in ts.data.TokenFile(tmp_path / "t")] == [[1, 2, 3], [], [4, 5, 6], [7]]


def test_many_documents_and_long_ones(tmp_path):
    chance = np.random.default_rng(0)
    documents = [chance.integers(0, 50000, size) for size in chance.integers(0, 9, 2500)]
    documents[700] = chance.integers(0, 50000, 70000)
    ts.data.write_token_file(tmp_path / "t", iter(documents), vocab_size=50000)
    source = ts.data.TokenFile(tmp_path / "t")
    assert all((a == b).all() and len(a) == len(b) for a, b in zip(source, documents, strict=True))
    # Pieces are the same by either way of copying them.
    numbers = np.array([700, 3, 2499, 700, 0])
    begins = np.array([69990, 0, 0, 5, 0])
    for scale in (1, 5000):
        counts = np.minimum(source.lengths[numbers] - begins, 6 * scale)
        expected = np.concatenate([documents[n][b:b + c] for n, b, c in zip(numbers, begins, counts)])
        np.testing.assert_array_equal(source.read(numbers, begins, counts), expected)


def test_element_type_follows_the_vocabulary(tmp_path):
    for vocab_size, kind in ((None, "int32"), (65499, "uint16"), (65500, "int32")):
        ts.data.write_token_file(tmp_path / "t", [[1]], vocab_size=vocab_size)
        assert ts.data.TokenFile(tmp_path / "t").tokens.dtype == kind
    with pytest.raises(ts.ConfigError) as caught:
        ts.data.write_token_file(tmp_path / "t", [[1]], dtype="u4")
    check(caught, "TS4006", "dtype of write_token_file is 'u4'", "uint16")


def change(place, form, value):
    size = struct.calcsize(form)
    return IDX[:place] + struct.pack(form, value) + IDX[place + size:]


@pytest.mark.parametrize("idx, said", [
    (b"TNTIDX\0\0" + IDX[8:], "not an index of tokens"),
    (IDX[:20], "truncated"),
    (IDX[:-1], "truncated"),
    (IDX + b"\0", "its length does not fit"),
    (IDX + b"\0\1\0", "it has several modalities"),
    (change(9, "<Q", 2), "unknown version"),
    (change(17, "<B", 6), "its tokens are of floats"),
    (change(17, "<B", 7), "its tokens are of floats"),
    (change(17, "<B", 0), "its tokens are of an unknown type"),
    (change(17, "<B", 9), "its tokens are of an unknown type"),
    (change(18, "<Q", 2**60), "truncated"),
    (change(26, "<Q", 4), "truncated"),
    (change(38, "<i", -1), "sequence 1 has a negative length"),
    (change(54, "<q", 7), "sequence 1 does not follow"),
    (change(70, "<q", 1), "its document indices are not an ascending row"),
    (change(78, "<q", 4), "its document indices are not an ascending row"),
    (change(86, "<q", 2), "its document indices are not an ascending row"),
], ids=range(17))
def test_every_field_is_checked(tmp_path, idx, said):
    with pytest.raises(ts.DataError) as caught:
        ts.data.TokenFile(write_pair(tmp_path, idx))
    check(caught, "TS7002", f"{tmp_path / 't.idx'}: {said}")


def test_modes_of_text_are_read(tmp_path):
    assert len(ts.data.TokenFile(write_pair(tmp_path, IDX + bytes(3)))) == 2


def test_tokens_must_fit_their_index(tmp_path):
    for data, said in ((BIN[:-1], "t.bin is truncated"), (BIN + b"\0\0", "t.bin is longer"),
                       (b"", "truncated")):
        with pytest.raises(ts.DataError) as caught:
            ts.data.TokenFile(write_pair(tmp_path, IDX, data))
        check(caught, "TS7002", said, f"got: {len(data)} bytes", "12 bytes: 6 tokens of uint16")
    (tmp_path / "t.bin").unlink()
    with pytest.raises(ts.DataError) as caught:
        ts.data.TokenFile(tmp_path / "t")
    check(caught, "TS7001", "t.bin does not exist")
    (tmp_path / "t.idx").write_bytes(b"")
    with pytest.raises(ts.DataError) as caught:
        ts.data.TokenFile(tmp_path / "t")
    check(caught, "TS7001", "t.idx is empty")
    head = IDX[:18] + struct.pack("<QQq", 0, 1, 0)
    with pytest.raises(ts.DataError) as caught:
        ts.data.TokenFile(write_pair(tmp_path, head, b""))
    check(caught, "TS7005", "t.idx has no documents")


def test_files_of_the_same_lengths_are_told_apart(tmp_path):
    prints = []
    for name in ("a", "b"):
        ts.data.write_token_file(tmp_path / name, [[1, ord(name)], [2]])
        prints.append(ts.data.TokenFile(tmp_path / name).fingerprint())
    assert prints[0] != prints[1] and prints[0].keys() == prints[1].keys()


def test_all_tokens_are_checked(tmp_path, monkeypatch):
    monkeypatch.setattr(token_files, "_CHECKED_AT_ONCE", 2)
    ts.data.write_token_file(tmp_path / "t", [[1, 2, 3], [], [4, 9, 5]])
    ts.data.TokenFile(tmp_path / "t", vocab_size=10).check()
    with pytest.raises(ts.DataError) as caught:
        ts.data.TokenFile(tmp_path / "t", vocab_size=9).check()
    check(caught, "TS7004", "document 2: token 9 at 1")


def test_tokens_outside_of_the_vocabulary(tmp_path):
    source = ts.data.TokenFile(write_pair(tmp_path), vocab_size=258)
    with pytest.raises(ts.DataError) as caught:
        source.check()
    check(caught, "TS7004", f"{tmp_path / 't'}.bin: document 0: token 258 at 2", "ids from 0 to 257")
    with pytest.raises(ts.DataError) as caught:
        source.read(np.array([1, 0]), np.array([1, 1]), np.array([1, 3]))
    check(caught, "TS7004", "document 0: token 258 at 2")
    with pytest.raises(ts.DataError) as caught:
        ts.data.Packed(source, 5).rows(np.array([0]))
    check(caught, "TS7004", "token 258 at 2")
    for documents, options, said in (
            ([[1], [2, 300]], {"vocab_size": 300}, "document 1: token 300 at 1 is outside"),
            ([[1], [2, 300]], {"dtype": "u1"}, "document 1: token 300 at 1 does not fit uint8"),
            ([[1], [-2]], {}, "document 1: token -2 at 0"),
            ([np.array([2**63], np.uint64), [1]], {"dtype": "i8"}, "document 0: token -9223372036854775808")):
        with pytest.raises(ts.DataError) as caught:
            ts.data.write_token_file(tmp_path / "w", documents, **options)
        check(caught, "TS7004", said)
    for documents, said in (([], "there are no documents"), ([[1], [[2]]], "document 1 is not a row"),
                            ([[0.5]], "of float64")):
        with pytest.raises(ts.DataError) as caught:
            ts.data.write_token_file(tmp_path / "w", documents)
        check(caught, "TS7005", said)
    # Nothing is left of what failed.
    assert sorted(path.name for path in tmp_path.iterdir()) == ["t.bin", "t.idx"]


def test_failed_writing_keeps_what_there_was(tmp_path):
    write_pair(tmp_path)
    with pytest.raises(ts.DataError):
        ts.data.write_token_file(tmp_path / "t", [[1], [-1]])
    assert (tmp_path / "t.bin").read_bytes() == BIN and (tmp_path / "t.idx").read_bytes() == IDX
    with pytest.raises(ts.DataError) as caught:
        ts.data.write_token_file(tmp_path / "no" / "t", [[1]])
    check(caught, "TS7001", "cannot be written: No such file or directory")
