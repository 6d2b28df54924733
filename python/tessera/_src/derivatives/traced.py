# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Functions traced to be differentiated, and the functions that the compiler makes of them."""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tessera._src.control_flow.bodies import Values, lifted
from tessera._src.core import dtypes, source, tree
from tessera._src.core.errors import TraceError
from tessera._src.programs import native
from tessera._src.tracing import program_text
from tessera._src.tracing.named_dims import with_names
from tessera._src.tracing.operands import convert, lift
from tessera._src.tracing.program_text import FunctionText, ProgramText, current
from tessera._src.tracing.tracer import Tracer

_TYPE = re.compile(r"!tessera\.mesh_tensor<((?:\d+x)*)(\w+), ")
_DTYPES = {name: dtype for dtype, name in dtypes.MLIR_NAMES.items()}


@dataclass(frozen=True)
class Traced:
    """A function of the leaves of some values, as a part of the program being traced.

    Its arguments are the leaves, then the values from outside that it uses.
    """

    function: FunctionText
    operands: list[Tracer]  # The leaves, and the values from outside.
    results: list[tuple[tuple[int, ...], np.dtype]]
    structure: tree.TreeDef  # Of the results.
    mesh: str


def trace(what: str, function: Callable, leaves: Sequence[Tracer], build: Callable,
          names: Sequence[str] = ()) -> Traced:
    """Traces `function` by itself; `build(tracers)` gives its positional and named arguments.

    Args:
        what: the function that asks for it, in messages: "ts.grad".
        names: of the leaves, for messages.
    """
    outer = current()
    leaves = [lift(leaf) for leaf in leaves]
    place = source.user_location()
    program = ProgramText(outer.mesh, outer, _title(what, place))
    inside = []
    with program_text.tracing(program):
        for i, leaf in enumerate(leaves):
            name = names[i] if i < len(names) else f"{i}"
            value, text = program.add_argument(name, leaf.shape, leaf.dtype, None, place)
            tracer = Tracer(program, value, text, leaf.shape, leaf.dtype)
            tracer.is_weak = leaf.is_weak
            inside.append(with_names(tracer, leaf._dims, leaf._name or name))
        args, kwargs = build(inside)
        result = lifted(function(*args, **kwargs), f"the result of the function that {what} is given")
    program.entry.is_open = False
    values = [leaf.value for leaf in result.leaves]
    types = [leaf.type for leaf in result.leaves]
    text = program.function("f", values, types, place)
    name = re.sub(r"\W", "_", getattr(function, "__name__", "") or type(function).__name__)
    name = f"{name}.{_digest(text.text)}"
    named = FunctionText(name, text.text.replace("@f(", f"@{name}(", 1), text.arguments, text.results,
                         text.uses)
    outside = [value for value, _ in program.from_parent.values()]
    return Traced(named, [*leaves, *outside], [(leaf.shape, leaf.dtype) for leaf in result.leaves],
                  result.structure, outer.mesh.mlir())


def _title(what: str, place: source.Location | None) -> str:
    where = f" at {source.shown_paths(f'{place.file}:{place.line}')}" if place else ""
    return f"the function of {what}{where}"


def _digest(text: str) -> str:
    """Names a text: equal functions are one function of the module."""
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()


@dataclass(frozen=True)
class Derivative:
    """What the compiler made of a traced function."""

    functions: tuple[FunctionText, ...]
    residuals: tuple[tuple[str, int], ...]  # Where the second function's first arguments are from.


def differentiate(traced: Traced, mode: str, wanted: Sequence[int]) -> Derivative:
    """The derivative by the arguments numbered `wanted`; see tesseraDifferentiate for the modes."""
    return _differentiate(traced.function, traced.mesh, mode, tuple(wanted))


@functools.lru_cache(maxsize=256)
def _differentiate(function: FunctionText, mesh: str, mode: str, wanted: tuple[int, ...]) -> Derivative:
    known: dict[str, FunctionText] = {}

    def collect(used: FunctionText) -> None:
        if known.setdefault(used.name, used) is used:
            for inner in used.uses:
                collect(inner)

    collect(function)
    text = "\n".join(["module {", f"  dist.mesh @mesh {mesh}", *[f.text for f in known.values()], "}"])
    prefix = f"{function.name}.{_digest(repr((mode, wanted)))}"
    texts, report = native.differentiate(text, function.name, mode, prefix, wanted)
    functions = []
    for made, described in zip(texts, report["functions"]):
        uses = tuple(f for f in known.values() if f"@{f.name}" in made)
        functions.append(FunctionText(described["name"], made, tuple(described["arguments"]),
                                      tuple(described["results"]), uses))
    return Derivative(tuple(functions), tuple((kind, i) for kind, i in report.get("residuals", [])))


def call(function: FunctionText, operands: Sequence[Tracer], rules: str = "") -> list[Tracer]:
    """The results of a function of the module, as values of the program being traced."""
    program = current()
    operands = [lift(operand) for operand in operands]
    names = program.emit_call(function, [(operand.value, operand.type) for operand in operands], rules)
    return [Tracer(program, name, text, *shape_and_dtype(text))
            for name, text in zip(names, function.results)]


@functools.lru_cache(maxsize=4096)
def shape_and_dtype(text: str) -> tuple[tuple[int, ...], np.dtype]:
    """What a type's text says."""
    found = _TYPE.match(text)
    assert found, text
    return tuple(int(size) for size in found[1].split("x") if size), _DTYPES[found[2]]


def check_floats(what: str, leaves: Sequence[Tracer], names: Sequence[str]) -> None:
    """Raises for a value that has no derivatives."""
    for leaf, name in zip(leaves, names):
        if not dtypes.is_float(leaf.dtype):
            raise TraceError(
                "TS1040", f"{what} cannot differentiate by argument '{name}', which is "
                f"{dtypes.name_of(leaf.dtype)}{list(leaf.shape)}", expected="elements of a float type",
                hint="convert it with .astype(ts.f32), or choose other arguments with argnums")


def fitted(what: str, role: str, given: Any, wanted: Sequence[tuple[tuple[int, ...], np.dtype]],
           structure: tree.TreeDef) -> list[Tracer]:
    """A tree of tangents or cotangents as values of the shapes and types of what they belong to."""
    values: Values = lifted(given, f"the {role} given to {what}")
    if values.structure != structure:
        raise TraceError("TS1041", f"the {role} given to {what} has another structure than the values",
                         expected=tree.describe(structure), got=tree.describe(values.structure))
    result = []
    for leaf, path, (shape, dtype) in zip(values.leaves, tree.paths(structure), wanted):
        where = f" at '{path}'" if path else ""
        if leaf.is_weak and dtypes.is_float(dtype):
            leaf = convert(leaf, dtype)
        if leaf.shape != shape or leaf.dtype != dtype:
            raise TraceError(
                "TS1041", f"the {role} given to {what}{where} does not fit the value",
                expected=f"{dtypes.name_of(dtype)}{list(shape)}",
                got=f"{dtypes.name_of(leaf.dtype)}{list(leaf.shape)}")
        result.append(leaf)
    return result


