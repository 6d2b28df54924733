# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Random programs as functions of JAX arrays, op by op, by what the descriptions of the ops say.

What the numbers of tessera.rng are, JAX does not know: they do not depend on arguments, and come from the
interpreter. Of elements that tie, running extrema take the last one, as their description says; all else
is differentiated by JAX's own rules.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from random_program import Block, Op, Program, Value

from tessera._src.core import dtypes
from tessera._src.programs import native

jax.config.update("jax_enable_x64", True)
Values = dict[str, Any]


class NotTranslatedError(Exception):
    """What JAX has no function for, in words."""


def dtype_of(element: str) -> np.dtype:
    """The type of NumPy of an element type."""
    names = {"i1": "bool", "i32": "int32", "i64": "int64", "ui32": "uint32"}
    return np.dtype(names[element]) if element in names else np.dtype(dtypes.BY_NAME[element])


def results_of(program: Program, arguments: Sequence[Any]) -> list[Any]:
    """The results of a program for arrays of its arguments' types."""
    values: Values = {a.name: x for a, x in zip(program.arguments, arguments, strict=True)}
    evaluate(program.ops, values)
    return [values[r.name] for r in program.results]


def evaluate(ops: Sequence[Op], values: Values) -> None:
    """Adds the results of ops to the values by name."""
    for op in ops:
        operands = [values[v.name] for v in op.operands]
        if op.mnemonic != "rng":
            operands = [jnp.asarray(x) for x in operands]
        made = _translation(op.mnemonic)(op, operands, values)
        made = made if isinstance(made, (list, tuple)) else [made]
        for result, array in zip(op.results, made, strict=True):
            wanted, got = (result.shape, dtype_of(result.element)), (array.shape, array.dtype)
            assert got == wanted, f"{op.text} gives {got}, expected {wanted}"
            values[result.name] = array


def _translation(mnemonic: str) -> Callable:
    simple = _SIMPLE.get(mnemonic)
    if simple:
        return lambda op, x, _: simple(*x)
    found = globals().get(f"_{mnemonic}")
    if found is None:
        raise NotTranslatedError(f"tessera.{mnemonic}")
    return found


def _silent(*_: Any) -> list:
    """An op without results."""
    return []


def _nextafter(x: Any, y: Any) -> Any:
    """Moves with x; JAX has no derivative of it. The difference of neighbours is exact."""
    fixed = lax.stop_gradient(x)
    return x + (lax.nextafter(fixed, lax.stop_gradient(y)) - fixed)


_SIMPLE: dict[str, Callable] = {
    "neg": lax.neg, "abs": jnp.abs, "sign": jnp.sign, "floor": jnp.floor, "not": lax.bitwise_not,
    "sqrt": lax.sqrt, "rsqrt": lax.rsqrt, "exp": lax.exp, "exp2": lax.exp2, "log": lax.log,
    "log2": jnp.log2, "log10": jnp.log10, "logistic": jax.nn.sigmoid, "silu": jax.nn.silu,
    "sin": lax.sin, "cos": lax.cos, "asin": lax.asin, "acos": lax.acos, "atan": lax.atan,
    "tanh": lax.tanh, "asinh": lax.asinh, "acosh": lax.acosh, "atanh": lax.atanh,
    "erf": lax.erf, "erfinv": lax.erf_inv,
    "add": lax.add, "sub": lax.sub, "mul": lax.mul, "div": lax.div, "rem": lax.rem, "pow": jnp.power,
    "max": lax.max, "min": lax.min, "atan2": lax.atan2, "copysign": jnp.copysign,
    "nextafter": _nextafter,
    "and": lax.bitwise_and, "or": lax.bitwise_or, "xor": lax.bitwise_xor, "shift_left": lax.shift_left,
    "shift_right": lambda x, y: (lax.shift_right_logical if x.dtype == np.uint32 else
                                 lax.shift_right_arithmetic)(x, y),
    "select": lambda p, x, y: jnp.where(p, x, y),
    # Layouts change no element.
    "constrain": lambda x: x, "reshard": lambda x: x,
}


def _numbers(op: Op, word: str) -> list[int]:
    """The list after a word of an op's text; before the first operand's type."""
    found = re.search(rf"{word} \[([-\d, ]*)\]", op.text)
    return [int(n) for n in found[1].split(",") if n.strip()] if found else []


