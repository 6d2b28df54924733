# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Saving and loading the state of a training, whole or not at all, on any mesh; weights of PyTorch.

    ts.checkpoints.save("run", {"weights": w, "optimizer": s}, step, metadata=loader_state, keep=3)
    loaded = ts.checkpoints.load("run", like={"weights": w, "optimizer": s})

`ts.checkpoint` is another thing: it recomputes a function in the backward pass, as ts.remat.
"""

import sys as _sys

from tessera._src.checkpoints.folders import latest, steps
from tessera._src.checkpoints.inspecting import Contents, Problem, inspect, verify
from tessera._src.checkpoints.loading import Loaded, load
from tessera._src.checkpoints.saving import Saving, save
from tessera._src.checkpoints.torch_files import load_torch
from tessera._src.core.missing import missing as _missing

__all__ = ["Contents", "Loaded", "Problem", "Saving", "inspect", "latest", "load", "load_torch", "save",
           "steps", "verify"]


def __getattr__(name: str):
    raise _missing(_sys.modules[__name__], name)
