# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Progress: a bar on a terminal, few lines elsewhere, and never the end of a training."""

import io
import re
import sys

import pytest
from runs import END, play, run_info, step_record

import tessera as ts
from tessera._src.monitoring.records import count_text, duration_text


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self):
        return True


def without_escapes(text):
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)


@pytest.mark.quick
def test_lines_where_there_is_no_terminal(tmp_path):
    stream = io.StringIO()
    play([ts.monitor.Progress(stream, steps=8)], tmp_path)
    lines = stream.getvalue().splitlines()
    assert lines[0] == ("1.23M parameters, dp=2, 96 tokens a step, 7.50M flop a token, peak 100Gflop/s")
    steps = [int(line.split()[1].partition("/")[0]) for line in lines if re.match(r"step \d+/20", line)]
    assert steps == [1, 9, 17, 20]
    assert "loss 7  grad 2.5  lr 1.00e-03  384 tok/s  MFU 2.9 %  0:00:0" in lines[1]
    assert any("skipped 2" in line for line in lines)
    assert "step 5: evaluation loss 1.6, perplexity 4.953" in lines
    assert lines[-1] == "done at step 20 of 20"


def test_time_passes_between_lines(tmp_path):
    stream = io.StringIO()
    play([ts.monitor.Progress(stream, steps=10**6, seconds=0.0)], tmp_path)
    assert stream.getvalue().count("/20  loss") == 20


def test_bar_on_a_terminal(tmp_path, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "150")
    stream = Terminal()
    play([ts.monitor.Progress(stream)], tmp_path)
    text = without_escapes(stream.getvalue())
    assert "20/20" in text and "loss 0.35" in text and "skipped 2" in text and "MFU 2.9 %" in text
    assert "step 5: evaluation loss 1.6, perplexity 4.953" in text
    assert "━" in text


@pytest.mark.parametrize("terminal", [False, True])
def test_a_stream_without_all_characters_is_not_given_up(tmp_path, terminal, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    content = io.BytesIO()
    stream = io.TextIOWrapper(content, "ascii", write_through=True)
    stream.isatty = lambda: terminal
    progress = ts.monitor.Progress(stream, steps=1)
    progress.on_start(run_info(tmp_path))
    progress.on_event({"event": "sample", "step": 1, "text": "caf\u00e9 \x1b[2J\x07 end"})
    progress.on_step(step_record(2))
    progress.on_end(END)
    text = content.getvalue().decode("ascii")
    assert "sample: caf? \\x1b[2J\\x07 end" in text and "done at step" in text


def test_without_rich_lines_say_so(tmp_path, monkeypatch):
    for name in [name for name in sys.modules if name == "rich" or name.startswith("rich.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "rich", None)
    stream = Terminal()
    play([ts.monitor.Progress(stream, steps=5)], tmp_path)
    lines = stream.getvalue().splitlines()
    assert "the library rich is not installed (pip install rich)" in lines[0]
    assert any(line.startswith("step 20/20  loss 0.35") for line in lines)


@pytest.mark.parametrize("terminal", [False, True])
def test_stream_that_goes_away_is_given_up(tmp_path, terminal, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal() if terminal else io.StringIO()
    progress = ts.monitor.Progress(stream, steps=1)
    progress.on_start(run_info(tmp_path))
    progress.on_step(step_record(1))
    stream.close()
    for step in (2, 3):
        progress.on_step(step_record(step))
        progress.on_event({"event": "message", "text": "nobody sees this"})
    progress.on_end(END)


def test_events_and_failures_are_lines(tmp_path):
    stream = io.StringIO()
    progress = ts.monitor.Progress(stream)
    progress.on_start(run_info(tmp_path, first_step=4))
    progress.on_step(step_record(5))
    for event in ({"event": "sample", "step": 5, "text": "[bold]Once"},
                  {"event": "save", "step": 5, "folder": "run/step-5", "seconds": 1.25, "bytes": 2_500_000},
                  {"event": "skip", "step": 5, "reason": "infinite gradient", "loss_scale": 512.0}):
        progress.on_event(event)
    progress.on_end({"event": "end", "reason": "failed", "step": 5, "error": "out of tea"})
    text = stream.getvalue()
    assert "goes on after step 4" in text
    for line in ("step 5: sample: [bold]Once", "step 5: saved run/step-5, 2.50MB in 1.2 s",
                 "step 5: update left out: infinite gradient, loss scale 512",
                 "failed at step 5 of 20: out of tea"):
        assert line in text.splitlines(), text


@pytest.mark.parametrize("value, text", [
    (0, "0"), (96, "96"), (384.25, "384"), (2.5, "2.50"), (999.7, "1.00k"), (12_345, "12.3k"),
    (123_456, "123k"), (1.5e9, "1.50G"), (4e16, "40.0P")])
def test_counts_have_three_digits(value, text):
    assert count_text(value) == text


def test_durations():
    assert duration_text(7.4) == "0:00:07"
    assert duration_text(3 * 86400 + 4 * 3600 + 5 * 60 + 6) == "3 d 04:05:06"
