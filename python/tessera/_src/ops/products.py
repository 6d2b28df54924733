# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Products that sum: matmul, einsum, dot, tensordot, outer."""

from __future__ import annotations

from typing import Any

from tessera._src.core import dtypes
from tessera._src.core.errors import ShapeError, TraceError
from tessera._src.ops import elementwise, reductions, shaping
from tessera._src.ops.indexing import diagonal
from tessera._src.tracing.named_dims import describe, dims_of, size_of, with_names
from tessera._src.tracing.operands import broadcast_values, convert, emit, lift
from tessera._src.tracing.tracer import Tracer

_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
# Those that are not of a product's own dimensions.
_BATCH_LETTERS = [c for c in _LETTERS if c not in "kmn"]


def _contract(a: Tracer, b: Tracer, spec: str, dtype: Any) -> Tracer:
    left, rest = spec.split(",")
    right, out = rest.split("->")
    sizes = dict(zip(left, a.shape)) | dict(zip(right, b.shape))
    text = f'tessera.contract {a.value}, {b.value} "{spec}" : {a.type}, {b.type} -> '
    result = emit(text, [sizes[c] for c in out], dtype, [a, b])
    if not a._dims and not b._dims:
        return result
    names = dict(zip(right, dims_of(b))) | dict(zip(left, dims_of(a)))
    return with_names(result, [names[c] for c in out])


def _same_type(a: Tracer, b: Tracer, result: Any) -> tuple[Tracer, Tracer, Any]:
    dtype = dtypes.promote(a.dtype, b.dtype)
    if dtype == dtypes.bool_:
        dtype = dtypes.i32
    result = dtype if result is None else dtypes.canonical(result)
    if result not in (dtype, dtypes.f32) or (result != dtype and not dtypes.is_float(dtype)):
        raise TraceError(
            "TS1019", f"products of {dtypes.name_of(dtype)} do not give {dtypes.name_of(result)}",
            choices=[dtypes.name_of(dtype), "f32"],
        )
    return convert(a, dtype), convert(b, dtype), result


def matmul(x: Any, y: Any, *, preferred_element_type: Any = None) -> Tracer:
    """Matrix product by NumPy's rule: the last two dimensions multiply, the others broadcast.

    Args:
        preferred_element_type: of the result; the operands' or f32. bf16 and f16 products are
            accumulated in f32 in any case.
    """
    a, b, dtype = _same_type(lift(x), lift(y), preferred_element_type)
    if not a.shape or not b.shape:
        raise ShapeError("TS3013", "matmul needs at least one dimension on each side")
    if a.shape[-1] != b.shape[-2 if b.ndim > 1 else 0]:
        raise ShapeError(
            "TS3013",
            f"matmul: the inner sizes differ: {size_of(a, -1)} and "
            f"{size_of(b, -2 if b.ndim > 1 else 0)}",
            expected=f"{a.shape[-1]} (last of the left)",
            got=f"{b.shape[-2 if b.ndim > 1 else 0]} "
            + ("(last but one of the right)" if b.ndim > 1 else "(first of the right)"),
        )
    rows, columns = "m" if a.ndim > 1 else "", "n" if b.ndim > 1 else ""
    rank = max(a.ndim, b.ndim, 2) - 2
    if not rank:
        return _contract(a, b, f"{rows}k,k{columns}->{rows}{columns}", dtype)
    batch = _BATCH_LETTERS[:rank]
    broadcast_values([a, b], inner=2)
    a, left = _batch(a, batch, max(a.ndim - 2, 0))
    b, right = _batch(b, batch, max(b.ndim - 2, 0))
    out = "".join(c for c in batch if c in left or c in right)
    left, right = left + rows + "k", right + "k" + columns
    result = _contract(a, b, f"{left},{right}->{out}{rows}{columns}", dtype)
    if len(out) == rank:
        return result
    # Batch dimensions of size 1 on both sides.
    sizes = [result.shape[out.index(c)] if c in out else 1 for c in batch]
    return shaping.reshape(result, sizes + list(result.shape[len(out) :]))


def _batch(value: Tracer, batch: list[str], own: int) -> tuple[Tracer, str]:
    """Letters of the batch dimensions, without those of size 1, which are dropped."""
    if not own:
        return value, ""
    letters = batch[len(batch) - own :]
    kept = [i for i in range(own) if value.shape[i] != 1]
    shape = [value.shape[i] for i in kept] + list(value.shape[own:])
    return shaping.reshape(value, shape), "".join(letters[i] for i in kept)


