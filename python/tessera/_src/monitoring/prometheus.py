# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Numbers of a training for Prometheus: an HTTP endpoint, or a file for node_exporter."""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Callable, Mapping
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tessera._src.core.errors import ConfigError
from tessera._src.core.files import write_whole
from tessera._src.monitoring import optional
from tessera._src.monitoring.callback import Callback, RunInfo
from tessera._src.monitoring.metrics import Collector, Numbers

DEFAULT_PORT = 9400
_MAX_PORT = 65535


class _HTTPServer(ThreadingHTTPServer):
    daemon_threads = True  # A client that reads slowly does not hold up the end of a training.
    block_on_close = False


class Endpoint:
    """An HTTP server of numbers at /metrics, on a thread of its own, from when it is made until `close`.

    Args:
        runs: see Collector.
        port: 0 takes any free one; `.port` is the one that was taken.

    Raises:
        ConfigError: the port is in use, needs more rights, or the address is not this machine's.
    """

    def __init__(self, runs: Callable[[], Mapping[str, Numbers]], port: int, address: str):
        check_port(port)
        registry = make_registry(runs)
        exposition = optional.need("prometheus_client.exposition", "metrics for Prometheus")
        handler = exposition.MetricsHandler.factory(registry)
        try:
            self._server = _HTTPServer((address, port), handler)
        except OSError as error:
            raise _explain(error, port, address) from None
        self.address, self.port = self._server.server_address[:2]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.1},
                                        name="tessera metrics", daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Where the numbers are."""
        return f"http://{self.address}:{self.port}/metrics"

    def close(self) -> None:
        """Stops serving and frees the port."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def check_port(port: int) -> int:
    """The port.

    Raises: ConfigError: it is no number of a port.
    """
    if isinstance(port, bool) or not isinstance(port, int) or not 0 <= port <= _MAX_PORT:
        raise ConfigError("TS4040", f"port is {port!r}",
                          expected=f"a whole number up to {_MAX_PORT}; 0 takes any free one")
    return port


def make_registry(runs: Callable[[], Mapping[str, Numbers]]) -> Any:
    """A registry of the library prometheus-client with nothing but the numbers of trainings."""
    registry = optional.need("prometheus_client", "metrics for Prometheus").CollectorRegistry()
    registry.register(Collector(runs))
    return registry


def _explain(error: OSError, port: int, address: str) -> ConfigError:
    if error.errno == errno.EADDRINUSE:
        return ConfigError("TS4042", f"port {port} of {address} is in use, perhaps by another training",
                           hint="choose another port, or 0 for any that is free")
    if error.errno == errno.EACCES:
        return ConfigError("TS4042", f"port {port} of {address} needs rights that this process lacks",
                           hint=f"choose one above 1023, such as {DEFAULT_PORT}")
    return ConfigError("TS4042", f"nothing can be served at {address}: {error.strerror or error}",
                       expected="an address of this machine",
                       hint="127.0.0.1 is reached from this machine only, 0.0.0.0 from others as well")


class PrometheusExporter(Callback):
    """Serves the newest numbers of a training at http://ADDRESS:PORT/metrics, for Prometheus to scrape.

    The numbers are those of `METRICS`, in base units. Each exporter has a registry of its own, so that a
    process may have several. The port is taken when the training starts, before its first step, and freed
    when it ends.

    Args:
        port: 0 takes any free one; while it serves, `.port` is the one that was taken.
        address: of this machine; the default is reached from this machine only, "0.0.0.0" from others.

    Raises:
        ConfigError: the library prometheus-client is not installed, or the port is none; from `on_start`,
            the port is in use.
    """

    def __init__(self, port: int = DEFAULT_PORT, address: str = "127.0.0.1"):
        optional.need("prometheus_client", "metrics for Prometheus")
        self.port, self.address = check_port(port), address
        self._endpoint: Endpoint | None = None
        self._numbers = Numbers()

    def on_start(self, run: RunInfo) -> None:
        """Raises: ConfigError: the port is in use."""
        self._numbers.start(run)
        self._endpoint = Endpoint(lambda: {"": self._numbers}, self.port, self.address)
        self.port = self._endpoint.port

    def on_step(self, record: Mapping[str, Any]) -> None:
        self._numbers.take(record)

    def on_event(self, record: Mapping[str, Any]) -> None:
        self._numbers.take(record)

    def on_end(self, record: Mapping[str, Any]) -> None:
        self._numbers.take(record)
        if self._endpoint is not None:
            self._endpoint.close()
            self._endpoint = None


class PrometheusFile(Callback):
    """Writes what PrometheusExporter serves to a file, for node_exporter's textfile collector: where a
    training may open no port. The file is there whole at all times.

    Args:
        path: ends in .prom, or node_exporter does not read it.
        seconds: between two writes.
    """

    def __init__(self, path: str | os.PathLike, seconds: float = 5.0):
        self._library = optional.need("prometheus_client", "metrics for Prometheus")
        self.path, self.seconds = Path(path), seconds
        self._numbers = Numbers()
        self._registry = make_registry(lambda: {"": self._numbers})
        self._written = 0.0

    def on_start(self, run: RunInfo) -> None:
        """Raises: ConfigError: the file cannot be written."""
        self._numbers.start(run)
        self._write()

    def on_step(self, record: Mapping[str, Any]) -> None:
        self._numbers.take(record)
        if time.monotonic() - self._written >= self.seconds:
            self._write()

    def on_event(self, record: Mapping[str, Any]) -> None:
        self._numbers.take(record)

    def on_end(self, record: Mapping[str, Any]) -> None:
        self._numbers.take(record)
        self._write()

    def _write(self) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(self.path, self._library.generate_latest(self._registry))
        except OSError as error:
            raise ConfigError("TS4043", f"{self.path} cannot be written: {error.strerror}") from None
        self._written = time.monotonic()
