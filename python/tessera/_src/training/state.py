# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The state of a training, its checkpoints, and going on from one."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tessera._src.checkpoints.folders import latest, step_folder, steps
from tessera._src.checkpoints.index import INDEX
from tessera._src.checkpoints.loading import load
from tessera._src.checkpoints.saving import Saving, save
from tessera._src.core import tree
from tessera._src.core.errors import CheckpointError
from tessera._src.data.loader import Loader

KIND, VERSION = "ts.Trainer", 1


@dataclass
class TrainState:
    """All that a training goes on from.

    Attributes:
        model: with its weights.
        optimizer: the optimizer's state.
        scale: that of the loss scale; None without one.
        step: steps that were done, skipped ones included.
        tokens: labels that were counted in the losses so far.
        skipped: steps whose update was left out.
    """

    model: Any
    optimizer: Any
    scale: Any = None
    step: int = 0
    tokens: int = 0
    skipped: int = 0

    def tree(self) -> dict[str, Any]:
        """The tensors of a checkpoint."""
        more = {} if self.scale is None else {"scale": self.scale}
        return {"model": self.model, "optimizer": self.optimizer, **more}


class Checkpoints:
    """Those of one folder: at most one is being written at a time."""

    def __init__(self, folder: Path, keep: Any, asynchronous: bool):
        self.folder, self.keep, self.asynchronous = folder, keep, asynchronous
        self._pending: tuple[Saving, float, int] | None = None
        self.newest: int | None = latest(folder)

    def save(self, state: TrainState, config: Mapping[str, Any], loader: Loader) -> None:
        """Saves a state under its step; returns once the elements are copied, if asynchronous."""
        begin = time.time()
        content = state.tree()
        size = sum(leaf.size * leaf.dtype.itemsize for leaf in tree.leaves(content))
        metadata = {"kind": KIND, "version": VERSION, "config": config, "loader": loader.state(),
                    "tokens": state.tokens, "skipped": state.skipped}
        saving = save(self.folder, content, state.step, metadata=metadata, keep=self.keep,
                      asynchronous=self.asynchronous)
        self._pending = (saving, begin, size)

    def completed(self, wait: bool = False) -> dict[str, Any] | None:
        """The record of a checkpoint that has become complete since the last call.

        Raises: CheckpointError: it could not be written.
        """
        if self._pending is None or not (wait or self._pending[0].is_done()):
            return None
        (saving, begin, size), self._pending = self._pending, None
        path = saving.wait()
        self.newest = saving.step
        # The index is written last, maybe long before anybody asks.
        end = (path / INDEX).stat().st_mtime
        return {"event": "save", "step": saving.step, "folder": str(path),
                "seconds": max(end - begin, 0.0), "bytes": size}

    @property
    def is_saving(self) -> bool:
        """Whether one has not been reported as complete."""
        return self._pending is not None

    def _way_on(self) -> str:
        """What to do about the newest checkpoint, which is damaged."""
        assert self.newest is not None
        before = [step for step in steps(self.folder) if step < self.newest]
        return f"remove {step_folder(self.folder, self.newest)} to " + (
            f"go on from step {before[-1]}" if before else "begin anew")

    def load(self, like: TrainState, loader: Loader) -> TrainState:
        """The state of the newest checkpoint, in the layouts of `like`, and the loader where it was.

        Raises:
            CheckpointError: it is damaged or of other tensors, all listed (TS6002, TS6006).
            DataError: it was made with other data (TS7006).
        """
        try:
            loaded = load(self.folder, like.tree(), step=self.newest)
        except CheckpointError as error:
            if error.code not in ("TS6001", "TS6002") or self.newest is None:
                raise
            raise CheckpointError(error.code, error.message, expected=error.expected, got=error.got,
                                  hint=self._way_on()) from None
        data = loaded.metadata
        if not isinstance(data, dict) or data.get("kind") != KIND or data.get("version") != VERSION:
            raise CheckpointError("TS6006", f"{self.folder} has a checkpoint that no ts.Trainer of this "
                                  "version made", expected=f"metadata of {KIND}, version {VERSION}")
        loader.load_state(data["loader"])
        return TrainState(loaded.tree["model"], loaded.tree["optimizer"], loaded.tree.get("scale"),
                          loaded.step, data["tokens"], data["skipped"])
