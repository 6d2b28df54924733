# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Optimizers over trees of weights, schedules of the learning rate, clipping and loss scaling."""

import sys as _sys

from tessera._src.core.missing import missing as _missing
from tessera._src.optim.adamw import AdamW
from tessera._src.optim.clipping import clip_by_global_norm, global_norm
from tessera._src.optim.loss_scale import LossScale
from tessera._src.optim.optimizer import Optimizer
from tessera._src.optim.schedules import Schedule, constant, cosine, linear, wsd
from tessera._src.optim.sgd import SGD

__all__ = ["AdamW", "LossScale", "Optimizer", "SGD", "Schedule", "clip_by_global_norm", "constant", "cosine",
           "global_norm", "linear", "wsd"]


def __getattr__(name: str):
    raise _missing(_sys.modules[__name__], name)