def _number(op: Op, word: str) -> int:
    return int(re.search(rf"\b{word} (-?\d+)", op.text)[1])


def _has(op: Op, word: str) -> bool:
    return re.search(rf"\b{word}\b", op.text) is not None


# -- elements ------------------------------------------------------------------------------------------


def _gelu(op: Op, x: list, _: Values) -> Any:
    return jax.nn.gelu(x[0], approximate=_has(op, "tanh"))


def _convert(op: Op, x: list, _: Values) -> Any:
    source, target = x[0], dtype_of(op.results[0].element)
    if target == bool:
        return source != 0
    if jnp.issubdtype(source.dtype, jnp.floating) and jnp.issubdtype(target, jnp.integer):
        limits = np.iinfo(target)
        whole = jnp.trunc(jnp.where(jnp.isnan(source), 0, source))
        # The greatest i64 is no f64: what is not below it is the greatest.
        high = whole >= float(limits.max)
        clipped = jnp.where(high, 0, jnp.maximum(whole, float(limits.min)))
        return jnp.where(high, target.type(limits.max), clipped.astype(target))
    return source.astype(target)


def _compare(op: Op, x: list, _: Values) -> Any:
    direction, left, right = re.match(r"compare (\w+) <(\d)>, <(\d)>", op.text).groups()
    return getattr(lax, direction)(x[int(left)], x[int(right)])


def _constant(op: Op, x: list, _: Values) -> Any:
    value, text = op.results[0], op.text
    numbers = json.loads(text[text.index("<") + 1 : text.index("> : tensor<")])
    return np.broadcast_to(np.array(numbers, dtype_of(value.element)), value.shape)


def _iota(op: Op, x: list, _: Values) -> Any:
    value = op.results[0]
    return lax.broadcasted_iota(dtype_of(value.element), value.shape, _number(op, "dim"))


def _rng(op: Op, x: list, _: Values) -> Any:
    if not isinstance(x[0], np.ndarray):
        raise NotTranslatedError("random numbers of a key that is computed")
    key, value = op.operands[0], op.results[0]
    program = Program("main", [key], [op], [value])
    made = np.zeros(value.shape, dtype_of(value.element))
    native.interpret("dist.mesh @mesh <[x = 1]>\n" + program.text(), [np.ascontiguousarray(x[0])], [made])
    return made


# -- products and reductions ---------------------------------------------------------------------------


def _contract(op: Op, x: list, _: Values) -> Any:
    return jnp.einsum(re.search(r'"([^"]*)"', op.text)[1], *x).astype(x[0].dtype)


def _reduce(op: Op, x: list, _: Values) -> Any:
    kind, axes = op.text.split()[1], tuple(_numbers(op, "dims"))
    if kind in ("sum", "prod"):
        return getattr(jnp, kind)(x[0], axis=axes, dtype=x[0].dtype)
    return getattr(jnp, kind)(x[0], axis=axes)


def _cumulative(op: Op, x: list, _: Values) -> Any:
    kind, axis, reverse = op.text.split()[1], _number(op, "dim"), _has(op, "reverse")
    value = x[0]
    if kind in ("max", "min"):
        if _has(op, "exclusive"):
            raise NotTranslatedError("exclusive running extrema")
        return _running_extremum(value, axis, kind, reverse)
    if _has(op, "exclusive"):
        size = value.shape[axis]
        first = jnp.full_like(lax.slice_in_dim(value, 0, 1, axis=axis), int(kind == "prod"))
        rest = lax.slice_in_dim(value, 1, size, axis=axis) if reverse else lax.slice_in_dim(
            value, 0, size - 1, axis=axis)
        value = lax.concatenate([rest, first] if reverse else [first, rest], axis)
    return getattr(lax, f"cum{kind}")(value, axis=axis, reverse=reverse)


def _running_extremum(x: Any, axis: int, kind: str, reverse: bool) -> Any:
    """Of ties the last one that was met."""
    if reverse:
        return jnp.flip(_running_extremum(jnp.flip(x, axis), axis, kind, False), axis)
    running = getattr(lax, f"cum{kind}")(lax.stop_gradient(x), axis=axis)
    place = lax.broadcasted_iota(np.int32, x.shape, axis)
    # NaN stay what they are from the first one on.
    is_new = (running == x) | (jnp.isnan(x) & (lax.cumsum(jnp.isnan(x).astype(np.int32), axis) == 1))
    return jnp.take_along_axis(x, lax.cummax(jnp.where(is_new, place, -1), axis=axis), axis=axis)


