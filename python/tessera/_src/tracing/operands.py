# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""How operands become traced values: constants, conversion, broadcasting; and how ops are added."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from tessera._src.core import dtypes, source
from tessera._src.core.errors import ShapeError, TraceError
from tessera._src.tracing import program_text
from tessera._src.tracing.named_dims import describe, dims_of, size_of, with_names
from tessera._src.tracing.sums import sum_of
from tessera._src.tracing.tracer import Tracer


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


# Programs have no tensors of size 0.
NO_ELEMENTS_HINT = "zero-size tensors are not supported: use a fixed size and a mask"


def _leaked(value: Tracer) -> TraceError:
    if value.block.title:
        made = value.block.place_of(value.value)
        return TraceError(
            "TS1011", f"a value of {value.block.title} is used outside of it", got=repr(value),
            notes=[f"it is computed at {source.shown_paths(made)}"] if made else
                  ["it is an argument of the body"],
            hint="return it from the function; has_aux=True lets it return more than what is differentiated"
            if value.block.parent is None else
            "return it from the body: as a carried value, or stacked over all iterations")
    return TraceError(
        "TS1011",
        "a traced value is used outside of the call that traced it",
        got=repr(value),
        hint="return it from the traced function instead of storing it elsewhere",
    )


def _program_of(operand: Tracer) -> program_text.ProgramText:
    """The program of the function being traced, in which the operand is used."""
    program = program_text.innermost()
    if program is None:
        raise _leaked(operand)
    return program


def check_in_scope(value: Tracer, program: program_text.ProgramText) -> None:
    """Raises for a value of another function, or of a body of control flow that has ended."""
    if value.program is not program or not value.block.is_open:
        raise _leaked(value)


def emit(text: str, shape: Sequence[int], dtype: np.dtype, operands: Sequence[Tracer] = ()) -> Tracer:
    """Adds an op; `text` ends before the result type, which is appended."""
    owner = _program_of(operands[0]) if operands else program_text.current()
    for operand in operands:
        check_in_scope(operand, owner)
    shape = tuple(shape)
    if 0 in shape:
        raise ShapeError("TS3020", "this operation would produce a zero-size tensor", got=shape,
                         expected="sizes of at least 1", hint=NO_ELEMENTS_HINT)
    type_text = owner.type_of(shape, dtype)
    return Tracer(owner, owner.emit(text + type_text), type_text, shape, dtype)


def emit_simple(name: str, attributes: str, operand: Tracer, shape: Sequence[int],
                dtype: np.dtype | None = None) -> Tracer:
    """An op of one operand printed as `name %x attributes : T -> U`."""
    text = f"tessera.{name} {operand.value}{attributes} : {operand.type} -> "
    return emit(text, shape, operand.dtype if dtype is None else dtype, [operand])


def constant(value: np.ndarray, shape: Sequence[int] | None = None, origin: Any = None) -> Tracer:
    """A constant; a single element fills `shape`.

    A large array becomes an argument of the program, which its caller does not see: the program's text,
    and the time to compile it, do not depend on its elements.

    Args:
        origin: what the array was made of; an object that is used twice is one constant.
    """
    owner = program_text.current()
    value = np.asarray(value)
    if value.nbytes > owner.max_constant_bytes and not _is_splat(value):
        return _captured(owner, value, value if origin is None else origin)
    shape = tuple(value.shape if shape is None else shape)
    body = program_text.dense_text(value)
    key = (body, shape, value.dtype)
    known = owner.block.constant(key)
    if known is None:
        dims = "".join(f"{d}x" for d in shape)
        tensor = f"tensor<{dims}{dtypes.MLIR_NAMES[value.dtype]}>"
        known = emit(f"tessera.constant {body} : {tensor} : ", shape, value.dtype)
        if not shape and dtypes.is_int(value.dtype):
            known._sum = {}, int(value)
        owner.block.constants[key] = known
    return known


