# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from tessera._src.core.errors import ConfigError
from tessera._src.ops import elementwise
from tessera._src.optim.optimizer import Optimizer, scalar_checks
from tessera._src.tracing.operands import lift_as
from tessera._src.tracing.tracer import Tracer


@dataclass(frozen=True, init=False, eq=False, repr=False)
class SGD(Optimizer):
    """Stochastic gradient descent, with momentum if asked for, as torch.optim.SGD has it.

    With g the gradient, w the weight and b what is kept with momentum:

        g <- g + weight_decay w
        b <- momentum b + (1 - dampening) g, and in the first update b <- g
        w <- w - lr b;  without momentum w - lr g, with nesterov w - lr (g + momentum b)

    It is used as ts.optim.AdamW is. The state has the tree `momentum_buffer` (b), if there is momentum.

    Args:
        lr: the learning rate, as that of ts.optim.AdamW.
        momentum: factor of b; 0 keeps no b.
        dampening: in [0, 1].
        weight_decay: factor of the weight in the gradient.
        nesterov: needs momentum, and no dampening.
        groups, decay_filter, state_dtype, master: as those of ts.optim.AdamW; groups may set lr, momentum,
            dampening, weight_decay, nesterov and decay_filter.
        zero: an axis of the weights' mesh that splits the state besides the axes of the weight, as in stage 1
            of ZeRO (Rajbhandari et al., 2020): each of its devices updates its part of a weight, and the
            parts are gathered. What is kept of a weight none of whose dimensions it divides is whole. In a
            compiled function, weights are gathered where they are donated, or out_shardings says so: results
            that nothing is said of stay as they were computed, here in parts.

    Raises:
        ConfigError: options that are not known, out of range, or do not go together.
    """

    momentum: float
    dampening: float
    nesterov: bool

    _checks: ClassVar = scalar_checks("lr", "momentum", "dampening", "weight_decay", "nesterov")

    def __init__(self, lr: Any = 1e-3, momentum: float = 0.0, dampening: float = 0.0,
                 weight_decay: float = 0.0, nesterov: bool = False, *, groups: Any = (),
                 decay_filter: Any = "matrices", state_dtype: Any = None, master: bool = True,
                 zero: str | None = None):
        self._set({"lr": lr, "momentum": momentum, "dampening": dampening, "weight_decay": weight_decay,
                   "nesterov": nesterov}, groups, decay_filter, state_dtype, master, zero)

    def _check_together(self, name: str, options: Mapping[str, Any]) -> None:
        if options["nesterov"] and (not options["momentum"] or options["dampening"]):
            raise ConfigError("TS4013", f"nesterov of {name} needs momentum, and no dampening",
                              got=f"momentum={options['momentum']:g}, dampening={options['dampening']:g}")

    def _kept(self, options: Mapping[str, Any]) -> tuple[str, ...]:
        return ("momentum_buffer",) if options["momentum"] else ()

    def _factors(self, options: Mapping[str, Any], rate: Any, step: Tracer, dtype: np.dtype
                 ) -> dict[str, Any]:
        factors = {"rate": rate}
        if options["momentum"] and options["dampening"]:
            is_first = elementwise.equal(step, 0)
            factors["part"] = elementwise.where(is_first, lift_as(1.0, dtype),
                                                lift_as(1.0 - options["dampening"], dtype))
        return factors

    def _updated(self, options: Mapping[str, Any], factors: Mapping[str, Any], weight: Tracer, grad: Tracer,
                 kept: Mapping[str, Tracer]) -> tuple[Tracer, dict[str, Tracer]]:
        if options["weight_decay"]:
            grad = grad + options["weight_decay"] * weight
        if not options["momentum"]:
            return weight - factors["rate"] * grad, {}
        # Before the first update it is 0.
        own = kept["momentum_buffer"] * options["momentum"] + factors.get("part", 1.0) * grad
        move = grad + options["momentum"] * own if options["nesterov"] else own
        return weight - factors["rate"] * move, {"momentum_buffer": own}
