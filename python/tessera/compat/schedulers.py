# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Schedulers that set the learning rate of ts.compat.optimizers; ts.optim has schedules."""

import sys as _sys

from tessera._src.compat.optimizers import ConstantWithWarmup, CosineWithWarmup, LinearWithWarmup, Scheduler
from tessera._src.core.missing import missing as _missing

__all__ = ["ConstantWithWarmup", "CosineWithWarmup", "LinearWithWarmup", "Scheduler"]


def __getattr__(name: str):
    raise _missing(_sys.modules[__name__], name)
