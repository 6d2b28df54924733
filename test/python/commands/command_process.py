# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The command `tessera` as a process of its own."""

import subprocess
import sys


def tessera(*words, timeout=60, **options):
    """The finished process, with .returncode, .stdout and .stderr."""
    return subprocess.run([sys.executable, "-m", "tessera", *map(str, words)], capture_output=True, text=True,
                          timeout=timeout, **options)
