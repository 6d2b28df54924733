# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""ts.Trainer in f64, bf16 and fp16: micro-batches are one batch, weights have a master, overflows skip."""

import numpy as np
import train_cases
from conftest import needs_runtime
from train_cases import cache, own_cache, trained  # noqa: F401 (fixtures)

import tessera as ts

pytestmark = needs_runtime
MESH = ["parallel.tp=2", "parallel.dp=2"]
WORDS = ["data.packing=padded", "data.cut=true", 'data.separator=" "']


def test_micro_batches_are_one_large_batch():
    """Labels that count nothing are not spread evenly: a mean of means would be another number."""
    given = train_cases.config("precision=f64", "train.batch=6", *WORDS)
    one, whole = trained(given)
    for overrides in (["train.micro_batches=3"], ["train.micro_batches=3", *MESH]):
        parts, other = trained(given.replace(*overrides))
        counts = [record["tokens"] for record in parts.steps]
        assert len(set(counts)) > 1 and counts == [record["tokens"] for record in one.steps]
        np.testing.assert_allclose(parts.losses, one.losses, rtol=0, atol=1e-12)
        for name, weight in whole.model.state_dict().items():
            np.testing.assert_allclose(other.model.state_dict()[name], weight, rtol=0, atol=1e-10)


def test_bf16_with_a_master_copy():
    given = train_cases.config("precision=bf16-mixed", "precision.reduce=bf16",
                               "train.micro_batches=2", *MESH)
    recorder, trainer = trained(given)
    plain, _ = trained(given.replace("precision.name=f32", "precision.reduce=null"))
    assert {str(w.dtype) for w in trainer.model.parameters()} == {"bfloat16"}
    optimizer = trainer.state.optimizer
    for master, weight in zip(ts.tree.leaves(optimizer["master"]), trainer.model.parameters()):
        assert master.dtype == np.float32
        np.testing.assert_array_equal(np.asarray(master).astype(weight.dtype), weight)
    assert recorder.losses[-1] < recorder.losses[0] - 0.2
    np.testing.assert_allclose(recorder.losses, plain.losses, rtol=0.02)


def test_fp16_skips_steps_that_overflow(tmp_path):
    given = train_cases.config("precision=fp16-mixed", "precision.loss_scale=1e9", "train.steps=20",
                               train={"folder": str(tmp_path / "run")})
    recorder, trainer = trained(given)
    skips = recorder.of("skip")
    assert 3 <= len(skips) < 18 and [record["step"] for record in skips] == list(range(1, len(skips) + 1))
    assert "overflow" in skips[0]["reason"] and skips[0]["loss_scale"] == np.float32(1e9)
    scales = [record["loss_scale"] for record in recorder.steps]
    assert scales[1] == scales[0] / 2 and scales[-1] == scales[0] / 2 ** len(skips)
    assert recorder.steps[-1]["skipped"] == trainer.state.skipped == len(skips)
    assert int(np.asarray(trainer.state.optimizer["step"])) == 20 - len(skips)
    # A rate is that of the updates that were made.
    assert recorder.steps[len(skips)]["lr"] == 0
    assert {str(w.dtype) for w in trainer.model.parameters()} == {"float16"}
    saved = ts.checkpoints.inspect(tmp_path / "run")
    assert saved.metadata["skipped"] == len(skips) and "scale.scale" in saved.tensors
