# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Files and folders that are not as a training needs them: formats, checkpoints, models, names."""

import json
import os

import numpy as np
import pytest
import train_cases
from conftest import needs_runtime

import tessera as ts


def saved(folder, given, step):
    ts.checkpoints.save(folder, {"w": np.zeros(2, np.float32)}, step, keep={"last": 9}, metadata={
        "kind": "ts.Trainer", "version": 1, "config": given.to_dict(), "loader": {}, "tokens": 0,
        "skipped": 0})


def refused(given, *wanted):
    with pytest.raises(ts.TesseraError) as caught:
        ts.Trainer(None, given)
    for part in wanted:
        assert part in str(caught.value), caught.value


def test_a_damaged_checkpoint_in_the_way_is_named(tmp_path):
    given = train_cases.config(train={"folder": str(tmp_path)})
    saved(tmp_path, given, 2)
    saved(tmp_path, given, 4)
    index = next(path for path in (tmp_path / "step-00000004").iterdir() if path.suffix == ".json")
    index.write_bytes(index.read_bytes()[:40])
    refused(given, "step-00000004", "damaged", f"remove {tmp_path}/step-00000004, to go on from step 2")


def test_a_checkpoint_without_its_index_is_named(tmp_path):
    given = train_cases.config(train={"folder": str(tmp_path)})
    saved(tmp_path, given, 2)
    saved(tmp_path, given, 4)
    (tmp_path / "step-00000004/index.json").unlink()
    refused(given, "step-00000004 has no index.json",
            f"remove {tmp_path}/step-00000004, to go on from step 2")
    with pytest.warns(RuntimeWarning, match="step-00000004 is left out: .* has no index.json"):
        assert ts.checkpoints.latest(tmp_path) == 2
    assert [str(problem) for problem in ts.checkpoints.verify(tmp_path)] == [
        f"{tmp_path}/step-00000004/index.json: it is gone"]
    # One that was being written when its process was killed is no checkpoint yet.
    (tmp_path / "step-00000004").rename(tmp_path / ".step-00000004.0123456789ab.tmp")
    ts.Trainer(None, given)


@pytest.mark.skipif(not hasattr(os, "O_TMPFILE"), reason="/proc is of Linux")
def test_a_folder_that_nobody_can_make():
    refused(train_cases.config(train={"folder": "/proc/run"}), "train.folder: nothing can be made in /proc: ")


def test_an_option_that_a_checkpoint_does_not_know_is_as_its_default(tmp_path):
    given = train_cases.config(train={"folder": str(tmp_path)})
    older = given.to_dict()
    del older["optim"]["clip"], older["optim"]["groups"]
    ts.checkpoints.save(tmp_path, {"w": np.zeros(2, np.float32)}, 4, metadata={
        "kind": "ts.Trainer", "version": 1, "config": older, "loader": {}, "tokens": 0, "skipped": 0})
    ts.Trainer(None, given)
    refused(given.replace("optim.clip=2"), "optim.clip: 1.0 then, 2.0 now")


def test_files_of_several_formats_and_files_named_twice(tmp_path):
    for name in ("a.txt", "c.txt"):
        (tmp_path / name).write_text("some words of a document\n\n" * 9)
    (tmp_path / "b.jsonl").write_text('{"text": "some words"}\n' * 9)
    base = train_cases.config()
    refused(base.replace(f"data.path=[{tmp_path}/a.txt, {tmp_path}/b.jsonl]"), "data.path", "several formats",
            "b.jsonl is jsonl", "data.mixture")
    refused(base.replace(f"data.path=[{tmp_path}/a.txt, '{tmp_path}/*.txt']"), "data.path",
            "a.txt is named twice")
    refused(base.replace(f"data.eval_path=[{tmp_path}/a.txt, {tmp_path}/b.jsonl]"), "data.eval_path",
            "several formats")
    ts.Trainer(None, base.replace(f"data.path=['{tmp_path}/*.txt']"))


def loader_of(path, *overrides):
    return ts.Trainer(None, train_cases.config(f"data.path={path}", *overrides)).loader


