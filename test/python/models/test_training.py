# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A GPT trained by AdamW written by hand: the losses of PyTorch, on one device and on a mesh.

test/long/train.py does the same for 500 steps.
"""

import functools

import gpt
import numpy as np
import pytest
from conftest import needs_runtime

import tessera as ts

torch = pytest.importorskip("torch", reason="PyTorch is the oracle")
pytestmark = needs_runtime

STEPS = 20
MESHES = {"one": None, "tp2 x dp2": ts.make_mesh({"dp": 2, "tp": 2})}
KINDS = [(np.float32, 1e-4), (np.float64, 1e-11)]


@functools.cache
def wanted(dtype):
    return gpt.torch_losses(torch, dtype, STEPS)


@pytest.mark.parametrize("dtype, tolerance", KINDS, ids=["f32", "f64"])
@pytest.mark.parametrize("mesh", MESHES)
def test_losses_are_those_of_pytorch_at_every_step(mesh, dtype, tolerance):
    step = gpt.compiled_step(MESHES[mesh])
    got = gpt.losses(step, dtype, STEPS)
    assert np.abs(got - wanted(dtype)).max() <= tolerance
    assert got[-1] < got[0] - 1  # It learns.
    # The comparison sees an optimiser that is a little wrong.
    for mistake in ({"epsilon": 1e-6}, {"decay": 0.0}):
        wrong = gpt.losses(step, dtype, STEPS, **mistake)
        assert np.abs(wrong - wanted(dtype)).max() > tolerance, mistake
