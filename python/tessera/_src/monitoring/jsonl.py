# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The log of a training, metrics.jsonl: a record a line, each step once."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from tessera._src.core.errors import ConfigError, DataError
from tessera._src.monitoring import records
from tessera._src.monitoring.callback import Callback, RunInfo


class JSONLWriter(Callback):
    """Writes every record of a training to a file, as one line of JSON each.

    A line is handed to the system as it comes, so that the death of the process loses none; where the
    machine itself fails, the last seconds may be lost. The file begins with a record "start", which has
    what RunInfo has. See `records.py` for infinities and NaN.

    Where a training resumes at step k, the log goes on after step k: lines of later steps, which a run
    has written that ended before its next save, are moved to PATH.cut, and half a line at the end of the
    file is removed. So every reader of the file sees each step once, in order.
    """

    def __init__(self, path: str | os.PathLike):
        self.path = Path(path)
        self._file: BinaryIO | None = None

    def on_start(self, run: RunInfo) -> None:
        """Raises: ConfigError: the file cannot be written."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = open(self.path, "ab")
            _cut(self.path, run.first_step)
        except OSError as error:
            raise ConfigError("TS4043", f"{self.path} cannot be written: {error.strerror}") from None
        self._write({"event": "start", "step": run.first_step, "time": time.time(), "steps": run.steps,
                     "parameters": run.parameters, "flops_per_token": run.flops_per_token,
                     "peak_flops": run.peak_flops, "devices": run.devices, "mesh": run.mesh,
                     "tokens_per_step": run.tokens_per_step, "config": dict(run.config)})

    def on_step(self, record: Mapping[str, Any]) -> None:
        self._write(record)

    def on_event(self, record: Mapping[str, Any]) -> None:
        self._write(record if "time" in record else {**record, "time": time.time()})

    def on_end(self, record: Mapping[str, Any]) -> None:
        try:
            self._write(record if "time" in record else {**record, "time": time.time()})
        finally:
            if self._file is not None:
                self._close()

    def _close(self) -> None:
        file, self._file = self._file, None
        with contextlib.suppress(OSError):  # Each write was flushed; what failed was said then.
            file.close()  # type: ignore[union-attr]

    def _write(self, record: Mapping[str, Any]) -> None:
        try:
            if self._file is None:
                self._file = open(self.path, "ab")
            # One write of the system: a reader never sees a line in pieces but where it is killed or full.
            self._file.write(records.to_line(record).encode() + b"\n")
            self._file.flush()
        except OSError as error:
            raise ConfigError("TS4043", f"{self.path} cannot be written: {error.strerror}") from None


def _cut(path: Path, step: int) -> None:
    """Moves what is after a step to PATH.cut; removes half a line at the end.

    That is all from the first line of a later step on, but for what is said of an earlier step there, as
    that a checkpoint is complete, whose writing goes on during the next steps.
    """
    with open(path, "r+b") as file:
        keep = 0
        kept, later = [], []
        for line in file:
            if not line.endswith(b"\n"):
                break
            its_step = _step_of(line)
            if its_step > step or later:
                (kept if 0 <= its_step <= step else later).append(line)
            else:
                keep += len(line)
        if later:
            with open(path.with_name(path.name + ".cut"), "ab") as cut:
                cut.writelines(later)
        file.truncate(keep)
        file.seek(keep)
        file.writelines(kept)


def _step_of(line: bytes) -> float:
    """The step that a line is about; -1 of what is about none, such as the end of a run."""
    try:
        record = records.from_line(line)
    except (ValueError, LookupError, AttributeError, TypeError):
        return -1  # Damaged; reading it says so.
    step = record.get("step")
    return step if isinstance(step, (int, float)) and record.get("event") not in ("start", "end") else -1


def read_records(path: str | os.PathLike) -> Iterator[dict[str, Any]]:
    """The records of a log, one by one; half a line at the end, which is being written, is left out.

    Raises:
        DataError: the file is missing, or a line in it is damaged; names the line.
    """
    try:
        with open(path, "rb") as file:
            for number, line in enumerate(file, 1):
                if not line.endswith(b"\n"):
                    return
                try:
                    yield records.from_line(line)
                except (ValueError, LookupError, AttributeError, TypeError) as error:
                    raise DataError("TS7009", f"{path}, line {number} is no record of a training: {error}",
                                    hint="remove the line, or move the file away") from None
    except OSError as error:
        raise DataError("TS7009", f"{path} cannot be read: {error.strerror}",
                        hint="a training writes it where it has ts.monitor.JSONLWriter") from None


def read_metrics(path: str | os.PathLike, event: str = "step") -> dict[str, Any]:
    """The records of one kind in a log, as columns of equal length.

    Args:
        path: of metrics.jsonl, or a training's folder with it.
        event: "step", "evaluation", "save" and so on, as in Callback.

    Returns: by name, an array of NumPy: i64 where all values are whole numbers, f64 where all are numbers
        or missing, which is NaN; else a list, with None for what is missing.

    Raises:
        DataError: the file is missing or damaged.
    """
    path = Path(path)
    if path.is_dir():
        path = path / "metrics.jsonl"
    rows = [record for record in read_records(path) if record.get("event") == event]
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: _column([row.get(name) for row in rows]) for name in names}


def _column(values: list[Any]) -> Any:
    if all(type(value) is int and abs(value) < 2**63 for value in values):
        return np.array(values, np.int64)
    if all(value is None or type(value) in (int, float) for value in values):
        return np.array([np.nan if value is None else float(value) for value in values], np.float64)
    return values
