# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The programs of the GPU bundle: small ones that check each kind of kernel, large ones to time."""

from __future__ import annotations

import dataclasses
from typing import Any, Callable

import ml_dtypes
import numpy as np

import tessera as ts

BF16 = np.dtype(ml_dtypes.bfloat16)


@dataclasses.dataclass(frozen=True)
class Program:
    """A function of arrays. `make` gives its arguments for a random generator.

    `peer` names the rival that bundle_peers.py times; `flops` and `bytes` are of one call.
    """

    name: str
    function: Callable
    make: Callable[[np.random.Generator], list[np.ndarray]]
    tolerance: float = 1e-5
    peer: str = ""
    flops: float = 0
    bytes: float = 0


def _normal(*shapes: tuple[int, ...], dtype: Any = np.float32) -> Callable:
    return lambda rng: [rng.standard_normal(s, dtype=np.float32).astype(dtype, copy=False)
                        for s in shapes]


def _integers(shape: tuple[int, ...], low: int, high: int, dtype: Any = np.int32) -> Callable:
    return lambda rng: [rng.integers(low, high, shape).astype(dtype)]


def _join(*makers: Callable) -> Callable:
    return lambda rng: [a for make in makers for a in make(rng)]


def _einsum(spec: str) -> Callable:
    return lambda x, y: ts.einsum(spec, x, y)


def check_programs() -> list[Program]:
    """One per kind of kernel and way through it, at sizes that no tile divides."""
    found = [
        Program(f"product_{i}_{m}x{k}x{n}", _einsum(spec), _normal(a, b), 1e-5)
        for i, (spec, m, k, n, a, b) in enumerate([
            ("mk,kn->mn", 70, 37, 65, (70, 37), (37, 65)),
            ("mk,nk->mn", 128, 96, 64, (128, 96), (64, 96)),
            ("km,kn->mn", 64, 64, 96, (64, 64), (64, 96)),
            ("km,nk->mn", 33, 50, 7, (50, 33), (7, 50)),
            ("bmk,bnk->bmn", 40, 24, 40, (3, 40, 24), (3, 40, 24)),
            ("bmhk,bnhk->bhmn", 24, 8, 24, (2, 24, 3, 8), (2, 24, 3, 8)),
        ])
    ]
    found += [
        Program("product_bf16", _einsum("mk,nk->mn"), _normal((72, 64), (80, 64), dtype=BF16), 2e-2),
        Program("product_f16", _einsum("mk,kn->mn"),
                _normal((65, 40), (40, 33), dtype=np.float16), 5e-3),
        Program("product_bf16_tiles", _einsum("mk,nk->mn"),
                _normal((128, 96), (80, 96), dtype=BF16), 2e-2),
        Program("product_f16_tiles", _einsum("km,kn->mn"),
                _normal((64, 80), (64, 48), dtype=np.float16), 5e-3),
        Program("product_i32", _einsum("mk,kn->mn"),
                _join(_integers((20, 30), -9, 9), _integers((30, 17), -9, 9)), 0),
        Program("product_bias_gelu", lambda x, w, b: ts.gelu(ts.einsum("mk,nk->mn", x, w) + b),
                _normal((100, 48), (72, 48), (72,))),
        Program("attention", lambda q, k, v: ts.attention(q, k, v),
                _normal((2, 70, 3, 16), (2, 70, 3, 16), (2, 70, 3, 16))),
        Program("attention_causal", lambda q, k, v: ts.attention(q, k, v, causal=True),
                _normal((1, 65, 2, 32), (1, 65, 2, 32), (1, 65, 2, 32))),
        Program("attention_bf16", lambda q, k, v: ts.attention(q, k, v),
                _normal(*[(2, 64, 3, 64)] * 3, dtype=BF16), 2e-2),
        Program("attention_wide_heads", lambda q, k, v: ts.attention(q, k, v),
                _normal((1, 37, 2, 256), (1, 37, 2, 256), (1, 37, 2, 256))),
        Program("layer_norm", lambda x, w, b: ts.layer_norm(x, w, b),
                _normal((37, 130), (130,), (130,))),
        Program("rms_norm", lambda x, w: ts.rms_norm(x, w), _normal((19, 384), (384,))),
        Program("softmax", lambda x: ts.softmax(x, axis=-1), _normal((37, 1000))),
        Program("softmax_long_row", lambda x: ts.softmax(x, axis=-1), _normal((3, 20000))),
        Program("sum_rows", lambda x: ts.sum(x, axis=1), _normal((50, 333))),
        Program("sum_columns", lambda x: ts.sum(x, axis=0), _normal((333, 50))),
        Program("max_all", lambda x: ts.max(x), _normal((7, 11, 130))),
        Program("pointwise", lambda x, y: ts.tanh(x) * ts.exp(-y * y) + ts.sqrt(ts.abs(x)),
                _normal((101, 77), (101, 77))),
        Program("erf_sin_cos_log", lambda x: ts.erf(x) + ts.sin(x) * ts.cos(x) + ts.log(x * x + 1),
                _normal((999,))),
        Program("broadcast_select", lambda x, y: ts.where(x > y, x, y * 2),
                _normal((31, 65), (31, 65))),
        Program("transpose", lambda x: ts.transpose(x, (1, 0)) * 2, _normal((130, 70))),
        Program("transpose_4d", lambda x: ts.transpose(x, (0, 2, 1, 3)), _normal((2, 9, 5, 33))),
        Program("embedding", lambda table, ids: ts.take(table, ids, axis=0),
                _join(_normal((50, 33)), _integers((4, 7), 0, 50))),
        Program("concatenate_slice", lambda x, y: ts.concatenate([x[1:], y], axis=0),
                _normal((9, 20), (5, 20))),
        Program("bf16_arithmetic", lambda x, y: x * y + x, _normal((65, 66), (65, 66), dtype=BF16),
                4e-2),
        Program("i64_arithmetic", lambda x: x * 3 - x // 2,
                _integers((333,), 0, 1 << 40, np.int64), 0),
    ]
    return found


