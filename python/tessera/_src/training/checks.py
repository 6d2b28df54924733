# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What depends on several options, on files or on devices: checked before anything is compiled or written."""

from __future__ import annotations

import dataclasses
import glob
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tessera._src.checkpoints.folders import newest_and_damaged
from tessera._src.checkpoints.inspecting import inspect
from tessera._src.core.errors import TesseraError, did_you_mean
from tessera._src.core.files import kind_of
from tessera._src.data.tokenizing import ByteTokenizer, FileTokenizer, Tokenizer, load_tokenizer
from tessera._src.meshes.devices import device_count
from tessera._src.models.gguf import read_config
from tessera._src.models.registry import architecture
from tessera._src.nn.parallel import Parallel
from tessera._src.training.config import TrainConfig
from tessera._src.training.options import Problem, shown
from tessera._src.training.schema import SECTIONS, OptimConfig, PrecisionConfig

DTYPES = {"f32": "f32", "f64": "f64", "bf16-mixed": "bf16", "fp16-mixed": "f16"}
# Of config.json, what determines no computation here.
_IGNORED = {"model_type", "architectures", "dtype", "torch_dtype", "rope_parameters", "rope_scaling",
            "use_sliding_window", "transformers_version", "bos_token_id", "eos_token_id", "pad_token_id",
            "use_cache"}
_ANY_VOCABULARY = 1 << 20
_NOTHING = object()
# What may differ from the configuration of a checkpoint. That data are the same is what the state of the
# loader says, by what is in them and not where they are.
_MAY_CHANGE = {
    "model": {"path", "remat"}, "parallel": None, "monitor": None, "checkpoint": None,
    "data": {"path", "tokenizer", "prefetch", "eval_path", "mixture", "format"},
    "train": {"steps", "micro_batches", "folder", "save_every", "eval_every", "eval_batches", "sample_every",
              "sample_prompt", "sample_tokens", "sample_temperature", "on_nan", "max_skips"},
}


def check_config(config: TrainConfig, has_model: bool, has_data: bool, has_eval_data: bool,
                 axes: Mapping[str, int] | None, tokenizer: Tokenizer | None = None
                 ) -> tuple[list[Problem], Tokenizer | None]:
    """All that is wrong with a configuration, and the tokenizer that makes tokens of its data.

    Args:
        has_model, has_data, has_eval_data: whether these are given otherwise, so that the sections are not
            looked at.
        axes: those of a mesh that is given; else config.parallel says them.
        tokenizer: of data that are given.
    """
    problems: list[Problem] = []
    sizes = {"tp": config.parallel.tp, "dp": config.parallel.dp} if axes is None else axes
    _check_parallel(config, axes, problems)
    _check_train(config, sizes.get("dp", 1), problems)
    _check_optim(config, problems)
    used, has_failed = tokenizer, False
    if not has_data:
        before = len(problems)
        tokenizer, has_text = _check_data(config, has_eval_data, problems)
        has_failed = any(problem.key == "data.tokenizer" for problem in problems[before:])
        # Files of tokens may be of another one, where it is not named.
        used = tokenizer if has_text or config.train.sample_every else None
    if not has_model:
        data = _check_model(config, tokenizer, has_failed, problems)
        if data is not None:
            check_shapes(config, data, used, sizes, problems)
    _check_folder(config, has_model, has_data, problems)
    return problems, used


def files_of(paths: tuple[str, ...], key: str, problems: list[Problem], is_tokens: bool = False) -> list[str]:
    """The files that paths and patterns name."""
    found: list[str] = []
    for path in paths:
        pattern = os.path.expanduser(path)
        names = sorted(glob.glob(pattern, recursive=True)) if glob.has_magic(pattern) else [pattern]
        if not names:
            problems.append(Problem(key, f"no file has a name like {path}"))
        for name in names:
            wanted = [name]
            if is_tokens:
                stem = name[:-4] if name.endswith((".bin", ".idx")) else name
                wanted = [f"{stem}.bin", f"{stem}.idx"]
            problems += [problem for file in wanted if (problem := _file_problem(key, file))]
        found += names
    once: dict[str, str] = {}
    for name in filter(os.path.exists, found):
        other = once.setdefault(os.path.realpath(name), name)
        if other is not name:
            problems.append(Problem(key, f"{name} is named twice",
                                    hint="name each file once, also by patterns"))
    return found


