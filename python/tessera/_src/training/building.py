# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Model, mesh, optimizer and data of a configuration."""

from __future__ import annotations

import dataclasses
import inspect
import os
from pathlib import Path
from typing import Any

from tessera._src.core import dtypes
from tessera._src.core.errors import ConfigError
from tessera._src.data.datasets import Dataset, Packed, Padded
from tessera._src.data.mixture import Mixture
from tessera._src.data.texts import JSONLines, TextFiles
from tessera._src.data.token_files import TokenFile
from tessera._src.data.tokenizing import Tokenizer
from tessera._src.data.tokens import Tokenized, TokenSource, split
from tessera._src.derivatives.precision import Precision
from tessera._src.meshes.mesh import SINGLE, Mesh, make_mesh
from tessera._src.models.registry import architecture
from tessera._src.nn.parallel import Parallel
from tessera._src.optim import schedules
from tessera._src.optim.adamw import AdamW
from tessera._src.optim.loss_scale import LossScale
from tessera._src.optim.optimizer import Optimizer
from tessera._src.optim.sgd import SGD
from tessera._src.training.checks import DTYPES, files_of, format_of, model_data
from tessera._src.training.config import TrainConfig
from tessera._src.training.schema import DataConfig, OptimConfig, SourceConfig


def mesh_of(config: TrainConfig) -> Mesh:
    """The mesh that config.parallel asks for."""
    sizes = {name: size for name in ("dp", "tp") if (size := getattr(config.parallel, name)) > 1}
    return make_mesh(sizes) if sizes else SINGLE


def model_of(config: TrainConfig, tokenizer: Tokenizer | None, mesh: Mesh) -> Any:
    """The model: described, or with weights where they are read from files."""
    given = {"sequence": config.parallel.sequence, "zero": config.parallel.zero}
    known = {field.name for field in dataclasses.fields(Parallel)}
    parallel = Parallel(**{name: value for name, value in given.items() if name in known})
    dtype = dtypes.canonical(DTYPES[config.precision.name])
    name, data = model_data(config, tokenizer)
    kind = architecture(name).model
    settings = {"parallel": parallel, "remat": config.model.remat}
    if config.model.path is None:
        return kind({"model_type": name, **data}, dtype=dtype, **settings)
    path = Path(os.path.expanduser(config.model.path))
    changes = {"config": config.model.config} if config.model.config else {}
    return kind.from_pretrained(path, dtype=dtype, mesh=mesh, **changes, **settings)


def schedule_of(optim: OptimConfig, peak: float, steps: int) -> schedules.Schedule:
    """The learning rate with this peak."""
    if optim.schedule == "constant":
        return schedules.constant(peak, warmup=optim.warmup)
    more = {"decay": optim.decay} if optim.schedule == "wsd" else {}
    make = getattr(schedules, optim.schedule)
    return make(peak, warmup=optim.warmup, total=optim.total or steps, final=optim.final, **more)


def optimizer_of(config: TrainConfig, zero: str | None) -> Optimizer:
    """The optimizer of config.optim, its state split along axis `zero`, too."""
    optim, steps = config.optim, config.train.steps
    groups = []
    for group in optim.groups:
        options: dict[str, Any] = {}
        if group.lr is not None:
            options["lr"] = schedule_of(optim, group.lr, steps)
        if group.weight_decay is not None:
            options["weight_decay"] = group.weight_decay
        groups.append((group.weights, options))
    shared = {"lr": schedule_of(optim, optim.lr, steps), "weight_decay": optim.weight_decay,
              "decay_filter": optim.decay_filter, "groups": groups}
    if zero is not None:
        shared["zero"] = zero
    if optim.name == "sgd":
        return SGD(momentum=optim.momentum, nesterov=optim.nesterov, **shared)
    return AdamW(betas=optim.betas, eps=optim.eps, **shared)


def scaling_of(config: TrainConfig) -> LossScale | None:
    """The scale of the loss, where the precision needs one."""
    if config.precision.name != "fp16-mixed":
        return None
    return LossScale(config.precision.loss_scale, config.precision.growth_interval)


def gradient_precision(config: TrainConfig) -> tuple[Precision, Precision]:
    """The types in which gradients are formed, and in which their sums over devices are made."""
    mixed = config.precision.name.endswith("-mixed")
    reduce = config.precision.reduce
    return (Precision(grad=dtypes.f32 if mixed else None),
            Precision(reduce=None if reduce is None else dtypes.canonical(reduce)))


def source_of(part: DataConfig | SourceConfig, tokenizer: Tokenizer | None, is_named: bool) -> TokenSource:
    """Documents of tokens.

    Args:
        is_named: whether the configuration says which tokenizer it is, so that tokens of files are its own.
    """
    files = files_of(part.path, "path", [])
    kind = format_of(part.format, files)
    if kind == "tokens":
        return TokenFile(files[0], vocab_size=tokenizer.vocab_size if tokenizer and is_named else None)
    texts = JSONLines(files, part.field) if kind == "jsonl" else TextFiles(files, part.separator)
    assert tokenizer is not None  # check_config has refused it.
    return Tokenized(texts, tokenizer, eos=tokenizer.eos is not None)


def dataset_of(data: DataConfig, source: TokenSource, length: int, shuffle: bool) -> Dataset:
    """Samples of documents."""
    if data.packing == "padded":
        return Padded(source, length, seed=data.seed, shuffle=shuffle, cut=data.cut)
    return Packed(source, length, seed=data.seed, shuffle=shuffle, ignore_ends=data.document_masks)


def datasets_of(config: TrainConfig, tokenizer: Tokenizer | None) -> tuple[Dataset, list[Dataset]]:
    """The samples to train on, and those to evaluate on."""
    data, length = config.data, config.train.sequence_length
    train: list[tuple[Dataset, float]] = []
    evaluation: list[Dataset] = []
    is_named = data.tokenizer != "auto" or config.model.path is not None
    parts = [(part, part.weight) for part in data.mixture] or [(data, 1.0)]  # type: ignore[list-item]
    for part, weight in parts:
        source = source_of(part, tokenizer, is_named)
        if data.eval_fraction is not None:
            count = len(source)
            if not 0 < round(count * (1 - data.eval_fraction)) < count:
                raise ConfigError("TS4030", f"data.eval_fraction: {data.eval_fraction} of {count} "
                                  f"document{'s' * (count != 1)} leaves a part empty",
                                  expected="a document in each part", hint="data.separator says what stands "
                                  "between documents of text, of which each file is one without it; "
                                  "data.eval_path names files of their own")
            kept, held_out = split(source, 1 - data.eval_fraction, seed=data.seed)
            source = kept
            evaluation.append(dataset_of(data, held_out, length, shuffle=False))
        train.append((dataset_of(data, source, length, data.shuffle), weight))
    if data.eval_path:
        other = dataclasses.replace(data, path=data.eval_path, mixture=(), format="auto")
        evaluation.append(dataset_of(data, source_of(other, tokenizer, is_named), length,
                                     shuffle=False))
    return (Mixture(train) if data.mixture else train[0][0]), evaluation


def accepted(model: Any, *names: str) -> set[str]:
    """Which of these arguments a model takes."""
    parameters = inspect.signature(type(model).__call__).parameters
    return {name for name in names if name in parameters}
