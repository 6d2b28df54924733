# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Traced values: arrays whose shape is known and whose elements are not."""

from __future__ import annotations

import math
import sys
from typing import Any

import numpy as np

from tessera._src.core import dtypes
from tessera._src.core.errors import NoAttribute, TraceError, closest, did_you_mean
from tessera._src.tracing import program_text


class Tracer:
    """A value of the program being traced: shape and dtype are known, elements are not.

    Behaves like a NumPy array; its operators are set by tessera._src.operators.
    """

    __slots__ = ("program", "block", "value", "type", "shape", "dtype", "is_weak", "_name", "_dims",
                 "_sum")

    def __init__(self, owner: program_text.ProgramText, value: str, type_text: str, shape: tuple[int, ...],
                 dtype: np.dtype):
        self.program, self.block, self.value, self.type = owner, owner.block, value, type_text
        self.shape, self.dtype = shape, dtype
        # Whether it is made of Python numbers alone: beside tensors it takes their type, as these do.
        self.is_weak = False
        self._name, self._dims = None, ()  # See named_dims.
        self._sum = None  # See sums.

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)

    @property
    def itemsize(self) -> int:
        """Bytes of one element."""
        return self.dtype.itemsize

    @property
    def nbytes(self) -> int:
        """Bytes of all elements of the whole tensor."""
        return self.size * self.dtype.itemsize

    def __len__(self) -> int:
        if not self.shape:
            raise TraceError("TS1008", "a scalar has no len()")
        return self.shape[0]

    def __copy__(self) -> Tracer:
        return self

    def __deepcopy__(self, memo: Any) -> Tracer:
        return self  # It is immutable, and its program is no part of it.

    def __repr__(self) -> str:
        return f"Tracer({dtypes.name_of(self.dtype)}{list(self.shape)})"

    def _needs_elements(self, what: str, hint: str) -> TraceError:
        return TraceError(
            "TS1009",
            f"{what} needs the elements of a traced value, which exist only when the compiled "
            f"function runs",
            got=repr(self),
            hint=hint,
        )

    def __bool__(self) -> bool:
        raise self._needs_elements(
            "a Python condition (if, while, and, or, not)",
            "choose with ts.where(condition, a, b) or ts.cond, repeat with ts.while_loop, or make the "
            "argument static with static_argnums",
        )

    def __int__(self) -> int:
        raise self._needs_elements("int()", "use x.astype(ts.i32)")

    def __complex__(self) -> complex:
        raise self._needs_elements("complex()", "there are no complex element types")

    def __index__(self) -> int:
        raise self._needs_elements(
            "using it as an index or a size",
            "make it a static argument with static_argnames, look elements of an array "
            "up with ts.asarray(array)[i], or count with ts.fori_loop instead of range()")

    def __float__(self) -> float:
        raise self._needs_elements(
            "float() or a function of the module math",
            "use x.astype(ts.f32), and ts.exp, ts.sqrt and so on instead of math.exp, math.sqrt")

    def __array__(self, *_: Any, **__: Any) -> np.ndarray:
        hint = "use ts.* functions; host values and traced ones mix in them and in operators"
        if not dtypes.is_float(self.dtype):  # NumPy asks for the elements of an index so, too.
            hint += ". As an index of an array of the host, look up in ts.asarray(array)[i]"
        raise self._needs_elements(
            "converting to a NumPy array (np.asarray, np.array), or indexing one", hint)

    def item(self, *_: Any) -> Any:
        """Refused: a traced value has no elements."""
        raise self._needs_elements(".item()", "return the value, and read it from the result")

    def tolist(self) -> Any:
        """Refused: a traced value has no elements."""
        raise self._needs_elements(".tolist()", "return the value, and read it from the result")

    def numpy(self) -> Any:
        """Refused: a traced value has no elements."""
        raise self._needs_elements(".numpy()", "return the value, and read it from the result")

    def __format__(self, spec: str) -> str:
        if spec:
            raise self._needs_elements(
                f"formatting by '{spec}'", "return the value, and print it from the result")
        return repr(self)

    def __setitem__(self, index: Any, value: Any) -> None:
        raise TraceError(
            "TS1026", "traced values do not change", got=f"{self!r}[...] = ...",
            hint="make a new value: x = x.at[index].set(new), or ts.where(mask, new, x)",
        )

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # Protocols that Python and others ask for.
            raise AttributeError(name)
        known = [n for n in dir(type(self)) if not n.startswith("_")]
        hint = _ELSEWHERE.get(name) or did_you_mean(name, known) or _function_hint(name)
        raise NoAttribute("TS1027", f"traced values have no attribute '{name}'", hint=hint)

    def __array_function__(self, function: Any, types: Any, args: tuple, kwargs: dict) -> Any:
        module = function.__module__.replace("numpy", "np", 1)
        raise self._not_for_numpy(f"{module}.{function.__name__}", function.__name__)

    def _not_for_numpy(self, called: str, name: str) -> TraceError:
        return TraceError("TS1028", f"{called} works on host arrays, not on traced values",
                          got=repr(self), hint=_function_hint(name))


# What other libraries call by another name.
_ELSEWHERE = {
    "view": "x.reshape(...) orders the elements anew, x.astype(dtype) converts them",
    "permute": "use x.transpose(...)", "unsqueeze": "use ts.expand_dims(x, axis)",
    "to": "use x.astype(dtype)", "float": "use x.astype(ts.f32)", "int": "use x.astype(ts.i32)",
    "cpu": "traced values are on no device", "device": "traced values are on no device",
    "detach": "leave it out", "expand": "use ts.broadcast_to(x, shape)", "dim": "use x.ndim",
    "real": "leave it out: there are no complex element types",
    "imag": "it is zero: there are no complex element types", "conj": "leave it out",
    "masked_fill": "use ts.where(mask, value, x)", "contiguous": "leave it out",
}


def _function_hint(name: str) -> str:
    """The public function of this name, or of one like it."""
    public = sys.modules.get("tessera")  # Not if only parts of the package are in use.
    if hasattr(public, name):
        return f"use ts.{name}"
    close = closest(name, getattr(public, "__all__", ()))
    return f"did you mean ts.{close}?" if close else "there is no ts function of this name"
