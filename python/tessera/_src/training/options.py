# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Options of a configuration: what each may hold, and reading sections of them from plain values."""

from __future__ import annotations

import dataclasses
import inspect
import math
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

import numpy as np

from tessera._src.core.errors import ConfigError, did_you_mean

S = TypeVar("S", bound="Section")

# What other trainers call our keys.
ALIASES = {
    "learning_rate": "lr", "wd": "weight_decay", "epsilon": "eps", "optimizer": "name",
    "max_grad_norm": "clip",
    "grad_clip": "clip", "clip_norm": "clip", "gradient_clipping": "clip", "warmup_steps": "warmup",
    "lr_scheduler": "schedule", "lr_scheduler_type": "schedule", "batch_size": "batch",
    "global_batch_size": "batch", "train_batch_size": "batch", "gradient_accumulation_steps": "micro_batches",
    "grad_accum": "micro_batches", "accumulation": "micro_batches", "max_steps": "steps",
    "train_iters": "steps", "num_steps": "steps", "iterations": "steps", "seq_len": "sequence_length",
    "seq_length": "sequence_length", "max_seq_length": "sequence_length", "block_size": "sequence_length",
    "context_length": "sequence_length", "output_dir": "folder", "out_dir": "folder", "save": "folder",
    "save_interval": "save_every", "save_steps": "save_every", "eval_interval": "eval_every",
    "eval_steps": "eval_every", "tensor_parallel": "tp", "tensor_parallel_size": "tp",
    "tensor_model_parallel_size": "tp", "data_parallel": "dp", "data_parallel_size": "dp",
    "sequence_parallel": "sequence", "zero_stage": "zero", "type": "architecture",
    "model_type": "architecture", "checkpoint": "path", "train_path": "path", "dataset": "path",
    "files": "path", "dtype": "name", "keep_last": "keep", "save_total_limit": "keep",
}
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


@dataclass(frozen=True)
class Problem:
    """Something in a configuration that is not valid.

    Attributes:
        key: "section.key", or "" for none.
        message: what is wrong.
    """

    key: str
    message: str
    expected: str | None = None
    got: str | None = None
    choices: tuple[Any, ...] | None = None
    hint: str | None = None

    def line(self) -> str:
        """All of it on one line."""
        parts = [f"{self.key}: {self.message}" if self.key else self.message]
        for name, value in (("expected", self.expected), ("got", self.got)):
            parts += [f"{name} {value}"] if value is not None else []
        if self.choices is not None:
            parts.append(f"valid: {', '.join(map(str, self.choices)) or 'none'}")
        return "; ".join([*parts, *([self.hint] if self.hint else [])])


COMMAND_LINE = "the command line"


def raise_problems(problems: Sequence[Problem], where: str, others: Iterable[str] = (),
                   source: str = COMMAND_LINE) -> None:
    """Raises one error that has all problems, if there are any.

    Args:
        where: what is not valid.
        others: keys whose values are not from there, but from `source`.
    """
    if not problems:
        return
    keys = list(others)
    replaced = [any(_is_within(problem.key, key) or _is_within(key, problem.key) for key in keys)
                for problem in problems]
    if len(problems) == 1:
        one, place = problems[0], source if replaced[0] else where
        raise ConfigError("TS4030", f"{one.key}: {one.message}" if one.key else one.message,
                          expected=one.expected, got=one.got, choices=one.choices, hint=one.hint,
                          notes=[_in(place)] if place else ())
    if all(replaced):
        where = source
    is_mixed = any(replaced) and not all(replaced)
    raise ConfigError("TS4030", f"{where or 'the configuration'} " + (
        f"with {source} " if is_mixed else "") + f"has {len(problems)} problems",
        notes=[problem.line() + (f" ({_in(source)})" if is_mixed and of_source else "")
               for problem, of_source in zip(problems, replaced)])


def _is_within(key: str, outer: str) -> bool:
    """Whether a key is another one, or of what that one holds."""
    return key == outer or key.startswith((f"{outer}.", f"{outer}["))


def _in(place: str) -> str:
    return f"{'on' if place == COMMAND_LINE else 'in'} {place}"


class _OutOfRange(ValueError):
    """A value of the right kind, with what is expected instead."""


@dataclass(frozen=True)
class Kind:
    """What an option may hold.

    Attributes:
        name: for help texts.
        expected: in words, for errors.
        parse: makes the value of what a file, a command line or Python gives; ValueError where it is none.
        choices: the valid words, if it is one of some.
        rows: the section that each item of a list is, if it is such a list.
    """

    name: str
    expected: str
    parse: Callable[[Any], Any]
    choices: tuple[str, ...] = ()
    rows: type[Section] | None = None


