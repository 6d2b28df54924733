# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Printing and checking while a compiled program runs."""

import sys as _sys

from tessera._src.core.missing import missing as _missing
from tessera._src.ops.effects import check, check_finite, print

__all__ = ["check", "check_finite", "print"]


def __getattr__(name: str):
    raise _missing(_sys.modules[__name__], name)
