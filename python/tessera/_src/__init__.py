# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The package's code. Public modules re-export from here; nothing here imports a public module."""

import sys

try:
    import ml_dtypes  # noqa: F401
    import numpy  # noqa: F401
except ModuleNotFoundError as missing:
    # What tessera-compile shows, too, where the python3 on PATH is another than the project's.
    raise ModuleNotFoundError(
        f"tessera needs the package {missing.name}, which {sys.executable or 'this Python'} lacks: "
        "use the .venv that tools/setup makes (tessera-compile --python=.venv/bin/python), or "
        "install what pyproject.toml lists", name=missing.name) from None
