# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Functions traced by themselves, for the compiler to make others of them, and calls of these."""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tessera._src.control_flow.bodies import lifted
from tessera._src.core import dtypes, source, tree
from tessera._src.tracing import program_text
from tessera._src.tracing.named_dims import with_names
from tessera._src.tracing.operands import as_weak, lift
from tessera._src.tracing.program_text import FunctionText, ProgramText, current
from tessera._src.tracing.tracer import Tracer

_TYPE = re.compile(r"!tessera\.mesh_tensor<((?:\d+x)*)(\w+), ")
_DTYPES = {name: dtype for dtype, name in dtypes.MLIR_NAMES.items()}
_NAME = re.compile(r"@([\w.$]+)")


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
    weak: tuple[bool, ...] = ()  # Which results are made of Python numbers alone.

    def marked(self, results: Sequence[Tracer]) -> list[Tracer]:
        """Values that a call gives for the results, as weak as these."""
        return [as_weak(value) if weak else value for value, weak in zip(results, self.weak)]


def trace(what: str, function: Callable, leaves: Sequence[Tracer], build: Callable,
          names: Sequence[str] = (), lead: int = 0,
          embeds: bool = False, rewrites: bool = True, derives: bool = True) -> Traced:
    """Traces `function` by itself; `build(tracers)` gives its positional and named arguments.

    Args:
        what: the function that asks for it, in messages: "ts.grad".
        names: of the leaves, for messages.
        lead: leading dimensions of the leaves that the function does not see.
        embeds: whether arrays of the host, up to 1 MiB, are constants instead of arguments.
        rewrites: whether the compiler is given it at once, to make another function of it.
        derives: whether that other function is a derivative.
    """
    outer = current()
    leaves = [lift(leaf) for leaf in leaves]
    place = source.user_location()
    program = ProgramText(outer.mesh, outer, _title(what, place))
    program.is_rewritten = rewrites
    program.is_differentiated = rewrites and derives
    if embeds:
        program.max_constant_bytes = program_text.MAX_EMBEDDED_BYTES
    inside = []
    with program_text.tracing(program):
        for i, leaf in enumerate(leaves):
            name = names[i] if i < len(names) else f"{i}"
            value, text = program.add_argument(name, leaf.shape[lead:], leaf.dtype, None, place)
            tracer = Tracer(program, value, text, leaf.shape[lead:], leaf.dtype)
            tracer.is_weak = leaf.is_weak
            inside.append(with_names(tracer, leaf._dims[lead:], leaf._name or name))
        args, kwargs = build(inside)
        result = lifted(function(*args, **kwargs), f"the result of the function that {what} is given")
    program.entry.is_open = False
    values = [leaf.value for leaf in result.leaves]
    types = [leaf.type for leaf in result.leaves]
    name = re.sub(r"\W", "_", getattr(function, "__name__", "") or type(function).__name__,
                  flags=re.ASCII)
    text = program.function("f", values, types, place)
    return Traced(
        named(name, text),
        [*leaves, *[outside for outside, _ in program.from_parent.values()]],
        [(leaf.shape, leaf.dtype) for leaf in result.leaves], result.structure, outer.mesh.mlir(),
        tuple(leaf.is_weak for leaf in result.leaves))


def _title(what: str, place: source.Location | None) -> str:
    where = f" at {source.shown_paths(f'{place.file}:{place.line}')}" if place else ""
    return f"the function of {what}{where}"


def digest(text: str) -> str:
    """Names a text: equal functions are one function of the module."""
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()


def named(name: str, function: FunctionText) -> FunctionText:
    """A function, which is called f in its text, by a name that says what it computes."""
    name = f"{name}.{digest(function.text)}"
    return FunctionText(name, function.text.replace("@f(", f"@{name}(", 1), function.arguments,
                        function.results, function.uses)


def with_callees(function: FunctionText) -> dict[str, FunctionText]:
    """A function and all that it calls, by name."""
    known: dict[str, FunctionText] = {}

    def collect(used: FunctionText) -> None:
        if used.name not in known:
            known[used.name] = used
            for inner in used.uses:
                collect(inner)

    collect(function)
    return known


def module_text(functions: Iterable[FunctionText], mesh: str) -> str:
    """A module of the functions, as the compiler takes it."""
    return "\n".join(["module {", f"  dist.mesh @mesh {mesh}", *[f.text for f in functions], "}"])


def described(texts: Sequence[str], report: dict, known: Mapping[str, FunctionText]) -> list[FunctionText]:
    """Functions that the compiler made, which call each other and those that are known."""
    made = {entry["name"]: FunctionText(entry["name"], text, tuple(entry["arguments"]),
                                        tuple(entry["results"]))
            for entry, text in zip(report["functions"], texts)}
    every = {**known, **made}
    for function in made.values():
        function.link(every[used] for used in dict.fromkeys(_NAME.findall(function.text)) if used in every)
    return list(made.values())


def rewritten(known: Mapping[str, FunctionText], texts: Mapping[str, str], suffix: str,
              filled: Mapping[str, str] | None = None) -> dict[str, FunctionText]:
    """Functions with other texts, and all that call them, by names that end in `suffix`.

    Args:
        known: functions with all that they call, by name.
        texts: the other texts, by name.
        filled: functions without a body, and those that stand in for them.

    Returns:
        Those that differ, by their old names.
    """
    filled = filled or {}
    callers: dict[str, list[str]] = {}
    for function in known.values():
        for used in function.uses:
            callers.setdefault(used.name, []).append(function.name)
    changed: dict[str, None] = {}
    waiting = [*texts, *filled]
    while waiting:
        name = waiting.pop()
        if name not in changed:
            changed[name] = None
            waiting += callers.get(name, [])
    names = {name: name + suffix for name in changed}
    names |= {name: names.get(instead, instead) for name, instead in filled.items()}

    def renamed(text: str) -> str:
        return _NAME.sub(lambda found: f"@{names.get(found[1], found[1])}", text)

    made = {name: FunctionText(names[name], renamed(texts.get(name, known[name].text)),
                               known[name].arguments, known[name].results)
            for name in changed if name not in filled}
    for name, function in made.items():
        uses = [filled.get(used.name, used.name) for used in known[name].uses]
        function.link(made.get(used, known[used]) if used in known else made[used] for used in uses)
    return made


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
