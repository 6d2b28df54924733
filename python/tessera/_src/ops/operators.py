# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Operators and methods of traced values."""

from __future__ import annotations

from typing import Any

import numpy as np

from tessera._src.core.errors import TraceError
from tessera._src.ops import (
    derived,
    elementwise,
    elementwise_functions,
    indexing,
    lookups,
    products,
    reductions,
    shaping,
    sorting,
    updates,
)
from tessera._src.tracing.tracer import Tracer


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
        "divmod": lambda x, y: (elementwise.floor_divide(x, y), elementwise.remainder(x, y)),
        "matmul": products.matmul,
        "and": elementwise.bitwise_and,
        "or": elementwise.bitwise_or,
        "xor": elementwise.bitwise_xor,
        "lshift": elementwise.bitwise_left_shift,
        "rshift": elementwise.bitwise_right_shift,
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
        "getitem": indexing.getitem,
    },
    reflected=False,
)
Tracer.__hash__ = object.__hash__
Tracer.__neg__ = lambda self: elementwise.negative(self)
Tracer.__pos__ = lambda self: self
Tracer.__abs__ = lambda self: elementwise.abs(self)
Tracer.__invert__ = lambda self: elementwise.bitwise_not(self)
Tracer.__iter__ = lambda self: (self[i] for i in range(len(self)))
Tracer.__round__ = lambda self, decimals=0: derived.round(self, decimals)
Tracer.T = property(lambda self: shaping.transpose(self), doc="Dimensions in reverse order.")
Tracer.mT = property(lambda self: shaping.swapaxes(self, -1, -2), doc="A transposed matrix or batch.")
_METHODS = {
    elementwise: ("astype", "clip"),
    derived: ("round",),
    indexing: ("diagonal",),
    lookups: ("take",),
    sorting: ("sort", "argsort", "repeat"),
    products: ("dot",),
    reductions: ("sum", "mean", "max", "min", "prod", "var", "std", "argmax", "argmin", "all", "any",
                 "cumsum", "trace"),
    shaping: ("reshape", "swapaxes", "squeeze", "ravel"),
}
for _module, _names in _METHODS.items():
    for _name in _names:
        setattr(Tracer, _name, getattr(_module, _name))
Tracer.flatten = shaping.ravel
Tracer.at = property(
    updates.IndexUpdates, doc="x.at[index].set(values) and the like: copies with changed elements.")
Tracer.copy = lambda self: self


def _transpose(self: Tracer, *axes: Any) -> Tracer:
    """Dimensions in another order, given as one sequence or one by one."""
    if len(axes) == 1 and not isinstance(axes[0], int):
        axes = axes[0]
    return shaping.transpose(self, axes or None)


Tracer.transpose = _transpose


# NumPy's ufuncs under their names there; operators of NumPy arrays call them, too.
_UFUNCS = {
    **{_name: getattr(elementwise_functions, _name) for _name in elementwise_functions.__all__},
    "floor_divide": elementwise.floor_divide,
    "remainder": elementwise.remainder, "power": elementwise.power, "matmul": products.matmul,
    "invert": elementwise.bitwise_not, "fabs": elementwise.abs,
    "radians": derived.deg2rad, "degrees": derived.rad2deg,
}
for _module, _names in {
    elementwise: ("floor", "equal", "not_equal", "less", "less_equal", "greater", "greater_equal",
                  "logical_and", "logical_or", "logical_not", "square", "isnan"),
    derived: ("ceil", "trunc", "isfinite", "isinf", "signbit", "logical_xor", "reciprocal", "log1p",
              "expm1", "logaddexp", "logaddexp2", "sinh", "cosh", "tan", "hypot", "fmod", "rint", "positive",
              "fmax", "fmin", "heaviside", "cbrt", "deg2rad", "rad2deg"),
}.items():
    _UFUNCS.update({_name: getattr(_module, _name) for _name in _names})


def _ufunc(self: Tracer, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Tracer:
    function = _UFUNCS.get(ufunc.__name__)
    if method != "__call__" or function is None or options:
        called = f"np.{ufunc.__name__}" + ("" if method == "__call__" else f".{method}")
        if options:
            raise TraceError("TS1028", f"{called} has options that do not work on traced values",
                             got=", ".join(options), hint="leave them out, and use .astype for dtypes")
        raise self._not_for_numpy(called, ufunc.__name__)
    return function(*inputs)


Tracer.__array_ufunc__ = _ufunc
