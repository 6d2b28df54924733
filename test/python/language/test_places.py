# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Where errors point: the user's line with its source, by the user's frames alone."""

import os
import traceback

import numpy as np
import pytest

import tessera as ts
from refusals import check
from tessera._src.core import errors, source

X = np.ones((2, 3), np.float32)


def lower(function, *args):
    return ts.jit(function).lower(*args)


def python_if(x):
    if x.sum() > 0:
        return x
    return -x


def test_the_place_is_shown_with_source_and_caret(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ts.TraceError) as caught:
        lower(python_if, X)
    text = str(caught.value)
    assert f"at {__file__}:{python_if.__code__.co_firstlineno + 1}" in text
    assert "if x.sum() > 0:" in text and "\n    " in text and text.rstrip().endswith("^")


def test_internal_frames_are_hidden():
    with pytest.raises(ts.ShapeError) as caught:
        lower(lambda x: x @ x, X)
    files = [frame.filename for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert sum("tessera/_src" in file for file in files) <= 1, files
    check(caught, "TS3013", "(2, 3)")


def test_full_tracebacks_on_request(monkeypatch):
    monkeypatch.setenv("TESSERA_TRACEBACK", "full")
    with pytest.raises(ts.ShapeError) as caught:
        lower(lambda x: x @ x, X)
    files = [frame.filename for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert sum("tessera/_src" in file for file in files) > 2


def test_the_users_own_errors_pass_through():
    with pytest.raises(KeyError) as caught:
        ts.jit(lambda x: {}["k"])(X)
    files = [frame.filename for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert files[-1] == __file__


def test_places_below_the_current_folder_are_shown_relative_to_it(monkeypatch):
    monkeypatch.chdir(os.path.dirname(__file__))
    with pytest.raises(ts.TraceError) as caught:
        lower(python_if, X)
    assert f"at {os.path.basename(__file__)}:{caught.value.location.line}\n" in str(caught.value)
    assert caught.value.location.file == __file__
    here = os.getcwd()
    assert source.shown_paths(f"x at {here}/a.py:1:2, {here}/b") == f"x at a.py:1:2, {here}/b"


def test_compiler_diagnostics_become_errors_at_the_users_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    line = python_if.__code__.co_firstlineno + 1
    error = errors.from_diagnostics(
        [{"severity": "error", "message": "cannot be split", "file": __file__, "line": line,
          "column": 8, "notes": [{"message": "the axis is here", "file": __file__, "line": line}]}],
        "the program does not compile")
    assert "cannot be split" in str(error) and "the axis is here" in str(error)
    assert f"{__file__}:{line}" in str(error) and "if x.sum() > 0" in str(error)
