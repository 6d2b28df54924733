# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""ts.checkpoints.save: at once, or by a thread from a snapshot."""

from __future__ import annotations

import atexit
import os
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np

from tessera._src.arrays.copying import copy_all
from tessera._src.checkpoints import host_copies
from tessera._src.checkpoints import metadata as metadata_codec
from tessera._src.checkpoints.pieces import NUMBERS, Source, dtype_of, named_leaves, pieces_of
from tessera._src.checkpoints.retention import count_of, retention_of
from tessera._src.checkpoints.tensor_file import NAMES
from tessera._src.checkpoints.writing import Job, check_is_new, write
from tessera._src.core import source, tree_text

# How much less of a core the thread that writes gets where others want it: a tenth of what each of them has.
_NICER = 10

_lock = threading.RLock()
_last: Saving | None = None


class Saving:
    """A checkpoint that is being written, or is complete.

    Attributes:
        step: which one.
        path: the folder that has it once it is complete.
    """

    def __init__(self, job: Job):
        self.step, self.path = job.step, job.folder
        self._error: BaseException | None = None
        self._is_reported = False
        self._thread: threading.Thread | None = None

    def wait(self) -> Path:
        """The folder, once the checkpoint is complete.

        Raises: what kept it from being written, a CheckpointError; ts.checkpoints.save has them all.
        """
        if self._thread is not None:
            self._thread.join()
        if self._error is not None:
            self._is_reported = True
            raise self._error
        return self.path

    def is_done(self) -> bool:
        """Whether nothing is being written any more: then `wait` does not wait."""
        return self._thread is None or not self._thread.is_alive()

    def __repr__(self) -> str:
        return f"Saving(step={self.step}, path={str(self.path)!r}, done={self.is_done()})"

    def _start(self, job: Job, memory: np.ndarray) -> None:
        """Writes in a thread, then gives back the memory that has the elements."""
        def run() -> None:
            _yield_to_others()
            try:
                write(job)
            except BaseException as error:  # Whoever waits gets it.
                self._error = error
            job.sources.clear()
            host_copies.give_back(memory)

        # No daemon: a program that ends does so once its last checkpoint is complete.
        self._thread = threading.Thread(target=run, name=f"checkpoint of step {job.step}")
        self._thread.start()


def save(directory: str | os.PathLike, tree: Any, step: int, *, metadata: Any = None, keep: Any = None,
         asynchronous: bool = False) -> Saving:
    """Saves a tree of tensors as directory/step-00000123, whole or not at all.

    Every tensor is written as the distinct parts that the devices of its mesh hold, into a file for each
    device of the largest mesh, with an index of whole tensors: any other mesh, or none, can load it.
    Nothing that interrupts it, a full disk or a kill included, changes the checkpoints that are there.

    Only one checkpoint is written at a time in a process: a second save waits for the first.

    Args:
        directory: has the steps; made where it is not there.
        tree: arrays of ts or NumPy of any type that safetensors files hold (floats of 8 to 64 bits,
            integers, bool), and numbers of Python, in any tree: weights, the optimizer's state, counters.
        step: which one, an integer of at least 0 that is not there yet.
        metadata: what else is to come back, such as a data loader's state: dicts, lists, tuples, strings,
            bytes and numbers of Python.
        keep: which checkpoints stay once this one is complete: None for all, 3 for the last three,
            {"last": 3, "every": 1000} for those whose step is a multiple of 1000 as well. This one stays.
        asynchronous: returns once the elements are copied, which takes as much memory on the host as they
            have; a thread of low priority writes them. The first copy takes longer than later ones, for
            which its memory is kept. Donating the arrays or changing them in place afterwards is safe.
            Until it is complete, `latest` and `load` see the checkpoint before it. Errors arrive at the
            next save, at .wait(), or on stderr when the program ends.

    Raises:
        CheckpointError: a leaf or metadata that cannot be saved (TS6008); the step is there already, or
            another process is saving into the directory (TS6009); files cannot be written, with the reason
            and the newest complete checkpoint (TS6005).
        ConfigError: step or keep is none (TS4025).
    """
    global _last
    place = source.caller_location()
    step = count_of(step, "a step", 0)
    retention = retention_of(keep)
    named, treedef = named_leaves(tree)
    metadata_codec.encode(metadata)
    with _lock:
        if _last is not None:
            before, _last = _last, None
            if not (before.is_done() and before._is_reported):
                before.wait()
        sources, count = pieces_of(named)
        tensors = {name: (tuple(getattr(leaf, "shape", ())), NAMES[dtype_of(leaf)],
                          type(leaf).__name__ if type(leaf) in NUMBERS else "array")
                   for name, leaf in named.items()}
        # Absolute, since the working directory may change while a thread writes; metadata as it is now.
        job = Job(Path(os.path.abspath(directory)), step, tree_text.to_text(treedef),
                  metadata_codec.decode(metadata_codec.encode(metadata)), tensors, sources, count, retention,
                  place)
        check_is_new(job)
        saving = Saving(job)
        if asynchronous:
            saving._start(job, _snapshot(sources))
            _last = saving
        else:
            write(job)
    return saving


def _snapshot(sources: list[Source]) -> np.ndarray:
    """Copies all elements into memory that is returned."""
    begins, size = host_copies.places([piece.bytes for piece in sources])
    memory = host_copies.take(size)
    for piece, begin in zip(sources, begins):
        piece.elements = piece.array_in(memory, begin)
    copy_all((piece.origin, piece.elements) for piece in sources)
    for piece in sources:  # What is donated or dropped now is free at once.
        piece.origin = piece.elements
    return memory


def _yield_to_others() -> None:
    """Lets the threads of a training have the cores, where this thread would take them one."""
    if sys.platform.startswith("linux"):  # Elsewhere all threads of a process have one priority.
        try:
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(),
                           min(19, os.getpriority(os.PRIO_PROCESS, 0) + _NICER))
        except OSError:
            pass


@atexit.register
def _report() -> None:
    """Says what the last checkpoint failed with, where nobody has asked."""
    if _last is not None and _last._error is not None and not _last._is_reported:
        print(f"the checkpoint of step {_last.step} was not saved: {_last._error}", file=sys.stderr)
