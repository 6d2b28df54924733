# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The program being traced, as MLIR text of the stage `tessera`."""

from __future__ import annotations

import contextlib
import dataclasses
import re
import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from tessera._src.core import dtypes, source
from tessera._src.core.dtypes import MLIR_NAMES
from tessera._src.core.errors import TraceError
from tessera._src.meshes.mesh import Mesh

_state = threading.local()
# A host array of more bytes is a captured argument of the program instead of a constant in its text.
MAX_CONSTANT_BYTES = 1 << 12
# The same in functions with derivative rules, whose arguments are those of the rule.
MAX_EMBEDDED_BYTES = 1 << 20


def type_text(shape: Sequence[int], dtype: np.dtype, layout: str | None = None) -> str:
    """The mesh tensor type; `layout` as in "[{dp}, {?}]"."""
    dims = "".join(f"{d}x" for d in shape)
    tail = f", {layout}" if layout is not None else ""
    return f"!tessera.mesh_tensor<{dims}{MLIR_NAMES[dtype]}, @mesh{tail}>"


def quoted(text: str) -> str:
    """A string literal of MLIR."""
    # Most are names, and each argument has one.
    if text.isascii() and text.isprintable() and '"' not in text and "\\" not in text:
        return f'"{text}"'
    return '"' + _ESCAPED.sub(_escape, text) + '"'


# What a literal cannot hold: quotes, control characters, and lone surrogates, by which Python represents
# bytes of file names that are not UTF-8.
_ESCAPED = re.compile(r'["\\\x00-\x1f\x7f\ud800-\udfff]')


def _escape(found: re.Match) -> str:
    return "".join(f"\\{byte:02X}" for byte in found[0].encode("utf-8", "replace"))


def scalar_text(value: Any, dtype: np.dtype) -> str:
    """An element as an MLIR literal that reads back to the same bits."""
    if dtype == dtypes.bool_:
        return "true" if value else "false"
    if dtypes.is_int(dtype):
        return str(int(value))
    element = np.asarray(value).astype(dtype)
    text = repr(float(element))
    if np.isfinite(float(element)):
        mantissa, _, exponent = text.partition("e")
        mantissa += "" if "." in mantissa else ".0"
        return mantissa + ("e" + exponent if exponent else "")
    bits = element.view(f"u{dtype.itemsize}")
    return f"0x{int(bits):0{2 * dtype.itemsize}X}"


def dense_text(value: np.ndarray) -> str:
    """A `dense<...>` attribute without its type."""
    if value.size == 0:
        return "dense<>"
    flat = np.ascontiguousarray(value).reshape(-1)
    first = flat[:1]
    if value.size == 1 or (flat.view(np.uint8).reshape(value.size, -1)
                           == first.view(np.uint8)).all():
        return f"dense<{scalar_text(first[0], value.dtype)}>"
    if value.dtype == dtypes.bool_:
        raw = np.packbits(flat, bitorder="little").tobytes()
    else:
        raw = flat.tobytes()
    return f'dense<"0x{raw.hex().upper()}">'


def location_text(place: source.Location | None) -> str:
    """As MLIR writes it."""
    if place is None:
        return "loc(unknown)"
    return f"loc({quoted(place.file)}:{place.line}:{place.column})"


class Block:
    """The ops of one region: of the function, or of a body of control flow nested in it.

    Values of a block are in scope while it is open, also in blocks nested in it.
    """

    __slots__ = ("parent", "title", "indent", "lines", "arguments", "constants", "is_open")

    def __init__(self, parent: Block | None = None, title: str = ""):
        self.parent, self.title = parent, title  # What it is in messages: "the body of ts.scan".
        self.indent: str = "    " if parent is None else parent.indent + "  "
        self.lines: list[str] = []
        self.arguments: list[str] = []
        self.constants: dict[tuple, Any] = {}
        self.is_open = True

    def mark(self) -> tuple[int, dict[tuple, Any]]:
        """What `rewind` goes back to."""
        return len(self.lines), dict(self.constants)

    def rewind(self, mark: tuple[int, dict[tuple, Any]]) -> None:
        """Takes back the ops that were added since `mark`."""
        del self.lines[mark[0] :]
        self.constants = mark[1]

    def place_of(self, value: str) -> str | None:
        """Where the user computes a value of this block, as "file:line"; None for an argument."""
        head = value.partition("#")[0]
        starts = tuple(f"{self.indent}{head}{rest}" for rest in (" = ", ":"))
        at = next((i for i, line in enumerate(self.lines) if line.startswith(starts)), None)
        if at is None:
            return None
        line = self.lines[at]
        if line.endswith("{"):  # The place of an op with regions stands at its end.
            line = next(end for end in self.lines[at:] if end.startswith(self.indent + "} loc("))
        found = re.search(r'loc\("((?:[^"\\]|\\.)*)":(\d+):\d+\)$', line)
        return f"{found[1]}:{found[2]}" if found else None

    def constant(self, key: tuple) -> Any:
        """A constant that this block or one around it holds; else None."""
        block: Block | None = self
        while block is not None:
            found = block.constants.get(key)
            if found is not None:
                return found
            block = block.parent
        return None


