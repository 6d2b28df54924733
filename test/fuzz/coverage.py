# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Which ops the random programs hold on which meshes, element types and layouts: a table of counts.

Meshes and element types are read from the programs, layouts from stage `reshards`, where every op has
the layouts that it is partitioned with.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from pathlib import Path

from random_program import Program

MESH_KINDS = ["1 axis", "2 axes", "3 axes", "unit"]
ELEMENTS = ["f64", "f32", "bf16", "f16", "i32", "i64", "ui32", "i1"]
LAYOUT_KINDS = ["split", "sub-axis", "uneven", "empty", "partial"]

# Ops that take partial operands, by their factor rules and without growing what is to be combined.
LINEAR = {"add", "attention", "barrier", "concatenate", "contract", "div", "dynamic_slice", "gather", "max",
          "min", "mul", "neg", "reduce", "reshape", "scan", "scatter", "select", "slice", "sub", "transpose",
          "yield"}  # fmt: skip
# Ops that are gone at stage `reshards`.
RESOLVED = {"constrain"}
# Ops whose operands are whole, whatever layouts their values had.
WHOLE = {"debug_check", "debug_print"}

_MESH = re.compile(r"dist\.mesh @mesh <\[(.*)\]>")
_OP = re.compile(r"^ *(?:%\S+ = )?tessera\.(\w+)", re.MULTILINE)
_TYPE = re.compile(r"<((?:\d+x)*)(\w+), @mesh(?:, \[((?:\{[^}]*\}(?:p\d+)?(?:, )?)*)\](, partial)?)?")


def mesh_of(text: str) -> dict[str, int]:
    """The axes of a module's mesh and their sizes."""
    axes = (axis.split(":")[0].split("=") for axis in _MESH.search(text)[1].split(",") if axis)
    return {name.strip(): int(size) for name, size in axes}


def mesh_kinds(mesh: dict[str, int]) -> list[str]:
    """An axis of one device counts as `unit` and not as an axis."""
    axes = sum(size > 1 for size in mesh.values())
    return ([MESH_KINDS[axes - 1]] if axes else []) + (["unit"] if 1 in mesh.values() else [])


def smallest_part(size: int, parts: list[int]) -> tuple[int, int]:
    """Elements of the smallest part of a dimension that is cut in turn, and the local size."""
    local, valid = size, {size}
    for count in parts:
        local = -(-local // count)
        valid = {max(0, min(local, n - i * local)) for n in valid for i in range(count)}
    return min(valid), local


def layout_kinds(line: str, mesh: dict[str, int]) -> set[str]:
    """What a line of IR says of the layouts of the op's operands and results."""
    kinds = set()
    for sizes, _, dims, partial in _TYPE.findall(line):
        if partial:
            kinds.add("partial")
        for size, dim in zip(sizes.split("x"), re.findall(r"\{([^}]*)\}", dims)):
            axes = [axis.strip() for axis in dim.split(",") if axis.strip()]
            parts = [int(axis.split(")")[1]) if ":" in axis else mesh[axis] for axis in axes]
            if all(count == 1 for count in parts):
                continue
            smallest, local = smallest_part(int(size), parts)
            kinds.add("split")
            kinds.update(["sub-axis"] * any(":" in axis for axis in axes))
            kinds.update(["uneven"] * (smallest < local) + ["empty"] * (smallest == 0))
    return kinds


def ops_of_dialect(folder: Path) -> set[str]:
    """Names of the ops that the .td files of a folder define, without calls and the like.

    Those are gone before a pass that the fuzzers run: fuzz-derivatives.py makes them.
    """
    pattern = re.compile(r'^def Tessera_\w+Op\s*:\s*\w+<"(\w+)"', re.MULTILINE)
    ops = {name for path in folder.glob("*.td") if path.name != "CallOps.td"
           for name in pattern.findall(path.read_text())}
    if not ops:
        raise SystemExit(f"no op definitions in {folder}")
    return ops


class Coverage:
    """Counts of ops by what they are used on."""

    def __init__(self, columns: list[str]) -> None:
        self.columns = columns
        self.counts: dict[str, Counter[str]] = defaultdict(Counter)

    def add_programs(self, head: str, programs: list[Program]) -> None:
        """Counts meshes and element types of operands and results."""
        kinds = mesh_kinds(mesh_of(head))
        for op in (op for program in programs for op in program.walk()):
            elements = {value.element for value in (*op.results, *op.operands)}
            self.counts[op.mnemonic].update([*kinds, *elements])
            for block in op.regions:
                self.counts["yield"].update([*kinds, *{value.element for value in block.yields}])

    def add_resharded(self, text: str) -> None:
        """Counts layouts of a module at stage `reshards`."""
        mesh = mesh_of(text)
        for match in _OP.finditer(text):
            line = text[match.start() : text.find("\n", match.start())]
            self.counts[match[1]].update(layout_kinds(line, mesh))

    def table(self) -> str:
        """A row per op, a column per kind; a dot where there is none."""
        width = max(map(len, self.counts))
        rows = [" " * width + "".join(f"{name:>9}" for name in self.columns)]
        for op, counts in sorted(self.counts.items()):
            rows.append(f"{op:{width}}" + "".join(f"{counts[name] or '.':>9}" for name in self.columns))
        return "\n".join(rows)

    def holes(self, ops: set[str]) -> list[str]:
        """`op: column, column` for each of `ops` that is not on every kind of mesh and of layout."""
        holes = []
        for op in sorted(ops):
            wanted = MESH_KINDS if op in RESOLVED | WHOLE else MESH_KINDS + LAYOUT_KINDS
            missing = [name for name in wanted if not self.counts[op][name]]
            if "partial" in missing and op not in LINEAR:
                missing.remove("partial")
            if missing:
                holes.append(f"{op}: {', '.join(missing)}")
        return holes