def _einsum_terms(spec: str, operands: list[Tracer]) -> tuple[list[str], str]:
    """Index strings of the operands and of the result, '...' spelt out."""
    text = spec.replace(" ", "")
    inputs, arrow, out = text.partition("->")
    terms = inputs.split(",")
    if len(terms) != len(operands):
        raise ShapeError("TS3014", f'einsum "{spec}" names {len(terms)} operands',
                         expected=len(terms), got=len(operands))
    free = [c for c in _LETTERS if c not in text]
    width = 0
    for i, (term, operand) in enumerate(zip(terms, operands)):
        if "..." in term:
            extra = operand.ndim - len(term) + 3
            if extra < 0:
                raise ShapeError("TS3014", f'einsum operand {i} "{term}" has {operand.ndim} dims')
            width = max(width, extra)
            terms[i] = term.replace("...", "".join(free[len(free) - extra :]))
    dots = "".join(free[len(free) - width :]) if width else ""
    if arrow:
        out = out.replace("...", dots)
    else:
        joined = "".join(terms)
        out = dots + "".join(sorted(c for c in set(joined) if joined.count(c) == 1 and c not in dots))
    return terms, out


def einsum(spec: str, *operands: Any, preferred_element_type: Any = None) -> Tracer:
    """Sums of products over shared indices: einsum("bsk,nk->bsn", x, w).

    An index repeated in one operand means its diagonal, '...' the dimensions that have no index.
    More than two operands are contracted from left to right.

    Args:
        preferred_element_type: of the result; the operands' or f32.
    """
    if not isinstance(spec, str):
        raise TraceError("TS1033", "einsum begins with its indices", got=repr(spec),
                         expected='a string such as "bsk,nk->bsn"')
    values = [lift(v) for v in operands]
    terms, out = _einsum_terms(spec, values)
    values, terms = zip(*[_without_repeats(v, t) for v, t in zip(values, terms)])
    values, terms = _without_ones(list(values), list(terms))
    sizes: dict[str, tuple[int, int]] = {}  # Operand and dimension that an index is first in.
    for i, (term, value) in enumerate(zip(terms, values)):
        if len(term) != value.ndim or set(term) - set(_LETTERS):
            raise ShapeError(
                "TS3014",
                f'einsum "{spec}": operand {i} is {describe(value)}, its indices "{term}"',
                expected="one letter per dimension",
            )
        for dim, letter in enumerate(term):
            first, at = sizes.setdefault(letter, (i, dim))
            if values[first].shape[at] != value.shape[dim]:
                index = f"index '{letter}'" if letter in spec else "a dimension of '...'"
                raise ShapeError(
                    "TS3014",
                    f"einsum \"{spec}\": {index} is {size_of(values[first], at)} in operand "
                    f"{first} and {size_of(value, dim)} in operand {i}",
                )
    missing = [c for c in out if c not in sizes]
    if missing or len(set(out)) != len(out):
        raise ShapeError("TS3014", f'einsum "{spec}": the result repeats an index or has one that '
                         f"no operand has: {missing or out}")
    value, term = values[0], terms[0]
    if len(values) == 1 and preferred_element_type is not None:
        value = convert(value, _same_type(value, value, preferred_element_type)[2])
    for i in range(1, len(values)):
        needed = set(out).union(*terms[i + 1 :])
        value, term = _einsum_pair(value, term, values[i], terms[i], needed,
                                   out if i == len(values) - 1 else None, preferred_element_type)
    gone = [i for i, c in enumerate(term) if c not in out]
    value = reductions.sum(value, gone) if gone else value
    term = "".join(c for c in term if c in out)
    return shaping.transpose(value, [term.index(c) for c in out])


def _without_ones(values: list[Tracer], terms: list[str]) -> tuple[list[Tracer], list[str]]:
    """Operands without dimensions of size 1 that broadcast to another size of their index."""
    wide = {c for term, value in zip(terms, values) for c, size in zip(term, value.shape) if size != 1}
    for i, (term, value) in enumerate(zip(terms, values)):
        if len(term) == value.ndim:
            drop = [dim for dim, c in enumerate(term) if value.shape[dim] == 1 and c in wide]
            if drop:
                values[i] = shaping.squeeze(value, drop)
                terms[i] = "".join(c for dim, c in enumerate(term) if dim not in drop)
    return values, terms


def _without_repeats(value: Tracer, term: str) -> tuple[Tracer, str]:
    """An operand whose repeated indices are replaced by the diagonals that they mean."""
    for letter in dict.fromkeys(term):
        while len(term) == value.ndim and term.count(letter) > 1:
            first, second = [i for i, c in enumerate(term) if c == letter][:2]
            if value.shape[first] != value.shape[second]:
                raise ShapeError("TS3014", f"einsum index '{letter}' is {size_of(value, first)} and "
                                 f"{value.shape[second]} in one operand")
            value = diagonal(value, 0, first, second)
            term = "".join(c for i, c in enumerate(term) if i not in (first, second)) + letter
    return value, term


