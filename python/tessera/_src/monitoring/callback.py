# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What watches a training: an object whose methods a training calls as it goes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class RunInfo:
    """What is known of a training before its first step.

    Attributes:
        folder: where it writes.
        config: its configuration, as JSON has it.
        steps: how many steps the training has in all.
        first_step: the step it goes on from: 0 of a new training; n where n steps were done before.
        parameters: elements of all trained weights.
        flops_per_token: floating-point operations that training on one token takes; None if not known. See
            `flops_per_token`.
        devices: of the mesh.
        mesh: its axes, as "dp=2 tp=2".
        tokens_per_step: tokens of one step's batch, over all devices and micro-batches.
        peak_flops: floating-point operations a second that the devices can do together, of which `mfu` is
            the part that is used; None if it was not measured. See `measured_peak`.
    """

    folder: Path
    config: Mapping[str, Any] = field(default_factory=dict)
    steps: int = 0
    first_step: int = 0
    parameters: int = 0
    flops_per_token: float | None = None
    devices: int = 1
    mesh: str = ""
    tokens_per_step: int = 0
    peak_flops: float | None = None


class Callback:
    """Base of what watches a training; its methods do nothing.

    A training calls `on_start` once, `on_step` and `on_event` in the order of its steps, and `on_end` once,
    also where it fails. All calls come from one thread. Records are dictionaries of plain Python values,
    which JSON can write but for infinities and NaN; a callback does not change them. An error that a
    callback raises from `on_start` ends the training before its first step, one from another method ends
    it there.
    """

    def on_start(self, run: RunInfo) -> None:
        """Before the first step: the place to open files and ports."""

    def on_step(self, record: Mapping[str, Any]) -> None:
        """After a step.

        Args:
            record: "event": "step"; "step": its number, from 1; "loss"; "grad_norm": the gradient's norm
                before clipping; "lr"; "tokens": of this step; "tokens_total": of all steps so far;
                "seconds": that the step took; "tokens_per_second"; "mfu": the part of the peak that was
                used, or None; "wait_seconds": waited for data; "skipped": steps so far whose update was
                left out; "epoch"; "time": seconds since 1970; and, where losses are scaled, "loss_scale".
        """

    def on_event(self, record: Mapping[str, Any]) -> None:
        """Something other than a step.

        Args:
            record: "event" and what belongs to it: "evaluation" (step, loss, perplexity), "sample" (step,
                text), "save" (step, folder, seconds, bytes), "skip" (step, reason, loss_scale), "message"
                (text).
        """

    def on_end(self, record: Mapping[str, Any]) -> None:
        """After the last step: the place to close what on_start opened.

        Args:
            record: "event": "end"; "reason": "done", "stopped" or "failed"; "step"; "error": its text, or
                None.
        """
