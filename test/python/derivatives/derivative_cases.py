# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Functions whose derivatives are tested: every differentiable one of the language, in groups."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from derivative_checks import Case, case, jax

import tessera as ts
from elementwise_table import TABLE

jnp, lax, jnn = jax.numpy, jax.lax, jax.nn
SHAPES = ("", "1", "3x5", "7x1x3")
# NumPy's broadcasting, each operand once the smaller one.
PAIRS = (("3x5", "3x5"), ("5", "3x5"), ("3x5", "5"), ("3x1", "1x5"), ("", "7"))

_LAX = {"rsqrt": lax.rsqrt, "sigmoid": jnn.sigmoid, "silu": jnn.silu, "erf": lax.erf, "erfinv": lax.erf_inv,
        "atan2": jnp.arctan2}


def _of(m: Any, name: str) -> Callable:
    """A function of the table by its name in Python."""
    return getattr(ts, name) if m is ts else _LAX.get(name) or getattr(m, name)


# Of the arguments of ops, where not what the table says: steps of finite differences cross no jump or kink.
_KINDS = {"max": ["even", "odd"], "min": ["even", "odd"], "abs": ["apart"], "sign": ["apart"],
          "floor": ["off tenths"], "rem": ["quotient", "three"], "copysign": ["apart", "three"],
          "pow": ["positive", "bounded"], "atan2": ["away", "away"]}


def elementwise_ops() -> list[str]:
    """The ops of the table that have derivatives; JAX has none of nextafter."""
    return [op for op, row in TABLE.items() if "f64" in row.types and op != "nextafter"]


def elementwise_cases(op: str, shapes: Sequence[str], pairs: Sequence[tuple[str, str]]) -> dict[str, Case]:
    """An op on operands of some shapes, or of pairs of shapes if it has two."""
    row = TABLE[op]
    name = row.python or {"floor": "floor", "rem": "fmod", "pow": "power"}[op]
    kinds = _KINDS.get(op, row.domain)
    call = (lambda m, *x: _of(m, name)(*x))
    if row.arity == 1:
        return {f"{op} of [{s}]": case(call, f"{s} {kinds[0]}") for s in shapes}
    return {f"{op} of [{s}] and [{t}]": case(call, f"{s} {kinds[0]}", f"{t} {kinds[1]}") for s, t in pairs}


def logaddexp_of(m: Any, x: Any, y: Any) -> Any:
    """In JAX, whose own has second derivatives that are off by 1e-12 where x and y are far apart."""
    return m.maximum(x, y) + m.log1p(m.exp(-abs(x - y)))


