# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The layout constraint."""

from __future__ import annotations

from typing import Any

from tessera._src.core import tree
from tessera._src.core.errors import ConfigError, ShardingError, TraceError
from tessera._src.meshes.mesh import NamedSharding, PartitionSpec, check_spec, layout_text
from tessera._src.tracing.named_dims import with_names
from tessera._src.tracing.operands import emit, lift
from tessera._src.tracing.tracer import Tracer


def with_sharding_constraint(x: Any, spec: Any) -> Any:
    """x, a value or a tree of them, which shall have the given layout here.

    Args:
        spec: a PartitionSpec or NamedSharding for all, or a tree of them that may stop early; what it
            has no entry for, or None, stays as it is.
    """
    if isinstance(x, Tracer) or tree.flatten(x)[1] == tree.LEAF:
        return _constrained(x, spec)
    leaves, structure = tree.flatten(x)
    try:
        specs = tree.broadcast_prefix(spec, structure, _is_layout)
    except TraceError as error:
        raise ConfigError("TS4007", f"the layouts do not fit the tree: {error.message}",
                          got=f"a tree {tree.describe(structure)}", hint=error.hint) from None
    return tree.unflatten(structure, [leaf if layout is None else _constrained(leaf, layout)
                                      for leaf, layout in zip(leaves, specs)])


def _is_layout(entry: Any) -> bool:
    return isinstance(entry, (PartitionSpec, NamedSharding))


def _constrained(x: Any, spec: Any) -> Tracer:
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