def _is_splat(value: np.ndarray) -> bool:
    """Whether all elements have the same bits."""
    flat = value.reshape(-1)[:64]
    few = np.ascontiguousarray(flat).view(np.uint8).reshape(len(flat), -1)
    if (few != few[0]).any():
        return False
    return bool((np.ascontiguousarray(value).view(np.uint8).reshape(value.size, -1) == few[0]).all())


def _captured(owner: program_text.ProgramText, value: np.ndarray, origin: Any) -> Tracer:
    """An argument for an array of the host, whose elements it has as they are now."""
    if owner.parent is not None:
        return _from_parent(owner, _captured(owner.root, value, origin))
    known = owner.captured.get(id(origin))
    if known is not None and known[2].dtype == value.dtype:
        return known[2]
    name = f"captured.{len(owner.captured)}"
    block, owner.block = owner.block, owner.entry
    try:
        text, type_text = owner.add_argument(name, value.shape, value.dtype, None,
                                             source.user_location())
        tracer = Tracer(owner, text, type_text, value.shape, value.dtype)
    finally:
        owner.block = block
    elements = origin if is_resident(origin) else np.array(value, order="C")
    owner.captured[id(origin)] = (origin, elements, tracer)
    return tracer


def is_scalar(value: Any) -> bool:
    """A weak scalar: a Python number, or a float64 of NumPy, which is a subclass of Python's float."""
    return isinstance(value, (bool, int, float)) and not isinstance(value, np.bool_)


def is_python_number(value: Any) -> bool:
    """A number of Python itself: one of NumPy, np.float64 too, is an array that has a type."""
    return is_scalar(value) and not isinstance(value, np.generic)


def number_as_array(value: Any) -> Any:
    """Numbers as arrays of the type that they have as arguments; all else as it is."""
    if is_python_number(value):
        return np.asarray(value, dtypes.weak_dtype(value, None))
    return np.asarray(value) if isinstance(value, np.generic) else value


# Numbers up to here fit every type that has arithmetic.
_FITS_EVERY = 65504


def check_fits(value: bool | int | float, dtype: np.dtype, what: str = "") -> None:
    """Raises unless a Python number, called `what`, is in the range of a type."""
    if -_FITS_EVERY <= value <= _FITS_EVERY or dtypes.fits(value, dtype):
        return
    if dtype == dtypes.f32:
        hint = "NumPy arrays of float64 are computed in f64"
    elif dtypes.is_float(dtype):
        hint = "compute in f32 with .astype(ts.f32), or write math.inf"
    elif isinstance(value, int) or math.isfinite(value):
        hint = "np.int64(value), .astype(ts.i64) and dtype=ts.i64 make 64-bit integers"
    else:
        hint = "integers are neither infinite nor NaN"
    raise TraceError("TS1013", f"{shown(value)}{what} does not fit {dtypes.name_of(dtype)}", hint=hint)


def shown(value: bool | int | float) -> str:
    """A number for a message. Python writes no integer of more than some thousand digits."""
    if isinstance(value, int) and value.bit_length() > 256:
        return f"an integer of {value.bit_length()} bits"
    return str(value)


def weak_scalar_dtype(value: bool | int | float, beside: np.dtype | None, what: str = "") -> np.dtype:
    """The type a Python scalar takes beside a tensor of another; it must fit it."""
    dtype = dtypes.weak_dtype(value, beside)
    check_fits(value, dtype, what)
    return dtype


def scalar_array(value: Any, dtype: np.dtype) -> np.ndarray:
    """A number of Python or NumPy, which must fit a type, as an array of it without dimensions."""
    if not is_scalar(value):
        array = np.asarray(value)
        dtypes.canonical(array.dtype, "a constant")
        value = array.item()
    check_fits(value, dtype)
    return np.asarray(value).astype(dtype)


