# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Programs of the tessera dialect as data: printed, mapped to other types, shrunk.

A value knows how far its bits can be trusted, so that a difference between two evaluations is a
defect and never rounding: only values that everyone computes to the same bits are compared, rounded
to integers or narrowed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum

INTEGERS = ("i32", "i64")
UNSIGNED = "ui32"


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

    @property
    def size(self) -> int:
        return math.prod(self.shape)


@dataclass(frozen=True)
class Block:
    """A region's only block."""

    arguments: tuple[Value, ...]
    ops: tuple[Op, ...]
    yields: tuple[Value, ...]


@dataclass(frozen=True)
class Op:
    """One op: `text` with <i> for the name of operand i, <ti> for its type and <ri> for region i."""

    results: tuple[Value, ...]
    text: str
    operands: tuple[Value, ...]
    regions: tuple[Block, ...] = ()

    @property
    def mnemonic(self) -> str:
        return self.text.split()[0]

    def walk(self) -> Iterator[Op]:
        """The op, then all ops inside of it."""
        yield self
        for block in self.regions:
            for op in block.ops:
                yield from op.walk()

    def uses(self) -> set[str]:
        """Names of the values that the op and its regions use, their own included."""
        used = {v.name for v in self.operands}
        for block in self.regions:
            used.update(v.name for v in block.yields)
            for op in block.ops:
                used |= op.uses()
        return used

    def mapped(self, value: Callable[[Value], Value], use: Callable[[Value], Value],
               text: Callable[[str], str] = lambda t: t) -> Op:  # fmt: skip
        """The op with other values where they are defined and where they are used."""
        def block(b: Block) -> Block:
            return Block(tuple(map(value, b.arguments)), tuple(op.mapped(value, use, text) for op in b.ops),
                         tuple(map(use, b.yields)))

        return Op(tuple(map(value, self.results)), text(self.text), tuple(map(use, self.operands)),
                  tuple(map(block, self.regions)))

    def where_used(self, use: Callable[[Value], Value]) -> Op:
        return self.mapped(lambda v: v, use)


@dataclass
class Program:
    """A function whose ops may have regions."""

    name: str
    arguments: list[Value] = field(default_factory=list)
    ops: list[Op] = field(default_factory=list)
    results: list[Value] = field(default_factory=list)
    layouts: dict[str, str] = field(default_factory=dict)
    ties: dict[str, str] = field(default_factory=dict)  # Names of donated arguments and of their results.

    def walk(self) -> Iterator[Op]:
        for op in self.ops:
            yield from op.walk()

    def type_of(self, value: Value) -> str:
        sizes = "".join(f"{n}x" for n in value.shape)
        layout = self.layouts.get(value.name)
        return f"!tessera.mesh_tensor<{sizes}{value.element}, @mesh{', ' + layout if layout else ''}>"

    def types_of(self, values: Sequence[Value]) -> str:
        return ", ".join(map(self.type_of, values))

    def op_text(self, op: Op, indent: str) -> str:
        text = op.text
        for i, value in enumerate(op.operands):
            text = text.replace(f"<{i}>", value.name).replace(f"<t{i}>", self.type_of(value))
        names = ", ".join(v.name for v in op.results)
        text = f"{indent}{names}{' = ' if names else ''}tessera.{text}"
        if op.regions or "<results>" in text or not op.results:
            text = text.replace("<results>", f"({self.types_of(op.results)})")
            for i, block in enumerate(op.regions):
                text = text.replace(f"<r{i}>", self.block_text(block, indent))
            return text
        types = self.types_of(op.results)
        return text if not types else f"{text} {types}" if text.endswith(":") else f"{text} -> {types}"

    def block_text(self, block: Block, indent: str) -> str:
        arguments = ", ".join(f"{a.name}: {self.type_of(a)}" for a in block.arguments)
        names = ", ".join(v.name for v in block.yields)
        types = f" : {self.types_of(block.yields)}" if block.yields else ""
        return "\n".join(["{", *([f"{indent}^bb0({arguments}):"] if arguments else []),
                          *(self.op_text(op, indent + "  ") for op in block.ops),
                          f"{indent}  tessera.yield {names}{types}", f"{indent}}}"])  # fmt: skip

    def text(self) -> str:
        """The function in MLIR."""
        tied = self.tied_results()
        arguments = ", ".join(
            f"{a.name}: {self.type_of(a)}" + (f" {{tessera.tied = {tied[i]} : i64}}" if i in tied else "")
            for i, a in enumerate(self.arguments))
        types = self.types_of(self.results)
        names = ", ".join(r.name for r in self.results)
        return "\n".join([f"func.func @{self.name}({arguments}) -> ({types}) {{",
                          *(self.op_text(op, "  ") for op in self.ops),
                          f"  return {names} : {types}", "}"])  # fmt: skip

    def tied_results(self) -> dict[int, int]:
        """Numbers of donated arguments and of the results that they are tied to."""
        names = [r.name for r in self.results]
        return {i: names.index(self.ties[a.name]) for i, a in enumerate(self.arguments)
                if self.ties.get(a.name) in names}  # fmt: skip

    def mapped(self, element: Callable[[str], str], text: Callable[[str], str]) -> Program:
        """The program with other element types, which ops' texts name too."""
        def value(v: Value) -> Value:
            return replace(v, element=element(v.element))

        return replace(
            self,
            arguments=[value(v) for v in self.arguments],
            ops=[op.mapped(value, value, text) for op in self.ops],
            results=[value(v) for v in self.results],
        )

    def without_dead_code(self) -> Program:
        """The same results and effects; ops and arguments that nothing uses are gone."""
        live = {r.name for r in self.results}
        ops = needed_ops(self.ops, live)
        return replace(self, arguments=[a for a in self.arguments if a.name in live], ops=ops)

    def without_dead_arguments(self) -> Program:
        """The same ops; arguments that nothing uses are gone."""
        used = {r.name for r in self.results}.union(*(op.uses() for op in self.ops))
        return replace(self, arguments=[a for a in self.arguments if a.name in used])


