# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""tessera train, export and generate after one another, and what they say of what they cannot do."""

import io
import json
import os
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import needs_runtime

import tessera as ts
from tessera._src.commands import train as train_command
from tessera._src.commands.main import main

pytestmark = needs_runtime
TEXT = Path(__file__).parents[3] / "LICENSE"
CONFIG = {
    "model": {"architecture": "gpt2", "config": {"n_embd": 16, "n_head": 2, "n_layer": 1, "n_positions": 16}},
    "data": {"path": str(TEXT), "separator": "\n\n"}, "monitor": {"mfu": False, "plot": False},
    "train": {"steps": 2, "batch": 4, "sequence_length": 12},
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A configuration's file, and the folder of a training with it."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "train.json").write_text(json.dumps(CONFIG))
    # Options may stand before what they replace.
    assert main(["train", str(folder / "train.json"), "--check", f"train.folder={folder}/run"]) == 0
    assert not (folder / "run").exists()
    assert main(["train", str(folder / "train.json"), f"train.folder={folder}/run"]) == 0
    return folder / "train.json", folder / "run"


def test_a_training_is_exported_and_generates(trained, tmp_path, capsys):
    _, run = trained
    out = tmp_path / "model"
    assert main(["generate", str(run), "--prompt", "The"]) == 1
    assert f"tessera export {run} MODEL" in capsys.readouterr().err
    assert main(["export", str(run), str(out)]) == 0
    assert f"tessera generate {out} --tokenizer bytes --prompt TEXT" in capsys.readouterr().out
    model = ts.models.GPT2.from_pretrained(out)
    wanted = ts.Trainer(None, str(run / "config.yaml")).model.state_dict()
    assert set(model.state_dict()) == set(wanted)
    for name, weight in model.state_dict().items():
        np.testing.assert_array_equal(weight, wanted[name], err_msg=name)
    assert main(["generate", str(out), "--prompt", "The"]) == 1
    assert "--tokenizer bytes is that of a model" in capsys.readouterr().err
    words = ["generate", str(out), "--tokenizer", "bytes", "--prompt", "The", "--max-new-tokens", "3"]
    assert main(words) == 0
    said = capsys.readouterr().out
    tokens = model.generate([list(b"The")], 3, stop=(256,))[0, 3:]
    assert said == ts.data.ByteTokenizer().decode(tokens) + "\n"
    assert main(["export", str(run), str(out)]) == 1
    assert "is not empty" in capsys.readouterr().err
    ts.checkpoints.save(tmp_path / "other", {"w": np.zeros(2, np.float32)}, 1)
    assert main(["export", str(tmp_path / "other"), str(tmp_path / "none")]) == 1
    assert "no ts.Trainer made" in capsys.readouterr().err and not (tmp_path / "none").exists()


def test_an_exported_model_keeps_what_its_first_folder_said(tmp_path, capsys):
    first, run, out = tmp_path / "first", tmp_path / "run", tmp_path / "out"
    model = ts.models.GPT2({**CONFIG["model"]["config"], "vocab_size": 257}).init(ts.random.key(0))
    model.save_pretrained(first)
    data = json.loads((first / "config.json").read_text())
    (first / "config.json").write_text(json.dumps({**data, "eos_token_id": 256, "of_another_tool": 1}))
    (first / "generation_config.json").write_text(json.dumps({"eos_token_id": [256, 10]}))
    (tmp_path / "train.json").write_text(json.dumps({
        **CONFIG, "model": {"path": str(first)}, "data": {**CONFIG["data"], "tokenizer": "bytes"}}))
    assert main(["train", str(tmp_path / "train.json"), f"train.folder={run}"]) == 0
    assert main(["export", str(run), str(out)]) == 0
    capsys.readouterr()
    written = json.loads((out / "config.json").read_text())
    assert written["eos_token_id"] == 256 and written["of_another_tool"] == 1
    assert json.loads((out / "generation_config.json").read_text()) == {"eos_token_id": [256, 10]}


def test_a_mixed_precision_is_exported_in_f32(trained, tmp_path, capsys):
    file, _ = trained
    run = tmp_path / "run"
    assert main(["train", str(file), f"train.folder={run}", "precision=bf16-mixed"]) == 0
    state = ts.Trainer(None, str(run / "config.yaml")).state
    folders = {}
    for name in ("f32", "bf16", "f16", None):
        folders[name] = tmp_path / f"model-{name}"
        option = [] if name is None else ["--dtype", name]
        assert main(["export", str(run), str(folders[name]), *option]) == 0
    weights = [np.asarray(leaf) for leaf in ts.tree.leaves(state.optimizer["master"])]
    wide = ts.models.GPT2.from_pretrained(folders["f32"], dtype=ts.f32)
    assert json.loads((folders["f32"] / "config.json").read_text())["dtype"] == "float32"
    for leaf, wanted in zip(ts.tree.leaves(wide), weights, strict=True):
        np.testing.assert_array_equal(np.asarray(leaf), wanted)
    for name in ("bf16", None):
        narrow = ts.models.GPT2.from_pretrained(folders[name], dtype=ts.bf16)
        for leaf, wanted in zip(ts.tree.leaves(narrow), ts.tree.leaves(state.model), strict=True):
            np.testing.assert_array_equal(np.asarray(leaf), np.asarray(wanted))
    half = ts.models.GPT2.from_pretrained(folders["f16"], dtype=ts.f16)
    for leaf, wanted in zip(ts.tree.leaves(half), weights, strict=True):
        np.testing.assert_array_equal(np.asarray(leaf), wanted.astype(np.float16))


def test_generate_says_what_numbers_may_be(trained, tmp_path, capsys, monkeypatch):
    _, run = trained
    out = tmp_path / "model"
    assert main(["export", str(run), str(out)]) == 0
    start = ["generate", str(out), "--tokenizer", "bytes"]
    for option, expected in (("--temperature=-1", "at least 0"), ("--top-k=0", "at least 1"),
                             ("--top-p=2", "at most 1"), ("--max-new-tokens=-3", "at least 0")):
        assert main([*start, "--prompt", "The", option]) == 1
        error = capsys.readouterr().err
        assert "expected: a" in error and expected in error
        assert "\n  at " not in error  # No place in a file is at fault.
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"caf\xe9"), "utf-8"))
    assert main(start) == 1
    assert "standard input is not UTF-8" in capsys.readouterr().err