# Beside eager PyTorch, what else to time for a peer: where compiling changes what is run.
PEERS = {"matmul_nt": ["triton"], "linear_gelu": ["compiled"], "layer_norm": ["compiled"],
         "softmax": ["compiled"], "transpose": ["compiled"], "sum_columns": ["compiled"]}


def launch_program() -> Program:
    """What a launch and the wait for it take: it is part of every other time."""
    return Program("launch", lambda x, y: x + y, _normal((32,), (32,)), 1e-6, "add")


def timed_programs() -> list[Program]:
    """Large enough that a launch is short beside the work; inputs are made on the device machine."""
    found = []
    for n in (1024, 2048, 4096):
        found.append(Program(f"product_f32_{n}", _einsum("mk,nk->mn"), _normal((n, n), (n, n)),
                             1e-4, "matmul_nt", 2 * n**3, 12 * n**2))
    found.append(Program("product_bf16_4096", _einsum("mk,nk->mn"),
                         _normal((4096, 4096), (4096, 4096), dtype=BF16), 2e-2, "matmul_nt",
                         2 * 4096**3, 6 * 4096**2))
    found.append(Program("product_f16_4096", _einsum("mk,nk->mn"),
                         _normal((4096, 4096), (4096, 4096), dtype=np.float16), 5e-3, "matmul_nt",
                         2 * 4096**3, 6 * 4096**2))
    found.append(Program(
        "mlp_bias_gelu_4096x384x1536",
        lambda x, w, b: ts.gelu(ts.einsum("mk,nk->mn", x, w) + b),
        _normal((4096, 384), (1536, 384), (1536,)), 1e-4, "linear_gelu", 2 * 4096 * 384 * 1536,
        4 * (4096 * 384 + 1536 * 384 + 4096 * 1536)))
    for b, s, h, e in ((32, 128, 12, 32), (4, 2048, 16, 64)):
        found.append(Program(
            f"attention_{b}x{s}x{h}x{e}", lambda q, k, v: ts.attention(q, k, v),
            _normal(*[(b, s, h, e)] * 3), 1e-4, "attention", 4 * b * h * s * s * e,
            16 * b * s * h * e))
    b, s, h, e = 4, 2048, 16, 128
    found.append(Program(
        f"attention_bf16_{b}x{s}x{h}x{e}", lambda q, k, v: ts.attention(q, k, v),
        _normal(*[(b, s, h, e)] * 3, dtype=BF16), 2e-2, "attention", 4 * b * h * s * s * e,
        8 * b * s * h * e))
    rows = 32768
    found += [
        Program("layer_norm_32768x1024", lambda x, w, b: ts.layer_norm(x, w, b),
                _normal((rows, 1024), (1024,), (1024,)), 1e-4, "layer_norm", 0, 8 * rows * 1024),
        Program("softmax_32768x1024", lambda x: ts.softmax(x, axis=-1), _normal((rows, 1024)),
                1e-4, "softmax", 0, 8 * rows * 1024),
        Program("add_64M", lambda x, y: x + y, _normal((8192, 8192), (8192, 8192)), 1e-6, "add", 0,
                12 * 8192**2),
        Program("transpose_8192", lambda x: ts.transpose(x, (1, 0)) * 1.5, _normal((8192, 8192)),
                1e-6, "transpose", 0, 8 * 8192**2),
        Program("sum_columns_16384x4096", lambda x: ts.sum(x, axis=0), _normal((16384, 4096)),
                1e-3, "sum_columns", 0, 4 * 16384 * 4096),
    ]
    return found