def array_of_numbers(array: np.ndarray, dtype: np.dtype | None = None) -> np.ndarray:
    """What NumPy made of Python numbers, as i32 or f32 unless a dtype is given; they must fit it."""
    if array.dtype == object:  # For integers of more than 64 bits, and of bf16 beside some other types.
        numbers = [n.item() if isinstance(n, np.generic) and n.dtype in dtypes.MLIR_NAMES else n
                   for n in array.flat]
        if not all(is_scalar(n) for n in numbers):
            return array
        kind = "f" if any(isinstance(n, float) for n in numbers) else "i"
    else:
        kind = array.dtype.kind
        if dtype is not None:
            refuse_lossy_cast(array)
        numbers = array[np.isfinite(array)] if kind == "f" else array
        numbers = [] if kind not in "fiu" or not numbers.size else [
            numbers.min().item(), numbers.max().item()]
        if dtype is not None and dtypes.is_int(dtype) and kind == "f":
            numbers += array[~np.isfinite(array)][:1].tolist()
    wanted = _TYPES_OF_NUMBERS.get(kind) if dtype is None else dtype
    if wanted is None:
        return array
    for number in numbers:
        check_fits(number, wanted)
    return array.astype(wanted)


_TYPES_OF_NUMBERS = {"f": dtypes.f32, "i": dtypes.i32, "u": dtypes.i32}


def type_of_list(values: Sequence[Any]) -> np.dtype | None:
    """The type that numbers and arrays in a list have together; None if all are Python's own numbers.

    Python numbers, and float64s of NumPy, are weak beside the others.
    """
    kinds = {type(leaf): leaf for leaf in _leaves(values)}
    if kinds.keys() <= {bool, int, float}:
        return None
    others = [*kinds.values(), *(leaf for leaf in _leaves(values) if not isinstance(leaf, np.generic))]
    kept = dict.fromkeys(np.asarray(leaf).dtype for leaf in others if not is_scalar(leaf))
    weak = [leaf for leaf in kinds.values() if is_scalar(leaf)]
    strong = [dtype for dtype in kept if dtype in dtypes.MLIR_NAMES]
    if len(strong) < len(kept):
        if any(dtype.kind not in "iu" for dtype in kept if dtype not in strong):
            return None  # What is no number is refused by its name.
        weak.append(1)  # Narrow and unsigned integers are as those of Python.
    common = functools.reduce(dtypes.promote, strong) if strong else None
    return dtypes.common_weak_dtype(weak, common)


def _is_list_of_scalars(values: Any) -> bool:
    """Whether it is a list of weak scalars, or of such lists."""
    return isinstance(values, (list, tuple)) and all(map(is_scalar, _leaves(values)))


def refuse_lossy_cast(array: np.ndarray) -> None:
    """Raises where NumPy would make real numbers of complex ones, text or times."""
    if array.dtype.kind in "cSUmM":
        dtypes.canonical(array.dtype, "a constant")


def refuse_masked(value: Any, what: str) -> None:
    """Raises where elements are masked: the mask would be lost, and the masked elements used."""
    if isinstance(value, np.ma.MaskedArray):
        raise TraceError("TS1034", f"{what} is a masked array, and tensors have no masks",
                         hint="pass x.filled(value), or x.data and np.ma.getmaskarray(x)")


def lift(value: Any, beside: np.dtype | None = None, shape: Sequence[int] | None = None) -> Tracer:
    """Any operand as a traced value; a weak scalar takes its type from `beside`.

    A float64 of NumPy that has nothing beside it is a weak f64.
    """
    if isinstance(value, Tracer):
        program = _program_of(value)
        if value.program is not program and program.is_inside(value.program):
            value = _from_parent(program, value)
        check_in_scope(value, program)
        return value
    if is_scalar(value):
        dtype = weak_scalar_dtype(value, beside)
        number = constant(scalar_array(value, dtype), shape or ())
        return as_weak(number) if beside is None and isinstance(value, np.float64) else number
    if _holds_tracers(value):
        return _rows_of(value)
    made = constant(_host_operand(value), origin=_identity(value))
    is_weak = _is_list_of_scalars(value) and any(isinstance(leaf, np.float64) for leaf in _leaves(value))
    return as_weak(made) if is_weak else made


