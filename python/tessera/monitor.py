# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Watching a training: logs, metrics, progress and plots; what steps cost, and traces of them.

    trainer = ts.Trainer(model, config, callbacks=[ts.monitor.JSONLWriter("run/metrics.jsonl"),
                                                   ts.monitor.PrometheusExporter(9400)])
    ts.monitor.trace(step, state, batch, path="step.json.gz")  # open it at https://ui.perfetto.dev
"""

import sys as _sys

from tessera._src.core.missing import missing as _missing
from tessera._src.monitoring.callback import Callback, RunInfo
from tessera._src.monitoring.step_trace import Slice, StepTrace, record, trace

__all__ = [
    "Callback",
    "RunInfo",
    "Slice",
    "StepTrace",
    "record",
    "trace",
]


def __getattr__(name: str):
    raise _missing(_sys.modules[__name__], name)
