# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The configuration of a training: one schema for files, the command line, Python and the documentation."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from tessera._src.models.registry import ARCHITECTURES
from tessera._src.training.options import (
    Section,
    flag,
    mapping,
    number,
    pair,
    rows,
    text,
    texts,
    whole,
    word,
)

PRECISIONS = ("f32", "f64", "bf16-mixed", "fp16-mixed")
REMAT = ("nothing", "dots", "everything")


@dataclass(frozen=True)
class ModelConfig(Section):
    """The model: described by its configuration, with weights drawn from train.seed, or read from files.

    Attributes:
        architecture: which model; where `path` is given, its config.json says it.
        config: fields of config.json: of `architecture` all that it needs (vocab_size is the tokenizer's
            where it is left out), with `path` those that replace the folder's, such as {attn_pdrop: 0}.
        path: a folder with config.json and safetensors files, or a .gguf file, that has the first weights.
        dtype: the type of weights and activations; null for that of the precision, and no other.
        remat: what the backward pass keeps of each layer: nothing (all is computed again), dots (results of
            products) or everything; null keeps what it needs.
    """

    architecture: str | None = word(None, ARCHITECTURES)
    config: dict[str, Any] = mapping()
    path: str | None = text(None)
    dtype: str | None = word(None, ("f32", "f64", "bf16", "f16"))
    remat: str | None = word(None, REMAT)


@dataclass(frozen=True)
class ParallelConfig(Section):
    """How the model and the batches are split over devices; results do not depend on it but for rounding.

    Attributes:
        tp: devices that share each layer's weights (tensor parallelism).
        dp: groups of these that share each batch (data parallelism).
        sequence: whether activations between layers are split along the sequence over `tp`.
        zero: what the groups of `dp` share of optimizer state (1), gradients (2) and weights (3); 0 nothing.
        device: the kind of the devices.
        threads: of all CPU devices together; null for all cores.
    """

    tp: int = whole(1, 1, 2**20)
    dp: int = whole(1, 1, 2**20)
    sequence: bool = flag(False)
    zero: int = whole(0, 0, 3)
    device: str = word("cpu", ("cpu", "cuda", "emulated"))
    threads: int | None = whole(None, 1)


@dataclass(frozen=True)
class GroupConfig(Section):
    """Options that are others for some weights.

    Attributes:
        weights: which: a pattern of their paths in the tree of the model, as fnmatch has them, such as
            "*.bias" or "transformer.wte.*". It has no default. The first group that takes a weight counts.
        lr: the peak of their learning rate; null for optim.lr.
        weight_decay: theirs; null for optim.weight_decay.
    """

    weights: str = text(dataclasses.MISSING)
    lr: float | None = number(None)
    weight_decay: float | None = number(None)


@dataclass(frozen=True)
class OptimConfig(Section):
    """The optimizer and its learning rate.

    Attributes:
        name: adamw or sgd.
        lr: the learning rate, its peak if there is a schedule.
        schedule: how it falls after the warm-up: constant (not at all), cosine, linear, or wsd (it stays,
            and falls at the end).
        warmup: updates in which it rises from 0.
        total: updates after which the schedule has ended; null for train.steps.
        final: the last rate as a part of the peak.
        decay: of wsd, updates of the fall; null for a tenth of all.
        weight_decay: the part of each weight that goes in an update, divided by the learning rate.
        decay_filter: which weights decay: matrices (no biases and norms) or all.
        betas: of adamw's moments.
        eps: of adamw.
        momentum: of sgd.
        nesterov: of sgd.
        clip: the largest norm of the whole gradient; null does not clip.
        groups: options of some weights, a list of {weights: pattern, lr: ..., weight_decay: ...}.
    """

    name: str = word("adamw", ("adamw", "sgd"))
    lr: float = number(3e-4)
    schedule: str = word("cosine", ("constant", "cosine", "linear", "wsd"))
    warmup: int = whole(0)
    total: int | None = whole(None, 1)
    final: float = number(0.0, 0.0, 1.0)
    decay: int | None = whole(None, 1)
    weight_decay: float = number(0.1)
    decay_filter: str = word("matrices", ("matrices", "all"))
    betas: tuple[float, float] = pair((0.9, 0.95))
    eps: float = number(1e-8)
    momentum: float = number(0.0)
    nesterov: bool = flag(False)
    clip: float | None = number(1.0, above=0.0)
    groups: tuple[GroupConfig, ...] = rows(GroupConfig)


@dataclass(frozen=True)
class SourceConfig(Section):
    """One part of a mixture.

    Attributes:
        path: files, as data.path.
        weight: its share, relative to the others'.
        format: as data.format.
        field: as data.field.
        separator: as data.separator.
    """

    path: tuple[str, ...] = texts()
    weight: float = number(1.0, above=0.0)
    format: str = word("auto", ("auto", "text", "jsonl", "tokens"))
    field: str = text("text")
    separator: str | None = text(None)


