# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Runs that end early: by signals, kills and steps that are not finite; and going on from what they left."""

import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
import train_cases
from conftest import needs_runtime
from train_cases import Recorder, cache, own_cache, trained  # noqa: F401 (fixtures)

import tessera as ts

pytestmark = needs_runtime
MESH = ["parallel.tp=2", "parallel.dp=2"]


def in_folder(folder, *overrides):
    return train_cases.config(*MESH, "train.steps=12", "train.save_every=4", "checkpoint.keep=2",
                              "model.config.resid_pdrop=0.1", *overrides, train={"folder": str(folder)})


class Watched:
    """A data set that keeps which samples were asked for."""

    def __init__(self, dataset):
        self.dataset, self.length, self.size, self.asked = dataset, dataset.length, dataset.size, []
        self.fingerprint, self.source = dataset.fingerprint, dataset.source

    def rows(self, positions):
        self.asked += positions.tolist()
        return self.dataset.rows(positions)


def watched_data():
    source = ts.data.Tokenized(ts.data.TextFiles(train_cases.TEXT, separator="\n\n"), ts.data.ByteTokenizer())
    return Watched(ts.data.Packed(source, 12, seed=5))


@pytest.fixture(scope="module")
def whole(cache):
    """The losses of a run that nothing interrupts, and its last weights."""
    before = os.environ.get("TESSERA_CACHE_DIR")
    os.environ["TESSERA_CACHE_DIR"] = str(cache)
    recorder, trainer = trained(train_cases.config(*MESH, "train.steps=12", "model.config.resid_pdrop=0.1"))
    if before is not None:
        os.environ["TESSERA_CACHE_DIR"] = before
    return recorder.losses, {name: np.array(w) for name, w in trainer.model.state_dict().items()}


class Killed(Exception):
    """What ends a run here, as a kill does: nothing is saved for it."""


def killed():
    raise Killed


def test_a_run_that_was_killed_goes_on_bit_for_bit(whole, tmp_path):
    losses, weights = whole
    data = watched_data()
    recorder = Recorder({6: killed})
    given = in_folder(tmp_path, "data.prefetch=0")
    with pytest.raises(Killed):
        ts.Trainer(None, given, data=data, callbacks=[recorder]).fit()
    assert recorder.end["reason"] == "failed" and "Killed" in recorder.end["error"]
    assert ts.checkpoints.steps(tmp_path) == [4] and recorder.losses == losses[:6]
    seen = data.asked[:4 * 4]
    data = watched_data()
    later, trainer = trained(given, data=data)
    assert later.start.first_step == 4 and "after step 4" in later.of("message")[0]["text"]
    assert later.losses == losses[4:]
    assert [record["tokens_total"] for record in later.steps] == [48 * n for n in range(5, 13)]
    for name, weight in trainer.model.state_dict().items():
        np.testing.assert_array_equal(weight, weights[name], err_msg=name)
    assert seen + data.asked == list(range(4 * 12))  # No sample is left out or seen twice.
    assert ts.checkpoints.steps(tmp_path) == [8, 12]


@pytest.mark.parametrize("overrides", [["parallel.tp=1", "parallel.dp=4"],
                                       ["parallel.tp=1", "parallel.dp=1"]], ids=["dp4", "one"])
def test_going_on_with_other_devices(whole, tmp_path, overrides):
    with pytest.raises(Killed):
        ts.Trainer(None, in_folder(tmp_path), callbacks=[Recorder({5: killed})]).fit()
    later, trainer = trained(in_folder(tmp_path, *overrides))
    np.testing.assert_allclose(later.losses, whole[0][4:], rtol=0, atol=2e-5)
    assert trainer.mesh.size == (4 if len(trainer.mesh.shape) and "dp" in trainer.mesh.shape else 1)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_run_with_a_checkpoint(whole, tmp_path, number):
    handler = signal.getsignal(number)
    recorder = Recorder({6: lambda: os.kill(os.getpid(), number)})
    trainer = ts.Trainer(None, in_folder(tmp_path), callbacks=[recorder])
    state = trainer.fit()
    assert (trainer.reason, trainer.signal) == ("stopped", number.name)
    assert recorder.end["reason"] == "stopped" and recorder.end["step"] == state.step == 7
    assert len(recorder.steps) == 7  # The numbers of step 6 came when step 7 was dispatched.
    assert ts.checkpoints.latest(tmp_path) == 7
    assert signal.getsignal(number) is handler
    later, _ = trained(in_folder(tmp_path))
    assert recorder.losses + later.losses == whole[0]


def test_a_second_signal_ends_it_at_once(tmp_path):
    def twice():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        raise AssertionError("the second one raises")

    recorder = Recorder({6: twice})
    with pytest.raises(KeyboardInterrupt):
        ts.Trainer(None, in_folder(tmp_path), callbacks=[recorder]).fit()
    assert recorder.end["reason"] == "stopped" and ts.checkpoints.steps(tmp_path) == [4]


