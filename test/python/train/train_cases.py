# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Small trainings that several tests run: the configuration, and a callback that keeps all records."""

import copy
from pathlib import Path

import pytest

import tessera as ts
from tessera._src.monitoring.callback import Callback

TEXT = Path(__file__).parents[3] / "LICENSE"  # 12 kB of English that every checkout has.
CONFIG = {
    "model": {"architecture": "gpt2", "config": {"n_embd": 16, "n_head": 2, "n_layer": 1, "n_positions": 16}},
    "data": {"path": str(TEXT), "separator": "\n\n", "seed": 5},
    "optim": {"lr": 1e-2, "warmup": 2, "clip": 1.0, "weight_decay": 0.1},
    "train": {"steps": 6, "batch": 4, "sequence_length": 12, "seed": 3},
}


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """A folder for the compiled programs of a file of tests."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def own_cache(cache, monkeypatch):
    """The tests of a file that imports this compile the same programs once."""
    monkeypatch.setenv("TESSERA_CACHE_DIR", str(cache))


def config(*overrides, **sections):
    """The configuration of a small training, with other values."""
    data = copy.deepcopy(CONFIG)
    for name, options in sections.items():
        data[name] = {**data.get(name, {}), **options}
    return ts.TrainConfig.from_dict(data).replace(*overrides)


class Recorder(Callback):
    """Keeps all records; `at`, functions by the step at whose record they are called."""

    def __init__(self, at=None):
        self.start, self.steps, self.events, self.end = None, [], [], None
        self.at = at or {}

    def on_start(self, run):
        self.start = run

    def on_step(self, record):
        self.steps.append(record)
        self.at.get(record["step"], lambda: None)()

    def on_event(self, record):
        self.events.append(record)

    def on_end(self, record):
        self.end = record

    @property
    def losses(self):
        return [record["loss"] for record in self.steps]

    def of(self, event):
        """The events of a kind."""
        return [record for record in self.events if record["event"] == event]


def trained(given, **arguments):
    """The records of a training, and the trainer."""
    recorder = Recorder(arguments.pop("at", None))
    trainer = ts.Trainer(arguments.pop("model", None), given, callbacks=[recorder], **arguments)
    trainer.fit()
    return recorder, trainer
