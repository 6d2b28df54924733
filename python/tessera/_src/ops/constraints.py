# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The layout constraint."""

from __future__ import annotations

from typing import Any

from tessera._src.core.errors import ShardingError
from tessera._src.meshes.mesh import NamedSharding, PartitionSpec, check_spec, layout_text
from tessera._src.tracing.named_dims import with_names
from tessera._src.tracing.operands import emit, lift
from tessera._src.tracing.tracer import Tracer


def with_sharding_constraint(x: Any, spec: PartitionSpec | NamedSharding) -> Tracer:
    """x, which shall have the given layout here."""
    value = lift(x)
    if isinstance(spec, NamedSharding):
        if spec.mesh != value.program.mesh:
            raise ShardingError("TS2007", "the constraint is on another mesh than the function",
                                expected=value.program.mesh, got=spec.mesh)
        spec = spec.spec
    if not isinstance(spec, PartitionSpec):
        spec = PartitionSpec(*spec)
    check_spec(spec, value.program.mesh, value.shape, "the constrained value")
    layout = layout_text(spec, value.ndim)
    text = f"tessera.constrain {value.value} to <@mesh, {layout}> : {value.type} -> "
    return with_names(emit(text, value.shape, value.dtype, [value]), value._dims, value._name)
