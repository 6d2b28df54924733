#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Checks that every op's documentation has an example, and that it parses and prints.

The examples are the ```mlir blocks of the op descriptions in dialects/*/IR. They
are snippets: a value they do not define is given by an op `test.value`, and a
mesh they do not declare is `dist.mesh @mesh <[dp = 2, tp = 2]>`. What type such
a value must have is asked of tessera-opt itself: the value is defined with type
`none` behind its uses, and the error names the type of the use. What is printed,
in the pretty and in the generic form, must parse to the same text again.
Usage: check-op-examples.py --tessera-opt PATH [--tblgen PATH] [--mlir-include DIR].
"""

import argparse
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SPLIT = "\n// -----\n"
MESH = "dist.mesh @mesh <[dp = 2, tp = 2]>"
WRONG_TYPE = re.compile(
    r"^<stdin>:(\d+):\d+: error: definition of SSA value '(%[\w$.-]+?)(?:#\d+)?' has type 'none'\n"
    r"(?:(?!<stdin>).*\n)*"
    r"<stdin>:\d+:\d+: note: previously used here with type '(.*)'$",
    re.M,
)
ERROR = re.compile(r"^<stdin>:(\d+):\d+: error: (.*)$", re.M)


@dataclass
class Example:
    """One snippet and the types found so far of the values it does not define."""

    op: str
    text: str
    types: dict[str, str] = field(default_factory=dict)

    def source(self) -> str:
        """The snippet as a module; the values' definitions come last."""
        lines = [] if "dist.mesh" in self.text else [MESH]
        lines.append(self.text)
        lines += [f'{name} = "test.value"() : () -> {t}' for name, t in self.types.items()]
        return "\n".join(lines)

    def find_free_values(self) -> None:
        """Guesses the undefined values from the text; a function defines its own."""
        if re.search(r"\bfunc\.func\b|\^bb0", self.text):
            return
        defined = set()
        for names in re.findall(r"^\s*(%[\w, %:]+?)\s*=", self.text, re.M):
            defined |= set(re.findall(r"%\w+", names))
        for name in re.findall(r"%\w+", self.text):
            if name not in defined:
                self.types.setdefault(name, "none")


def collect(tblgen: str, include: str) -> tuple[list[Example], list[str]]:
    """All examples, and the ops without one."""
    examples, missing = [], []
    for td in sorted(ROOT.glob("dialects/*/IR/*Ops.td")):
        command = [tblgen, "-gen-op-doc", f"-I{ROOT}", f"-I{include}", str(td)]
        docs = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        for section in re.split(r"^### ", docs, flags=re.M)[1:]:
            op = section.split("`")[1]
            blocks = re.findall(r"^```mlir\n(.*?)^```", section, re.M | re.S)
            if not blocks:
                missing.append(op)
            examples += [Example(op, block.rstrip()) for block in blocks]
    return examples, missing


def opt(tessera_opt: str, source: str, *flags: str) -> tuple[str, str]:
    """Output and errors of tessera-opt on modules divided by SPLIT."""
    command = [tessera_opt, "--split-input-file", "--allow-unregistered-dialect", *flags]
    result = subprocess.run(command, input=source, capture_output=True, text=True)
    return result.stdout, result.stderr


def parse(tessera_opt: str, examples: list[Example]) -> tuple[str, str, list[int]]:
    """Output and errors for all examples, and the first line of each."""
    chunks = [example.source() for example in examples]
    starts, line = [], 1
    for chunk in chunks:
        starts.append(line)
        line += (chunk + SPLIT).count("\n")
    return *opt(tessera_opt, SPLIT.join(chunks)), starts


def find_print_problems(tessera_opt: str, printed: str) -> list[str]:
    """Lines that change when `printed` is parsed and printed again."""
    again, errors = opt(tessera_opt, printed)
    generic, generic_errors = opt(tessera_opt, printed, "--mlir-print-op-generic")
    from_generic, from_generic_errors = opt(tessera_opt, generic)
    problems = [e for e in (errors, generic_errors, from_generic_errors) if e]
    for name, text in (("printed", again), ("generic", from_generic)):
        for before, after in zip(printed.splitlines(), text.splitlines()):
            if before != after:
                problems.append(f"{name} form does not parse to itself:\n{before}\n{after}")
    problems += [
        f"two spaces: {line}" for line in printed.splitlines() if "  " in line.strip()
    ]
    return problems


def example_at(examples: list[Example], starts: list[int], line: int) -> Example:
    index = max(i for i, start in enumerate(starts) if start <= line)
    return examples[index]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tessera-opt", required=True)
    parser.add_argument("--tblgen", default="/usr/lib/llvm-22/bin/mlir-tblgen")
    parser.add_argument("--mlir-include", default="/usr/lib/llvm-22/include")
    arguments = parser.parse_args()

    examples, missing = collect(arguments.tblgen, arguments.mlir_include)
    for example in examples:
        example.find_free_values()
    while True:
        printed, errors, starts = parse(arguments.tessera_opt, examples)
        # One wrong type per example and run: parsing stops at the first.
        found = False
        for line, name, type_text in WRONG_TYPE.findall(errors):
            example = example_at(examples, starts, int(line))
            if example.types.get(name) == "none":
                example.types[name] = type_text
                found = True
        if not found:
            break

    problems = [f"{op}: has no ```mlir example" for op in missing]
    for line, message in ERROR.findall(errors):
        example = example_at(examples, starts, int(line))
        problems.append(f"{example.op}: {message}\n{example.source()}\n")
    if not problems:
        problems = find_print_problems(arguments.tessera_opt, printed)
    print("\n".join(problems) or f"op examples: {len(examples)} parse and print")
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
