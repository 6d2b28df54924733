# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Continues a prompt, or answers it, by a model from files."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tessera._src.checkpoints.folders import is_step_folder, step_folders
from tessera._src.core import dtypes
from tessera._src.core.errors import ConfigError, DataError
from tessera._src.data.streaming import TextStream
from tessera._src.data.tokenizing import ByteTokenizer, FileTokenizer, load_tokenizer
from tessera._src.meshes.mesh import make_mesh
from tessera._src.models.configuration import read_json
from tessera._src.ops import rng


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `tessera generate`."""
    parser.add_argument("model", help="a folder with config.json, safetensors files and a tokenizer.json, "
                        "or a .gguf file")
    parser.add_argument("--prompt", help="what is continued; standard input if not given")
    parser.add_argument("--chat", action="store_true",
                        help="the prompt is a user's message, and the model's answer is wanted")
    parser.add_argument("--system", help="with --chat: the message before it")
    parser.add_argument("--max-new-tokens", type=int, default=128, metavar="N", help="the most tokens (128)")
    parser.add_argument("--temperature", type=float, default=0.0, metavar="T",
                        help="0 (the default) takes the most likely token, else logits are divided by it")
    parser.add_argument("--top-k", type=int, metavar="K", help="draw from the K most likely tokens")
    parser.add_argument("--top-p", type=float, metavar="P",
                        help="draw from the most likely tokens that have probability P together")
    parser.add_argument("--seed", type=int, default=0, help="of the draws")
    parser.add_argument("--tp", type=int, default=1, metavar="N", help="devices that share the model (1)")
    parser.add_argument("--dtype", choices=["f32", "bf16", "f16", "f64"],
                        help="of weights and activations; that of the files by default")
    parser.add_argument("--tokenizer", metavar="FILE", help="a tokenizer.json that is elsewhere, or "
                        '"bytes" for a model that was trained on the bytes of UTF-8')
    parser.add_argument("--stats", action="store_true", help="say on standard error how fast it was")


def run(arguments: argparse.Namespace) -> int:
    """Writes the text to standard output as it is generated."""
    if arguments.tp < 1:
        raise ConfigError("TS4010", f"--tp is {arguments.tp}", expected="a number of devices, at least 1")
    if arguments.system is not None and not arguments.chat:
        raise ConfigError("TS4010", "--system is given without --chat", hint="add --chat")
    path = Path(arguments.model)
    if os.path.isdir(path) and (is_step_folder(path) or step_folders(path)):
        raise ConfigError("TS4010", f"{path} has checkpoints of a training, not a model",
                          expected="a folder with config.json and safetensors files, or a .gguf file",
                          hint=f"tessera export {path} MODEL writes such a folder")
    tokenizer = _tokenizer(path, arguments.tokenizer)
    text = _standard_input() if arguments.prompt is None else arguments.prompt
    if arguments.chat:
        if isinstance(tokenizer, ByteTokenizer):
            raise ConfigError("TS4010", "--chat is given with --tokenizer bytes, which has no chat template",
                              hint="leave --chat out")
        system = [] if arguments.system is None else [{"role": "system", "content": arguments.system}]
        text = tokenizer.chat_text([*system, {"role": "user", "content": text}])
    prompt = tokenizer.encode(text)
    if not prompt.size:
        raise DataError("TS7003", "the prompt is empty", hint="pass --prompt TEXT")
    model = _load(path, arguments)
    stream, times = TextStream(tokenizer), [time.perf_counter()]

    def on_token(column: np.ndarray) -> None:
        times.append(time.perf_counter())
        sys.stdout.write(stream.add(int(column[0])))
        sys.stdout.flush()

    model.generate(prompt, arguments.max_new_tokens, temperature=arguments.temperature, top_k=arguments.top_k,
                   top_p=arguments.top_p, stop=() if tokenizer.eos is None else (tokenizer.eos,),
                   key=rng.key(arguments.seed), on_token=on_token)
    print(stream.rest(), flush=True)
    if arguments.stats and len(times) > 2:
        print(f"{len(prompt)} tokens of the prompt and compiling {times[1] - times[0]:.2f} s; then "
              f"{(len(times) - 2) / (times[-1] - times[1]):.1f} tokens/s", file=sys.stderr)
    return 0


def _tokenizer(path: Path, name: str | None) -> ByteTokenizer | FileTokenizer:
    if name == "bytes":
        return ByteTokenizer()
    if name is None and os.path.exists(path / "config.json") and not os.path.exists(path / "tokenizer.json"):
        raise DataError("TS7001", f"{path} has no tokenizer.json", hint="--tokenizer FILE names one that is "
                        "elsewhere; --tokenizer bytes is that of a model which was trained on bytes")
    return load_tokenizer(name or path)


def _standard_input() -> str:
    try:
        return sys.stdin.read()
    except UnicodeDecodeError as error:
        raise DataError("TS7003", f"standard input is not {error.encoding.upper()}: {error.reason}",
                        got=f"byte 0x{error.object[error.start]:02x} at {error.start}",
                        hint="iconv converts it") from None


def _load(path: Path, arguments: argparse.Namespace) -> Any:
    """The model on a mesh; its class is the one that config.json names."""
    # The classes are public modules, which are found when the command runs.
    models = importlib.import_module("tessera.models")
    kind = models.Llama
    if path.suffix != ".gguf":
        config = read_json(path / "config.json")
        if isinstance(config, Mapping) and config.get("model_type") == "gpt2":
            kind = models.GPT2
    dtype = None if arguments.dtype is None else dtypes.BY_NAME[arguments.dtype]
    return kind.from_pretrained(path, dtype=dtype, mesh=make_mesh({"tp": arguments.tp}))
