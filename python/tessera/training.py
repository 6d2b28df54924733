# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Training: ts.Trainer, its configuration with all sections, and the state that it goes on from.

    ts.Trainer(None, "train.yaml").fit()          # as `tessera train train.yaml`
"""

import sys as _sys

from tessera._src.core.missing import missing as _missing
from tessera._src.training.config import TrainConfig
from tessera._src.training.schema import (
    CheckpointConfig,
    DataConfig,
    GroupConfig,
    ModelConfig,
    MonitorConfig,
    OptimConfig,
    ParallelConfig,
    PrecisionConfig,
    RunConfig,
    SourceConfig,
)
from tessera._src.training.state import TrainState
from tessera._src.training.trainer import Trainer

__all__ = ["CheckpointConfig", "DataConfig", "GroupConfig", "ModelConfig", "MonitorConfig", "OptimConfig",
           "ParallelConfig", "PrecisionConfig", "RunConfig", "SourceConfig", "TrainConfig", "TrainState",
           "Trainer"]


def __getattr__(name: str):
    raise _missing(_sys.modules[__name__], name)
