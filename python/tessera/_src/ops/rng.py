# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Random numbers: functions of a key and of each element's index, never of mesh or layout.

Keys are two i32 words. Of a batch of keys, of shape [..., 2], each gives numbers of the shape that is
asked for, the ones that it gives by itself: the result has the batch's dimensions before these.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tessera._src.core import dtypes
from tessera._src.core.errors import ShapeError, TraceError
from tessera._src.ops import elementwise, shaping
from tessera._src.tracing import program_text
from tessera._src.tracing.operands import constant, convert, emit, lift, shown
from tessera._src.tracing.tracer import Tracer


def key(seed: int) -> Any:
    """The key of a random stream: two 32-bit words. Works on the host and in traced functions."""
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
        raise TraceError("TS1020", "a seed is an integer", got=repr(seed))
    seed = int(seed)  # NumPy's narrow integers have no room for the masks.
    if not np.iinfo(np.int64).min <= seed <= np.iinfo(np.int64).max:
        raise TraceError("TS1013", f"{shown(seed)} does not fit ts.i64, the type of seeds",
                         hint="seed % 2**63 is in range")
    words = np.array([seed & 0xFFFFFFFF, (seed >> 32) & 0xFFFFFFFF], np.uint32).view(np.int32)
    return constant(words) if program_text.is_tracing() else words


def _rng(kind: str, words: Any, shape: Any, dtype: np.dtype) -> Tracer:
    source = lift(words)
    if source.shape[-1:] != (2,) or source.dtype != dtypes.i32:
        raise ShapeError("TS3016", "a random key is two i32 words, and a batch of keys [..., 2]",
                         got=repr(source),
                         hint="make one with ts.random.key(seed), more with ts.random.split")
    sizes = (*source.shape[:-1], *shaping.as_shape(shape))
    text = f"tessera.rng {kind} {source.value} {list(sizes)} : {source.type} -> "
    return emit(text, sizes, dtype, [source])


def uniform(key: Any, shape: Any = (), dtype: Any = dtypes.f32, minval: float = 0.0,
            maxval: float = 1.0) -> Tracer:
    """Numbers in [minval, maxval), of `shape` for each key; the same for every mesh and layout.

    Those of [0, 1) are multiples of 2^-24, in f16 of 2^-11 and in bf16 of 2^-8.
    """
    wanted = _float_type(dtype, "uniform")
    if (minval, maxval) == (0.0, 1.0) and wanted != dtypes.f64:
        return _rng("uniform", key, shape, wanted)
    if not minval < maxval:
        raise TraceError("TS1020", "uniform needs minval < maxval",
                         got=f"minval={minval}, maxval={maxval}")
    wide = _rng("uniform", key, shape, dtypes.f32)
    wide = convert(wide, dtypes.f64) if wanted == dtypes.f64 else wide
    wide = elementwise.add(elementwise.multiply(wide, maxval - minval), minval)
    # What rounds up to maxval is the number before it.
    return elementwise.minimum(convert(wide, wanted), _below(maxval, wanted))


def _float_type(dtype: Any, what: str) -> np.dtype:
    """The dtype of random numbers that are floats."""
    wanted = dtypes.canonical(dtype)
    if not dtypes.is_float(wanted):
        raise TraceError("TS1020", f"{what} random numbers need a floating-point dtype",
                         got=dtypes.name_of(wanted), choices=["f64", "f32", "f16", "bf16"])
    return wanted


def _below(limit: float, dtype: np.dtype) -> float:
    """The largest number of a type that is less than `limit`."""
    number = np.asarray(limit).astype(dtype)
    if float(number) >= limit:
        number = np.nextafter(number, np.asarray(-np.inf).astype(dtype))
    return float(number)


def normal(key: Any, shape: Any = (), dtype: Any = dtypes.f32) -> Tracer:
    """Standard normal numbers, of `shape` for each key; the same for every mesh and layout."""
    wanted = _float_type(dtype, "normal")
    return convert(_rng("normal", key, shape, dtypes.f32), wanted)


def bits(key: Any, shape: Any = ()) -> Tracer:
    """32 random bits per element, as i32, of `shape` for each key."""
    return _rng("bits", key, shape, dtypes.i32)


def fold_in(key: Any, data: Any) -> Tracer:
    """A key of its own for each integer `data`, such as the number of a layer or of a step.

    Keys and integers may both be several, and broadcast: a key of shape [2] and n integers give n keys.
    """
    value, source = lift(data), lift(key)
    if not dtypes.is_int(value.dtype):
        raise TraceError("TS1020", "a key is folded with integers", got=repr(data))
    low, high = _words(value)
    # Mixed between two rounds, so that no two keys and numbers give the same words; the constant
    # keeps the result apart from keys that `split` gives.
    mixer = shaping.stack([low, elementwise.bitwise_xor(high, 0x666F6C64)], axis=-1)
    return bits(elementwise.bitwise_xor(bits(source, (2,)), mixer), (2,))


def _words(value: Tracer) -> tuple[Tracer, Tracer]:
    """The low and the high 32 bits of an integer; equal for equal numbers of i32 and i64."""
    if value.dtype == dtypes.i32:
        return value, elementwise.where(elementwise.less(value, 0), -1, 0)
    high = elementwise.floor_divide(value, 1 << 32)
    low = elementwise.subtract(value, elementwise.multiply(high, 1 << 32))
    low = elementwise.where(elementwise.less(low, 1 << 31), low, elementwise.subtract(low, 1 << 32))
    return convert(low, dtypes.i32), convert(high, dtypes.i32)


def split(key: Any, count: int = 2) -> Tracer:
    """`count` independent keys, of shape [count, 2]; of each key in a batch, [..., count, 2]."""
    return _rng("bits", key, (count, 2), dtypes.i32)
