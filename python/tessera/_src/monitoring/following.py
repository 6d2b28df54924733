# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The newest numbers of trainings, from logs that they are writing."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from pathlib import Path

from tessera._src.core.errors import DataError
from tessera._src.monitoring import records
from tessera._src.monitoring.metrics import Numbers

LOG = "metrics.jsonl"
# Bytes before the place that was read last, by which a log is known that was cut and has grown again.
_REMEMBERED = 256
# Bytes that are read at a time.
_CHUNK = 1 << 20


class Follower:
    """The newest numbers of one log; `update` reads what was added to it since the last time."""

    def __init__(self, path: Path):
        self.path = path
        self.numbers = Numbers()
        self.unreadable = 0  # Lines that are no records.
        self._offset = 0
        self._before = b""

    def update(self) -> None:
        """Takes the records that are new; all of them where a training has cut its log to resume.

        Raises: OSError: the log cannot be read.
        """
        with open(self.path, "rb") as file:
            begin = max(self._offset - _REMEMBERED, 0)
            file.seek(begin)
            if file.read(self._offset - begin) != self._before:
                self.numbers, self.unreadable, self._offset = Numbers(), 0, 0
                file.seek(0)
            while True:
                data = file.read(_CHUNK)
                while data and not data.endswith(b"\n") and (rest := file.readline()):
                    data += rest
                end = data.rfind(b"\n") + 1
                for line in data[:end].splitlines():
                    self._take(line)
                self._offset += end
                if end < len(data) or not data:
                    break
            begin = max(self._offset - _REMEMBERED, 0)
            file.seek(begin)
            self._before = file.read(self._offset - begin)

    def _take(self, line: bytes) -> None:
        try:
            self.numbers.take(records.from_line(line))
        except (ValueError, LookupError, AttributeError, TypeError):
            self.unreadable += 1


class LogFolder:
    """The logs below a folder, or one log: numbers by run, which is the path of its folder.

    Logs that appear later are found by the next call of `runs`, those that go are forgotten.

    Raises:
        DataError: the path does not exist, or there is no log.
    """

    def __init__(self, path: str | os.PathLike):
        self.path = Path(path)
        self._followers: dict[str, Follower] = {}
        self._lock = threading.Lock()
        if not self.path.exists():
            raise DataError("TS7009", f"{self.path} does not exist",
                            expected=f"a training's {LOG}, or a folder with such files")
        if not self._find():
            raise DataError("TS7009", f"{self.path} has no {LOG}", expected="the folder of a training, or of "
                            "several", hint="a training writes it where it has ts.monitor.JSONLWriter")

    def _find(self) -> dict[str, Path]:
        """The logs there are, by the names of their runs."""
        if not self.path.is_dir():
            return {Path(os.path.abspath(self.path)).parent.name: self.path}
        found = {}
        for folder, inner, files in os.walk(self.path):
            inner[:] = sorted(name for name in inner if not name.startswith((".", "step-")))
            if LOG in files:
                relative = os.path.relpath(folder, self.path)
                name = Path(os.path.abspath(self.path)).name if relative == "." else relative
                found[name] = Path(folder, LOG)
        return found

    def runs(self) -> Mapping[str, Numbers]:
        """The newest numbers by run. Several threads may ask."""
        with self._lock:
            logs = self._find()
            for name in [name for name in self._followers if name not in logs]:
                del self._followers[name]
            for name, path in logs.items():
                follower = self._followers.setdefault(name, Follower(path))
                try:
                    follower.update()
                except OSError:  # It has just gone, or may not be read.
                    del self._followers[name]
            return {name: follower.numbers for name, follower in self._followers.items()}

    def unreadable(self) -> dict[str, int]:
        """Lines that are no records, by run."""
        with self._lock:
            return {name: f.unreadable for name, f in self._followers.items() if f.unreadable}