def _file_problem(key: str, name: str) -> Problem | None:
    try:
        kind = kind_of(name)
        if kind is None:
            folder = os.path.dirname(name) or "."
            if not os.path.isdir(folder):
                return Problem(key, f"{name} does not exist", hint=f"there is no folder {folder}")
            others = [os.path.join(os.path.dirname(name), other) for other in os.listdir(folder)]
            return Problem(key, f"{name} does not exist", hint=did_you_mean(name, others))
        if kind == "folder":
            return Problem(key, f"{name} is a folder", hint=f'write "{name}/*" for the files in it')
        with open(name, "rb"):
            pass
        if os.path.getsize(name) == 0:
            return Problem(key, f"{name} is empty")
    except OSError as error:
        return Problem(key, f"{name} cannot be read: {error.strerror or error}")
    return None


def format_of(given: str, files: list[str]) -> str:
    """text, jsonl or tokens: as given, or that of the first file's name."""
    if given != "auto" or not files:
        return "text" if given == "auto" else given
    return _format_of_name(files[0])


def _check_formats(key: str, given: str, files: list[str], problems: list[Problem]) -> None:
    """Files that are read together have one format."""
    if given != "auto" or not files:
        return
    kinds = {}
    for name in files:
        kinds.setdefault(_format_of_name(name), name)
    if len(kinds) > 1:
        problems.append(Problem(key, "has files of several formats: " + ", ".join(
            f"{name} is {kind}" for kind, name in kinds.items()),
            hint="list each in data.mixture with a weight, or set data.format"))


def _format_of_name(name: str) -> str:
    if name.endswith((".bin", ".idx")) or (not os.path.exists(name) and os.path.exists(f"{name}.idx")):
        return "tokens"
    return "jsonl" if name.endswith((".jsonl", ".ndjson")) else "text"


def _check_parallel(config: TrainConfig, axes: Mapping[str, int] | None, problems: list[Problem]) -> None:
    wanted = config.parallel
    if wanted.zero and "zero" not in {field.name for field in dataclasses.fields(Parallel)}:
        problems.append(Problem("parallel.zero", "optimizer states are not shared out here", choices=(0,),
                                got=str(wanted.zero)))
    if axes is not None:
        for name in ("tp", "dp"):
            size = getattr(wanted, name)
            if size not in (1, axes.get(name, 1)):
                problems.append(Problem(f"parallel.{name}", f"is {size}, and the mesh that is given has "
                                        f"{axes.get(name, 1)}", hint="leave one of them out"))
        return
    try:
        most = device_count(wanted.device)
    except TesseraError as error:
        problems.append(Problem("parallel.device", error.message))
        return
    if wanted.device == "cuda" and most == 0:
        problems.append(Problem("parallel.device", "there is no CUDA device here", choices=("cpu",)))
    elif wanted.tp * wanted.dp > most:
        problems.append(Problem("parallel", f"tp={wanted.tp} times dp={wanted.dp} are "
                                f"{wanted.tp * wanted.dp} devices", f"at most {most} of '{wanted.device}'"))


def _check_train(config: TrainConfig, dp: int, problems: list[Problem]) -> None:
    run = config.train
    if run.batch % (dp * run.micro_batches):
        step = dp * run.micro_batches
        near = [size for size in (run.batch - run.batch % step, run.batch + step - run.batch % step) if size]
        problems.append(Problem("train.batch", f"{run.batch} samples do not divide into {run.micro_batches} "
                                f"micro-batches over dp={dp}", f"a multiple of {step}", choices=tuple(near)))
    precision = config.precision
    if precision.reduce is not None and precision.name == "f64":
        problems.append(Problem("precision.reduce", f"{precision.reduce} would round the gradients of f64",
                                choices=("null",)))
    if precision.name != "fp16-mixed":
        for name in ("loss_scale", "growth_interval"):
            if getattr(precision, name) != getattr(PrecisionConfig(), name):
                problems.append(Problem(f"precision.{name}", f"is of fp16-mixed, not of {precision.name}"))
    if config.precision.name == "f32" and config.precision.reduce == "f32":
        problems.append(Problem("precision.reduce", "gradients are f32 already", choices=("null", "bf16")))
    if config.checkpoint.keep_every is not None and config.checkpoint.keep is None:
        problems.append(Problem("checkpoint.keep_every", "all checkpoints stay where keep is null",
                                hint="set checkpoint.keep as well"))
    if run.folder is not None and os.path.expanduser(run.folder).startswith("~"):
        problems.append(Problem("train.folder", f"{run.folder} is in the home of no user that there is",
                                hint=f'write "./{run.folder}" for a folder of that name'))
    elif run.folder is not None:
        _check_writable(Path(os.path.expanduser(run.folder)).absolute(), problems)
    if run.save_every and run.folder is None:
        problems.append(Problem("train.save_every", "there is no folder to save into",
                                hint="set train.folder"))


