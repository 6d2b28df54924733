# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The compiled step of a training: gradients of all micro-batches, and one update."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tessera._src.arrays.array import Array
from tessera._src.control_flow.loops import scan
from tessera._src.core import dtypes, tree
from tessera._src.data.datasets import IGNORE_INDEX
from tessera._src.derivatives.gradients import value_and_grad
from tessera._src.derivatives.precision import Precision
from tessera._src.functions.jit import JittedFunction, jit
from tessera._src.meshes.mesh import Mesh, PartitionSpec
from tessera._src.nn.parallel import on_mesh
from tessera._src.ops import creation, derived, elementwise, losses, reductions, rng
from tessera._src.optim.clipping import clip_by_global_norm, global_norm
from tessera._src.optim.loss_scale import LossScale
from tessera._src.optim.optimizer import Optimizer
from tessera._src.tracing.operands import convert


@dataclass(frozen=True)
class Step:
    """What a step computes.

    Attributes:
        optimizer: makes the update.
        scaling: of the loss, in fp16.
        clip: the largest norm of the gradient, or None.
        gradient: the types in which gradients are formed.
        reduced: the type in which their sums over devices are made.
        takes: which of "key", "positions" and "segments" the model is given.
        stops: whether nothing is updated any more after a step that is not finite.
    """

    optimizer: Optimizer
    scaling: LossScale | None
    clip: float | None
    gradient: Precision
    reduced: Precision
    takes: frozenset[str]
    stops: bool

    def logits(self, model: Any, batch: dict[str, Any], key: Any = None) -> Any:
        """The model's logits for micro-batches [batch, sequence]."""
        given = {name: batch[name] for name in ("positions", "segments") if name in self.takes}
        if "key" in self.takes and key is not None:
            given["key"] = key
        return model(batch["tokens"], **given)

    def first_state(self, weights: Any) -> dict[str, Any]:
        """What a step takes and gives beside the model: the optimizer's state, the loss scale, and whether
        a step before was not finite ("halted")."""
        state = {"optimizer": self.optimizer.init(weights), "halted": Array(np.zeros((), bool))}
        if self.scaling is not None:
            state["scale"] = self.scaling.init()
        return state

    def gradients(self, model: Any, scale: Any, key: Any, batch: dict[str, Any]) -> tuple[Any, Any, Any]:
        """The mean loss over all labels of [micro, batch, sequence], its gradient (times the loss scale),
        and the number of labels.

        Each micro-batch adds its part of the mean over all of them: a mean of means would weigh tokens of
        micro-batches with few labels more. The sums begin as zeros, so that terms of data-parallel devices
        stay terms in the loop, and are added up once behind it.
        """
        count = label_count(batch)
        wide = dtypes.f64 if any(w.dtype == dtypes.f64 for w in tree.leaves(model)) else dtypes.f32
        divisor = at_least_one(convert(count, wide))

        def loss_of(model: Any, part: dict[str, Any], index: Any) -> tuple[Any, Any]:
            own = rng.fold_in(key, index) if "key" in self.takes else None
            logits = self.logits(model, part, own)
            total = losses.softmax_cross_entropy(logits, part["labels"], ignore_index=IGNORE_INDEX,
                                                 reduction="sum")
            loss = total / divisor
            return (loss if self.scaling is None else self.scaling.scale(scale, loss)), loss

        def part_of(part: dict[str, Any], index: Any) -> tuple[Any, Any]:
            (_, loss), gradient = value_and_grad(loss_of, has_aux=True, precision=self.gradient)(
                model, part, index)
            return loss, gradient

        micro = batch["tokens"].shape[0]
        if micro == 1:
            loss, gradient = part_of(tree.map(lambda value: value[0], batch), 0)
        else:
            zeros = tree.map(lambda w: creation.zeros(w.shape, self.gradient.type_of(w.dtype)), model)

            def body(sums: Any, given: Any) -> tuple[Any, None]:
                loss, gradient = part_of(*given)
                return (sums[0] + loss, tree.map(lambda a, b: a + b, sums[1], gradient)), None

            (loss, gradient), _ = scan(body, (creation.zeros((), wide), zeros),
                                       (batch, creation.arange(micro)))
        return loss, self.reduced.reduced(gradient), count

    def __call__(self, model: Any, state: dict[str, Any], key: Any, batch: dict[str, Any]) -> Any:
        """Model and state after an update, and numbers of the step.

        Args:
            key: of the step's random choices.
            batch: tokens, labels and what the model takes, i32 [micro, batch, sequence].
        """
        scale = state.get("scale")
        loss, gradient, count = self.gradients(model, scale, key, batch)
        if self.scaling is not None:
            gradient, _ = self.scaling.unscale(scale, gradient)
        if self.clip is None:
            norm = global_norm(gradient)
        else:
            gradient, norm = clip_by_global_norm(gradient, self.clip)
        is_loss_finite = derived.isfinite(loss)
        is_good = elementwise.logical_and(is_loss_finite, derived.isfinite(norm))
        numbers = {"loss": loss, "grad_norm": norm, "tokens": count, "updates": state["optimizer"]["step"],
                   "is_good": is_good}
        # Overflowing gradients are what a loss scale is for; a loss that is not finite never is.
        is_bad = elementwise.logical_not(is_good if self.scaling is None else is_loss_finite)
        halted, use = state["halted"], is_good
        if self.stops:
            use = elementwise.logical_and(is_good, elementwise.logical_not(halted))
            halted = elementwise.logical_or(halted, is_bad)
        weights, optimizer = self.optimizer.update(gradient, state["optimizer"], model, when=use)
        after = {"optimizer": optimizer, "halted": halted}
        if self.scaling is not None:
            numbers["loss_scale"] = scale["scale"]
            after["scale"] = self.scaling.adjust(scale, is_good)
        return weights, after, numbers

    def evaluate(self, model: Any, batch: dict[str, Any]) -> tuple[Any, Any]:
        """The sum of the losses of [batch, sequence], and the number of labels."""
        total = losses.softmax_cross_entropy(self.logits(model, batch), batch["labels"],
                                             ignore_index=IGNORE_INDEX, reduction="sum")
        return total, label_count(batch)

    def compiled(self, mesh: Mesh, dp: str, **options: Any) -> tuple[JittedFunction, JittedFunction]:
        """The step and the evaluation, compiled for a mesh on which batches are split over axis `dp`."""
        micro, rows = (on_mesh(PartitionSpec(*spec), mesh) for spec in ((None, dp, None), (dp, None)))
        step = jit(self.__call__, mesh=mesh, donate_argnums=(0, 1), in_shardings=(None, None, None, micro),
                   **options)
        return step, jit(self.evaluate, mesh=mesh, in_shardings=(None, rows), **options)


def label_count(batch: dict[str, Any]) -> Any:
    """How many labels a batch has that count, i32."""
    return reductions.sum(convert(elementwise.not_equal(batch["labels"], IGNORE_INDEX), dtypes.i32))


def at_least_one(count: Any) -> Any:
    """A count to divide by: 1 where there is nothing to count."""
    return elementwise.where(count > 0.0, count, 1.0)