def _softmax(op: Op, x: list, _: Values) -> Any:
    return jax.nn.softmax(x[0], axis=_number(op, "dim"))


def _epsilon(op: Op) -> float:
    return float(re.search(r"epsilon (\S+)", op.text)[1])


def _layer_norm(op: Op, operands: list, _: Values) -> Any:
    x, scale, bias = operands
    centred = x - jnp.mean(x, -1, keepdims=True)
    return centred * lax.rsqrt(jnp.mean(centred**2, -1, keepdims=True) + _epsilon(op)) * scale + bias


def _rms_norm(op: Op, operands: list, _: Values) -> Any:
    x, scale = operands
    return x * lax.rsqrt(jnp.mean(x * x, -1, keepdims=True) + _epsilon(op)) * scale


def _norm_tangent(op: Op, operands: list, _: Values) -> Any:
    change, x = operands
    if _has(op, "centred"):
        x = x - jnp.mean(x, -1, keepdims=True)
    rate = lax.rsqrt(jnp.mean(x * x, -1, keepdims=True) + _epsilon(op))
    normal = x * rate
    made = change - normal * jnp.mean(normal * change, -1, keepdims=True)
    if _has(op, "centred"):
        made = made - jnp.mean(change, -1, keepdims=True)
    return rate * made


def _logsumexp(op: Op, x: list, _: Values) -> Any:
    return jax.nn.logsumexp(x[0], axis=_number(op, "dim"))


def _cross_entropy(op: Op, operands: list, _: Values) -> Any:
    x, labels = operands
    smoothing, factor = (float(re.search(rf"{word} (\S+)", op.text)[1]) for word in ("smoothing", "z_loss"))
    total = jax.nn.logsumexp(x, axis=-1)
    wanted = jax.nn.one_hot(labels, x.shape[-1], dtype=x.dtype)
    wanted = (1 - smoothing) * wanted + smoothing / x.shape[-1]
    loss = total - jnp.sum(wanted * x, -1) + factor * total**2
    loss = jnp.where((labels >= 0) & (labels < x.shape[-1]), loss, np.nan)
    return jnp.where(labels == _number(op, "ignore"), 0.0, loss) if _has(op, "ignore") else loss


def _scores(op: Op, query: Any, key: Any, bias: list) -> Any:
    """Of an attention, [B,H,S,T]; -inf where a causal mask hides the key."""
    scale = float(re.search(r"scale (\S+)", op.text)[1])
    score = scale * jnp.einsum("bshd,bthd->bhst", query, _per_query_head(key, query))
    if bias:
        score = score + bias[0]
    if _has(op, "causal"):
        s, t = score.shape[2:]
        score = jnp.where(np.tri(s, t, t - s, dtype=bool), score, -np.inf)
    return score


