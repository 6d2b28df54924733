# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Calls of the user's functions: whether they take their arguments, and what these are called."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tessera._src.core import tree
from tessera._src.core.errors import ConfigError, TraceError, did_you_mean

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def refuse_misfit(name: str, parameters: inspect.Signature, args: Sequence[Any], kwargs: Mapping[str, Any]
                  ) -> None:
    """Raises unless a function of these parameters takes this number of arguments, with these names."""
    try:
        parameters.bind(*args, **kwargs)
    except TypeError as error:
        given = [f"{len(args)} by position"] if args else []
        given += [f"{key}=" for key in kwargs]
        known = list(parameters.parameters)
        shown = parameters.replace(
            parameters=[p.replace(annotation=p.empty) for p in parameters.parameters.values()],
            return_annotation=inspect.Signature.empty)
        unknown = [key for key in kwargs if key not in known]
        raise TraceError(
            "TS1025", f"{name}() cannot be called so: {error}", expected=f"{name}{shown}",
            got=", ".join(given) or "no arguments",
            hint=did_you_mean(unknown[0], known) if unknown else None) from None


def check_call(function: Callable, args: Sequence[Any], kwargs: Mapping[str, Any] | None = None) -> None:
    """Raises unless a function of the user takes the arguments that it is about to be called with.

    What a decorator hides is not looked into: it may pass on other arguments than it takes. ts.jit passes on
    what it takes, and the other transformations look themselves.
    """
    parameters = getattr(function, "call_parameters", None)
    if parameters is None:
        if "__signature__" in getattr(function, "__dict__", ()):
            return  # Decorators copy it.
        try:
            parameters = inspect.signature(function, follow_wrapped=False)
        except (TypeError, ValueError):  # Functions of other languages have none.
            return
    refuse_misfit(getattr(function, "__name__", type(function).__name__), parameters, args, kwargs or {})


def takes_any_number(function: Callable) -> bool:
    """Whether a function takes any number of arguments by position, as far as is known."""
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):
        return True
    return any(p.kind is p.VAR_POSITIONAL for p in parameters.values())


def positions_of_parameters(option: str, function: Callable, given: Any) -> list[int]:
    """Positions of parameters that an option names, one or several, from the front.

    Those of a function of *args, which may be any, are as they are given.
    """
    listed = [given] if isinstance(given, int) else given
    if not isinstance(listed, (list, tuple, range, set, frozenset)) or any(
            isinstance(n, bool) or not isinstance(n, int) for n in listed):
        raise ConfigError("TS4006", f"{option} is {given!r}",
                          expected="positions of parameters, as in (0, 2)")
    if takes_any_number(function):
        return list(listed)
    parameters = inspect.signature(function).parameters
    names = [name for name, p in parameters.items() if p.kind in _POSITIONAL]
    for number in listed:
        if not -len(names) <= number < len(names):
            raise ConfigError(
                "TS4006", f"{option} has {number}, but {getattr(function, '__name__', 'the function')} has "
                f"{len(names)} parameters", choices=[f"{i} ({name})" for i, name in enumerate(names)])
    return [number % len(names) for number in listed]


def names_in_call(function: Callable, args: tuple, kwargs: dict | None = None) -> list[str]:
    """The names of the leaves of arguments that a function is called with; see names_of_leaves."""
    return names_of_leaves(function, tree.flatten((args, kwargs or {}))[1])


def names_of_leaves(function: Callable, structure: tree.TreeDef) -> list[str]:
    """The leaves of a call's (args, kwargs) by the names of a function's parameters, in messages.

    One of *args is "args.1", one of a parameter that is a tree "params.layer.w".
    """
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    names = [p.name for p in parameters if p.kind in _POSITIONAL]
    rest = next((p.name for p in parameters if p.kind is p.VAR_POSITIONAL), None)
    positional, named = structure.children
    result = []
    for i, child in enumerate(positional.children):
        if i < len(names):
            name = names[i]
        else:
            name = f"{i}" if rest is None else f"{rest}.{i - len(names)}"
        result += tree.paths(child, name)
    return [*result, *tree.paths(named)]
