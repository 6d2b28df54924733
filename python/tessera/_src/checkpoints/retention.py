# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Which checkpoints stay when there is a new one."""

from __future__ import annotations

import operator
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tessera._src.checkpoints import folders
from tessera._src.core.errors import ConfigError, did_you_mean

_FORMS = ("None (all)", "3 (the last three)", '{"last": 3, "every": 1000}')


@dataclass(frozen=True)
class Retention:
    """Keeps the last ones, and those whose step is a multiple of `every`; None keeps all."""

    last: int | None = None
    every: int | None = None

    def goes(self, steps: Sequence[int], new: int) -> list[int]:
        """Which of the steps, ascending, are removed; never the new one, though others are later."""
        if self.last is None:
            return []
        kept = {*steps[-self.last:], new}
        return [step for step in steps
                if step not in kept and (self.every is None or step % self.every)]


def retention_of(keep: Any) -> Retention:
    """What `keep` of ts.checkpoints.save says.

    Raises: ConfigError (TS4025).
    """
    if keep is None:
        return Retention()
    given = dict(keep) if isinstance(keep, Mapping) else {"last": keep}
    unknown = [name for name in given if name not in ("last", "every")]
    if unknown or "last" not in given:
        raise ConfigError("TS4025", f"keep has no entry '{unknown[0]}'" if unknown else "keep needs 'last'",
                          got=repr(keep), choices=_FORMS,
                          hint=did_you_mean(str(unknown[0]), ["last", "every"]) if unknown else None)
    return Retention(**{name: count_of(value, f"keep's '{name}'", 1, _FORMS)
                        for name, value in given.items()})


def count_of(value: Any, what: str, least: int, choices: Sequence[str] | None = None) -> int:
    """An integer of at least `least`, or ConfigError (TS4025)."""
    try:
        number = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = None
    if number is None or number < least:
        raise ConfigError("TS4025", f"{what} must be an integer of at least {least}", got=repr(value),
                          choices=choices)
    return number


def remove_old(directory: Path, retention: Retention, new: int) -> None:
    """Removes what does not stay. What cannot be removed is a warning: the new checkpoint is complete."""
    if retention.last is None:
        return
    for step in retention.goes(folders.steps(directory), new):
        try:
            folders.remove(directory, step)
        except OSError as error:
            warnings.warn(f"the checkpoint of step {step} in {directory} could not be removed: "
                          f"{error.strerror or error}", RuntimeWarning, stacklevel=2)