def _from_parent(program: program_text.ProgramText, value: Tracer) -> Tracer:
    """A value of a function around the one being traced, as an argument of this one."""
    outer = value if value.program is program.parent else _from_parent(program.parent, value)
    check_in_scope(outer, program.parent)
    known = program.from_parent.get(outer.value)
    if known is not None:
        return known[1]
    place = source.user_location()
    name, type_text = program.add_argument(f"outer.{len(program.from_parent)}", outer.shape, outer.dtype,
                                           None, place)
    inner = Tracer(program, name, type_text, outer.shape, outer.dtype)
    inner.block, inner.is_weak = program.entry, outer.is_weak
    if not outer.shape and dtypes.is_int(outer.dtype):
        # The terms are values of the parent, under names that are none of this function's.
        terms, number = sum_of(outer)
        inner._sum = {f"^{term}": count for term, count in terms.items()}, number
    with_names(inner, outer._dims, outer._name)
    program.from_parent[outer.value] = (outer, inner)
    return inner


def _identity(value: Any) -> Any:
    """The object itself, if it is an array; lists and the like are new arrays each time."""
    return value if isinstance(value, np.ndarray) or is_resident(value) else None


def is_resident(value: Any) -> bool:
    """Whether a value is a ts.Array: it is immutable and keeps its shards on the devices."""
    return getattr(type(value), "is_resident", False)


def lift_as(value: Any, dtype: np.dtype) -> Tracer:
    """Any operand as a traced value of a dtype; numbers of the host must fit it."""
    if isinstance(value, Tracer) or _holds_tracers(value):
        return convert(lift(value), dtype)
    if is_scalar(value):
        return constant(scalar_array(value, dtype))
    return convert(constant(_host_operand(value, dtype)), dtype)


def lift_into(value: Any, dtype: np.dtype) -> Tracer:
    """Any operand as values that replace elements of a tensor of this dtype, which holds them.

    Types widen as those of operands do; a wider one is not cast silently. Numbers of Python, and float64s
    of NumPy, must fit: whole numbers among integers, 0 and 1 among booleans.
    """
    if is_scalar(value) or _is_list_of_scalars(value):
        _refuse_lossy_numbers(value, dtype)
        return lift_as(value, dtype)
    made = lift(value)
    if made.is_weak:
        _refuse_wider(made.dtype, dtypes.weak_dtype(number_like(made), dtype), dtype)
    else:
        _refuse_wider(made.dtype, dtypes.promote(dtype, made.dtype), dtype)
    return convert(made, dtype)


def number_into(value: Any, dtype: np.dtype) -> np.ndarray:
    """A number of the host as an element of this dtype, which holds it, by the rule of lift_into."""
    if not is_scalar(value):
        array = np.asarray(value)
        kind = dtypes.canonical(array.dtype, "a constant")
        _refuse_wider(kind, dtypes.promote(dtype, kind), dtype)
        value = array.item()
    _refuse_lossy_numbers(value, dtype)
    return scalar_array(value, dtype)


def _refuse_wider(given: np.dtype, beside: np.dtype, dtype: np.dtype) -> None:
    """Raises if values, which are computed in type `beside` with elements of `dtype`, do not fit these."""
    if beside == dtype:
        return
    raise TraceError("TS1002", f"values of type {dtypes.name_of(given)} do not fit elements of type "
                     f"{dtypes.name_of(dtype)}",
                     hint=f"convert them with .astype({dtypes.public_name(dtype)}), or what they are written "
                          f"into with .astype({dtypes.public_name(beside)})")