def needed_ops(ops: Sequence[Op], live: set[str]) -> list[Op]:
    """The ops that values named in `live` need, or that have an effect; adds what these need to `live`."""
    kept = []
    for op in reversed(ops):
        # What gives no value has an effect.
        if op.results and not any(r.name in live for r in op.results):
            continue
        live.update(v.name for v in op.operands)
        blocks = []
        for block in reversed(op.regions):
            live.update(v.name for v in block.yields)
            blocks.append(replace(block, ops=tuple(needed_ops(block.ops, live))))
        kept.append(replace(op, regions=tuple(blocks[::-1])))
    return kept[::-1]


def replaced(ops: Sequence[Op], op: Op, by: Sequence[Op]) -> list[Op]:
    """`ops` with others instead of one of them, or of those inside of them."""
    result: list[Op] = []
    for o in ops:
        if o is op:
            result += by
        else:
            blocks = tuple(replace(b, ops=tuple(replaced(b.ops, op, by))) for b in o.regions)
            result.append(replace(o, regions=blocks))
    return result


def shrink(program: Program, fails: Callable[[Program], bool]) -> Program:
    """A smaller program that still fails: one result, few ops, few annotations."""
    # What fails may be an op that nothing uses.
    is_live = fails(program.without_dead_code())
    clean = Program.without_dead_code if is_live else Program.without_dead_arguments
    program = clean(program)
    changed = True
    while changed:
        changed = False
        for candidate in map(clean, _smaller(program)):
            # Nothing gives a program unsigned numbers.
            if all(a.element != UNSIGNED for a in candidate.arguments) and fails(candidate):
                program, changed = candidate, True
                break
    return program


def _smaller(p: Program) -> Iterator[Program]:
    """Programs with a little less in them, those with the least first."""
    if len(p.results) > 1:
        yield from (replace(p, results=[r]) for r in p.results)
    for i in reversed(range(len(p.ops))):
        # Results that lead here, not further. The last op gives the result if it did not before.
        leads_on = i + 1 < len(p.ops) or p.results[0] not in p.ops[i].results
        for result in p.ops[i].results if leads_on else ():
            if result != p.results[0] and result.element != UNSIGNED:
                yield replace(p, results=[result], ops=p.ops[: i + 1])
    for op in p.walk():
        if not any(v in p.results for v in op.results):
            yield _with_given(p, op, ())
    for op in p.ops:
        # A region's ops without the loop or the branch around them.
        for block in op.regions:
            given = [v for o in block.ops for v in o.results if v.element != UNSIGNED]
            if not any(v in p.results for v in op.results):
                given = p.results
            if block.ops and given:
                yield replace(_with_given(p, op, block.ops, block.arguments), results=given[-1:])
    for op in p.walk():
        # A region gives back what it was given.
        for block in op.regions:
            for i, value in enumerate(block.yields):
                like = (value.shape, value.element)
                same = [a for a in block.arguments if (a.shape, a.element) == like]
                for argument in same[:1] if value not in block.arguments else ():
                    yields = (*block.yields[:i], argument, *block.yields[i + 1 :])
                    yield replace(p, ops=[_with_yields(o, block, yields) for o in p.ops])
    for name in p.layouts:
        yield replace(p, layouts={k: v for k, v in p.layouts.items() if k != name})
    for name in p.ties:
        yield replace(p, ties={k: v for k, v in p.ties.items() if k != name})


def _with_given(p: Program, op: Op, ops: Sequence[Op], arguments: Sequence[Value] = ()) -> Program:
    """The program with `ops` instead of an op; its results and `arguments` become the program's."""
    given = {v.name: replace(v, name=f"%b{v.name[1:]}") for v in (*op.results, *arguments)}
    rest = [o.where_used(lambda v: given.get(v.name, v)) for o in replaced(p.ops, op, ops)]
    return replace(p, arguments=[*p.arguments, *given.values()], ops=rest)


def _with_yields(op: Op, block: Block, yields: tuple[Value, ...]) -> Op:
    def visit(b: Block) -> Block:
        return replace(b, yields=yields if b is block else b.yields,
                       ops=tuple(_with_yields(o, block, yields) for o in b.ops))  # fmt: skip

    return replace(op, regions=tuple(map(visit, op.regions)))
