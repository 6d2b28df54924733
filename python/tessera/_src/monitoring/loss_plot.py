# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A picture of a training's loss, drawn as it goes."""

from __future__ import annotations

import errno
import io
import math
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tessera._src.core.errors import ConfigError
from tessera._src.core.files import write_whole
from tessera._src.monitoring import optional
from tessera._src.monitoring.callback import Callback, RunInfo
from tessera._src.monitoring.jsonl import read_records
from tessera._src.monitoring.records import count_text

# Of the picture, in inches and dots per inch.
_SIZE, _DPI = (9.0, 6.0), 120
# Points of a curve; of a longer one, means of as many groups of steps are drawn.
_MAX_POINTS = 1500
# Drawing takes at most this part of the time: while it does, nothing is trained.
_MAX_SHARE = 0.005
# Steps that the smooth curve averages over, as a part of all so far: early ones differ much from each other.
_SMOOTHING = 0.05
_RAW, _SMOOTH, _EVALUATION, _SKIPPED, _RATE = "#9ecae1", "#08519c", "#d95f02", "#b2182b", "#4d4d4d"


class LossPlot(Callback):
    """Draws loss and evaluation loss against the step, and the learning rate below, into a PNG file.

    The losses of the steps are drawn pale, with their mean over the last 5 % of the steps so far on top.
    Steps whose update was left out are marked at the bottom. The file is written whole, at most every
    `seconds` seconds and so rarely that drawing takes less than 0.5 % of the time, and at the end. A
    training that resumes draws what its log, metrics.jsonl in its folder, has of the steps before. The
    library is loaded when the first picture is drawn, which does not delay the first step.

    Args:
        path: of the picture; its name ends in .png.
        seconds: between two writes.
        title: by default the folder's name and the number of parameters.

    Raises:
        ConfigError: the library matplotlib is not installed; from `on_start`, the file cannot be written.
    """

    def __init__(self, path: str | os.PathLike, *, seconds: float = 10.0, title: str | None = None):
        optional.check("matplotlib", "a plot of the loss")
        self.path, self.seconds, self.title = Path(path), seconds, title
        if self.path.suffix != ".png":
            raise ConfigError("TS4040", f"a plot is not written to {self.path}", expected="a name in .png")
        self._steps: list[tuple[int, float, float]] = []  # Step, loss, learning rate.
        self._evaluations: list[tuple[int, float]] = []
        self._skips: list[int] = []
        self._skipped = 0
        self._drawn, self._cost = 0.0, 0.0
        self._pictures = 0
        self._shown_title = ""

    def on_start(self, run: RunInfo) -> None:
        name = Path(os.path.abspath(run.folder)).name
        self._shown_title = self.title or f"{name} ({count_text(run.parameters)} parameters)"
        log = Path(run.folder) / "metrics.jsonl"
        if run.first_step and log.exists():
            for record in read_records(log):
                if record.get("step", 0) <= run.first_step:
                    self._take(record)
        self._check_writable()
        self._drawn = time.monotonic()

    def on_step(self, record: Mapping[str, Any]) -> None:
        self._take(record)
        self._draw_if_due()

    def on_event(self, record: Mapping[str, Any]) -> None:
        self._take(record)
        self._draw_if_due()

    def on_end(self, record: Mapping[str, Any]) -> None:
        self._draw()

    def _take(self, record: Mapping[str, Any]) -> None:
        event = record.get("event")
        if event == "step":
            skipped = record.get("skipped") or 0
            if skipped > self._skipped:
                self._skips.append(record["step"])
            self._skipped = skipped
            self._steps.append((record["step"], _number(record.get("loss")), _number(record.get("lr"))))
        elif event == "evaluation" and record.get("step") is not None:
            self._evaluations.append((record["step"], _number(record.get("loss"))))

    def _draw_if_due(self) -> None:
        wait = max(self.seconds, self._cost / _MAX_SHARE)
        if time.monotonic() - self._drawn >= wait:
            self._draw()

    def _check_writable(self) -> None:
        """Raises before the first step for a path where there will be no picture."""
        folder, number = self.path.parent, None
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._refusal(error) from None
        if self.path.is_dir():
            number = errno.EISDIR
        elif not os.access(folder, os.W_OK | os.X_OK):
            number = errno.EACCES
        if number is not None:
            raise self._refusal(OSError(number, os.strerror(number)))

    def _refusal(self, error: OSError) -> ConfigError:
        return ConfigError("TS4043", f"{self.path} cannot be written: {error.strerror}")

    def _draw(self) -> None:
        begin = time.monotonic()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(self.path, self._picture())
        except OSError as error:
            raise self._refusal(error) from None
        self._drawn = time.monotonic()
        # The first picture takes long, as the library and its fonts are loaded.
        self._cost = self._drawn - begin if self._pictures else 0.0
        self._pictures += 1

    def _picture(self) -> bytes:
        """The PNG file. Made without pyplot, whose state is the user's."""
        figures = optional.need("matplotlib.figure", "a plot of the loss")
        agg = optional.need("matplotlib.backends.backend_agg", "a plot of the loss")
        figure = figures.Figure(figsize=_SIZE, dpi=_DPI, layout="constrained")
        agg.FigureCanvasAgg(figure)
        losses, rates = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
        for axes in (losses, rates):
            axes.spines[["top", "right"]].set_visible(False)
            axes.grid(True, color="#e5e5e5", linewidth=0.8)
            axes.set_axisbelow(True)
        values = np.array(self._steps, np.float64).reshape(-1, 3)
        steps, loss, rate = values.T
        self._draw_losses(losses, steps, loss)
        rates.plot(*_thinned(steps, rate), color=_RATE, linewidth=1.4)
        rates.set_ylabel("learning rate")
        rates.ticklabel_format(axis="y", style="sci", scilimits=(-2, 2))
        rates.set_xlabel("step")
        rates.set_ylim(bottom=0)
        if len(steps) > 1:
            first = 0.0 if steps[0] < 0.1 * steps[-1] else steps[0]
            rates.set_xlim(first, steps[-1] + 0.01 * (steps[-1] - first))
        losses.set_title(self._shown_title, loc="left", fontsize=12, fontweight="bold")
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png")
        return buffer.getvalue()

    def _draw_losses(self, axes: Any, steps: np.ndarray, loss: np.ndarray) -> None:
        axes.set_ylabel("loss")
        finite = np.isfinite(loss)
        if finite.any():
            smooth = _running_mean(loss[finite])
            axes.plot(*_thinned(steps[finite], loss[finite]), color=_RAW, linewidth=1.0)
            axes.plot(*_thinned(steps[finite], smooth), color=_SMOOTH, linewidth=1.8,
                      label=f"training, {smooth[-1]:.4g}")
            _limit(axes, loss[finite], smooth, [value for _, value in self._evaluations])
        if self._evaluations:
            at, values = zip(*self._evaluations)
            axes.plot(at, values, color=_EVALUATION, linewidth=1.2, marker="o", markersize=4,
                      label=f"evaluation, {values[-1]:.4g}")
        if self._skips:
            axes.plot(self._skips, np.zeros(len(self._skips)), linestyle="none", marker="|", markersize=10,
                      markeredgewidth=1.4, color=_SKIPPED, transform=axes.get_xaxis_transform(),
                      clip_on=False, label=f"updates left out, {len(self._skips)}")
        if axes.get_legend_handles_labels()[0]:
            axes.legend(loc="upper right", frameon=False)


