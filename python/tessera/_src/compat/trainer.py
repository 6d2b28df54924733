# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""ts.Trainer with flat names of options, and data given when it trains."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

from tessera._src.core.errors import ConfigError, did_you_mean
from tessera._src.meshes.mesh import Mesh
from tessera._src.monitoring.callback import Callback
from tessera._src.training.config import TrainConfig
from tessera._src.training.schema import SECTIONS
from tessera._src.training.state import TrainState
from tessera._src.training.trainer import Trainer

# Flat names, and where ts.TrainConfig has them.
_KEYS = {
    "learning_rate": "optim.lr", "weight_decay": "optim.weight_decay", "gradient_clip_norm": "optim.clip",
    "warmup_steps": "optim.warmup", "total_steps": "train.steps", "batch_size": "train.batch",
    "sequence_length": "train.sequence_length", "gradient_accumulation_steps": "train.micro_batches",
    "mixed_precision": "precision.name", "gradient_checkpointing": "model.remat", "seed": "train.seed",
    "output_dir": "train.folder", "save_steps": "train.save_every", "eval_steps": "train.eval_every",
}
_PRECISIONS = {None: "f32", False: "f32", "no": "f32", "bf16": "bf16-mixed", "fp16": "fp16-mixed"}


class TesseraTrainer:
    """ts.Trainer whose configuration has flat names, and whose data are given to `train`.

        trainer = ts.compat.TesseraTrainer(model, {"learning_rate": 1e-3, "total_steps": 100,
                                                   "batch_size": 8, "sequence_length": 128})
        state = trainer.train(dataset, eval_dataset)

    It stands for ts.Trainer(model, config, mesh, data, eval_data=...).fit(). Names that it takes beside the
    sections of ts.TrainConfig: learning_rate, weight_decay, gradient_clip_norm, warmup_steps, total_steps,
    batch_size, sequence_length, gradient_accumulation_steps, mixed_precision (None, "bf16", "fp16"),
    gradient_checkpointing (of the model that a section describes), seed, output_dir, save_steps and
    eval_steps. Defaults are those of ts.TrainConfig. It trains once; a run that goes on is made anew with
    the same output_dir.

    Args:
        model: a module, or None for the one of the section `model`.
        config: a dictionary of flat names, or what ts.Trainer takes.
        mesh: of the devices.
        callbacks: ts.monitor.Callback objects.

    Raises:
        ConfigError (TS4030): an option that there is not, or that does not fit.
    """

    def __init__(self, model: Any = None, config: Any = None, mesh: Mesh | None = None, *,
                 callbacks: Iterable[Callback] = ()):
        self.config = self._read(config, model is not None)
        self.mesh, self.callbacks, self._model = mesh, tuple(callbacks), model
        self.trainer: Trainer | None = None

    def _read(self, config: Any, has_model: bool) -> TrainConfig:
        if isinstance(config, TrainConfig):
            return config
        if config is None or isinstance(config, (str, os.PathLike)):
            return TrainConfig() if config is None else TrainConfig.from_file(config)
        if not isinstance(config, Mapping):
            raise ConfigError("TS4030", f"config is a {type(config).__name__}",
                              expected="a dictionary, a ts.TrainConfig or the path of a file")
        sections: dict[str, Any] = {}
        for name, value in config.items():
            if name in SECTIONS:
                sections[name] = {**value, **sections.get(name, {})} if isinstance(value, Mapping) else value
                continue
            if name not in _KEYS:
                names = [*_KEYS, *SECTIONS]
                raise ConfigError("TS4030", f"ts.compat.TesseraTrainer has no option '{name}'", choices=names,
                                  hint=did_you_mean(str(name), names))
            section, key = _KEYS[name].split(".")
            given = config.get(section)
            if isinstance(given, Mapping) and key in given:
                raise ConfigError("TS4030", f"'{name}' and {_KEYS[name]} are the same option, and both are "
                                  "given", got=f"{value!r} and {given[key]!r}")
            if given is not None and not isinstance(given, Mapping):
                raise ConfigError("TS4030", f"'{name}' is given, and the section {section} is no dictionary",
                                  got=repr(given))
            if name == "mixed_precision":
                if value not in _PRECISIONS:
                    raise ConfigError("TS4030", f"mixed_precision is {value!r}",
                                      choices=[repr(one) for one in _PRECISIONS])
                value = _PRECISIONS[value]
            if name == "gradient_checkpointing":
                if value and has_model:
                    raise ConfigError("TS4030", "gradient_checkpointing is given with a model, whose layers "
                                      "say what they keep", hint='make it with remat="nothing"')
                value = "nothing" if value else None
            sections[section] = {**sections.get(section, {}), key: value}
        return TrainConfig.from_dict(sections)

    def train(self, train_data: Any = None, eval_data: Any = None, max_steps: int | None = None
              ) -> TrainState:
        """Trains, and gives the state.

        Args:
            train_data: a data set of ts.data or a loader; None for those of the section `data`.
            eval_data: a data set, or a list of them.
            max_steps: instead of total_steps.
        """
        if self.trainer is not None:
            raise ConfigError("TS4030", "this ts.compat.TesseraTrainer has trained",
                              hint="make another one; with an output_dir it goes on from the last checkpoint")
        config = self.config if max_steps is None else self.config.replace(f"train.steps={max_steps}")
        trainer = Trainer(self._model, config, self.mesh, train_data, eval_data=eval_data,
                          callbacks=self.callbacks)
        self.trainer, self.config = trainer, config
        return trainer.fit()

    @property
    def model(self) -> Any:
        """The model, with the trained weights once it has trained."""
        return self._model if self.trainer is None else self.trainer.model

    def evaluate(self) -> dict[str, float]:
        """As ts.Trainer.evaluate, on the eval_data of `train`."""
        if self.trainer is None:
            raise ConfigError("TS4030", "ts.compat.TesseraTrainer evaluates what it has trained",
                              hint="call train(train_data, eval_data) first")
        return self.trainer.evaluate()
