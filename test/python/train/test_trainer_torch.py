# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Losses of ts.Trainer are those of PyTorch at every step. test/long/trainer.py does 500 of them."""

import pytest
from conftest import needs_runtime

pytest.importorskip("torch", reason="PyTorch is the oracle")
pytest.importorskip("transformers", reason="it has the model")
import torch_training  # noqa: E402

pytestmark = needs_runtime


@pytest.mark.parametrize("precision, tolerance", [("f32", 1e-4), ("f64", 1e-11)])
def test_losses_are_those_of_pytorch_at_every_step(precision, tolerance):
    worst, of_norms, ours, _ = torch_training.compared(precision, 20, *torch_training.MESH)
    assert worst <= tolerance and of_norms <= 100 * tolerance
    assert ours[-1] < ours[0] - 0.3  # It learns.
