# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Names of arguments and of files reach the program and come back, whatever characters they hold."""

import numpy as np
import pytest

import tessera as ts
from conftest import needs_runtime

X = np.arange(6, dtype=np.float32).reshape(2, 3)
STRANGE = ["a\nb", "tab\t", 'a"b', "back\\slash", "\\0A", "nul\0", "\x7f", "ünï", "%x", "", "a b"]


@needs_runtime
@pytest.mark.parametrize("key", STRANGE, ids=ascii)
def test_keys_of_trees_hold_any_character(key):
    doubled = ts.jit(lambda p: p[key] * 2)
    np.testing.assert_array_equal(doubled({key: X}), 2 * X)
    compiled = doubled.lower({key: X}).compile()
    assert compiled.executable.description["inputs"][0]["name"] == f"p.{key}"
    assert compiled.in_shardings == (({key: "[{}, {}]"},), {})


@needs_runtime
@pytest.mark.parametrize("half", ["\udce9", "a\ud800"], ids=ascii)
def test_halves_of_characters_are_shown_as_question_marks(half):
    compiled = ts.jit(lambda p: p[half] * 2).lower({half: X}).compile()
    assert compiled.executable.description["inputs"][0]["name"] == "p." + half[:-1] + "?"


def function_in(file):
    names = {}
    exec(compile("import tessera as ts\n\ndef f(x):\n    return ts.sum(x)\n", file, "exec"), names)
    return names["f"]


@pytest.mark.parametrize("name", [n for n in STRANGE if n and "\0" not in n], ids=ascii)
def test_files_of_any_name_are_where_errors_point(name, tmp_path):
    file = str(tmp_path / name)
    (tmp_path / name).write_text("import tessera as ts\n\ndef f(x):\n    return ts.sum(x)\n")
    split = ts.jit(function_in(file), mesh=ts.make_mesh({"tp": 2}), in_shardings=ts.P("tp"),
                   options={"forbidImplicit": ["all_reduce"]})
    with pytest.raises(ts.CompileError, match="all_reduce") as caught:
        split.lower(X).as_text("local")
    assert caught.value.location.file == file and f"{file}:4:12" in str(caught.value)


def test_equal_functions_of_two_files_are_told_apart():
    for file in ("one.py", "two.py"):
        text = ts.jit(function_in(file)).lower(X).as_text(locations=True)
        assert f'loc("{file}":4:12)' in text
