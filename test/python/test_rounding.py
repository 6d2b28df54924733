# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Compiled conversions round as IEEE 754 says: to nearest, ties to even."""

import numpy as np
import pytest

import tessera as ts


def hard_numbers() -> np.ndarray:
    """f32 of every sign, exponent and leading fraction, at and beside halfway points."""
    high = np.arange(1 << 16, dtype=np.uint32) << 16
    low = np.array([0, 1, 0x0FFF, 0x1000, 0x1001, 0x7FFF, 0x8000, 0x8001, 0xFFFF], np.uint32)
    return (high[:, None] | low).view(np.float32)


@pytest.mark.filterwarnings("ignore:(overflow|invalid):RuntimeWarning")
@pytest.mark.parametrize("dtype", [ts.bf16, ts.f16])
def test_f32_rounds_to_narrow_floats(dtype):
    x = hard_numbers()
    got = np.asarray(ts.jit(lambda x: x.astype(dtype))(x))
    want = x.astype(dtype)
    # NaNs keep no particular payload.
    assert np.array_equal(np.isnan(got), np.isnan(want))
    known = ~np.isnan(want)
    assert np.array_equal(got.view(np.uint16)[known], want.view(np.uint16)[known])