def _refuse_lossy_numbers(numbers: Any, dtype: np.dtype) -> None:
    """Raises for weak numbers that integers would cut the fraction off, or booleans make 1 of."""
    for number in _leaves([numbers]):
        is_fraction = isinstance(number, float) and math.isfinite(number) and number != int(number)
        if is_fraction and dtypes.is_int(dtype):
            raise TraceError("TS1013",
                             f"{number} does not fit {dtypes.name_of(dtype)}: it is no whole number",
                             hint=f"write int({number}), or convert what it is written into with "
                                  f".astype(ts.f32)")
        if dtype == dtypes.bool_ and number not in (0, 1):
            raise TraceError("TS1013", f"{shown(number)} does not fit bool: it is neither 0 nor 1",
                             hint="write True or False, or convert what it is written into with "
                                  f".astype({dtypes.public_name(dtypes.weak_dtype(number, dtype))})")


def _host_operand(value: Any, dtype: np.dtype | None = None) -> np.ndarray:
    """Arrays and lists of numbers for NumPy; numbers get the dtype, which arrays keep."""
    refuse_masked(value, "an operand")
    try:
        array = np.asarray(value)
    except (TraceError, ValueError):
        array = np.asarray(None)
    if isinstance(value, (list, tuple)):
        array = array_of_numbers(array, type_of_list(value) if dtype is None else dtype)
    if array.dtype == object:
        raise TraceError("TS1014", f"a {type(value).__name__} is not an array", got=repr(value)[:80],
                         expected="numbers, arrays, or lists of them of one shape",
                         hint="compare with `is None`" if value is None else None)
    return array.astype(dtypes.canonical(array.dtype, "a constant"), copy=False)


def _rows_of(values: Sequence[Any]) -> Tracer:
    """A list that holds traced values as one value: its entries are the rows."""
    items = [lift(value) for value in values]
    if any(item.shape != items[0].shape for item in items):
        raise ShapeError("TS3009", "entries of a list have different shapes",
                         got=", ".join(str(i.shape) for i in items))
    dtype = common_dtype(items)
    return join([emit_simple("reshape", "", convert(item, dtype), (1, *item.shape)) for item in items], 0)


def common_dtype(values: Sequence[Any]) -> np.dtype:
    """The type that traced values and weak scalars are computed in together."""
    strong = [v.dtype for v in values if not (is_scalar(v) or v.is_weak)]
    common = functools.reduce(dtypes.promote, strong) if strong else None
    weak = [v if is_scalar(v) else number_like(v) for v in values if is_scalar(v) or v.is_weak]
    return dtypes.common_weak_dtype(weak, common)


def join(items: Sequence[Tracer], dim: int) -> Tracer:
    """Values of one dtype, whose shapes fit, one after the other along a dimension."""
    if len(items) == 1:
        return items[0]
    shape = list(items[0].shape)
    shape[dim] = sum(item.shape[dim] for item in items)
    operands = ", ".join(item.value for item in items)
    types = ", ".join(item.type for item in items)
    return emit(f"tessera.concatenate {operands} dim {dim} : ({types}) -> ", shape, items[0].dtype, items)


def _holds_tracers(value: Any) -> bool:
    """Whether a value is a list of traced values, or of such lists."""
    return isinstance(value, (list, tuple)) and any(isinstance(leaf, Tracer) for leaf in _leaves(value))


def _leaves(value: Any) -> Iterator[Any]:
    for item in value:
        if isinstance(item, (list, tuple)):
            yield from _leaves(item)
        else:
            yield item


def convert(value: Tracer, dtype: Any) -> Tracer:
    """The value in another element type."""
    dtype = dtypes.canonical(dtype)
    if value.dtype == dtype:
        return value
    result = emit_simple("convert", "", value, value.shape, dtype)
    if not value.shape and dtypes.is_int(dtype) and dtypes.is_int(value.dtype):
        result._sum = sum_of(value)
    return with_names(result, value._dims, value._name)


