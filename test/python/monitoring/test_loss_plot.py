# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The plot of the loss: a whole PNG at all times, with what there is to see in it."""

import math
import subprocess
import sys

import numpy as np
import pytest
from refusals import check
from runs import END, play, run_info, step_record

import tessera as ts
from tessera._src.monitoring import loss_plot

RED = (0xB2, 0x18, 0x2B)
ORANGE = (0xD9, 0x5F, 0x02)
BLUE = (0x08, 0x51, 0x9C)


def pixels(path):
    from matplotlib.image import imread

    return (imread(str(path))[..., :3] * 255).round().astype(int)


def has_colour(image, colour):
    return int((np.abs(image - colour).max(-1) <= 8).sum())


@pytest.mark.quick
def test_plot_is_a_png_with_curves(tmp_path):
    path = tmp_path / "out" / "loss.png"
    play([ts.monitor.LossPlot(path)], tmp_path)
    assert path.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    image = pixels(path)
    assert image.shape == (720, 1080, 3)
    for colour in (BLUE, ORANGE, RED):
        assert has_colour(image, colour) > 20, colour
    assert [file.name for file in path.parent.iterdir()] == ["loss.png"]


def test_nothing_is_marked_where_nothing_was_skipped(tmp_path):
    path = tmp_path / "loss.png"
    plot = ts.monitor.LossPlot(path)
    plot.on_start(run_info(tmp_path))
    for step in range(1, 9):
        plot.on_step(step_record(step))
    plot.on_end(END)
    image = pixels(path)
    assert has_colour(image, BLUE) > 20 and not has_colour(image, RED) and not has_colour(image, ORANGE)


@pytest.mark.parametrize("losses", [[], [math.nan], [math.nan, math.inf, 2.0], [3.0], [2.0] * 5])
def test_few_or_odd_losses_are_drawn(tmp_path, losses):
    path = tmp_path / "loss.png"
    plot = ts.monitor.LossPlot(path)
    plot.on_start(run_info(tmp_path))
    for step, loss in enumerate(losses, 1):
        plot.on_step(step_record(step, loss=loss, lr=None))
    plot.on_end(END)
    assert pixels(path).shape == (720, 1080, 3)


def test_drawing_takes_a_small_part_of_the_time(tmp_path, monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(loss_plot.time, "monotonic", lambda: clock[0])
    plot = ts.monitor.LossPlot(tmp_path / "loss.png", seconds=10)
    drawn = []

    def picture():
        drawn.append(clock[0])
        clock[0] += 0.5  # A drawing.
        return b"png"

    monkeypatch.setattr(plot, "_picture", picture)
    plot.on_start(run_info(tmp_path))
    for step in range(1, 4001):
        clock[0] += 0.1
        plot.on_step(step_record(step))
    plot.on_end(END)
    pauses = np.diff(drawn[:-1])
    assert drawn[0] >= 110 and pauses[0] >= 10  # The first one, which loads the library, counts for none.
    assert (pauses[1:] >= 0.5 / 0.005).all() and len(pauses) >= 3
    assert drawn[-1] == pytest.approx(clock[0] - 0.5)  # The end is drawn in any case.


def test_resumed_training_draws_the_steps_before(tmp_path):
    play([ts.monitor.JSONLWriter(tmp_path / "metrics.jsonl")], tmp_path, last=12, end=None)
    plot = ts.monitor.LossPlot(tmp_path / "loss.png")
    log = ts.monitor.JSONLWriter(tmp_path / "metrics.jsonl")
    play([plot, log], tmp_path, first=11)
    assert [step for step, _, _ in plot._steps] == list(range(1, 21))
    assert [step for step, _ in plot._evaluations] == [5, 10, 15, 20] and plot._skips == [7, 8]


def test_long_curves_are_thinned_to_means():
    steps = np.arange(1.0, 10_001.0)
    x, y = loss_plot._thinned(steps, 2 * steps)
    assert len(x) <= 1500 and np.allclose(y, 2 * x) and x[-1] == pytest.approx(10_000, abs=7)
    mean = loss_plot._running_mean(np.array([1.0] * 19 + [21.0] * 21))
    assert mean[0] == 1 and mean[18] == 1 and mean[19] == 21 and mean[39] == 21


def test_a_picture_that_is_none(tmp_path):
    with pytest.raises(ts.ConfigError) as error:
        ts.monitor.LossPlot(tmp_path / "loss.jpg")
    check(error, "TS4040", "loss.jpg", ".png")
    (tmp_path / "loss.png").mkdir()
    with pytest.raises(ts.ConfigError) as error:
        ts.monitor.LossPlot(tmp_path / "loss.png").on_start(run_info(tmp_path))
    check(error, "TS4043", "cannot be written")


def test_the_library_is_loaded_with_the_first_picture(tmp_path):
    """Importing it takes longer than the other parts of a start."""
    code = ("import sys, tessera as ts\n"
            f"plot = ts.monitor.LossPlot({str(tmp_path / 'loss.png')!r})\n"
            f"plot.on_start(ts.monitor.RunInfo({str(tmp_path)!r}))\n"
            "print([name for name in ('matplotlib', 'rich', 'prometheus_client', 'torch')"
            " if name in sys.modules])\n")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]" and not (tmp_path / "loss.png").exists()


def test_without_the_library(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ts.ConfigError) as error:
        ts.monitor.LossPlot(tmp_path / "loss.png")
    check(error, "TS4041", "needs the library matplotlib", "pip install matplotlib")
