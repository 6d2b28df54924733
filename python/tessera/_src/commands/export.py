# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Writes the model of a training as a folder that generate and transformers read."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tessera._src.arrays.array import Array
from tessera._src.checkpoints.folders import open_folder, steps
from tessera._src.checkpoints.inspecting import Contents, inspect
from tessera._src.checkpoints.reading import Reader
from tessera._src.core import dtypes, tree
from tessera._src.core.errors import CheckpointError, ConfigError
from tessera._src.core.files import kind_of, write_whole
from tessera._src.data.tokenizing import FileTokenizer, Tokenizer
from tessera._src.models.other_fields import KeptFields
from tessera._src.models.registry import architecture
from tessera._src.training.checks import DTYPES, model_data, tokenizer_of
from tessera._src.training.config import TrainConfig


_TYPES = ("f32", "bf16", "f16")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("run", metavar="RUN", help="a training's folder, or that of one of its checkpoints")
    parser.add_argument("out", metavar="OUT", help="the folder to write: config.json, model.safetensors, and "
                        "tokenizer.json where the training had one")
    parser.add_argument("--step", type=int, help="of the checkpoint; the newest by default")
    parser.add_argument("--dtype", choices=_TYPES, help="the type of the weights; by default that in which "
                        "the model computes. Of a mixed precision, f32 is the master copy")


def run(arguments: argparse.Namespace) -> int:
    """Writes the folder, and says how to use it.

    Raises:
        CheckpointError: there is no checkpoint, it is damaged, or no ts.Trainer wrote it.
        ConfigError: the model is not of the checkpoint's configuration, or OUT has files.
    """
    contents = inspect(arguments.run, step=arguments.step)
    config = _config_of(contents.metadata, arguments.run)
    out = Path(arguments.out)
    kind = kind_of(out)
    if kind == "file" or (kind == "folder" and os.listdir(out)):
        raise ConfigError("TS4010", f"{out} is {'a file' if kind == 'file' else 'not empty'}",
                          expected="a folder that is empty, or not there yet")
    tokenizer = tokenizer_of(config)
    _model_of(config, tokenizer, contents, arguments.dtype).save_pretrained(out)
    _write_tokenizer(out, tokenizer, config.data.eos)
    option = "" if isinstance(tokenizer, FileTokenizer) else (
        f" --tokenizer {'FILE' if tokenizer is None else 'bytes'}")
    print(f"step {contents.step} is at {out}: tessera generate {out}{option} --prompt TEXT")
    return 0


def _config_of(metadata: Any, run: str) -> TrainConfig:
    if not isinstance(metadata, Mapping) or metadata.get("kind") != "ts.Trainer":
        raise CheckpointError("TS6006", f"{run} has a checkpoint that no ts.Trainer made",
                              expected="a training's folder", hint="ts.checkpoints.load reads it, and "
                              "model.save_pretrained writes a model's folder")
    config = TrainConfig.from_dict(metadata["config"], f"the configuration in {run}")
    if config.model.architecture is None and config.model.path is None:
        raise ConfigError("TS4030", f"the configuration in {run} has no model: it was given from Python",
                          hint="call trainer.model.save_pretrained(OUT) there")
    return config


def _model_of(config: TrainConfig, tokenizer: Tokenizer | None, contents: Contents, dtype: str | None) -> Any:
    """The model with the checkpoint's weights: those of the optimizer's master copy where they are not wanted
    in the type in which the model computes."""
    name, data = model_data(config, tokenizer)
    computes, found = DTYPES[config.precision.name], architecture(name)
    described = found.config.from_dict({"model_type": name, **data}, "model.config", is_file=True)
    model = found.model(described, dtype=dtypes.canonical(dtype or computes))
    folder = config.model.path and Path(os.path.expanduser(config.model.path))
    model.kept = KeptFields.of(data, found.config, folder if folder and folder.is_dir() else None)
    leaves, structure = tree.flatten(model)
    wanted = []
    for leaf, path in zip(leaves, tree.paths(structure)):
        master = f"optimizer.master.{path}"
        own = master if dtype not in (None, computes) and master in contents.tensors else f"model.{path}"
        tensor = contents.tensors.get(own)
        if tensor is None or tensor.shape != leaf.shape:
            raise CheckpointError("TS6006", f"{contents.path} is not of its configuration's model: {own} "
                                  f"is {'missing' if tensor is None else tensor}",
                                  expected=f"shape {list(leaf.shape)}")
        wanted.append(own)
    try:
        values = Reader(*open_folder(contents.path, None)).tensors([(own, False) for own in wanted])
        read = [_as_type(own, value, leaf.dtype) for own, value, leaf in zip(wanted, values, leaves)]
    except CheckpointError as error:
        others = [step for step in steps(contents.path.parent) if step != contents.step]
        raise CheckpointError(error.code, error.message, expected=error.expected, got=error.got, hint=(
            f"--step {others[-1]} exports another one" if others else error.hint)) from None
    return tree.unflatten(structure, read)


def _as_type(name: str, value: np.ndarray, dtype: np.dtype) -> Array:
    """A weight in another type."""
    if value.dtype == dtype:
        return Array(value)
    with np.errstate(over="ignore"):
        result = value.astype(dtype)
    lost = np.isfinite(value.astype(np.float64)) & ~np.isfinite(result.astype(np.float64))
    if lost.any():
        raise ConfigError("TS4010", f"{int(lost.sum())} elements of {name} are too large for "
                          f"{dtypes.name_of(dtype)}", choices=["--dtype f32", "--dtype bf16"])
    return Array(result)


def _write_tokenizer(out: Path, tokenizer: Tokenizer | None, eos: str | None) -> None:
    """Writes tokenizer.json as it is, and in tokenizer_config.json which tokens begin and end a document."""
    if not isinstance(tokenizer, FileTokenizer):
        return
    source, settings = Path(tokenizer.path), {}
    if source.suffix == ".gguf":
        text = tokenizer.library.to_str().encode()
        settings = {f"{name}_token": tokenizer.library.id_to_token(number) for name, number in
                    (("bos", tokenizer.bos), ("eos", tokenizer.eos)) if number is not None}
        if tokenizer.chat_template is not None:
            settings["chat_template"] = tokenizer.chat_template
    else:
        text = source.read_bytes()
        beside = source.with_name("tokenizer_config.json")
        settings = json.loads(beside.read_text(encoding="utf-8")) if beside.exists() else {}
    if eos is not None:
        settings["eos_token"] = eos
    write_whole(out / "tokenizer.json", text)
    if settings:
        write_whole(out / "tokenizer_config.json", json.dumps(settings, indent=2).encode())
