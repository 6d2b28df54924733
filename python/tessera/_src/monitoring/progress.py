# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The progress of a training: a bar on a terminal, lines elsewhere."""

from __future__ import annotations

import collections
import contextlib
import sys
import time
from collections.abc import Mapping
from typing import Any, TextIO

from tessera._src.monitoring import optional
from tessera._src.monitoring.callback import Callback, RunInfo
from tessera._src.monitoring.records import count_text, duration_text, percent_text, printable_text

# A bar is drawn at most once in this time, by the training's thread.
_REDRAW_SECONDS = 0.1
# Steps whose mean time the remaining time is made of.
_WINDOW = 50


class Progress(Callback):
    """Shows loss, gradient norm, tokens per second, MFU, skipped steps and the time that is left.

    On a terminal this is a bar, drawn by the library rich. Where the stream is none (a file, a pipe), or
    rich is not installed, it is a line at the first and the last step, and between them whenever `steps`
    steps or `seconds` seconds have passed since the last one. What happens besides steps is a line in
    either case. A stream that is closed meanwhile, as that of a terminal which goes away, is given up, and
    the training goes on.

    Args:
        stream: standard error by default.
        steps, seconds: between lines.
    """

    def __init__(self, stream: TextIO | None = None, *, steps: int = 100, seconds: float = 30.0):
        self.stream = stream
        self.steps, self.seconds = steps, seconds
        self._bar: Any = None
        self._task: Any = None
        self._is_open = False
        self._total = self._last_step = self._shown_step = 0
        self._shown_time = 0.0
        self._shown_line = ""
        self._times: collections.deque[float] = collections.deque(maxlen=_WINDOW + 1)

    def on_start(self, run: RunInfo) -> None:
        self._total, self._last_step, self._is_open = run.steps, run.first_step, True
        self._times.clear()
        self._times.append(time.monotonic())
        stream = self._stream()
        if stream is None:
            return
        parts = [f"{count_text(run.parameters)} parameters", run.mesh or "one device",
                 f"{count_text(run.tokens_per_step)} tokens a step"]
        if run.flops_per_token:
            parts.append(f"{count_text(run.flops_per_token)} flop a token")
        if run.peak_flops:
            parts.append(f"peak {count_text(run.peak_flops)}flop/s")
        if run.first_step:
            parts.append(f"goes on after step {run.first_step}")
        is_terminal = bool(getattr(stream, "isatty", lambda: False)())
        if is_terminal:
            self._bar = _make_bar(stream)
        if is_terminal and self._bar is None:
            parts.append("no progress bar, as the library rich is not installed (pip install rich)")
        if self._bar is not None:
            with self._giving_up():
                self._bar.start()
                self._task = self._bar.add_task("", total=run.steps, completed=run.first_step,
                                                numbers="", left="-")
        self._print(", ".join(parts))

    def on_step(self, record: Mapping[str, Any]) -> None:
        now = time.monotonic()
        self._times.append(now)
        self._last_step = record["step"]
        if self._bar is not None:
            with self._giving_up():
                self._bar.update(self._task, completed=record["step"], numbers=_numbers(record),
                                 left=self._left())
                if now - self._shown_time >= _REDRAW_SECONDS:
                    self._bar.refresh()
                    self._shown_time = now
            return
        self._shown_line = f"step {record['step']}/{self._total}  {_numbers(record)}  {self._left()} left"
        is_due = record["step"] - self._shown_step >= self.steps or now - self._shown_time >= self.seconds
        if not self._shown_time or is_due or record["step"] == self._total:
            self._show(now)

    def on_event(self, record: Mapping[str, Any]) -> None:
        line = _event_line(record)
        if line:
            self._print(line)

    def on_end(self, record: Mapping[str, Any]) -> None:
        if self._shown_line:
            self._show(time.monotonic())
        if self._bar is not None:
            with self._giving_up():
                self._bar.refresh()
                self._bar.stop()
            self._bar = None
        how = record.get("reason", "ended")
        error = f": {record['error']}" if record.get("error") else ""
        self._print(f"{how} at step {record.get('step', self._last_step)} of {self._total}{error}")
        self._is_open = False

    def _left(self) -> str:
        """The time that is left, by what the last steps took with all that was between them."""
        mean = (self._times[-1] - self._times[0]) / max(len(self._times) - 1, 1)
        return duration_text(mean * (self._total - self._last_step))

    def _stream(self) -> TextIO | None:
        return sys.stderr if self.stream is None else self.stream

    def _show(self, now: float) -> None:
        self._print(self._shown_line)
        self._shown_step, self._shown_time, self._shown_line = self._last_step, now, ""

    def _print(self, line: str) -> None:
        stream = self._stream()
        if stream is None or not self._is_open:
            return
        # What the stream's encoding does not have is shown as a question mark.
        encoding = getattr(stream, "encoding", None) or "utf-8"
        line = line.encode(encoding, "replace").decode(encoding)
        with self._giving_up():
            if self._bar is not None:
                self._bar.console.print(line, markup=False, highlight=False)
            else:
                print(line, file=stream, flush=True)

    @contextlib.contextmanager
    def _giving_up(self):
        """Stops showing anything where the stream is closed or cannot take more."""
        try:
            yield
        except UnicodeEncodeError:  # A bar's own characters; lines have been made to fit.
            self._bar = None
        except (OSError, ValueError):  # ValueError: of a file that was closed.
            self._is_open, self._bar = False, None


def _make_bar(stream: TextIO) -> Any:
    """A bar of rich; None where it is not installed."""
    rich, console = optional.find("rich.progress"), optional.find("rich.console")
    if rich is None or console is None:
        return None
    return rich.Progress(
        rich.BarColumn(bar_width=20), rich.MofNCompleteColumn(), rich.TextColumn("{task.fields[numbers]}"),
        rich.TextColumn("{task.fields[left]} left"),
        console=console.Console(file=stream), auto_refresh=False, redirect_stdout=False,
        redirect_stderr=False)


def _numbers(record: Mapping[str, Any]) -> str:
    """The numbers of a step."""
    parts = [f"loss {_number(record.get('loss'))}", f"grad {_number(record.get('grad_norm'))}"]
    if record.get("lr") is not None:
        parts.append(f"lr {record['lr']:.2e}")
    if record.get("tokens_per_second") is not None:
        parts.append(f"{count_text(record['tokens_per_second'])} tok/s")
    if record.get("mfu") is not None:
        parts.append(f"MFU {percent_text(record['mfu'])}")
    if record.get("skipped"):
        parts.append(f"skipped {record['skipped']}")
    return "  ".join(parts)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def _event_line(record: Mapping[str, Any]) -> str:
    """What is said of something other than a step."""
    event, step = record.get("event"), record.get("step")
    if event == "evaluation":
        rest = f", perplexity {_number(record['perplexity'])}" if "perplexity" in record else ""
        return f"step {step}: evaluation loss {_number(record.get('loss'))}{rest}"
    if event == "sample":
        return f"step {step}: sample: {printable_text(record.get('text', ''))}"
    if event == "save":
        size = f", {count_text(record['bytes'])}B" if "bytes" in record else ""
        seconds = f" in {record['seconds']:.1f} s" if "seconds" in record else ""
        return f"step {step}: saved {record.get('folder', '')}{size}{seconds}"
    if event == "skip":
        scale = f", loss scale {_number(record['loss_scale'])}" if record.get("loss_scale") else ""
        return f"step {step}: update left out: {record.get('reason', '')}{scale}"
    return str(record.get("text", ""))
