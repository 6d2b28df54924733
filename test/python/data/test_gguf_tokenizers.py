# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Tokenizers in GGUF files: what they make of a text is what the same BPE in a tokenizer.json makes of it."""

import sys

import numpy as np
import pytest

import tessera as ts
from refusals import check

gguf = pytest.importorskip("gguf", reason="it writes the files")
tokenizers = pytest.importorskip("tokenizers")

TEXT = ("It's 2024, and we'll pay 1234567 marks ½ or ٣٤.\n\n\tThey'VE said:  so  be it \r\n "
        "e\u0301 日本語 🙂 x1y22 (a+b)**2 != c_3; <|end|>done")
TEMPLATE = ("{% for m in messages %}\n{{ '<' + m.role + '>' + m['content'] + eos_token }}\n{% endfor %}\n"
            "{% if add_generation_prompt %}{{ bos_token }}{% endif %}")
SPECIAL = ["<|start|>", "<|end|>", "<think>"]


def library(before=(), use_regex=True, **settings):
    """A BPE trained on the text, cut as given."""
    pre = tokenizers.pre_tokenizers
    made = tokenizers.Tokenizer(tokenizers.models.BPE(**settings))
    made.pre_tokenizer = pre.Sequence([*before, pre.ByteLevel(add_prefix_space=False, use_regex=use_regex)])
    made.decoder = tokenizers.decoders.ByteLevel()
    made.train_from_iterator([TEXT, TEXT], tokenizers.trainers.BpeTrainer(
        vocab_size=400, special_tokens=SPECIAL, show_progress=False,
        initial_alphabet=pre.ByteLevel.alphabet()))
    return made


def written(path, made, pre, change=lambda fields: None):
    """A file without weights that has the tokens of a library's tokenizer."""
    import json

    model = json.loads(made.to_str())["model"]
    tokens = sorted(model["vocab"], key=model["vocab"].get)
    kinds = [4 if token == "<think>" else 3 if token in SPECIAL else 1 for token in tokens]
    fields = {"tokens": tokens, "merges": [" ".join(pair) for pair in model["merges"]], "kinds": kinds,
              "model": "gpt2", "pre": pre, "bos": 0, "eos": 1}
    change(fields)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_tokenizer_model(fields["model"])
    writer.add_tokenizer_pre(fields["pre"])
    for name, add in (("tokens", writer.add_token_list), ("merges", writer.add_token_merges),
                      ("kinds", writer.add_token_types), ("bos", writer.add_bos_token_id),
                      ("eos", writer.add_eos_token_id), ("template", writer.add_chat_template),
                      ("adds_bos", writer.add_add_bos_token)):
        if name in fields:
            add(fields[name])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    return path


def cuttings():
    pre = tokenizers.pre_tokenizers
    llama3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
              r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
    split = pre.Split(tokenizers.Regex(llama3), behavior="isolated")
    return {"gpt-2": library(), "smollm": library([pre.Digits(individual_digits=True)]),
            "llama-bpe": library([split], use_regex=False, ignore_merges=True)}


@pytest.mark.parametrize("pre", ["gpt-2", "smollm", "llama-bpe"])
def test_text_is_cut_as_the_file_says(pre, tmp_path):
    made = cuttings()[pre]
    ours = ts.data.load_tokenizer(written(tmp_path / "model.gguf", made, pre))
    ids = ours.encode(TEXT)
    assert ids.tolist() == made.encode(TEXT).ids and ids.dtype == np.int32
    assert ours.decode(ids, skip_special=False) == TEXT
    assert (ours.bos, ours.eos, ours.vocab_size) == (0, 1, made.get_vocab_size())
    pieces = [piece for piece, _ in ours.library.pre_tokenizer.pre_tokenize_str("THEY'VE1234567")]
    assert pieces == {"gpt-2": ["THEY", "'", "VE", "1234567"],
                      "smollm": ["THEY", "'", "VE", *"1234567"],
                      "llama-bpe": ["THEY", "'VE", "123", "456", "7"]}[pre]