FORMULAS = {
    "where": case(lambda m, p, x, y: m.where(p, x, y), "3x5 bool", "3x5 any", "5 any"),
    "where of a formula": case(lambda m, x, y: m.where(x > 0, x * y, m.sin(x)), "7 off tenths", "7 any"),
    "clip": case(lambda m, x: m.clip(x, -0.5, 0.7), "3x7 off tenths"),
    "clip by values": case(lambda m, x, a, b: m.clip(x, a - 3, abs(b)), "3x7 odd", "7 even", "3x1 three"),
    "relu": case(lambda m, x: ts.relu(x) if m is ts else jnn.relu(x), "3x7 off tenths"),
    "square": case(lambda m, x: m.square(x), "3x7 any"),
    "powers": case(lambda m, x: [x**2, x**3, x**7, x**-2, x**0, x**1], "5 positive"),
    "roots": case(lambda m, x: [x**0.5, x**-0.5, x**1.5], "5 positive"),
    "power of a number": case(lambda m, y: 2.0**y, "5 any"),
    "reciprocal": case(lambda m, x: m.reciprocal(x), "5 positive"),
    "expm1": case(lambda m, x: m.expm1(x), "41 any"),
    "expm1 of small numbers": case(lambda m, x: m.expm1(x * 1e-7), "41 any", smooth=False, narrow=False),
    "log1p": case(lambda m, x: m.log1p(x), "41 unit"),
    "log1p of small numbers": case(lambda m, x: m.log1p(x * 1e-7), "41 any", smooth=False, narrow=False),
    "logaddexp": case(lambda m, x, y: m.logaddexp(x, y), "3x5 any", "5 any"),
    "logaddexp of numbers far apart": case(lambda m, x, y: m.logaddexp(30 * x, y), "7 any", "7 any",
                                           peer=lambda m, x, y: logaddexp_of(m, 30 * x, y),
                                           narrow=False, smooth=False),
    "logaddexp2": case(lambda m, x, y: m.logaddexp2(x, y), "3x5 any", "5 any", narrow=False),
    "sinh": case(lambda m, x: m.sinh(x), "7x3 bounded"),
    "cbrt": case(lambda m, x: m.cbrt(x), "7x3 positive"),
    "degrees and radians": case(lambda m, x: [m.deg2rad(x), m.rad2deg(x)], "7 any"),
    "fmax and fmin": case(lambda m, x, y: [m.fmax(x, y), m.fmin(x, y)], "7 even", "7 odd"),
    "sinc": case(lambda m, x: m.sinc(x), "13 positive", narrow=False),
    "cosh": case(lambda m, x: m.cosh(x), "7x3 bounded"),
    "tan": case(lambda m, x: m.tan(x), "7x3 unit"),
    "hypot": case(lambda m, x, y: m.hypot(x, y), "7x3 away", "3 any"),
    "fmod and remainder": case(lambda m, x, y: [m.fmod(x, y), m.remainder(x, y), m.mod(x, y)], "7 quotient",
                               "7 three", narrow=False),
    "steps": case(lambda m, x: [m.floor(x), m.ceil(x), m.trunc(x), m.round(x), m.sign(x), x // 0.3,
                                m.floor_divide(x, 0.7)],
                  "7 off tenths", narrow=False),
    "softplus": case(lambda m, x: (ts.nn if m is ts else jnn).softplus(x), "13 bounded"),
    "softplus of large numbers": case(lambda m, x: ts.nn.softplus(20 * x), "13 any",
                                      peer=lambda m, x: logaddexp_of(m, 20 * x, 0.0), narrow=False,
                                      smooth=False),
    "elu": case(lambda m, x: (ts.nn if m is ts else jnn).elu(x, 1.3), "13 off tenths"),
    "leaky_relu": case(lambda m, x: (ts.nn if m is ts else jnn).leaky_relu(x, 0.1), "13 off tenths"),
    "log_sigmoid by hand": case(lambda m, x: -m.logaddexp(-x, 0.0), "13 any"),
    "nan_to_num": case(lambda m, x: m.nan_to_num(x), "13 any"),
    "gelu": case(lambda m, x: ts.gelu(x) if m is ts else jnn.gelu(x, approximate=False), "3x13 any"),
    "gelu by tanh": case(lambda m, x: ts.gelu(x, approximate=True) if m is ts else jnn.gelu(x), "3x13 any"),
    "operators": case(lambda m, x, y: [x + y, x - y, x * y, x / y, -x, abs(x), 2 - x, 3 / y, x % y,
                                       divmod(x, y)[1]],
                      "3x5 quotient", "5 three", narrow=False),
    "casts": case(lambda m, x: x.astype("float64") * x, "5 any", narrow=False),
    "optimization_barrier": case(lambda m, x: ts.optimization_barrier(x * x) if m is ts
                                 else lax.optimization_barrier(x * x), "5 any"),
    "checkpoint": case(lambda m, x: (ts if m is ts else jax).checkpoint(lambda x: m.sin(x) * m.exp(x))(x),
                       "5 any"),
    "checkpoint_name": case(lambda m, x: m.sin(ts.checkpoint_name(x * x, "square") if m is ts else x * x),
                            "5 any"),
    "stop_gradient": case(lambda m, x: x * (ts if m is ts else lax).stop_gradient(m.sin(x)), "5 any",
                          smooth=False),
    "selected by what has no derivative": case(
        lambda m, x: x * (m.argmax(x) + 1) + (x > 0) * x + m.isnan(x) + m.equal(x, x) * m.signbit(x),
        "5 apart"),
    "with_sharding_constraint": case(
        lambda m, x: ts.with_sharding_constraint(x, ts.P()) * x if m is ts else x * x, "3x5 any"),
}


def softmax(m: Any, name: str, x: Any, **options: Any) -> Any:
    if m is not ts:
        return getattr(jnn, name)(x, **options)
    return getattr(ts.nn, name)(x, **options)


