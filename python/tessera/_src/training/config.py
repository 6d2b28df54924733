# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""ts.TrainConfig: all sections, read from files, `section.key=value`, and dictionaries."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from tessera._src.core.errors import ConfigError, did_you_mean
from tessera._src.training import yaml_text
from tessera._src.training.options import ALIASES, Problem, plain, raise_problems, read_section, shown
from tessera._src.training.schema import (
    SECTIONS,
    CheckpointConfig,
    DataConfig,
    ModelConfig,
    MonitorConfig,
    OptimConfig,
    ParallelConfig,
    PrecisionConfig,
    RunConfig,
)


@dataclass(frozen=True)
class TrainConfig:
    """The configuration of a training, which does not change.

        config = ts.TrainConfig.from_file("train.yaml", ["parallel.tp=2", "train.steps=500"])
        config = ts.TrainConfig.from_dict({"model": {...}, "data": {"path": "text.txt"}})
        config = ts.TrainConfig(train=ts.training.RunConfig(steps=10), optim={"lr": 1e-3})

    `tessera train --help` lists all options. Values are checked when it is made; what depends on several
    of them, on files or on devices, when a ts.Trainer is.

    Raises:
        ConfigError (TS4030): an option that there is not, or a value that is not valid; all at once.
    """

    model: ModelConfig = field(default_factory=ModelConfig)
    parallel: ParallelConfig = field(default_factory=ParallelConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    data: DataConfig = field(default_factory=DataConfig)
    train: RunConfig = field(default_factory=RunConfig)
    precision: PrecisionConfig = field(default_factory=PrecisionConfig)
    monitor: MonitorConfig = field(default_factory=MonitorConfig)
    checkpoint: CheckpointConfig = field(default_factory=CheckpointConfig)

    def __post_init__(self) -> None:
        problems: list[Problem] = []
        for name, section in SECTIONS.items():
            object.__setattr__(self, name, read_section(section, getattr(self, name), name, problems))
        raise_problems(problems, "ts.TrainConfig")

    def __hash__(self) -> int:
        # model.config is a dictionary, which has no hash.
        return hash((self.model.architecture, self.model.path, *(
            getattr(self, name) for name in SECTIONS if name != "model")))

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], where: str = "the configuration") -> TrainConfig:
        """The configuration of plain values, by section and key; those that are left out are the defaults.

        Args:
            where: what the data is, for errors.
        """
        return cls._made(data, (), where, "")

    @classmethod
    def _made(cls, data: Any, overrides: Iterable[str], where: str, source: str) -> TrainConfig:
        """The configuration of plain values with others in their place, which are from `source`."""
        if not isinstance(data, Mapping):
            raise ConfigError("TS4030", f"{where} is not a mapping",
                              expected=f"sections: {', '.join(SECTIONS)}", got=shown(data))
        others = list(overrides) if isinstance(overrides, Iterable) and not isinstance(
            overrides, (str, bytes)) else overrides
        if others:
            data = overridden(data, others, source)
        problems: list[Problem] = []
        for name in data:
            if name not in SECTIONS:
                problems.append(_unknown_section(name))
        made = {name: read_section(section, data[name], name, problems)
                for name, section in SECTIONS.items() if name in data}
        raise_problems(problems, where, [key_of(item) for item in others], source)
        return cls(**made)

    @classmethod
    def from_file(cls, path: str | os.PathLike, overrides: Iterable[str] = (),
                  source: str = "the overrides") -> TrainConfig:
        """The configuration of a YAML or JSON file, with values that replace the file's.

        Args:
            overrides: such as "train.steps=500" or "optim.betas=[0.9, 0.99]", values as in YAML.
            source: what they are, for errors.

        Raises:
            ConfigError: the file cannot be read (TS4031); what is in it is not valid (TS4030).
        """
        return cls._made(read_file(path), overrides, str(path), source)

    def replace(self, *overrides: str) -> TrainConfig:
        """The configuration with other values: config.replace("train.steps=10", "parallel.tp=4")."""
        return self._made(self.to_dict(), overrides, "the configuration", "the overrides")

    def to_dict(self) -> dict[str, Any]:
        """All options, as JSON has them."""
        return {name: plain(getattr(self, name)) for name in SECTIONS}

    def to_yaml(self, comments: bool = False) -> str:
        """All options as a file that reads back to the same configuration.

        Args:
            comments: whether each has what it is for beside it.
        """
        return yaml_text.write(self.to_dict(), SECTIONS if comments else None)


