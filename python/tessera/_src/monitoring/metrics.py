# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The newest numbers of trainings under the names that Prometheus gets them by."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from tessera._src.monitoring import optional
from tessera._src.monitoring.callback import RunInfo


class Metric(NamedTuple):
    """A number of a training.

    Attributes:
        name: as Prometheus has it, with its unit in base units (seconds, bytes, ratios).
        kind: "gauge", or "counter", whose name ends in _total.
        event, key: the record and the entry of it that the number is.
        text: what it means.
    """

    name: str
    kind: str
    event: str
    key: str
    text: str


METRICS = tuple(Metric(f"tessera_training_{name}", *rest) for name, *rest in (
    ("step", "gauge", "step", "step", "Number of the last step, from 1."),
    ("planned_steps", "gauge", "start", "steps", "Steps that the training has in all."),
    ("parameters", "gauge", "start", "parameters", "Elements of all trained weights."),
    ("devices", "gauge", "start", "devices", "Devices of the mesh."),
    ("flops_per_token", "gauge", "start", "flops_per_token",
     "Floating-point operations that training on one token takes."),
    ("peak_flops_per_second", "gauge", "start", "peak_flops",
     "Floating-point operations a second that the devices were measured to do."),
    ("loss", "gauge", "step", "loss", "Loss of the last step, in nats per token."),
    ("gradient_norm", "gauge", "step", "grad_norm", "Norm of the last step's gradient before clipping."),
    ("learning_rate", "gauge", "step", "lr", "Learning rate of the last step."),
    ("loss_scale", "gauge", "step", "loss_scale", "Factor that the last step's loss was scaled by."),
    ("tokens_total", "counter", "step", "tokens_total", "Tokens trained on."),
    ("tokens_per_second", "gauge", "step", "tokens_per_second", "Tokens a second of the last step."),
    ("step_duration_seconds", "gauge", "step", "seconds", "Time of the last step."),
    ("data_wait_seconds", "gauge", "step", "wait_seconds", "Time that the last step waited for its data."),
    ("model_flops_utilization_ratio", "gauge", "step", "mfu",
     "MFU of the last step: tokens per second x operations per token / peak operations per second."),
    ("skipped_steps_total", "counter", "step", "skipped",
     "Steps whose update was left out, as their gradient was not finite."),
    ("epoch", "gauge", "step", "epoch", "Epoch of the data that the last step was in."),
    ("step_timestamp_seconds", "gauge", "step", "time", "When the last step ended, since 1970."),
    ("evaluation_loss", "gauge", "evaluation", "loss", "Loss of the last evaluation, in nats per token."),
    ("evaluation_perplexity", "gauge", "evaluation", "perplexity", "Perplexity of the last evaluation."),
    ("evaluation_step", "gauge", "evaluation", "step", "Step of the last evaluation."),
    ("saved_step", "gauge", "save", "step", "Step of the last checkpoint."),
    ("save_duration_seconds", "gauge", "save", "seconds", "Time that the last checkpoint took to write."),
    ("saved_bytes", "gauge", "save", "bytes", "Size of the last checkpoint."),
))
RUNNING = "tessera_training_running"
_RUNNING_TEXT = "1 while the training goes on, 0 once it has ended."
_BY_EVENT = {event: [m for m in METRICS if m.event == event] for event in {m.event for m in METRICS}}


class Numbers:
    """The newest numbers of one training, by name; any thread may read them."""

    def __init__(self) -> None:
        self._values: dict[str, float] = {}
        self._lock = threading.Lock()

    def start(self, run: RunInfo) -> None:
        """Takes what is known before the first step."""
        self.take({"event": "start", "steps": run.steps, "parameters": run.parameters, "devices": run.devices,
                   "flops_per_token": run.flops_per_token, "peak_flops": run.peak_flops})

    def take(self, record: Mapping[str, Any]) -> None:
        """Takes what a record has; a number that it has as None is forgotten."""
        event = record.get("event", "")
        with self._lock:
            for metric in _BY_EVENT.get(event, ()):
                value = record.get(metric.key)
                if isinstance(value, (int, float)):
                    self._values[metric.name] = float(value)
                else:
                    self._values.pop(metric.name, None)
            self._values[RUNNING] = float(event != "end")

    def values(self) -> dict[str, float]:
        """All numbers, by the names of METRICS and RUNNING."""
        with self._lock:
            return dict(self._values)


class Collector:
    """Hands the numbers of trainings to a registry of the library prometheus-client.

    Args:
        runs: numbers by run, as a function, for each scrape; the name "" has no label.
    """

    def __init__(self, runs: Any):
        self._runs = runs
        self._core = optional.need("prometheus_client.core", "metrics for Prometheus")

    def describe(self) -> Iterable[Any]:
        """Nothing, so that registering does not collect."""
        return []

    def collect(self) -> Iterator[Any]:
        """A family of each number that any run has."""
        runs = {name: numbers.values() for name, numbers in self._runs().items()}
        labels = [] if list(runs) == [""] else ["run"]
        for name, kind, text in [*((m.name, m.kind, m.text) for m in METRICS),
                                 (RUNNING, "gauge", _RUNNING_TEXT)]:
            found = {run: values[name] for run, values in runs.items() if name in values}
            if not found:
                continue
            if kind == "counter":  # The library adds _total.
                family = self._core.CounterMetricFamily(name.removesuffix("_total"), text, labels=labels)
            else:
                family = self._core.GaugeMetricFamily(name, text, labels=labels)
            for run, value in found.items():
                family.add_metric([run] if labels else [], value)
            yield family
