# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Optimizers that hold their weights, as PyTorch's; ts.optim has those that are functions."""

import sys as _sys

from tessera._src.compat.optimizers import SGD, AdamW
from tessera._src.core.missing import missing as _missing

__all__ = ["SGD", "AdamW"]


def __getattr__(name: str):
    raise _missing(_sys.modules[__name__], name)
