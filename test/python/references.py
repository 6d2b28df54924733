# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What the elementwise ops compute, by NumPy and the C library."""

import math

import numpy as np

from elementwise_table import TABLE

erf = np.vectorize(math.erf, otypes=[np.float64])


@np.vectorize
def erfinv(x: float) -> float:
    """By Newton's method; near the ends through erfc, which keeps its digits there."""
    p = abs(x)
    if not p < 1:
        return math.copysign(math.inf, x) if p == 1 else math.nan
    if p < 1e-8:
        return float(x) * math.sqrt(math.pi) / 2
    log = math.log((1 - p) * (1 + p))
    half = 2 / (math.pi * 0.147) + log / 2
    y = math.sqrt(math.sqrt(half * half - log / 0.147) - half)
    for _ in range(6):
        excess = math.erf(y) - p if p < 0.5 else (1 - p) - math.erfc(y)
        y -= excess * math.sqrt(math.pi) / 2 * math.exp(y * y)
    return math.copysign(y, x)


def logistic(x):
    """1 / (1 + e^-x), where e^-x may overflow."""
    grown = np.exp(-np.abs(x))
    return np.where(x < 0, grown, 1) / (1 + grown)


def divide(x, y):
    return np.trunc(x / y) if x.dtype.kind in "iu" else x / y


def power(x, y):
    """Powers of integers wrap; those with a negative exponent are rounded to zero."""
    if x.dtype.kind not in "iu":
        return np.power(x, y)
    bits = 8 * x.dtype.itemsize

    def one(a: int, b: int) -> int:
        if b < 0:
            return 0 if abs(a) != 1 else a if b % 2 else 1
        wrapped = pow(a, b, 1 << bits)
        return wrapped - (1 << bits) if wrapped >> (bits - 1) else wrapped

    pairs = np.broadcast(x, y)
    return np.array([one(int(a), int(b)) for a, b in pairs], x.dtype).reshape(pairs.shape)


def nextafter(x, y):
    """In the type of the operands, bf16 included."""
    return np.nextafter(x, y)


REFERENCES = {op: eval(row.reference) for op, row in TABLE.items()}  # noqa: S307 (text of this repository)