@dataclasses.dataclass(frozen=True)
class FunctionText:
    """A function beside the entry, which `tessera.call` computes: its text and what it takes and gives."""

    name: str
    text: str
    arguments: tuple[str, ...]  # Types.
    results: tuple[str, ...]
    # That it calls itself. Not compared, which would visit each as often as it is called: their names are
    # in the text, and say what they are.
    uses: tuple[FunctionText, ...] = dataclasses.field(default=(), compare=False, repr=False)

    def link(self, uses: Iterable[FunctionText]) -> None:
        """Sets what it calls, where these are made after it: rules may call each other."""
        object.__setattr__(self, "uses", tuple(uses))


class ProgramText:
    """Collects one function's ops; values are numbered.

    A function that is traced while another one is, to be differentiated, has that as its parent. Values
    of a parent that it uses become arguments.
    """

    def __init__(self, mesh: Mesh, parent: ProgramText | None = None, title: str = ""):
        self.mesh, self.parent = mesh, parent
        self.max_constant_bytes: int = MAX_CONSTANT_BYTES if parent is None else parent.max_constant_bytes
        self.entry = self.block = Block(title=title)  # The function's, and that where ops are added now.
        # By name: functions that the ops here call, and all that the module needs for these.
        self.called: dict[str, FunctionText] = {}
        self.functions: dict[str, FunctionText] = {}
        # For values of the parent, by their names: the argument each is.
        self.from_parent: dict[str, tuple[Any, Any]] = {}
        # Whether the compiler makes another function of this one before what is around it is known.
        self.is_rewritten = False
        self.is_differentiated = False  # And that is a derivative.
        self.arguments: list[list[str]] = []  # Name and type, attributes, place of each.
        self.count = 0
        # Host arrays that the function uses from outside, which follow the arguments: the object that
        # was used, its elements at that time, and the traced value, by the object's identity.
        self.captured: dict[int, tuple[Any, Any, Any]] = {}
        self._types: dict[tuple, str] = {}  # By shape, element type and layout.
        self._locations: dict[source.Location | None, str] = {}
        self._last_place: source.Location | None = None
        self._last_text = ""

    def type_of(self, shape: tuple[int, ...], dtype: np.dtype, layout: str | None = None) -> str:
        """The type; its layout is open unless one is given."""
        key = (shape, dtype, layout)
        text = self._types.get(key)
        if text is None:
            text = self._types[key] = type_text(shape, dtype, layout)
        return text

    def location_text(self) -> str:
        """The user's place now, as MLIR writes it."""
        return self._text_of(source.user_location())

    def _text_of(self, place: source.Location | None) -> str:
        # Ops of a loop, and arguments, are at one place: comparing it with all that are known takes longer.
        if place is self._last_place and place is not None:
            return self._last_text
        text = self._locations.get(place)
        if text is None:
            text = self._locations[place] = location_text(place)
        self._last_place, self._last_text = place, text
        return text

    def add_argument(self, name: str, shape: tuple[int, ...], dtype: np.dtype,
                     layout: str | None, location: source.Location | None) -> tuple[str, str]:
        """A new argument's value and type."""
        value = f"%arg{len(self.arguments)}"
        text = self.type_of(shape, dtype, layout)
        self.arguments.append(
            [f"{value}: {text}", f"tessera.name = {quoted(name)}", self._text_of(location)])
        return value, text

    def tie_argument(self, argument: int, result: int) -> None:
        """Says that an argument's memory becomes that of a result."""
        self.arguments[argument][1] += f", tessera.tied = {result} : i64"

    def emit(self, text: str) -> str:
        """Adds `%n = <text>` at the user's place and returns %n."""
        value = f"%{self.count}"
        self.count += 1
        block = self.block
        block.lines.append(f"{block.indent}{value} = {text} {self._text_of(source.user_location())}")
        return value

    def emit_effect(self, text: str) -> None:
        """Adds an op without results at the user's place."""
        self.block.lines.append(f"{self.block.indent}{text} {self.location_text()}")

    def emit_several(self, text: str, count: int) -> list[str]:
        """Adds an op of `count` results at the user's place; returns their names."""
        value = self.new_name()
        results = {0: "", 1: f"{value} = "}.get(count, f"{value}:{count} = ")
        self.emit_effect(results + text)
        return [value] if count == 1 else [f"{value}#{i}" for i in range(count)]

    def new_name(self) -> str:
        """The name of a new value."""
        self.count += 1
        return f"%{self.count - 1}"

    @contextlib.contextmanager
    def nested(self, title: str) -> Iterator[Block]:
        """A new block, to which ops are added inside the `with`; emit_nested makes it a region."""
        with self.resumed(Block(self.block, title)) as block:
            yield block

    @contextlib.contextmanager
    def resumed(self, block: Block) -> Iterator[Block]:
        """A block to which ops are added inside the `with`, after those it has."""
        outer, self.block, block.is_open = self.block, block, True
        try:
            yield block
        finally:
            block.is_open = False
            self.block = outer

    def emit_nested(self, text: str, regions: Sequence[tuple[str, Block]], count: int) -> list[str]:
        """Adds an op with regions; returns the names of its `count` results.

        Args:
            text: the op up to its first region.
            regions: each region's block, after the text that stands before its brace.
        """
        block, name = self.block, self.new_name()
        results = {0: "", 1: f"{name} = "}.get(count, f"{name}:{count} = ")
        line = block.indent + results + text
        for before, region in regions:
            block.lines.append(f"{line}{before}{{")
            if region.arguments:
                block.lines.append(f"{block.indent}^bb0({', '.join(region.arguments)}):")
            block.lines += region.lines
            line = block.indent + "}"
        block.lines.append(f"{line} {self.location_text()}")
        return [name] if count == 1 else [f"{name}#{i}" for i in range(count)]

    @property
    def root(self) -> ProgramText:
        """The program that the caller sees."""
        return self if self.parent is None else self.parent.root

    def is_inside(self, other: ProgramText) -> bool:
        """Whether this function is traced while `other` is."""
        return self.parent is not None and (self.parent is other or self.parent.is_inside(other))

    def add_function(self, function: FunctionText) -> None:
        """Makes a function, and those it calls, part of the module."""
        self.called[function.name] = function
        self._need(function)

    def _need(self, function: FunctionText) -> None:
        if function.name not in self.functions:
            self.functions[function.name] = function
            for used in function.uses:
                self._need(used)

    def emit_call(self, function: FunctionText, operands: Sequence[tuple[str, str]], rules: str = ""
                  ) -> list[str]:
        """Adds a call of a function; returns the names of the results.

        Args:
            operands: names and types.
            rules: how it is differentiated, as the op's text says it.
        """
        self.add_function(function)
        names, types = ", ".join(name for name, _ in operands), ", ".join(kind for _, kind in operands)
        return self.emit_several(
            f"tessera.call @{function.name}({names}){rules} : ({types}) -> ({', '.join(function.results)})",
            len(function.results))

    def function(self, name: str, results: Sequence[str], types: Sequence[str],
                 location: source.Location | None) -> FunctionText:
        """This function as one that others call."""
        place = location_text(location)
        returned = f"return {', '.join(results)} : {', '.join(types)}" if results else "return"
        arguments = ", ".join(f"{value} {where}" for value, _, where in self.arguments)
        text = "\n".join([f"  func.func private @{name}({arguments}) -> ({', '.join(types)}) {{",
                          *self.entry.lines, f"    {returned} {place}", f"  }} {place}", ""])
        taken = tuple(value.partition(": ")[2] for value, _, _ in self.arguments)
        return FunctionText(name, text, taken, tuple(types), tuple(self.called.values()))

    def module(self, results: list[str], types: list[str],
               location: source.Location | None, structure: str = "") -> str:
        """The whole module; `results` are what @main, written at `location`, returns.

        Args:
            structure: of the results, as an artefact holds it; "" if nobody asks.
        """
        attributes = f" attributes {{tessera.structure = {quoted(structure)}}}" if structure else ""
        returned = f"return {', '.join(results)} : {', '.join(types)}" if results else "return"
        returned += " " + location_text(location)
        signature = ",\n      ".join([f"{value} {{{noted}}} {place}"
                                     for value, noted, place in self.arguments])
        return "\n".join(
            [
                "module {",
                f"  dist.mesh @mesh {self.mesh.mlir()}",
                f"  func.func @main({signature})",
                f"      -> ({', '.join(types)}){attributes} {{",
                *self.block.lines,
                f"    {returned}",
                "  }",
                *[function.text for function in self.functions.values()],
                "}",
                "",
            ]
        )


def current() -> ProgramText:
    """The program of the function being traced by this thread."""
    program = innermost()
    if program is None:
        raise TraceError(
            "TS1007",
            f"{source.api_name()} works on traced values only",
            hint="call it inside a function decorated with ts.jit, or use NumPy on host values",
        )
    return program


def innermost() -> ProgramText | None:
    """As `current`, but None if this thread traces no function."""
    stack = getattr(_state, "stack", None)
    return stack[-1] if stack else None


def is_tracing() -> bool:
    """Whether this thread is tracing a function."""
    return innermost() is not None


class tracing:  # noqa: N801 (a context manager used like a function)
    """Makes `program` the current one of this thread."""

    def __init__(self, program: ProgramText):
        self.program = program

    def __enter__(self) -> ProgramText:
        _state.__dict__.setdefault("stack", []).append(self.program)
        return self.program

    def __exit__(self, *_: Any) -> None:
        _state.stack.pop()
