# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Tokens made of texts, parts of sources, and sources of one's own."""

import numpy as np
import pytest

import tessera as ts
from refusals import check
from tessera._src.data import tokens

BYTES = ts.data.ByteTokenizer()


class CountingTokenizer(ts.data.ByteTokenizer):
    def __init__(self):
        self.texts = []

    def encode_batch(self, texts):
        self.texts += texts
        return super().encode_batch(texts)


def test_texts_become_tokens():
    texts = ["ab", "", "é"]
    source = ts.data.Tokenized(texts, BYTES)
    assert [d.tolist() for d in source] == [[97, 98, 256], [256], [0xC3, 0xA9, 256]]
    assert source.lengths.tolist() == [3, 1, 3] and source.vocab_size == 257
    assert ts.data.Tokenized(texts, BYTES, eos=False)[-1].tolist() == [0xC3, 0xA9]
    with pytest.raises(IndexError, match="document 3 of 3"):
        source[3]


@pytest.mark.parametrize("is_kept", [True, False])
def test_texts_are_encoded_once_and_again_where_there_is_no_room(is_kept, monkeypatch):
    if not is_kept:
        monkeypatch.setattr(tokens, "_KEPT_BYTES", 599 * (2 * 2 + tokens._ROW_BYTES))
    tokenizer = CountingTokenizer()
    texts = [str(n) for n in range(600)]
    source = ts.data.Tokenized(texts, tokenizer)
    assert tokenizer.texts == []
    source.lengths, source.lengths
    assert tokenizer.texts == texts
    for _ in range(2):
        assert source[5].tolist() == [ord("5"), 256] and source[5].dtype == np.int32
    assert tokenizer.texts == texts + ["5"] * (not is_kept)
    pieces = source.read(np.array([12, 345]), np.array([0, 1]), np.array([3, 2]))
    assert pieces.tolist() == [ord("1"), ord("2"), 256, ord("4"), ord("5")] and pieces.dtype == np.int32


def test_ids_that_a_tokenizer_should_not_give_are_refused():
    class Broken(CountingTokenizer):
        def encode_batch(self, texts):
            return [np.array([70_000], np.int32) for _ in texts]

    source = ts.data.Tokenized(["a", "b"], Broken())
    with pytest.raises(ts.DataError) as caught:
        source.read(np.array([1]), np.array([0]), np.array([2]))
    check(caught, "TS7004", "text 1: token 70000 at 0", "ids from 0 to 256")


def test_special_tokens_must_be_there():
    with pytest.raises(ts.ConfigError) as caught:
        ts.data.Tokenized(["a"], BYTES, bos=True)
    check(caught, "TS4006", "the tokenizer has no bos token")
    with pytest.raises(ts.ConfigError) as caught:
        ts.data.Tokenized("a text", BYTES)
    check(caught, "TS4006", "texts is a str")
    with pytest.raises(ts.DataError) as caught:
        ts.data.Tokenized([], BYTES)
    check(caught, "TS7005", "there are no documents")


def test_broken_lines_are_found_before_training(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "good"}\n' * 299 + '{"text": "\\ud800"}\n' + '{"text": "good"}\n' * 10)
    source = ts.data.Tokenized(ts.data.JSONLines(path), BYTES)
    with pytest.raises(ts.DataError) as caught:
        ts.data.Packed(source, 8)
    check(caught, "TS7003", f"{path}:300: the text has a lone surrogate at character 0")
    path.write_text('{"text": "good"}\n' * 310 + "{\n")
    with pytest.raises(ts.DataError) as caught:
        ts.data.Packed(ts.data.Tokenized(ts.data.JSONLines(path), BYTES), 8)
    check(caught, "TS7003", f"{path}:311: not JSON")


def test_file_of_tokens_gives_the_same_samples(tmp_path):
    source = ts.data.Tokenized(["one", "two, three", "four"] * 9, BYTES)
    ts.data.write_token_file(tmp_path / "t", source)
    written = ts.data.TokenFile(tmp_path / "t", vocab_size=257)
    a, b = (ts.data.Packed(s, 5, seed=2).rows(np.arange(30)) for s in (source, written))
    assert all((a[name] == b[name]).all() for name in a)


