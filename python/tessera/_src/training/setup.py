# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What a trainer is made of: model, mesh, data and the step, from a configuration and what is given."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from tessera._src.arrays.array import ShapeDtypeStruct
from tessera._src.core import dtypes, tree
from tessera._src.core.errors import ConfigError
from tessera._src.data.datasets import Dataset
from tessera._src.data.loader import Loader
from tessera._src.data.tokenizing import Tokenizer
from tessera._src.functions.jit import jit
from tessera._src.meshes.mesh import Mesh, current_mesh
from tessera._src.monitoring.peak import flops_per_token
from tessera._src.nn.module import Module, Parameter
from tessera._src.nn.parallel import Parallel
from tessera._src.ops import rng
from tessera._src.optim.optimizer import Optimizer
from tessera._src.training import building
from tessera._src.training.checks import DTYPES, check_config, check_shapes, tokenizer_of
from tessera._src.training.config import TrainConfig
from tessera._src.training.options import Problem, join, raise_problems
from tessera._src.training.step import Step
from tessera._src.training.vocabulary import largest_token

_LOOKED_UP = ("wte.weight", "wpe.weight", "embed_tokens.weight")
_RATES = ("embd_pdrop", "resid_pdrop", "attn_pdrop")


class Setup:
    """The parts of a training, checked; nothing is compiled, and nothing on devices, before `weights`.

    Attributes:
        mesh, loader, tokenizer: what their names say.
        evaluation: data sets to evaluate on.
        description: the model, with weights or ts.nn.Parameters.
        step: what a step computes.
        names: of the arrays of a batch that it takes.
        vocabulary: how many tokens the model knows.
        dp: the axis that splits batches.
        options: further ones of ts.jit.
    """

    def __init__(self, model: Any, config: TrainConfig, mesh: Mesh | None, data: Any, eval_data: Any):
        if model is not None and not isinstance(model, Module):
            raise ConfigError("TS4030", f"model is a {type(model).__name__}",
                              expected="a ts.nn.Module, or None for the one of config.model")
        if mesh is not None and not isinstance(mesh, Mesh):
            raise ConfigError("TS4030", f"mesh is a {type(mesh).__name__}", got=repr(mesh)[:60],
                              expected="a ts.Mesh, such as ts.make_mesh({'dp': 2, 'tp': 2}), or None")
        self.config = config
        mesh = mesh or _mesh_of_weights(model) or current_mesh()
        axes = None if mesh is None else dict(mesh.shape)
        dataset = data.dataset if isinstance(data, Loader) else data
        evaluation = [] if eval_data is None else (
            list(eval_data) if isinstance(eval_data, (list, tuple)) else [eval_data])
        self.tokenizer: Tokenizer | None = _tokenizer_in(dataset)
        problems, tokenizer = check_config(config, model is not None, data is not None, bool(evaluation),
                                           axes, self.tokenizer)
        if data is not None:
            _check_given(config, data, evaluation, problems)
        parallel = config.parallel
        sizes = {"tp": parallel.tp, "dp": parallel.dp} if axes is None else axes
        if model is not None and hasattr(model, "config"):
            check_shapes(config, model.config, tokenizer, sizes, problems)
        if model is not None and parallel.zero > 1 and _stage_of(model) != parallel.zero:
            problems.append(Problem("parallel.zero", f"is {parallel.zero}, and the model was made with "
                                    f"ts.nn.Parallel(zero={_stage_of(model)})"))
        if model is not None and config.train.sample_every and not hasattr(model, "generate"):
            problems.append(Problem("train.sample_every", f"{type(model).__name__} has no generate()",
                                    choices=(0,)))
        if model is not None:
            _check_types(config, model, problems)
        raise_problems(problems, "the configuration")
        if self.tokenizer is None and (data is None or config.train.sample_every):
            self.tokenizer = tokenizer_of(config)
        self.mesh = mesh or building.mesh_of(config)
        if data is None:
            dataset, own = building.datasets_of(config, self.tokenizer)
            evaluation = evaluation or own
        self.evaluation: Sequence[Dataset] = evaluation
        self.loader = data if isinstance(data, Loader) else Loader(
            dataset, config.train.batch, prefetch=config.data.prefetch)
        self._given = model
        self.describe()
        self.dp = getattr(_parallel_of(self.description), "dp", "dp")
        self.takes = _takes(config, self.description)
        self.names = ["tokens", "labels", *sorted(self.takes - {"key"})]
        self.step = self._step()
        self.vocabulary = self._vocabulary_of(tokenizer)
        self.options = {} if parallel.device == "cpu" else {"device": parallel.device}
        if parallel.threads is not None:
            self.options["threads"] = parallel.threads

    def describe(self) -> None:
        """Sets `description`; the weights that config.model.path has are read from there."""
        self.description = self._given
        if self._given is None:
            self.description = building.model_of(self.config, self.tokenizer, self.mesh)

    def _vocabulary_of(self, tokenizer: Tokenizer | None) -> int:
        """How many tokens the model knows. Traces the model, so that it says early what it cannot do, and
        looks at the data."""
        model, kind = self.description, type(self.description).__name__
        run, index = self.config.train, np.dtype(np.int32)
        rows = ShapeDtypeStruct((run.batch // run.micro_batches, self.loader.dataset.length), index)
        program = jit(self.step.logits, mesh=self.mesh).lower(
            model.abstract(self.mesh), {name: rows for name in self.names},
            ShapeDtypeStruct((2,), index)).program
        _check_axes(self.mesh, model, program.text)
        shapes = [shape for shape, _ in program.results]
        if len(shapes) != 1 or len(shapes[0]) != 3 or shapes[0][:2] != rows.shape:
            given = ", ".join(str(list(shape)) for shape in shapes)
            raise_problems([Problem("model", f"{kind} gives {given} of tokens {list(rows.shape)}",
                                    "logits [batch, sequence, vocabulary]")], "")
        known = getattr(getattr(model, "config", None), "vocab_size", None)
        key, has = ("model", f"{kind} gives logits of {shapes[0][2]} tokens") if known is None else (
            "model.config.vocab_size", f"is {known}")
        vocabulary = shapes[0][2] if known is None else known
        problems = []
        if tokenizer is not None and tokenizer.vocab_size > vocabulary:
            problems.append(Problem(key, f"{has}, and the tokenizer has {tokenizer.vocab_size} tokens",
                                    f"at least {tokenizer.vocab_size}"))
        found = [item for dataset in (self.loader.dataset, *self.evaluation)
                 if (item := largest_token(dataset)) is not None]
        token, where = max(found, default=(-1, ""))
        if not problems and token >= vocabulary:
            problems.append(Problem(key, f"{has}, and {where} has token {token}", f"at least {token + 1}"))
        raise_problems(problems, "the configuration")
        return vocabulary

    @property
    def has_given_weights(self) -> bool:
        """Whether the model was given with weights, which there are once."""
        return self._given is not None and not all(
            isinstance(leaf, Parameter) for leaf in tree.leaves(self._given))

    def _step(self) -> Step:
        gradient, reduced = building.gradient_precision(self.config)
        stage = max(self.config.parallel.zero, _stage_of(self.description))
        zero = self.dp if stage and self.dp in self.mesh.shape else None
        optimizer = building.optimizer_of(self.config, zero)
        _check_groups(optimizer, self.description.abstract(self.mesh))
        return Step(optimizer,
                    building.scaling_of(self.config), self.config.optim.clip, gradient, reduced,
                    frozenset(self.takes), self.config.train.on_nan == "stop")

    def weights(self) -> Any:
        """The model with its first weights, in their layouts on the mesh."""
        return self.description.init(rng.key(self.config.train.seed), mesh=self.mesh)

    def flops_per_token(self) -> float | None:
        """Floating-point operations of training on one token; None where they are not known.

        See ts.monitor.flops_per_token. Embeddings that are only looked up are left out.
        """
        model = self.description
        if not isinstance(model, Module) or not hasattr(model, "blocks") or not hasattr(model, "config"):
            return None
        shapes = [leaf.shape for leaf in tree.leaves(model)]
        looked_up = [leaf for name, leaf in model.named_parameters() if name.endswith(_LOOKED_UP)]
        if getattr(model, "lm_head", None) is None:
            looked_up = looked_up[1:]  # The first one is the table of words, which is the head as well.
        count = sum(math.prod(shape) for shape in shapes) - sum(math.prod(leaf.shape) for leaf in looked_up)
        config = model.config
        heads = getattr(config, "num_attention_heads", getattr(config, "n_head", 0))
        return flops_per_token(count, layers=len(model.blocks), width=heads * config.head_size,
                               sequence_length=self.loader.dataset.length)


def _takes(config: TrainConfig, model: Any) -> set[str]:
    """Which arguments beside the tokens a model is given."""
    known = building.accepted(model, "key", "positions", "segments")
    if config.data.document_masks:
        lacking = {"positions", "segments"} - known
        if lacking:
            raise_problems([Problem("data.document_masks", f"{type(model).__name__} takes no "
                                    f"{' and no '.join(sorted(lacking))}", choices=(False,))], "")
    else:
        known -= {"positions", "segments"}
    own = getattr(model, "config", None)
    rates = [getattr(own, name) for name in _RATES if hasattr(own, name)]
    return known - {"key"} if own is not None and not any(rates) else known


def _check_types(config: TrainConfig, model: Module, problems: list[Problem]) -> None:
    """The weights of a model that is given have the type of the precision; of mixed ones some are f32."""
    precision = config.precision.name
    wanted = DTYPES[precision]
    found = {dtypes.name_of(np.dtype(leaf.dtype)) for leaf in tree.leaves(model) if hasattr(leaf, "dtype")}
    others = found - {wanted} - ({"f32"} if precision.endswith("-mixed") and wanted in found else set())
    if others:
        fitting = [name for name, dtype in DTYPES.items() if dtype in others]
        problems.append(Problem(
            "precision", f"{precision} has weights of {wanted}, and the model that is given has weights of "
            f"{join(sorted(others))}", hint=f"make the model with dtype=ts.{wanted}"
            + (f", or set precision={fitting[0]}" if fitting else "")))


def _check_axes(mesh: Mesh, model: Any, text: str) -> None:
    """The devices of an axis that splits nothing would all compute the same.

    Args:
        text: of the model's program, with the axes that split weights and activations; behind those of the
            mesh is a size.
    """
    policy = _parallel_of(model) or Parallel()
    text = re.sub(r'"[^"]*"', "", text)
    idle = [name for name, size in mesh.shape.items() if size > 1 and name not in (policy.dp, policy.tp)
            and not re.search(rf"\b{re.escape(name)}\b(?! =)", text)]
    if idle:
        raise_problems([Problem("mesh", f"axis '{idle[0]}' of {mesh.shape[idle[0]]} devices splits neither "
                                "batches nor weights",
                                f"axis '{policy.dp}' for batches, '{policy.tp}' for weights")], "")


def _check_groups(optimizer: Optimizer, weights: Any) -> None:
    """Groups of weights that there are not."""
    try:
        optimizer.settings(weights)
    except ConfigError as error:
        key, comma, rest = error.message.partition(", ")  # "groups[0], '*.bias', has no weights".
        rest = rest.replace(", ", " ", 1)
        if not comma or not key.startswith("groups["):
            raise
        raise_problems([Problem(f"optim.{key}", rest, error.expected, error.got, error.choices, error.hint)],
                       "the configuration")


def _mesh_of_weights(model: Any) -> Mesh | None:
    """Where a model's weights are."""
    for leaf in tree.leaves(model) if model is not None else ():
        sharding = None if isinstance(leaf, Parameter) else getattr(leaf, "sharding", None)
        if sharding is not None:
            return sharding.mesh
    return None


def _parallel_of(module: Any) -> Parallel | None:
    """The policy of layouts of the first layer that has one."""
    if isinstance(module, Module):
        for value in vars(module).values():
            if isinstance(value, Parallel):
                return value
            found = _parallel_of(value)
            if found is not None:
                return found
    return None


def _stage_of(model: Any) -> int:
    """What a model's policy of layouts splits over data-parallel devices; see ts.nn.Parallel."""
    return getattr(_parallel_of(model), "zero", 0)


def _tokenizer_in(dataset: Any) -> Tokenizer | None:
    """That of a data set's texts."""
    while dataset is not None:
        if getattr(dataset, "tokenizer", None) is not None:
            return dataset.tokenizer
        several = getattr(dataset, "datasets", None)
        dataset = several[0] if several else getattr(dataset, "source", None)
    return None


def _check_given(config: TrainConfig, data: Any, evaluation: Sequence[Any], problems: list[Problem]) -> None:
    """Data that are given must be what the configuration says of them."""
    dataset = data.dataset if isinstance(data, Loader) else data
    for what, one in [("data", dataset), *(("eval_data", one) for one in evaluation)]:
        if not hasattr(one, "rows") or not hasattr(one, "length"):
            problems.append(Problem(what, f"is a {type(one).__name__}", "a data set of ts.data"
                                    + (", or a loader of one" if what == "data" else "")))
        elif one.length != config.train.sequence_length:
            problems.append(Problem("train.sequence_length", f"is {config.train.sequence_length}, and "
                                    f"samples of {what} have {one.length} tokens",
                                    hint=f"set it to {one.length}"))
    if isinstance(data, Loader):
        if data.batch != config.train.batch:
            problems.append(Problem("train.batch", f"is {config.train.batch}, and the loader's {data.batch}"))
        if data.parts != 1:
            problems.append(Problem("data", "the loader gives parts of batches", "whole batches, which the "
                                    "program splits"))
    if config.train.eval_every and not evaluation:
        problems.append(Problem("train.eval_every", "there are no data to evaluate on",
                                hint="pass eval_data"))