def _einsum_pair(a: Tracer, left: str, b: Tracer, right: str, needed: set[str], out: str | None,
                 dtype: Any) -> tuple[Tracer, str]:
    # An index that only one operand has and nobody needs is summed before.
    lone_a = [i for i, c in enumerate(left) if c not in right and c not in needed]
    lone_b = [i for i, c in enumerate(right) if c not in left and c not in needed]
    a, b, dtype = _same_type(a, b, dtype)
    if lone_a:
        a = reductions.sum(elementwise.widened(a), lone_a)
        left = "".join(c for c in left if c in right or c in needed)
    if lone_b:
        b = reductions.sum(elementwise.widened(b), lone_b)
        right = "".join(c for c in right if c in left or c in needed)
    if out is None:
        out = "".join(dict.fromkeys(c for c in left + right if c in needed))
    a, b, wide = _same_type(a, b, None)  # That of the sums, which are not rounded.
    if not left or not right:
        product = elementwise.multiply(elementwise.widened(a), elementwise.widened(b))
        return convert(product, dtype), left + right
    product = _contract(a, b, f"{left},{right}->{out}", wide if lone_a or lone_b else dtype)
    return convert(product, dtype), out


def dot(x: Any, y: Any) -> Tracer:
    """The sum over the last dimension of x and the last but one (or only one) of y."""
    a, b = lift(x), lift(y)
    if not a.ndim or not b.ndim:
        return elementwise.multiply(a, b)
    return tensordot(a, b, ([a.ndim - 1], [max(b.ndim - 2, 0)]))


def outer(x: Any, y: Any) -> Tracer:
    """The products of all pairs of elements, [x.size, y.size]."""
    return elementwise.multiply(shaping.reshape(x, (-1, 1)), shaping.reshape(y, (1, -1)))


def tensordot(x: Any, y: Any, axes: Any = 2) -> Tracer:
    """The sum over pairs of dimensions: the last and first `axes`, or (those of x, those of y)."""
    a, b = lift(x), lift(y)
    if isinstance(axes, int):
        pairs = list(range(a.ndim - axes, a.ndim)), list(range(axes))
    else:
        pairs = tuple([s] if isinstance(s, int) else list(s) for s in axes)
    left = [shaping.normalise_axis(i, a.ndim) for i in pairs[0]]
    right = [shaping.normalise_axis(i, b.ndim) for i in pairs[1]]
    if len(left) != len(right) or [a.shape[i] for i in left] != [b.shape[i] for i in right]:
        raise ShapeError("TS3013", f"tensordot of {describe(a)} and {describe(b)} over {axes}",
                         expected="pairs of dimensions of equal sizes")
    first = _LETTERS[: a.ndim]
    second = list(_LETTERS[a.ndim : a.ndim + b.ndim])
    for i, j in zip(left, right):
        second[j] = first[i]
    out = [c for i, c in enumerate(first) if i not in left]
    out += [c for j, c in enumerate(second) if j not in right]
    return einsum(f"{first},{''.join(second)}->{''.join(out)}", a, b)


def inner(x: Any, y: Any) -> Tracer:
    """The sum of products over the last dimension of both."""
    a, b = lift(x), lift(y)
    if not a.ndim or not b.ndim:
        return elementwise.multiply(a, b)
    return tensordot(a, b, ([a.ndim - 1], [b.ndim - 1]))


def vdot(x: Any, y: Any) -> Tracer:
    """The sum of products of all elements, in row-major order."""
    return inner(shaping.ravel(x), shaping.ravel(y))


def vecdot(x: Any, y: Any, *, axis: int = -1) -> Tracer:
    """The sum of products along one dimension; the others broadcast.

    Args:
        axis: counted from the end, so that it is one for both.
    """
    a, b = lift(x), lift(y)
    if isinstance(axis, bool) or not isinstance(axis, int) or not -min(a.ndim, b.ndim) <= axis < 0:
        least = min(a.ndim, b.ndim)
        if axis == a.ndim - 1 == b.ndim - 1:
            axis = -1
        elif a.ndim == b.ndim and isinstance(axis, int) and 0 <= axis < a.ndim:
            axis -= a.ndim
        else:
            raise ShapeError("TS3005", f"axis {axis!r} is out of range for vecdot of {describe(a)} and "
                             f"{describe(b)}", choices=[f"{-least} to -1"] if least else [])
    if a.shape[axis] != b.shape[axis]:
        raise ShapeError("TS3013", f"vecdot of {describe(a)} and {describe(b)}",
                         expected="vectors of one size",
                         got=f"{size_of(a, axis)} and {size_of(b, axis)}")
    a, b = shaping.moveaxis(a, axis, -1), shaping.moveaxis(b, axis, -1)
    row = shaping.expand_dims(a, -2)
    column = shaping.expand_dims(b, -1)
    return shaping.squeeze(matmul(row, column), (-2, -1))


def kron(x: Any, y: Any) -> Tracer:
    """The Kronecker product: every element of x times all of y, as blocks."""
    a, b = lift(x), lift(y)
    rank = max(a.ndim, b.ndim)
    a = shaping.reshape(a, (1,) * (rank - a.ndim) + a.shape)
    b = shaping.reshape(b, (1,) * (rank - b.ndim) + b.shape)
    left = shaping.reshape(a, [s for size in a.shape for s in (size, 1)])
    right = shaping.reshape(b, [s for size in b.shape for s in (1, size)])
    return shaping.reshape(elementwise.multiply(left, right), [m * n for m, n in zip(a.shape, b.shape)])
