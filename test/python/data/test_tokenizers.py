# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Tokenizers: what goes in comes out, and what cannot is said."""

import json
import random

import numpy as np
import pytest

import tessera as ts
from refusals import check


def test_bytes_bring_back_every_character():
    tokenizer = ts.data.ByteTokenizer()
    everything = "".join(map(chr, [*range(0xD800), *range(0xE000, 0x110000)]))
    ids = tokenizer.encode(everything)
    assert ids.dtype == np.int32 and ids.min() == 0 and ids.max() < tokenizer.eos
    assert tokenizer.decode(ids) == everything
    assert tokenizer.encode("é\n").tolist() == [0xC3, 0xA9, 10]
    assert tokenizer.encode("").shape == (0,)


@pytest.mark.quick
def test_bytes_of_what_a_model_says():
    tokenizer = ts.data.ByteTokenizer()
    assert tokenizer.decode([104, 105, 256]) == "hi"
    assert tokenizer.decode(np.array([104, 0xC3], np.int64)) == "h\ufffd"
    assert tokenizer.decode([]) == ""
    with pytest.raises(UnicodeDecodeError):
        tokenizer.decode([0xC3], errors="strict")
    for ids, said in (([1, 257], "token 257 at 1"), ([-1], "token -1 at 0")):
        with pytest.raises(ts.DataError) as caught:
            tokenizer.decode(ids)
        check(caught, "TS7004", said, "ids from 0 to 256")
    with pytest.raises(ts.DataError) as caught:
        tokenizer.decode([0.5])
    check(caught, "TS7004", "float64")


def test_surrogates_are_no_text():
    with pytest.raises(ts.DataError) as caught:
        ts.data.ByteTokenizer().encode("ab\ud800")
    check(caught, "TS7003", "a lone surrogate at character 2")
    with pytest.raises(ts.DataError) as caught:
        ts.data.ByteTokenizer().encode(b"ab")
    check(caught, "TS7003", "a bytes is not a text")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a byte-level BPE of 300 tokens, as training with the library writes it."""
    tokenizers = pytest.importorskip("tokenizers")
    from tokenizers import decoders, models, pre_tokenizers, processors, trainers

    library = tokenizers.Tokenizer(models.BPE())
    library.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    library.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=300, special_tokens=["<s>", "</s>"], show_progress=False,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    library.train_from_iterator(["the cat sat on the mat, the cat that sat"] * 5, trainer)
    library.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    library.enable_truncation(3)
    library.enable_padding(length=64)
    place = tmp_path_factory.mktemp("tokenizer")
    library.save(str(place / "tokenizer.json"))
    return place


def test_files_bring_back_text(folder):
    tokenizer = ts.data.load_tokenizer(folder, eos="</s>")
    chance = random.Random(3)
    for _ in range(50):
        text = "".join(chr(chance.choice([*range(32, 127), 0xE9, 0x4E16, 0x1F600])) for _ in range(40))
        ids = tokenizer.encode(text)
        assert ids.dtype == np.int32 and tokenizer.decode(ids) == text
    # Neither cut nor padded, whatever the file says.
    assert len(tokenizer.encode("the cat sat on the mat")) == 6
    assert tokenizer.library.get_vocab_size() == tokenizer.vocab_size


def test_files_and_special_tokens(folder):
    tokenizer = ts.data.load_tokenizer(folder / "tokenizer.json", eos="</s>", bos="<s>")
    assert (tokenizer.bos, tokenizer.eos) == (0, 1)
    plain = tokenizer.encode("the")
    assert tokenizer.encode("the", special=True).tolist() == [0, *plain]
    assert tokenizer.decode([*plain, 1]) == "the"
    assert tokenizer.decode([*plain, 1], skip_special=False) == "the</s>"
    with pytest.raises(ts.DataError) as caught:
        tokenizer.decode([tokenizer.vocab_size])
    check(caught, "TS7004", "outside of the vocabulary")
    with pytest.raises(ts.DataError) as caught:
        tokenizer.encode_batch(["a", "\udfff"])
    check(caught, "TS7003", "a lone surrogate at character 0")


def test_special_tokens_of_the_configuration(folder, tmp_path):
    (tmp_path / "tokenizer.json").write_bytes((folder / "tokenizer.json").read_bytes())
    assert ts.data.load_tokenizer(tmp_path).eos is None
    config = tmp_path / "tokenizer_config.json"
    config.write_text(json.dumps({"eos_token": {"content": "</s>"}, "bos_token": "<s>"}))
    tokenizer = ts.data.load_tokenizer(tmp_path)
    assert (tokenizer.bos, tokenizer.eos) == (0, 1)
    assert ts.data.load_tokenizer(tmp_path, eos="<s>").eos == 0
    config.write_text("{")
    with pytest.raises(ts.DataError) as caught:
        ts.data.load_tokenizer(tmp_path)
    check(caught, "TS7002", "tokenizer_config.json is not valid JSON")


def test_files_that_are_no_tokenizers(folder, tmp_path):
    with pytest.raises(ts.DataError) as caught:
        ts.data.load_tokenizer(tmp_path)
    check(caught, "TS7001", "tokenizer.json does not exist", "ByteTokenizer() needs no file")
    (tmp_path / "tokenizer.json").write_text('{"model": 3}')
    with pytest.raises(ts.DataError) as caught:
        ts.data.load_tokenizer(tmp_path)
    check(caught, "TS7002", "is not a tokenizer")
    with pytest.raises(ts.ConfigError) as caught:
        ts.data.load_tokenizer(folder, eos="</S>")
    check(caught, "TS4006", "eos is '</S>', which is no token", "did you mean '</s>'?")
    assert ts.data.load_tokenizer(folder).fingerprint() != ts.data.ByteTokenizer().fingerprint()


def test_text_of_tokens_that_come_one_by_one(folder):
    for tokenizer in (ts.data.ByteTokenizer(), ts.data.load_tokenizer(folder)):
        text = "the é 日本🙂 cat\n"
        ids = tokenizer.encode(text)
        stream = ts.data.TextStream(tokenizer)
        parts = [stream.add(int(token)) for token in ids]
        assert "".join(parts) == text and "\ufffd" not in parts and stream.rest() == ""
        cut = tokenizer.encode("a🙂")[:-1]
        stream = ts.data.TextStream(tokenizer)
        assert "".join(stream.add(int(token)) for token in cut) == "a"
        assert stream.rest() == tokenizer.decode(cut)[1:]
