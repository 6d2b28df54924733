# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Derivatives of random programs by JAX, in a process of its own that works while others do.

JAX keeps threads, so a process that forks has none of it. Questions are answered in their order. Run as a
script, this is the other process.
"""

from __future__ import annotations

import importlib.util
import os
import pickle
import queue
import subprocess
import sys
import threading
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import numpy as np
from random_program import Program

Arrays = list[np.ndarray]


@dataclass
class Answer:
    """Arrays by what they are (jax_programs.derivatives), or why there are none."""

    arrays: dict[str, Arrays] = field(default_factory=dict)
    reason: str = ""  # What JAX has no function for.
    error: str = ""  # What went wrong.


@dataclass
class Question:
    """A program with all floats f64, and what it is differentiated at."""

    program: Program
    points: Arrays
    changes: Arrays
    weights: Arrays
    second: bool


def is_available() -> bool:
    return importlib.util.find_spec("jax") is not None


class Peer:
    """The other process."""

    def __init__(self) -> None:
        environment = {**os.environ, "JAX_PLATFORMS": "cpu"}
        self._process = subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE,
                                         stdout=subprocess.PIPE, env=environment)

    def ask(self, question: Question) -> None:
        """Begins the work; `answer` gives what comes of it."""
        _send(self._process.stdin, question)

    def answer(self) -> Answer:
        """Of the oldest question without one."""
        return _receive(self._process.stdout)

    def close(self) -> None:
        """Ends it. Questions without an answer are dropped: it may wait for someone to read answers."""
        self._process.kill()
        self._process.communicate()


def _send(stream: BinaryIO, value: Any) -> None:
    data = pickle.dumps(value)
    stream.write(len(data).to_bytes(8, "little") + data)
    stream.flush()


def _receive(stream: BinaryIO) -> Any:
    size = stream.read(8)
    if len(size) < 8:
        raise EOFError("the process with JAX has ended")
    return pickle.loads(stream.read(int.from_bytes(size, "little")))


def _answer(question: Question) -> Answer:
    import jax
    import jax_programs

    def found(weights: Sequence[np.ndarray]) -> Answer:
        return Answer(jax_programs.derivatives(question.program, question.points, question.changes, weights,
                                               question.second))

    try:
        try:
            return found(question.weights)
        except ValueError as error:
            if not jax_programs.is_refused(error):
                raise
            return found([])
    except jax_programs.NotTranslatedError as error:
        return Answer(reason=str(error))
    except Exception as error:  # A finding, which the other process reports.
        return Answer(error=f"{error!r}\n{traceback.format_exc()}")
    finally:
        jax.clear_caches()


def main() -> None:
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # What programs print is no answer.
    questions: queue.SimpleQueue[Question | None] = queue.SimpleQueue()

    def read() -> None:
        # At once, so that whoever asks never waits for answers that nobody reads.
        try:
            while True:
                questions.put(_receive(sys.stdin.buffer))
        except EOFError:
            questions.put(None)

    threading.Thread(target=read, daemon=True).start()
    while question := questions.get():
        _send(answers, _answer(question))


if __name__ == "__main__":
    # What is sent names its classes by this module's name.
    import jax_peer

    jax_peer.main()
