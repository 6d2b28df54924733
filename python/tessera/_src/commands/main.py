# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The command `tessera`: finds the sub-command, which is imported only then."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

from tessera._src.core.errors import TesseraError, without_internal_frames

# The module of each sub-command, whose docstring is its help.
COMMANDS = {"serve-metrics": "serve_metrics", "inspect": "inspect", "verify": "verify", "doctor": "doctor"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command: 0, 1 after an error, 2 where it is used in a wrong way."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(prog="tessera")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, module_name in COMMANDS.items():
        module = importlib.import_module(f"tessera._src.commands.{module_name}")
        module.add_arguments(commands.add_parser(name, help=module.__doc__, description=module.__doc__))
    options = parser.parse_args(words)
    module = importlib.import_module(f"tessera._src.commands.{COMMANDS[options.command]}")
    try:
        return module.run(options)
    except BrokenPipeError:  # Of `tessera ... | head`.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except TesseraError as error:
        print(f"error: {without_internal_frames(error)}", file=sys.stderr)
        return 1
