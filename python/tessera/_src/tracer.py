# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Traced values, and how operands become them: constants, conversion, broadcasting."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from tessera._src import dtypes, graph
from tessera._src.errors import ShapeError, TraceError, did_you_mean


class Tracer:
    """A value of the program being traced: shape and dtype are known, elements are not.

    Behaves like a NumPy array; its operators are set by tessera._src.operators.
    """

    __slots__ = ("graph", "value", "type", "shape", "dtype")

    def __init__(self, owner: graph.Graph, value: str, type_text: str, shape: tuple[int, ...],
                 dtype: np.dtype):
        self.graph, self.value, self.type = owner, value, type_text
        self.shape, self.dtype = shape, dtype

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        return int(np.prod(self.shape, dtype=np.int64))

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
            raise TraceError("TS1008", "a value without dimensions has no len()")
        return self.shape[0]

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
            "choose with ts.where(condition, a, b), or make the argument static with static_argnums",
        )

    def __int__(self) -> int:
        raise self._needs_elements("int()", "use x.astype(ts.i32)")

    def __complex__(self) -> complex:
        raise self._needs_elements("complex()", "there are no complex element types")

    def __index__(self) -> int:
        raise self._needs_elements(
            "using it as an index or a size",
            "make it a static argument with static_argnames, or look elements up with ts.take")

    def __float__(self) -> float:
        raise self._needs_elements(
            "float() or a function of the module math",
            "use x.astype(ts.f32), and ts.exp, ts.sqrt and so on instead of math.exp, math.sqrt")

    def __array__(self, *_: Any, **__: Any) -> np.ndarray:
        raise self._needs_elements(
            "converting to a NumPy array (np.asarray, np.array)",
            "use ts.* functions; host values and traced ones mix in them and in operators",
        )

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
            hint="make a new value: ts.where(mask, new, x), or ts.concatenate of the parts",
        )

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # Protocols that Python and others ask for.
            raise AttributeError(name)
        known = [n for n in dir(type(self)) if not n.startswith("_")]
        hint = _ELSEWHERE.get(name) or did_you_mean(name, known, cutoff=0.7) or _function_hint(name)
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
    "at": "make a new value: ts.where(mask, new, x), or ts.concatenate of the parts",
    "to": "use x.astype(dtype)", "float": "use x.astype(ts.f32)", "int": "use x.astype(ts.i32)",
    "cpu": "traced values are on no device", "device": "traced values are on no device",
    "detach": "leave it out", "expand": "use ts.broadcast_to(x, shape)", "dim": "use x.ndim",
    "masked_fill": "use ts.where(mask, value, x)", "contiguous": "leave it out",
}


def _function_hint(name: str) -> str:
    """The public function of this name, or of one like it."""
    public = sys.modules.get("tessera")  # Not if only parts of the package are in use.
    if hasattr(public, name):
        return f"use ts.{name}"
    close = difflib.get_close_matches(name, getattr(public, "__all__", ()), n=1, cutoff=0.75)
    return f"did you mean ts.{close[0]}?" if close else "there is no ts function of this name"


class NoAttribute(TraceError, AttributeError):
    """An attribute that traced values lack, so that hasattr and getattr work."""


def normalise_axis(axis: int, rank: int, what: str = "axis") -> int:
    """A non-negative axis."""
    if isinstance(axis, Tracer):
        axis.__index__()
    if isinstance(axis, bool) or not isinstance(axis, (int, np.integer)):
        raise TraceError("TS1010", f"{what} must be an integer", got=repr(axis))
    if not -rank <= axis < rank:
        raise ShapeError("TS3005", f"{what} {axis} is out of range for {rank} dimensions",
                         choices=[f"{-rank} to {rank - 1}"] if rank else [])
    return int(axis) % rank


def normalise_axes(axes: int | Sequence[int] | None, rank: int) -> tuple[int, ...]:
    """Ascending, distinct, non-negative axes; None means all."""
    if axes is None:
        return tuple(range(rank))
    listed = list(axes) if isinstance(axes, (list, tuple, range, set)) else [axes]
    result = sorted(normalise_axis(a, rank) for a in listed)
    if len(set(result)) != len(result):
        raise ShapeError("TS3005", f"an axis is named twice in {tuple(listed)}")
    return tuple(result)


def emit(text: str, shape: Sequence[int], dtype: np.dtype, operands: Sequence[Tracer] = ()) -> Tracer:
    """Adds an op; `text` ends before the result type, which is appended."""
    owner = graph.current()
    for operand in operands:
        if operand.graph is not owner:
            raise TraceError(
                "TS1011",
                "a traced value is used outside of the call that traced it",
                got=repr(operand),
                hint="return it from the traced function instead of storing it elsewhere",
            )
    shape = tuple(shape)
    if 0 in shape:
        raise ShapeError("TS3020", "a value without elements arises", got=shape,
                         expected="sizes of at least 1")
    type_text = owner.type_of(shape, dtype)
    return Tracer(owner, owner.emit(text + type_text), type_text, shape, dtype)


def emit_simple(name: str, attributes: str, operand: Tracer, shape: Sequence[int],
                dtype: np.dtype | None = None) -> Tracer:
    """An op of one operand printed as `name %x attributes : T -> U`."""
    text = f"tessera.{name} {operand.value}{attributes} : {operand.type} -> "
    return emit(text, shape, operand.dtype if dtype is None else dtype, [operand])