def _check_writable(folder: Path, problems: list[Problem]) -> None:
    """Whether a folder is, or can be made."""
    kind, there = None, folder
    for there in (folder, *folder.parents):
        try:
            kind = kind_of(there)
        except OSError as error:
            problems.append(Problem("train.folder", f"{there} cannot be used: {error.strerror or error}"))
            return
        if kind is not None:
            break
    if kind == "file":
        problems.append(Problem("train.folder", f"{there} is a file", "a folder, or nothing yet"))
        return
    try:  # Rights alone do not tell: root has all of them, also where nothing can be made, as in /proc.
        os.rmdir(tempfile.mkdtemp(prefix=".tessera-", dir=there))
    except OSError as error:
        problems.append(Problem("train.folder", f"nothing can be made in {there}: {error.strerror or error}"))


def _check_optim(config: TrainConfig, problems: list[Problem]) -> None:
    optim, steps = config.optim, config.train.steps
    total = optim.total or steps
    if optim.schedule != "constant":
        decay = optim.decay if optim.decay is not None else max(1, total // 10)
        if optim.schedule == "wsd" and optim.warmup + decay > total:
            problems.append(Problem("optim.warmup", f"warmup={optim.warmup} and decay={decay} are more than "
                                    f"the {total} updates of the schedule"))
        elif optim.warmup >= total:
            problems.append(Problem("optim.warmup", f"is {optim.warmup}, and the schedule has {total} "
                                    "updates", f"less than {total}"))
    elif optim.total is not None:
        problems.append(Problem("optim.total", "a constant rate has no end", choices=("null",)))
    if optim.decay is not None and optim.schedule != "wsd":
        problems.append(Problem("optim.decay", f"schedule {optim.schedule} has none", choices=("null",),
                                hint="optim.schedule=wsd has; optim.total says where another one ends"))
    for name in ("betas", "eps"):
        if optim.name == "sgd" and getattr(optim, name) != getattr(OptimConfig(), name):
            problems.append(Problem(f"optim.{name}", "is of adamw; sgd has momentum"))
    if optim.schedule == "constant" and optim.final:
        problems.append(Problem("optim.final", "a constant rate has no end", choices=("0",)))
    for i, group in enumerate(optim.groups):
        if group.lr is None and group.weight_decay is None:
            problems.append(Problem(f"optim.groups[{i}]", "sets nothing", "lr, weight_decay or both"))
    if optim.name == "adamw" and (optim.momentum or optim.nesterov):
        problems.append(Problem("optim.momentum", "is of sgd; adamw has betas"))
    if optim.name == "sgd" and optim.nesterov and not optim.momentum:
        problems.append(Problem("optim.nesterov", "needs momentum"))


def _check_data(config: TrainConfig, has_eval_data: bool, problems: list[Problem]
                ) -> tuple[Tokenizer | None, bool]:
    """The tokenizer, and whether there are texts for it."""
    data = config.data
    if bool(data.path) == bool(data.mixture):
        problems.append(Problem("data.path", "there are no data" if not data.path else
                                "there are both path and mixture", "data.path or data.mixture"))
    kinds = set()
    sources = [("data", data)] if data.path else []
    sources += [(f"data.mixture[{i}]", part) for i, part in enumerate(data.mixture)]  # type: ignore[misc]
    for key, source in sources:
        if not source.path:
            problems.append(Problem(f"{key}.path", "is missing"))
            continue
        quiet: list[Problem] = []
        kind = format_of(source.format, files_of(source.path, key, quiet))
        files = files_of(source.path, f"{key}.path", problems, kind == "tokens")
        _check_formats(f"{key}.path", source.format, files, problems)
        kinds.add(kind)
        if kind == "tokens" and len(files) > 1:
            problems.append(Problem(f"{key}.path", "has several files of tokens",
                                    hint="list each in data.mixture with a weight"))
        if kind != "text" and source.separator is not None:
            problems.append(Problem(f"{key}.separator", f"is of text, not of {kind}"))
    if data.eval_path:
        quiet = []
        kind = format_of("auto", files_of(data.eval_path, "", quiet))
        files = files_of(data.eval_path, "data.eval_path", problems, kind == "tokens")
        _check_formats("data.eval_path", "auto", files, problems)
        kinds.add(kind)
        if data.eval_fraction is not None:
            problems.append(Problem("data.eval_fraction", "there are both eval_path and eval_fraction"))
    if config.train.eval_every and not (data.eval_path or data.eval_fraction or has_eval_data):
        problems.append(Problem("train.eval_every", "there are no data to evaluate on",
                                hint="set data.eval_path or data.eval_fraction"))
    if data.cut and data.packing != "padded":
        problems.append(Problem("data.cut", "is an option of padded samples; packed ones have all tokens",
                                choices=("false",)))
    tokenizer, has_failed = None, False
    try:
        tokenizer = tokenizer_of(config)
    except TesseraError as error:
        hint = error.hint
        if hint is not None and "ByteTokenizer" in hint:  # Which is of Python.
            hint = "data.tokenizer=bytes needs no file"
        problems.append(Problem("data.tokenizer", error.message, hint=hint))
        has_failed = True
    # Where model.path is at fault, that says enough.
    has_failed = has_failed or (data.tokenizer == "auto" and not os.path.exists(_model_path(config)))
    if tokenizer is None and not has_failed and kinds - {"tokens"}:
        problems.append(Problem("data.tokenizer", f"{config.model.path} has no tokenizer.json"
                                if data.tokenizer == "auto" else "texts need one",
                                'a tokenizer.json, or "bytes"'))
    elif tokenizer is None and not has_failed and config.train.sample_every:
        problems.append(Problem("train.sample_every", "samples of text need data.tokenizer"))
    if data.eos is not None and not has_failed and not isinstance(tokenizer, FileTokenizer):
        problems.append(Problem("data.eos", "there is no tokenizer" if tokenizer is None else
                                "the tokenizer of bytes ends documents with a token of its own",
                                choices=("null",)))
    return tokenizer, bool(kinds - {"tokens"})


def _model_path(config: TrainConfig) -> Path:
    return Path(os.path.expanduser(config.model.path or ""))


def tokenizer_of(config: TrainConfig) -> Tokenizer | None:
    """The tokenizer that data.tokenizer names; None where it is null, or a model's folder has none."""
    name = config.data.tokenizer
    if name == "auto" and config.model.path is not None:
        path = _model_path(config)
        if not os.path.exists(path if path.suffix == ".gguf" else path / "tokenizer.json"):
            return None
        name = str(path)
    if name is None:
        return None
    if name in ("bytes", "auto"):
        return ByteTokenizer()
    return load_tokenizer(os.path.expanduser(name), eos=config.data.eos)


def model_data(config: TrainConfig, tokenizer: Tokenizer | None) -> tuple[str, dict[str, Any]]:
    """The name of the architecture, and the fields of its configuration.

    Raises: TesseraError: a folder or file that cannot be read.
    """
    model = config.model
    if model.path is None:
        data = dict(model.config)
        if "vocab_size" not in data and tokenizer is not None:
            data["vocab_size"] = tokenizer.vocab_size
        return str(model.architecture), data
    path = _model_path(config)
    if path.suffix == ".gguf":
        data = read_config(path)
        return data["model_type"], data
    data = json.loads((path / "config.json").read_text())
    if not isinstance(data, Mapping):
        raise ValueError("it is no object of JSON")
    return data.get("model_type", model.architecture), {**data, **model.config}


def _check_model(config: TrainConfig, tokenizer: Tokenizer | None, has_failed: bool, problems: list[Problem]
                 ) -> Any:
    """The model's configuration; None if there is none.

    Args:
        has_failed: whether there would be a tokenizer, were it not at fault.
    """
    model = config.model
    wanted = DTYPES[config.precision.name]
    if model.dtype not in (None, wanted):
        problems.append(Problem("model.dtype", f"is {model.dtype}, and precision {config.precision.name} has "
                                f"weights of {wanted}", choices=("null", wanted)))
    if model.path is None and model.architecture is None:
        problems.append(Problem("model.architecture", "there is no model",
                                "model.architecture or model.path"))
        return None
    if model.path is not None:
        found = _model_files(_model_path(config), problems)
        if _model_path(config).suffix == ".gguf" and model.config:
            problems.append(Problem("model.config", "a .gguf file has its own", choices=("{}",)))
            return None
        if not found:
            return None
    try:
        name, data = model_data(config, tokenizer)
    except TesseraError as error:
        problems.append(Problem("model.path", error.message, choices=error.choices, hint=error.hint))
        return None
    except (OSError, ValueError) as error:
        problems.append(Problem("model.path", f"config.json cannot be read: {error}"))
        return None
    if has_failed and model.path is None:
        data.setdefault("vocab_size", _ANY_VOCABULARY)
    if model.path is not None and model.architecture not in (None, name):
        problems.append(Problem("model.architecture", f"is {model.architecture}, and {model.path} has a "
                                f"{name}"))
    try:
        kind = architecture(name).config
    except TesseraError as error:
        problems.append(Problem("model.path" if model.path else "model.architecture", error.message))
        return None
    known = [field.name for field in dataclasses.fields(kind)]
    unknown = [key for key in model.config if key not in known and key not in _IGNORED]
    for key in unknown:
        problems.append(Problem(f"model.config.{key}", f"there is no such field of {name}",
                                choices=tuple(known), hint=did_you_mean(key, known)))
    if unknown:
        return None
    try:
        return kind.from_dict({"model_type": name, **data}, "model.config", is_file=True)
    except TesseraError as error:
        problems.append(Problem("model.config", error.message.removeprefix("model.config "), error.expected,
                                choices=error.choices, hint=error.hint))
        return None


def _model_files(path: Path, problems: list[Problem]) -> bool:
    """Whether a model's configuration is there; what is missing is a problem."""
    expected = "a folder with config.json and safetensors files, or a .gguf file"
    wanted = path if path.suffix == ".gguf" else path / "config.json"
    try:
        if kind_of(wanted) != "file":
            problems.append(Problem("model.path", f"{path} has no config.json" if kind_of(path) == "folder"
                                    else f"{path} does not exist", expected))
            return False
        if wanted is not path and not any(path.glob("*.safetensors")):
            problems.append(Problem("model.path", f"{path} has no safetensors files", expected))
    except OSError as error:
        problems.append(Problem("model.path", f"{path} cannot be read: {error.strerror or error}"))
        return False
    return True


def check_shapes(config: TrainConfig, model: Any, tokenizer: Tokenizer | None, sizes: Mapping[str, int],
                 problems: list[Problem]) -> None:
    """What must fit the model's sizes."""
    run, tp = config.train, sizes.get("tp", 1)
    heads = getattr(model, "num_attention_heads", getattr(model, "n_head", None))
    if heads is not None and heads % tp:
        problems.append(Problem("parallel.tp", f"{heads} attention heads do not divide by tp={tp}",
                                choices=tuple(n for n in range(1, heads + 1) if heads % n == 0)))
    most = getattr(model, "most_positions", None)
    if most is not None and run.sequence_length > most:
        problems.append(Problem("train.sequence_length", f"is {run.sequence_length}, and the model has "
                                f"{most} positions", f"at most {most}"))
    if tokenizer is not None and tokenizer.vocab_size > model.vocab_size:
        problems.append(Problem("model.config.vocab_size", f"is {model.vocab_size}, and the tokenizer has "
                                f"{tokenizer.vocab_size} tokens", f"at least {tokenizer.vocab_size}"))
    for name in ("embd_pdrop", "resid_pdrop"):
        rate = getattr(model, name, 0)
        if not 0 <= rate < 1:
            problems.append(Problem(f"model.config.{name}", f"is {rate}", "a rate of at least 0, below 1"))
    for name, hint in (("attn_pdrop", "drop embeddings and results by embd_pdrop and resid_pdrop: "),
                       ("attention_dropout", "train without: ")):
        if rate := getattr(model, name, 0):
            problems.append(Problem(f"model.config.{name}", f"is {rate}: the kernels of attention drop "
                                    "nothing", "0", hint=f"{hint}model.config.{name}=0"))
    if run.sample_every and most is not None and tokenizer is not None:
        prompt = len(tokenizer.encode(run.sample_prompt)) if run.sample_prompt else 0
        if prompt == 0:
            problems.append(Problem("train.sample_prompt", "has no token", "a text to go on from"))
        if prompt + run.sample_tokens > most:
            problems.append(Problem("train.sample_tokens", f"{prompt} tokens of the prompt and "
                                    f"{run.sample_tokens} new ones are more than the model's positions",
                                    f"at most {most - prompt}"))


def differences(then: Mapping[str, Any], now: Mapping[str, Any], has_model: bool, has_data: bool
                ) -> list[str]:
    """What a run changes that it may not change, as "key: value then, value now"."""
    result = []
    for name, options in now.items():
        may = _MAY_CHANGE.get(name, set())
        if may is None or (name == "model" and has_model) or (name == "data" and has_data):
            continue
        # What a checkpoint does not have was no option then, and is as the default has it.
        before = _spelt_out(name, {**SECTIONS[name]().to_dict(), **then.get(name, {})}, then)
        for key, value in _spelt_out(name, options, now).items():
            if key not in may:
                result += _changes(f"{name}.{key}", before[key], value)
    return result


def _spelt_out(name: str, options: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """Options of a section, with what a null of types stands for."""
    precision = config.get("precision", {}).get("name", PrecisionConfig().name)
    result = dict(options)
    if name == "model" and result.get("dtype") is None:
        result["dtype"] = DTYPES[precision]
    if name == "precision" and result["reduce"] is None and precision.endswith("-mixed"):
        result["reduce"] = "f32"
    return result


def _changes(key: str, then: Any, now: Any) -> list[str]:
    """What differs between two values, each item of mappings by itself."""
    if then == now:
        return []
    if isinstance(then, Mapping) and isinstance(now, Mapping):
        return [line for name in {**then, **now} for line in _changes(
            f"{key}.{name}", then.get(name, _NOTHING), now.get(name, _NOTHING))]
    are_lists = isinstance(then, list) and isinstance(now, list) and len(then) == len(now)
    if are_lists and isinstance(now[0], Mapping):
        return [line for i, pair in enumerate(zip(then, now)) for line in _changes(f"{key}[{i}]", *pair)]
    before, after = ("nothing" if value is _NOTHING else shown(value) for value in (then, now))
    return [f"{key}: {before} then, {after} now"]


def _check_folder(config: TrainConfig, has_model: bool, has_data: bool, problems: list[Problem]) -> None:
    """A folder that holds checkpoints of another training."""
    if config.train.folder is None:
        return
    folder = os.path.expanduser(config.train.folder)
    if not os.path.isdir(folder):
        return
    try:
        step, damaged = newest_and_damaged(folder)
        metadata = None if step is None else inspect(folder, step=step).metadata
    except TesseraError as error:
        problems.append(Problem("train.folder", error.message, hint=error.hint))
        return
    for path, why in damaged.items():
        problems.append(Problem("train.folder", why, hint=f"remove {path}, to " + (
            "begin anew" if step is None else f"go on from step {step}")))
    if step is None:
        return
    if not isinstance(metadata, dict) or metadata.get("kind") != "ts.Trainer":
        problems.append(Problem("train.folder", f"{folder} has checkpoints that no ts.Trainer made",
                                "a folder of its own"))
        return
    changed = differences(metadata["config"], config.to_dict(), has_model, has_data)
    if changed:
        problems.append(Problem("train.folder", f"{folder} has a checkpoint of step {step} of another "
                                f"configuration ({'; '.join(changed)})",
                                hint="set them back, or train into another folder"))
    elif step > config.train.steps:
        problems.append(Problem("train.steps", f"is {config.train.steps}, and {folder} has a checkpoint of "
                                f"step {step}", f"at least {step}"))
