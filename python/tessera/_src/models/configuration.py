# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Configurations of models, read from Hugging Face's config.json and checked."""

from __future__ import annotations

import dataclasses
import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from tessera._src.core.errors import CheckpointError, ConfigError, did_you_mean

C = TypeVar("C")
# What a field of each type may hold.
_EXPECTED = {
    "int": (int, "an integer of at least 1"),
    "float": ((int, float), "a number of at least 0"),
    "str": (str, "a name"),
    "bool": (bool, "true or false"),
}


def read_json(path: str | os.PathLike) -> Any:
    """The contents of a JSON file."""
    try:
        return json.loads(Path(path).read_text())
    except OSError as error:
        raise CheckpointError("TS6001", f"{path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise CheckpointError("TS6002", f"{path} is not valid JSON: {error}") from None


def from_mapping(cls: type[C], data: Any, where: str, model_types: Sequence[str]) -> C:
    """A configuration from a JSON object, which may hold more than the fields of `cls`.

    Args:
        cls: a dataclass, whose fields without a default must be there.
        where: what the data is, for messages.
        model_types: that the object's model_type may be; the first one where it has none.

    Raises:
        ConfigError: TS4008 for what is missing, or of another type or out of range.
    """
    if not isinstance(data, Mapping):
        raise ConfigError("TS4008", f"{where} must be a JSON object", got=f"a {type(data).__name__}")
    if data.get("model_type", model_types[0]) not in model_types:
        raise ConfigError("TS4008", f"{where} is of a '{data['model_type']}' model", choices=model_types)
    fields = {f.name: f for f in dataclasses.fields(cls)}
    missing = [name for name, f in fields.items() if f.default is dataclasses.MISSING and name not in data]
    if missing:
        raise ConfigError("TS4008", f"{where} lacks {', '.join(missing)}")
    given = {name: data[name] for name in fields if name in data}
    for name, value in given.items():
        _check_field(fields[name], value, where)
    return cls(**given)


def check_changes(changes: Any, cls: type, where: str) -> None:
    """Raises unless these are fields of a configuration."""
    if not isinstance(changes, Mapping):
        raise ConfigError("TS4008", f"{where} is a {type(changes).__name__}", got=repr(changes)[:60],
                          expected="a dictionary of fields of config.json")
    known = [f.name for f in dataclasses.fields(cls)]
    for name in changes:
        if name not in known:
            raise ConfigError("TS4008", f"{where} has '{name}', which is no field of {cls.__name__}",
                              choices=known, hint=did_you_mean(str(name), known))


def _check_field(field: dataclasses.Field, value: Any, where: str) -> None:
    kind, _, optional = str(field.type).partition(" | ")
    if kind not in _EXPECTED or (optional == "None" and value is None):
        return
    types, expected = _EXPECTED[kind]
    is_number = kind in ("int", "float")
    if not isinstance(value, types) or (is_number and isinstance(value, bool)) or (
            is_number and not (kind == "int") <= value < math.inf):
        raise ConfigError("TS4008", f"{where} has {field.name} = {value!r}", expected=expected)


def check_divides(config: Any, dividend: str, divisor: str) -> None:
    """Raises unless one field divides by another."""
    value, by = getattr(config, dividend), getattr(config, divisor)
    if value % by:
        raise ConfigError("TS4008", f"{dividend}={value} is not divisible by {divisor}={by}",
                          choices=[d for d in range(1, 129) if value % d == 0])