@dataclass(frozen=True)
class DataConfig(Section):
    """Texts or tokens, and the samples made of them. Their order depends on data and seed alone.

    Attributes:
        path: files or patterns such as "texts/*.txt", or the prefix of a Megatron-LM pair .bin and .idx.
        format: text, jsonl or tokens; auto goes by the files' names: .jsonl, .bin or .idx, all others text.
        tokenizer: a tokenizer.json or its folder, or "bytes"; auto is that of model.path, or bytes where the
            model is not read from files. Tokens need none (null), but samples of text do.
        eos: the text of the token that ends a document, where tokenizer_config.json does not say it.
        field: of jsonl, the key of the text.
        separator: of text, what stands between documents; null if each file is one.
        packing: packed joins documents and cuts samples without padding; padded has one in each sample.
        cut: of padded, takes the first tokens of documents that are longer than a sample.
        document_masks: whether attention sees only its own document, and positions begin with it.
        mixture: several sources, a list of {path: ..., weight: ...}, instead of `path`.
        eval_path: files to evaluate on.
        eval_fraction: the part of the documents to evaluate on, which are not trained on.
        seed: of the order of documents and samples, and of the choice of eval_fraction.
        shuffle: whether both are shuffled.
        prefetch: batches made in advance.
    """

    path: tuple[str, ...] = texts()
    format: str = word("auto", ("auto", "text", "jsonl", "tokens"))
    tokenizer: str | None = text("auto")
    eos: str | None = text(None)
    field: str = text("text")
    separator: str | None = text(None)
    packing: str = word("packed", ("packed", "padded"))
    cut: bool = flag(False)
    document_masks: bool = flag(False)
    mixture: tuple[SourceConfig, ...] = rows(SourceConfig)
    eval_path: tuple[str, ...] = texts()
    eval_fraction: float | None = number(None, above=0.0, below=1.0)
    seed: int = whole(0)
    shuffle: bool = flag(True)
    prefetch: int = whole(2)


@dataclass(frozen=True)
class RunConfig(Section):
    """The run: how long, how large its steps are, and what it does beside them.

    Attributes:
        steps: updates in all, those before a checkpoint included.
        batch: samples of a step, over all devices and micro-batches.
        micro_batches: parts of a batch that are computed one after the other, for memory.
        sequence_length: tokens of a sample.
        seed: of the first weights and of dropout.
        folder: where checkpoints, metrics and plots are; a run goes on from its newest checkpoint. Null
            writes nothing, for ts.Trainer alone: `tessera train` needs a folder.
        save_every: steps between checkpoints; 0 for one at the end alone.
        eval_every: steps between evaluations; 0 for none.
        eval_batches: batches of an evaluation; null for all of the data.
        sample_every: steps between samples of text; 0 for none.
        sample_prompt: what they begin with.
        sample_tokens: tokens that are added.
        sample_temperature: 0 takes the most likely token.
        on_nan: what becomes of a step whose loss or gradient is not finite: stop ends the run with an error
            that names the first bad tensor, skip leaves its update out.
        max_skips: skipped steps in a row that the run goes on after; one more ends it.
    """

    steps: int = whole(1000, 1)
    batch: int = whole(8, 1)
    micro_batches: int = whole(1, 1)
    sequence_length: int = whole(128, 1)
    seed: int = whole(0)
    folder: str | None = text(None)
    save_every: int = whole(0)
    eval_every: int = whole(0)
    eval_batches: int | None = whole(None, 1)
    sample_every: int = whole(0)
    sample_prompt: str = text("The ")
    sample_tokens: int = whole(100, 1)
    sample_temperature: float = number(0.8)
    on_nan: str = word("stop", ("stop", "skip"))
    max_skips: int = whole(50, 1)


@dataclass(frozen=True)
class PrecisionConfig(Section):
    """Types of weights, gradients and sums. The name alone is enough: precision: bf16-mixed.

    Attributes:
        name: f32 and f64 have all in that type; bf16-mixed and fp16-mixed have weights and activations in 16
            bits, and gradients, their sums and a master copy of the weights in f32.
        reduce: the type in which gradients are moved where data-parallel devices add them; null for their
            own.
        loss_scale: of fp16-mixed, the first factor of the loss, which adapts.
        growth_interval: of fp16-mixed, finite updates in a row before the factor doubles.
    """

    short: ClassVar[str | None] = "name"

    name: str = word("f32", PRECISIONS)
    reduce: str | None = word(None, ("f32", "bf16", "f16"))
    loss_scale: float = number(2.0**15, above=0.0, most=2.0**120)
    growth_interval: int = whole(2000, 1)


@dataclass(frozen=True)
class MonitorConfig(Section):
    """What `tessera train` shows and writes of a run. From Python, pass callbacks to ts.Trainer.

    Attributes:
        progress: a line on the terminal that goes on.
        jsonl: a record of each step and event in folder/metrics.jsonl.
        plot: a plot of the losses in folder/loss.png.
        mfu: whether steps say which part they use of the devices' peak. On a new machine that is measured
            after the first step, which takes about a second, and is kept.
        port: of an HTTP endpoint with metrics for Prometheus, 0 for any that is free; null for none.
    """

    progress: bool = flag(True)
    jsonl: bool = flag(True)
    plot: bool = flag(True)
    mfu: bool = flag(True)
    port: int | None = whole(None, 0, 65535)


@dataclass(frozen=True)
class CheckpointConfig(Section):
    """Which checkpoints stay, and how they are written.

    Attributes:
        keep: the last ones that stay; null for all.
        keep_every: those whose step is a multiple of this stay, too.
        asynchronous: whether a thread writes them while the training goes on.
    """

    keep: int | None = whole(3, 1)
    keep_every: int | None = whole(None, 1)
    asynchronous: bool = flag(True)


SECTIONS: Mapping[str, type[Section]] = {
    "model": ModelConfig, "parallel": ParallelConfig, "optim": OptimConfig, "data": DataConfig,
    "train": RunConfig, "precision": PrecisionConfig, "monitor": MonitorConfig,
    "checkpoint": CheckpointConfig}


def default_of(field: dataclasses.Field) -> Any:
    """The default of an option."""
    if field.default is not dataclasses.MISSING:
        return field.default
    return field.default_factory()  # type: ignore[misc]
