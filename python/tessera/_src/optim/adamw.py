# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""AdamW."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from tessera._src.ops.derived import expm1
from tessera._src.ops.elementwise_functions import sqrt
from tessera._src.optim.optimizer import Optimizer, scalar_checks
from tessera._src.tracing.operands import convert, lift_as
from tessera._src.tracing.tracer import Tracer


@dataclass(frozen=True, init=False, eq=False, repr=False)
class AdamW(Optimizer):
    """Adam with a decay of the weights that is apart from the gradient, as torch.optim.AdamW has it.

    With t = step + 1, g the gradient, w the weight (Loshchilov and Hutter, "Decoupled weight decay
    regularization", 2019):

        w <- w (1 - lr weight_decay)
        m <- m + (1 - beta1) (g - m);  v <- beta2 v + (1 - beta2) g^2
        w <- w - lr / (1 - beta1^t) m / (sqrt(v) / sqrt(1 - beta2^t) + eps)

    The update of a weight is one kernel, in place where weights and state are donated:

        optimizer = ts.optim.AdamW(lr=ts.optim.cosine(3e-4, warmup=100, total=2000), betas=(0.9, 0.95))
        state = optimizer.init(weights)

        @ts.jit(donate_argnums=(0, 1))
        def step(weights, state, batch):
            loss, grads = ts.value_and_grad(loss_of)(weights, batch)
            grads, norm = ts.optim.clip_by_global_norm(grads, 1.0)
            weights, state = optimizer.update(grads, state, weights)
            return weights, state, loss, norm

    The state has the trees `exp_avg` (m) and `exp_avg_sq` (v). An optimizer does not change, and is used in
    a traced function as it is.

    Args:
        lr: the learning rate: a number, a schedule such as ts.optim.cosine(...), any function of the number
            of updates before (a traced i32), or a traced scalar.
        betas: of the two moments, each in [0, 1).
        eps: what is added to the root of the second moment.
        weight_decay: part of each weight that goes in an update, divided by the learning rate.
        groups: pairs (which weights, options): a pattern of their paths, as fnmatch has them ("layers.*.bias"
            of what ts.tree.paths gives), or a function of (path, ts.ShapeDtypeStruct); and a dictionary of
            the options lr, betas, eps, weight_decay and decay_filter that are others for these. A weight is
            in the first group that takes it. A number for lr stays as it is, whatever schedule the others
            have, while optim.groups of `tessera train` makes it the peak of the schedule.
        decay_filter: which weights decay: "matrices", those of two dimensions or more that are not called
            bias; "all", as in PyTorch; or a function of (path, ts.ShapeDtypeStruct), which of a stack of
            layers is told the shape that one layer's has.
        state_dtype: the type of the moments; by default a weight's own, of 16-bit weights f32. The update is
            computed in f32, or f64 where weight or moments are.
        master: whether the state keeps 16-bit weights in f32, too. The update is of this copy, and the
            weights are its rounding: make a new state for weights that were changed otherwise. Without it,
            updates of less than half a unit of a weight's last place are lost.
        zero: an axis of the weights' mesh that splits the state besides the axes of the weight, as in stage 1
            of ZeRO (Rajbhandari et al., 2020): each of its devices updates its part of a weight, and the
            parts are gathered. What is kept of a weight none of whose dimensions it divides is whole. In a
            compiled function, weights are gathered where they are donated, or out_shardings says so: results
            that nothing is said of stay as they were computed, here in parts.

    Raises:
        ConfigError: options that are not known or out of range.
    """

    betas: tuple[float, float]
    eps: float

    _checks: ClassVar = scalar_checks("lr", "betas", "eps", "weight_decay")

    def __init__(self, lr: Any = 1e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
                 weight_decay: float = 1e-2, *, groups: Any = (), decay_filter: Any = "matrices",
                 state_dtype: Any = None, master: bool = True,
                 zero: str | None = None):
        self._set({"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}, groups, decay_filter,
                  state_dtype, master, zero)

    def _kept(self, options: Mapping[str, Any]) -> tuple[str, ...]:
        return "exp_avg", "exp_avg_sq"

    def _factors(self, options: Mapping[str, Any], rate: Any, step: Tracer, dtype: np.dtype
                 ) -> dict[str, Any]:
        beta1, beta2 = options["betas"]
        factors = {"rate": rate / _correction(beta1, step, dtype),
                   "root": sqrt(_correction(beta2, step, dtype))}
        if options["weight_decay"]:
            factors["left"] = 1.0 - rate * options["weight_decay"]
        return factors

    def _updated(self, options: Mapping[str, Any], factors: Mapping[str, Any], weight: Tracer, grad: Tracer,
                 kept: Mapping[str, Tracer]) -> tuple[Tracer, dict[str, Tracer]]:
        beta1, beta2 = options["betas"]
        if "left" in factors:
            weight = weight * factors["left"]
        first, second = kept["exp_avg"], kept["exp_avg_sq"]
        # As torch.lerp: exact at the near end.
        first = first + (1 - beta1) * (grad - first) if beta1 > 0.5 else grad - beta1 * (grad - first)
        second = second * beta2 + (1 - beta2) * grad * grad
        weight = weight - factors["rate"] * first / (sqrt(second) / factors["root"] + options["eps"])
        return weight, {"exp_avg": first, "exp_avg_sq": second}


def _correction(beta: float, step: Tracer, dtype: np.dtype) -> Tracer:
    """1 - beta^(step + 1): by expm1, as in f32 the difference would have lost ten bits for a beta near 1."""
    if beta == 0:
        return lift_as(1.0, dtype)
    return -expm1(convert(step + 1, dtype) * math.log(beta))