def test_special_tokens(tmp_path):
    made = library()
    ours = ts.data.load_tokenizer(written(tmp_path / "a.gguf", made, "gpt2"))
    ids = ours.encode("<|start|>so<think><|end|>").tolist()
    assert ids[0] == 0 and ids[-2:] == [2, 1] and ours.decode(ids) == "so<think>"
    assert ours.encode("so", special=True).tolist() == ids[1:-2]
    path = written(tmp_path / "b.gguf", made, "gpt2", lambda fields: fields.update(adds_bos=True))
    assert ts.data.load_tokenizer(path).encode("so", special=True).tolist() == ids[:-2]
    assert ts.data.load_tokenizer(path, eos="<think>").eos == 2
    assert ts.data.load_tokenizer(path).fingerprint() != ours.fingerprint()


def test_conversations(tmp_path, monkeypatch):
    pytest.importorskip("jinja2", reason="chat templates are written for it")
    made = library()
    path = written(tmp_path / "a.gguf", made, "gpt2", lambda fields: fields.update(template=TEMPLATE))
    ours = ts.data.load_tokenizer(path)
    messages = [{"role": "user", "content": "Where?"}, {"role": "assistant", "content": "Here."}]
    assert ours.chat_text(messages) == "<user>Where?<|end|>\n<assistant>Here.<|end|>\n<|start|>"
    assert ours.chat_text(messages[:1], answer=False) == "<user>Where?<|end|>\n"
    for wrong in ("Where?", [{"role": "user"}], [3]):
        with pytest.raises(ts.ConfigError) as caught:
            ours.chat_text(wrong)
        check(caught, "TS4006", "messages are no conversation")
    for template, said in (("{{ raise_exception('no system') }}", "no system"), ("{% if %}", "fails"),
                           ("{{ messages.clear() }}", "fails"), ("{{ ''.__class__.mro() }}", "fails"),
                           ("{{ 1 / 0 }}", "ZeroDivisionError")):
        ours.chat_template = template
        with pytest.raises(ts.DataError) as caught:
            ours.chat_text(messages)
        check(caught, "TS7002", said, "call tokenizer.encode")
    ours.chat_template = None
    with pytest.raises(ts.ConfigError) as caught:
        ours.chat_text(messages)
    check(caught, "TS4006", "has no chat template")
    ours.chat_template = TEMPLATE
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(ts.ConfigError) as caught:
        ours.chat_text(messages)
    check(caught, "TS4006", "'jinja2'", "pip install jinja2, or write the prompt out")


def test_files_that_have_no_such_tokenizer(tmp_path):
    made, path = library(), tmp_path / "model.gguf"
    for code, said, change in (
            ("TS4006", "of the kind 'llama'", {"model": "llama"}),
            ("TS4006", "cuts text by 'tekken'", {"pre": "tekken"}),
            ("TS7002", "eos_token_id = 400", {"eos": 400}),
            ("TS7002", "merges of", {"merges": ["a qqq"]})):
        written(path, made, "gpt2", lambda fields: fields.update(change))
        with pytest.raises(ts.TesseraError) as caught:
            ts.data.load_tokenizer(path)
        check(caught, code, said)
    written(path, made, "gpt2", lambda fields: fields.pop("merges"))
    with pytest.raises(ts.DataError) as caught:
        ts.data.load_tokenizer(path)
    check(caught, "TS7002", "no tokenizer.ggml.merges", "pass a tokenizer.json")
    with pytest.raises(ts.DataError) as caught:
        ts.data.load_tokenizer(tmp_path / "other.gguf")
    check(caught, "TS7001", "other.gguf does not exist")
    whole = written(path, made, "gpt2").read_bytes()
    for damaged in (b"", b"GGML" + whole[4:], whole[:4] + b"\x09" + whole[5:], whole[:24], whole[:-9],
                    whole[:16] + b"\xff" * 8 + whole[24:]):
        path.write_bytes(damaged)
        with pytest.raises(ts.DataError) as caught:
            ts.data.load_tokenizer(path)
        check(caught, "TS7002", "is no GGUF file, or damaged")