def test_written_texts_name_their_place(tmp_path):
    class Wide(ts.data.ByteTokenizer):
        vocab_size = 255  # Less than it gives.

    path = tmp_path / "a.txt"
    path.write_text("x\ny\n")
    with pytest.raises(ts.DataError) as caught:
        ts.data.write_token_file(tmp_path / "t", ts.data.Tokenized(ts.data.TextFiles(path, "\n"), Wide()))
    check(caught, "TS7004", f"{path}:1: token 256 at 1 is outside of the vocabulary")


def test_places_are_looked_up_for_messages_only(tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    path.write_text("one\ntwo\nthree\n")
    texts = ts.data.TextFiles(path, "\n")
    # Counting lines takes as long as reading the file.
    monkeypatch.setattr(texts, "where", lambda number: pytest.fail("a place was looked up"))
    source = ts.data.Tokenized(texts, BYTES)
    ts.data.write_token_file(tmp_path / "t", source)
    assert ts.data.Packed(source, 3).rows(np.arange(4))["tokens"].shape == (4, 3)


def test_split_has_every_document_once():
    source = ts.data.TokenArrays([[n] * (n + 1) for n in range(50)])
    train, evaluation = ts.data.split(source, 0.8, seed=4)
    assert (len(train), len(evaluation)) == (40, 10)
    assert sorted(d[0] for part in (train, evaluation) for d in part) == list(range(50))
    assert train.lengths.tolist() == [len(d) for d in train]
    again, other = ts.data.split(source, 0.8, seed=4)[0], ts.data.split(source, 0.8, seed=5)[0]
    assert again.documents.tolist() == train.documents.tolist() != other.documents.tolist()
    rows = ts.data.Padded(evaluation, 50, shuffle=False).rows(np.arange(10))
    assert rows["tokens"][:, 0].tolist() == [d[0] for d in evaluation]
    assert evaluation.where(3) == f"document {evaluation.documents[3]}"
    for fraction in (0, 1, 0.001, 1.5):
        with pytest.raises(ts.ConfigError) as caught:
            ts.data.split(source, fraction)
        check(caught, "TS4006", f"fraction {fraction} of 50 documents")
    for documents in ([], [50], [-1], [0.5], 3):
        with pytest.raises(ts.ConfigError) as caught:
            ts.data.Subset(source, documents)
        check(caught, "TS4006", "subset")


class Squares(ts.data.TokenSource):
    """A source of one's own: document n is n squared, n times."""

    def __init__(self, lengths):
        self.lengths, self.vocab_size = np.array(lengths), 30

    def document(self, number):
        return [number * number] * (number + 1)


def test_sources_say_what_they_are(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("one\ntwo\n")
    texts = ts.data.TextFiles(path, "\n")
    assert repr(texts) == f"TextFiles({path}, 2 documents)"
    assert repr(ts.data.Tokenized(texts, BYTES)) == "Tokenized(2 documents)"
    assert repr(ts.data.TokenArrays([[1], [2, 3]])) == "TokenArrays(2 documents)"


def test_sources_of_ones_own():
    rows = ts.data.Packed(Squares([1, 2, 3, 4, 5]), 7, shuffle=False).rows(np.arange(2))
    assert rows["tokens"].tolist() == [[0, 1, 1, 4, 4, 4, 9], [9, 9, 9, 16, 16, 16, 16]]
    with pytest.raises(ts.DataError) as caught:
        ts.data.Packed(Squares([1, 2, 3, 4, 5, 6, 7]), 7, shuffle=False).rows(np.arange(3))
    check(caught, "TS7004", "document 6: token 36 at 0")
    with pytest.raises(ts.DataError) as caught:
        ts.data.Packed(Squares([1, 2, 9]), 9, shuffle=False).rows(np.arange(1))
    check(caught, "TS7005", "document 2 has changed", "3 tokens", "9 tokens")
