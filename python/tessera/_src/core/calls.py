# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Calls of the package's functions with arguments that they do not take."""

from __future__ import annotations

import inspect
import re
import sys
from types import TracebackType
from typing import Any, NoReturn

from tessera._src.core import source
from tessera._src.core.errors import TraceError, did_you_mean, without_internal_frames

_UNEXPECTED = re.compile(r"(\w+)\(\) got an unexpected keyword argument '(\w+)'")
# Names of other libraries.
_ALIASES = {"dim": "axis", "keepdim": "keepdims", "input": "x", "other": "y", "correction": "ddof",
            "unbiased": "ddof", "dims": "axis", "axes": "axis"}
_EAGER = source.internal_path("functions", "eager.py")  # Whose frames pass calls on.
_MAX_SHOWN = 60  # Characters of a value in a message.


def raise_misuse(error: Exception) -> None:
    """Raises an error at the user's line if `error` is Python's own and comes from a call of ours.

    An error that the user's code raises, or Python because of it, is none of them.
    """
    entries: list[TracebackType] = []
    trace = error.__traceback__
    while trace is not None:
        entries.append(trace)
        trace = trace.tb_next
    users = [i for i, entry in enumerate(entries) if source.is_users(entry.tb_frame.f_code.co_filename)]
    if not users or isinstance(error, (MemoryError, RecursionError)):
        return
    call = entries[users[-1]]
    inside = [entry for entry in entries[users[-1] + 1 :] if not entry.tb_frame.f_code.co_filename == _EAGER]
    if not inside:
        raise_unknown_parameter(error, source.traceback_location(call))
    elif source.is_internal(inside[0].tb_frame.f_code.co_filename):
        name = _api_name(inside[0])
        raise without_internal_frames(TraceError(
            "TS1045", f"{name} does not take these arguments: {type(error).__name__}: {error}",
            got=_arguments(inside[0]), location=source.traceback_location(call))) from error


def _modules() -> list[tuple[str, Any]]:
    public = sys.modules.get("tessera")
    return [] if public is None else [("ts", public), *(
        (f"ts.{name}", getattr(public, name)) for name in ("nn", "optim", "random", "tree"))]


def raise_misuse_of(name: str, error: Exception, given: str) -> NoReturn:
    """Raises an error at the user's line for an exception of a call of ours outside of a trace."""
    raise_unknown_parameter(error, None)
    raise TraceError("TS1045", f"{name} does not take these arguments: {type(error).__name__}: {error}",
                     got=given) from error


def raise_unknown_parameter(error: Exception, location: source.Location | None) -> None:
    """Raises an error that lists the parameters, if `error` says that a ts function lacks one."""
    found = _UNEXPECTED.match(str(error)) if type(error) is TypeError else None
    if found is None:
        return
    name, parameter = found.groups()
    for place, module in _modules():
        function = vars(module).get(name)
        if not inspect.isfunction(function):
            continue
        parameters = inspect.signature(function).parameters
        if parameter not in parameters:
            raise without_internal_frames(TraceError(
                "TS1025", f"{place}.{name} has no parameter '{parameter}'", choices=parameters,
                hint=did_you_mean(parameter, parameters, _ALIASES),
                location=location)) from None


def _api_name(entry: TracebackType) -> str:
    """The function of ours that the user called, as "ts.random.normal"."""
    name = entry.tb_frame.f_code.co_name
    for place, module in _modules():
        function = inspect.unwrap(vars(module).get(name, name)) if name in vars(module) else None
        if getattr(function, "__code__", None) is entry.tb_frame.f_code:
            return f"{place}.{name}"
    return f".{name}" if not name.startswith(("<", "_")) else "this operation"


def _arguments(entry: TracebackType) -> str | None:
    """The arguments of a call with their present values, as text."""
    code, values = entry.tb_frame.f_code, entry.tb_frame.f_locals
    count = code.co_argcount + code.co_kwonlyargcount
    names = code.co_varnames[: count + bool(code.co_flags & inspect.CO_VARARGS)]
    return ", ".join(f"{name}={short(values[name])}" for name in names if name in values) or None


def short(value: Any) -> str:
    shape = getattr(value, "shape", None)
    if shape and not hasattr(value, "block"):
        return f"an array of shape {tuple(shape)}"
    text = repr(value)
    return text if len(text) <= _MAX_SHOWN else text[: _MAX_SHOWN - 3] + "..."