def test_texts_and_tokens_that_were_changed_are_other_data(tmp_path):
    text = tmp_path / "a.txt"
    content = "\n\n".join(f"document {i} of some words" for i in range(10, 40))
    text.write_text(content)
    state = loader_of(text).state()
    loader_of(text).load_state(state)
    text.write_text(content.replace("document 23", "Document 23"))  # Of equal length.
    with pytest.raises(ts.DataError, match="another data set"):
        loader_of(text).load_state(state)
    rows = [np.arange(i, i + 40000) % 250 for i in range(3)]
    ts.data.write_token_file(tmp_path / "t", ts.data.TokenArrays(rows, vocab_size=257))
    state = loader_of(tmp_path / "t.bin", "data.separator=null").state()
    rows[2][-5] += 1
    ts.data.write_token_file(tmp_path / "t", ts.data.TokenArrays(rows, vocab_size=257))
    with pytest.raises(ts.DataError, match="another data set"):
        loader_of(tmp_path / "t.bin", "data.separator=null").load_state(state)


LLAMA = {"model_type": "llama", "hidden_size": 8, "intermediate_size": 12, "num_hidden_layers": 1,
         "num_attention_heads": 2, "vocab_size": 300, "max_position_embeddings": 16}


def test_a_gguf_file_is_looked_at_before_it_is_read(tmp_path):
    gguf = pytest.importorskip("gguf", reason="it writes the file")
    path = tmp_path / "m.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(1)
    writer.add_context_length(16)
    writer.add_embedding_length(8)
    writer.add_feed_forward_length(12)
    writer.add_head_count(2)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_tensor("token_embd.weight", np.zeros((300, 8), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    of_file = train_cases.config("model.config={}", "model.architecture=null", f"model.path={path}",
                                 "data.tokenizer=bytes")
    refused(of_file.replace("train.sequence_length=17", "parallel.tp=4"), "at most 16", "valid: 1, 2")
    refused(of_file.replace("model.architecture=gpt2"), "model.architecture", "has a llama")
    # The file has no tokenizer, and bytes are not taken for one.
    refused(of_file.replace("data.tokenizer=auto"), "data.tokenizer")
    path.write_bytes(b"GGUF")
    refused(of_file, "model.path", "damaged")


def test_a_pretrained_model_brings_its_tokenizer(tmp_path):
    tokenizers = pytest.importorskip("tokenizers", reason="it writes the file")
    (tmp_path / "config.json").write_text(json.dumps(LLAMA))
    (tmp_path / "model.safetensors").write_bytes(b"")
    given = train_cases.config("model.config={}", "model.architecture=null", f"model.path={tmp_path}")
    refused(given, "data.tokenizer", "has no tokenizer.json", 'a tokenizer.json, or "bytes"')
    words = {f"w{i}": i for i in range(301)}
    tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="w0")).save(
        str(tmp_path / "tokenizer.json"))
    refused(given, "the tokenizer has 301 tokens")  # So it was read.
    (tmp_path / "config.json").write_text("[]")
    refused(given, "model.path", "config.json cannot be read", "no object")


@pytest.mark.parametrize("key", ["data.path", "data.eval_path", "data.tokenizer", "model.path",
                                 "train.folder"])
@pytest.mark.parametrize("name", ["n" * 300, "loop/in/it", "zero\0byte"], ids=["long", "loop", "zero"])
def test_names_that_the_system_refuses_are_problems(tmp_path, monkeypatch, key, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(ts.TesseraError) as caught:
        section, option = key.split(".")
        ts.Trainer(None, train_cases.config(**{section: {option: name}}))
    assert key in str(caught.value)


def test_a_home_that_there_is_not():
    given = train_cases.config(train={"folder": "~no-such-user/run"})
    refused(given, "train.folder", "no user", "./~no-such-user/run")


@needs_runtime
def test_what_to_do_about_damaged_weights(tmp_path, capsys):
    from tessera._src.commands.main import main

    given = train_cases.config("train.steps=4", "train.save_every=2", train={"folder": str(tmp_path)})
    ts.Trainer(None, given).fit()
    part = tmp_path / "step-00000004/part-00000-of-00001.safetensors"
    data = bytearray(part.read_bytes())
    for at in range(len(data) // 4, len(data), 512):
        data[at] ^= 1
    part.write_bytes(data)
    with pytest.raises(ts.CheckpointError) as caught:
        ts.Trainer(None, given).fit()
    assert f"help: remove {tmp_path}/step-00000004 to go on from step 2" in str(caught.value)
    assert caught.value.location.file == __file__
    (tmp_path / "train.json").write_text(json.dumps(given.to_dict()))
    assert main(["train", str(tmp_path / "train.json")]) == 1
    said = capsys.readouterr().err
    assert f"help: remove {tmp_path}/step-00000004 to go on from step 2" in said and "  at " not in said
    assert main(["export", str(tmp_path), str(tmp_path / "model")]) == 1
    said = capsys.readouterr().err
    assert "--step 2 exports another one" in said and "ts.checkpoints" not in said
