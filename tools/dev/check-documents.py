#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Checks what pages say of the tree: links, paths, and that nothing public is left out.

* Every relative link of a .md file leads to a file, and its #anchor to a heading.
* Every file of ours that a page or a comment names by its path is there, and
  every identifier that a page sets as code stands in a source.
* Every stage is in docs/architecture.md, every environment variable that the
  sources read in docs/debugging.md, every decision in docs/decisions/README.md.
* No file names an absolute path that only some machine has (`/nowhere` is for tests).

Usage: check-documents.py [SOURCE_ROOT]; prints each violation and exits 1 if any.
"""

import re
import subprocess
import sys
from pathlib import Path

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"^```.*?^```|`[^`\n]*`", re.M | re.S)
STAGE = re.compile(r'\{Stage::\w+, "(\w+)"')
VARIABLE = re.compile(r'(?:getenv\(|environ\.get\(\s*|environ\[)"(TESSERA_\w+)"')
# An absolute path whose first folder is none that every Debian system has.
SYSTEM_FOLDERS = "bin|dev|etc|lib|proc|sys|usr|var"
MACHINE_PATH = re.compile(rf"""(?:^|(?<=[\s"'`(=:]))/(?!(?:{SYSTEM_FOLDERS}|nowhere)/|tmp/tessera-)"""
                          r"[a-z]\w*/[\w./-]+")


# `camelBack`, `CamelCase`, `with_underscores`, `A::b`, as code on a page.
IDENTIFIER = re.compile(r"`((?:\w+::)*[A-Za-z]\w*(?:[a-z][A-Z]|_)\w+)(?:\(\))?`")
# What the guides add as their examples, and the names of any conversion.
EXAMPLES = re.compile(r"softsign|expand_?squares?|AToB", re.I)


# A file named by its path from the root. NAME.json stands for any name.
OWN_FILE = re.compile(
    r"(?<![\w./<>-])(?:benchmarks|dialects|docs|include|lib|python|runtime|test|tools)"
    r"/(?:[\w.-]+/)*(?!NAME\b)[\w-]+\.(?:c|cmake|cpp|h|json|md|mlir|py|sh|td|txt)\b"
)


def slug(heading: str) -> str:
    """The anchor that a heading gets."""
    text = re.sub(r"[^\w\- ]", "", heading.replace("`", "").strip().lower())
    return text.replace(" ", "-")


def anchors(page: Path) -> set[str]:
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.M | re.S)
    return {slug(h) for h in re.findall(r"^#+ (.*)$", text, re.M)}


def check_links(root: Path, pages: list[Path]) -> list[str]:
    errors = []
    for page in pages:
        for target in LINK.findall(CODE.sub("", page.read_text())):
            if re.match(r"\w+:", target):
                continue
            path, _, anchor = target.partition("#")
            to = (page.parent / path).resolve() if path else page
            where = f"{page.relative_to(root)}: link to '{target}'"
            if not to.exists():
                errors.append(f"{where}: no such file")
            elif anchor and to.suffix == ".md" and anchor not in anchors(to):
                errors.append(f"{where}: no heading '#{anchor}' there")
    return errors


def check_mentions(root: Path, sources: list[Path]) -> list[str]:
    """Names that a page must have."""
    architecture = (root / "docs/architecture.md").read_text()
    debugging = (root / "docs/debugging.md").read_text()
    decisions = (root / "docs/decisions/README.md").read_text()
    errors = [
        f"docs/architecture.md: stage '{name}' is not described"
        for name in STAGE.findall((root / "lib/Pipelines/Stages.cpp").read_text())
        if not re.search(rf"\b{name}\b", architecture)
    ]
    for file in sources:
        top = file.relative_to(root).parts[0]
        if top not in ("lib", "runtime", "tools", "python", "dialects"):
            continue
        for name in VARIABLE.findall(file.read_text(errors="replace")):
            if f"`{name}`" not in debugging:
                errors.append(f"docs/debugging.md: does not describe {name}, which {file.name} reads")
    for page in sorted((root / "docs/decisions").glob("0*.md")):
        if f"({page.name})" not in decisions:
            errors.append(f"docs/decisions/README.md: does not list {page.name}")
    return errors


def check_own_files(root: Path, files: list[Path]) -> list[str]:
    """Paths that lead nowhere; the guides name files that their reader is to make."""
    errors = []
    for file in files:
        if file.match("docs/adding-*.md"):
            continue
        for number, line in enumerate(file.read_text(errors="replace").splitlines(), 1):
            if "include " in line:  # The compiler's to check; generated headers, too.
                continue
            errors += [
                f"{file.relative_to(root)}:{number}: there is no '{path}'"
                for path in OWN_FILE.findall(line)
                if not (root / path).exists()
            ]
    return errors


def check_identifiers(root: Path, pages: list[Path], files: list[Path]) -> list[str]:
    """Names on pages that no source has (any more); the generated pages have them from there."""
    known = {file.stem for file in files}
    for file in files:
        if file.suffix != ".md":
            known.update(re.findall(r"\w+", file.read_text(errors="replace")))
    errors = []
    for page in pages:
        if page.is_relative_to(root / "docs/reference"):
            continue
        text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.M | re.S)
        for name in IDENTIFIER.findall(text):
            if not EXAMPLES.search(name) and not known.issuperset(name.split("::")):
                errors.append(f"{page.relative_to(root)}: no source has `{name}`")
    return errors


def check_paths(root: Path, files: list[Path]) -> list[str]:
    errors = []
    for file in files:
        if file.name == ".gitignore":
            continue
        for number, line in enumerate(file.read_text(errors="replace").splitlines(), 1):
            match = MACHINE_PATH.search(line)
            if match:
                errors.append(
                    f"{file.relative_to(root)}:{number}: '{match.group()}' is on one machine only"
                )
    return errors


def main() -> int:
    root = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parents[2]).resolve()
    listed = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard"],
                            cwd=root, capture_output=True, text=True, check=True)  # fmt: skip
    files = [root / name for name in listed.stdout.splitlines() if (root / name).is_file()]
    pages = [file for file in files if file.suffix == ".md"]
    sources = [file for file in files if file.suffix in (".cpp", ".h", ".py")]
    errors = check_links(root, pages) + check_mentions(root, sources)
    errors += check_own_files(root, files) + check_identifiers(root, pages, files)
    errors += check_paths(root, files)
    print("\n".join(errors) or f"documents: {len(pages)} pages ok")
    return bool(errors)


if __name__ == "__main__":
    sys.exit(main())
