# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""In which types gradients are formed, and summed over devices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tessera._src.control_flow import bodies
from tessera._src.core import dtypes, tree
from tessera._src.core.errors import ConfigError
from tessera._src.meshes.mesh import UNCONSTRAINED, PartitionSpec, layout_text
from tessera._src.tracing.named_dims import like
from tessera._src.tracing.operands import convert, emit
from tessera._src.tracing.tracer import Tracer


@dataclass(frozen=True, init=False)
class Precision:
    """The types of gradients, for the argument `precision` of ts.grad and ts.value_and_grad.

        loss, gradients = ts.value_and_grad(loss_of, precision=ts.Precision(grad=ts.f32))(weights, batch)

    Attributes:
        grad: the type of gradients; by default, each has that of its argument. Where it is wider, gradients
            are formed in it: factors are converted before they are multiplied, and what adds up and moves
            the terms, over uses and iterations too, works in it. Rounded are cotangents of values in
            between, which have the types of these values; and so is, once, a gradient that an op gives as
            a whole, such as one by an operand of attention itself.
        reduce: the type in which terms are moved where the sum over devices is made; by default, the
            gradient's own. A narrower one rounds each device's term once, and the sum once. The sum is then
            made where ts.grad is called: where gradients are accumulated in a loop, leave it out there,
            and apply `reduced` to what has been accumulated.
    """

    grad: Any = None
    reduce: Any = None

    # Written out: errors in one that Python makes, in no file, would be shown at a line of it.
    def __init__(self, grad: Any = None, reduce: Any = None) -> None:
        for name, given in (("grad", grad), ("reduce", reduce)):
            dtype = None if given is None else dtypes.canonical(given)
            if dtype is not None and not dtypes.is_float(dtype):
                raise ConfigError("TS4006", f"{name} of ts.Precision is {dtypes.name_of(dtype)}",
                                  choices=["ts.f32", "ts.bf16", "ts.f16", "ts.f64"])
            object.__setattr__(self, name, dtype)

    def type_of(self, dtype: np.dtype) -> np.dtype:
        """The type of the gradient by an argument of this type."""
        return dtype if self.grad is None else self.grad

    def reduced(self, gradients: Any) -> Any:
        """A tree of gradients, whose sums over devices are made here, in the type `reduce`."""
        if self.reduce is None:
            return gradients
        given = bodies.lifted(gradients, "a gradient")
        return tree.unflatten(given.structure, [self._reduced(leaf) for leaf in given.leaves])

    def _reduced(self, value: Tracer) -> Tracer:
        if not dtypes.is_float(value.dtype) or self.reduce.itemsize >= value.dtype.itemsize:
            return value
        layout = layout_text(PartitionSpec(*[UNCONSTRAINED] * value.ndim), value.ndim)
        kind = dtypes.MLIR_NAMES[self.reduce]
        text = (f"tessera.constrain {value.value} to <@mesh, {layout}> reduce {kind}"
                f" : {value.type} -> ")
        return like(emit(text, value.shape, value.dtype, [value]), value)


def widen(leaves: list[Tracer], policy: Precision) -> list[Tracer]:
    """Arguments in the type of their gradients, where that is wider."""
    return [convert(leaf, policy.type_of(leaf.dtype))
            if policy.type_of(leaf.dtype).itemsize > leaf.dtype.itemsize else leaf for leaf in leaves]
