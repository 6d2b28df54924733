# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The gradient of a value that is there already: ts.grad(loss, weights)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from tessera._src.callees import traced as callees
from tessera._src.control_flow import bodies
from tessera._src.core import dtypes, source, tree
from tessera._src.core.errors import TraceError
from tessera._src.derivatives import traced
from tessera._src.derivatives.traced import Traced
from tessera._src.ops import creation
from tessera._src.tracing.program_text import Block, FunctionText, ProgramText, current
from tessera._src.tracing.tracer import Tracer

# What has an effect must not happen again.
_EFFECT = re.compile(r"\s*tessera\.debug_(print|check) ")
_VALUE = re.compile(r"%\w+(?:#\d+)?")
_CALLEE = re.compile(r"@([\w.$]+)")


def gradient_of(loss: Tracer, weights: Any) -> Any:
    """The gradient of a scalar by values that it was computed from, a tree like these.

    The ops between them are those of the function being traced; the compiler merges what the backward
    pass needs of them with the first computation.
    """
    program = current()
    if weights is None:
        raise TraceError("TS1048", "ts.grad(loss), of a traced loss, needs the values to differentiate by",
                         expected="ts.grad(loss, weights), with what the loss was computed from",
                         hint="or give ts.grad a function: ts.grad(loss_of)(weights)")
    given = bodies.lifted(weights, "the second argument of ts.grad")
    paths = [f"weights.{path}" if path else "weights" for path in tree.paths(given.structure)]
    _check(program, loss, given.leaves, paths)
    ops = _ops(program.entry)
    behind = {leaf.value: _computed_from(ops, leaf.value) for leaf in given.leaves}
    for leaf, path in zip(given.leaves, paths):
        if leaf.value != loss.value and _head(loss.value) not in behind[leaf.value]:
            raise TraceError(
                "TS1048", f"ts.grad(loss, weights): loss is not computed from {path}", got=repr(leaf),
                expected="values that the loss was computed from, themselves and not copies of them",
                hint="name the value before it is used: y = x + 0.0; loss = f(y); ts.grad(loss, y). "
                     "Leave out what the loss does not depend on, whose gradient is ts.zeros_like(x)")
    found: dict[str, Tracer] = {}
    for leaves in _independent(behind, given.leaves):
        found.update(zip([leaf.value for leaf in leaves], _gradients(program, loss, leaves)))
    return tree.unflatten(given.structure, [found[leaf.value] for leaf in given.leaves])


def _gradients(program: ProgramText, loss: Tracer, leaves: list[Tracer]) -> list[Tracer]:
    """The gradients by values of which none is computed from another."""
    of, wanted = _function(program, loss, leaves)
    forward, backward = (derivative := traced.differentiate(of, "vjp", wanted, 1)).functions
    made = traced.call(forward, of.operands)
    sources = {"argument": of.operands, "result": made[:1], "kept": made[1:]}
    residuals = [sources[kind][number] for kind, number in derivative.residuals]
    return traced.call(backward, [*residuals, creation.ones((), loss.dtype)])


def _independent(behind: Mapping[str, set[str]], leaves: list[Tracer]) -> list[list[Tracer]]:
    """The distinct values in groups in which none is computed from another, as `behind` says.

    The function that is differentiated takes the values of a group as arguments, which cuts what they
    were computed from: a gradient through another of them would be lost.
    """
    distinct = list({leaf.value: leaf for leaf in leaves}.values())
    groups: list[list[Tracer]] = []
    for leaf in distinct:
        group = next((group for group in groups if not any(
            _head(a.value) in behind[b.value] for other in group
            for a, b in ((leaf, other), (other, leaf)))), None)
        if group is None:
            groups.append([leaf])
        else:
            group.append(leaf)
    return groups


def _head(value: str) -> str:
    """The op's name in a value's: "%5" of "%5#1"."""
    return value.partition("#")[0]


def _ops(block: Block) -> list[tuple[str, set[str]]]:
    """The ops of a block: the name of the results, and the values that it uses, also in its regions."""
    return [(_defined(text), set(_VALUE.findall("\n".join(text))))
            for text in _texts(block.lines, block.indent)]


def _texts(block: list[str], indent: str) -> list[list[str]]:
    """The lines of each op of a block."""
    texts, lines = [], iter(block)
    for line in lines:
        text = [line]
        if line.endswith("{"):
            while not text[-1].startswith(indent + "} loc("):
                text.append(next(lines))
        texts.append(text)
    return texts


def _defined(text: list[str]) -> str:
    """The name of the results of an op."""
    return text[0].split()[0].partition(":")[0]