def _option(default: Any, kind: Kind) -> Any:
    return dataclasses.field(default=default, metadata={"kind": kind}) if not isinstance(default, dict) else (
        dataclasses.field(default_factory=lambda: dict(default), metadata={"kind": kind}))


def whole(default: int | None, least: int = 0, most: int = 2**31 - 1) -> Any:
    """An option of integers."""
    def parse(value: Any) -> int:
        if isinstance(value, float) and value.is_integer():  # Such as 1e3.
            value = int(value)
        if isinstance(value, str) and _NUMBER.fullmatch(value) and float(value).is_integer():
            value = int(float(value))
        if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)):
            raise ValueError
        if value > most:
            raise _OutOfRange(f"an integer from {least} to {most}")
        if value < least:
            raise ValueError
        return int(value)

    bound = f"an integer of at least {least}" if most == 2**31 - 1 else f"an integer from {least} to {most}"
    return _option(default, Kind("int", bound, parse))


def number(default: float | None, least: float = 0.0, most: float = math.inf, *, above: float | None = None,
           below: float | None = None) -> Any:
    """An option of finite numbers. "3e-4" is one, too, though YAML 1.1 reads it as text."""
    def parse(value: Any) -> float:
        if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
            value = float(value)
        if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.number)):
            raise ValueError
        inside = least <= value <= most and math.isfinite(value)
        if not inside or (above is not None and value <= above) or (below is not None and value >= below):
            raise ValueError
        return float(value)

    low = f"above {above:g}" if above is not None else f"of at least {least:g}"
    high = f" and at most {most:g}" if most < math.inf else ""
    high = high if below is None else f" and below {below:g}"
    return _option(default, Kind("float", f"a number {low}{high}", parse))


def flag(default: bool) -> Any:
    """An option that is true or false."""
    def parse(value: Any) -> bool:
        if not isinstance(value, (bool, np.bool_)):
            raise ValueError
        return bool(value)

    return _option(default, Kind("bool", "true or false", parse))


def word(default: str | None, choices: Sequence[str]) -> Any:
    """An option that is one of some words."""
    def parse(value: Any) -> str:
        if not isinstance(value, str) or value not in choices:
            raise ValueError
        return value

    return _option(default, Kind("|".join(choices), "one of these words", parse, tuple(choices)))


def text(default: Any, may_be_empty: bool = False) -> Any:
    """An option of text, also of a path."""
    def parse(value: Any) -> str:
        if isinstance(value, os.PathLike):
            value = os.fspath(value)
        if not isinstance(value, str) or not (value or may_be_empty):
            raise ValueError
        return value

    return _option(default, Kind("text", "a text", parse))


def texts(default: tuple[str, ...] = ()) -> Any:
    """An option of one or several texts."""
    def parse(value: Any) -> tuple[str, ...]:
        items = [value] if isinstance(value, (str, os.PathLike)) else value
        if not isinstance(items, (list, tuple)):
            raise ValueError
        made = tuple(os.fspath(item) if isinstance(item, os.PathLike) else item for item in items)
        if any(not isinstance(item, str) or not item for item in made):
            raise ValueError
        return made

    return _option(default, Kind("text or list of texts", "a text, or a list of them", parse))


def pair(default: tuple[float, float]) -> Any:
    """An option of two numbers in [0, 1)."""
    def parse(value: Any) -> tuple[float, float]:
        if not isinstance(value, (list, tuple)) or len(value) != 2:
            raise ValueError
        if any(isinstance(n, (bool, np.bool_)) or not isinstance(n, (int, float, np.number)) or not 0 <= n < 1
               for n in value):
            raise ValueError
        return (float(value[0]), float(value[1]))

    return _option(default, Kind("two floats", "two numbers of at least 0 and below 1, such as [0.9, 0.95]",
                                 parse))


def mapping() -> Any:
    """An option of a dictionary with texts as keys."""
    def plain_value(value: Any) -> Any:
        if isinstance(value, Mapping):
            return parse(value)
        if isinstance(value, (list, tuple)):
            return [plain_value(item) for item in value]
        if isinstance(value, np.generic):
            value = value.item()
        if value is not None and not isinstance(value, (bool, int, float, str)):
            raise ValueError  # Such as a date of YAML.
        return value

    def parse(value: Any) -> dict[str, Any]:
        if not isinstance(value, Mapping) or any(not isinstance(key, str) for key in value):
            raise ValueError
        return {key: plain_value(item) for key, item in value.items()}

    return _option({}, Kind("mapping", "a mapping with texts as keys, and values that JSON has", parse))


