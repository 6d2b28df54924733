# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Functions of neural networks: normalisations, attention, layers over plain weights."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from tessera._src.core import dtypes
from tessera._src.core.errors import ConfigError, ShapeError, TraceError
from tessera._src.ops import elementwise, products, shaping
from tessera._src.ops.creation import full
from tessera._src.tracing.named_dims import describe
from tessera._src.tracing.operands import convert, emit, is_scalar, lift
from tessera._src.tracing.program_text import scalar_text
from tessera._src.tracing.tracer import Tracer


def _column(value: Any, x: Tracer, what: str) -> Tracer:
    result = convert(lift(value), x.dtype)
    if result.shape != x.shape[-1:]:
        raise ShapeError("TS3017", f"{what} does not have the shape of the last dimension of x",
                         expected=x.shape[-1:], got=result.shape)
    return result


def _rows(x: Any) -> Tracer:
    value = elementwise.as_float(lift(x))
    if not value.shape:
        raise ShapeError("TS3017", "a normalisation needs at least one dimension")
    return value


def layer_norm(x: Any, scale: Any = None, bias: Any = None, eps: float = 1e-5) -> Tracer:
    """Rows of the last dimension with mean 0 and variance 1, times scale, plus bias."""
    value = _rows(x)
    scale = full(value.shape[-1:], 1, value.dtype) if scale is None else scale
    bias = full(value.shape[-1:], 0, value.dtype) if bias is None else bias
    s, b = _column(scale, value, "scale"), _column(bias, value, "bias")
    text = (
        f"tessera.layer_norm {value.value}, {s.value}, {b.value} epsilon {_f64(eps)} : "
        f"{value.type}, {s.type}, {b.type} -> "
    )
    return emit(text, value.shape, value.dtype, [value, s, b])


def rms_norm(x: Any, scale: Any = None, eps: float = 1e-6) -> Tracer:
    """Rows of the last dimension with root mean square 1, times scale."""
    value = _rows(x)
    scale = full(value.shape[-1:], 1, value.dtype) if scale is None else scale
    s = _column(scale, value, "scale")
    text = (
        f"tessera.rms_norm {value.value}, {s.value} epsilon {_f64(eps)} : "
        f"{value.type}, {s.type} -> "
    )
    return emit(text, value.shape, value.dtype, [value, s])


def _f64(value: float) -> str:
    return scalar_text(float(value), dtypes.f64)


def score_bias(bias: Any) -> Tracer:
    """What is added to scores. A mask is none: as 0 and 1 it would hide nothing."""
    value = lift(bias)
    if not dtypes.is_float(value.dtype) and (not is_scalar(bias) or isinstance(bias, bool)):
        raise TraceError("TS1051", "attention's bias is added to scores",
                         expected="a bias of floats", got=f"{dtypes.name_of(value.dtype)}{list(value.shape)}",
                         hint="make one of a mask that is true where a position is seen: "
                         "ts.where(mask, 0., -float('inf'))" if value.dtype == dtypes.bool_
                         else "convert it with .astype(ts.f32)")
    return value


def attention(query: Any, key: Any, value: Any, bias: Any = None, *, causal: bool = False,
              scale: float | None = None) -> Tracer:
    """softmax(scale * query key^T + bias) value, per head.

    Args:
        query: [B, S, H, D]; key: [B, T, K, D]; value: [B, T, K, E], where H is a multiple of K.
        bias: floats that broadcast to [B, H, S, T]; -inf hides a position.
        causal: position s sees positions up to s + (T - S).
        scale: 1 / sqrt(D) by default.
    """
    q, k, v = (elementwise.as_float(lift(t)) for t in (query, key, value))
    dtype = dtypes.promote(dtypes.promote(q.dtype, k.dtype), v.dtype)
    q, k, v = convert(q, dtype), convert(k, dtype), convert(v, dtype)
    if not q.ndim == k.ndim == v.ndim == 4 or k.shape[:3] != v.shape[:3] or (
        q.shape[0] != k.shape[0] or q.shape[3] != k.shape[3]
    ):
        raise ShapeError(
            "TS3018", "attention's query, key and value do not fit together",
            expected="[B,S,H,D], [B,T,K,D] and [B,T,K,E]",
            got=f"{q.shape}, {k.shape} and {v.shape}",
        )
    if k.shape[2] == 0 or q.shape[2] % k.shape[2]:
        raise ShapeError("TS3018", f"{q.shape[2]} query heads do not share {k.shape[2]} key heads",
                         choices=[d for d in range(1, q.shape[2] + 1) if q.shape[2] % d == 0])
    operands, extra, types = [q, k, v], "", ""
    if bias is not None:
        b = convert(score_bias(bias), dtype)
        full_shape = (q.shape[0], q.shape[2], q.shape[1], k.shape[1])
        if b.ndim < 4:
            b = shaping.reshape(b, (1,) * (4 - b.ndim) + b.shape)
        if b.shape[-1] == 1 != full_shape[-1]:
            b = shaping.broadcast_to(b, b.shape[:-1] + full_shape[-1:])
        if b.shape[-1] != full_shape[-1] or any(
            have not in (1, want) for have, want in zip(b.shape, full_shape)
        ):
            raise ShapeError("TS3018", "attention's bias does not broadcast to [B,H,S,T]",
                             expected=full_shape, got=b.shape)
        operands.append(b)
        extra, types = f" bias {b.value}", f", {b.type}"
    scale = 1 / math.sqrt(q.shape[3]) if scale is None else scale
    text = (
        f"tessera.attention {q.value}, {k.value}, {v.value}{extra} scale {_f64(scale)}"
        f"{' causal' if causal else ''} : {q.type}, {k.type}, {v.type}{types} -> "
    )
    return emit(text, q.shape[:3] + v.shape[3:], dtype, operands)



def linear(x: Any, weight: Any, bias: Any = None) -> Tracer:
    """x times a weight of torch's orientation [out, in], plus a bias."""
    value, matrix = lift(x), lift(weight)
    if matrix.ndim != 2 or not value.shape or value.shape[-1] != matrix.shape[1]:
        raise ShapeError("TS3013", "a linear layer's input does not fit its weight [out, in]",
                         expected=f"input [..., {matrix.shape[-1]}]",
                         got=f"input {describe(value)}, weight {describe(matrix)}")
    letters = ["", "s", "bs", "abs"][value.ndim - 1] if value.ndim < 5 else "abcdefgh"[: value.ndim - 1]
    result = products.einsum(f"{letters}k,nk->{letters}n", value, matrix)
    return result if bias is None else elementwise.add(result, bias)


def dense(params: Mapping[str, Any], name: str, x: Any) -> Tracer:
    """A linear layer by the weights `name.weight` [out, in] and, if there, `name.bias`."""
    return linear(x, params[f"{name}.weight"], params.get(f"{name}.bias"))


def norm(params: Mapping[str, Any], name: str, x: Any, eps: float) -> Tracer:
    """Layer normalisation by the weights `name.weight` and `name.bias`."""
    return layer_norm(x, params[f"{name}.weight"], params[f"{name}.bias"], eps)


def check_heads(num_heads: int, parts: int, axis: str = "tp") -> None:
    """Raises unless heads divide over the devices of a mesh axis."""
    if num_heads % parts:
        raise ConfigError(
            "TS4001",
            f"num_heads={num_heads} is not divisible by axis '{axis}'={parts}",
            choices=[d for d in range(1, num_heads + 1) if num_heads % d == 0],
        )
