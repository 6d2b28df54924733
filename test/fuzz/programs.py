# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Programs of the tessera dialect as data: printed, mapped to other types, shrunk.

A value knows how far its bits can be trusted, so that a difference between two evaluations is a
defect and never rounding: only values that everyone computes to the same bits are compared, rounded
to integers or narrowed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import IntEnum


class Trust(IntEnum):
    """How far two evaluations of a value agree; an op's result is at most as trusted as its operands."""

    SUMMED = 0  # Terms may be added in another order.
    LOCAL = 1  # The same arithmetic per element, wherever the element is.
    EXACT = 2  # The same bits whatever arithmetic is used.


@dataclass(frozen=True)
class Value:
    """A tensor of a program."""

    name: str
    shape: tuple[int, ...]
    element: str
    trust: Trust


@dataclass(frozen=True)
class Op:
    """One line: `text` with <i> for the name of operand i and <ti> for its type."""

    result: Value
    text: str
    operands: tuple[Value, ...]

    @property
    def mnemonic(self) -> str:
        return self.text.split()[0]


@dataclass
class Program:
    """A function of straight-line code."""

    name: str
    arguments: list[Value] = field(default_factory=list)
    ops: list[Op] = field(default_factory=list)
    results: list[Value] = field(default_factory=list)
    layouts: dict[str, str] = field(default_factory=dict)

    def type_of(self, value: Value) -> str:
        sizes = "".join(f"{n}x" for n in value.shape)
        layout = self.layouts.get(value.name)
        return f"!tessera.mesh_tensor<{sizes}{value.element}, @mesh{', ' + layout if layout else ''}>"

    def text(self) -> str:
        """The function in MLIR."""
        arguments = ", ".join(f"{a.name}: {self.type_of(a)}" for a in self.arguments)
        types = ", ".join(self.type_of(r) for r in self.results)
        lines = [f"func.func @{self.name}({arguments}) -> ({types}) {{"]
        for op in self.ops:
            text = op.text
            for i, value in enumerate(op.operands):
                text = text.replace(f"<{i}>", value.name).replace(f"<t{i}>", self.type_of(value))
            lines.append(f"  {op.result.name} = tessera.{text} -> {self.type_of(op.result)}"
                         if not text.endswith(":") else
                         f"  {op.result.name} = tessera.{text} {self.type_of(op.result)}")
        names = ", ".join(r.name for r in self.results)
        return "\n".join([*lines, f"  return {names} : {types}", "}"])

    def mapped(self, element: Callable[[str], str], text: Callable[[str], str]) -> "Program":
        """The program with other element types, which ops' texts name too."""
        def value(v: Value) -> Value:
            return replace(v, element=element(v.element))

        return replace(
            self,
            arguments=[value(v) for v in self.arguments],
            ops=[Op(value(op.result), text(op.text), tuple(map(value, op.operands))) for op in self.ops],
            results=[value(v) for v in self.results],
        )

    def without_dead_code(self) -> "Program":
        """The same results; ops and arguments that nothing uses are gone."""
        live = {r.name for r in self.results}
        ops = []
        for op in reversed(self.ops):
            if op.result.name in live:
                live.update(v.name for v in op.operands)
                ops.append(op)
        arguments = [a for a in self.arguments if a.name in live]
        return replace(self, arguments=arguments, ops=ops[::-1])


def shrink(program: Program, fails: Callable[[Program], bool]) -> Program:
    """A smaller program that still fails: one result, few ops, few annotations."""

    def candidates(p: Program):
        if len(p.results) > 1:
            yield from (replace(p, results=[r]) for r in p.results)
        for i in reversed(range(len(p.ops))):
            # Results that lead here, not further.
            if p.ops[i].result != p.results[0]:
                yield replace(p, results=[p.ops[i].result], ops=p.ops[: i + 1])
        for i, op in enumerate(p.ops):
            # The op's value becomes an argument.
            given = replace(op.result, name=f"%b{op.result.name[1:]}")
            if op.result in p.results:
                continue
            rest = [replace(o, operands=tuple(given if v == op.result else v for v in o.operands))
                    for o in p.ops[:i] + p.ops[i + 1 :]]  # fmt: skip
            yield replace(p, arguments=[*p.arguments, given], ops=rest)
        for name in p.layouts:
            yield replace(p, layouts={k: v for k, v in p.layouts.items() if k != name})

    changed = True
    while changed:
        changed = False
        for candidate in map(Program.without_dead_code, candidates(program)):
            if fails(candidate):
                program, changed = candidate, True
                break
    return program
