# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Attention of head sizes whose tiles take more shared memory than a launch has without asking."""

import numpy as np
import pytest

from conftest import needs_runtime
from programs import kernels_of, mesh_tensor, run
from tessera._src.core import dtypes
from tessera._src.programs import native

HEAD_SIZES = (64, 96, 128, 160, 192, 256, 512)
ELEMENTS = ("f32", "bf16", "f16")
TOLERANCE = {"f32": 2e-5, "bf16": 1.6e-2, "f16": 2e-3}
# Neither is a multiple of a block; the keys take two turns of the loop and more.
QUERIES, KEYS = 35, 67


def _program(head_size: int, element: str) -> str:
    q, kv = (mesh_tensor(f"1x{n}x2x{head_size}x{element}") for n in (QUERIES, KEYS))
    return (f"dist.mesh @mesh <[tp = 1]>\n"
            f"func.func @main(%q: {q}, %k: {kv}, %v: {kv}) -> {q} {{\n"
            f"  %0 = tessera.attention %q, %k, %v scale {head_size**-0.5} causal "
            f": {q}, {kv}, {kv} -> {q}\n"
            f"  return %0 : {q}\n}}\n")


@needs_runtime
@pytest.mark.parametrize("element", ELEMENTS)
@pytest.mark.parametrize("head_size", HEAD_SIZES)
def test_emulated_runs_equal_the_interpreter(head_size, element):
    rng = np.random.default_rng(head_size)
    dtype = dtypes.BY_NAME[element]
    inputs = [rng.standard_normal((1, n, 2, head_size), np.float32).astype(dtype)
              for n in (QUERIES, KEYS, KEYS)]
    want = np.zeros_like(inputs[0])
    text = _program(head_size, element)
    native.interpret(text, inputs, [want])
    got = run(text, inputs, "emulated")[0]
    np.testing.assert_allclose(got.astype(np.float64), want.astype(np.float64),
                               rtol=TOLERANCE[element], atol=TOLERANCE[element] / 10)


@needs_runtime
@pytest.mark.parametrize("chip", ["sm_80", "sm_90a", "sm_100a"])
@pytest.mark.parametrize("head_size", HEAD_SIZES)
def test_cubins_spill_no_registers(head_size, chip):
    for element in ELEMENTS:
        kernels = kernels_of(_program(head_size, element), chip)
        assert [k["spillBytes"] for k in kernels] == [0]


@needs_runtime
@pytest.mark.parametrize("device", ["cpu", "emulated"])
@pytest.mark.parametrize("keys", [3, 300])
def test_a_row_that_sees_no_key_is_zero_whatever_the_values(keys, device):
    rng = np.random.default_rng(keys)
    q = rng.standard_normal((1, 2, 1, 4), np.float32)
    k, v = (rng.standard_normal((1, keys, 1, 4), np.float32) for _ in range(2))
    v[0, 1, 0] = [np.inf, -np.inf, np.nan, 3e38]
    bias = np.zeros((1, 1, 2, keys), np.float32)
    bias[0, 0, 0] = -np.inf
    q_type, kv = mesh_tensor("1x2x1x4xf32"), mesh_tensor(f"1x{keys}x1x4xf32")
    b = mesh_tensor(f"1x1x2x{keys}xf32")
    text = (f"dist.mesh @mesh <[tp = 1]>\n"
            f"func.func @main(%q: {q_type}, %k: {kv}, %v: {kv}, %b: {b}) -> {q_type} {{\n"
            f"  %0 = tessera.attention %q, %k, %v bias %b scale 0.5 "
            f": {q_type}, {kv}, {kv}, {b} -> {q_type}\n  return %0 : {q_type}\n}}\n")
    inputs = [q, k, v, bias]
    want = np.zeros_like(q)
    native.interpret(text, inputs, [want])
    got = run(text, inputs, device)[0]
    assert (want[0, 0] == 0).all() and (got[0, 0] == 0).all()
    np.testing.assert_allclose(got, want, rtol=1e-5)
