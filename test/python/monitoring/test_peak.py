# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The peak of the machine, operations per token, and MFU."""

import json
import os
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import needs_runtime
from refusals import check

import tessera as ts
from tessera._src.monitoring import peak


def test_operations_per_token_are_those_of_the_paper():
    # PaLM 540B by table 1 and appendix B: 118 layers of 48 heads of 256, 2048 tokens.
    flops = ts.monitor.flops_per_token(540_350_000_000, layers=118, width=48 * 256, sequence_length=2048)
    assert flops == 6 * 540_350_000_000 + 12 * 118 * 48 * 256 * 2048
    # Its throughput of 238.3 K tokens a second on 6144 chips of 275 TFLOP/s is an MFU of 46.2 %.
    assert ts.monitor.mfu(238_300, flops, 6144 * 275e12) == pytest.approx(0.462, abs=0.001)
    text = ts.monitor.explain_flops(1000, layers=2, width=8, sequence_length=16)
    assert text == "6 x 1,000 weights + 12 x 2 layers x 8 wide x 16 tokens = 9072 operations per token"


@pytest.fixture
def small(monkeypatch):
    """Products of a size that is quick to measure."""
    monkeypatch.setattr(peak, "_SIDES", {"cpu": (128, 256), "cuda": (128,)})


def kept():
    return list(Path(os.environ["TESSERA_CACHE_DIR"]).glob("peak-*.json"))


@needs_runtime
@pytest.mark.quick
def test_peak_is_measured_once_and_kept(small):
    first = ts.monitor.measured_peak()
    assert 1e8 < first < 1e14
    file, = kept()
    assert json.loads(file.read_text())["flops"] == first
    begin = time.perf_counter()
    assert ts.monitor.measured_peak(np.float32) == first
    assert time.perf_counter() - begin < 0.05
    again = ts.monitor.measured_peak(refresh=True)
    assert json.loads(file.read_text())["flops"] == again and len(kept()) == 1
    file.write_text("{")
    assert ts.monitor.measured_peak() > 1e8


@needs_runtime
def test_peak_is_one_of_a_type_and_a_number_of_threads(small):
    for options in ({}, {"dtype": ts.bf16}, {"threads": 1}):
        assert ts.monitor.measured_peak(**options) > 1e7
    assert len(kept()) == 3


@needs_runtime
def test_peak_without_a_cache(small, monkeypatch):
    monkeypatch.setenv("TESSERA_CACHE", "0")
    assert ts.monitor.measured_peak() > 1e8 and not kept()


@pytest.mark.parametrize("options, said", [({"dtype": np.int32}, "a type of floats"),
                                           ({"dtype": bool}, "a type of floats"),
                                           ({"device": "null"}, "device of measured_peak is 'null'")])
def test_peak_of_nothing(options, said):
    with pytest.raises(ts.ConfigError) as error:
        ts.monitor.measured_peak(**options)
    check(error, "TS4040", said)
