# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Serves the newest numbers of trainings to Prometheus, from their logs."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from typing import Any

from tessera._src.monitoring.following import LogFolder
from tessera._src.monitoring.prometheus import DEFAULT_PORT, Endpoint


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("path", metavar="FOLDER",
                        help="a training's folder, one that has several below it, or a metrics.jsonl")
    parser.add_argument("--port", type=int, default=DEFAULT_PORT,
                        help="0 takes any free one (default: %(default)s)")
    parser.add_argument("--address", default="127.0.0.1",
                        help="of this machine; 0.0.0.0 is reached from others, too (default: %(default)s)")


def run(arguments: argparse.Namespace) -> int:
    """Serves until SIGINT or SIGTERM.

    Raises:
        DataError: there is no log. ConfigError: the port is in use, or prometheus-client is not installed.
    """
    stop = threading.Event()

    def end(*_: Any) -> None:
        stop.set()

    folder = LogFolder(arguments.path)
    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        endpoint = Endpoint(folder.runs, arguments.port, arguments.address)
        try:
            runs = folder.runs()
            print(f"serving {', '.join(runs)} at {endpoint.url}", flush=True)
            for name, count in folder.unreadable().items():
                print(f"warning: {name} has {count} lines that are no records of a training", file=sys.stderr)
            stop.wait()
        finally:
            endpoint.close()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return 0
