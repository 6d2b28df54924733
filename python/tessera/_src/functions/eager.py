# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Functions of traced values called outside of a trace: compiled by themselves, and run."""

from __future__ import annotations

import functools
import inspect
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from types import FunctionType
from typing import Any

import numpy as np

from tessera._src.core import static_values, tree
from tessera._src.core.calls import raise_misuse_of, short
from tessera._src.core.errors import TesseraError, without_internal_frames
from tessera._src.core.source import api_name
from tessera._src.functions.calling import names_of_leaves
from tessera._src.functions.jit import JittedFunction, jit
from tessera._src.meshes.mesh import SINGLE, Mesh, NamedSharding
from tessera._src.tracing.operands import is_scalar
from tessera._src.tracing.program_text import is_tracing
from tessera._src.tracing.tracer import Tracer

# Compiled functions that are kept, by the function, its other arguments and the mesh.
_MAX_KEPT = 512
_kept: OrderedDict[Any, JittedFunction] = OrderedDict()
# Calls whose numbers of NumPy are known while tracing, as sizes and axes are.
_with_known_numbers: set[Any] = set()


def eager(function: FunctionType) -> FunctionType:
    """`function`, which outside of a trace compiles itself for its arguments and runs."""

    check = getattr(function, "check_on_host", None)  # See lookups.checked_on_host.

    def call(*args: Any, **kwargs: Any) -> Any:
        if is_tracing():
            return function(*args, **kwargs)
        try:
            result = run(function, args, kwargs)  # First, as it refuses what does not fit the parameters.
            if check is not None:
                check(*args, **kwargs)
            return result
        except TesseraError as error:
            raise without_internal_frames(error) from None
        except Exception as error:
            given = [*map(short, args), *[f"{name}={short(value)}" for name, value in kwargs.items()]]
            raise_misuse_of(api_name(), error, ", ".join(given))

    # Messages take names of functions from the stack.
    call.__code__ = call.__code__.replace(co_name=function.__name__)
    return functools.update_wrapper(call, function)


def make_eager(module: dict[str, Any]) -> None:
    """Makes the functions of traced values in a public module callable outside of a trace."""
    for name, value in list(module.items()):
        if isinstance(value, FunctionType) and value.__module__.startswith("tessera._src.ops."):
            module[name] = _eager_of(value)


# What works without a trace.
_HOST = frozenset({"key", "check_heads", "result_type", "can_cast", "isdtype", "finfo", "iinfo", "print",
                   "check", "check_finite"})


@functools.lru_cache(maxsize=None)
def _eager_of(function: FunctionType) -> FunctionType:
    return function if function.__name__ in _HOST else eager(function)


def run(function: Callable, args: tuple, kwargs: Mapping[str, Any], body: Callable | None = None) -> Any:
    """The result of a function of traced values: arrays are its arguments, all else belongs to it.

    Args:
        body: a function of the user that it calls, and which messages give the place of. As what that
            reads from outside may change, it is traced each time.
    """
    leaves, structure = tree.flatten((args, dict(kwargs)))
    if any(isinstance(leaf, Tracer) for leaf in leaves):
        return function(*args, **kwargs)  # Refused: it is of a trace that has ended.
    at = tuple(i for i, leaf in enumerate(leaves) if _is_array(leaf))
    mesh = mesh_of([leaves[i] for i in at])
    if body is not None:
        call = _with_arrays(function, structure, leaves, at, body)
        call.__signature__ = inspect.signature(call)  # type: ignore[attr-defined]
        call.__wrapped__ = body  # type: ignore[attr-defined]
        call.__name__ = call.__qualname__ = getattr(body, "__name__", type(body).__name__)
        return jit(call, mesh=mesh)(*[leaves[i] for i in at])
    arrays = tuple(i for i in at if not isinstance(leaves[i], np.generic))
    if len(arrays) == len(at):
        return _run_kept(function, structure, leaves, at, mesh)
    # A number of NumPy is an argument, so that each value needs no program, or else a size or an axis.
    kind = (function, structure, at)
    if kind not in _with_known_numbers:
        try:
            return _run_kept(function, structure, leaves, at, mesh)
        except TesseraError:
            result = _run_kept(function, structure, leaves, arrays, mesh)
        if len(_with_known_numbers) >= _MAX_KEPT:
            _with_known_numbers.clear()
        _with_known_numbers.add(kind)
        return result
    return _run_kept(function, structure, leaves, arrays, mesh)


def _run_kept(function: Callable, structure: tree.TreeDef, leaves: list[Any], at: tuple[int, ...],
              mesh: Mesh | None) -> Any:
    """The result of a function of the library, compiled once for each kind of call."""
    rest = tuple([leaf for i, leaf in enumerate(leaves) if i not in at])
    try:
        key = (function, structure, at, static_values.key_of(rest), mesh)
        jitted = _kept.get(key)
    except TypeError:  # Something without a hash, which may change.
        key = jitted = None
    if jitted is None:
        jitted = jit(_with_arrays(function, structure, leaves, at), mesh=mesh)
        if key is not None:
            _kept[key] = jitted
            while len(_kept) > _MAX_KEPT:
                _kept.popitem(last=False)
    return jitted(*[leaves[i] for i in at])


def mesh_of(arrays: Sequence[Any]) -> Mesh | None:
    """The mesh of several devices that one of the arrays is on, or None."""
    layouts = [getattr(array, "sharding", None) for array in arrays]
    return next((layout.mesh for layout in layouts
                 if isinstance(layout, NamedSharding) and layout.mesh != SINGLE), None)


def _is_array(leaf: Any) -> bool:
    return hasattr(leaf, "__array__") and not is_scalar(leaf)


def _with_arrays(function: Callable, structure: tree.TreeDef, leaves: list[Any], at: tuple[int, ...],
                 body: Callable | None = None) -> Callable:
    """The function of its arrays alone, which are called as the parameters of `body`, or else its own."""
    kept = [None if i in at else leaf for i, leaf in enumerate(leaves)]

    def call(*arrays):
        given = list(kept)
        for i, array in zip(at, arrays):
            given[i] = array
        args, kwargs = tree.unflatten(structure, given)
        return function(*args, **kwargs)

    call.__name__ = call.__qualname__ = function.__name__
    names = names_of_leaves(function if body is None else body, structure)
    call.names_of_leaves = [names[i] for i in at]  # type: ignore[attr-defined]
    return call
