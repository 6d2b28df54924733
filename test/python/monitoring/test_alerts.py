# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Alerts: once when something goes wrong, and never the end of a training."""

import math

from runs import run_info, step_record

import tessera as ts


def alerts_of(records, *rules):
    found = []
    callback = ts.monitor.Alerts(*rules, notify=found.append)
    callback.on_start(run_info("."))
    for record in records:
        callback.on_step(record)
    return [(alert.rule, alert.step) for alert in found], found


def test_nothing_is_said_of_a_training_that_goes_well():
    assert alerts_of(step_record(step) for step in range(1, 200))[0] == []


def test_loss_that_is_not_finite_is_said_once_and_again_later():
    bad = (5, 6, 7, 20)
    said, alerts = alerts_of(step_record(s, loss=math.nan if s in bad else 2.0) for s in range(1, 30))
    assert said == [("loss_not_finite", 5), ("loss_not_finite", 20)]
    assert alerts[0].message == "the loss is nan"


def test_loss_that_stays_up_is_said_and_a_spike_is_not():
    def losses(high):
        return (step_record(s, loss=4.0 if s in high else 2.0) for s in range(1, 101))

    assert alerts_of(losses({50, 51, 52}))[0] == []
    assert alerts_of(losses(range(50, 80)))[0] == [("loss_has_risen", 59)]


def test_updates_and_data():
    said, _ = alerts_of(step_record(s, skipped=max(0, s - 10)) for s in range(1, 20))
    assert said == [("updates_left_out", 15)]
    said, _ = alerts_of(step_record(s, wait_seconds=0.1) for s in range(1, 30))
    assert said == [("data_are_slow", 20)]


def test_rules_of_the_user():
    rule = ts.monitor.AlertRule("slow", lambda record, before: record["tokens_per_second"] < 100,
                                "{tokens_per_second:.0f} tokens per second", steps=2)
    said, alerts = alerts_of([step_record(s, tokens_per_second=50.0 * s) for s in (1, 1, 1, 4, 1)], [rule])
    assert said == [("slow", 1)] and alerts[0].message == "50 tokens per second"


def test_who_cannot_be_told_does_not_end_the_training(capsys):
    def fail(alert):
        raise OSError("no route")

    callback = ts.monitor.Alerts(notify=fail)
    callback.on_start(run_info("."))
    callback.on_step(step_record(1, loss=math.inf))
    assert "reached nobody: OSError: no route" in capsys.readouterr().err
    callback = ts.monitor.Alerts()
    callback.on_step(step_record(3, loss=math.inf))
    assert capsys.readouterr().err == "alert loss_not_finite at step 3: the loss is inf\n"
