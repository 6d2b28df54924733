# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The command line of `tessera`: finds the module of a sub-command, and shows errors without tracebacks."""

from __future__ import annotations

import argparse
import ast
import importlib
import importlib.util
import os
import sys
from collections.abc import Sequence

from tessera._src.core.errors import TesseraError, did_you_mean

# Each module has a one-line docstring, add_arguments(parser) and run(arguments) -> int.
COMMANDS = {
    "train": "tessera._src.commands.train",
    "export": "tessera._src.commands.export",
    "generate": "tessera._src.commands.generate",
    "inspect": "tessera._src.commands.inspect",
    "verify": "tessera._src.commands.verify",
    "serve-metrics": "tessera._src.commands.serve_metrics",
    "doctor": "tessera._src.commands.doctor",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs `tessera ARGUMENTS`, and gives its exit code: 0, 1 for an error, 2 for a wrong command line,
    128 + n for one that signal n has ended."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given or given[0] in ("-h", "--help"):
        print(_help())
        return 0 if given else 2
    name = given[0]
    if name == "--version":
        print(sys.modules["tessera"].__version__)
        return 0
    if name not in COMMANDS:
        hint = did_you_mean(name, COMMANDS)
        print(f"tessera: there is no command '{name}'" + (f": {hint}" if hint else "")
              + f"\n  valid: {', '.join(COMMANDS)}", file=sys.stderr)
        return 2
    try:
        module = importlib.import_module(COMMANDS[name])
        parser = argparse.ArgumentParser(
            prog=f"tessera {name}", description=module.__doc__, allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter)
        module.add_arguments(parser)
        # Options may stand between the arguments.
        return int(module.run(parser.parse_intermixed_args(given[1:])))
    except TesseraError as error:
        if os.environ.get("TESSERA_TRACEBACK") == "full":
            raise
        print(f"tessera {name}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"tessera {name}: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # Whoever read the output has enough of it; Python's own flush at the end must not find it closed.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except (OSError, UnicodeError, RecursionError) as error:
        # What the system or an input refuses where nothing has looked for it.
        if os.environ.get("TESSERA_TRACEBACK") == "full":
            raise
        print(f"tessera {name}: {type(error).__name__}: {ascii(str(error))[1:-1]}\n"
              "  help: TESSERA_TRACEBACK=full shows where", file=sys.stderr)
        return 1


def _help() -> str:
    lines = ["usage: tessera COMMAND [ARGUMENTS]", "", "commands:"]
    lines += [f"  {name:{max(map(len, COMMANDS))}}  {_summary(module)}" for name, module in COMMANDS.items()]
    return "\n".join([*lines, "", "tessera COMMAND --help lists the arguments of each"])


def _summary(module: str) -> str:
    """The first line of a module's docstring; it is not imported."""
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        return ""
    with open(spec.origin, encoding="utf-8") as file:
        return (ast.get_docstring(ast.parse(file.read())) or "").splitlines()[0]
