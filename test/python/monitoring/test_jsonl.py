# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The log: valid JSON whatever the numbers are, and each step once whatever kills the training."""

import io
import json
import math
import os
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest
from refusals import check
from runs import play, run_info, step_record

import tessera as ts


def no_constants(text):
    raise AssertionError(f"{text} is not JSON")


def lines_of(path):
    return [json.loads(line, parse_constant=no_constants) for line in path.read_text().splitlines()]


@pytest.mark.quick
def test_log_is_read_back_as_columns(tmp_path):
    path = tmp_path / "run" / "metrics.jsonl"
    play([ts.monitor.JSONLWriter(path)], tmp_path / "run")
    columns = ts.monitor.read_metrics(path)
    assert columns["step"].tolist() == list(range(1, 21)) and columns["step"].dtype == np.int64
    expected = [math.nan if step in (7, 8) else 7.0 / step for step in range(1, 21)]
    np.testing.assert_array_equal(columns["loss"], expected)
    assert columns["loss"].dtype == np.float64 and columns["skipped"].tolist()[-1] == 2
    evaluations = ts.monitor.read_metrics(tmp_path / "run", "evaluation")  # By its folder as well.
    assert evaluations["step"].tolist() == [5, 10, 15, 20]
    start, end = lines_of(path)[0], lines_of(path)[-1]
    assert start["event"] == "start" and start["parameters"] == 1_234_567
    assert start["config"] == {"model": {"name": "tiny"}}
    assert end["event"] == "end" and end["reason"] == "done"


def test_numbers_that_json_has_not_are_null_and_named(tmp_path):
    path = tmp_path / "metrics.jsonl"
    log = ts.monitor.JSONLWriter(path)
    log.on_step(step_record(1, loss=math.nan, grad_norm=-math.inf, norms={"a.b": 1.0, "w": [2.0, math.inf]}))
    log.on_step(step_record(2, loss=np.float32(0.25), tokens=np.int64(5)))
    line = lines_of(path)[0]
    assert line["loss"] is None and line["grad_norm"] is None and line["norms"]["w"] == [2.0, None]
    assert line["nonfinite"] == {"loss": "nan", "grad_norm": "-inf", "norms.w.1": "inf"}
    first, second = ts.monitor.read_records(path)
    assert math.isnan(first["loss"]) and first["grad_norm"] == -math.inf
    assert first["norms"]["w"][1] == math.inf
    assert "nonfinite" not in first and second["loss"] == 0.25 and second["tokens"] == 5


def test_missing_numbers_and_texts_have_columns(tmp_path):
    path = tmp_path / "metrics.jsonl"
    log = ts.monitor.JSONLWriter(path)
    for record in ({"step": 1, "mfu": None}, {"step": 2, "mfu": 0.5, "text": "a"}, {"step": 3, "scale": 8}):
        log.on_event({"event": "step", **record})
    columns = ts.monitor.read_metrics(path)
    np.testing.assert_array_equal(columns["mfu"], [math.nan, 0.5, math.nan])
    np.testing.assert_array_equal(columns["scale"], [math.nan, math.nan, 8.0])
    assert columns["text"] == [None, "a", None]


def test_resumed_log_has_each_step_once(tmp_path):
    path = tmp_path / "metrics.jsonl"
    play([ts.monitor.JSONLWriter(path)], tmp_path, last=13, end=None)
    with open(path, "ab") as file:
        file.write(b'{"event": "step", "step": 14, "lo')  # As SIGKILL may leave it.
    play([ts.monitor.JSONLWriter(path)], tmp_path, first=11)
    assert ts.monitor.read_metrics(path)["step"].tolist() == list(range(1, 21))
    assert ts.monitor.read_metrics(path, "evaluation")["step"].tolist() == [5, 10, 15, 20]
    assert ts.monitor.read_metrics(path, "start")["step"].tolist() == [0, 10]
    cut = lines_of(tmp_path / "metrics.jsonl.cut")  # Nothing but the half line is lost.
    assert [record["step"] for record in cut] == [11, 12, 13]


