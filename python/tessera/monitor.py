# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Watching a training: logs, metrics, progress and plots; what steps cost, and traces of them.

    trainer = ts.Trainer(model, config, callbacks=[ts.monitor.JSONLWriter("run/metrics.jsonl"),
                                                   ts.monitor.PrometheusExporter(9400)])
    ts.monitor.trace(step, state, batch, path="step.json.gz")  # open it at https://ui.perfetto.dev
"""

import sys as _sys

from tessera._src.core.missing import missing as _missing
from tessera._src.monitoring.alerts import DEFAULT_RULES, Alert, AlertRule, Alerts
from tessera._src.monitoring.callback import Callback, RunInfo
from tessera._src.monitoring.jsonl import JSONLWriter, read_metrics, read_records
from tessera._src.monitoring.loss_plot import LossPlot
from tessera._src.monitoring.metrics import METRICS, Metric
from tessera._src.monitoring.peak import explain_flops, flops_per_token, measured_peak, mfu
from tessera._src.monitoring.progress import Progress
from tessera._src.monitoring.prometheus import PrometheusExporter, PrometheusFile
from tessera._src.monitoring.step_trace import Slice, StepTrace, record, trace

__all__ = [
    "DEFAULT_RULES",
    "METRICS",
    "Alert",
    "AlertRule",
    "Alerts",
    "Callback",
    "JSONLWriter",
    "LossPlot",
    "Metric",
    "Progress",
    "PrometheusExporter",
    "PrometheusFile",
    "RunInfo",
    "Slice",
    "StepTrace",
    "explain_flops",
    "flops_per_token",
    "measured_peak",
    "mfu",
    "read_metrics",
    "read_records",
    "record",
    "trace",
]


def __getattr__(name: str):
    raise _missing(_sys.modules[__name__], name)