def _number(value: Any) -> float:
    return float(value) if isinstance(value, (int, float)) else math.nan


def _thinned(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A curve of at most _MAX_POINTS points: means of as many equal groups, without what is left over at
    the beginning."""
    group = -(-len(x) // _MAX_POINTS)
    if group <= 1:
        return x, y
    left = len(x) % group
    return x[left:].reshape(-1, group).mean(1), y[left:].reshape(-1, group).mean(1)


def _running_mean(values: np.ndarray) -> np.ndarray:
    """For each value the mean of those before it and it, over the last part _SMOOTHING of them."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    ends = np.arange(1, len(values) + 1)
    begins = ends - np.maximum(1, (_SMOOTHING * ends).astype(int))
    return (sums[ends] - sums[begins]) / (ends - begins)


def _limit(axes: Any, loss: np.ndarray, smooth: np.ndarray, evaluations: list[float]) -> None:
    """Leaves spikes out of the picture that would press all else into a line."""
    shown = np.concatenate([smooth, [value for value in evaluations if math.isfinite(value)]])
    low = min(float(np.percentile(loss, 0.2)), float(shown.min()))
    high = max(float(np.percentile(loss, 99.8)), float(shown.max()))
    margin = 0.06 * (high - low) or 0.5
    axes.set_ylim(low - margin, high + margin)