def test_what_is_said_late_of_an_earlier_step_stays(tmp_path):
    """A checkpoint is written while the next steps run."""
    path = tmp_path / "metrics.jsonl"
    log = ts.monitor.JSONLWriter(path)
    log.on_start(run_info(tmp_path))
    for record in (step_record(1), step_record(2), step_record(3),
                   {"event": "save", "step": 2, "folder": "f"}, {"event": "message", "text": "of no step"},
                   {"event": "save", "step": 3, "folder": "g"}):
        (log.on_step if record["event"] == "step" else log.on_event)(record)
    log.on_end({"event": "end", "reason": "failed", "step": 2, "error": "e"})
    ts.monitor.JSONLWriter(path).on_start(run_info(tmp_path, first_step=2))
    assert [(r["event"], r.get("step")) for r in lines_of(path)] == [
        ("start", 0), ("step", 1), ("step", 2), ("save", 2), ("start", 2)]
    assert [(r["event"], r.get("step")) for r in lines_of(tmp_path / "metrics.jsonl.cut")] == [
        ("step", 3), ("message", None), ("save", 3), ("end", 2)]


def test_training_that_begins_anew_moves_all_of_the_old_log(tmp_path):
    path = tmp_path / "metrics.jsonl"
    play([ts.monitor.JSONLWriter(path)], tmp_path, last=4)
    play([ts.monitor.JSONLWriter(path)], tmp_path, last=3)
    assert ts.monitor.read_metrics(path)["step"].tolist() == [1, 2, 3]
    cut = lines_of(tmp_path / "metrics.jsonl.cut")
    assert [r["step"] for r in cut] == [1, 2, 3, 4, 4] and cut[-1]["event"] == "end"


def test_log_survives_a_kill(tmp_path):
    """A process that is killed while it writes leaves whole lines of the steps that it did."""
    path = tmp_path / "metrics.jsonl"
    program = textwrap.dedent(f"""
        import sys
        from runs import run_info, step_record
        import tessera as ts
        log = ts.monitor.JSONLWriter({str(path)!r})
        log.on_start(run_info("."))
        for step in range(1, 10**9):
            log.on_step(step_record(step))
            if step % 100 == 0:
                print(step, flush=True)
    """)
    child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True,
                             env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
    try:
        for _ in range(5):
            done = int(child.stdout.readline())
        time.sleep(0.013)
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait(timeout=20)
        child.stdout.close()
    steps = ts.monitor.read_metrics(path)["step"]
    assert len(steps) >= done and steps.tolist() == list(range(1, len(steps) + 1))
    log = ts.monitor.JSONLWriter(path)
    log.on_start(run_info(tmp_path, first_step=done - 50))
    log.on_step(step_record(done - 49))
    assert ts.monitor.read_metrics(path)["step"].tolist() == list(range(1, done - 48))


def test_a_full_disk_at_the_end_leaves_no_file_open(tmp_path):
    class Full(io.BytesIO):
        def write(self, data):
            raise OSError(28, "No space left on device")

    log = ts.monitor.JSONLWriter(tmp_path / "metrics.jsonl")
    log.on_start(run_info(tmp_path))
    log._file.close()
    log._file = full = Full()
    with pytest.raises(ts.ConfigError) as error:
        log.on_end({"event": "end", "reason": "done", "step": 0})
    check(error, "TS4043", "No space left")
    assert full.closed and log._file is None


def test_damage_is_named(tmp_path):
    path = tmp_path / "metrics.jsonl"
    with pytest.raises(ts.DataError) as error:
        ts.monitor.read_metrics(path)
    check(error, "TS7009", "cannot be read", "JSONLWriter")
    path.write_text('{"event": "step", "step": 1}\n[3]\n{"event": "step", "step": 2}\n')
    with pytest.raises(ts.DataError) as error:
        ts.monitor.read_metrics(path)
    check(error, "TS7009", "line 2", "not an object")


def test_log_that_cannot_be_written_is_an_error_before_the_first_step(tmp_path):
    (tmp_path / "metrics.jsonl").mkdir()
    with pytest.raises(ts.ConfigError) as error:
        ts.monitor.JSONLWriter(tmp_path / "metrics.jsonl").on_start(run_info(tmp_path))
    check(error, "TS4043", "cannot be written")
