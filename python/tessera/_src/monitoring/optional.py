# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Libraries that monitoring uses where they are installed."""

from __future__ import annotations

import importlib
import importlib.util
from types import ModuleType

from tessera._src.core.errors import ConfigError

# By the name that Python imports, the name that pip installs.
PACKAGES = {"rich": "rich", "matplotlib": "matplotlib", "prometheus_client": "prometheus-client"}


def find(module: str) -> ModuleType | None:
    """A library's module, or one in it; None where the library is not installed."""
    try:
        return importlib.import_module(module)
    except ImportError:
        return None


def need(module: str, what: str) -> ModuleType:
    """A library's module, or one in it.

    Raises: ConfigError: the library is not installed, so that there is no `what`.
    """
    found = find(module)
    if found is None:
        raise _lacking(module, what)
    return found


def check(library: str, what: str) -> None:
    """Looks whether a library is installed, without the time of importing it.

    Raises: ConfigError: it is not, so that there is no `what`.
    """
    if importlib.util.find_spec(library) is None:
        raise _lacking(library, what)


def _lacking(module: str, what: str) -> ConfigError:
    package = PACKAGES[module.partition(".")[0]]
    return ConfigError("TS4041", f"{what} needs the library {package}, which is not installed",
                       hint=f"pip install {package}, or pip install 'tessera[train]' for all of them")