def rows(section: type[Section]) -> Any:
    """An option of a list of sections."""
    def parse(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, (list, tuple)):
            raise ValueError
        return tuple(value)

    names = ", ".join(field.name for field in dataclasses.fields(section))
    return _option((), Kind("list of mappings", f"a list of mappings of {names}", parse, rows=section))


class Section:
    """Base of the sections of a configuration, which are frozen dataclasses of options.

    Attributes of a class: `short`, the field that a plain value instead of a mapping gives.
    """

    short: ClassVar[str | None] = None

    def __post_init__(self) -> None:
        problems: list[Problem] = []
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            value = _read_value(field, getattr(self, field.name), field.name, problems)
            object.__setattr__(self, field.name, value)
        raise_problems(problems, type(self).__name__)

    def to_dict(self) -> dict[str, Any]:
        """The options as plain values."""
        return {field.name: plain(getattr(self, field.name))
                for field in dataclasses.fields(self)}  # type: ignore[arg-type]


def plain(value: Any) -> Any:
    """A value in the types that JSON has."""
    if isinstance(value, Section):
        return value.to_dict()
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    return value


def documents(section: type) -> dict[str, str]:
    """What each field is for, as the docstring's "Attributes:" say it: each on one line."""
    found: dict[str, list[str]] = {}
    name = None
    lines = inspect.cleandoc(section.__doc__ or "").splitlines()
    start = lines.index("Attributes:") + 1 if "Attributes:" in lines else len(lines)
    for line in lines[start:]:
        match = re.match(r"    (\w+): (.*)", line)
        if match:
            name = match[1]
            found[name] = [match[2]]
        elif name is not None and line.strip():
            found[name].append(line.strip())
    return {key: " ".join(parts) for key, parts in found.items()}


def read_section(section: type[S], given: Any, key: str, problems: list[Problem]) -> S:
    """A section of plain values; what is wrong is added to the problems, and stands as its default."""
    if isinstance(given, section):
        return given
    fields = {field.name: field for field in dataclasses.fields(section)}  # type: ignore[arg-type]
    if section.short is not None and isinstance(given, str):
        given = {section.short: given}
    if given is None:
        given = {}
    if not isinstance(given, Mapping):
        problems.append(Problem(key, "is not a mapping", "options by name", shown(given), tuple(fields)))
        given = {}
    values = {}
    for name, value in given.items():
        if name not in fields:
            problems.append(Problem(f"{key}.{name}", "there is no such option", choices=tuple(fields),
                                    hint=did_you_mean(str(name), list(fields), ALIASES)))
            continue
        found: list[Problem] = []
        read = _read_value(fields[name], value, f"{key}.{name}", found)
        problems += found
        if not found:
            values[name] = read
    missing = [name for name, field in fields.items() if name not in given
               and field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING]
    if missing:
        problems += [Problem(f"{key}.{name}", "is missing") for name in missing]
    if any(name not in values for name, field in fields.items() if field.default is dataclasses.MISSING
           and field.default_factory is dataclasses.MISSING):
        return None  # type: ignore[return-value]
    return section(**values)


def _read_value(field: dataclasses.Field, value: Any, key: str, problems: list[Problem]) -> Any:
    kind: Kind = field.metadata["kind"]
    is_optional = str(field.type).endswith("| None")
    if value is None and is_optional:
        return None
    try:
        parsed = kind.parse(value)
    except (ValueError, OverflowError) as error:
        expected = str(error) if isinstance(error, _OutOfRange) else kind.expected
        hint = did_you_mean(value, kind.choices) if kind.choices and isinstance(value, str) else None
        problems.append(Problem(key, "is not valid", None if kind.choices else expected
                                + (", or null" if is_optional else ""), shown(value),
                                kind.choices or None, hint))
        return None
    if kind.rows is None:
        return parsed
    made = [read_section(kind.rows, item, f"{key}[{i}]", problems) for i, item in enumerate(parsed)]
    return tuple(made)


def shown(value: Any) -> str:
    """A value in an error."""
    result = repr(value)
    return result if len(result) <= 60 else result[:57] + "..."


def join(words: Iterable[Any]) -> str:
    """"a, b and c"."""
    listed = [str(item) for item in words]
    return listed[0] if len(listed) == 1 else f"{', '.join(listed[:-1])} and {listed[-1]}" if listed else ""