def _needed(block: list[str], indent: str, result: str) -> list[str]:
    """The ops of a block that a value is computed by."""
    needed, kept = {_head(result)}, []
    for text in reversed(_texts(block, indent)):
        if _defined(text) in needed:
            kept.append(text)
            needed |= {_head(used) for used in _VALUE.findall("\n".join(text))}
    return [line for text in reversed(kept) for line in text]


def _computed_from(ops: list[tuple[str, set[str]]], value: str) -> set[str]:
    """The ops whose results depend on a value, by name."""
    behind: set[str] = set()
    for name, used in ops:
        if name != _head(value) and any(v == value or _head(v) in behind for v in used):
            behind.add(name)
    return behind


def _check(program: ProgramText, loss: Tracer, leaves: list[Tracer], paths: list[str]) -> None:
    if loss.shape or not dtypes.is_float(loss.dtype):
        raise TraceError("TS1043", "ts.grad differentiates one scalar of floats",
                         got=f"{dtypes.name_of(loss.dtype)}{list(loss.shape)}",
                         hint="sum or average it, such as x.sum()")
    traced.check_floats("ts.grad", leaves, paths,
                        hint="convert it with .astype(ts.f32) before the loss is computed, or leave it out")
    for value, name in [(loss, "loss"), *zip(leaves, paths)]:
        if value.program is not program or value.block is not program.entry or (
                program.block is not program.entry):
            raise TraceError(
                "TS1048", f"ts.grad(loss, weights): {name} is not a value of the function being "
                "traced itself", got=repr(value),
                expected="values that are computed outside of the bodies of ts.scan, ts.cond and the like",
                hint="give ts.grad a function: ts.grad(lambda w: ...)(weights)")


def _function(program: ProgramText, loss: Tracer, leaves: list[Tracer]) -> tuple[Traced, list[int]]:
    """What the function being traced has computed so far, as a function of its arguments and the leaves."""
    place = source.user_location()
    copy = ProgramText(program.mesh, program.parent)
    quiet = _quiet(program.called.values())
    for called in program.called.values():
        copy.add_function(quiet.get(called.name, called))
    copy.arguments = [list(argument) for argument in program.arguments]
    operands = []
    for value, _, _ in program.arguments:
        name, _, kind = value.partition(": ")
        tracer = Tracer(program, name, kind, *callees.shape_and_dtype(kind))
        tracer.block = program.entry
        operands.append(tracer)
    numbers = {operand.value: i for i, operand in enumerate(operands)}
    lines, wanted = list(program.entry.lines), []
    for leaf in leaves:
        if leaf.value in numbers:
            wanted.append(numbers[leaf.value])
            continue
        name, _ = copy.add_argument(leaf.value, leaf.shape, leaf.dtype, None, place)
        wanted.append(len(operands))
        operands.append(leaf)
        _replace(lines, program.entry, leaf.value, name)
    result = next((copy.arguments[wanted[i]][0].partition(": ")[0] for i, leaf in enumerate(leaves)
                   if leaf.value == loss.value), loss.value)
    copy.entry.lines = [_renamed(line, quiet) for line in _needed(lines, program.entry.indent, result)
                        if not _EFFECT.match(line)]
    function = callees.named("value", copy.function("f", [result], [loss.type], place))
    return Traced(function, operands, [((), loss.dtype)], tree.LEAF, program.mesh.mlir()), wanted


def _quiet(functions: Iterable[FunctionText]) -> dict[str, FunctionText]:
    """Functions that have effects, also in those that they call, without them; by the old names."""
    known: dict[str, FunctionText] = {}
    for function in functions:
        known |= callees.with_callees(function)
    texts = {}
    for name, function in known.items():
        lines = function.text.split("\n")
        if len(kept := [line for line in lines if not _EFFECT.match(line)]) < len(lines):
            texts[name] = "\n".join(kept)
    return callees.rewritten(known, texts, ".quiet")


def _renamed(text: str, functions: Mapping[str, FunctionText]) -> str:
    """A text that calls functions by their new names."""
    return _CALLEE.sub(lambda found: f"@{functions[found[1]].name}" if found[1] in functions else found[0],
                       text)


def _replace(lines: list[str], block: Block, value: str, name: str) -> None:
    """Makes what follows the definition of a value use another in its place."""
    head, _, number = value.partition("#")
    begins = (f"{block.indent}{head} = ", f"{block.indent}{head}:")
    at = next(i for i, line in enumerate(lines) if line.startswith(begins))
    if lines[at].endswith("{"):
        at = next(i for i in range(at, len(lines)) if lines[i].startswith(block.indent + "} loc("))
    found = re.compile(re.escape(head) + (f"#{number}" if number else "") + r"(?![\w#])")
    for i in range(at + 1, len(lines)):
        lines[i] = found.sub(name, lines[i])
