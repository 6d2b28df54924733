# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Names of other projects' documents, as thin functions over Tessera's own, which each says.

    from tessera.compat import autocast, clip_gradients, optimizers, schedulers
"""

import sys as _sys

from tessera._src.compat.gradients import activation_checkpointing, clip_gradients
from tessera._src.compat.precisions import MixedPrecisionManager, autocast
from tessera._src.compat.strategies import Strategy, distribute, distributed, mesh
from tessera._src.compat.trainer import TesseraTrainer
from tessera._src.core.missing import missing as _missing
from tessera._src.functions.jit import jit as function
from tessera.compat import optimizers, schedulers

__all__ = ["MixedPrecisionManager", "Strategy", "TesseraTrainer", "activation_checkpointing", "autocast",
           "clip_gradients", "distribute", "distributed", "function", "mesh", "optimizers", "schedulers"]


def __getattr__(name: str):
    raise _missing(_sys.modules[__name__], name)
