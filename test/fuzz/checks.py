# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Checks of random programs in processes of their own, and what is done with programs that fail."""

from __future__ import annotations

import argparse
import json
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from random_program import Program, shrink

SECONDS_PER_PROGRAM = 60


@dataclass
class Failure:
    kind: str
    message: str


Check = Callable[[], "Failure | None"]


def start(check: Check) -> tuple[int, int]:
    """Begins a check in a process of its own, so that a crash is a finding too; for `finish`."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        signal.alarm(SECONDS_PER_PROGRAM)
        failure = check()
        os.write(writer, json.dumps(failure and [failure.kind, failure.message[:2000]]).encode())
        os._exit(0)
    os.close(writer)
    return child, reader


def finish(child: int, reader: int) -> Failure | None:
    """What a check that was begun has found."""
    with os.fdopen(reader, "rb") as stream:
        text = stream.read()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        name = signal.Signals(os.WTERMSIG(status)).name
        return Failure(name, f"ended by {name}")
    found = json.loads(text) if text else ["exit", f"exit status {os.waitstatus_to_exitcode(status)}"]
    return found and Failure(*found)


def run(check: Check) -> Failure | None:
    """What a check finds in a process of its own."""
    return finish(*start(check))


def parser_of(description: str | None) -> argparse.ArgumentParser:
    """The options that fuzzers of programs have."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seeds", type=int)
    parser.add_argument("--out", type=Path, default=Path("fuzz-failures"))
    parser.add_argument("--max-failures", type=int, default=5)
    return parser


def report(head: str, program: Program, failure: Failure, check_of: Callable[[Program], Check | None],
           path: Path, command: str) -> None:
    """Shrinks a program while its check fails alike, writes it to a file, and prints where.

    Args:
        check_of: None for a program that cannot be checked.
        command: what repeats the failure.
    """
    def fails_alike(p: Program) -> bool:
        check = check_of(p)
        again = run(check) if check else None
        return again is not None and again.kind == failure.kind

    small = shrink(program, fails_alike)
    path.parent.mkdir(parents=True, exist_ok=True)
    comment = "".join(f"// {line}\n" for line in failure.message.splitlines()[:20])
    path.write_text(f"// {command}\n{comment}{head}{small.text()}\n")
    print(f"{path}: {failure.kind}: {failure.message[:300]}", flush=True)