def _per_query_head(x: Any, query: Any) -> Any:
    return jnp.repeat(x, query.shape[2] // x.shape[2], axis=2)


def _attention(op: Op, operands: list, _: Values) -> Any:
    query, key, value, *bias = operands
    score = _scores(op, query, key, bias)
    # A row without any key gives zeros, and has no derivative.
    kept = jnp.isfinite(score).any(-1, keepdims=True)
    weights = jnp.where(kept, jax.nn.softmax(jnp.where(kept, score, 0.0), axis=-1), 0.0)
    return jnp.einsum("bhst,bthe->bshe", weights, _per_query_head(value, query))


def _attention_logsumexp(op: Op, operands: list, _: Values) -> Any:
    query, key, *bias = operands
    score = _scores(op, query, key, bias)
    kept = jnp.isfinite(score).any(-1, keepdims=True)
    return jnp.where(kept[..., 0], jax.nn.logsumexp(jnp.where(kept, score, 0.0), axis=-1), -np.inf)


def _attention_gradient(op: Op, operands: list, _: Values) -> Any:
    query, key, value, total, mean, cotangent, *bias = operands
    which = re.search(r"attention_gradient of (\w+)", op.text)[1]
    score, total = _scores(op, query, key, bias), total[..., None]
    kept = jnp.isfinite(score) & jnp.isfinite(total)
    weights = jnp.where(kept, jnp.exp(jnp.where(kept, score - total, 0.0)), 0.0)
    products = jnp.einsum("bshe,bthe->bhst", cotangent, _per_query_head(value, query))
    change = float(re.search(r"scale (\S+)", op.text)[1]) * weights * (products - mean[..., None])
    if which == "query":
        return jnp.einsum("bhst,bthd->bshd", change, _per_query_head(key, query))
    made = (jnp.einsum("bhst,bshd->bthd", change, query) if which == "key" else
            jnp.einsum("bhst,bshe->bthe", weights, cotangent))  # fmt: skip
    b, t, h, d = made.shape
    return made.reshape(b, t, key.shape[2], h // key.shape[2], d).sum(3)


# -- moving elements -----------------------------------------------------------------------------------


def _reshape(op: Op, x: list, _: Values) -> Any:
    return jnp.reshape(x[0], op.results[0].shape)


def _transpose(op: Op, x: list, _: Values) -> Any:
    return lax.transpose(x[0], _numbers(op, "<0>"))


def _broadcast(op: Op, x: list, _: Values) -> Any:
    return lax.broadcast_in_dim(x[0], op.results[0].shape, _numbers(op, "dims"))


def _slice(op: Op, x: list, _: Values) -> Any:
    return lax.slice(x[0], _numbers(op, "<0>"), _numbers(op, "to"), _numbers(op, "by"))


def _pad(op: Op, x: list, _: Values) -> Any:
    text = re.search(r"value (\S+)", op.text)[1]
    number = text == "true" if text in ("true", "false") else float(text)
    return lax.pad(x[0], np.array(number, x[0].dtype),
                   [(low, high, 0) for low, high in zip(_numbers(op, "low"), _numbers(op, "high"))])


def _concatenate(op: Op, x: list, _: Values) -> Any:
    return lax.concatenate(x, _number(op, "dim"))


def _barrier(op: Op, x: list, _: Values) -> Any:
    return list(lax.optimization_barrier(tuple(x)))


# -- computed indices ----------------------------------------------------------------------------------


def _places(op: Op, source: Value, indices: list[Any]) -> tuple[Any, Any]:
    """Of each element of the slices: its row-major place in the source, and whether it is in there."""
    dims = _numbers(op, "dims")
    pairs = re.search(r"batch \[([\d, ]*)\] = \[([\d, ]*)\]", op.text)
    batch, of_indices = ([int(n) for n in part.split(",")] for part in pairs.groups()) if pairs else ([], [])
    labels: list[tuple[str, int]] = []  # Of the dimensions of the slices.
    rank = indices[0].ndim
    for d in range(len(source.shape)):
        if d == dims[0]:
            labels += [("index", k) for k in range(rank) if k not in of_indices]
        if d not in dims:
            labels.append(("source", d))
    ways = [("source", batch[of_indices.index(k)]) if k in of_indices else ("index", k) for k in range(rank)]
    sizes = [indices[0].shape[n] if kind == "index" else source.shape[n] for kind, n in labels]
    order = sorted(range(rank), key=lambda k: labels.index(ways[k]))
    spread = [size if label in ways else 1 for size, label in zip(sizes, labels)]
    place, inside = 0, True
    for d, size in enumerate(source.shape):
        if d in dims:
            at = jnp.reshape(jnp.transpose(indices[dims.index(d)], order), spread).astype(np.int64)
            inside = inside & (at >= 0) & (at < size)
        else:
            at = lax.broadcasted_iota(np.int64, sizes, labels.index(("source", d)))
        place = place * size + at
    return jnp.broadcast_to(place, sizes), jnp.broadcast_to(inside, sizes)


def _gather(op: Op, x: list, _: Values) -> Any:
    place, inside = _places(op, op.operands[0], x[1:])
    read = jnp.reshape(x[0], -1)[jnp.where(inside, place, 0)]
    return jnp.where(inside, read, np.zeros((), read.dtype))


def _scatter(op: Op, x: list, _: Values) -> Any:
    place, inside = _places(op, op.operands[0], x[1:-1])
    flat, kind = jnp.reshape(x[0], -1), op.text.split()[1]
    at = flat.at[jnp.reshape(jnp.where(inside, place, flat.size), -1)]
    return jnp.reshape(getattr(at, kind)(jnp.reshape(x[-1], -1), mode="drop"), x[0].shape)


def _argsort(op: Op, x: list, _: Values) -> Any:
    # Whole numbers are negated without overflow by their complement; the sort is stable.
    key = lax.stop_gradient(x[0])
    if _has(op, "descending"):
        flipped = jnp.flip(key, _number(op, "dim"))
        places = jnp.argsort(flipped, axis=_number(op, "dim"), stable=True)
        return jnp.flip(key.shape[_number(op, "dim")] - 1 - places, _number(op, "dim")).astype(np.int32)
    return jnp.argsort(key, axis=_number(op, "dim"), stable=True).astype(np.int32)


def _clamped(starts: list, whole: Sequence[int], box: Sequence[int]) -> list:
    return [jnp.clip(s, 0, n - k) for s, n, k in zip(starts, whole, box)]


def _dynamic_slice(op: Op, x: list, _: Values) -> Any:
    sizes = op.results[0].shape
    return lax.dynamic_slice(x[0], _clamped(x[1:], x[0].shape, sizes), sizes)


def _dynamic_update_slice(op: Op, x: list, _: Values) -> Any:
    starts = _clamped(x[1:-1], x[0].shape, x[-1].shape)
    return lax.dynamic_update_slice(x[0], x[-1], starts)


# -- control flow --------------------------------------------------------------------------------------


def _run(block: Block, arguments: Sequence[Any], values: Values) -> list[Any]:
    """What a block yields, for its arguments and what it captures."""
    inner = dict(values)
    inner.update(zip([a.name for a in block.arguments], arguments, strict=True))
    evaluate(block.ops, inner)
    return [jnp.asarray(inner[v.name]) for v in block.yields]


def _scan(op: Op, x: list, values: Values) -> Any:
    body, length = op.regions[0], _number(op, "length")
    count = len(re.search(r"scan \(([^)]*)\)", op.text)[1].split(",")) if "scan ()" not in op.text else 0
    inits, sequences = x[:count], x[count:]
    if length == 0:
        return inits

    def step(carried: list, given: tuple) -> tuple:
        made = _run(body, [given[0], *carried, *given[1]], values)
        return made[:count], made[count:]

    places = np.arange(length, dtype=np.int32)
    carried, stacked = lax.scan(step, inits, (places, sequences), length=length,
                                reverse=_has(op, "reverse"))
    return [*carried, *stacked]


def _while(op: Op, x: list, values: Values) -> Any:
    condition, body = op.regions
    return lax.while_loop(lambda c: _run(condition, c, values)[0], lambda c: _run(body, c, values),
                          x)


def _cond(op: Op, x: list, values: Values) -> Any:
    branches = [lambda block=block: _run(block, (), values) for block in op.regions]
    return lax.switch(x[0].astype(np.int32), branches)


_debug_print = _debug_check = _silent


# -- derivatives ---------------------------------------------------------------------------------------


def derivatives(program: Program, points: Sequence[np.ndarray], changes: Sequence[np.ndarray],
                weights: Sequence[np.ndarray], second: bool) -> dict[str, list[np.ndarray]]:
    """Of the floats among the results by those among the arguments, in f64.

    "values" and "tangents" along the changes; "gradients" of the sum of weights times results, and with
    `second`, how these change along the changes: "second".
    """
    wanted = [i for i, a in enumerate(program.arguments) if a.element == "f64"]
    made = [i for i, r in enumerate(program.results) if r.element == "f64"]

    def function(*floats: Any) -> list:
        given = list(points)
        for i, x in zip(wanted, floats, strict=True):
            given[i] = x
        results = results_of(program, given)
        return [jnp.asarray(results[i]) for i in made]

    def gradients(*floats: Any) -> tuple:
        return jax.vjp(function, *floats)[1](list(weights))

    def everything(floats: list, changes: list) -> dict:
        values, tangents = jax.jvp(function, tuple(floats), tuple(changes))
        found = {"values": values, "tangents": tangents}
        if weights and second:
            found["gradients"], found["second"] = jax.jvp(gradients, tuple(floats), tuple(changes))
        elif weights:
            found["gradients"] = gradients(*floats)
        return found

    # Compiling takes longer than all else here.
    fast = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
    run = jax.jit(everything, compiler_options=fast)
    found = run([points[i] for i in wanted], list(changes))
    return {name: [np.asarray(a) for a in arrays] for name, arrays in found.items()}


def is_refused(error: Exception) -> bool:
    """Whether JAX has no reverse mode for a program: a while loop is on the way."""
    return "Reverse-mode differentiation does not work" in str(error)


