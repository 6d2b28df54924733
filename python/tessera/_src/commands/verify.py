# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Reads every byte of a checkpoint and compares it with its hashes."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from tessera._src.checkpoints.folders import is_step_folder, steps
from tessera._src.checkpoints.inspecting import inspect, verify
from tessera._src.core.errors import CheckpointError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("path", metavar="CHECKPOINT", help="a folder of checkpoints, or that of one step")
    parser.add_argument("--step", type=int, help="only this step of a folder of checkpoints")
    parser.add_argument("--json", action="store_true", help="prints the problems as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Prints each problem; 1 if there is one.

    Raises:
        CheckpointError: there is no checkpoint.
    """
    problems = verify(arguments.path, step=arguments.step)
    if arguments.json:
        rows = [{"file": str(p.file), "tensor": p.tensor, "message": p.message} for p in problems]
        print(json.dumps({"problems": rows}, indent=2))
        return int(bool(problems))
    for problem in problems:
        print(problem)
    if problems:
        files = len({problem.file for problem in problems})
        print(f"{len(problems)} problem{'s' * (len(problems) != 1)} in {files} file{'s' * (files != 1)}; "
              "another step may be whole, else the training begins anew")
        return 1
    print(_summary(arguments))
    return 0


def _summary(arguments: argparse.Namespace) -> str:
    """What was read: every step, or the one that was asked for."""
    known = [None] if is_step_folder(Path(arguments.path)) else \
        [arguments.step] if arguments.step is not None else steps(arguments.path)
    try:
        contents = [inspect(arguments.path, step=step) for step in known]
    except CheckpointError:  # One was removed meanwhile.
        return "no problems"
    tensors, size = sum(len(c.tensors) for c in contents), sum(c.bytes for c in contents)
    names = ", ".join(str(c.step) for c in contents)
    return f"no problems: step{'s' * (len(contents) != 1)} {names}, {tensors:,} tensors, {size:,} bytes"
