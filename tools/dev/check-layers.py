#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Checks #include and import lines against the table of layers in docs/architecture.md.

A folder may include itself, what its row of the table lists, and anything that
is not ours; the rooms of the Python package likewise. Usage: check-layers.py
[SOURCE_ROOT]; prints each violation and exits 1 if any.
"""

import ast
import re
import sys
from pathlib import Path

# Packages of the package: its rooms, and what is built.
PRIVATE = ("tessera._src.", "tessera._native")
OWN_INCLUDE = re.compile(
    r'^\s*#\s*include\s+"((?:\.\./|(?:dialects|lib|runtime|test|tessera|tessera-rt|tools)/)[^"]+)"'
)


def read_rules(root: Path, name: str) -> list[tuple[re.Pattern, list[re.Pattern]]]:
    """Rows of the table of this name: a folder, and the folders of ours that it may include."""

    def pattern(words: str) -> re.Pattern:
        words = re.escape(words).replace(r"\*\*", ".*").replace(r"\*", "[^/]+")
        return re.compile(words)

    page = (root / "docs/architecture.md").read_text()
    table = re.search(rf"^```{name}\n(.*?)^```", page, re.M | re.S)
    if table is None:
        sys.exit(f"docs/architecture.md has no table '{name}'")
    rules = []
    for row in table.group(1).splitlines():
        folder, _, allowed = row.partition("->")
        rules.append((pattern(folder.strip()), [pattern(word) for word in allowed.split()]))
    return rules


def home_of_headers(root: Path, name: str) -> str:
    """What include/tessera/<name> counts as: lib/<name>, or itself where only headers are."""
    return f"lib/{name}" if (root / "lib" / name).is_dir() else f"include/tessera/{name}"


def folder_of_header(root: Path, path: str) -> str:
    """Folder of ours that an include path belongs to."""
    parts = path.split("/")
    if parts[0] == "tessera":
        return home_of_headers(root, parts[1])
    if parts[0] == "tessera-rt":
        return "runtime/include"
    return "/".join(parts[:-1])


def folder_of_source(root: Path, path: Path) -> str:
    parts = path.parts
    if parts[0] == "include":
        return home_of_headers(root, parts[2])
    if parts[:2] == ("runtime", "include"):
        return "runtime/include"
    return "/".join(parts[:-1])


def check_rows(root: Path) -> list[str]:
    """Every row of the table is about a folder."""
    page = (root / "docs/architecture.md").read_text()
    table = re.search(r"^```layers\n(.*?)^```", page, re.M | re.S)
    names = [row.partition("->")[0].strip() for row in table.group(1).splitlines()] if table else []
    return [f"docs/architecture.md: the table of layers has a row '{name}', which is not a folder"
            for name in names if not any(path.is_dir() for path in root.glob(name))]


def check_cxx(root: Path) -> list[str]:
    errors = []
    rules = read_rules(root, "layers")
    for top in ("dialects", "include", "lib", "runtime", "tools", "test"):
        for file in sorted((root / top).rglob("*")):
            if file.suffix not in (".h", ".cpp", ".inc"):
                continue
            relative = file.relative_to(root)
            folder = folder_of_source(root, relative)
            allowed = next((a for p, a in rules if p.fullmatch(folder)), None)
            if allowed is None:
                errors.append(f"{relative}: folder '{folder}' has no row in the table")
                continue
            for number, line in enumerate(file.read_text().splitlines(), 1):
                match = OWN_INCLUDE.match(line)
                if not match:
                    continue
                target = folder_of_header(root, match.group(1))
                if target == folder or any(p.fullmatch(target) for p in allowed):
                    continue
                errors.append(
                    f"{relative}:{number}: '{folder}' may not include '{match.group(1)}' of "
                    f"'{target}'; see the table of layers in docs/architecture.md"
                )
    return errors


def check_no_mlir(root: Path) -> list[str]:
    """lib/Analysis and the runtime do not include MLIR or LLVM."""
    errors = []
    for top in ("lib/Analysis", "include/tessera/Analysis", "include/tessera/ABI", "runtime"):
        for file in sorted((root / top).rglob("*")):
            if file.suffix not in (".h", ".cpp"):
                continue
            for number, line in enumerate(file.read_text().splitlines(), 1):
                if re.match(r'\s*#\s*include\s+["<](mlir|llvm)/', line):
                    errors.append(f"{file.relative_to(root)}:{number}: no MLIR or LLVM here")
    return errors


def imported(node: ast.AST) -> list[str]:
    """Dotted names of the modules, or of what is in them, that an import line names."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        module = "." * node.level + (node.module or "")
        return [f"{module}.{alias.name}" for alias in node.names]
    return []


def check_python(root: Path) -> list[str]:
    """Rooms of tessera/_src import as the table says, and no public module of the package."""
    errors = []
    rules = read_rules(root, "python-layers")
    package = root / "python/tessera/_src"
    for file in sorted(package.rglob("*.py")):
        relative, room = file.relative_to(root), file.relative_to(package).parts[0]
        if room == "__init__.py":
            room = "_src"
        allowed = next((a for p, a in rules if p.fullmatch(room)), None)
        if allowed is None:
            errors.append(f"{relative}: room '{room}' has no row in the table")
            continue
        for node in ast.walk(ast.parse(file.read_text())):
            for name in imported(node):
                where = f"{relative}:{node.lineno}"
                if name.startswith("."):
                    errors.append(f"{where}: relative import '{name}'; import from tessera._src")
                elif name.split(".")[0] == "tessera" and not name.startswith(PRIVATE):
                    errors.append(f"{where}: imports public '{name}'; import from tessera._src")
                elif name.startswith("tessera._src."):
                    target = name.split(".")[2]
                    if target != room and not any(p.fullmatch(target) for p in allowed):
                        errors.append(f"{where}: '{room}' may not import '{name}'; see the table "
                                      "of layers in docs/architecture.md")
    return errors


def main() -> int:
    root = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).resolve().parents[2])
    errors = check_rows(root) + check_cxx(root) + check_no_mlir(root) + check_python(root)
    print("\n".join(errors) or "layers: ok")
    return bool(errors)


if __name__ == "__main__":
    sys.exit(main())