def test_a_process_that_is_killed(whole, cache, tmp_path):
    """SIGKILL at a moment of its own; the command goes on, and its log has every step once."""
    file = tmp_path / "train.json"
    run = tmp_path / "run"
    file.write_text(json.dumps(in_folder(run, "train.save_every=2").to_dict()))
    command = [sys.executable, "-m", "tessera", "train", str(file), "monitor.mfu=false", "monitor.plot=false"]
    environment = {**os.environ, "TESSERA_CACHE_DIR": str(cache)}
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    for _ in child.stdout:
        if ts.checkpoints.latest(run):
            break
    child.kill()
    child.wait()
    assert ts.checkpoints.latest(run) is not None and not ts.checkpoints.verify(run)
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    steps = [record for record in records if record["event"] == "step"]
    assert [record["step"] for record in steps] == list(range(1, 13))
    assert [record["loss"] for record in steps] == whole[0]


def test_the_state_of_other_data_is_refused(tmp_path):
    given = in_folder(tmp_path / "run", "train.steps=4")
    trained(given)
    text = tmp_path / "other.txt"
    text.write_text("\n\n".join(f"line {i}" for i in range(99)))
    other = given.replace(f"data.path={text}", "train.steps=6")
    with pytest.raises(ts.DataError, match="another data set"):
        ts.Trainer(None, other).fit()


def poison(trainer, name, value, at):
    """Sets elements of a weight."""
    state = {key: np.array(weight) for key, weight in trainer.model.state_dict().items()}
    state[name][at] = value
    trainer.model.load_state_dict(state)


NAN = {
    "a weight": ("transformer.h.0.mlp.c_fc.weight", np.nan, (1, 1),
                 ["weight 'transformer.h.0.mlp.c_fc.weight' (1 of 1024 elements)"]),
    "an activation": ("transformer.h.0.ln_2.weight", 3e38, ..., ["activation: what layer 0 gives"]),
}


@pytest.mark.parametrize("case", NAN)
def test_a_step_that_is_not_finite_names_the_first_tensor(case, tmp_path):
    name, value, at, wanted = NAN[case]
    given = in_folder(tmp_path, "train.micro_batches=2")
    recorder = Recorder()
    trainer = ts.Trainer(None, given, callbacks=[recorder])
    recorder.at = {6: lambda: poison(trainer, name, value, at)}
    with pytest.raises(ts.TrainingError) as caught:
        trainer.fit()
    message = str(caught.value)
    assert caught.value.code == "TS8001" and "step 8: the loss is nan" in message, message
    for part in [*wanted, "the newest checkpoint, of step 4, is as it was", "train.on_nan=skip"]:
        assert part in message, message
    assert recorder.end["reason"] == "failed" and len(recorder.steps) == recorder.end["step"] == 8
    assert ts.checkpoints.steps(tmp_path) == [4] and not ts.checkpoints.verify(tmp_path)
    recorder.at = {}
    trainer.fit()  # From the checkpoint, which has no such weight.
    assert recorder.start.first_step == 4 and recorder.end["reason"] == "done"
    assert recorder.losses[8:10] == recorder.losses[4:6] and np.isfinite(recorder.losses[8:]).all()


class Edge(ts.nn.Module):
    """Logits from a table, and a weight whose gradient is not finite at 0."""

    def __init__(self):
        self.table = ts.nn.Embedding(7, 7)
        self.bad = ts.nn.Parameter((7,), ts.f32, ts.nn.initializers.zeros)

    def __call__(self, tokens):
        return self.table(tokens) + ts.sqrt(self.bad)


def of_edge(*overrides):
    tokens = ts.data.TokenArrays([np.arange(200) % 7], vocab_size=7)
    given = train_cases.config(*overrides, model={"architecture": None, "config": {}})
    return {"model": Edge(), "data": ts.data.Packed(tokens, 12), "given": given}


def test_a_gradient_that_is_not_finite():
    with pytest.raises(ts.TrainingError) as caught:
        trained(**of_edge())
    message = str(caught.value)
    assert "step 1: the norm of the gradient is" in message
    assert "the first that is not finite is gradient of 'bad' (7 of 7 elements)" in message
    assert "there is no checkpoint" in message and "'table" not in message


def test_steps_that_are_not_finite_are_skipped():
    recorder, trainer = trained(**of_edge("train.on_nan=skip"))
    assert [record["step"] for record in recorder.of("skip")] == [1, 2, 3, 4, 5, 6]
    assert "norm of the gradient" in recorder.of("skip")[0]["reason"]
    assert trainer.state.skipped == 6 and recorder.steps[-1]["skipped"] == 6
    assert len(set(recorder.losses)) > 1  # Other samples,
    np.testing.assert_array_equal(trainer.model.bad, np.zeros(7))  # the same weights.
    with pytest.raises(ts.TrainingError, match="4 steps in a row were skipped, the last one is step 4"
                       ) as caught:
        trained(**of_edge("train.on_nan=skip", "train.max_skips=3"))
    assert caught.value.code == "TS8002"
