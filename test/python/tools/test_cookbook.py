# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The programs and commands of docs/cookbook print what their pages say.

Blocks run in the order of the page, in one folder: Python blocks with none in another language between them
are one program; a block that begins with a comment of a file's name is that file. `text` blocks are what all
others print.
"""

import dataclasses
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import needs_runtime

import tessera as ts
from tessera._src.training.schema import SECTIONS

PAGES = sorted((Path(__file__).parents[3] / "docs/cookbook").glob("*.md"))
RECIPES = [page for page in PAGES if page.name != "README.md"]
FILE = re.compile(r"# ([\w-]+\.(?:py|yaml))\n")
pytestmark = needs_runtime


def parts(page: Path) -> tuple[list[tuple[str, str]], dict[str, str], str]:
    """Programs by language in their order, files by name, and what is printed."""
    programs, files, printed = [], {}, []
    for language, text in re.findall(r"^```(\w+)\n(.*?)^```$", page.read_text(), flags=re.M | re.S):
        named = FILE.match(text)
        if named:
            files[named[1]] = text
        elif language == "text":
            printed.append(text)
        elif programs and language == "python" == programs[-1][0]:
            programs[-1] = (language, f"{programs[-1][1]}\n{text}")
        else:
            programs.append((language, text))
    return programs, files, "".join(printed)


@pytest.mark.parametrize("page", RECIPES, ids=lambda page: page.stem)
def test_a_page_prints_what_it_says(page, tmp_path):
    programs, files, printed = parts(page)
    assert programs and printed, "the page runs nothing"
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "bin").mkdir()
    for name, command in (("tessera", "-m tessera"), ("python", "")):
        (tmp_path / "bin" / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {command} "$@"\n')
        (tmp_path / "bin" / name).chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"}
    said = ""
    for number, (language, text) in enumerate(programs):
        (tmp_path / f"program{number}.py").write_text(text)
        command = [sys.executable, f"program{number}.py"] if language == "python" else ["bash", "-euc", text]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environment,
                              timeout=300)
        assert done.returncode == 0, done.stderr
        said += done.stdout
    assert said == printed


def test_every_page_is_listed():
    listed = (PAGES[0].parent / "README.md").read_text()
    assert [page.name for page in RECIPES if f"({page.name})" not in listed] == []


def test_the_keys_beside_flags_of_megatron_are_options():
    page = (PAGES[0].parent / "from-megatron.md").read_text()
    sections = {name: {field.name for field in dataclasses.fields(kind)} for name, kind in SECTIONS.items()}
    keys = re.findall(rf"`({'|'.join(sections)})\.(\w+)", page)
    assert len(keys) > 50 and [key for key in keys if key[1] not in sections[key[0]]] == []
    models = {field.name for kind in (ts.models.GPT2Config, ts.models.LlamaConfig)
              for field in dataclasses.fields(kind)}
    named = re.findall(r"`model\.config\.(\w+)", page)
    assert len(named) > 10 and set(named) <= models
