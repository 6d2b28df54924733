# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Shared by the Python tests: a cache of their own, and a check that traced programs are valid."""

import os
import subprocess

import pytest

from tessera._src.programs import native

HAS_COMPILER = native.is_available("libtessera_compiler.so")
HAS_RUNTIME = HAS_COMPILER and native.is_available("libtessera_rt.so")
needs_compiler = pytest.mark.skipif(not HAS_COMPILER, reason="libtessera_compiler.so is not built")
needs_runtime = pytest.mark.skipif(
    not HAS_RUNTIME, reason="libtessera_compiler.so or libtessera_rt.so is not built")


REQUIRE_ALL = os.environ.get("TESSERA_REQUIRE_ALL") == "1"


def _refuse_skip(report):
    """With TESSERA_REQUIRE_ALL, what is missing is no reason to pass."""
    if not (REQUIRE_ALL and report.skipped) or hasattr(report, "wasxfail"):
        return report
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    reason = reason.removeprefix("Skipped: ")
    if not reason.startswith("optional: "):
        report.outcome = "failed"
        report.longrepr = f"skipped, which TESSERA_REQUIRE_ALL refuses: {reason}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport():
    return _refuse_skip((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report():
    return _refuse_skip((yield))


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """No test reads or writes the user's cache."""
    monkeypatch.setenv("TESSERA_CACHE_DIR", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def jax_in_f64():
    """JAX has f64 while the tests of a module run; by default it makes f32 of it."""
    jax = pytest.importorskip("jax", reason="JAX is the oracle")
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", before)


@pytest.fixture
def opt():
    """Runs tessera-opt on a program's text; fails the test if the program is refused."""
    tool = os.environ.get("TESSERA_OPT")
    if not tool or not os.path.exists(tool):
        pytest.skip("TESSERA_OPT does not name tessera-opt")

    def run(text: str, *passes: str) -> str:
        done = subprocess.run([tool, "-", "--tessera-verify-program", *passes], input=text,
                              capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr + text
        return done.stdout

    return run


@pytest.fixture
def tool_folder():
    """Where tessera-compile and tessera-run are."""
    tool = os.environ.get("TESSERA_OPT")
    if not tool or not os.path.exists(os.path.join(os.path.dirname(tool), "tessera-compile")):
        pytest.skip("TESSERA_OPT does not name a folder with tessera-compile")
    return os.path.dirname(tool)
