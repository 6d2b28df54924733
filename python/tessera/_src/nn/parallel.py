# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""How a model's weights and activations are split over a mesh."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tessera._src.core.errors import ConfigError
from tessera._src.derivatives import marks
from tessera._src.meshes.mesh import UNCONSTRAINED, Mesh, PartitionSpec, axes_of
from tessera._src.ops.constraints import with_sharding_constraint
from tessera._src.tracing.tracer import Tracer

GATHERED = "tessera.gathered"  # By this name, policies know values that a backward pass gathers again.


@dataclass(frozen=True)
class Parallel:
    """A policy of layouts, which modules have as a setting; axes that the mesh lacks split nothing.

    Attributes:
        tp: the axis that splits heads, the inner sizes of MLPs and the vocabulary (Shoeybi et al.,
            Megatron-LM, 2019).
        dp: the axis that splits batches.
        sequence: whether activations between blocks are split along the sequence over `tp` (Korthikanti
            et al., Reducing Activation Recomputation in Large Transformer Models, 2022).
        save_gathered: whether the backward pass keeps the whole sequences that `sequence` gathers; if not,
            it keeps each device's part and gathers again, as Megatron-LM does.
        zero: what else is split over `dp`, as in stage 1, 2 or 3 of ZeRO (Rajbhandari et al., ZeRO: Memory
            Optimizations Toward Training Trillion Parameter Models, 2020). 1: the state of the optimizer,
            which is made with zero=dp; modules are as with 0. 2: gradients, too, which are added up layer
            by layer. 3: weights, too, which are gathered for one layer at a time. A weight none of whose
            dimensions `dp` divides stays whole. The models of ts.models have it; modules of your own have
            it by nn.fully_shard, and by nn.apply_layer or nn.Stack, which take this policy.
    """

    tp: str = "tp"
    dp: str = "dp"
    sequence: bool = False
    save_gathered: bool = True
    zero: int = 0

    def __post_init__(self) -> None:
        if type(self.zero) is not int or self.zero not in (0, 1, 2, 3):
            raise ConfigError("TS4012", f"zero of nn.Parallel is {self.zero!r}", choices=[0, 1, 2, 3])
        for name in ("sequence", "save_gathered"):
            if not isinstance(getattr(self, name), bool):
                raise ConfigError("TS4012", f"{name} of nn.Parallel is {getattr(self, name)!r}",
                                  choices=[True, False])

    def columns(self, ndim: int, dim: int) -> PartitionSpec:
        """Of a weight whose dimension `dim` is split over `tp`."""
        return PartitionSpec(*[self.tp if d == dim else None for d in range(ndim)])

    def gathered(self, x: Tracer) -> Tracer:
        """What comes into a block from between blocks, [batch, sequence, ...], with the whole sequence."""
        if not self.sequence or x.ndim < 3:
            return x
        x = constrained(x, [self.dp, None, *[UNCONSTRAINED] * (x.ndim - 2)])
        return x if self.save_gathered else marks.checkpoint_name(x, GATHERED)

    def hidden(self, x: Tracer) -> Tracer:
        """An activation inside a block, [batch, ..., features], whose last dimension is split over `tp`."""
        spec: list[Any] = [UNCONSTRAINED] * x.ndim
        if self.sequence and x.ndim > 2:
            spec[1] = None
        spec[0], spec[-1] = self.dp, self.tp
        return constrained(x, spec)

    def split(self, x: Tracer) -> Tracer:
        """What leaves a block, [batch, ..., features]: the sequence between blocks does not split it."""
        return self.hidden(x) if self.sequence else x

    def between(self, x: Tracer) -> Tracer:
        """An activation between blocks, [batch, sequence, ...]: whole, or split by sequence. What has no
        batch stays as it is."""
        if x.ndim < 3:
            return x
        spec: list[Any] = [self.dp, *[None] * (x.ndim - 1)]
        if self.sequence:
            spec[1] = self.tp
        return constrained(x, spec)


def on_mesh(spec: PartitionSpec, mesh: Mesh) -> PartitionSpec:
    """The layout without the axes that the mesh lacks."""

    def present(dim: Any) -> Any:
        axes = tuple(axis for axis in axes_of(dim) if axis in mesh.shape)
        return axes[0] if len(axes) == 1 else axes or None

    return PartitionSpec(*[dim if dim is UNCONSTRAINED else present(dim) for dim in spec])


def constrained(x: Tracer, spec: list[Any]) -> Tracer:
    """`x` in a layout, as far as its mesh has the axes."""
    return with_sharding_constraint(x, on_mesh(PartitionSpec(*spec), x.program.mesh))
