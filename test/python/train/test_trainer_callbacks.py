# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What callbacks are told of a bad step, what they may ask of a trainer, and fit() again after an error."""

import json

import numpy as np
import pytest
import train_cases
from conftest import needs_runtime
from train_cases import Recorder, cache, own_cache  # noqa: F401 (fixtures)

import tessera as ts

pytestmark = needs_runtime


def in_folder(folder, *overrides):
    return train_cases.config(*overrides, train={"folder": str(folder)})


def poison(trainer):
    """Makes a weight NaN."""
    state = {key: np.array(weight) for key, weight in trainer.model.state_dict().items()}
    state["transformer.h.0.mlp.c_fc.weight"][1, 1] = np.nan
    trainer.model.load_state_dict(state)


def test_callbacks_are_told_of_the_step_that_ends_a_run(tmp_path):
    recorder, alerts = Recorder(), []
    log = tmp_path / "metrics.jsonl"
    trainer = ts.Trainer(None, in_folder(tmp_path, "data.eval_fraction=0.2"), callbacks=[
        recorder, ts.monitor.Alerts(notify=alerts.append), ts.monitor.JSONLWriter(log)])
    recorder.at = {1: lambda: poison(trainer)}
    with pytest.raises(ts.TrainingError, match="step 2: the loss is nan"):
        trainer.fit()
    assert [record["step"] for record in recorder.steps] == [1, 2] and np.isnan(recorder.losses[1])
    assert [(alert.rule, alert.step) for alert in alerts] == [("loss_not_finite", 2)]
    assert (recorder.end["reason"], recorder.end["step"], trainer.state.step) == ("failed", 2, 2)
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    assert [(row["event"], row["step"]) for row in rows[-2:]] == [("step", 2), ("end", 2)]
    with pytest.raises(ts.ConfigError, match="no whole step to save"):
        trainer.save()


def test_too_many_skipped_steps_are_told_too():
    recorder = Recorder()
    trainer = ts.Trainer(None, train_cases.config("train.on_nan=skip", "train.max_skips=1"),
                         callbacks=[recorder])
    recorder.at = {1: lambda: poison(trainer)}
    with pytest.raises(ts.TrainingError, match="2 steps in a row were skipped"):
        trainer.fit()
    assert [record["step"] for record in recorder.steps] == [1, 2, 3] and recorder.end["step"] == 3


def test_a_callback_saves_the_step_that_is_on_its_way(tmp_path):
    made, refused = [], []

    def evaluate():
        for call in (trainer.evaluate, trainer.sample):
            with pytest.raises(ts.ConfigError) as caught:
                call()
            refused.append(str(caught.value))

    recorder = Recorder({2: lambda: made.append(trainer.save()), 4: evaluate})
    trainer = ts.Trainer(None, in_folder(tmp_path, "data.eval_fraction=0.2"), callbacks=[recorder])
    trainer.fit()
    assert made == [tmp_path / "step-00000003"] and ts.checkpoints.steps(tmp_path) == [3, 6]
    found = ts.checkpoints.inspect(tmp_path, step=3).metadata
    assert (found["tokens"], found["loader"]["samples"]) == (3 * 48, 3 * 4)
    assert "while step 5 is on its way" in refused[0] and "train.eval_every" in refused[0]
    assert "train.sample_every" in refused[1]
    # From there on, a run is as it was.
    (tmp_path / "step-00000006/checkpoint.json").unlink(missing_ok=True)
    for part in (tmp_path / "step-00000006").iterdir():
        part.unlink()
    again = Recorder()
    ts.Trainer(None, in_folder(tmp_path, "data.eval_fraction=0.2"), callbacks=[again]).fit()
    assert again.losses == recorder.losses[3:]


def test_running_again_after_an_interruption_loses_nothing():
    def interrupted():
        raise KeyboardInterrupt

    recorder = Recorder({3: interrupted})
    trainer = ts.Trainer(None, train_cases.config(), callbacks=[recorder])
    with pytest.raises(KeyboardInterrupt):
        trainer.fit()
    assert trainer.reason == "stopped" and len(recorder.steps) == 3
    recorder.at = {}
    trainer.fit()
    assert [record["step"] for record in recorder.steps] == [1, 2, 3, 1, 2, 3, 4, 5, 6]
    assert recorder.losses[3:6] == recorder.losses[:3]
    assert recorder.steps[-1]["tokens_total"] == 6 * 48


def test_weights_that_were_given_are_there_once():
    given = train_cases.config()
    model = ts.models.GPT2({**given.model.config, "vocab_size": 257}).init(ts.random.key(1))
    recorder = Recorder({2: lambda: 1 / 0})
    trainer = ts.Trainer(model, given, callbacks=[recorder])
    with pytest.raises(ZeroDivisionError):
        trainer.fit()
    with pytest.raises(ts.ConfigError, match="make a new ts.Trainer"):
        trainer.fit()


def test_one_training_at_a_time_in_a_folder(tmp_path):
    def second():
        other = ts.Trainer(None, in_folder(tmp_path, "train.steps=9"),
                           callbacks=[ts.monitor.JSONLWriter(tmp_path / "metrics.jsonl")])
        other.fit()

    recorder = Recorder({2: second})
    with pytest.raises(ts.CheckpointError, match="another training runs in") as caught:
        ts.Trainer(None, in_folder(tmp_path), callbacks=[recorder]).fit()
    assert caught.value.location.file == __file__  # Not contextlib's.
    assert caught.value.code == "TS6009" and "a directory of its own" in str(caught.value)
    assert not (tmp_path / "metrics.jsonl").exists()
    assert ts.TrainConfig.from_file(tmp_path / "config.yaml").train.steps == 6
    ts.Trainer(None, in_folder(tmp_path)).fit()  # The lock is free again.


def test_nothing_is_written_where_a_callback_cannot_start(tmp_path):
    taken = ts.monitor.PrometheusExporter(0)
    taken.on_start(ts.monitor.RunInfo(tmp_path))
    try:
        trainer = ts.Trainer(None, in_folder(tmp_path / "run"),
                             callbacks=[ts.monitor.PrometheusExporter(taken.port)])
        with pytest.raises(ts.ConfigError, match="is in use"):
            trainer.fit()
    finally:
        taken.on_end({"event": "end"})
    assert not (tmp_path / "run/config.yaml").exists()
    trainer.fit()
    assert trainer.reason == "done"