def constant(value: np.ndarray, shape: Sequence[int] | None = None) -> Tracer:
    """A constant; a single element fills `shape`."""
    owner = graph.current()
    value = np.asarray(value)
    if value.nbytes > graph.MAX_CONSTANT_BYTES:
        raise TraceError(
            "TS1012",
            f"an array of {value.nbytes >> 20} MiB is used inside a traced function",
            hint="pass it as an argument: constants become part of the program's text",
        )
    shape = tuple(value.shape if shape is None else shape)
    body = graph.dense_text(value)
    key = (body, shape, value.dtype)
    known = owner._constants.get(key)
    if known is None:
        dims = "".join(f"{d}x" for d in shape)
        tensor = f"tensor<{dims}{dtypes.MLIR_NAMES[value.dtype]}>"
        known = emit(f"tessera.constant {body} : {tensor} : ", shape, value.dtype)
        owner._constants[key] = known
    return known


def is_scalar(value: Any) -> bool:
    """A weak Python scalar. np.float64 is one of Python's floats, so it is weak too."""
    return isinstance(value, (bool, int, float)) and not isinstance(value, np.bool_)


def weak_scalar_dtype(value: bool | int | float, beside: np.dtype | None, what: str = "") -> np.dtype:
    """The type a Python scalar takes beside a tensor of another; an integer must fit it."""
    dtype = dtypes.weak_dtype(value, beside)
    if dtypes.is_int(dtype) and not np.iinfo(dtype).min <= value <= np.iinfo(dtype).max:
        raise TraceError("TS1013", f"{value}{what} does not fit {dtypes.name_of(dtype)}",
                         hint="np.int64(value) and .astype(ts.i64) make 64-bit integers")
    return dtype


def lift(value: Any, beside: np.dtype | None = None, shape: Sequence[int] | None = None) -> Tracer:
    """Any operand as a traced value; a weak scalar takes its type from `beside`."""
    if isinstance(value, Tracer):
        return value
    if is_scalar(value):
        dtype = weak_scalar_dtype(value, beside)
        return constant(np.asarray(value).astype(dtype), shape or ())
    if isinstance(value, (list, tuple)) and any(isinstance(v, (Tracer, list, tuple)) for v in value):
        if any(isinstance(leaf, Tracer) for leaf in _leaves(value)):
            from tessera._src.shaping import stack

            return stack(value)
    try:
        array = np.asarray(value)
        if isinstance(value, (list, tuple)) and array.dtype != object:  # Of Python scalars.
            array = array.astype(_LIST_TYPES.get(array.dtype.kind, array.dtype))
    except (TraceError, ValueError):
        array = np.asarray(None)
    if array.dtype == object:
        raise TraceError("TS1014", f"a {type(value).__name__} is not an array", got=repr(value)[:80],
                         expected="numbers, arrays, or lists of them of one shape",
                         hint="compare with `is None`" if value is None else None)
    return constant(array.astype(dtypes.canonical(array.dtype, "a constant"), copy=False))


def _leaves(value: Any) -> Iterator[Any]:
    for item in value:
        if isinstance(item, (list, tuple)):
            yield from _leaves(item)
        else:
            yield item


_LIST_TYPES = {"f": dtypes.f32, "i": dtypes.i32}


def convert(value: Tracer, dtype: Any) -> Tracer:
    """The value in another element type."""
    dtype = dtypes.canonical(dtype)
    return value if value.dtype == dtype else emit_simple("convert", "", value, value.shape, dtype)


def broadcast_shapes(shapes: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """The common shape by NumPy's rule: align at the right, sizes of 1 repeat."""
    rank = max(map(len, shapes), default=0)
    result = [1] * rank
    for shape in shapes:
        for position, size in enumerate(shape, rank - len(shape)):
            if size != 1:
                if result[position] not in (1, size):
                    raise ShapeError(
                        "TS3006",
                        "shapes do not broadcast: " + " and ".join(str(s) for s in shapes),
                        expected="sizes that are equal or 1, aligned at the last dimension",
                        got=f"{result[position]} and {size} in dimension {position - rank}",
                    )
                result[position] = size
    return tuple(result)


def broadcast(value: Tracer, shape: Sequence[int]) -> Tracer:
    """The value repeated to `shape`, aligned at the right."""
    shape = tuple(shape)
    if value.shape == shape:
        return value
    if broadcast_shapes([value.shape, shape]) != shape:
        raise ShapeError("TS3006", f"shape {value.shape} does not broadcast to {shape}")
    dims = list(range(len(shape) - value.ndim, len(shape)))
    return emit_simple("broadcast", f" dims {dims}", value, shape)


def promote_operands(values: Sequence[Any]) -> list[Tracer]:
    """Operands in one dtype and one shape: what NumPy does silently, as explicit ops."""
    values = [v if is_scalar(v) else lift(v) for v in values]
    strong = None
    for value in values:
        if not is_scalar(value):
            strong = value.dtype if strong is None else dtypes.promote(strong, value.dtype)
    for value in values:
        if is_scalar(value):
            strong = dtypes.weak_dtype(value, strong)
    shape = broadcast_shapes([() if is_scalar(v) else v.shape for v in values])
    return [broadcast(convert(lift(v, strong, shape), strong), shape) for v in values]