def broadcast_shapes(shapes: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """The common shape by NumPy's rule: align at the right, sizes of 1 repeat."""
    if shapes and shapes.count(shapes[0]) == len(shapes):
        return shapes[0]
    rank = max(map(len, shapes), default=0)
    result = [1] * rank
    for shape in shapes:
        for position, size in enumerate(shape, rank - len(shape)):
            if size != 1:
                if result[position] not in (1, size):
                    raise _not_broadcastable(
                        [str(s) for s in shapes],
                        f"{result[position]} and {size} in dimension {position - rank}")
                result[position] = size
    return tuple(result)


def _not_broadcastable(described: Sequence[str], got: str) -> ShapeError:
    return ShapeError("TS3006", "shapes do not broadcast: " + " and ".join(described),
                      expected="sizes that are equal or 1, aligned at the last dimension", got=got)


def broadcast_values(values: Sequence[Tracer], inner: int = 0) -> tuple[int, ...]:
    """The common shape of values, without the last `inner` dimensions; the error names them."""
    try:
        return broadcast_shapes([v.shape[: max(v.ndim - inner, 0)] for v in values])
    except ShapeError:
        for dim in range(-1 - inner, -1 - max(v.ndim for v in values), -1):
            wide = [v for v in values if v.ndim >= -dim and v.shape[dim] != 1]
            other = [v for v in wide if v.shape[dim] != wide[0].shape[dim]]
            if other:
                raise _not_broadcastable(
                    [describe(v) for v in values],
                    f"{size_of(wide[0], dim)} and {size_of(other[0], dim)} in dimension {dim}"
                ) from None
        raise


def broadcast(value: Tracer, shape: Sequence[int]) -> Tracer:
    """The value repeated to `shape`, aligned at the right."""
    shape = tuple(shape)
    if value.shape == shape:
        return value
    if broadcast_shapes([value.shape, shape]) != shape:
        raise ShapeError("TS3006", f"shape {describe(value)} does not broadcast to {shape}")
    dims = list(range(len(shape) - value.ndim, len(shape)))
    result = emit_simple("broadcast", f" dims {dims}", value, shape)
    names = [name if shape[dim] == size else None
             for dim, size, name in zip(dims, value.shape, dims_of(value))]
    return with_names(result, [None] * (len(shape) - value.ndim) + names)


def _are_alike(values: Sequence[Any]) -> bool:
    """Whether all are traced values of one dtype and shape, none of them weak, that are in scope."""
    first, program = values[0], program_text.innermost()
    if type(first) is not Tracer or program is None:
        return False
    shape, dtype = first.shape, first.dtype
    for value in values:
        if (type(value) is not Tracer or value.program is not program or not value.block.is_open
                or value.is_weak or value.dtype != dtype or value.shape != shape):
            return False
    return True


def promote_operands(values: Sequence[Any]) -> list[Tracer]:
    """Operands in one dtype and one shape: what NumPy does silently, as explicit ops."""
    if _are_alike(values):
        return list(values)
    values = [v if is_scalar(v) else lift(v) for v in values]
    if _are_alike(values):
        return values
    common = common_dtype(values)
    shape = broadcast_values([v for v in values if not is_scalar(v)])
    results = [broadcast(convert(lift(v, common, shape), common), shape) for v in values]
    all_weak = all(is_scalar(value) or value.is_weak for value in values)
    if all_weak and any(isinstance(value, (Tracer, np.float64)) for value in values):
        return [as_weak(r) for r in results]
    return results


def number_like(value: Tracer) -> bool | int | float:
    """A number of the kind that a weak value is of."""
    if value.dtype == dtypes.f64:
        return np.float64(0)
    return False if value.dtype == dtypes.bool_ else 0 if dtypes.is_int(value.dtype) else 0.0


def as_weak(value: Tracer) -> Tracer:
    """The value as one that takes the type of tensors beside it."""
    if value.is_weak:
        return value
    result = Tracer(value.program, value.value, value.type, value.shape, value.dtype)
    result.block, result.is_weak, result._sum = value.block, True, value._sum
    return with_names(result, value._dims, value._name)
