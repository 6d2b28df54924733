# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Scaling of the loss, so that gradients in f16 do not vanish."""

from __future__ import annotations

import functools
import operator
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tessera._src.arrays.array import Array
from tessera._src.core import dtypes, tree
from tessera._src.core.errors import TraceError
from tessera._src.functions import eager
from tessera._src.ops import derived, elementwise, elementwise_functions, reductions
from tessera._src.optim.clipping import lifted_floats, wide_type
from tessera._src.optim.options import check_count, check_number
from tessera._src.optim.states import check_condition
from tessera._src.tracing.operands import convert, lift, lift_as
from tessera._src.tracing.program_text import is_tracing
from tessera._src.tracing.tracer import Tracer

_TYPES = {"scale": dtypes.f32, "good_steps": dtypes.i32, "skipped": dtypes.i32}
# A scale below has no reciprocal in f32.
_LEAST = float(np.finfo(np.float32).tiny)


@dataclass(frozen=True, init=False)
class LossScale:
    """A factor of the loss that grows while gradients are finite and shrinks where they are not.

    For training in f16, whose numbers end at 6e-8 and at 65504; bf16 needs none. The rules are those of
    torch.amp.GradScaler: gradients that are not finite give scale / factor, and `growth_interval` updates
    in a row with finite ones give scale * factor, unless that is more than f32 holds.

        scaling = ts.optim.LossScale()
        state, scale = optimizer.init(weights), scaling.init()

        @ts.jit(donate_argnums=(0, 1, 2))
        def step(weights, state, scale, batch):
            def scaled(weights, batch):
                loss = loss_of(weights, batch)
                return scaling.scale(scale, loss), loss
            (_, loss), grads = ts.value_and_grad(scaled, has_aux=True)(weights, batch)
            grads, is_finite = scaling.unscale(scale, grads)
            weights, state = optimizer.update(grads, state, weights, when=is_finite)
            return weights, state, scaling.adjust(scale, is_finite), loss

    The state is a dictionary: `scale` (f32), `good_steps` (i32, finite updates since the scale changed) and
    `skipped` (i32, updates that were not finite).

    Args:
        initial: the scale at first; powers of two make scaling exact.
        growth_interval: updates with finite gradients before the scale grows.
        factor: by which it grows.
        backoff: by which it is multiplied where gradients are not finite; by default 1 / factor.

    Raises:
        ConfigError: numbers out of range.
    """

    initial: float
    growth_interval: int
    factor: float
    backoff: float

    def __init__(self, initial: float = 2.0**15, growth_interval: int = 2000, factor: float = 2.0,
                 backoff: float | None = None):
        most = float(np.finfo(np.float32).max)
        values = {"initial": check_number("initial of ts.optim.LossScale", initial, _LEAST, most),
                  "growth_interval": check_count("growth_interval of ts.optim.LossScale", growth_interval, 1),
                  "factor": check_number("factor of ts.optim.LossScale", factor, 1.0, most)}
        values["backoff"] = 1 / values["factor"] if backoff is None else check_number(
            "backoff of ts.optim.LossScale", backoff, _LEAST, 1.0)
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def init(self) -> dict[str, Any]:
        """The state before the first update."""
        values = {"scale": self.initial, "good_steps": 0, "skipped": 0}
        make = lift_as if is_tracing() else lambda value, dtype: Array(np.array(value, dtype))
        return {name: make(value, _TYPES[name]) for name, value in values.items()}

    def scale(self, state: Mapping[str, Any], loss: Any) -> Any:
        """The loss times the scale, in f32, or f64 for f64."""
        if not is_tracing():
            return eager.run(self.scale, (state, loss), {})
        value = lifted_floats("the loss", loss)[0][0]
        wide = wide_type([value])
        return convert(value, wide) * convert(_checked(state)["scale"], wide)

    def unscale(self, state: Mapping[str, Any], grads: Any) -> tuple[Any, Any]:
        """Gradients of the scaled loss divided by the scale, and whether all are finite: (grads, is_finite).

        16-bit gradients become f32, in which what the scale saved is not lost again; update takes them so.
        On a mesh, devices exchange one number, however many leaves there are.
        """
        if not is_tracing():
            return eager.run(self.unscale, (state, grads), {})
        leaves, structure = lifted_floats("gradients", grads)
        scale = _checked(state)["scale"]
        result, bad = [], []
        for leaf in leaves:
            wide = wide_type([leaf])
            result.append(convert(leaf, wide) * (1.0 / convert(scale, wide)))
            # Counted in f32, whose sums of such do not come back to 0, and which are terms of one sum.
            bad.append(reductions.sum(convert(elementwise.logical_not(derived.isfinite(leaf)), dtypes.f32)))
        return (tree.unflatten(structure, result),
                elementwise.equal(functools.reduce(operator.add, bad), 0.0))

    def adjust(self, state: Mapping[str, Any], is_finite: Any) -> dict[str, Any]:
        """The state after an update whose gradients were finite, or not."""
        if not is_tracing():
            return eager.run(self.adjust, (state, is_finite), {})
        known, good = _checked(state), check_condition(is_finite)
        scale, where = known["scale"], elementwise.where
        steps = known["good_steps"] + 1
        grown = scale * self.factor
        is_due = elementwise.greater_equal(steps, self.growth_interval)
        larger = where(elementwise.logical_and(is_due, derived.isfinite(grown)), grown, scale)
        smaller = elementwise_functions.maximum(scale * self.backoff, _LEAST)
        return {"scale": where(good, larger, smaller),
                "good_steps": where(elementwise.logical_and(good, elementwise.logical_not(is_due)), steps, 0),
                "skipped": known["skipped"] + convert(elementwise.logical_not(good), dtypes.i32)}


def _checked(state: Any) -> dict[str, Tracer]:
    """The state of a loss scale."""
    if not isinstance(state, Mapping) or set(state) != set(_TYPES):
        raise TraceError("TS1005", "this is not the state of a ts.optim.LossScale",
                         expected=f"a dictionary of {', '.join(_TYPES)}",
                         got=f"one of {', '.join(map(str, state))}" if isinstance(state, Mapping)
                         else type(state).__name__, hint="make it by .init(), and pass it first")
    made = {name: lift(value) for name, value in state.items()}
    for name, dtype in _TYPES.items():
        if (made[name].shape, made[name].dtype) != ((), dtype):
            raise TraceError("TS1050", f"'{name}' of the state has the wrong type",
                             expected=f"{dtypes.name_of(dtype)}[]",
                             got=f"{dtypes.name_of(made[name].dtype)}{list(made[name].shape)}")
    return made