def layer_norm(m: Any, x: Any, s: Any, b: Any) -> Any:
    if m is ts:
        return ts.layer_norm(x, s, b, 1e-3)
    d = x - x.mean(-1, keepdims=True)
    return d * lax.rsqrt((d * d).mean(-1, keepdims=True) + 1e-3) * s + b


def rms_norm(m: Any, x: Any, s: Any) -> Any:
    if m is ts:
        return ts.rms_norm(x, s, 1e-3)
    return x * lax.rsqrt((x * x).mean(-1, keepdims=True) + 1e-3) * s


def attention(m: Any, q: Any, k: Any, v: Any, bias: Any = None, causal: bool = False,
               mask: Any = None) -> Any:
    if mask is not None:
        bias = m.where(mask, 0.0 if bias is None else bias, -np.inf)
    if m is ts:
        return ts.attention(q, k, v, bias, causal=causal)
    k, v = (jnp.repeat(t, q.shape[2] // t.shape[2], axis=2) for t in (k, v))
    score = jnp.einsum("bshd,bthd->bhst", q, k) / np.sqrt(q.shape[3])
    score = score if bias is None else score + bias
    if causal:
        s, t = score.shape[2:]
        score = jnp.where(np.tri(s, t, t - s, dtype=bool), score, -np.inf)
    # Rows without any key give zeros, and have no derivative.
    kept = jnp.isfinite(score).any(-1, keepdims=True)
    weights = jnp.where(kept, jnn.softmax(jnp.where(kept, score, 0.0), axis=-1), 0.0)
    return jnp.einsum("bhst,bthe->bshe", weights, v)


def cross_entropy(m: Any, x: Any, labels: Any, ignore: int | None = None, smoothing: float = 0.0,
                   z_loss: float = 0.0, reduction: str = "none") -> Any:
    """By the formula of optax and PyTorch; in the type of x."""
    labels = np.asarray(labels)
    if m is ts:
        return ts.nn.softmax_cross_entropy(x, labels, ignore_index=ignore, label_smoothing=smoothing,
                                           z_loss=z_loss, reduction=reduction).astype(x.dtype)
    logs = jnn.log_softmax(x)
    counts = labels != ignore
    picked = jnp.take_along_axis(logs, np.where(counts, labels, 0)[..., None], -1)[..., 0]
    total = jax.scipy.special.logsumexp(x, axis=-1)
    losses = -(1 - smoothing) * picked - smoothing * logs.mean(-1) + z_loss * total**2
    losses = jnp.where(counts, losses, 0.0)
    if reduction == "none":
        return losses
    return losses.sum() / (counts.sum() if reduction == "mean" else 1)


_KEY = np.array([3, 5], np.int32)


def _dropout(m: Any, x: Any, rate: float, shape: tuple[int, ...]) -> Any:
    """Elements are kept where the uniform numbers of the key are less than 1 - rate."""
    if m is ts:
        shared = [d for d, (size, full) in enumerate(zip(shape, x.shape)) if size != full]
        return ts.nn.dropout(x, rate, _KEY, broadcast_dims=shared)
    return jnp.where(np.asarray(ts.random.uniform(_KEY, shape)) < 1 - rate, x / (1 - rate), 0.0)


def embedding(m: Any, table: Any, indices: Any) -> Any:
    """Rows, zeros where there is none."""
    if m is ts:
        return ts.embedding(table, indices)
    inside = (indices >= 0) & (indices < table.shape[0])
    return jnp.where(inside[..., None], jnp.take(table, indices, axis=0, mode="clip"), 0)


_MASK = np.random.default_rng(3).integers(0, 3, (2, 1, 5, 7)) > 0
_ROWS = _MASK.copy()
_ROWS[0, 0, 2] = _ROWS[1, 0, :2] = False
_Q, _K, _V = "2x5x4x3 any", "2x7x2x3 any", "2x7x2x5 any"
_CAUSAL = ("1x5x2x3 any", "1x5x2x3 any", "1x5x2x4 any")

NEURAL = {
    **{f"{name} along {axis}": case(functools.partial(lambda m, x, name, axis: softmax(m, name, x,
                                                                                        axis=axis),
                                                      name=name, axis=axis), "3x5x7 any")
       for name in ("softmax", "log_softmax") for axis in (-1, 0, (1, 2))},
    "softmax where": case(lambda m, x: softmax(m, "softmax", x, where=np.arange(7) % 3 > 0), "3x7 any"),
    "softmax of one": case(lambda m, x: softmax(m, "softmax", x) + 0 * x + x, "3x1 any"),
    **{f"logsumexp along {axis}": case(
        lambda m, x, axis=axis: (ts if m is ts else jax.scipy.special).logsumexp(x, axis=axis), "3x5x7 any")
       for axis in (None, -1, (0, 1))},
    "layer_norm": case(layer_norm, "2x3x7 any", "7 any", "7 any"),
    "layer_norm of long rows": case(layer_norm, "3x129 any", "129 any", "129 any"),
    "layer_norm alone": case(lambda m, x: layer_norm(m, x, m.ones(7), m.zeros(7)), "5x7 any"),
    "rms_norm": case(rms_norm, "2x3x7 any", "7 any"),
    "rms_norm alone": case(lambda m, x: rms_norm(m, x, m.ones(7)), "5x7 any"),
    "attention": case(attention, _Q, _K, _V),
    "attention with a bias": case(attention, _Q, _K, _V, "2x4x5x7 any"),
    "attention with a bias per key": case(attention, _Q, _K, _V, "2x1x1x7 any"),
    "attention with a bias per head": case(attention, _Q, _K, _V, "1x4x5x7 any"),
    "causal attention": case(functools.partial(attention, causal=True), *_CAUSAL),
    "causal attention, fewer queries": case(functools.partial(attention, causal=True), "1x3x4x3 any",
                                            "1x5x1x3 any", "1x5x1x3 any"),
    "causal attention, more queries": case(functools.partial(attention, causal=True), "1x5x2x3 any",
                                           "1x3x2x3 any", "1x3x2x3 any"),
    "attention with a mask": case(functools.partial(attention, mask=_MASK), _Q, _K, _V),
    "attention with masked rows": case(functools.partial(attention, mask=_ROWS), _Q, _K, _V),
    "embedding": case(embedding, "7x5 any", "2x9 index 7"),
    "linear": case(lambda m, x, w, b: ts.nn.linear(x, w, b) if m is ts else x @ w.T + b,
                   "2x3x5 any", "7x5 any", "7 any"),
    "dense and norm": case(
        lambda m, x, w, b: ts.nn.norm({"l.weight": b, "l.bias": b}, "l", ts.nn.dense(
            {"a.weight": w, "a.bias": b}, "a", x), 1e-3) if m is ts else layer_norm(m, x @ w.T + b, b, b),
        "2x3x5 any", "7x5 any", "7 any"),
    "softmax_cross_entropy": case(functools.partial(cross_entropy, labels=[[1, 0], [6, 3], [2, 2]]),
                                  "3x2x7 any"),
    "softmax_cross_entropy, smooth": case(
        functools.partial(cross_entropy, labels=[1, 0, 6], smoothing=0.2, z_loss=0.1), "3x7 any"),
    "softmax_cross_entropy, mean of some rows": case(
        functools.partial(cross_entropy, labels=[1, -100, 6, 0], ignore=-100, smoothing=0.1,
                          reduction="mean"), "4x7 any"),
    "softmax_cross_entropy, sum without a class": case(
        functools.partial(cross_entropy, labels=[1, 0, 1, 6], ignore=1, z_loss=0.2, reduction="sum"),
        "4x7 any"),
    "softmax_cross_entropy of one row": case(functools.partial(cross_entropy, labels=2), "7 any"),
    "dropout": case(lambda m, x: _dropout(m, x, 0.3, (5, 7)), "5x7 any"),
    "dropout of whole columns": case(lambda m, x: _dropout(m, x, 0.5, (1, 7)), "5x7 any"),
    "cross entropy": case(
        lambda m, x: -m.take_along_axis(softmax(m, "log_softmax", x), np.array([[1], [0], [6]]),
                                        axis=-1).mean(),
        "3x7 any"),
}

ELEMENTWISE: dict[str, Case] = {}
for _op in elementwise_ops():
    ELEMENTWISE |= elementwise_cases(_op, SHAPES, PAIRS)
