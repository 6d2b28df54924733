#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Checks the naming law of passes and ops.

A pass `InsertReshards` of a Passes.td has the file InsertReshards.cpp (or a
folder of that name, for conversions), the class InsertReshardsPass, a flag that
ends in `insert-reshards`, and a lit test insert-reshards*.mlir that uses the flag,
in the folder of test/lit that mirrors the source's. An op `all_gather`
is defined as AllGatherOp and stands in a lit test; one of `tessera` is known to
the interpreter, and to the forming of kernels unless it is about layouts,
control flow or effects alone.
Usage: check-names.py [SOURCE_ROOT]; prints each violation and exits 1 if any.
"""

import re
import sys
from pathlib import Path

PASS = re.compile(r'^def (\w+)\s*:\s*(?:InterfacePass|Pass)<\s*"([\w-]+)"', re.M)

# Families of ops that no kernel computes.
WITHOUT_KERNELS = ("LayoutOps.td", "ControlOps.td", "EffectOps.td", "CallOps.td")

OP = re.compile(r'^def \w+?_(\w+Op)\s*:\s*\w+<"(\w+)"', re.M)


def kebab(name: str) -> str:
    """InsertReshards -> insert-reshards; TileToCPU -> tile-to-cpu."""
    name = re.sub(r"([a-z0-9])([A-Z])", r"\1-\2", name)
    return re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1-\2", name).lower()


def check_pass(root: Path, td: Path, name: str, flag: str) -> list[str]:
    where = f"{td.relative_to(root)}: pass {name}"
    errors = []
    stem = name.removeprefix("Convert") if "Conversion" in td.parts else name
    if not re.search(rf"(^|-){re.escape(kebab(stem))}$", flag):
        errors.append(f"{where}: flag '{flag}' does not end in '{kebab(stem)}'")
    folder = td.parent
    candidates = list(folder.rglob(f"{stem}.cpp"))
    if not candidates:
        return [*errors, f"{where}: no file {stem}.cpp below {folder.relative_to(root)}"]
    if not any(f"{name}Pass" in c.read_text() for c in candidates):
        errors.append(f"{where}: {candidates[0].relative_to(root)} has no class {name}Pass")
    folder = root / "test/lit" / candidates[0].parent.relative_to(root)
    tests = list(folder.glob(f"{kebab(name)}*.mlir"))
    if not any(re.search(rf"{re.escape(flag)}\b", test.read_text()) for test in tests):
        errors.append(f"{where}: no {kebab(name)}*.mlir in {folder.relative_to(root)} uses '{flag}'")
    return errors


def read_all(folder: Path, pattern: str) -> str:
    return "\n".join(file.read_text() for file in sorted(folder.rglob(pattern)))


def check_ops(root: Path, lit_text: str) -> tuple[int, list[str]]:
    """The number of ops, and what is wrong with them."""
    count, errors = 0, []
    interpreter = read_all(root / "lib/Interpreter", "*.cpp")
    kernels = read_all(root / "lib/Conversion/TesseraToTile", "*.cpp")
    for td in sorted(root.glob("dialects/*/IR/*Ops.td")):
        dialect = td.parts[-3].lower()
        for name, mnemonic in OP.findall(td.read_text()):
            count += 1
            where = f"{td.relative_to(root)}: op {dialect}.{mnemonic}"
            expected = "".join(word.capitalize() for word in mnemonic.split("_")) + "Op"
            if name != expected:
                errors.append(f"{where}: is defined as {name}, not {expected}")
            if not re.search(rf"\b{dialect}\.{mnemonic}\b", lit_text):
                errors.append(f"{where}: is in no lit test")
            if dialect != "tessera":
                continue
            # Of the elementwise ops' table, the interpreter has an enumerator.
            known = rf"\b{name}\b|\b(Unary|Binary)::{name.removesuffix('Op')}\b"
            if not re.search(known, interpreter):
                errors.append(f"{where}: lib/Interpreter does not know {name}")
            if td.name not in WITHOUT_KERNELS and not re.search(rf"\b{name}\b", kernels):
                errors.append(f"{where}: lib/Conversion/TesseraToTile does not know {name}")
    return count, errors


def main() -> int:
    root = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).resolve().parents[2])
    lit_text = read_all(root / "test/lit", "*.mlir")
    ops, errors = check_ops(root, lit_text)
    count = 0
    for td in sorted(root.glob("dialects/*/Transforms/Passes.td")) + sorted(
        root.glob("lib/**/Passes.td")
    ):
        for name, flag in PASS.findall(td.read_text()):
            count += 1
            errors += check_pass(root, td, name, flag)
    print("\n".join(errors) or f"names: {count} passes and {ops} ops ok")
    return bool(errors)


if __name__ == "__main__":
    sys.exit(main())
