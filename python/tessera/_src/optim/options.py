# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Checks of what optimizers and schedules are made with."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tessera._src.core import dtypes
from tessera._src.core.errors import ConfigError, did_you_mean
from tessera._src.tracing.tracer import Tracer

# What others call our options.
ALIASES = {"learning_rate": "lr", "wd": "weight_decay", "l2": "weight_decay", "epsilon": "eps",
           "beta": "momentum", "no_decay": "decay_filter", "lambda": "weight_decay"}


def check_number(what: str, value: Any, least: float = 0.0, most: float = math.inf, below: float = math.inf
                 ) -> float:
    """A finite Python number in [least, most], and less than `below`."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise ConfigError("TS4013", f"{what} is no number", got=_short(value))
    if not (least <= value <= most and value < below):
        wanted = f"a finite number of at least {least:g}" if most == below == math.inf else (
            f"a number from {least:g} to {most:g}" if below == math.inf
            else f"a number of at least {least:g} and less than {below:g}")
        raise ConfigError("TS4013", f"{what} is out of range", got=_short(value), expected=wanted)
    return float(value)


def check_count(what: str, value: Any, least: int) -> int:
    """A Python integer of at least `least`."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)) or value < least:
        raise ConfigError("TS4013", f"{what} is no number of updates", got=_short(value),
                          expected=f"an integer of at least {least}")
    return int(value)


def check_choice(what: str, value: Any, choices: Sequence[str]) -> str:
    """One of some words."""
    if not isinstance(value, str) or value not in choices:
        raise ConfigError("TS4013", f"unknown {what}", got=_short(value), choices=choices,
                          hint=did_you_mean(value, choices) if isinstance(value, str) else None)
    return value


def check_flag(what: str, value: Any) -> bool:
    """True or False."""
    if not isinstance(value, (bool, np.bool_)):
        raise ConfigError("TS4013", f"{what} is neither True nor False", got=_short(value))
    return bool(value)


def check_axis(what: str, value: Any) -> str | None:
    """The name of an axis of a mesh, or None."""
    if value is not None and not isinstance(value, str):
        raise ConfigError("TS4013", f"{what} is no name of an axis", got=_short(value),
                          expected="an axis of the weights' mesh, such as 'dp', or None")
    return value


def check_rate(what: str, value: Any) -> Any:
    """A learning rate: a number, a function of the step, or a value without dimensions."""
    if callable(value):
        return value
    shape = getattr(value, "shape", None)
    if isinstance(value, Tracer) or (shape is not None and not isinstance(value, np.generic)):
        if shape == () and dtypes.is_float(np.dtype(value.dtype)):
            return value
        raise ConfigError("TS4013", f"{what} is an array", got=f"shape {tuple(shape)}",
                          expected="a number, a schedule, or floats without dimensions",
                          hint="weights go to optimizer.init(weights)")
    if isinstance(value, (dict, list, tuple)) or not isinstance(value, (int, float, np.number, bool)):
        raise ConfigError("TS4013", f"{what} is a {type(value).__name__}", got=_short(value),
                          expected="a number, or a schedule such as ts.optim.cosine(3e-4, total=1000)",
                          hint="weights go to optimizer.init(weights)")
    return check_number(what, value)


def check_scalar(what: str, value: Tracer) -> Tracer:
    """A traced number."""
    if value.shape or value.dtype == dtypes.bool_:
        raise ConfigError("TS4013", f"{what} is no number", expected="a scalar",
                          got=f"{dtypes.name_of(value.dtype)}{list(value.shape)}",
                          hint="a schedule is a function of the step that gives one number")
    return value


def check_betas(what: str, value: Any) -> tuple[float, float]:
    """Two numbers in [0, 1)."""
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise ConfigError("TS4013", f"{what} is no pair", got=_short(value),
                          expected="two numbers, such as (0.9, 0.95)")
    name, of, whose = what.partition(" of ")
    return (check_number(f"{name}[0]{of}{whose}", value[0], below=1.0),
            check_number(f"{name}[1]{of}{whose}", value[1], below=1.0))


def check_options(what: str, given: Any, checks: Mapping[str, Callable[[str, Any], Any]]) -> dict[str, Any]:
    """A dictionary of options with checked values.

    Args:
        checks: by the option's name, what checks it: (what it is called in messages, the value).
    """
    if not isinstance(given, Mapping):
        raise ConfigError("TS4013", f"{what} is a {type(given).__name__}, not a dictionary",
                          got=_short(given),
                          expected="options by name, such as dict(lr=1e-4, weight_decay=0.0)")
    for name in given:
        if name not in checks:
            raise ConfigError("TS4013", f"{what} has an unknown option '{name}'", choices=list(checks),
                              hint=did_you_mean(str(name), list(checks), ALIASES))
    return {name: checks[name](f"{name} of {what}", value) for name, value in given.items()}


def check_float_type(what: str, value: Any) -> np.dtype | None:
    """A type of floats, or None."""
    dtype = None if value is None else dtypes.canonical(value)
    if dtype is not None and not dtypes.is_float(dtype):
        raise ConfigError("TS4013", f"{what} is {dtypes.name_of(dtype)}", expected="a type of floats",
                          choices=["ts.f32", "ts.bf16", "ts.f16", "ts.f64"])
    return dtype


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
