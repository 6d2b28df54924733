# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Learning rates that depend on the step: computed inside the trace, from the step's counter."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from tessera._src.core import dtypes
from tessera._src.core.errors import ConfigError
from tessera._src.ops import elementwise, elementwise_functions
from tessera._src.optim.options import check_choice, check_count, check_number
from tessera._src.tracing.operands import convert, lift_as
from tessera._src.tracing.tracer import Tracer

_SHAPES = ("linear", "cosine", "sqrt")


@dataclass(frozen=True)
class Schedule:
    """A learning rate by the number of updates that were done before; made by ts.optim.cosine and others.

    Call it with that number to see the rate: an integer or an array of them gives f64 of NumPy, a traced
    counter a traced number of the type that is its second argument, by default f32.

    Attributes:
        kind: the function that made it.
        peak: the rate at the end of the warm-up.
        warmup: updates of the warm-up: update k < warmup has the rate
            peak * (start + (1 - start) * k / warmup), so that update `warmup` is the first with `peak`.
        total: where the rate reaches final * peak, which it keeps; None for a rate that stays.
        final: the last rate as a fraction of the peak.
        start: the first rate as a fraction of the peak.
        decay: updates of the decay that ends at `total`.
        shape: how the rate falls in these.
    """

    kind: str
    peak: float
    warmup: int
    total: int | None
    final: float
    start: float
    decay: int
    shape: str

    def __call__(self, step: Any, dtype: Any = None) -> Any:
        is_traced = isinstance(step, Tracer)
        wide = dtypes.f64 if not is_traced else dtypes.f32 if dtype is None else dtypes.canonical(dtype)
        k: Any = convert(step, dtypes.i32) if is_traced else np.asarray(step, np.int64)
        least, most, where = (elementwise_functions.maximum, elementwise_functions.minimum, elementwise.where
                              ) if is_traced else (np.maximum, np.minimum, np.where)

        def part(count: Any, of: int) -> Any:
            """How much of `of` updates `count` are, in [0, 1]: counted in integers, which f32 would round."""
            held = most(least(count, 0), of)
            return (convert(held, wide) if is_traced else held) / float(of)

        fraction: Any = 1.0
        if self.total is not None:
            left = part(self.total - k, self.decay)
            fraction = self.final + (1.0 - self.final) * _height(self.shape, left, is_traced)
        if self.warmup:
            rising = self.start + (1.0 - self.start) * part(k, self.warmup)
            fraction = where(k < self.warmup, rising, fraction)
        rate = self.peak * fraction
        return lift_as(rate, wide) if is_traced else np.broadcast_to(rate, k.shape)[()] + 0.0

    def __repr__(self) -> str:
        given = {"warmup": self.warmup, "total": self.total, "final": self.final, "start": self.start}
        if self.kind == "wsd":
            given |= {"decay": self.decay, "shape": self.shape}
        if self.total is None:
            del given["final"]
        text = "".join(f", {name}={value!r}" for name, value in given.items() if value not in (None, 0))
        return f"ts.optim.{self.kind}({self.peak!r}{text})"


def _height(shape: str, left: Any, is_traced: bool) -> Any:
    """How high a fall is where a part of it is left, from 1 down to 0; precise near its end, too."""
    if shape == "linear":
        return left
    if shape == "sqrt":  # 1 - sqrt(1 - left).
        return left / (1.0 + (elementwise_functions.sqrt if is_traced else np.sqrt)(1.0 - left))
    half = (elementwise_functions.sin if is_traced else np.sin)(math.pi / 2 * left)
    return half * half  # (1 + cos(pi (1 - left))) / 2.


def constant(peak: float, *, warmup: int = 0, start: float = 0.0) -> Schedule:
    """A rate that rises linearly in `warmup` updates, and stays.

    Args:
        peak: the rate after the warm-up.
        warmup: updates before the first that has the rate `peak`.
        start: the rate of the first update of a warm-up, as a fraction of `peak`.
    """
    return _checked("constant", peak, warmup, None, 0.0, start, 0, "linear")


def linear(peak: float, *, warmup: int = 0, total: int, final: float = 0.0, start: float = 0.0) -> Schedule:
    """A rate that rises linearly in `warmup` updates, falls linearly to final * peak at `total`, and stays.

    Args:
        peak: the rate after the warm-up.
        warmup: updates before the first that has the rate `peak`.
        total: updates in all: the first that would come after them has the rate final * peak.
        final: the last rate as a fraction of `peak`.
        start: the rate of the first update of a warm-up, as a fraction of `peak`.
    """
    return _checked("linear", peak, warmup, total, final, start, None, "linear")


def cosine(peak: float, *, warmup: int = 0, total: int, final: float = 0.0, start: float = 0.0) -> Schedule:
    """A rate that rises linearly in `warmup` updates, falls along half a cosine to final * peak, and stays.

    Without warm-up it is CosineAnnealingLR of PyTorch with T_max = total, up to there (Loshchilov and
    Hutter, "SGDR", 2017, without restarts); with it, get_cosine_schedule_with_warmup of `transformers`.

    Args:
        peak: the rate after the warm-up.
        warmup: updates before the first that has the rate `peak`.
        total: updates in all: the first that would come after them has the rate final * peak.
        final: the last rate as a fraction of `peak`.
        start: the rate of the first update of a warm-up, as a fraction of `peak`.
    """
    return _checked("cosine", peak, warmup, total, final, start, None, "cosine")


def wsd(peak: float, *, warmup: int = 0, total: int, decay: int | None = None, final: float = 0.0,
        start: float = 0.0, shape: str = "linear") -> Schedule:
    """Warm-up, stable, decay: a rate that rises, stays at `peak`, and falls in the last `decay` updates.

    So that training may be continued from before the decay (Hu et al., "MiniCPM", 2024; of the shapes,
    Hägele et al., "Scaling laws and compute-optimal training beyond fixed training durations", 2024).

    Args:
        peak: the rate after the warm-up.
        warmup: updates before the first that has the rate `peak`.
        total: updates in all: the first that would come after them has the rate final * peak.
        decay: updates of the fall; by default a tenth of `total`.
        final: the last rate as a fraction of `peak`.
        start: the rate of the first update of a warm-up, as a fraction of `peak`.
        shape: of the fall: "linear", "cosine", or "sqrt" (1 - sqrt of the progress).
    """
    check_choice("shape of ts.optim.wsd", shape, _SHAPES)
    if decay is None:
        decay = max(1, check_count("total of ts.optim.wsd", total, 1) // 10)
    return _checked("wsd", peak, warmup, total, final, start, decay, shape)


def _checked(kind: str, peak: Any, warmup: Any, total: Any, final: Any, start: Any, decay: Any,
             shape: str) -> Schedule:
    """A schedule of valid numbers; `decay` is None for one that falls from the warm-up on."""
    of = f" of ts.optim.{kind}"
    peak = check_number("peak" + of, peak)
    warmup = check_count("warmup" + of, warmup, 0)
    final, start = check_number("final" + of, final), check_number("start" + of, start, most=1.0)
    if total is not None:
        total = check_count("total" + of, total, 1)
        decay = total - warmup if decay is None else check_count("decay" + of, decay, 1)
        if decay < 1 or warmup + decay > total:
            raise ConfigError(
                "TS4013", f"the phases{of} do not fit: total={total}, warmup={warmup}"
                + (f", decay={decay}" if kind == "wsd" else ""),
                expected="warmup + decay of at most total" if kind == "wsd" else "warmup less than total",
                hint="total counts all updates, those of the warm-up too")
    return Schedule(kind, peak, warmup, total, final, start, decay, shape)
