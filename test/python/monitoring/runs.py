# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A training as callbacks see it, without one."""

import math
from pathlib import Path

import tessera as ts


def run_info(folder, steps=20, first_step=0, **fields):
    """What is known before the first step."""
    known = dict(config={"model": {"name": "tiny"}}, parameters=1_234_567, flops_per_token=7.5e6, devices=2,
                 mesh="dp=2", tokens_per_step=96, peak_flops=1e11)
    return ts.monitor.RunInfo(Path(folder), steps=steps, first_step=first_step, **{**known, **fields})


def step_record(step, skipped=0, **fields):
    """The record of a step; its numbers tell steps and entries apart."""
    return {"event": "step", "step": step, "loss": 7.0 / step, "grad_norm": 1.5 + step, "lr": 1e-3 / step,
            "tokens": 96, "tokens_total": 96 * step, "seconds": 0.25, "tokens_per_second": 384.0,
            "mfu": 0.0288, "wait_seconds": 0.01, "skipped": skipped, "epoch": 0, "time": 1.7e9 + step,
            **fields}


END = {"event": "end", "reason": "done", "step": 20, "error": None}


def play(callbacks, folder, first=1, last=20, end=END):
    """Lets callbacks see the steps from `first` to `last`, of which 7 and 8 are skipped."""
    for callback in callbacks:
        callback.on_start(run_info(folder, first_step=first - 1))
    for step in range(first, last + 1):
        loss = math.nan if step in (7, 8) else 7.0 / step
        record = step_record(step, skipped=(step >= 7) + (step >= 8), loss=loss)
        for callback in callbacks:
            callback.on_step(record)
        if step % 5 == 0:
            for callback in callbacks:
                callback.on_event({"event": "evaluation", "step": step, "loss": 8.0 / step,
                                   "perplexity": math.exp(8.0 / step)})
    if end:
        for callback in callbacks:
            callback.on_end({**end, "step": last})
