# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Rules that notice when a training goes wrong, and tell somebody."""

from __future__ import annotations

import collections
import math
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tessera._src.monitoring.callback import Callback, RunInfo

# Steps before this one that a rule sees.
_WINDOW = 100


@dataclass(frozen=True)
class AlertRule:
    """Something that should not be.

    Attributes:
        name: of the rule: "loss_not_finite".
        condition: called with the record of a step and those of up to 100 steps before it, the oldest first;
            whether it is so.
        message: what is said, in which {loss} and other entries of the record may stand.
        steps: how many steps in a row it must be so.
    """

    name: str
    condition: Callable[[Mapping[str, Any], Sequence[Mapping[str, Any]]], bool]
    message: str
    steps: int = 1


@dataclass(frozen=True)
class Alert:
    """A rule that has become true, at a step."""

    rule: str
    step: int
    message: str


def _is_not_finite(record: Mapping[str, Any], before: Sequence[Mapping[str, Any]]) -> bool:
    return not math.isfinite(record.get("loss") or 0.0)


def _has_risen(record: Mapping[str, Any], before: Sequence[Mapping[str, Any]]) -> bool:
    losses = [r["loss"] for r in before if math.isfinite(r.get("loss") or math.nan)]
    if len(losses) < 20:
        return False
    usual = statistics.median(losses)
    return (record.get("loss") or 0.0) > usual + 0.5 * abs(usual)


def _was_left_out(record: Mapping[str, Any], before: Sequence[Mapping[str, Any]]) -> bool:
    return (record.get("skipped") or 0) > (before[-1].get("skipped") or 0 if before else 0)


def _waits(record: Mapping[str, Any], before: Sequence[Mapping[str, Any]]) -> bool:
    return (record.get("wait_seconds") or 0.0) > 0.2 * (record.get("seconds") or math.inf)


DEFAULT_RULES = (
    AlertRule("loss_not_finite", _is_not_finite, "the loss is {loss}"),
    AlertRule("loss_has_risen", _has_risen, "the loss, {loss:.4g}, is half again what it was in the last "
              "100 steps", steps=10),
    AlertRule("updates_left_out", _was_left_out, "the updates of 5 steps in a row were left out", steps=5),
    AlertRule("data_are_slow", _waits, "more than a fifth of the time goes into waiting for data", steps=20),
)


class Alerts(Callback):
    """Says once when a rule becomes true, and again when it does after it was not.

    Args:
        rules: by default that the loss is not finite or has risen, that updates are left out, and that the
            training waits for its data.
        notify: called with an Alert; by default it is a line on standard error. What it raises is a line,
            too: a training goes on where nobody can be told.
    """

    def __init__(self, rules: Sequence[AlertRule] = DEFAULT_RULES,
                 notify: Callable[[Alert], None] | None = None):
        self.rules, self.notify = tuple(rules), notify or _print
        self._before: collections.deque[Mapping[str, Any]] = collections.deque(maxlen=_WINDOW)
        self._in_a_row = [0] * len(self.rules)

    def on_start(self, run: RunInfo) -> None:
        self._before.clear()
        self._in_a_row = [0] * len(self.rules)

    def on_step(self, record: Mapping[str, Any]) -> None:
        for i, rule in enumerate(self.rules):
            self._in_a_row[i] = self._in_a_row[i] + 1 if rule.condition(record, self._before) else 0
            if self._in_a_row[i] == rule.steps:
                self._tell(Alert(rule.name, record["step"], rule.message.format(**record)))
        self._before.append(record)

    def _tell(self, alert: Alert) -> None:
        try:
            self.notify(alert)
        except Exception as error:  # Whatever a user's function does.
            print(f"alert {alert.rule} at step {alert.step}, {alert.message}, reached nobody: "
                  f"{type(error).__name__}: {error}", file=sys.stderr)


def _print(alert: Alert) -> None:
    print(f"alert {alert.rule} at step {alert.step}: {alert.message}", file=sys.stderr, flush=True)
