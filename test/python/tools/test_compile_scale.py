# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Compiling takes time and memory linear in the program.

The bars are those of benchmarks/compile_scale.py, in CPU seconds and with room for a loaded machine.
"""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def benchmark():
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        import compile_scale
    finally:
        sys.path.pop(0)
    return compile_scale


def test_time_and_memory_are_linear_in_the_number_of_layers(benchmark):
    few = benchmark.compile_tessera("layers", 384, "local")
    many = benchmark.compile_tessera("layers", 1536, "local")
    assert many["cpu_seconds"] < 6 * few["cpu_seconds"]
    assert many["cpu_seconds"] < 20
    assert many["peak_mb"] < 1024


def test_time_is_linear_in_the_number_of_arguments(benchmark):
    few = benchmark.compile_tessera("arguments", 1000, "local")
    many = benchmark.compile_tessera("arguments", 4000, "local")
    assert many["cpu_seconds"] < 6 * few["cpu_seconds"]
    assert many["cpu_seconds"] < 5
