# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""With TESSERA_REQUIRE_ALL=1, as tools/run-tests sets it, tests do not skip silently."""

import os
import subprocess
import sys
from pathlib import Path

TESTS = """
import pytest

def test_that_asks_for_what_is_not_there():
    pytest.importorskip("no_such_package")

@pytest.fixture
def ptxas():
    pytest.skip("ptxas is not installed")

def test_whose_fixture_skips(ptxas):
    pass

@pytest.mark.skipif(True, reason="the runtime is not built")
def test_that_is_marked():
    pass

def test_of_the_machine():
    pytest.skip("optional: there is a GPU")

@pytest.mark.xfail(reason="known", strict=True)
def test_that_fails_as_expected():
    assert False
"""
MODULE = 'import pytest\npytest.importorskip("no_such_weights")\n'


def outcome(tmp_path, **environment):
    here = Path(__file__).parents[1]
    (tmp_path / "conftest.py").write_text((here / "conftest.py").read_text())
    (tmp_path / "test_some.py").write_text(TESTS)
    (tmp_path / "test_module.py").write_text(MODULE)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--rootdir", tmp_path,
               "-c", os.devnull, "--continue-on-collection-errors", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path,
                          env={**os.environ, "TESSERA_REQUIRE_ALL": "0", **environment})
    return done.stdout


def test_what_is_missing_skips_where_nothing_is_required(tmp_path):
    assert "5 skipped, 1 xfailed" in outcome(tmp_path)


def test_what_is_missing_fails_with_its_reason_where_all_is_required(tmp_path):
    shown = outcome(tmp_path, TESSERA_REQUIRE_ALL="1")
    for reason in ("could not import 'no_such_package'", "ptxas is not installed",
                   "the runtime is not built", "could not import 'no_such_weights'"):
        assert f"skipped, which TESSERA_REQUIRE_ALL refuses: {reason}" in shown
    assert "1 skipped, 1 xfailed" in shown and "passed" not in shown
