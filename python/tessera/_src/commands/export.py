# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Writes the model of a training as a folder that generate and transformers read."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tessera._src.checkpoints.folders import is_step_folder, steps
from tessera._src.checkpoints.inspecting import inspect
from tessera._src.checkpoints.loading import load
from tessera._src.core import dtypes
from tessera._src.core.errors import CheckpointError, ConfigError
from tessera._src.core.files import kind_of, write_whole
from tessera._src.data.tokenizing import FileTokenizer, Tokenizer
from tessera._src.meshes.mesh import SINGLE
from tessera._src.models.other_fields import KeptFields
from tessera._src.models.registry import architecture
from tessera._src.training.checks import DTYPES, model_data, tokenizer_of
from tessera._src.training.config import TrainConfig


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("run", metavar="RUN", help="a training's folder, or that of one of its checkpoints")
    parser.add_argument("out", metavar="OUT", help="the folder to write: config.json, model.safetensors, and "
                        "tokenizer.json where the training had one")
    parser.add_argument("--step", type=int, help="of the checkpoint; the newest by default")


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
    model = _model_of(config, tokenizer)
    at = contents.path if is_step_folder(Path(arguments.run)) else Path(arguments.run)
    try:
        loaded = load(at, {"model": model.abstract(SINGLE)}, step=contents.step, strict=False)
    except CheckpointError as error:
        others = [step for step in steps(contents.path.parent) if step != contents.step]
        raise CheckpointError(error.code, error.message, hint=f"--step {others[-1]} exports another one"
                              if others and at != contents.path else error.hint) from None
    missing = [name for name in loaded.left_out if name.startswith("model")]
    if missing:
        raise CheckpointError("TS6006", f"{contents.path} is not of the model of its configuration: "
                              f"{missing[0]} {loaded.left_out[missing[0]]}")
    loaded.tree["model"].save_pretrained(out)
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


def _model_of(config: TrainConfig, tokenizer: Tokenizer | None) -> Any:
    """The model without weights."""
    name, data = model_data(config, tokenizer)
    found = architecture(name)
    described = found.config.from_dict({"model_type": name, **data}, "model.config", is_file=True)
    model = found.model(described, dtype=dtypes.canonical(DTYPES[config.precision.name]))
    path = config.model.path and Path(os.path.expanduser(config.model.path))
    model.kept = KeptFields.of(data, found.config, path if path and path.is_dir() else None)
    return model


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
