# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Bodies of control flow: functions traced into regions, and the values that leave them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tessera._src.core import dtypes, source, tree
from tessera._src.core.errors import TraceError
from tessera._src.functions.calling import names_in_call
from tessera._src.functions.eager import mesh_of
from tessera._src.functions.jit import jit
from tessera._src.tracing.operands import as_weak, check_in_scope, convert, is_scalar, lift, number_like
from tessera._src.tracing.program_text import Block, ProgramText, current
from tessera._src.tracing.tracer import Tracer


@dataclass(frozen=True)
class Values:
    """The leaves of a tree as traced values; those of Python numbers and of float64s of NumPy are weak."""

    leaves: list[Tracer]
    structure: tree.TreeDef

    @property
    def tree(self) -> Any:
        """The tree itself."""
        return tree.unflatten(self.structure, self.leaves)

    def __str__(self) -> str:
        return tree.describe(self.structure, map(_type_of, self.leaves))


def _type_of(value: Tracer) -> str:
    return f"{dtypes.name_of(value.dtype)}{list(value.shape)}"


def lifted(value: Any, what: str) -> Values:
    """A tree of traced values, arrays and numbers as values of the program."""
    leaves, structure = check_leaves(value, what)
    return Values([as_weak(lift(leaf)) if is_scalar(leaf) and not hasattr(leaf, "__array__") else lift(leaf)
                   for leaf in leaves], structure)


def check_leaves(value: Any, what: str) -> tuple[list[Any], tree.TreeDef]:
    """The leaves of a tree and its structure; raises for one that is no traced value, array or number."""
    leaves, structure = tree.flatten(value)
    for leaf, path in zip(leaves, tree.paths(structure)):
        is_array = isinstance(leaf, Tracer) or hasattr(leaf, "__array__")
        if not is_array and not is_scalar(leaf):
            where = f" at '{path}'" if path else ""
            raise TraceError("TS1023", f"{what}{where} is a {type(leaf).__name__}, not an array",
                             choices=["traced values", "arrays", "numbers", "trees of them", "None"])
        dtype = getattr(leaf, "dtype", None)
        if isinstance(dtype, np.dtype) and dtype.kind in "OSUVmMc":
            dtypes.canonical(dtype, what)
    return leaves, structure


def place_of(function: Callable) -> str:
    """A function in messages: its name and where it is defined."""
    name = getattr(function, "__name__", type(function).__name__)
    place = source.function_location(function)
    return f"{name} at {source.shown_paths(f'{place.file}:{place.line}')}" if place else name


def title_of(what: str) -> str:
    """A body in messages: "the body of ts.scan at model.py:12"."""
    place = source.caller_location()
    return f"{what} at {source.shown_paths(f'{place.file}:{place.line}')}" if place else what


def check_callable(what: str, role: str, function: Any, takes: Sequence[str] | None = None) -> None:
    """Raises unless a body is a function that takes arguments, which `takes` describes if they are known."""
    if not callable(function):
        raise TraceError("TS1035", f"{role} of {what} is a {type(function).__name__}, not a function",
                         got=repr(function)[:80])
    if takes is None:
        return
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # Functions of other languages have none.
        return
    try:
        signature.bind(*takes)
    except TypeError as error:
        raise TraceError(
            "TS1035", f"{role} of {what} is called with {len(takes)} "
            f"argument{'' if len(takes) == 1 else 's'}, which it does not take: {error}",
            expected=f"a function of ({', '.join(takes)})", got=f"{place_of(function)}, of {signature}",
        ) from None


def add_argument(program: ProgramText, block: Block, shape: tuple[int, ...], dtype: np.dtype) -> Tracer:
    """A new argument of the block to which ops are added now."""
    name, type_text = program.new_name(), program.type_of(shape, dtype)
    block.arguments.append(f"{name}: {type_text} {program.location_text()}")
    return Tracer(program, name, type_text, shape, dtype)


def end_block(program: ProgramText, block: Block, values: Sequence[Tracer]) -> None:
    """Ends the block to which ops are added now: it yields the values."""
    given = ""
    if values:
        given = f" {', '.join(v.value for v in values)} : {', '.join(v.type for v in values)}"
    block.lines.append(f"{block.indent}tessera.yield{given} {program.location_text()}")


def emit_control(text: str, regions: Sequence[tuple[str, Block]],
                 results: Sequence[tuple[tuple[int, ...], np.dtype]], operands: Sequence[Tracer]
                 ) -> list[Tracer]:
    """Adds an op with regions; `text` ends before the list of result types, which is appended."""
    program = current()
    for operand in operands:
        check_in_scope(operand, program)
    types = [program.type_of(shape, dtype) for shape, dtype in results]
    names = program.emit_nested(f"{text}({', '.join(types)}) ", regions, len(types))
    return [Tracer(program, name, type_text, shape, dtype)
            for name, type_text, (shape, dtype) in zip(names, types, results)]


def joined(values: Sequence[Tracer]) -> tuple[str, str]:
    """Names and types of operands, each separated by commas."""
    return ", ".join(v.value for v in values), ", ".join(v.type for v in values)


def takes_type(value: Tracer, dtype: np.dtype) -> bool:
    """Whether a weak value may become one of a type without losing its kind."""
    return value.is_weak and dtypes.weak_dtype(number_like(value), dtype) == dtype


def fitted(value: Tracer, dtype: np.dtype) -> Tracer:
    """The value, in another type if it is weak and takes it."""
    return convert(value, dtype) if value.dtype != dtype and takes_type(value, dtype) else value


def compiled(function: Callable, body: Callable, arguments: tuple,
             names: Sequence[str] | None = None) -> Any:
    """`function` of the arguments outside of a trace: compiled and run.

    Python numbers stay as they are; the mesh is that of the arrays. Messages give the place of `body`, and
    call the arguments as `names` has it for each leaf, or else as the parameters of `function`.
    """
    leaves, structure = tree.flatten(arguments)
    at = [i for i, leaf in enumerate(leaves) if not is_scalar(leaf)]
    mesh = mesh_of([leaves[i] for i in at])

    def call(*arrays):
        given = list(leaves)
        for i, array in zip(at, arrays):
            given[i] = array
        return function(*tree.unflatten(structure, given))

    call.__signature__ = inspect.signature(call)
    call.__wrapped__ = body
    call.__name__ = call.__qualname__ = getattr(body, "__name__", "body")
    named = names_in_call(function, arguments) if names is None else names
    call.names_of_leaves = [named[i] for i in at]
    return jit(call, mesh=mesh)(*[leaves[i] for i in at])