def _unknown_section(name: Any) -> Problem:
    key = ALIASES.get(str(name).lower(), str(name))
    owners = [section for section, kind in SECTIONS.items() if key in {f.name for f in fields(kind)}]
    aliases = {"optimizer": "optim", "training": "train", "parallelism": "parallel", "trainer": "train",
               "dataset": "data", "monitoring": "monitor", "checkpoints": "checkpoint", "mesh": "parallel"}
    hint = did_you_mean(str(name), SECTIONS, aliases)
    if hint is None and owners:
        hint = f"did you mean '{owners[0]}.{key}'?"
    return Problem(str(name), "there is no such section", choices=tuple(SECTIONS), hint=hint)


def read_file(path: str | os.PathLike) -> Any:
    """What a YAML or JSON file holds.

    Raises: ConfigError (TS4031): it is not there, is neither, or is YAML and PyYAML is not installed.
    """
    file = Path(path)
    try:
        content = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        near = sorted(str(other) for other in file.parent.glob("*") if other.suffix in (
            ".yaml", ".yml", ".json")) if file.parent.is_dir() else []
        raise ConfigError("TS4031", f"{path} does not exist", expected="a YAML or JSON file",
                          choices=near[:8] or None, hint=did_you_mean(str(path), near)) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError("TS4031", f"{path} cannot be read: {error}") from None
    if file.suffix == ".json":
        try:
            return yaml_text.read_json(content)
        except ValueError as error:
            raise ConfigError("TS4031", f"{path} is not valid JSON: {error}") from None
    try:
        return yaml_text.read(content)
    except ValueError as error:
        raise ConfigError("TS4031", f"{path} is not valid YAML: {error}") from None


def key_of(override: str) -> str:
    """The option that a "section.key=value" is of."""
    key = override.partition("=")[0].strip()
    return key if "." in key else f"{key}.name"


def overridden(data: Mapping[str, Any], overrides: Iterable[str], source: str) -> dict[str, Any]:
    """Plain values with others in their place, which are from `source`.

    Raises: ConfigError (TS4030): an override that is not "section.key=value".
    """
    result = {name: dict(value) if isinstance(value, Mapping) else value for name, value in data.items()}
    problems = []
    if isinstance(overrides, (str, bytes)) or not isinstance(overrides, Iterable):
        raise ConfigError("TS4030", f"the values that replace a file's are a {type(overrides).__name__}",
                          expected='a list of texts, such as ["train.steps=500"]', got=shown(overrides))
    for item in overrides:
        if not isinstance(item, str):
            problems.append(Problem(shown(item), "is not an option",
                                    "a text, such as train.steps=500"))
            continue
        key, equals, value = item.partition("=")
        names = key.strip().split(".")
        if not equals or not all(names) or (len(names) < 2 and names[0] != "precision"):
            problems.append(Problem(item, "is not an option", "section.key=value, such as train.steps=500",
                                    hint=_unknown_section(names[0]).hint if len(names) == 1 else None))
            continue
        try:
            parsed = yaml_text.read(value) if value.strip() else ""
        except ValueError as error:
            problems.append(Problem(key, f"its value is not valid YAML: {error}", got=shown(value)))
            continue
        if len(names) == 1:
            names = [names[0], "name"]
        at: Any = result
        for name in names[:-1]:
            inner = at.get(name)
            if isinstance(inner, str) and at is result and SECTIONS.get(name) and SECTIONS[name].short:
                inner = {SECTIONS[name].short: inner}  # type: ignore[dict-item]
            at[name] = dict(inner) if isinstance(inner, Mapping) else {}
            at = at[name]
        at[names[-1]] = parsed
    raise_problems(problems, source)
    return result
