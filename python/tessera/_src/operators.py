# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Operators and methods of traced values, and the layout constraint."""

from __future__ import annotations

from typing import Any

from tessera._src import elementwise, reductions, shaping
from tessera._src.errors import ShardingError
from tessera._src.mesh import NamedSharding, PartitionSpec, check_spec, layout_text
from tessera._src.tracer import Tracer, emit, lift


def with_sharding_constraint(x: Any, spec: PartitionSpec | NamedSharding) -> Tracer:
    """x, which shall have the given layout here."""
    value = lift(x)
    if isinstance(spec, NamedSharding):
        if spec.mesh != value.graph.mesh:
            raise ShardingError("TS2007", "the constraint is on another mesh than the function",
                                expected=value.graph.mesh, got=spec.mesh)
        spec = spec.spec
    if not isinstance(spec, PartitionSpec):
        spec = PartitionSpec(*spec)
    check_spec(spec, value.graph.mesh, value.shape, "the constrained value")
    layout = layout_text(spec, value.ndim)
    text = f"tessera.constrain {value.value} to <@mesh, {layout}> : {value.type} -> "
    return emit(text, value.shape, value.dtype, [value])


def _operators(names: dict[str, Any], reflected: bool) -> None:
    for name, function in names.items():
        setattr(Tracer, f"__{name}__", _forward(function))
        if reflected:
            setattr(Tracer, f"__r{name}__", _backward(function))


def _forward(function):
    return lambda self, other: function(self, other)


def _backward(function):
    return lambda self, other: function(other, self)


_operators(
    {
        "add": elementwise.add,
        "sub": elementwise.subtract,
        "mul": elementwise.multiply,
        "truediv": elementwise.divide,
        "floordiv": elementwise.floor_divide,
        "mod": elementwise.remainder,
        "pow": elementwise.power,
        "matmul": reductions.matmul,
        "and": elementwise.bitwise_and,
        "or": elementwise.bitwise_or,
        "xor": elementwise.bitwise_xor,
    },
    reflected=True,
)
_operators(
    {
        "eq": elementwise.equal,
        "ne": elementwise.not_equal,
        "lt": elementwise.less,
        "le": elementwise.less_equal,
        "gt": elementwise.greater,
        "ge": elementwise.greater_equal,
        "getitem": shaping.getitem,
    },
    reflected=False,
)
Tracer.__hash__ = object.__hash__
Tracer.__neg__ = lambda self: elementwise.negative(self)
Tracer.__pos__ = lambda self: self
Tracer.__abs__ = lambda self: elementwise.abs(self)
Tracer.__invert__ = lambda self: elementwise.bitwise_not(self)
Tracer.__iter__ = lambda self: (self[i] for i in range(len(self)))
Tracer.T = property(lambda self: shaping.transpose(self))
Tracer.reshape = shaping.reshape
Tracer.astype = elementwise.astype
Tracer.swapaxes = shaping.swapaxes
Tracer.squeeze = shaping.squeeze
Tracer.take = shaping.take
for _name in ("sum", "mean", "max", "min", "prod", "var", "argmax", "all", "any"):
    setattr(Tracer, _name, getattr(reductions, _name))


def _transpose(self: Tracer, *axes: Any) -> Tracer:
    """Dimensions in another order, given as one sequence or one by one."""
    if len(axes) == 1 and not isinstance(axes[0], int):
        axes = axes[0]
    return shaping.transpose(self, axes or None)


Tracer.transpose = _transpose
