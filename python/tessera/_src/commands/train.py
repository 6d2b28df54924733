# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Trains a language model as a configuration says, and goes on from its newest checkpoint."""

from __future__ import annotations

import argparse
import dataclasses
import os
import signal
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tessera._src.core import dtypes
from tessera._src.core.errors import ConfigError
from tessera._src.monitoring.callback import Callback, RunInfo
from tessera._src.monitoring.jsonl import JSONLWriter
from tessera._src.monitoring.loss_plot import LossPlot
from tessera._src.monitoring.peak import kept_peak, measured_peak
from tessera._src.monitoring.progress import Progress
from tessera._src.monitoring.prometheus import PrometheusExporter
from tessera._src.training import yaml_text
from tessera._src.training.checks import DTYPES
from tessera._src.training.config import TrainConfig
from tessera._src.training.options import COMMAND_LINE, documents, plain
from tessera._src.training.schema import SECTIONS, default_of
from tessera._src.training.trainer import Trainer

_EXAMPLES = """examples:
  tessera train train.yaml
  tessera train train.yaml parallel.tp=2 train.steps=500 precision=bf16-mixed
  tessera train train.yaml --print-config > all.yaml
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.usage = "%(prog)s [CONFIG] [SECTION.KEY=VALUE ...] [--print-config | --check]"
    parser.add_argument("config", metavar="CONFIG", nargs="?",
                        help="a YAML or JSON file of sections (model, parallel, optim, ...)")
    parser.add_argument("overrides", metavar="SECTION.KEY=VALUE", nargs="*",
                        help="values that replace the file's, in YAML")
    parser.add_argument("--print-config", action="store_true",
                        help="prints all options with their values as YAML, and ends")
    parser.add_argument("--check", action="store_true",
                        help="checks configuration, data and folder, and ends before anything is compiled")
    parser.epilog = _EXAMPLES + "\n" + options_text()


def options_text() -> str:
    """All options with types, defaults and what they are for."""
    lines = []
    for name, section in SECTIONS.items():
        lines += [f"{name}: {(section.__doc__ or '').splitlines()[0]}"]
        notes = documents(section)
        for field in dataclasses.fields(section):
            default = yaml_text.scalar(plain(default_of(field)))
            lines.append(f"  {name}.{field.name} = {default}    ({field.metadata['kind'].name})")
            lines += textwrap.wrap(notes.get(field.name, ""), 100, initial_indent=" " * 6,
                                   subsequent_indent=" " * 6)
        lines.append("")
    return "\n".join(lines)


def run(arguments: argparse.Namespace) -> int:
    """Trains; 0 when all steps are done, 128 + n when signal n has stopped it, after a checkpoint.

    Raises:
        TesseraError: a configuration, data or a checkpoint that is at fault, or a step that is not finite.
    """
    config = _config(arguments)
    if arguments.print_config:
        sys.stdout.write(config.to_yaml(comments=True))
        return 0
    if config.train.folder is None:
        raise ConfigError("TS4030", "train.folder is missing", hint="it is where checkpoints and metrics are "
                          "written: train.folder=runs/one")
    folder = Path(os.path.expanduser(config.train.folder))
    trainer = Trainer(None, config, callbacks=_callbacks(config, folder))
    if arguments.check:
        print(f"{arguments.config or 'the configuration'} is valid")
        return 0
    if config.monitor.mfu and config.parallel.device in ("cpu", "cuda"):
        peak = _Peak(trainer)
        if not peak.is_known:
            trainer.callbacks = (*trainer.callbacks, peak)
    try:
        trainer.fit()
    except KeyboardInterrupt:
        if trainer.signal is None:
            raise
        print("tessera train: interrupted", file=sys.stderr)
    # A signal that came when all steps were done has stopped nothing.
    if trainer.reason != "stopped" or trainer.signal is None:
        return 0
    return 128 + int(signal.Signals[trainer.signal])


class _Peak(Callback):
    """Sets a trainer's peak_flops: at once where it was measured before, else after the first step, which
    would have to wait for it."""

    def __init__(self, trainer: Trainer):
        config = trainer.config
        self._trainer = trainer
        self._dtype = dtypes.canonical(DTYPES[config.precision.name])
        self._options: dict[str, Any] = {"threads": config.parallel.threads, "device": config.parallel.device}
        self._set(kept_peak(self._dtype, **self._options))

    @property
    def is_known(self) -> bool:
        return self._trainer.peak_flops is not None

    def on_step(self, record: Mapping[str, Any]) -> None:
        if not self.is_known:
            self._set(measured_peak(self._dtype, **self._options))

    def _set(self, peak: float | None) -> None:
        if peak is not None:
            devices = self._trainer.mesh.size if self._options["device"] == "cuda" else 1
            self._trainer.peak_flops = peak * devices


class _Address(Callback):
    """Says where an exporter serves, which it chooses itself for port 0."""

    def __init__(self, exporter: PrometheusExporter):
        self._exporter = exporter

    def on_start(self, run: RunInfo) -> None:
        print(f"metrics at http://{self._exporter.address}:{self._exporter.port}/metrics", flush=True)


def _config(arguments: argparse.Namespace) -> TrainConfig:
    overrides = list(arguments.overrides)
    path = arguments.config
    if path is not None and "=" in path and not Path(path).exists():
        path, overrides = None, [path, *overrides]
    if path is None:
        return TrainConfig._made({}, overrides, "the configuration", COMMAND_LINE)
    return TrainConfig.from_file(path, overrides, COMMAND_LINE)


def _callbacks(config: TrainConfig, folder: Path) -> list[Callback]:
    monitor = config.monitor
    made: list[Callback] = []
    if monitor.port is not None:  # First: where it is in use, nothing is written.
        exporter = PrometheusExporter(monitor.port)
        made += [exporter, _Address(exporter)]
    if monitor.jsonl:
        made.append(JSONLWriter(folder / "metrics.jsonl"))
    if monitor.plot:
        made.append(LossPlot(folder / "loss.png"))
    if monitor.progress:
        made.append(Progress(sys.stdout))
    return made