def test_a_tokenizer_goes_with_a_model(tmp_path):
    tokenizers = pytest.importorskip("tokenizers")
    from tessera._src.commands.export import _write_tokenizer

    words = tokenizers.Tokenizer(tokenizers.models.WordLevel({"a": 0, "b": 1, "</s>": 2}, unk_token="a"))
    words.save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "tokenizer_config.json").write_text('{"bos_token": "b"}')
    out = tmp_path / "out"
    out.mkdir()
    _write_tokenizer(out, ts.data.load_tokenizer(tmp_path), "</s>")
    found = ts.data.load_tokenizer(out)
    assert (found.bos, found.eos) == (1, 2) and found.encode("b").tolist() == [1]


@pytest.mark.parametrize("words", [["inspect", "n" * 300], ["generate", "n" * 300, "--prompt", "x"],
                                   ["verify", "n" * 300], ["export", "n" * 300, "out"]])
def test_what_the_system_refuses_is_a_line(words, capsys):
    assert main(words) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"tessera {words[0]}: ") and "Traceback" not in error


def test_inspect_of_other_files(trained, tmp_path, capsys):
    file, _ = trained
    (tmp_path / "x.gguf").write_bytes(b"GGUF" + bytes(40))
    for path in (file, tmp_path / "x.gguf"):
        assert main(["inspect", str(path)]) == 1
        error = capsys.readouterr().err
        assert "is not a .safetensors file" in error and "damaged" not in error
    assert "tessera generate" in error


def test_port_0_is_any_that_is_free(trained, capsys):
    pytest.importorskip("prometheus_client")
    file, run = trained
    assert main(["train", str(file), f"train.folder={run}", "monitor.port=0"]) == 0
    said = capsys.readouterr().out
    assert "metrics at http://127.0.0.1:" in said and ":0/metrics" not in said
    assert "goes on after step 2" in said


class Stopped:
    """A trainer that ends as it is told."""

    peak_flops = 1.0

    def __init__(self, *arguments, **more):
        pass

    def fit(self):
        self.signal, self.reason = "SIGTERM", Stopped.ends
        if Stopped.is_twice:
            raise KeyboardInterrupt


@pytest.mark.parametrize("ends, is_twice, code", [("done", False, 0), ("stopped", False, 143),
                                                  ("stopped", True, 143)])
def test_the_code_says_what_has_ended_it(trained, tmp_path, monkeypatch, ends, is_twice, code):
    monkeypatch.setattr(train_command, "Trainer", Stopped)
    Stopped.ends, Stopped.is_twice = ends, is_twice
    assert main(["train", str(trained[0]), f"train.folder={tmp_path}/run"]) == code


def test_a_signal_that_is_ignored_stays_so():
    from tessera._src.training.signals import StopSignals

    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with StopSignals() as signals:
            os.kill(os.getpid(), signal.SIGINT)
            assert signals.received is None
            os.kill(os.getpid(), signal.SIGTERM)
            assert signals.received == "SIGTERM"
    finally:
        signal.signal(signal.SIGINT, before)


def test_generate_chats_with_no_bytes(tmp_path, capsys):
    assert main(["generate", str(tmp_path), "--tokenizer", "bytes", "--chat", "--prompt", "x"]) == 1
    assert "leave --chat out" in capsys.readouterr().err
