# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The reference page of error codes, from the places that raise them; nothing is imported."""

import ast
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

HEAD = """# Error codes

Every error of the Python package is a `tessera.TesseraError` with a stable `code`, the user's place,
and where they help what was expected, what came, the valid choices and a way out. Names in braces
stand for what the message says of the case at hand.
"""


def families(errors: Path) -> dict[str, tuple[str, str]]:
    """For the first digit of a code its class and what the class is for, by the docstring."""
    found = {}
    for node in ast.parse(errors.read_text()).body:
        if isinstance(node, ast.ClassDef):
            document = ast.get_docstring(node) or ""
            digit = re.search(r" \(TS(\d)xxx\)", document)
            if digit:
                found[digit[1]] = (node.name, document.replace(digit[0], ""))
    return found


def message(node: ast.AST) -> str:
    """The text of a message; values are named by the last name they are reached by."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(message(part) for part in node.values)
    if isinstance(node, ast.FormattedValue):
        return message(node.value) if isinstance(node.value, ast.JoinedStr) else value(node.value)
    if isinstance(node, ast.BinOp):
        return message(node.left) + message(node.right)
    return value(node)


def value(node: ast.AST) -> str:
    if isinstance(node, ast.Name):
        return "{" + node.id + "}"
    if isinstance(node, ast.Attribute):
        return "{type}" if node.attr == "__name__" else "{" + node.attr + "}"
    return "{...}"


def raised(file: Path) -> Iterator[tuple[str, str, str]]:
    """Code, class and message of every error a file makes."""
    for node in ast.walk(ast.parse(file.read_text())):
        if not isinstance(node, ast.Call) or len(node.args) < 2:
            continue
        code = node.args[0].value if isinstance(node.args[0], ast.Constant) else ""
        if re.fullmatch(r"TS\d{4}", str(code)):
            yield code, ast.unparse(node.func).rpartition(".")[2], message(node.args[1])


def page(package: Path) -> str:
    """The page; ends the program where a code is not of its class's family."""
    classes = families(package / "_src/core/errors.py")
    # A class made where it is raised, for Python's own protocols, is of the family it derives from.
    local = {"NoAttribute": "TraceError"}
    messages = defaultdict(dict)
    for file in sorted(package.rglob("*.py")):
        for code, kind, text in raised(file):
            if classes.get(code[2], ("",))[0] != local.get(kind, kind):
                sys.exit(f"{file}: {code} is not a code of {kind}")
            messages[code][text] = None
    parts = [HEAD]
    for digit, (name, document) in sorted(classes.items()):
        parts.append(f"## TS{digit}xxx: `{name}`\n\n{document}\n\n| code | said |\n|---|---|")
        parts += [f"| {code} | {'<br>'.join(t.replace('|', chr(92) + '|') for t in messages[code])} |"
                  for code in sorted(messages) if code[2] == digit]
        parts[-1] += "\n"
    return "\n".join(parts)
